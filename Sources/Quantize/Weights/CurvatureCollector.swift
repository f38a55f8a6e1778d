import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// Collects a ``Curvature`` by running token sequences through the float model, forwards and
/// backwards.
struct CurvatureCollector {
  private let watched: WatchedFunction
  private let interpreter: FloatInterpreter
  private let sites: [Site]

  /// The longest sequence run backwards: activations of all layers are kept for it.
  static let backwardTokens = 256

  /// Called with how much is done, of how much.
  typealias Progress = (_ done: Int, _ of: Int) -> Void

  /// Prepares to watch `graph`.
  init(_ graph: Graph) throws(DiagnosticError) {
    watched = try WatchedFunction(graph, rows: Self.backwardTokens)
    interpreter = try FloatInterpreter(watched.graph(graph))
    sites = Site.sites(of: watched.function)
  }

  /// Runs the sequences.
  ///
  /// - Parameters:
  ///   - sequences: tokens, each starting at position 0; what exceeds the context is cut.
  ///   - limit: the most tokens run, over evenly chosen windows.
  ///   - seed: of the draws of labels.
  func collect(
    _ sequences: [[Int32]], limit: Int, seed: UInt64 = 1, progress: Progress = { _, _ in }
  ) throws(DiagnosticError) -> Curvature {
    let function = watched.function
    let windows = watched.windows(sequences, limit: limit)
    let total = windows.reduce(0) { $0 + $1.count }
    let sums = CurvatureSums(function)
    var random = SplitMix64(seed: seed)
    let vocabulary = function.results.first.map { function[$0].type.shape[1] } ?? 1
    for window in windows {
      try interpreter.backpropagate(
        function.name, ids: window,
        seed: {
          Self.fisherSeed(&$0, vocabulary: vocabulary, &random, spread: &sums.logitSquares)
        },
        observer: { index, _, numbers, gradient, n in
          sums.add(index, numbers, gradient, rows: n)
        })
      sums.tokens += window.count
      progress(sums.tokens, total)
    }
    return try sums.curvature(sites)
  }

  /// Logits to the gradient of the loss of labels drawn from them: `p − 1` at the label, else `p`.
  ///
  /// - Parameter spread: gets the expected square of each logit's gradient added, `p (1 − p)`: what
  ///   many draws would give, which matters for the many labels that are hardly ever drawn.
  private static func fisherSeed(
    _ logits: inout [Float], vocabulary: Int, _ random: inout SplitMix64, spread: inout [Double]
  ) {
    if spread.isEmpty { spread = [Double](repeating: 0, count: vocabulary) }
    logits.withUnsafeMutableBufferPointer { logits in
      for start in stride(from: 0, to: logits.count, by: vocabulary) {
        let row = UnsafeMutableBufferPointer(rebasing: logits[start..<start + vocabulary])
        let top = row.max() ?? 0
        var sum: Float = 0
        for i in row.indices {
          row[i] = expf(row[i] - top)
          sum += row[i]
        }
        var left = Float(random.uniform())
        var label = vocabulary - 1
        for i in row.indices {
          row[i] /= sum
          spread[i] += Double(row[i] * (1 - row[i]))
          if left >= 0 {
            left -= row[i]
            if left < 0 { label = i }
          }
        }
        row[label] -= 1
      }
    }
  }
}
