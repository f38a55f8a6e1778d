import Foundation
import GraphIR
import Support
import TensorCore
import TestKit
import Testing

@testable import Quantize

/// Embedding tables of four bits.
@Suite struct EmbeddingTableTests {
  private static let (rows, columns) = (200, 16)

  /// Random rows, of which column 3 is `size` times as large as the others and row 7 is zero.
  private static func numbers(_ size: Float) -> [Float] {
    var random = SplitMix64(seed: 12)
    return (0..<rows * columns).map { index in
      let number = Float(random.normal()) * (index % columns == 3 ? size : 1)
      return index / columns == 7 ? 0 : number
    }
  }

  private func rounded(_ table: EmbeddingTable) -> [Float] {
    table.bytes.withBytes { raw in
      raw.enumerated().map {
        Float(Int8(bitPattern: $1)) * table.scales[$0 / Self.columns]
          * Float(table.columns[$0 % Self.columns])
      }
    }
  }

  /// Signal to noise of the columns that are alike, in dB.
  private func fidelity(_ numbers: [Float], _ rounded: [Float]) -> Float {
    var (signal, noise): (Float, Float) = (0, 0)
    for (index, number) in numbers.enumerated() where index % Self.columns != 3 {
      signal += number * number
      noise += (number - rounded[index]) * (number - rounded[index])
    }
    return 10 * log10(signal / noise)
  }

  /// One large column costs the others a root of what it would without factors.
  @Test func columnsHaveStepsOfTheirOwn() throws {
    let even = Self.numbers(1)
    let table = try #require(
      EmbeddingTable(ConstantData(floats: even), rows: Self.rows, columns: Self.columns))
    #expect(table.columns.allSatisfy { $0 > 110 })
    table.bytes.withBytes { raw in
      #expect(raw.allSatisfy { abs(Int8(bitPattern: $0)) <= 7 })
      #expect(raw[7 * Self.columns..<8 * Self.columns].allSatisfy { $0 == 0 })
    }
    #expect(table.scales.allSatisfy { $0 > 0 })
    #expect((17...24).contains(fidelity(even, rounded(table))))

    // A column 25 times the others: without factors they would have no step.
    let uneven = Self.numbers(25)
    let other = try #require(
      EmbeddingTable(ConstantData(floats: uneven), rows: Self.rows, columns: Self.columns))
    #expect(other.columns[3] == 127)
    #expect((23...28).contains(other.columns[0]))
    #expect(fidelity(uneven, rounded(other)) > 9)
  }

  @Test func whatIsNoNumberIsRefused() {
    var numbers = Self.numbers(1)
    numbers[5] = .nan
    #expect(
      EmbeddingTable(ConstantData(floats: numbers), rows: Self.rows, columns: Self.columns) == nil)
    numbers[5] = .infinity
    #expect(
      EmbeddingTable(ConstantData(floats: numbers), rows: Self.rows, columns: Self.columns) == nil)
    #expect(
      EmbeddingTable(
        ConstantData(floats: [Float](repeating: 0, count: 32)), rows: 2, columns: 16)?.scales
        == [1, 1])
  }

  /// A head that shares the table keeps its eight bits.
  @Test func theHeadKeepsItsBits() throws {
    var shape = RandomLlama()
    shape.tied = true
    let graph = try Quantizer.quantize(
      shape.graph(), recipe: #require(QuantizationRecipe(name: "w8a16:embeddings=4")),
      calibrationTokens: [(0..<32).map { Int32($0) }])
    let tables = graph.constants.filter { $0.name.hasPrefix("token_embd.weight") }
    #expect(Set(tables.map(\.type.element)) == [.int4, .int8, .int32])
    let head = try #require(tables.first { $0.name == "token_embd.weight" })
    #expect(head.type.element == .int8)
    #expect(head.data?.bytes.withBytes { $0.contains { abs(Int8(bitPattern: $0)) > 100 } } == true)
  }
}
