import GraphIR
import Support
import TensorCore

/// Rotates a float model so that no channel of its residual stream, and none of a head's values, stands out
/// from the others: outliers cost 8-bit activations, 8-bit caches and grids of few levels most.
///
/// Ashkboos et al., "QuaRot" (2024), as far as no operation at run time is needed; Liu et al., "SpinQuant"
/// (2024), call these R1 and R2. An RMS norm of a rotated row is the rotated norm if its factors are all the
/// same: they move into the linear layers that read it. Layers that read the stream take the rotation
/// into their columns, layers that write it into their rows; a head that shares the embedding's table gets a
/// matrix of its own. Values are rotated in each head by the rows of the layer that makes them and the columns
/// of the layer that reads the attention's result. The functions compute what they did, within rounding.
struct ModelRotation {
  private let graph: Graph
  /// What becomes of each constant, by function, operation and operand; others stay.
  private var wanted: [Use: RotatedConstant] = [:]

  private struct Use: Hashable {
    var function: Int
    var operation: Int
    var operand: Int
  }

  /// Of the given rotations, those that `graph` allows.
  init(_ graph: Graph, _ rotations: ModelRotations = .all) {
    self.graph = graph
    let widths = rotations.contains(.values) ? RotatedValues(graph).widths : [:]
    for (f, function) in graph.functions.enumerated() {
      let uses = ValueUses(function)
      var columns: [Int: RotatedConstant.Columns] = [:]
      var rows: [Int: RotatedConstant.Rows] = [:]
      if rotations.contains(.stream), let stream = RotatedStream(of: function),
        OrthogonalRotation.suits(stream.width)
      {
        for norm in stream.norms {
          guard case .constant(let gamma)? = function.operations[norm].operands.dropFirst().first
          else { continue }
          wanted[Use(function: f, operation: norm, operand: 1)] = .ones
          for reader in function.operations[norm].results.flatMap(uses.readers) {
            columns[reader] = .norm(gamma: gamma)
          }
        }
        for writer in stream.writers {
          if function.operations[writer].code == .embedding {
            wanted[Use(function: f, operation: writer, operand: 1)] = .table
          } else {
            rows[writer] = .stream
          }
        }
      }
      for operation in function.operations {
        guard case .state(let state)? = operation.operands.last, let width = widths[state] else {
          continue
        }
        if operation.code == .attention {
          for reader in operation.results.flatMap(uses.readers) { columns[reader] = .heads(width) }
        } else if case .value(let x)? = operation.operands.first,
          let writer = uses.makers[x]
        {
          rows[writer] = .heads(width)
        }
      }
      for index in Set(columns.keys).union(rows.keys) {
        let (across, along) = (columns[index] ?? .same, rows[index] ?? .same)
        wanted[Use(function: f, operation: index, operand: 1)] = .weights(
          columns: across, rows: along)
        if function.operations[index].operands.count > 2 {
          wanted[Use(function: f, operation: index, operand: 2)] = .bias(along)
        }
      }
    }
  }

  /// The rotated model. Throws `DiagnosticError` when a constant's numbers cannot be read.
  func rotated() throws(DiagnosticError) -> Graph {
    var result = graph
    var made: [ConstantID: [RotatedConstant: ConstantID]] = [:]
    // What nobody needs as it was makes room for what it becomes.
    var needed: Set<ConstantID> = []
    for (f, function) in graph.functions.enumerated() {
      for (o, operation) in function.operations.enumerated() {
        for (place, operand) in operation.operands.enumerated() {
          guard case .constant(let id) = operand else { continue }
          let use = Use(function: f, operation: o, operand: place)
          if wanted[use, default: .same] == .same { needed.insert(id) }
        }
      }
    }
    for f in graph.functions.indices {
      for (o, operation) in graph.functions[f].operations.enumerated() {
        for (place, operand) in operation.operands.enumerated() {
          guard case .constant(let id) = operand,
            let change = wanted[Use(function: f, operation: o, operand: place)], change != .same
          else { continue }
          let new: ConstantID
          if let known = made[id]?[change] {
            new = known
          } else {
            guard let values = change.values(of: id, in: graph) else {
              throw DiagnosticError(
                "quantize.operation", "its numbers are unreadable",
                at: SourceLocation(element: graph[id].name))
            }
            let type = TensorType(graph[id].type.shape, .float32)
            let data = ConstantData(floats: values)
            if needed.insert(id).inserted {
              new = id
              result[id].type = type
              result[id].data = data
            } else {
              new = result.addConstant(
                Constant(
                  name: result.unusedName(graph[id].name + ".rotated"), type: type, data: data))
            }
            made[id, default: [:]][change] = new
          }
          result.functions[f].operations[o].operands[place] = .constant(new)
        }
      }
    }
    return result
  }
}
