import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// Collects a ``Curvature`` by running token sequences through the float model, forwards for the
/// gram matrices and backwards for the sensitivities.
struct CurvatureCollector {
  private let graph: Graph
  private let function: Function
  private let interpreter: FloatInterpreter
  private let sites: [Site]
  private let rows: Int
  private let context: Int

  /// The longest sequence run backwards: activations of all layers are kept for it.
  private static let backwardTokens = 128

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
  ///   - backward: the most tokens run backwards, over evenly chosen windows.
  ///   - seed: of the draws of labels.
  func collect(
    _ sequences: [[Int32]], backward: Int, seed: UInt64 = 1, progress: Progress = { _, _ in }
  ) throws(DiagnosticError) -> Curvature {
    var result = Curvature()
    let windows = self.windows(sequences, limit: backward)
    let forwardCost = sequences.reduce(0) { $0 + min($1.count, context) }
    let total = forwardCost + windows.reduce(0) { $0 + 3 * $1.count }
    var done = 0

    // Forwards.
    var read: [Int: GramMatrix] = [:]
    for operation in function.operations where operation.code == .linear {
      guard case .value(let x)? = operation.operands.first,
        let index = function.operations.firstIndex(where: { $0.results.contains(x) })
      else { continue }
      let width = function[x].type.shape.dimensions.last ?? 1
      if read[index] == nil { read[index] = GramMatrix(size: width) }
    }
    let grams = read
    for sequence in sequences {
      var state = interpreter.makeState()
      let length = min(sequence.count, context)
      for position in stride(from: 0, to: length, by: rows) {
        let ids = Array(sequence[position..<min(position + rows, length)])
        _ = try interpreter.run(function.name, ids: ids, position: position, state: &state) {
          index, _, numbers, n in
          if let gram = grams[index], let base = numbers.baseAddress { gram.add(base, rows: n) }
        }
        result.tokens += ids.count
        done += ids.count
        progress(done, total)
      }
    }
    for (index, gram) in grams {
      guard let mean = gram.mean() else { continue }
      guard mean.allSatisfy(\.isFinite) else {
        throw DiagnosticError(
          "quantize.not-finite", "the model's values are not finite here",
          at: SourceLocation(element: sites[index].source))
      }
      result.grams[sites[index]] = mean
    }

    // Backwards.
    var random = SplitMix64(seed: seed)
    var squares: [Int: [Double]] = [:]
    var seen = 0
    let vocabulary = function.results.first.map { function[$0].type.shape[1] } ?? 1
    for window in windows {
      let function = function
      func add(_ index: Int, _ numbers: UnsafeBufferPointer<Float>, _ n: Int) {
        guard function.operations[index].code == .linear else { return }
        let width = numbers.count / max(n, 1)
        var sums = squares[index] ?? [Double](repeating: 0, count: width)
        for t in 0..<n {
          for i in 0..<width {
            let g = numbers[t * width + i]
            sums[i] += Double(g * g)
          }
        }
        squares[index] = sums
      }
      try interpreter.backpropagate(
        function.name, ids: window,
        seed: { Self.fisherSeed(&$0, vocabulary: vocabulary, &random) },
        observer: { index, _, numbers, n in add(index, numbers, n) })
      seen += window.count
      done += 3 * window.count
      progress(done, total)
    }
    for (index, sums) in squares where seen > 0 {
      result.sensitivities[sites[index]] = Self.shrunk(sums.map { Float($0 / Double(seen)) })
    }
    return result
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

  /// Estimates drawn a little towards their mean: a channel that few tokens touched is not free.
  private static func shrunk(_ values: [Float]) -> [Float] {
    let mean = values.reduce(0, +) / Float(max(values.count, 1))
    return values.map { 0.9 * $0 + 0.1 * mean + 1e-30 }
  }
}
