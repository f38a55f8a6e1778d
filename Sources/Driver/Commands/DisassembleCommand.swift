import ArgumentParser
import Containers
import EthosUISA
import ProgramFormat
import Support

/// `swiftlet disassemble`.
struct DisassembleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disassemble", abstract: "Prints NPU command streams readably.",
    discussion: """
      FILE is a package directory, a .tflite with Ethos-U operators or a raw .npz as Vela writes them, \
      or a file that holds one driver payload (COP1 or COP2) of any compiler. One paragraph an \
      operation: offset, words, register names, values with units.
      """)

  @Argument(help: "A package directory, a .tflite or .npz file, or a driver payload.")
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
      return
    }
    let source = ByteSource(try MappedFile(file))
    if TFLiteModel.matches(source) {
      try list(TFLiteModel(source, name: file))
    } else if NumpyArchive.matches(source) {
      let commands = try NumpyArchive(source, name: file).array("cmd_data")
      try list(commands.bytes, named: file, regions: Self.foreignRegions)
    } else {
      try list(source, named: file, regions: [:])
    }
  }

  /// What Vela's base pointers hold.
  private static let foreignRegions = [0: "constants", 1: "arena", 2: "fast scratch"]

  private func list(_ model: TFLiteModel) throws(DiagnosticError) {
    var isEmpty = true
    for (number, graph) in model.subgraphs.enumerated() {
      for (index, operation) in graph.operators.enumerated()
      where operation.code == TFLiteOperator.ethosU {
        guard let tensor = operation.inputs.first.flatMap({ $0 }),
          let bytes = graph.tensors[tensor].data
        else {
          throw DiagnosticError(
            "disassemble.payload", "the command stream is no constant",
            at: SourceLocation(file: file, element: "operator \(index)"))
        }
        isEmpty = false
        print("; subgraph \(number), operator \(index)\n")
        try list(bytes, named: "\(file): operator \(index)", regions: Self.foreignRegions)
      }
    }
    guard isEmpty else { return }
    throw DiagnosticError(
      "disassemble.payload", "no operator is compiled for an NPU", at: SourceLocation(file: file),
      wayOut: "vela --accelerator-config ethos-u55-128 MODEL compiles one")
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
        wayOut: "a package directory, a .tflite, a .npz, or a file that starts with COP1 or COP2")
    }
    guard let stream = payload.stream else {
      throw DiagnosticError(
        "disassemble.product", "its configuration word names no Ethos-U we know",
        at: SourceLocation(file: name))
    }
    Disassembler(stream, regionNames: regions).forEachParagraph { print($0) }
  }
}
