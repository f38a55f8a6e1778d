import GraphIR
import Reference
import Support

/// Runs token sequences through the float model and watches its values.
public struct Calibrator {
  let interpreter: FloatInterpreter
  private let graph: Graph
  private let function: Function
  private let sites: [Site]
  private let rows: Int
  let context: Int
  /// Whether the graph can be run token by token.
  let canDecode: Bool
  /// Numbers in the weights of linear layers.
  let parameters: Int

  /// Prepares to watch `graph`: its function `score`, or `decode` where there is none.
  public init(_ graph: Graph) throws(DiagnosticError) {
    guard let function = graph.function("score") ?? graph.function("decode") else {
      throw DiagnosticError(
        "quantize.function", "the graph has neither 'score' nor 'decode' to calibrate with")
    }
    self.graph = graph
    self.function = function
    canDecode = graph.function("decode") != nil
    interpreter = try FloatInterpreter(graph, functions: [function.name, "decode"])
    parameters = function.operations.reduce(0) { sum, operation in
      guard operation.code == .linear, operation.operands.count > 1 else { return sum }
      return sum + graph.type(of: operation.operands[1], in: function).shape.count
    }
    sites = Site.sites(of: function)
    rows = function.inputs.first.map { function[$0].type.shape.count } ?? 1
    context = graph.states.map { $0.type.shape[1] }.min() ?? Int.max
  }

  /// What a recipe wants to know of a model: the ranges of all values, and for 8-bit activations what to make of
  /// them.
  ///
  /// - Parameter own: sequences the model wrote itself.
  func calibration(
    _ sequences: [[Int32]], own: [[Int32]], for recipe: QuantizationRecipe,
    progress: ObservedModel.Progress
  ) throws(DiagnosticError) -> Calibration {
    let short = Self.coldStarts(of: sequences)
    let sequences = sequences + own
    guard recipe.activations == .int8 else { return try observe(sequences + short) }
    // Ranges are judged by text they were not made for, which goes beyond them.
    let tokens = min(max(Self.judgingWork / max(parameters, 1), 512), 4096)
    let (shown, kept) = Self.split(sequences, tokens: tokens)
    let part = try observe(shown + short, countsMagnitudes: true)
    let ranges = try ActivationRanges.chosen(
      for: graph, part, recipe, judgedBy: kept, progress: progress)
    var calibration = try observe(sequences + short, countsMagnitudes: true)
    calibration.ranges = ranges
    return calibration
  }

  /// Tokens to judge by, times parameters: seconds on two cores.
  private static let judgingWork = 2_000_000_000

  /// Sequences in two parts: every fourth is kept back until there are enough, its beginning if it is long; of fewer
  /// than four, their ends are.
  private static func split(
    _ sequences: [[Int32]], tokens: Int
  ) -> (shown: [[Int32]], kept: [[Int32]]) {
    let isMany = sequences.count >= 4
    var (shown, kept): ([[Int32]], [[Int32]]) = ([], [])
    var left = tokens
    for (index, sequence) in sequences.enumerated() {
      let isKept = left > 0 && (!isMany || index % 4 == 3)
      let count = isKept ? min(sequence.count / (isMany ? 1 : 4), left) : 0
      left -= count
      if isMany, count > 0 {
        kept.append(Array(sequence.prefix(count)))
      } else {
        if count > 1 { kept.append(Array(sequence.suffix(count))) }
        shown.append(Array(sequence.dropLast(count)))
      }
    }
    return (shown, kept)
  }

  /// Runs every sequence from position 0 and collects the ranges of all sites.
  ///
  /// Sequences longer than the context are cut there.
  ///
  /// - Parameter countsMagnitudes: whether what 8-bit activations would round gets a histogram.
  public func observe(
    _ sequences: [[Int32]], countsMagnitudes: Bool = false
  ) throws(DiagnosticError) -> Calibration {
    var statistics = [SiteStatistics](
      repeating: SiteStatistics(channelMax: [], channelSquares: [], rows: 0), count: sites.count)
    var isTurned = [Bool](repeating: false, count: sites.count)
    for operation in function.operations where operation.code == .rope {
      guard case .value(let id)? = operation.operands.first else { continue }
      for (index, other) in function.operations.enumerated() where other.results.contains(id) {
        isTurned[index] = true
      }
    }
    let isNarrow = function.operations.map {
      countsMagnitudes && ActivationRanges.isNarrow($0.code)
    }
    let tokens = try run(sequences) { index, numbers, n in
      let width = numbers.count / max(n, 1)
      if statistics[index].channelMax.isEmpty {
        statistics[index].channelMax = [Float](repeating: 0, count: width)
        statistics[index].channelSquares = [Double](repeating: 0, count: width)
      }
      statistics[index].rows += n
      if isNarrow[index] {
        if statistics[index].histogram == nil {
          statistics[index].histogram = MagnitudeHistogram(channels: width)
        }
        statistics[index].histogram?.add(numbers)
      }
      if isTurned[index] { Self.reach(numbers, rows: n, into: &statistics[index].support) }
      statistics[index].channelMax.withUnsafeMutableBufferPointer { largest in
        for t in 0..<n {
          for i in 0..<width { largest[i] = max(largest[i], abs(numbers[t * width + i])) }
        }
      }
      for t in 0..<n {
        var (sum, squares): (Float, Float) = (0, 0)
        for i in 0..<width {
          let v = numbers[t * width + i]
          sum += abs(v)
          squares += v * v
        }
        statistics[index].rowSum = max(statistics[index].rowSum, sum)
        if squares.isFinite {
          let seen = statistics[index].rowSquares ?? Double(squares)...Double(squares)
          statistics[index].rowSquares =
            min(seen.lowerBound, Double(squares))...max(seen.upperBound, Double(squares))
        }
      }
      statistics[index].channelSquares.withUnsafeMutableBufferPointer { squares in
        for t in 0..<n {
          for i in 0..<width {
            let v = numbers[t * width + i]
            squares[i] += Double(v * v)
          }
        }
      }
    }
    var result = Calibration(sites: [:], tokens: tokens)
    for (site, seen) in zip(sites, statistics) where seen.rows > 0 {
      guard seen.channelMax.allSatisfy(\.isFinite) else {
        throw DiagnosticError(
          "quantize.not-finite", "the model's values are not finite here",
          at: SourceLocation(element: site.source))
      }
      result.sites[site] = seen
    }
    return result
  }

  /// Updates the largest component of every pair along every direction.
  private static func reach(
    _ numbers: UnsafeBufferPointer<Float>, rows: Int, into support: inout [Float]
  ) {
    let count = SiteStatistics.directions
    let half = count / 2
    let directions = (0..<half).map(SiteStatistics.direction)
    let pairs = numbers.count / max(rows, 1) / 2
    if support.isEmpty {
      support = [Float](repeating: -.greatestFiniteMagnitude, count: pairs * count)
    }
    support.withUnsafeMutableBufferPointer { support in
      directions.withUnsafeBufferPointer { directions in
        for t in 0..<rows {
          for pair in 0..<pairs {
            let (x, y) = (numbers[(t * pairs + pair) * 2], numbers[(t * pairs + pair) * 2 + 1])
            for d in 0..<half {
              let along = x * directions[d].x + y * directions[d].y
              support[pair * count + d] = max(support[pair * count + d], along)
              support[pair * count + half + d] = max(support[pair * count + half + d], -along)
            }
          }
        }
      }
    }
  }

  /// Runs every sequence and hands each site's numbers to `body`.
  func run(
    _ sequences: [[Int32]],
    _ body: @escaping (_ operation: Int, _ numbers: UnsafeBufferPointer<Float>, _ rows: Int) -> Void
  ) throws(DiagnosticError) -> Int {
    var tokens = 0
    for sequence in sequences {
      var state = interpreter.makeState()
      let length = min(sequence.count, context)
      var position = 0
      while position < length {
        let end = min(position + rows, length)
        _ = try interpreter.run(
          function.name, ids: Array(sequence[position..<end]), position: position, state: &state
        ) { index, _, numbers, n in body(index, numbers, n) }
        position = end
      }
      tokens += length
    }
    guard tokens > 0 else {
      throw DiagnosticError("quantize.no-text", "there is no token to calibrate with")
    }
    return tokens
  }
}
