import ArgumentParser
import Importers
import ProgramFormat
import Support

/// `swiftlet inspect`.
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Says what a model file or a package is.",
    discussion: """
      Recognises GGUF, llama2.c and safetensors models by their content. Every header is checked; weights \
      are scanned for values that are not finite.

      A graph in its textual form (.gir) is printed as the passes leave it, with what they did; of a compiled \
      package the memory map and what a token costs.
      """)

  @Argument(
    help: "A model file, a folder with safetensors and config.json, a .gir graph, or a package.")
  var model: String

  @Flag(help: "Of a .gir graph: fail when a transpose, reshape or copy of data is left.")
  var strictLayout = false

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    let format: String
    let architecture: String
    let parameters: Int
    let vocabulary: Int
    let context: Int
    let tensors: Int
    let weightTypes: [String: Int]
  }

  func run() throws {
    if model.hasSuffix(".gir") { return try inspectGraph() }
    if PackageReader.isPackage(model) { return try inspectPackage() }
    let imported = try ModelImporter.load(model)
    let configuration = imported.configuration
    if json {
      try Console.json(
        Report(
          format: imported.format.rawValue, architecture: imported.architecture,
          parameters: imported.parameters, vocabulary: configuration.vocabulary,
          context: configuration.modelContext, tensors: imported.tensors,
          weightTypes: imported.weightTypes))
      return
    }
    let types = imported.weightTypes.sorted { $0.value > $1.value }
      .map { "\($0.key) \(Console.count($0.value))" }.joined(separator: ", ")
    print(
      Console.table([
        ("model", imported.name),
        ("format", "\(imported.format.rawValue), \(imported.architecture)"),
        ("parameters", Console.count(imported.parameters)),
        (
          "shape",
          "dim \(configuration.dim), \(configuration.layers) layers, \(configuration.heads) heads "
            + "(\(configuration.kvHeads) for keys and values), hidden \(configuration.hidden)"
        ),
        ("vocabulary", Console.count(configuration.vocabulary)),
        ("context", Console.count(configuration.modelContext)),
        ("tensors", Console.count(imported.tensors)),
        ("weights", types),
        (
          "tokenizer",
          imported.tokenizer.map { "\($0.kind), \(Console.count($0.count)) tokens" } ?? "none found"
        ),
      ]))
  }

  /// Of a package, what `compile` printed; every checksum is compared.
  private func inspectPackage() throws {
    let manifest = try PackageReader.load(model).manifest
    if json { return try Console.json(manifest) }
    let summary = PackageSummary(manifest: manifest)
    print("\(model): \(summary.title)\n")
    print(Console.table(summary.memoryMap))
    print("")
    print(Console.table(summary.rows()))
  }
}
