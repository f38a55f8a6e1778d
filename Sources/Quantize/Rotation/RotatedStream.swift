import GraphIR

/// The residual stream of a function, if all of it can be rotated: values that are added up, that
/// embeddings and linear layers write, and that only RMS norms read, whose results only linear layers
/// read.
struct RotatedStream {
  /// The embeddings and linear layers that write it, as indices of operations.
  private(set) var writers: Set<Int> = []
  /// The norms that read it.
  private(set) var norms: Set<Int> = []
  /// Channels.
  let width: Int

  /// The stream that the function's first norm reads; nil when there is none, or when anything else reads or
  /// writes it.
  init?(of function: Function) {
    let uses = ValueUses(function)
    guard let first = function.operations.first(where: { $0.code == .rmsNorm }),
      case .value(let start)? = first.operands.first,
      let width = function[start].type.shape.dimensions.last
    else { return nil }
    self.width = width
    var visited: Set<ValueID> = [start]
    var open = [start]
    while let value = open.popLast() {
      guard !function.results.contains(value), let definition = uses.makers[value] else {
        return nil
      }
      var neighbours: [ValueID] = []
      let writer = function.operations[definition]
      switch writer.code {
      case .embedding, .linear: writers.insert(definition)
      case .add: for case .value(let id) in writer.operands { neighbours.append(id) }
      default: return nil
      }
      for index in uses.readers(of: value) {
        let reader = function.operations[index]
        switch reader.code {
        case .add: neighbours += reader.results
        case .rmsNorm where reader.operands.first == .value(value): norms.insert(index)
        default: return nil
        }
      }
      open += neighbours.filter { visited.insert($0).inserted }
    }
    for norm in norms {
      for result in function.operations[norm].results {
        let reading = uses.readers(of: result)
        guard !function.results.contains(result),
          reading.allSatisfy({
            function.operations[$0].code == .linear
              && function.operations[$0].operands.first == .value(result)
          })
        else { return nil }
      }
    }
  }
}
