import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// Collects a ``Curvature`` by running token sequences through the float model, forwards and
/// backwards.
struct CurvatureCollector {
  private let graph: Graph
  private let function: Function
  private let interpreter: FloatInterpreter
  private let sites: [Site]
  private let rows: Int
  private let context: Int

  /// The longest sequence run backwards: activations of all layers are kept for it.
  private static let backwardTokens = 256

  /// Called with how much is done, of how much.
  typealias Progress = (_ done: Int, _ of: Int) -> Void

  /// Prepares to watch `graph`.
  init(_ graph: Graph) throws(DiagnosticError) {
    guard var function = graph.function("score") ?? graph.function("decode"),
      let ids = function.inputs.first
    else {
      throw DiagnosticError("quantize.function", "the graph has neither 'score' nor 'decode'")
    }
    context = graph.states.map { $0.type.shape[1] }.min() ?? Int.max
    let old = function[ids].type.shape.count
    let new = min(Self.backwardTokens, context)
    // A function of n tokens is one of any number of tokens with another first axis.
    for index in function.values.indices {
      let dimensions = function.values[index].type.shape.dimensions
      if dimensions.first == old, index == ids.index || dimensions.count == 2 {
        function.values[index].type.shape = Shape([new] + dimensions.dropFirst())
      }
    }
    function.name = "watched"
    var watched = graph
    watched.functions = [function]
    self.graph = watched
    self.function = function
    interpreter = try FloatInterpreter(watched)
    sites = Site.sites(of: function)
    rows = new
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
    let windows = self.windows(sequences, limit: limit)
    let total = windows.reduce(0) { $0 + $1.count }
    let sums = CurvatureSums(function)
    var random = SplitMix64(seed: seed)
    let vocabulary = function.results.first.map { function[$0].type.shape[1] } ?? 1
    for window in windows {
      try interpreter.backpropagate(
        function.name, ids: window,
        seed: { Self.fisherSeed(&$0, vocabulary: vocabulary, &random) },
        observer: { index, _, numbers, gradient, n in
          sums.add(index, numbers, gradient, rows: n)
        })
      sums.tokens += window.count
      progress(sums.tokens, total)
    }
    return try sums.curvature(sites)
  }

  /// Windows of tokens to run backwards, spread over the sequences.
  private func windows(_ sequences: [[Int32]], limit: Int) -> [[Int32]] {
    var all: [[Int32]] = []
    for sequence in sequences {
      for start in stride(from: 0, to: sequence.count, by: rows) {
        let window = Array(sequence[start..<min(start + rows, sequence.count)])
        if window.count >= min(8, sequence.count) { all.append(window) }
      }
    }
    let wanted = max(1, limit / max(rows, 1))
    guard all.count > wanted else { return all }
    return (0..<wanted).map { all[$0 * all.count / wanted] }
  }

  /// Logits to the gradient of the loss of labels drawn from them: `p − 1` at the label, else `p`.
  private static func fisherSeed(
    _ logits: inout [Float], vocabulary: Int, _ random: inout SplitMix64
  ) {
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
