import GraphIR

/// Values that are added up and that only layer norms read: the residual stream of a pre-norm model, in
/// one function.
///
/// A layer norm does not see the mean of what it reads. Whatever writes such a stream may leave its own mean
/// out (Ashkboos et al., SliceGPT, 2024, section 3), and every norm becomes one without a mean.
struct ResidualStream {
  /// The embeddings and linear layers whose results are added up, as indices of operations.
  private(set) var writers: Set<Int> = []
  /// The layer norms that read it and that only linear layers read, as indices of operations.
  private(set) var norms: Set<Int> = []

  /// The streams of a function that can go without their mean, by the places of their operations.
  ///
  /// A stream that anything but a sum or a layer norm reads is left out.
  static func streams(of function: Function) -> [ResidualStream] {
    var definitions: [ValueID: Int] = [:]
    var readers: [ValueID: [Int]] = [:]
    for (index, operation) in function.operations.enumerated() {
      for id in operation.results { definitions[id] = index }
      for case .value(let id) in operation.operands { readers[id, default: []].append(index) }
    }
    var visited: Set<ValueID> = []
    var found: [ResidualStream] = []
    for operation in function.operations where operation.code == .layerNorm {
      guard case .value(let x)? = operation.operands.first, visited.insert(x).inserted else {
        continue
      }
      var stream = ResidualStream()
      var isSound = true
      var open = [x]
      while let value = open.popLast() {
        var neighbours: [ValueID] = []
        if function.results.contains(value) { isSound = false }
        switch definitions[value].map({ ($0, function.operations[$0]) }) {
        case (let index, let writer)? where writer.code == .embedding || writer.code == .linear:
          stream.writers.insert(index)
        case (_, let sum)? where sum.code == .add:
          for case .value(let id) in sum.operands { neighbours.append(id) }
        default: isSound = false
        }
        for index in readers[value] ?? [] {
          let reader = function.operations[index]
          switch reader.code {
          case .add: neighbours += reader.results
          case .layerNorm: stream.norms.insert(index)
          default: isSound = false
          }
        }
        open += neighbours.filter { visited.insert($0).inserted }
      }
      // Another norm stays what it is: it does not see the mean either.
      stream.norms = stream.norms.filter { index in
        function.operations[index].results.allSatisfy { value in
          !function.results.contains(value)
            && (readers[value] ?? []).allSatisfy { function.operations[$0].code == .linear }
        }
      }
      if isSound, !stream.norms.isEmpty { found.append(stream) }
    }
    return found
  }
}
