import GraphIR
import Reference
import Support
import TensorCore

extension WeightSolver {
  /// The float graph with rounded weights in place of its own, in the original coordinates: what the
  /// rounding of weights costs by itself.
  func restored(_ weights: [ConstantID: WeightQuantizer.Result]) -> Graph {
    var result = graph
    for (id, rounded) in weights {
      let shape = graph[id].type.shape
      let values = restored(id, rounded)
      // A table that shares the numbers keeps its own.
      let new = result.addConstant(
        Constant(
          name: graph[id].name + ".rounded", type: TensorType(shape, .float32),
          data: ConstantData(floats: values)))
      for f in result.functions.indices {
        for o in result.functions[f].operations.indices
        where result.functions[f].operations[o].code == .linear
          && result.functions[f].operations[o].operands[1] == .constant(id)
        {
          result.functions[f].operations[o].operands[1] = .constant(new)
        }
      }
    }
    return result
  }

  /// A layer's rounded weights in the original coordinates, row-major.
  func restored(_ id: ConstantID, _ rounded: WeightQuantizer.Result) -> [Float] {
    let shape = graph[id].type.shape
    let (rows, columns) = (shape[0], shape[1])
    var values = [Float](repeating: 0, count: rows * columns)
    rounded.bytes.withBytes { raw in
      for r in 0..<rows {
        let factor = rounded.scales[r] / (migration.rowFactors[id]?[r] ?? 1)
        for c in 0..<columns {
          let q = Float(Int8(bitPattern: raw[r * columns + c]))
          values[r * columns + c] = q * factor / (migration.columnFactors[id]?[c] ?? 1)
        }
      }
    }
    if let turns = migration.rotations[id] {
      for r in stride(from: 0, to: rows - 1, by: 2) {
        let turn = turns[r / 2]
        for c in 0..<columns {
          let (x, y) = (values[r * columns + c], values[(r + 1) * columns + c])
          values[r * columns + c] = turn.x * x + turn.y * y
          values[(r + 1) * columns + c] = turn.x * y - turn.y * x
        }
      }
    }
    return values
  }
}
