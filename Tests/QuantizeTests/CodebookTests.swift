import EthosUISA
import Foundation
import GraphIR
import Support
import TensorCore
import TestKit
import Testing

@testable import Quantize

/// Few integers chosen for a matrix, for decoders that read a table.
@Suite struct CodebookTests {
  @Test func theNearestValueIsTaken() {
    var random = SplitMix64(seed: 5)
    for _ in 0..<50 {
      let book = Codebook((0..<15).map { _ in Int8(truncatingIfNeeded: random.next()) })
      #expect(book.values.contains(0) && book.values == book.values.sorted())
      for _ in 0..<200 {
        let target = Float(Double(random.next() % 26_000) / 100 - 130)
        let bounded = min(max(target, -127), 127)
        let least = book.values.map { abs(Float($0) - bounded) }.min() ?? 0
        #expect(abs(book.value(target) - bounded) == least)
      }
    }
  }

  /// Weighted error of plain rounding, over that of 15 even levels with searched clipping.
  private static func gain(_ matrix: MigratedMatrix, costs: [Float]) -> Float {
    let rows = [Float](repeating: 1, count: matrix.rows)
    let found = Codebook.fit(matrix, columnCosts: costs, rowCosts: rows, size: 16)
    func error(_ steps: [Float], _ round: (Float) -> Float) -> Float {
      var sum: Float = 0
      for (index, value) in matrix.values.enumerated() {
        let (row, column) = (index / matrix.columns, index % matrix.columns)
        let left = value - round(value / steps[row]) * steps[row]
        sum += costs[column] * left * left
      }
      return sum
    }
    let even = (0..<matrix.rows).map { row in
      matrix.values.withUnsafeBufferPointer { values in
        costs.withUnsafeBufferPointer {
          StepSearch.best(
            UnsafeBufferPointer(
              rebasing: values[row * matrix.columns..<(row + 1) * matrix.columns]),
            costs: $0, limit: 7)
        }
      }
    }
    return error(found.steps, found.codebook.value)
      / error(even) { min(max($0.rounded(), -7), 7) }
  }

  /// Values where weights are dense err less than even levels: on normal numbers by about 1.2 dB, of which the
  /// sixteenth value is a part.
  @Test func chosenValuesErrLess() throws {
    let matrix = try FeedbackRoundingTests.matrix(24, 512, seed: 3)
    #expect(Self.gain(matrix, costs: [Float](repeating: 1, count: 512)) < 0.82)
    let uneven = (0..<512).map { Float(1 + $0 % 7) }
    #expect(Self.gain(matrix, costs: uneven) < 0.82)
  }

  @Test(arguments: [2, 3, 5, 15, 16])
  func thereAreAsManyValuesAsAskedFor(_ size: Int) throws {
    let matrix = try FeedbackRoundingTests.matrix(16, 256, seed: 9)
    let found = Codebook.fit(
      matrix, columnCosts: [Float](repeating: 1, count: 256),
      rowCosts: [Float](repeating: 1, count: 16), size: size)
    #expect(found.codebook.values.count == size)
    #expect(found.steps.allSatisfy { $0 > 0 })
  }

  /// Matrices of the preset take exactly four bits a weight in the fixed format of the Ethos-U85, and reach
  /// beyond −7…7.
  @Test func weightsFitTheFixedFourBits() throws {
    let model = RandomLlama()
    let recipe = try #require(QuantizationRecipe(name: "c4a16"))
    let graph = try Quantizer.quantize(
      model.graph(), recipe: recipe, calibrationTokens: QuantizerStructureTests.sequences(model))
    let layers = try LinearLayer.all(in: graph)
    #expect(layers.count == 15)
    for layer in layers {
      let weights = try #require(
        graph[layer.id].data?.integers(Int8.self, count: layer.rows * layer.columns))
      #expect(Set(weights + [0]).count <= 16, "\(layer.name)")
      #expect(weights.contains { abs($0) > 7 }, "\(layer.name)")
      var geometry = WeightGeometry(
        family: .u85, outputs: layer.rows, inputs: layer.columns, ofmBlockDepth: 16,
        ofmUblockDepth: 16, ifmBits: 16)
      geometry.format = .fast
      let bytes = try weights.withUnsafeBufferPointer {
        try WeightStream.encode($0, geometry: geometry)
      }
      let padded = geometry.paddedCount(stream: 0)
      #expect(bytes.count == 32 + (padded / 2 + 31) / 32 * 32, "\(layer.name)")
      // The palettes of the other formats take them as well.
      geometry.format = .standard
      var back = [Int8](repeating: 0, count: weights.count)
      let coded = try weights.withUnsafeBufferPointer {
        try WeightStream.encode($0, geometry: geometry)
      }
      try back.withUnsafeMutableBufferPointer {
        try WeightStream.decode(coded, geometry: geometry, into: $0)
      }
      #expect(back == weights)
    }
  }
}
