import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// Lets the layers that are not rounded yet make good what rounding the others did to the model's
/// predictions.
///
/// Layers are rounded a few at a time. After each of these stages all weights that are still free follow
/// the gradient of the divergence from the float model for some steps, so that later layers answer to
/// what earlier ones really make, and not to what the float model would have made. This is the
/// fine-tuning during quantisation of Tseng et al., "QuIP#" (2024), section 5, on the whole model's
/// predictions at once. Steps are Adam's (Kingma & Ba, 2015) with the second moments kept by row and
/// column alone (Shazeer & Stern, "Adafactor", 2018), since there is one of each for every weight.
final class WeightCompensator {
  /// A layer whose weights move.
  private final class Layer {
    let weights: MovingWeights
    let (rows, columns): (Int, Int)
    /// The root of the mean square of the weights: steps are relative to it.
    let size: Float
    var mean: [Float]
    var rowSquares: [Float]
    var columnSquares: [Float]
    var steps = 0

    init(_ values: [Float], rows: Int, columns: Int) {
      weights = MovingWeights(values)
      (self.rows, self.columns) = (rows, columns)
      let squares = values.reduce(0.0) { $0 + Double($1) * Double($1) }
      size = Float((squares / Double(max(values.count, 1))).squareRoot())
      mean = [Float](repeating: 0, count: values.count)
      rowSquares = [Float](repeating: 0, count: rows)
      columnSquares = [Float](repeating: 0, count: columns)
    }
  }

  /// How far a step goes: relative to the size of a layer's weights, to what rounding the last layers
  /// did to theirs, and to the inverse root of the number of inputs, since steps of all inputs' weights
  /// add up.
  let rate: Float
  /// The mean divergence of each step's window, before the step.
  private(set) var divergences: [Double] = []

  private let name: String
  private let predictions: FloatPredictions
  private let model: FloatInterpreter
  private let operations: [Int: ConstantID]
  private var weights: [ConstantID: MovingWeights] = [:]
  private var free: [ConstantID: Layer] = [:]
  private var gradient: [Float] = []
  /// What rounding did to layers: the relative error of the last, and others before with less weight.
  private var error: Float = 0
  private var next = 0

  private static let (momentum, memory): (Float, Float) = (0.9, 0.98)

  /// Prepares the linear layers of a float graph.
  ///
  /// - Parameters:
  ///   - sequences: tokens, each starting at position 0.
  ///   - steps: how many windows will be asked for.
  init(
    _ graph: Graph, _ sequences: [[Int32]], steps: Int, rate: Float
  ) throws(DiagnosticError) {
    self.rate = rate
    let watched = try WatchedFunction(graph, rows: CurvatureCollector.backwardTokens)
    name = watched.function.name
    // No window twice as long as there are others: what is seen often is learnt by heart.
    predictions = try FloatPredictions(
      graph, watched, windows: watched.windows(sequences, limit: max(steps, 1) * watched.rows))
    var operations: [Int: ConstantID] = [:]
    for (index, operation) in watched.function.operations.enumerated() {
      guard operation.code == .linear, operation.operands.count > 1,
        case .constant(let id) = operation.operands[1]
      else { continue }
      operations[index] = id
    }
    self.operations = operations
    for layer in try LinearLayer.all(in: graph) {
      guard let values = graph[layer.id].data?.floats(count: layer.rows * layer.columns) else {
        throw DiagnosticError(
          "quantize.operation", "its numbers are unreadable",
          at: SourceLocation(element: layer.name))
      }
      let made = Layer(values, rows: layer.rows, columns: layer.columns)
      free[layer.id] = made
      weights[layer.id] = made.weights
    }
    model = try FloatInterpreter(watched.graph(graph), moving: weights)
  }

  /// A layer's weights as they are now.
  func data(_ id: ConstantID) -> ConstantData? {
    weights[id].map {
      ConstantData(floats: Array(UnsafeBufferPointer(start: $0.base, count: $0.count)))
    }
  }

  /// Puts rounded numbers in place of a layer's, for good.
  func settle(_ id: ConstantID, _ values: [Float]) {
    guard let moving = weights[id], moving.count == values.count else { return }
    var (lost, whole) = (0.0, 0.0)
    for (index, value) in values.enumerated() {
      let old = moving.base[index]
      lost += Double((value - old) * (value - old))
      whole += Double(old * old)
      moving.base[index] = value
    }
    free[id] = nil
    guard whole > 0 else { return }
    let found = Float((lost / whole).squareRoot())
    error = error > 0 ? 0.9 * error + 0.1 * found : found
  }

  /// Lets free layers follow the gradient for some windows, one after the other.
  func follow(steps: Int) throws(DiagnosticError) {
    guard !predictions.windows.isEmpty,
      let first = operations.filter({ free[$0.value] != nil }).keys.min()
    else { return }
    for _ in 0..<steps {
      // A stride through all windows: neighbours are about the same things.
      let count = predictions.windows.count
      let index = (next &* 7919) % count
      next += 1
      let window = predictions.windows[index]
      let truth = try predictions.logits(index)
      var divergence = 0.0
      try model.backpropagate(
        name, ids: window,
        seed: {
          divergence = FloatPredictions.divergenceGradient(
            &$0, truth: truth, tokens: window.count)
        },
        linear: { index, x, dy, n in
          if let id = self.operations[index], let layer = self.free[id] {
            self.move(layer, x, dy, rows: n)
          }
        },
        downTo: first)
      divergences.append(divergence)
    }
  }

  /// One step of a layer.
  private func move(
    _ layer: Layer, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, rows n: Int
  ) {
    let (m, k) = (layer.rows, layer.columns)
    if gradient.count < m * k { gradient = [Float](repeating: 0, count: m * k) }
    layer.steps += 1
    let (keep, remember) = (Self.momentum, Self.memory)
    let first = 1 - powf(keep, Float(layer.steps))
    let second = 1 - powf(remember, Float(layer.steps))
    let rate = rate * error * layer.size / (Float(k).squareRoot() * first)
    let grain = max(1, min(m, 65536 / max(k, 1)))
    let parts = (m + grain - 1) / grain
    var partial = [Float](repeating: 0, count: parts * k)
    gradient.withUnsafeMutableBufferPointer { gradient in
      guard let gradient = gradient.baseAddress else { return }
      gradient.update(repeating: 0, count: m * k)
      FloatProducts.addWeightGradient(x, dy, n: n, k: k, m: m, into: gradient)
      nonisolated(unsafe) let from = gradient
      partial.withUnsafeMutableBufferPointer { partial in
        nonisolated(unsafe) let partial = partial
        layer.rowSquares.withUnsafeMutableBufferPointer { squares in
          nonisolated(unsafe) let squares = squares
          Parallel.ranges(m, grain: grain) { rows in
            let sums = UnsafeMutableBufferPointer(
              rebasing: partial[rows.lowerBound / grain * k..<(rows.lowerBound / grain + 1) * k])
            for o in rows {
              let row = from + o * k
              var sum: Float = 0
              for c in 0..<k {
                let square = row[c] * row[c]
                sum += square
                sums[c] += square
              }
              squares[o] = remember * squares[o] + (1 - remember) * sum / Float(k)
            }
          }
        }
      }
      for c in 0..<k {
        var sum: Float = 0
        for part in 0..<parts { sum += partial[part * k + c] }
        layer.columnSquares[c] =
          remember * layer.columnSquares[c] + (1 - remember) * sum / Float(m)
      }
      let total = layer.rowSquares.reduce(0, +) / Float(m)
      guard total > 0, total.isFinite else { return }
      let byRow = layer.rowSquares.map { rate / (($0 / total) + 1e-12).squareRoot() }
      let byColumn = layer.columnSquares.map { 1 / (($0 / second) + 1e-30).squareRoot() }
      nonisolated(unsafe) let weights = layer.weights.base
      layer.mean.withUnsafeMutableBufferPointer { mean in
        nonisolated(unsafe) let mean = mean
        Parallel.ranges(m, grain: grain) { rows in
          byColumn.withUnsafeBufferPointer { byColumn in
            for o in rows {
              let factor = byRow[o]
              let at = o * k
              for c in 0..<k {
                let average = keep * mean[at + c] + (1 - keep) * from[at + c]
                mean[at + c] = average
                weights[at + c] -= factor * byColumn[c] * average
              }
            }
          }
        }
      }
    }
  }
}
