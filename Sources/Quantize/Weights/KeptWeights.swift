import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// Matrices of linear layers that arrive on a grid of their own, and keep it byte for byte: training chose
/// those integers, and whatever is scaled or turned into them would leave the grid.
struct KeptWeights {
  /// By the weight.
  private(set) var grids: [ConstantID: WeightGrid] = [:]

  /// The matrices whose grid a method has room for.
  ///
  /// - Parameter method: nil for 8-bit steps.
  init(_ graph: Graph, method: WeightMethod?) throws(DiagnosticError) {
    let layers = try LinearLayer.all(in: graph)
    let limit = Self.limit(method)
    guard limit > 0 else { return }
    var found = [WeightGrid?](repeating: nil, count: layers.count)
    found.withUnsafeMutableBufferPointer { found in
      nonisolated(unsafe) let found = found
      Parallel.ranges(layers.count, grain: 1) { range in
        for index in range {
          let layer = layers[index]
          guard let data = graph[layer.id].data else { continue }
          found[index] = WeightGrid(
            data, rows: layer.rows, columns: layer.columns, limit: limit)
        }
      }
    }
    for (layer, grid) in zip(layers, found) where grid != nil { grids[layer.id] = grid }
  }

  /// The largest integer a kept matrix may have: 7, or what the method has levels or bits for.
  private static func limit(_ method: WeightMethod?) -> Int {
    switch method?.grid {
    case nil, .lossStep: 7
    case .levels(let limit): min(limit, 7)
    case .codebook(let size): min((size - 1) / 2, 7)
    case .bitsPerWeight(let bits): min(Int((exp2(min(max(bits, 0), 8)) - 1) / 2), 7)
    }
  }

  /// Whether a weight is kept.
  func contains(_ id: ConstantID) -> Bool { grids[id] != nil }

  /// All kept weights as the integer graph has them.
  ///
  /// - Parameter rowFactors: what the rows of a weight are multiplied by.
  func rounded(rowFactors: [ConstantID: [Float]]) -> [ConstantID: WeightQuantizer.Result] {
    grids.keys.reduce(into: [:]) { $0[$1] = rounded($1, rowFactors: rowFactors[$1]) }
  }

  /// A kept weight as the integer graph has it.
  ///
  /// - Parameter rowFactors: what its rows are multiplied by.
  func rounded(_ id: ConstantID, rowFactors: [Float]?) -> WeightQuantizer.Result? {
    guard let grid = grids[id] else { return nil }
    var scales = grid.steps
    if let rowFactors { for r in scales.indices { scales[r] *= rowFactors[r] } }
    // A row of zeros takes a scale near its neighbours': shifts stay within range.
    let least = max((scales.max() ?? 0) * 0x1p-20, 1e-20)
    return WeightQuantizer.Result(
      bytes: ByteSource(grid.integers.map { UInt8(bitPattern: $0) }),
      scales: scales.map { max($0, least) })
  }
}
