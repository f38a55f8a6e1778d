import Analysis
import Foundation
import GraphIR
import Importers
import ProgramFormat
import Quantize
import Session
import Support
import TargetModel
import Tokenizers

/// A model ready to be measured: how workers get one, and what it is compared with.
///
/// Text and tasks need a tokenizer and logits. Models of other kinds (images, sounds) would come with a
/// subject of their own and records of their own; checkpoints, pool, figures and gate do not care.
struct EvaluationSubject: Sendable {
  /// Makes a language model on the calling thread.
  typealias ModelMaker = @Sendable () throws(DiagnosticError) -> any LogitModel

  /// The model's name.
  var name: String
  /// Positions of its context.
  var context: Int
  /// Its tokenizer.
  var tokenizer: Tokenizer
  /// Makes the model that is judged.
  var make: ModelMaker
  /// Makes the float model; nil when there is none to compare with.
  var makeReference: ModelMaker?
  /// The compiled program of the compiled stage.
  var program: Program?
  /// What was compiled, whether or not it runs.
  var manifest: Manifest?
  /// CRC-32 of everything the model's predictions depend on.
  var contentChecksum: UInt32

  /// Prepares what a plan asks for: imports, quantises and compiles as far as its stage needs.
  init(_ plan: EvaluationPlan, quiet: Bool) throws(DiagnosticError) {
    if plan.isPackage {
      try self.init(package: plan, quiet: quiet)
    } else {
      try self.init(model: plan, quiet: quiet)
    }
  }

  private init(package plan: EvaluationPlan, quiet: Bool) throws(DiagnosticError) {
    let program = try PackageReader.load(plan.model)
    name = program.manifest.model.name
    context = program.manifest.model.context
    tokenizer = try TokenizerSource.load(plan.model)
    make = { () throws(DiagnosticError) in try CompiledLogitModel(program) }
    self.program = program
    manifest = program.manifest
    contentChecksum = Self.checksum(program)
    if let path = plan.floatModel {
      try compare(
        with: path, plan, vocabulary: program.manifest.model.vocabulary, quiet: quiet
      ) { "the package \($0): the package was made from another model" }
    }
  }

  /// Makes the float model of another file what is compared with.
  ///
  /// - Parameters:
  ///   - vocabulary: what this one has; other models cannot be compared.
  ///   - mismatch: says of that number whose it is.
  private mutating func compare(
    with path: String, _ plan: EvaluationPlan, vocabulary: Int, quiet: Bool,
    mismatch: (Int) -> String
  ) throws(DiagnosticError) {
    let other = try ModelPipeline(quiet: quiet).imported(
      path, ImportOptions(context: context, tokenizer: plan.tokenizer))
    guard other.configuration.vocabulary == vocabulary else {
      throw DiagnosticError(
        "evaluate.reference",
        "has \(other.configuration.vocabulary) tokens, \(mismatch(vocabulary))",
        at: SourceLocation(file: path))
    }
    let reference = try FloatLogitModel(other.graph)
    makeReference = { () throws(DiagnosticError) in reference }
    contentChecksum ^= Self.checksum(other.graph)
  }

  private init(model plan: EvaluationPlan, quiet: Bool) throws(DiagnosticError) {
    let pipeline = ModelPipeline(quiet: quiet)
    let imported = try pipeline.imported(
      plan.model, ImportOptions(context: plan.context, tokenizer: plan.tokenizer))
    guard let tokenizer = imported.tokenizer else { throw TokenizerSource.missing(plan.model) }
    name = imported.name
    context = imported.configuration.context
    self.tokenizer = tokenizer
    let float = try FloatLogitModel(imported.graph)
    contentChecksum = Self.checksum(imported.graph)
    guard plan.stage != .float else {
      make = { () throws(DiagnosticError) in float }
      guard let path = plan.floatModel else { return }
      // Another file's weights of the same model: what some other quantisation of it costs.
      try compare(
        with: path, plan, vocabulary: imported.configuration.vocabulary, quiet: quiet
      ) { "\(plan.model) \($0): they are not the same model" }
      return
    }
    makeReference = { () throws(DiagnosticError) in float }
    guard let recipe = QuantizationRecipe(name: plan.quant) else {
      throw DiagnosticError("quantize.recipe", "there is no recipe '\(plan.quant)'")
    }
    if plan.stage == .integer {
      let graph: Graph
      if plan.compilesInteger {
        (graph, manifest) = try Self.compiledGraph(imported, recipe, plan, pipeline)
      } else {
        graph = try pipeline.quantised(imported, recipe: recipe, calibration: plan.calibration)
      }
      contentChecksum ^= Self.checksum(graph)
      let integer = try IntegerLogitModel(graph)
      make = { () throws(DiagnosticError) in integer }
      return
    }
    let target = try TargetLibrary.find(plan.target)
    let program = try pipeline.program(imported, recipe: recipe, calibration: plan.calibration) {
      graph throws(DiagnosticError) in
      try pipeline.compiled(graph, of: imported, recipe: recipe, target: target)
    }
    make = { () throws(DiagnosticError) in try CompiledLogitModel(program) }
    self.program = program
    manifest = program.manifest
    contentChecksum = Self.checksum(imported.graph) ^ Self.checksum(program)
  }

  /// The integer graph that is compiled for the plan's target, within the bits its recipe names, and
  /// what the compiler says of it.
  private static func compiledGraph(
    _ imported: ImportedModel, _ recipe: QuantizationRecipe, _ plan: EvaluationPlan,
    _ pipeline: ModelPipeline
  ) throws(DiagnosticError) -> (Graph, Manifest) {
    let target = try TargetLibrary.find(plan.target)
    // The last graph compiled is the one whose program is returned.
    var last = imported.graph
    let program = try pipeline.program(imported, recipe: recipe, calibration: plan.calibration) {
      graph throws(DiagnosticError) in
      last = graph
      return try pipeline.compiled(graph, of: imported, recipe: recipe, target: target)
    }
    return (last, program.manifest)
  }

  private static func checksum(_ graph: Graph) -> UInt32 {
    var crc = CRC32()
    for constant in graph.constants {
      crc.update(constant.name.utf8)
      constant.data?.bytes.withBytes { crc.update($0) }
      for scale in constant.type.quant?.scales ?? [] {
        withUnsafeBytes(of: scale.bitPattern.littleEndian) { crc.update($0) }
      }
    }
    return crc.value
  }

  private static func checksum(_ program: Program) -> UInt32 {
    var crc = CRC32()
    for part in [program.commands, program.weights, program.near, program.params] {
      part.withBytes { crc.update($0) }
    }
    for word in program.steps { withUnsafeBytes(of: word.littleEndian) { crc.update($0) } }
    return crc.value
  }
}
