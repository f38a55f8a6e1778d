import ArgumentParser
import Foundation
import GraphIR
import Importers
import ProgramFormat
import Quantize
import Support

/// What the weights may cost, in place of a recipe's own grid.
struct WeightGoalOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Mean bits of a weight in the stream, 1 to 8; grids and steps are chosen to lose least.",
      valueName: "bits"))
  var bitsPerWeight: Double?

  @Option(
    help: ArgumentHelp(
      "The most read-only memory of the whole package, such as 4MB or 600KiB.", valueName: "size"))
  var flash: String?

  @Option(
    help: ArgumentHelp(
      "The most divergence from the float model, in nats a token (0.01 is hardly visible, 0.1 is).",
      valueName: "nats"))
  var maxKld: Double?

  @Option(
    help: ArgumentHelp(
      "At least this many tokens a second by the predicted cycles; weights get as many bits as that "
        + "leaves.", valueName: "rate"))
  var tokensPerSecond: Double?

  private var given: Int {
    [bitsPerWeight != nil, flash != nil, maxKld != nil, tokensPerSecond != nil].count { $0 }
  }

  /// Whether one is given.
  var isSet: Bool { given > 0 }

  func validate() throws {
    guard given <= 1 else {
      throw ValidationError(
        "give one of --bits-per-weight, --flash, --max-kld and --tokens-per-second")
    }
    if let tokensPerSecond, !(tokensPerSecond > 0 && tokensPerSecond < 1e6) {
      throw ValidationError("--tokens-per-second must be above 0 and below a million")
    }
    if let bitsPerWeight, !WeightMethod.streamBits.contains(bitsPerWeight) {
      throw ValidationError("--bits-per-weight must be 1 to 8")
    }
    if let flash, Self.bytes(flash) == nil {
      throw ValidationError("--flash must be a size such as 4MB or 600KiB, not '\(flash)'")
    }
    if let maxKld, !(maxKld > 0 && maxKld < 100) {
      throw ValidationError("--max-kld must be above 0 and below 100")
    }
  }

  /// Bytes of a size: a number with nothing, kB/KB, MB (powers of 1000), KiB or MiB behind it.
  static func bytes(_ text: String) -> Int? {
    let units: [(String, Double)] = [
      ("kib", 1024), ("mib", 1_048_576), ("kb", 1000), ("mb", 1_000_000), ("b", 1), ("", 1),
    ]
    let lower = text.lowercased()
    for (unit, factor) in units where lower.hasSuffix(unit) {
      let number = lower.dropLast(unit.count).trimmingCharacters(in: .whitespaces)
      guard let value = Double(number), value > 0, value * factor < 1e12 else { return nil }
      return Int(value * factor)
    }
    return nil
  }

  /// Quantises a model to the goal and compiles it.
  ///
  /// - Parameters:
  ///   - recipe: whose activations and rotations are taken.
  ///   - compile: from an integer graph and the recipe's new name to a program.
  func program(
    _ model: ImportedModel, recipe: QuantizationRecipe, calibration: String?,
    pipeline: ModelPipeline,
    compile: (Graph, QuantizationRecipe) throws(DiagnosticError) -> Program
  ) throws(DiagnosticError) -> Program {
    let observed = try pipeline.observed(
      pipeline.prepared(model, for: recipe, calibration: calibration), for: recipe,
      calibration: calibration,
      holdsOut: maxKld != nil || recipe.isOpen)
    var recipe = recipe
    // Searches by size or rate look at what came out, so only a goal of bits is a bound on them.
    func rounded(_ bits: Double, within: Bool) throws(DiagnosticError) -> Program {
      let recipe = try recipe.with(bitsPerWeight: bits)
      var method = recipe.weights ?? .eightBit
      // Searches round many times, and steps of free weights take longest.
      if !within { method.compensationSteps = 0 }
      guard within else {
        return try compile(
          pipeline.quantised(observed, recipe: recipe, method: method).graph, recipe)
      }
      let basis = try RoundingBasis(observed, recipe: recipe, method: method)
      return try pipeline.program(basis, recipe: recipe, within: bits) {
        graph throws(DiagnosticError) in try compile(graph, recipe)
      }.program
    }
    // What settles open bits may be the first try of a search, too.
    var first: (recipe: QuantizationRecipe, program: Program)?
    func rounded(_ bits: Double) throws(DiagnosticError) -> Program {
      if let first, try recipe.with(bitsPerWeight: bits) == first.recipe { return first.program }
      return try rounded(bits, within: false)
    }
    if recipe.isOpen || !pipeline.quiet {
      let choices = try pipeline.choices(observed, recipe: recipe)
      if !pipeline.quiet { Self.show(choices) }
      if recipe.isOpen {
        let open = try pipeline.storageChoices(observed, recipe: recipe)
        // What else is in a package shows in one of small embeddings, which fits if any does.
        var others = 0
        if flash != nil {
          (recipe.choosesEmbeddings, recipe.embeddings) = (false, .int4)
          let program = try rounded(4)
          first = (try recipe.with(bitsPerWeight: 4), program)
          let report = program.manifest.report
          let table = open.map(\.tableBytes).min() ?? 0
          others = report.flashBytes - report.weightStreamBytes - table
        }
        try decide(&recipe, among: open, beside: others, observed, weights: choices, pipeline)
      }
    }
    if let bitsPerWeight { return try rounded(bitsPerWeight, within: true) }
    if let maxKld {
      let made = try pipeline.quantised(observed, recipe: recipe, divergence: maxKld)
      if !pipeline.quiet {
        print(
          String(
            format: "chosen: %.2f bits a weight, divergence %.4f measured on %d held-out tokens\n",
            made.report.bitsPerWeight, made.divergence,
            observed.heldOut.reduce(0) { $0 + $1.count }))
      }
      let bits = min(max(made.report.bitsPerWeight, 1), 8)
      return try compile(made.graph, recipe.with(bitsPerWeight: bits))
    }
    if let tokensPerSecond {
      return try reaching(
        tokensPerSecond, quiet: pipeline.quiet,
        eightBit: {
          () throws(DiagnosticError) in
          try compile(
            pipeline.quantised(observed, recipe: recipe, method: .eightBit).graph, recipe)
        }, rounded)
    }
    guard let flash, let limit = Self.bytes(flash) else {
      return try compile(
        pipeline.quantised(observed, recipe: recipe, method: .eightBit).graph, recipe)
    }
    return try fitting(limit, rounded)
  }

  /// The program of most bits a weight that stays within `limit` bytes of read-only memory.
  private func fitting(
    _ limit: Int, _ rounded: (Double) throws(DiagnosticError) -> Program
  ) throws(DiagnosticError) -> Program {
    var bits = 4.0
    var best: Program?
    var smallest = Int.max
    for _ in 0..<4 {
      let program = try rounded(bits)
      let report = program.manifest.report
      smallest = min(smallest, report.flashBytes)
      if report.flashBytes <= limit {
        if report.flashBytes > best?.manifest.report.flashBytes ?? 0 { best = program }
        if Double(report.flashBytes) > 0.99 * Double(limit) || bits >= 7.9 { break }
      }
      let weights = Double(report.weightStreamBytes) * 8 / max(report.bitsPerWeight, 0.01)
      let fixed = report.flashBytes - report.weightStreamBytes
      let room = Double(limit - fixed) * 0.998
      let next = min(room * 8 / weights * bits / max(report.bitsPerWeight, 0.01), 8)
      if next < 1 {
        throw DiagnosticError(
          "quantize.flash",
          "the package needs \(fixed) bytes besides its weights; \(limit) leave less than a bit for each",
          wayOut: "at least \(fixed + Int(weights / 4)) bytes, or a smaller model")
      }
      if abs(next - bits) < 0.005 { break }
      bits = next
    }
    guard let best else {
      throw DiagnosticError(
        "quantize.flash", "the smallest package found takes \(smallest) bytes, not \(limit)",
        wayOut: "at least \(smallest) bytes, or a smaller model")
    }
    return best
  }

  /// The program of most bits a weight that gives `rate` tokens a second or more.
  private func reaching(
    _ rate: Double, quiet: Bool, eightBit: () throws(DiagnosticError) -> Program,
    _ rounded: (Double) throws(DiagnosticError) -> Program
  ) throws(DiagnosticError) -> Program {
    var search = RateSearch(rate: rate)
    var best: Program?
    func judge(_ program: Program) {
      let report = program.manifest.report
      let seconds = PackageSummary(manifest: program.manifest).secondsPerToken
      search.note(bits: report.bitsPerWeight, seconds: seconds)
      if search.best == search.tried.count - 1 { best = program }
      guard !quiet else { return }
      if search.tried.count == 1 { print("bits a weight  weights, bytes  tokens a second") }
      print(
        String(
          format: "%13.2f  %14d  %15.2f", report.bitsPerWeight, report.weightStreamBytes,
          1 / max(seconds, 1e-12)) + (search.isFast(seconds) ? "  fast enough" : ""))
    }
    judge(try eightBit())
    while let bits = search.next { judge(try rounded(bits)) }
    guard let best else {
      let fastest = search.tried.map(\.seconds).min() ?? 1
      throw DiagnosticError(
        "quantize.rate",
        String(
          format: "the fastest program found gives %.2f tokens a second, not %.2f",
          1 / max(fastest, 1e-12), rate),
        wayOut: "a part with faster memory, a shorter context or a smaller model")
    }
    if !quiet { print("") }
    return best
  }

  /// Decides what a recipe leaves open: caches and embeddings that take the fewest bytes within the bound on the
  /// divergence, or lose least in the read-only memory there is `beside` other bytes.
  private func decide(
    _ recipe: inout QuantizationRecipe, among choices: [StorageChoice], beside others: Int,
    _ observed: ObservedModel, weights: [WeightChoice], _ pipeline: ModelPipeline
  ) throws(DiagnosticError) {
    let count = try Quantizer.weightCount(observed.graph)
    let chosen =
      flash.flatMap(Self.bytes).map {
        Quantizer.best(of: choices, weights: weights, count: count, bytes: $0 - others)
      }
      ?? Quantizer.cheapest(
        of: choices, weights: weights, count: count, divergence: maxKld ?? 0)
    guard let chosen else { return }
    if !pipeline.quiet {
      print(
        "bits of keys  values  embeddings  bytes of caches  of embeddings  divergence (these alone)"
      )
      for choice in choices {
        let isChosen = choice.caches == chosen.caches && choice.embeddings == chosen.embeddings
        print(
          String(
            format: "%12d  %6d  %10d  %15d  %13d  %.5f", choice.caches.bits.keys,
            choice.caches.bits.values, choice.embeddings == .int4 ? 4 : 8, choice.cacheBytes,
            choice.tableBytes, choice.divergence) + (isChosen ? "  chosen" : ""))
      }
      print("")
    }
    recipe.caches = chosen.caches
    recipe.embeddings = chosen.embeddings
    recipe.choosesEmbeddings = false
  }

  /// Prints what can be chosen, dearest last.
  private static func show(_ choices: [WeightChoice]) {
    print("bits a weight  expected divergence (weights alone)")
    for choice in choices {
      print(
        String(
          format: "%10.2f     %.5f  %@", choice.bitsPerWeight, choice.expectedDivergence,
          choice.name == "step" ? "" : "(\(choice.name))"))
    }
    print("")
  }
}
