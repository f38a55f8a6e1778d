import Foundation
import GraphIR
import Reference
import Support

/// What the float model predicts on windows of tokens, for other models to come near to.
///
/// Kept is what the last layer reads, a small part of the predictions themselves and of the model.
struct FloatPredictions {
  /// The tokens, each window starting at position 0.
  let windows: [[Int32]]

  private let name: String
  /// The last layer alone; or the whole model, where that does not end in a linear layer.
  private let model: FloatInterpreter
  private let kept: [[Float]]

  /// Runs a float graph on the windows.
  ///
  /// - Parameter watched: its function.
  init(
    _ graph: Graph, _ watched: WatchedFunction, windows: [[Int32]]
  ) throws(DiagnosticError) {
    self.windows = windows
    name = watched.function.name
    let whole = try watched.graph(graph)
    let model = try FloatInterpreter(whole)
    guard let last = watched.function.operations.last, last.code == .linear,
      case .value(let read)? = last.operands.first
    else {
      self.model = model
      kept = []
      return
    }
    var kept: [[Float]] = []
    for window in windows {
      var state = model.makeState()
      var numbers: [Float] = []
      _ = try model.run(
        name, ids: window, position: 0, state: &state,
        observer: { _, value, seen, _ in if value == read { numbers = Array(seen) } })
      kept.append(numbers)
    }
    self.kept = kept
    var head = whole
    head.functions[0].operations = [last]
    self.model = try FloatInterpreter(head)
  }

  /// The float model's logits on a window, `[tokens, vocabulary]`.
  func logits(_ window: Int) throws(DiagnosticError) -> [Float] {
    if kept.indices.contains(window), let found = model.result(name, ofLast: kept[window]) {
      return found
    }
    var state = model.makeState()
    return try model.run(name, ids: windows[window], position: 0, state: &state)
  }

  /// Another model's logits to the gradient of the mean divergence of its predictions from `truth`'s.
  ///
  /// - Parameters:
  ///   - logits: `[tokens, vocabulary]`.
  ///   - truth: the float model's.
  /// - Returns: the mean divergence, in nats.
  @discardableResult
  static func divergenceGradient(
    _ logits: inout [Float], truth: [Float], tokens: Int
  ) -> Double {
    guard tokens > 0, logits.count == truth.count, logits.count % tokens == 0 else { return 0 }
    let width = logits.count / tokens
    var divergences = [Double](repeating: 0, count: tokens)
    logits.withUnsafeMutableBufferPointer { logits in
      nonisolated(unsafe) let logits = logits
      truth.withUnsafeBufferPointer { truth in
        nonisolated(unsafe) let truth = truth
        divergences.withUnsafeMutableBufferPointer { divergences in
          nonisolated(unsafe) let divergences = divergences
          Parallel.ranges(tokens, grain: 8) { range in
            for row in range {
              divergences[row] = rowGradient(
                UnsafeMutableBufferPointer(rebasing: logits[row * width..<(row + 1) * width]),
                UnsafeBufferPointer(rebasing: truth[row * width..<(row + 1) * width]),
                share: 1 / Float(tokens))
            }
          }
        }
      }
    }
    return divergences.reduce(0, +) / Double(tokens)
  }

  /// `q` becomes `(softmax(q) − softmax(p)) · share`; returns the divergence.
  private static func rowGradient(
    _ q: UnsafeMutableBufferPointer<Float>, _ p: UnsafeBufferPointer<Float>, share: Float
  ) -> Double {
    let (topQ, topP) = (q.max() ?? 0, p.max() ?? 0)
    var (sumQ, sumP, mean): (Float, Float, Double) = (0, 0, 0)
    for i in p.indices {
      let (a, b) = (q[i] - topQ, p[i] - topP)
      let (u, v) = (expf(a), expf(b))
      mean += Double(v * (b - a))
      q[i] = u
      sumQ += u
      sumP += v
    }
    let divergence = mean / Double(sumP) - log(Double(sumP)) + log(Double(sumQ))
    let (perQ, perP) = (share / sumQ, share / sumP)
    for i in p.indices { q[i] = q[i] * perQ - expf(p[i] - topP) * perP }
    return divergence
  }
}
