import GraphIR
import TensorCore

/// Makes the weights and biases of a residual stream without a mean, each once for all functions.
///
/// Sums are in double precision, results in float32.
struct CentredConstants {
  /// How a constant is made of others.
  private enum Origin: Hashable {
    case rows(ConstantID)
    case columns(ConstantID)
    case bias(weights: ConstantID, bias: ConstantID?, beta: ConstantID?, isCentred: Bool)
  }

  private var made: [Origin: ConstantID] = [:]

  /// A table or matrix `[rows, width]` with the mean of each row taken from it.
  mutating func rows(_ id: ConstantID, in graph: inout Graph) -> ConstantID? {
    add(.rows(id), named: graph[id].name + ".centred", like: graph[id].type.shape, to: &graph) {
      guard $0[id].type.shape.rank == 2, var values = $0[id].floats else { return nil }
      let width = $0[id].type.shape[1]
      values.withUnsafeMutableBufferPointer { values in
        for start in stride(from: 0, to: values.count, by: max(width, 1)) {
          Self.centre(UnsafeMutableBufferPointer(rebasing: values[start..<start + width]))
        }
      }
      return values
    }
  }

  /// A linear layer's matrix `[outputs, inputs]` with the mean over the outputs taken from each column.
  mutating func columns(_ id: ConstantID, in graph: inout Graph) -> ConstantID? {
    add(.columns(id), named: graph[id].name + ".centred", like: graph[id].type.shape, to: &graph) {
      guard $0[id].type.shape.rank == 2, var values = $0[id].floats else { return nil }
      let (outputs, inputs) = ($0[id].type.shape[0], $0[id].type.shape[1])
      var means = [Double](repeating: 0, count: inputs)
      values.withUnsafeMutableBufferPointer { values in
        means.withUnsafeMutableBufferPointer { means in
          for row in 0..<outputs {
            for column in 0..<inputs { means[column] += Double(values[row &* inputs &+ column]) }
          }
          for column in 0..<inputs { means[column] /= Double(max(outputs, 1)) }
          for row in 0..<outputs {
            for column in 0..<inputs {
              let at = row &* inputs &+ column
              values[at] = Float(Double(values[at]) - means[column])
            }
          }
        }
      }
      return values
    }
  }

  /// The bias of a linear layer that reads a norm without its `beta`, and whose results lose their mean if
  /// `isCentred`: what there was, plus the weights times `beta`.
  mutating func bias(
    _ bias: ConstantID?, weights: ConstantID, beta: ConstantID?, isCentred: Bool,
    in graph: inout Graph
  ) -> ConstantID? {
    let outputs = graph[weights].type.shape[0]
    let origin = Origin.bias(weights: weights, bias: bias, beta: beta, isCentred: isCentred)
    // A head without a bias of its own has it under the name of its weights.
    let name = bias.map { graph[$0].name + ".shifted" } ?? graph[weights].name + ".bias"
    return add(origin, named: name, like: [outputs], to: &graph) {
      var sums = [Double](repeating: 0, count: outputs)
      if let bias {
        guard let values = $0[bias].floats else { return nil }
        sums = values.map(Double.init)
      }
      if let beta {
        guard let matrix = $0[weights].floats, let shift = $0[beta].floats else { return nil }
        let factors = shift.map(Double.init)
        matrix.withUnsafeBufferPointer { matrix in
          factors.withUnsafeBufferPointer { factors in
            for row in 0..<outputs {
              var sum = 0.0
              for column in 0..<factors.count {
                sum += Double(matrix[row &* factors.count &+ column]) * factors[column]
              }
              sums[row] += sum
            }
          }
        }
      }
      if isCentred {
        let mean = sums.reduce(0, +) / Double(max(outputs, 1))
        sums = sums.map { $0 - mean }
      }
      return sums.map { Float($0) }
    }
  }

  private static func centre(_ row: UnsafeMutableBufferPointer<Float>) {
    var sum = 0.0
    for value in row { sum += Double(value) }
    let mean = sum / Double(max(row.count, 1))
    for index in row.indices { row[index] = Float(Double(row[index]) - mean) }
  }

  private mutating func add(
    _ origin: Origin, named name: String, like shape: Shape, to graph: inout Graph,
    _ make: (Graph) -> [Float]?
  ) -> ConstantID? {
    if let known = made[origin] { return known }
    guard let values = make(graph) else { return nil }
    let id = graph.addConstant(
      Constant(
        name: graph.unusedName(name), type: TensorType(shape, .float32),
        data: ConstantData(floats: values)))
    made[origin] = id
    return id
  }
}
