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
    /// Nothing before the first step.
    var mean: [Float] = []
    var rowSquares: [Float]
    var columnSquares: [Float]
    var steps = 0

    init(_ values: [Float], rows: Int, columns: Int) {
      weights = MovingWeights(values)
      (self.rows, self.columns) = (rows, columns)
      let squares = values.reduce(0.0) { $0 + Double($1) * Double($1) }
      size = Float((squares / Double(max(values.count, 1))).squareRoot())
      rowSquares = [Float](repeating: 0, count: rows)
      columnSquares = [Float](repeating: 0, count: columns)
    }
  }

  /// The share of the divergence that a step would take away if the divergence fell as steeply all
  /// along: how far steps go (Loizou et al., "Stochastic Polyak Step-size for SGD", 2021). Models of
  /// any depth and width, and fine and coarse grids, ask for steps of very different lengths.
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
  /// Means over the last steps: of the divergence, and of how much of it a step of unit length is
  /// expected to take away.
  private var recent: (divergence: Double, slope: Double)?
  /// The part of ``recent`` that comes from the step at hand.
  private var slope = 0.0
  /// What steps of unit length are multiplied by.
  private var length: Float = 0
  private var next = 0

  /// Models of more weights are rounded without compensation, for the sake of memory.
  static let mostWeights = 300_000_000

  private static let (momentum, memory): (Float, Float) = (0.9, 0.98)
  /// The weight of the last step in ``recent``.
  private static let change = 0.2

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
      guard let values = graph[layer.id].floats else {
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
    values.withUnsafeBufferPointer {
      if let from = $0.baseAddress { moving.base.update(from: from, count: values.count) }
    }
    free[id] = nil
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
          self.begin(divergence)
        },
        linear: { index, x, dy, n in
          if let id = self.operations[index], let layer = self.free[id] {
            self.move(layer, x, dy, rows: n)
          }
        },
        downTo: first)
      divergences.append(divergence)
      if var known = recent {
        known.slope += (known.slope > 0 ? Self.change : 1) * (slope - known.slope)
        recent = known
      }
    }
  }

  /// Chooses the length of a step, now that the divergence before it is known. The first only looks.
  private func begin(_ divergence: Double) {
    slope = 0
    guard var known = recent, known.slope > 0 else {
      recent = (divergence, 0)
      length = 0
      return
    }
    known.divergence += Self.change * (divergence - known.divergence)
    recent = known
    length = rate * Float(known.divergence / known.slope)
  }

  /// One step of a layer.
  private func move(
    _ layer: Layer, _ x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, rows n: Int
  ) {
    let (m, k) = (layer.rows, layer.columns)
    if gradient.count < m * k { gradient = [Float](repeating: 0, count: m * k) }
    if layer.mean.isEmpty { layer.mean = [Float](repeating: 0, count: m * k) }
    layer.steps += 1
    let (keep, remember) = (Self.momentum, Self.memory)
    let first = 1 - powf(keep, Float(layer.steps))
    let second = 1 - powf(remember, Float(layer.steps))
    // Steps of all inputs' weights add up.
    let unit = layer.size / Float(k).squareRoot()
    let length = length / first
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
      let byRow = layer.rowSquares.map { unit / (($0 / total) + 1e-12).squareRoot() }
      let byColumn = layer.columnSquares.map { 1 / (($0 / second) + 1e-30).squareRoot() }
      nonisolated(unsafe) let weights = layer.weights.base
      var slopes = [Double](repeating: 0, count: parts)
      layer.mean.withUnsafeMutableBufferPointer { mean in
        nonisolated(unsafe) let mean = mean
        slopes.withUnsafeMutableBufferPointer { slopes in
          nonisolated(unsafe) let slopes = slopes
          Parallel.ranges(m, grain: grain) { rows in
            byColumn.withUnsafeBufferPointer { byColumn in
              for o in rows {
                let (factor, at) = (byRow[o], o * k)
                var slope: Float = 0
                for c in 0..<k {
                  let (g, scale) = (from[at + c], factor * byColumn[c])
                  slope += g * g * scale
                  let average = keep * mean[at + c] + (1 - keep) * g
                  mean[at + c] = average
                  weights[at + c] -= length * scale * average
                }
                slopes[rows.lowerBound / grain] += Double(slope)
              }
            }
          }
        }
      }
      slope += slopes.reduce(0, +)
    }
  }
}
