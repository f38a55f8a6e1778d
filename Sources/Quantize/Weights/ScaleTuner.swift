import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// Tunes what costs nothing at run time so that a model of rounded weights predicts what the float
/// model predicts: the step of every row.
///
/// Rounding minimises a quadratic model of the divergence around the float weights, layer by layer.
/// What all layers' errors add up to, and what the quadratic model did not know, can be seen in the
/// rounded model only; there the gradient of the divergence itself is followed for a few steps (Kingma &
/// Ba, "Adam", 2015). Integers stay as they are, so the stream's bits do, too. This is the end-to-end
/// stage of Chen et al., "EfficientQAT" (2024), on the rows' steps alone: norms' gammas bring a fifth
/// as much again, but would change the ranges of activations.
struct ScaleTuner {
  /// A vector of logarithms of factors with what Adam remembers of it.
  private struct Parameter {
    var values: [Float]
    var gradient: [Float]
    private var mean: [Float]
    private var square: [Float]

    init(count: Int) {
      values = [Float](repeating: 0, count: count)
      (gradient, mean, square) = (values, values, values)
    }

    /// One step of Adam, `step` from 1 on.
    mutating func move(rate: Float, step: Int) {
      let (a, b): (Float, Float) = (0.9, 0.98)
      let (ca, cb) = (1 - pow(a, Float(step)), 1 - pow(b, Float(step)))
      for i in values.indices {
        mean[i] = a * mean[i] + (1 - a) * gradient[i]
        square[i] = b * square[i] + (1 - b) * gradient[i] * gradient[i]
        values[i] -= rate * (mean[i] / ca) / ((square[i] / cb).squareRoot() + 1e-12)
        gradient[i] = 0
      }
    }

    var factors: [Float] { values.map { expf($0) } }
  }

  private let solver: WeightSolver
  private let weights: [ConstantID: WeightQuantizer.Result]
  private let watched: WatchedFunction
  /// Of the function's operations, the weight whose rows scale the result.
  private var scaled: [Int: ConstantID] = [:]
  private var parameters: [ConstantID: Parameter] = [:]

  /// The largest rate of change of a logarithm.
  private static let rate: Float = 2e-3

  /// Called with how much is done, of how much.
  typealias Progress = (_ done: Int, _ of: Int) -> Void

  /// Prepares to tune what a solver rounded.
  init(
    _ solver: WeightSolver, _ weights: [ConstantID: WeightQuantizer.Result]
  ) throws(DiagnosticError) {
    self.solver = solver
    self.weights = weights
    watched = try WatchedFunction(solver.graph, rows: CurvatureCollector.backwardTokens)
    for (index, operation) in watched.function.operations.enumerated() {
      guard operation.code == .linear, operation.operands.count > 1,
        case .constant(let id) = operation.operands[1], weights[id] != nil,
        !solver.migration.kept.contains(id)
      else { continue }
      parameters[id] = Parameter(count: solver.graph[id].type.shape[0])
      scaled[index] = id
    }
  }

  /// Follows the gradient over windows of tokens, one after the other.
  ///
  /// - Parameter sequences: tokens, each starting at position 0.
  /// - Returns: the weights with tuned steps.
  mutating func tune(
    _ sequences: [[Int32]], steps: Int, progress: Progress = { _, _ in }
  ) throws(DiagnosticError) -> [ConstantID: WeightQuantizer.Result] {
    let windows = watched.windows(sequences)
    guard !windows.isEmpty, steps > 0 else { return weights }
    // All windows are visited before any again; few steps see windows from all over.
    let visited =
      steps < windows.count ? (0..<steps).map { windows[$0 * windows.count / steps] } : windows
    let float = try FloatPredictions(solver.graph, watched, windows: visited)
    for step in 0..<steps {
      let model = try FloatInterpreter(watched.graph(solver.restored(tuned)))
      try accumulate(step % visited.count, float, model)
      // Warm up, then cool down to nothing.
      let share = Float(step) / Float(steps)
      let rate = Self.rate * min(1, Float(step + 1) / 5) * (0.5 + 0.5 * cos(share * .pi))
      for id in parameters.keys { parameters[id]?.move(rate: rate, step: step + 1) }
      progress(step + 1, steps)
    }
    return tuned
  }

  /// The weights with the steps found so far.
  private var tuned: [ConstantID: WeightQuantizer.Result] {
    var result = weights
    for (id, parameter) in parameters {
      for (row, factor) in parameter.factors.enumerated() { result[id]?.scales[row] *= factor }
    }
    return result
  }

  /// Adds the gradient of the mean divergence on one window.
  private mutating func accumulate(
    _ index: Int, _ float: FloatPredictions, _ model: FloatInterpreter
  ) throws(DiagnosticError) {
    let name = watched.function.name
    let window = float.windows[index]
    let truth = try float.logits(index)
    let turns = solver.migration.rotations
    var gradients: [ConstantID: [Float]] = [:]
    var logits: [Float] = []
    let scaled = scaled
    try model.backpropagate(
      name, ids: window,
      seed: {
        // The function's result is not kept for the observer.
        logits = $0
        FloatPredictions.divergenceGradient(&$0, truth: truth, tokens: window.count)
      },
      observer: { index, _, seen, gradient, n in
        guard let id = scaled[index], n > 0, let down = gradient.baseAddress else { return }
        let width = gradient.count / n
        var sums = gradients[id] ?? [Float](repeating: 0, count: width)
        if seen.isEmpty {
          for t in 0..<n {
            for i in 0..<width { sums[i] += logits[t * width + i] * down[t * width + i] }
          }
          gradients[id] = sums
          return
        }
        guard seen.count == gradient.count, let numbers = seen.baseAddress else { return }
        let turn = turns[id]
        for t in 0..<n {
          let (y, g) = (numbers + t * width, down + t * width)
          if let turn {
            for pair in 0..<width / 2 {
              let (c, s) = (turn[pair].x, turn[pair].y)
              let (i, j) = (2 * pair, 2 * pair + 1)
              sums[i] += (c * y[i] - s * y[j]) * (c * g[i] - s * g[j])
              sums[j] += (s * y[i] + c * y[j]) * (s * g[i] + c * g[j])
            }
          } else {
            for i in 0..<width { sums[i] += y[i] * g[i] }
          }
        }
        gradients[id] = sums
      })
    for (id, gradient) in gradients {
      for i in gradient.indices { parameters[id]?.gradient[i] += gradient[i] }
    }
  }
}
