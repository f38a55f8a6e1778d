import ArgumentParser
import Codegen
import Foundation
import GraphIR
import Importers
import Passes
import ProgramFormat
import Quantize
import Support
import TargetModel

/// `swiftlet compile`.
struct CompileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compile", abstract: "Compiles a model for a part.",
    discussion: """
      Writes a directory with the NPU's command streams, the encoded weights, the tokenizer, a manifest, \
      and a folder 'c' of C arrays, header and runtime sources for a firmware build. The directory \
      appears whole or not at all.

      Example: swiftlet compile stories260K.gguf --target alif-e7-hp --quant w8a16 -o out
      """)

  @Argument(help: "A model: GGUF, llama2.c, or a folder with safetensors.")
  var model: String

  @Option(help: "The part, by name (swiftlet targets) or by target file.")
  var target: String

  @Option(
    help: ArgumentHelp(
      "Bits of weights and activations: w8a16 for accuracy, w8a8 for half the activation memory, w4a16 "
        + "and w4a8 for 15-level weights, c4a16 for 16 values chosen for each matrix, w2a16 and w2a8 for "
        + "−1, 0 and 1, b3.8a16 for 3.8 bits a weight in the stream. Options may follow, as in "
        + "w8a8:rotate=1, which spreads outlier channels over all, or w8a16:values=4, where the KV cache holds "
        + "values of four bits (kv=4: keys too), and w4a16:embeddings=4, whose table of embeddings takes half. "
        + "kv=auto and embeddings=auto leave that to --max-kld, the latter to --flash, too.",
      valueName: "recipe"))
  var quant = "w8a16"

  @OptionGroup var goal: WeightGoalOptions

  @Option(
    help: ArgumentHelp(
      "Text to calibrate activations with; like what the model will see. Default: plain English.",
      valueName: "file"))
  var calibration: String?

  @Option(help: "Positions of the KV cache. Default: the model's, at most 512.")
  var context: Int?

  @Option(
    help: ArgumentHelp(
      "Prompt tokens run at once; 0 runs prompts token by token. Default: what is estimated to be "
        + "fastest for prompts of \(ModelPipeline.promptTokens) tokens.",
      valueName: "tokens"))
  var prefill: Int?

  @Option(
    help: ArgumentHelp(
      "Text that every conversation starts with, such as instructions. It is read at compile time: the "
        + "package holds its part of the KV cache.",
      valueName: "file"))
  var prefix: String?

  @Option(
    help: ArgumentHelp(
      "Weights to keep in on-chip RAM when not all fit there, such as 2MB; 0 for none. The firmware's loader "
        + "copies them at start. Default: what is left of the params' memory, less an eighth of it.",
      valueName: "size"))
  var resident: String?

  @Option(
    help: ArgumentHelp(
      "Weights to keep in the nearer of two read-only memories, such as MRAM beside flash; 0 for none. Default: what "
        + "is read while the others come from the farther one, less an eighth of the memory.",
      valueName: "size"))
  var near: String?

  @Option(help: "A tokenizer file, when it is not inside or beside the model.")
  var tokenizer: String?

  @Option(name: .shortAndLong, help: "The directory to write.")
  var output: String

  @Flag(help: "Fail when a transpose, reshape or copy of data is left in the graph.")
  var strictLayout = false

  @Flag(help: "Print one JSON object.")
  var json = false

  private struct Report: Encodable {
    let target: String
    let quant: String
    let sramPeakBytes: Int
    let flashBytes: Int
    let weightStreamBytes: Int
    let bitsPerWeight: Double
    let residentBytes: Int
    let regions: [String: Int]
    let transposes: Int
    let layout: LayoutReport.Summary
    let cpuOps: Int
    let decodeCycles: Int
    let decodeBoundCycles: Int
    let decodeTraffic: [String: Int]
    let prefillTokens: Int
    let prefillCycles: Int
    let tokensPerSecond: Double
    let compileSeconds: Double
  }

  func validate() throws {
    guard let recipe = QuantizationRecipe(name: quant) else {
      throw ValidationError(QuantizationRecipe.problem(in: quant) ?? quant)
    }
    if recipe.caches.isOpen, goal.maxKld == nil {
      throw ValidationError("kv=auto chooses by --max-kld; without it say kv=8, values=4 or kv=4")
    }
    if recipe.choosesEmbeddings, goal.maxKld == nil, goal.flash == nil {
      throw ValidationError(
        "embeddings=auto chooses by --max-kld or --flash; without them say embeddings=4 or nothing")
    }
    if let context, context < 1 { throw ValidationError("--context must be at least 1") }
    guard (0...256).contains(prefill ?? 0) else {
      throw ValidationError("--prefill must be 0 to 256")
    }
    for (option, text) in [("--resident", resident), ("--near", near)] {
      if let text, Self.size(text) == nil {
        throw ValidationError("\(option) must be a size such as 2MB or 600KiB, or 0, not '\(text)'")
      }
    }
  }

  func run() throws {
    guard let recipe = QuantizationRecipe(name: quant) else { return }
    let start = Date()
    let part = try TargetLibrary.find(target)
    guard let runtime = ResourceLocator.folder("Sources/DeviceRuntime") else {
      throw DiagnosticError(
        "resources.runtime", "the device runtime's sources are not there",
        wayOut: "set SWIFTLET_HOME to the folder that holds Sources/DeviceRuntime")
    }
    let writer = try PackageWriter(output)
    let pipeline = ModelPipeline(quiet: json)
    var imported = try ModelImporter.load(
      model,
      ImportOptions(context: context, prefillTokens: max(prefill ?? 16, 1), tokenizer: tokenizer))
    if let tokenizer = imported.tokenizer,
      tokenizer.count > imported.configuration.vocabulary
    {
      throw DiagnosticError(
        "import.vocabulary",
        "the tokenizer has \(tokenizer.count) tokens, the model \(imported.configuration.vocabulary)",
        at: SourceLocation(file: model), wayOut: "the tokenizer that belongs to this model")
    }
    let beginning = try prefixTokens(imported)
    let layout = try pipeline.canonical(
      imported.graph, recipe: recipe, target: part, strict: strictLayout)
    imported.graph = layout.graph
    let model = imported
    func compiled(
      _ quantised: Graph, _ recipe: QuantizationRecipe
    ) throws(DiagnosticError) -> Program {
      var graph = quantised
      if prefill == 0 { graph.functions.removeAll { $0.name == "prefill" } }
      return try pipeline.compiled(
        graph, of: model, recipe: recipe, target: part,
        batch: prefill == nil ? .fastest(promptTokens: ModelPipeline.promptTokens) : .asGiven,
        prefix: beginning, residentBytes: resident.flatMap(Self.size),
        nearBytes: near.flatMap(Self.size))
    }
    let program =
      goal.isSet
      ? try goal.program(
        model, recipe: recipe, calibration: calibration, pipeline: pipeline, compile: compiled)
      : try pipeline.program(model, recipe: recipe, calibration: calibration) {
        graph throws(DiagnosticError) in try compiled(graph, recipe)
      }.program
    try PackageEmitter(program: program, runtimeSources: runtime).write(to: writer)
    let seconds = Date().timeIntervalSince(start)

    let manifest = program.manifest
    let report = manifest.report
    let summary = PackageSummary(manifest: manifest)
    let batch = program.entry("prefill")?.tokens ?? 0
    if json {
      try Console.json(
        Report(
          target: manifest.target, quant: manifest.quant, sramPeakBytes: report.sramPeakBytes,
          flashBytes: report.flashBytes, weightStreamBytes: report.weightStreamBytes,
          bitsPerWeight: report.bitsPerWeight, residentBytes: report.residentBytes ?? 0,
          regions: Dictionary(uniqueKeysWithValues: manifest.regions.map { ($0.name, $0.bytes) }),
          transposes: report.transposes, layout: layout.report.json, cpuOps: report.cpuOps,
          decodeCycles: report.decodeCycles, decodeBoundCycles: report.decodeBoundCycles,
          decodeTraffic: report.decodeTraffic ?? [:],
          prefillTokens: batch, prefillCycles: report.prefillCycles,
          tokensPerSecond: summary.tokensPerSecond, compileSeconds: seconds))
      return
    }
    print("\(output): \(summary.title)\n")
    print(Console.table(summary.memoryMap))
    print("")
    print(
      Console.table(
        summary.rows(layout: layout.report.summary)
          + [("compiled in", String(format: "%.1f s", seconds))]))
  }

  /// Bytes of a size that may be none.
  private static func size(_ text: String) -> Int? {
    text == "0" ? 0 : WeightGoalOptions.bytes(text)
  }

  /// The ids of the text that every conversation starts with.
  private func prefixTokens(_ model: ImportedModel) throws(DiagnosticError) -> [Int32] {
    guard let prefix else { return [] }
    guard let tokenizer = model.tokenizer else { throw TokenizerSource.missing(self.model) }
    let ids = tokenizer.encode(try TextFile.read(prefix))
    let context = model.configuration.context
    guard !ids.isEmpty, ids.count < context else {
      throw DiagnosticError(
        "compile.prefix", "has \(ids.count) tokens; 1 to \(context - 1) fit the KV cache",
        at: SourceLocation(file: prefix),
        wayOut: ids.isEmpty ? "a text" : "a shorter text, or a larger --context")
    }
    return ids
  }
}
