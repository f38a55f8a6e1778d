import GraphIR
import TensorCore

extension Function {
  /// How many tokens one run takes: the extent of the ids.
  var tokens: Int { inputs.first.map { self[$0].type.shape.count } ?? 1 }

  /// The same function of another number of tokens.
  ///
  /// Every operation works row by row, and the rows of every value are tokens, so only the types differ.
  func batched(_ tokens: Int) -> Function {
    var copy = self
    for index in copy.values.indices {
      let shape = copy.values[index].type.shape
      if shape.rank > 0 {
        copy.values[index].type.shape = Shape([tokens] + shape.dimensions.dropFirst())
      }
    }
    return copy
  }
}
