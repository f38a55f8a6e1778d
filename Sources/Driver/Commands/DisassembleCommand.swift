import ArgumentParser
import EthosUISA
import ProgramFormat
import Support

/// `swiftlet disassemble`.
struct DisassembleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disassemble", abstract: "Prints NPU command streams readably.",
    discussion: """
      FILE is a package directory, or a file that holds one driver payload (COP1 or COP2) of any \
      compiler. One paragraph an operation: offset, words, register names, values with units.
      """)

  @Argument(help: "A package directory or a driver payload.")
  var file: String

  func run() throws {
    if PackageReader.isPackage(file) {
      let program = try PackageReader.load(file, verify: false)
      let names = Dictionary(uniqueKeysWithValues: Region.allCases.map { ($0.rawValue, $0.name) })
      for (index, job) in program.manifest.jobs.enumerated() {
        guard let payload = program.commands.slice(at: job.offset, count: job.bytes) else {
          continue
        }
        print("; job \(index): \(job.name)\n")
        try list(payload, named: "\(file): job \(index)", regions: names)
      }
    } else {
      try list(ByteSource(try MappedFile(file)), named: file, regions: [:])
    }
  }

  private func list(
    _ bytes: ByteSource, named name: String, regions: [Int: String]
  ) throws(DiagnosticError) {
    let payload: Payload
    do throws(PayloadError) {
      payload = try Payload.parse(bytes.withBytes { Array($0) })
    } catch {
      throw DiagnosticError(
        "disassemble.payload", "\(error)", at: SourceLocation(file: name),
        wayOut: "a package directory, or a file that starts with COP1 or COP2")
    }
    guard let stream = payload.stream else {
      throw DiagnosticError(
        "disassemble.product", "its configuration word names no Ethos-U we know",
        at: SourceLocation(file: name))
    }
    Disassembler(stream, regionNames: regions).forEachParagraph { print($0) }
  }
}
