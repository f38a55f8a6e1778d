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
    var (sequences, others): ([[Int32]], [[Int32]])
    if let method = recipe.weights {
      (sequences, others) = try passages(
        model, text: calibration, limit: method.curvatureTokens)
    } else {
      sequences = try calibrationSequences(
        model, text: calibration, limit: Self.calibrationTokens)
      others = []
    }
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    let made = try Quantizer.quantize(
      model.graph, recipe: recipe, calibrationTokens: sequences, tuningTokens: others,
      progress: bar.update)
    try Self.verify(made.graph, after: "quantising \(model.name) to \(recipe.name)")
    return made.graph
  }

  /// Quantises a model and compiles it. Where the recipe names bits a weight, streams take no more than
  /// those: what the target's slices add to what rounding expects, or save of it, is reckoned with.
  ///
  /// - Parameter compile: from an integer graph to a program.
  /// - Returns: the program, and the graph it was compiled from.
  func program(
    _ model: ImportedModel, recipe: QuantizationRecipe, calibration: String?,
    compile: (Graph) throws(DiagnosticError) -> Program
  ) throws(DiagnosticError) -> (program: Program, graph: Graph) {
    guard let method = recipe.weights, case .bitsPerWeight(let bits) = method.grid else {
      let graph = try quantised(model, recipe: recipe, calibration: calibration)
      return (try compile(graph), graph)
    }
    // Only the basis is kept: what was observed takes more memory than the model.
    let basis = try RoundingBasis(
      observed(
        prepared(model, for: recipe, calibration: calibration), for: recipe,
        calibration: calibration,
        tokens: method.curvatureTokens, holdsOut: false),
      recipe: recipe, method: method)
    return try program(basis, recipe: recipe, within: bits, compile: compile)
  }

  /// As above, of a model that was watched: the program of most bits a weight that takes no more than
  /// `bits`.
  ///
  /// Steps of compensation take longest: a second try with them is made only where the first took too
  /// much.
  func program(
    _ basis: RoundingBasis, recipe: QuantizationRecipe, within bits: Double,
    compile: (Graph) throws(DiagnosticError) -> Program
  ) throws(DiagnosticError) -> (program: Program, graph: Graph) {
    var basis = basis
    let isCompensated = basis.method.compensationSteps > 0
    let range = WeightMethod.streamBits
    // What streams take beyond what rounding expects of them, which depends on how they are cut.
    var excess = 0.0
    var knowsCut = false
    func attempt(
      _ basis: inout RoundingBasis
    ) throws(DiagnosticError) -> (program: Program, graph: Graph, bits: Double) {
      let asked = min(max(bits - excess, range.lowerBound), range.upperBound)
      basis.method.grid = .bitsPerWeight(asked)
      let made = try quantised(basis, recipe: recipe)
      let program = try compile(made.graph)
      let found = program.manifest.report.bitsPerWeight
      let (cut, whole) = (made.report.bitsPerWeight, made.report.wholeBitsPerWeight)
      if !knowsCut, abs(found - whole) < abs(found - cut) { basis.method.sliceWeights = nil }
      knowsCut = true
      excess = found - (basis.method.sliceWeights == nil ? whole : cut)
      return (program, made.graph, found)
    }
    if isCompensated {
      let method = basis.method
      basis.method.compensationSteps = 0
      basis.method.tuningSteps = 0
      _ = try attempt(&basis)
      basis.method.compensationSteps = method.compensationSteps
      basis.method.tuningSteps = method.tuningSteps
      // With steps it comes to a little more, and a second try with steps costs most.
      excess += 0.004 * bits
    }
    var best: (program: Program, graph: Graph, bits: Double)?
    var least = Double.infinity
    for _ in 0..<4 {
      let made = try attempt(&basis)
      least = min(least, made.bits)
      if made.bits <= bits, made.bits > best?.bits ?? 0 { best = made }
      if let best, isCompensated || best.bits > 0.99 * bits { break }
      excess += 0.001
    }
    if let best { return (best.program, best.graph) }
    throw DiagnosticError(
      "quantize.bits",
      String(format: "the streams take %.3f bits a weight at least, not %.3f", least, bits),
      wayOut: "more bits a weight")
  }

  /// A model as a recipe quantises it, for those who calibrate or watch it first.
  func prepared(
    _ model: ImportedModel, for recipe: QuantizationRecipe, calibration: String?
  ) throws(DiagnosticError) -> ImportedModel {
    var model = model
    model.graph = try Quantizer.prepared(
      model.graph, for: recipe,
      watching: calibrationSequences(model, text: calibration, limit: Self.calibrationTokens))
    return model
  }

  /// Watches a model, to quantise it by what errors in its weights cost.
  func observed(
    _ model: ImportedModel, for recipe: QuantizationRecipe, calibration: String?,
    tokens: Int = WeightMethod.eightBit.curvatureTokens, holdsOut: Bool
  ) throws(DiagnosticError) -> ObservedModel {
    let (sequences, others) = try passages(model, text: calibration, limit: tokens)
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    return try ObservedModel(
      model.graph, for: recipe, calibrationTokens: sequences, tuningTokens: others, limit: tokens,
      holdsOut: holdsOut, progress: bar.update)
  }

  /// Quantises a watched model.
  func quantised(
    _ observed: ObservedModel, recipe: QuantizationRecipe, method: WeightMethod
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    try quantised(RoundingBasis(observed, recipe: recipe, method: method), recipe: recipe)
  }

  /// Quantises from a basis.
  private func quantised(
    _ basis: RoundingBasis, recipe: QuantizationRecipe
  ) throws(DiagnosticError) -> (graph: Graph, report: WeightReport) {
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    let made = try Quantizer.quantize(basis, progress: bar.update)
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

  /// What caches and embeddings of eight and of four bits cost, where a recipe leaves them open.
  func storageChoices(
    _ observed: ObservedModel, recipe: QuantizationRecipe
  ) throws(DiagnosticError) -> [StorageChoice] {
    let bar = StagedProgress(quiet: quiet)
    defer { bar.finish() }
    return try Quantizer.storageChoices(observed, recipe: recipe, progress: bar.update)
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
    return TokenSequences.split(
      try words(text), tokenizer: tokenizer, context: model.configuration.context, limit: limit)
  }

  /// Passages to see errors on, from all over the text, and others to tune on.
  private func passages(
    _ model: ImportedModel, text: String?, limit: Int
  ) throws(DiagnosticError) -> (chosen: [[Int32]], others: [[Int32]]) {
    guard let tokenizer = model.tokenizer else {
      return (try calibrationSequences(model, text: text, limit: limit), [])
    }
    return TokenSequences.spread(
      try words(text), tokenizer: tokenizer, context: model.configuration.context,
      limit: limit)
  }

  /// The calibration text: the user's file, else our own.
  private func words(_ path: String?) throws(DiagnosticError) -> String {
    guard let path else { return CalibrationText.plainEnglish }
    return try TextFile.read(path)
  }

  /// Compiles a quantised graph for a target.
  func compiled(
    _ graph: Graph, of model: ImportedModel, recipe: QuantizationRecipe, target: Target,
    batch: BatchChoice = .fastest(promptTokens: Self.promptTokens), prefix: [Int32] = [],
    residentBytes: Int? = nil, nearBytes: Int? = nil
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
    choices.residentBytes = residentBytes
    choices.nearBytes = nearBytes
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
  /// Sequences as ``split(_:tokenizer:context:limit:)`` cuts them, of ``passage`` tokens at most and
  /// chosen evenly from the whole text: neighbouring passages are about the same things, and say
  /// little of what else may be read. The rest come with them.
  static func spread(
    _ text: String, tokenizer: Tokenizer, context: Int, limit: Int
  ) -> (chosen: [[Int32]], others: [[Int32]]) {
    let all = split(
      text, tokenizer: tokenizer, context: min(context, passage), limit: longestText)
    let total = all.reduce(0) { $0 + $1.count }
    guard total > limit else { return (all, []) }
    let wanted = max(1, all.count * limit / total)
    let places = (0..<wanted).map { $0 * all.count / wanted }
    let chosen = Set(places)
    let rest = all.indices.filter { !chosen.contains($0) }
    return (places.map { all[$0] }, rest.map { all[$0] })
  }

  /// Tokens of a passage: windows that are run backwards are not longer.
  static let passage = 256

  /// More tokens than this are not looked at.
  static let longestText = 1_000_000
}
