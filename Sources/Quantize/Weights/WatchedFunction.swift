import GraphIR
import Support
import TensorCore

/// A graph's `score` (or `decode`) made to run as many tokens at once as are run backwards.
struct WatchedFunction {
  /// The function, named `watched`.
  let function: Function
  /// Tokens it takes at once.
  let rows: Int

  /// The function for at most `rows` tokens, fewer where the context is shorter.
  init(_ graph: Graph, rows: Int) throws(DiagnosticError) {
    guard var function = graph.function("score") ?? graph.function("decode"),
      let ids = function.inputs.first
    else {
      throw DiagnosticError("quantize.function", "the graph has neither 'score' nor 'decode'")
    }
    let context = graph.states.map { $0.type.shape[1] }.min() ?? Int.max
    let old = function[ids].type.shape.count
    let new = min(rows, context)
    // A function of n tokens is one of any number of tokens with another first axis.
    for index in function.values.indices {
      let dimensions = function.values[index].type.shape.dimensions
      if dimensions.first == old, index == ids.index || dimensions.count == 2 {
        function.values[index].type.shape = Shape([new] + dimensions.dropFirst())
      }
    }
    function.name = "watched"
    self.function = function
    self.rows = new
  }

  /// A graph of this function alone, with the constants of `graph`: those it was made from, or others
  /// that a copy of it refers to.
  func graph(_ graph: Graph) throws(DiagnosticError) -> Graph {
    let other = try WatchedFunction(graph, rows: rows)
    var result = graph
    result.functions = [other.function]
    return result
  }

  /// Windows of tokens that fit, spread over the sequences.
  ///
  /// - Parameter limit: the most tokens in all.
  func windows(_ sequences: [[Int32]], limit: Int = .max) -> [[Int32]] {
    var all: [[Int32]] = []
    for sequence in sequences {
      for start in stride(from: 0, to: sequence.count, by: rows) {
        let window = Array(sequence[start..<min(start + rows, sequence.count)])
        if window.count >= min(8, sequence.count) { all.append(window) }
      }
    }
    let wanted = max(1, limit / max(rows, 1))
    guard all.count > wanted else { return all }
    return (0..<wanted).map { all[$0 * all.count / wanted] }
  }
}
