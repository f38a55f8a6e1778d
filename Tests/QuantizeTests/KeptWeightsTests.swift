import EthosUISA
import Foundation
import GraphIR
import Support
import TensorCore
import TestKit
import Testing

@testable import Quantize

/// Weights that arrive on a grid of few levels keep it.
@Suite struct KeptWeightsTests {
  /// The integers of a tensor of the generated model, by its name and shape.
  static func levels(_ name: String, _ shape: Shape, limit: Int) -> [Int8] {
    var random = SplitMix64(seed: name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    return (0..<shape.count).map { _ in
      Int8(Int(random.next() % UInt64(2 * limit + 1)) - limit)
    }
  }

  /// A model whose linear layers are on a grid: every row, or every tensor, has one step.
  static func model(limit: Int, rowSteps: Bool, isHalf: Bool = false) -> RandomLlama {
    var model = RandomLlama()
    model.tied = false
    model.weights = { name, shape in
      guard shape.rank == 2, !name.contains("embd"), !name.contains("rope") else { return nil }
      let levels = Self.levels(name, shape, limit: limit)
      let unit = 1 / (Float(limit) * Float(shape[1]).squareRoot())
      let values = levels.enumerated().map { index, level in
        let row = index / shape[1]
        let value = Float(level) * unit * (rowSteps ? 1 + Float(row % 5) / 7 : 1)
        // As a file of 16-bit brain floats would have it.
        return isHalf ? Float(bitPattern: value.bitPattern & 0xFFFF_0000) : value
      }
      return ConstantData(floats: values)
    }
    return model
  }

  @Test(
    arguments: [1, 7],
    ["w8a16", "w8a8", "w4a16", "c4a16", "b4a16:adapt=4,tune=2", "w8a8:levels=127"])
  func integersAreTheSources(_ limit: Int, _ name: String) throws {
    let model = Self.model(limit: limit, rowSteps: limit == 7, isHalf: limit == 7)
    let recipe = try #require(QuantizationRecipe(name: name))
    let graph = try Quantizer.quantize(
      model.graph(), recipe: recipe,
      calibrationTokens: QuantizerStructureTests.sequences(model))
    let layers = try LinearLayer.all(in: graph)
    #expect(layers.count == 15)
    for layer in layers {
      let found = try #require(
        graph[layer.id].data?.integers(Int8.self, count: layer.rows * layer.columns))
      var wanted = Self.levels(layer.name, [layer.rows, layer.columns], limit: limit)
      if layer.name.contains("attn_q") || layer.name.contains("attn_k") {
        // Rows that rotate by position are stored by halves.
        let half = model.dim / model.heads / 2
        wanted = (0..<layer.rows).flatMap { to -> ArraySlice<Int8> in
          let (head, i) = (to / (2 * half), to % (2 * half))
          let from = head * 2 * half + (i < half ? 2 * i : 2 * (i - half) + 1)
          return wanted[from * layer.columns..<(from + 1) * layer.columns]
        }
      }
      #expect(found == wanted, "\(layer.name)")
    }
  }

  /// Three levels take less than 1.7 bits a weight.
  @Test func ternaryWeightsTakeFewBits() throws {
    var model = Self.model(limit: 1, rowSteps: true)
    model.dim = 96
    model.hidden = 128
    let float = model.graph()
    let sequences = QuantizerStructureTests.sequences(model)
    let observed = try ObservedModel(float, for: .w4a16, calibrationTokens: sequences, limit: 256) {
      _, _, _ in
    }
    for name in ["w4a16", "b2a16", "w2a16"] {
      let recipe = try #require(QuantizationRecipe(name: name))
      let method = try #require(recipe.weights)
      let report = try Quantizer.quantize(observed, recipe: recipe, method: method) { _, _, _ in }
        .report
      #expect(report.bitsPerWeight < 1.7)
      #expect(report.expectedDivergence == 0)
    }
  }

  /// A method with fewer levels or bits than the grid rounds as usual; so do matrices that are on none.
  @Test func onlyGridsWithRoomAreKept() throws {
    let fifteen = Self.model(limit: 7, rowSteps: true).graph()
    func kept(_ graph: Graph, _ method: WeightMethod?) throws -> Int {
      try KeptWeights(graph, method: method).grids.count
    }
    #expect(try kept(fifteen, nil) == 15)
    #expect(try kept(fifteen, .fourBit) == 15)
    #expect(try kept(fifteen, .stream(bitsPerWeight: 4)) == 15)
    #expect(try kept(fifteen, .stream(bitsPerWeight: 3)) == 0)
    #expect(try kept(fifteen, .ternary) == 0)
    #expect(try kept(RandomLlama().graph(), nil) == 0)
    // One number of one row off its level is enough.
    let row = (0..<64).map { Float($0 % 15 - 7) * 0.3 }
    func grid(_ values: [Float]) -> WeightGrid? {
      WeightGrid(ConstantData(floats: values), rows: 1, columns: 64, limit: 7)
    }
    #expect(grid(row)?.integers == (0..<64).map { Int8($0 % 15 - 7) })
    var off = row
    off[13] += 0.1
    #expect(grid(off) == nil)
    #expect(grid(row.map { $0 / 0 }) == nil)
    #expect(grid([Float](repeating: 0, count: 64)) == nil)
  }
}
