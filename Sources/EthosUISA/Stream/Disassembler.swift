/// Prints a command stream for people: one paragraph for each operation, with the registers written
/// for it and a summary of what it does.
///
/// A line holds the byte offset, the words, the name and the fields with names and units. Writes
/// that repeat what a register already holds are marked `=`. Words that are no command are printed
/// as such with the reason, so any input has a listing.
public struct Disassembler: Sendable {
  /// The stream.
  public let stream: CommandStream
  /// Names of regions, for addresses; the number where none is given.
  public var regionNames: [Int: String]

  /// A listing of `stream`.
  public init(_ stream: CommandStream, regionNames: [Int: String] = [:]) {
    self.stream = stream
    self.regionNames = regionNames
  }

  /// The whole listing.
  public func listing() -> String {
    var text = ""
    forEachParagraph { text += $0 + "\n" }
    return text
  }

  /// Calls `body` with one paragraph after the other, for streams too long to hold as text.
  public func forEachParagraph(_ body: (String) -> Void) {
    var registers = RegisterFile(stream.product)
    var pending: [(command: Command, changed: Bool)] = []
    var reader = stream.makeReader()
    var operations = 0
    while true {
      do {
        guard let command = try reader.next() else { break }
        pending.append((command, registers.apply(command)))
        guard command.isOperation else { continue }
        body(paragraph(operations, pending, registers))
        operations += 1
        pending.removeAll()
      } catch {
        body(paragraph(nil, pending, registers) + broken(error))
        return
      }
    }
    if !pending.isEmpty { body(paragraph(nil, pending, registers)) }
  }

  /// The line of one command, for messages; addresses and units need the registers.
  public func line(_ command: Command, registers: RegisterFile, changed: Bool = true) -> String {
    let words = command.words.map(hexWord).joined(separator: " ")
    let operands = FieldText(product: stream.product, registers: registers, names: regionNames)
      .text(of: command)
    var text = hexWord(UInt32(truncatingIfNeeded: command.byteOffset)) + ": "
    text += words.padded(to: 18) + (changed ? "  " : "= ") + command.opcode.name
    return operands.isEmpty ? text : text.padded(to: 56) + operands
  }

  private func paragraph(
    _ number: Int?, _ commands: [(command: Command, changed: Bool)], _ registers: RegisterFile
  ) -> String {
    var lines: [String] = []
    if let number, let operation = commands.last?.command {
      let summary = OperationSummary(
        product: stream.product, registers: registers, names: regionNames
      ).text(of: operation)
      lines.append("# \(number): \(summary)")
    } else if !commands.isEmpty {
      lines.append("# registers without an operation")
    }
    for (command, changed) in commands {
      lines.append(
        line(command, registers: registers, changed: changed || command.isOperation))
    }
    return lines.joined(separator: "\n") + (lines.isEmpty ? "" : "\n")
  }

  /// The rest of a stream that cannot be decoded: the reason and the first words.
  private func broken(_ error: StreamError) -> String {
    let start = error.byteOffset / 4
    let words = stream.words[min(start, stream.words.count)...]
    let shown = words.prefix(8).map(hexWord).joined(separator: " ")
    return "# \(error)\n\(hexWord(UInt32(truncatingIfNeeded: error.byteOffset))): \(shown)"
      + (words.count > 8 ? " and \(words.count - 8) more words\n" : "\n")
  }

  private func hexWord(_ word: UInt32) -> String {
    let digits = String(word, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}

extension String {
  /// The string with spaces after it up to `width`, at least one.
  func padded(to width: Int) -> String {
    self + String(repeating: " ", count: max(1, width - count))
  }
}
