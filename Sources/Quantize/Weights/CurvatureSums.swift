import GraphIR
import Support

/// The running sums behind a ``Curvature``.
final class CurvatureSums {
  /// Tokens seen.
  var tokens = 0

  private let function: Function
  /// Of every linear layer, the operation that makes what it reads.
  private var producer: [Int: Int] = [:]
  private var grams: [Int: GramMatrix] = [:]
  private var outputs: [Int: GramMatrix] = [:]
  private var squares: [Int: [Double]] = [:]
  /// Of every linear layer, the sum of its gradients' squares so far and the tokens behind it.
  private var energy: [Int: (sum: Double, tokens: Int)] = [:]
  /// How much each token of the window at hand counts, by the operation that makes a layer's input.
  private var weights: [Int: [Float]] = [:]

  /// The widest result whose channels are looked at together; the matrix of a vocabulary's would
  /// fill the memory, and its gradients are all but independent.
  private static let widest = 4096

  /// Sums of nothing, for the linear layers of a function.
  init(_ function: Function) {
    self.function = function
    for (index, operation) in function.operations.enumerated() where operation.code == .linear {
      guard case .value(let x)? = operation.operands.first,
        let maker = function.operations.firstIndex(where: { $0.results.contains(x) })
      else { continue }
      producer[index] = maker
      let width = function[x].type.shape.dimensions.last ?? 1
      if grams[maker] == nil { grams[maker] = GramMatrix(size: width) }
      let result = operation.results.first.map { function[$0].type.shape.dimensions.last ?? 1 }
      if let result, result <= Self.widest { outputs[index] = GramMatrix(size: result) }
    }
  }

  /// Takes in the result of an operation and the gradient at it. Readers come before makers.
  func add(
    _ index: Int, _ numbers: UnsafeBufferPointer<Float>, _ gradient: UnsafeBufferPointer<Float>,
    rows n: Int
  ) {
    if let gram = grams[index], let weights = weights.removeValue(forKey: index),
      let base = numbers.baseAddress
    {
      gram.add(base, rows: n, weights: weights)
    }
    guard let maker = producer[index], let base = gradient.baseAddress, n > 0 else { return }
    let width = gradient.count / n
    var sums = squares[index] ?? [Double](repeating: 0, count: width)
    var token = [Double](repeating: 0, count: n)
    sums.withUnsafeMutableBufferPointer { sums in
      for t in 0..<n {
        var sum = 0.0
        for i in 0..<width {
          let g = Double(gradient[t * width + i])
          sums[i] += g * g
          sum += g * g
        }
        token[t] = sum
      }
    }
    squares[index] = sums
    outputs[index]?.add(base, rows: n)

    // Layers that read the same share a gram matrix; each counts by its size, since steps follow
    // sensitivities and so all weights come to cost the same.
    var seen = energy[index] ?? (0, 0)
    seen.sum += token.reduce(0, +)
    seen.tokens += n
    energy[index] = seen
    let factor = seen.sum > 0 ? Double(width) * Double(seen.tokens) / seen.sum : 0
    var weights = self.weights[maker] ?? [Float](repeating: 0, count: n)
    for t in 0..<n { weights[t] += Float(token[t] * factor) }
    self.weights[maker] = weights
  }

  /// What was found, by the sites of the operations.
  func curvature(_ sites: [Site]) throws(DiagnosticError) -> Curvature {
    var result = Curvature()
    result.tokens = tokens
    for (index, gram) in grams {
      guard let mean = gram.mean() else { continue }
      guard mean.allSatisfy(\.isFinite) else {
        throw DiagnosticError(
          "quantize.not-finite", "the model's values are not finite here",
          at: SourceLocation(element: sites[index].source))
      }
      result.grams[sites[index]] = mean
    }
    for (index, gram) in outputs {
      guard let mean = gram.mean(), mean.allSatisfy(\.isFinite) else { continue }
      result.outputs[sites[index]] = mean
    }
    for (index, sums) in squares where tokens > 0 {
      result.sensitivities[sites[index]] = Self.shrunk(sums.map { Float($0 / Double(tokens)) })
    }
    return result
  }

  /// Estimates drawn a little towards their mean: a channel that few tokens touched is not free.
  private static func shrunk(_ values: [Float]) -> [Float] {
    let mean = values.reduce(0, +) / Float(max(values.count, 1))
    return values.map { 0.9 * $0 + 0.1 * mean + 1e-30 }
  }
}
