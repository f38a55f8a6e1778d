import GraphIR
import Reference
import Support

/// Runs token sequences through the float model and watches its values.
public struct Calibrator {
  private let interpreter: FloatInterpreter
  private let function: Function
  private let sites: [Site]
  private let rows: Int
  private let context: Int

  /// Prepares to watch `graph`: its function `score`, or `decode` where there is none.
  public init(_ graph: Graph) throws(DiagnosticError) {
    guard let function = graph.function("score") ?? graph.function("decode") else {
      throw DiagnosticError(
        "quantize.function", "the graph has neither 'score' nor 'decode' to calibrate with")
    }
    self.function = function
    interpreter = try FloatInterpreter(graph, functions: [function.name])
    sites = Site.sites(of: function)
    rows = function.inputs.first.map { function[$0].type.shape.count } ?? 1
    context = graph.states.map { $0.type.shape[1] }.min() ?? Int.max
  }

  /// Runs every sequence from position 0 and collects the ranges of all sites.
  ///
  /// Sequences longer than the context are cut there.
  public func observe(_ sequences: [[Int32]]) throws(DiagnosticError) -> Calibration {
    var statistics = [SiteStatistics](
      repeating: SiteStatistics(channelMax: [], channelSquares: [], rows: 0), count: sites.count)
    let isRope = sites.map { $0.code == .rope }
    let tokens = try run(sequences) { index, numbers, n in
      let width = numbers.count / max(n, 1)
      if statistics[index].channelMax.isEmpty {
        statistics[index].channelMax = [Float](repeating: 0, count: width)
        statistics[index].channelSquares = [Double](repeating: 0, count: width)
      }
      statistics[index].rows += n
      if isRope[index] { Self.turn(numbers, rows: n, into: &statistics[index].turnedMax) }
      statistics[index].channelMax.withUnsafeMutableBufferPointer { largest in
        for t in 0..<n {
          for i in 0..<width { largest[i] = max(largest[i], abs(numbers[t * width + i])) }
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

  /// Updates the largest magnitudes of every pair at every angle.
  private static func turn(
    _ numbers: UnsafeBufferPointer<Float>, rows: Int, into largest: inout [Float]
  ) {
    let turns = SiteStatistics.turns
    let pairs = numbers.count / max(rows, 1) / 2
    if largest.isEmpty { largest = [Float](repeating: 0, count: pairs * turns.count) }
    largest.withUnsafeMutableBufferPointer { largest in
      for t in 0..<rows {
        for pair in 0..<pairs {
          let (x, y) = (numbers[(t * pairs + pair) * 2], numbers[(t * pairs + pair) * 2 + 1])
          for (a, turn) in turns.enumerated() {
            let reach = max(abs(x * turn.x - y * turn.y), abs(x * turn.y + y * turn.x))
            largest[pair * turns.count + a] = max(largest[pair * turns.count + a], reach)
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
