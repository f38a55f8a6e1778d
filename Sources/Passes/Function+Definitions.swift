import GraphIR

extension Function {
  /// For every value, the index of the operation that defines it; −1 for inputs.
  var definitionIndices: [Int] {
    var indices = [Int](repeating: -1, count: values.count)
    for (index, operation) in operations.enumerated() {
      for id in operation.results { indices[id.index] = index }
    }
    return indices
  }
}
