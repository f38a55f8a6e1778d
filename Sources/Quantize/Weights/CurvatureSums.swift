import GraphIR
import Support

/// The running sums behind a ``Curvature``.
final class CurvatureSums {
  /// Tokens seen.
  var tokens = 0
  /// The expected squares of the gradients at the function's result, summed over tokens.
  var logitSquares: [Double] = []

  private let function: Function
  /// Of every linear layer, the operation that makes what it reads.
  private var producer: [Int: Int] = [:]
  private var grams: [Int: GramMatrix] = [:]
  private var outputs: [Int: GramMatrix] = [:]
  private var squares: [Int: [Double]] = [:]
  /// Of every linear layer, the sum of its gradients' squares so far and the tokens behind it.
  private var energy: [Int: (sum: Double, tokens: Int)] = [:]
  /// Of every linear layer, the sum of its gradients' lengths and of their squares.
  private var lengths: [Int: (sum: Double, squares: Double)] = [:]
  /// How much each token of the window at hand counts, by the operation that makes a layer's input.
  private var weights: [Int: [Float]] = [:]

  /// The widest result whose channels are looked at together, for the sake of memory.
  private static let widest = 4096

  /// Sums of nothing, for the linear layers of a function.
  init(_ function: Function) {
    self.function = function
    let uses = ValueUses(function)
    for (index, operation) in function.operations.enumerated() where operation.code == .linear {
      guard case .value(let x)? = operation.operands.first, let maker = uses.makers[x]
      else { continue }
      producer[index] = maker
      let width = function[x].type.shape.dimensions.last ?? 1
      if grams[maker] == nil { grams[maker] = GramMatrix(size: width) }
      // Logits are left alone: what all of them share costs nothing to second order, so errors of the
      // head would gather there until that order says nothing.
      guard let result = operation.results.first, !function.results.contains(result) else {
        continue
      }
      let rows = function[result].type.shape.dimensions.last ?? 1
      if rows <= Self.widest { outputs[index] = GramMatrix(size: rows) }
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
      // The root: the gradient of one drawn label says only roughly how much a token matters.
      gram.add(base, rows: n, weights: weights.map { $0.squareRoot() })
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
    if let output = outputs[index] {
      // Gradients have heavy tails. Dividing each outer product by the gradient's length keeps a few
      // tokens from deciding about all directions; the sum is scaled back below.
      output.add(base, rows: n, weights: token.map { $0 > 0 ? Float(1 / $0.squareRoot()) : 0 })
      var shares = lengths[index] ?? (0, 0)
      for square in token {
        shares.sum += square.squareRoot()
        shares.squares += square
      }
      lengths[index] = shares
    }

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
      let effective = gram.effectiveRows
      guard let mean = gram.mean() else { continue }
      guard mean.allSatisfy(\.isFinite) else {
        throw DiagnosticError(
          "quantize.not-finite", "the model's values are not finite here",
          at: SourceLocation(element: sites[index].source))
      }
      result.grams[sites[index]] = mean
      result.effectiveTokens[sites[index]] = effective
    }
    for (index, gram) in outputs {
      guard var mean = gram.mean(), mean.allSatisfy(\.isFinite), let seen = energy[index],
        let lengths = lengths[index], lengths.squares > 0
      else { continue }
      let trace = (0..<gram.size).reduce(0.0) { $0 + Double(mean[$1 * gram.size + $1]) }
      guard trace > 0, seen.tokens > 0 else { continue }
      let factor = Float(seen.sum / Double(seen.tokens) / trace)
      for i in mean.indices { mean[i] *= factor }
      result.outputs[sites[index]] = mean
      result.effectiveTokens[sites[index]] = lengths.sum * lengths.sum / lengths.squares
    }
    for (index, drawn) in squares where tokens > 0 {
      let isLast = function.operations[index].results.contains { function.results.contains($0) }
      let sums = isLast && logitSquares.count == drawn.count ? logitSquares : drawn
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
