import ProgramFormat
import Support

/// What the parameters of CPU steps mean: numbers, tables in the params region, buffers
/// (`swiftlet_runtime.h`).
enum StepLayout {
  /// One parameter word.
  private enum Parameter {
    /// A number that decides what is computed.
    case number(String)
    /// A table of as many elements as the product of the given parameters, plus a constant factor.
    case table(String, bytes: Int, rows: [Int], columns: [Int], factor: Int)
    /// A buffer: where something lies, not what it is.
    case buffer
  }

  private static func table(
    _ name: String, _ bytes: Int, rows: [Int] = [], columns: [Int] = [], factor: Int = 1
  ) -> Parameter {
    .table(
      name, bytes: bytes, rows: rows, columns: columns, factor: factor)
  }

  private static func parameters(_ kernel: Kernel) -> [Parameter] {
    func n(_ name: String) -> Parameter { .number(name) }
    switch kernel {
    case .npuJob: return [.buffer]
    case .embedding:
      return [
        n("tokens"), n("width"), n("vocabulary"), table("table", 1, rows: [2], columns: [1]),
        table("row multiplier", 4, columns: [2]), n("shift"), .buffer,
      ]
    case .rmsNorm:
      return [
        n("tokens"), n("width"), .buffer, table("gamma", 4, columns: [1]), n("shift"),
        n("eps, low word"), n("eps, high word"), .buffer, n("bits"),
      ]
    case .rope:
      return [
        n("tokens"), n("heads"), n("head size"), n("context"), .buffer,
        table("table", 2, rows: [3], columns: [2]), .buffer,
      ]
    case .kvWrite:
      return [
        n("tokens"), n("heads"), n("head size"), n("context"), .buffer,
        table("offset", 2, rows: [1], columns: [2]), table("multiplier", 4, columns: [1]),
        table("shift", 4, columns: [1]), .buffer,
      ]
    case .attention:
      return [
        n("tokens"), n("heads"), n("key heads"), n("head size"), n("context"), .buffer, .buffer,
        .buffer, table("exponent multiplier", 4, columns: [2]),
        table("exponent shift", 4, columns: [2]), table("output multiplier", 4, columns: [2]),
        table("output shift", 4, columns: [2]), .buffer, .buffer, n("bits"),
      ]
    case .lut:
      // An entry is two 16-bit halves: base and slope.
      return [n("count"), .buffer, table("table", 2, factor: 1024), .buffer]
    case .mul:
      return [n("count"), .buffer, .buffer, n("multiplier"), n("shift"), .buffer, n("bits")]
    case .add: return [n("count"), .buffer, .buffer, .buffer]
    }
  }

  /// The tables and numbers of a step.
  static func items(
    of step: Step, name: String, in program: Program
  ) -> [ProgramContents.Item] {
    var items: [ProgramContents.Item] = []
    var names: [String] = []
    var numbers: [Int64] = []
    for (index, parameter) in parameters(step.kernel).enumerated()
    where step.parameters.indices.contains(index) {
      let word = step.parameters[index]
      switch parameter {
      case .buffer: continue
      case .number(let what):
        names.append(what)
        numbers.append(Int64(word))
      case .table(let what, let bytes, let rows, let columns, let factor):
        let width = columns.reduce(factor) { size($0, step.parameters[$1]) }
        let count = rows.reduce(width) { size($0, step.parameters[$1]) }
        let content =
          word >> 29 == UInt32(Region.params.rawValue)
          ? program.params.slice(at: Int(word & 0x1FFF_FFFF), count: size(count, UInt32(bytes)))
          : nil
        items.append(
          ProgramContents.Item(
            stage: .tables, name: "\(name): \(what)",
            columns: step.kernel == .lut ? 2 : max(rows.isEmpty ? 1 : width, 1),
            columnNames: step.kernel == .lut ? ["base", "slope"] : [],
            identity: content.map { $0.withBytes { CRC32.checksum($0) } },
            load: { () throws(DiagnosticError) in
              guard let content else {
                throw DiagnosticError(
                  "bisect.table", "lies outside the params region",
                  at: SourceLocation(element: name))
              }
              return integers(content, bytes: bytes)
            }))
      }
    }
    items.append(
      ProgramContents.Item(
        stage: .parameters, name: "\(name) (\(step.kernel.name))", columns: max(numbers.count, 1),
        columnNames: names, identity: nil, load: { () throws(DiagnosticError) in numbers }))
    return items
  }

  /// A product that stays at a size no region has instead of overflowing.
  private static func size(_ a: Int, _ b: UInt32) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: Int(b))
    return overflow ? Int.max / 2 : min(product, Int.max / 2)
  }

  /// Little-endian signed integers of the given width.
  private static func integers(_ source: ByteSource, bytes: Int) -> [Int64] {
    source.withBytes { raw in
      (0..<raw.count / bytes).map { index in
        switch bytes {
        case 1: Int64(raw.loadUnaligned(fromByteOffset: index, as: Int8.self))
        case 2:
          Int64(Int16(littleEndian: raw.loadUnaligned(fromByteOffset: index * 2, as: Int16.self)))
        default:
          Int64(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: index * 4, as: Int32.self)))
        }
      }
    }
  }
}
