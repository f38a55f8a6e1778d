import Codegen
import Foundation
import GraphIR
import Importers
import Passes
import ProgramFormat
import Quantize
import Session
import Support
import TargetModel
import Tokenizers

/// The stages from a model file to a program, with progress for each.
struct ModelPipeline {
  /// Tokens calibration looks at, by default: enough to see every layer's range, seconds to run.
  static let calibrationTokens = 2048

  /// The same for recipes that weigh errors in weights: second moments take more tokens than ranges.
  static let curvatureTokens = 8192

  /// The length of prompts for which the size of batches is chosen.
  static let promptTokens = 64

  /// Draws nothing when set.
  var quiet = false

  /// Imports a model, holds its graph to the rules of the representation and makes it canonical.
  func imported(
    _ path: String, _ options: ImportOptions
  ) throws(DiagnosticError) -> ImportedModel {
    var model = try ModelImporter.load(path, options)
    try Self.verify(model.graph, after: "importing \(path)")
    model.graph = try model.graph.canonicalised().graph
    return model
  }

  /// Throws what is wrong with a graph: code `verify.RULE`, the function and operation, and the stage
  /// that made the graph.
  static func verify(_ graph: Graph, after stage: String) throws(DiagnosticError) {
    let problems = Verifier.problems(in: graph)
    guard !problems.isEmpty else { return }
    throw DiagnosticError(
      problems.map {
        var problem = $0
        problem.notes.append("found after \(stage): a mistake of the tool, not of the model")
        return problem
      })
  }

  /// Quantises a model; the graph is verified before and after.
  func quantised(
    _ model: ImportedModel, recipe: QuantizationRecipe, calibration: String?
  ) throws(DiagnosticError) -> Graph {
    let sequences = try calibrationSequences(
      model, text: calibration,
      limit: recipe.weights == nil ? Self.calibrationTokens : Self.curvatureTokens)
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    let made = try Quantizer.quantize(
      model.graph, recipe: recipe, calibrationTokens: sequences, progress: bar.update)
    try Self.verify(made.graph, after: "quantising \(model.name) to \(recipe.name)")
    return made.graph
  }

  /// Watches a model, to quantise it by what errors in its weights cost.
  func observed(
    _ model: ImportedModel, calibration: String?, holdsOut: Bool
  ) throws(DiagnosticError) -> ObservedModel {
    let sequences = try calibrationSequences(
      model, text: calibration, limit: Self.curvatureTokens)
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    return try ObservedModel(
      model.graph, calibrationTokens: sequences, limit: WeightMethod.eightBit.curvatureTokens,
      holdsOut: holdsOut, progress: bar.update)
  }

  /// Quantises a watched model.
  func quantised(
    _ observed: ObservedModel, recipe: QuantizationRecipe, method: WeightMethod
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    let made = try Quantizer.quantize(
      observed, recipe: recipe, method: method, progress: bar.update)
    try Self.verify(made.graph, after: "quantising to \(recipe.name)")
    return made
  }

  /// Quantises a watched model within a bound on its divergence, in nats a token.
  func quantised(
    _ observed: ObservedModel, recipe: QuantizationRecipe, divergence: Double
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport, divergence: Double) {
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    let made = try Quantizer.quantize(
      observed, recipe: recipe, divergence: divergence, progress: bar.update)
    try Self.verify(made.graph, after: "quantising to \(recipe.name)")
    return made
  }

  /// What bits would buy.
  func choices(
    _ observed: ObservedModel, recipe: QuantizationRecipe
  ) throws(DiagnosticError) -> [WeightChoice] {
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    return try Quantizer.choices(observed, recipe: recipe, progress: bar.update)
  }

  /// Token sequences to calibrate with: the given text, else our own.
  func calibrationSequences(
    _ model: ImportedModel, text: String?, limit: Int
  ) throws(DiagnosticError) -> [[Int32]] {
    guard let tokenizer = model.tokenizer else {
      // Without a tokenizer any tokens are as good as others; a fixed spread keeps builds repeatable.
      var random = SplitMix64(seed: 1)
      return (0..<8).map { _ in
        (0..<min(128, model.configuration.context)).map { _ in
          Int32(random.next() % UInt64(model.configuration.vocabulary))
        }
      }
    }
    let source = try text.map { path throws(DiagnosticError) in try TextFile.read(path) }
    return TokenSequences.split(
      source ?? CalibrationText.plainEnglish, tokenizer: tokenizer,
      context: model.configuration.context, limit: limit)
  }

  /// Compiles a quantised graph for a target.
  func compiled(
    _ graph: Graph, of model: ImportedModel, recipe: QuantizationRecipe, target: Target,
    batch: BatchChoice = .fastest(promptTokens: Self.promptTokens), prefix: [Int32] = []
  ) throws(DiagnosticError) -> Program {
    let options = model.tokenizer?.options
    let facts = ProgramCompiler.ModelFacts(
      name: model.name, architecture: model.architecture, parameters: model.parameters,
      quant: recipe.name, bos: options?.addsBOS == true ? options?.bos.map(Int.init) : nil,
      eos: options?.eos.map(Int.init), tokenizer: model.tokenizer?.blob() ?? [])
    let bar = ProgressBar("encoding weights", quiet: quiet)
    defer { bar.finish() }
    var choices = ProgramCompiler.Options()
    choices.batch = batch
    choices.prefixTokens = prefix.count
    let program = try ProgramCompiler(target: target, options: choices).compile(
      graph, facts: facts
    ) {
      bar.update($0, of: $1)
    }
    return prefix.isEmpty
      ? program : try LanguageSession.program(program, startingWith: prefix)
  }
}

/// Cuts texts into token sequences for calibration and evaluation.
enum TokenSequences {
  /// What ends a document in text corpora.
  static let documentEnd = "<|endoftext|>"

  /// Sequences of at most `context` tokens, `limit` in all. Documents (texts separated by
  /// `<|endoftext|>`) are sequences of their own; longer ones are cut. A model that starts texts with
  /// a token sees it at the start of every sequence.
  static func split(
    _ text: String, tokenizer: Tokenizer, context: Int, limit: Int
  ) -> [[Int32]] {
    let bos = tokenizer.options.addsBOS ? tokenizer.options.bos.map { [$0] } ?? [] : []
    let step = max(context - bos.count, 1)
    var sequences: [[Int32]] = []
    var left = limit
    for document in text.components(separatedBy: documentEnd) where left > 0 {
      let ids = tokenizer.encode(
        document.trimmingCharacters(in: .whitespacesAndNewlines), addBOS: false
      ).prefix(left)
      left -= ids.count
      for start in stride(from: 0, to: ids.count, by: step) {
        let sequence = bos + ids[start..<min(start + step, ids.count)]
        if sequence.count > 1 { sequences.append(sequence) }
      }
    }
    return sequences
  }
}
