import GraphIR
import Support
import TensorCore

/// The scale of every value and state of the integer graph.
struct ScalePlan {
  /// The scale of the residual stream.
  let residual: Float
  /// Whether rows of the residual stream are so alike in size that norms need not look at each first.
  let isEven: Bool
  /// The type each site's result gets.
  private(set) var types: [Site: (element: ElementType, scale: Float)] = [:]
  /// The scale of each head of each state.
  private(set) var states: [StateID: [Float]] = [:]
  /// What each state holds.
  private(set) var elements: [StateID: ElementType] = [:]

  /// How much more than the smallest row's the largest row's sum of squares may be for rows to count as
  /// alike: the smallest still has 10 bits.
  private static let evenRows = 0x1p15

  /// Room left above the largest calibrated magnitude of a 16-bit value.
  private static let margin: Float = 1.25

  /// The room left around the calibrated range of keys, as a factor. A clipped key changes every later score of
  /// its head, so ranges that few tokens told are given more: what is least by the tokens seen was measured
  /// (`Docs/Numerics.md`). Four bits have no steps to spare.
  private static func keyMargin(_ element: ElementType, tokens: Int) -> Float {
    element == .int4 ? 1 : min(1 + 1024 / Float(max(tokens, 1)), 1.35)
  }

  /// The same for values, which need no room; of four bits the rarest are clipped.
  private static func valueMargin(_ element: ElementType) -> Float { element == .int4 ? 0.85 : 1 }

  /// The same where channels were scaled to be alike: any of them may turn out to be the largest.
  private static let levelledMargin: Float = 4

  /// Throws when rows of a rotated stream are too unlike. A token whose row is huge in one channel has a sum of
  /// magnitudes many times larger once the channel is spread over all, and that sum has to fit 32 bits; squares
  /// of the other rows, added up in steps of 2^16, then say nothing (`Docs/Numerics.md`, `rms_norm`).
  private static func checkRotatedRows(
    _ squares: ClosedRange<Double>, step: Double, _ function: Function
  ) throws(DiagnosticError) {
    let width =
      function.operations.first { $0.code == .rmsNorm }?.results.first
      .flatMap { function[$0].type.shape.dimensions.last } ?? 1
    // Below two steps of 2^8 a channel, roundings of squares are a percent of their sum.
    guard squares.lowerBound < 4 * Double(width) * 0x1p16 * step * step else { return }
    let times = (squares.upperBound / max(squares.lowerBound, 1e-300)).squareRoot()
    throw DiagnosticError(
      "quantize.rotation",
      "the rows of the residual stream are too unlike to be rotated: one is \(Int(min(times, 1e9))) times "
        + "another, and no single channel makes it so any more",
      wayOut: "rotate=values, or no rotation")
  }

  /// Chooses all scales.
  init(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration, migration: Migration
  ) throws(DiagnosticError) {
    guard let function = graph.function("score") ?? graph.function("decode") else {
      throw DiagnosticError("quantize.function", "the graph has neither 'score' nor 'decode'")
    }
    guard !recipe.isOpen else {
      throw DiagnosticError(
        "quantize.recipe", "'\(recipe.name)' leaves bits to a budget, and there is none",
        wayOut:
          "compile with --max-kld (embeddings=auto: or --flash), or say kv=8 or 4, embeddings=4")
    }
    let sites = Site.sites(of: function)
    var producer: [ValueID: Int] = [:]
    for (index, operation) in function.operations.enumerated() {
      for id in operation.results { producer[id] = index }
    }
    func channelMax(_ site: Site) throws(DiagnosticError) -> [Float] {
      if let turned = migration.channelMax[site] { return turned }
      guard let seen = calibration.sites[site] else {
        throw DiagnosticError(
          "quantize.uncalibrated", "calibration never saw this operation (\(site.code.rawValue))",
          at: SourceLocation(element: site.source))
      }
      guard let factors = migration.siteFactors[site] else { return seen.channelMax }
      return zip(seen.channelMax, factors).map { $0 * $1 }
    }
    // The residual stream: embeddings, sums, and the linear layers that are added.
    var isResidual = Set<Int>()
    for (index, operation) in function.operations.enumerated() {
      if operation.code == .embedding || operation.code == .add {
        isResidual.insert(index)
        for case .value(let id) in operation.operands where operation.code == .add {
          if let source = producer[id] { isResidual.insert(source) }
        }
      }
    }
    var largest: Float = 0
    var squares: ClosedRange<Double>?
    for index in isResidual {
      largest = max(largest, calibration.sites[sites[index]]?.rowSum ?? 0)
    }
    for operation in function.operations where operation.code == .rmsNorm {
      guard case .value(let id)? = operation.operands.first, let source = producer[id],
        let seen = calibration.sites[sites[source]]?.rowSquares
      else { continue }
      squares =
        min(
          seen.lowerBound, squares?.lowerBound ?? .infinity)...max(
          seen.upperBound, squares?.upperBound ?? 0)
    }
    guard largest > 0 else {
      throw DiagnosticError(
        "quantize.all-zero", "the model's residual stream is all zero or was never seen")
    }
    if let squares, squares.lowerBound * Self.evenRows >= squares.upperBound {
      // Squares are added up in steps of 2^16; those of eight times the largest row seen still fit 31 bits.
      isEven = true
      residual = Float((squares.upperBound / 0x1p41).squareRoot())
    } else {
      // The norms add up a row's magnitudes; eight times the largest sum seen still fits 32 bits.
      isEven = false
      residual = largest / 0x1p28
    }
    if recipe.rotations.contains(.stream), let squares {
      try Self.checkRotatedRows(squares, step: Double(residual), function)
    }
    func set(_ index: Int, _ element: ElementType, largest: Float) {
      let limit: Float = element == .int8 ? 127 : 32767
      let isLevelled = element == .int16 && migration.siteFactors[sites[index]] != nil
      let margin = isLevelled ? Self.levelledMargin : Self.margin
      types[sites[index]] = (element, max(largest, 1e-12) * margin / limit)
    }
    let uses = ValueUses(function)
    let keyStates = Set(
      function.operations.compactMap { operation -> StateID? in
        guard operation.code == .attention, operation.operands.count > 2,
          case .state(let id) = operation.operands[2]
        else { return nil }
        return id
      })
    /// The largest value of least error of what an operation makes, where it may be clipped.
    func clipped(_ index: Int) -> Float? {
      let (operation, site) = (function.operations[index], sites[index])
      guard calibration.ranges.clips(operation.code), let seen = calibration.sites[site] else {
        return nil
      }
      let readers = operation.results.flatMap(uses.readers).compactMap { reader -> [Float]? in
        let operands = function.operations[reader].operands
        guard function.operations[reader].code == .linear, operands.count > 1,
          case .constant(let id) = operands[1]
        else { return nil }
        return graph[id].floats
      }
      return RangeSearch(seen, readers: readers)?
        .limit(migration.siteFactors[site] ?? seen.channelMax.map { _ in 1 })
    }
    for (index, operation) in function.operations.enumerated() {
      if isResidual.contains(index) {
        types[sites[index]] = (.int32, residual)
        continue
      }
      switch operation.code {
      case .attention where recipe.activations == .int16:
        // The sum over positions itself, without another rounding (`Docs/Numerics.md`, attention).
        guard operation.operands.count > 3, case .state(let state) = operation.operands[3],
          let scale = states[state]?.first
        else { continue }
        types[sites[index]] = (.int16, scale / 256)
      case .rmsNorm, .attention, .mul:
        let top = try channelMax(sites[index]).max() ?? 0
        if recipe.activations == .int8 {
          types[sites[index]] = (.int8, max(clipped(index) ?? top, 1e-12) / 127)
        } else {
          set(index, .int16, largest: top)
        }
      case .linear, .silu, .gelu:
        set(index, .int16, largest: try channelMax(sites[index]).max() ?? 0)
      case .rope:
        // Rotation keeps a pair's length, so input and output share one scale.
        var top = try channelMax(sites[index]).max() ?? 0
        if case .value(let id)? = operation.operands.first, let source = producer[id] {
          top = max(top, try channelMax(sites[source]).max() ?? 0)
          set(source, .int16, largest: top)
        }
        set(index, .int16, largest: top)
      case .kvWrite:
        guard operation.operands.count > 2, case .value(let id) = operation.operands[0],
          case .state(let state) = operation.operands[2], let source = producer[id]
        else { continue }
        let isKeys = keyStates.contains(state)
        let element = isKeys ? recipe.caches.keys : recipe.caches.values
        var reach: Float
        if let centred = migration.caches[state] {
          let margin = Self.keyMargin(element, tokens: calibration.tokens)
          reach = (centred.reach.max() ?? 0) * margin
        } else {
          reach = try channelMax(sites[source]).max() ?? 0
          if !isKeys { reach *= Self.valueMargin(element) }
        }
        let scale = max(reach, 1e-12) / Float(element.symmetricLimit ?? 127)
        elements[state] = element
        states[state] = [Float](repeating: scale, count: graph[state].type.shape[0])
      case .embedding, .add: break
      case .layerNorm, .lut, .reshape, .transpose, .expand, .slice, .concat, .matmul, .scale,
        .negate,
        .softmax, .causalMask, .positionRows, .cacheWrite, .cacheRead:
        throw DiagnosticError(
          "quantize.unsupported", "\(operation.code.rawValue) has no integer form",
          at: SourceLocation(element: operation.provenance.source))
      }
    }
    chooseQueryScales(function, sites: sites, producer: producer)
  }

  /// Gives the queries of all attentions, and what rotates them, scales that make scores sums divided by a power
  /// of two: the same one where that costs no more than two of 16 bits, as it decides what tables of shifts a
  /// program holds.
  private mutating func chooseQueryScales(
    _ function: Function, sites: [Site], producer: [ValueID: Int]
  ) {
    var choices: [(chain: [Site], keyScale: Float, factor: Double, exponent: Double)] = []
    for operation in function.operations where operation.code == .attention {
      guard operation.operands.count > 2, case .value(let query) = operation.operands[0],
        case .state(let keys) = operation.operands[2], let factor = operation.float("scale"),
        let keyScale = states[keys]?.first, let index = producer[query]
      else { continue }
      var chain = [sites[index]]
      if function.operations[index].code == .rope,
        case .value(let id)? = function.operations[index].operands.first, let source = producer[id]
      {
        chain.append(sites[source])
      }
      guard let wanted = types[sites[index]]?.scale,
        let exponent = ScorePower.exponent(atLeast: wanted, keyScale: keyScale, factor: factor)
      else { continue }
      choices.append((chain, keyScale, factor, exponent))
    }
    let top = choices.map(\.exponent).max() ?? 0
    for choice in choices {
      let scale = ScorePower.queryScale(
        exponent: choice.exponent < top - 2 ? choice.exponent : top, keyScale: choice.keyScale,
        factor: choice.factor)
      for site in choice.chain { types[site]?.scale = scale }
    }
  }
}
