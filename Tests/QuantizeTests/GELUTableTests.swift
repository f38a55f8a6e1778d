import Foundation
import GraphIR
import Quantize
import Support
import TensorCore
import TestKit
import Testing

/// The table of a GELU holds the form that the graph asks for.
@Test(arguments: [false, true]) func geluTablesHonourTheForm(_ isExact: Bool) throws {
  var model = RandomLlama()
  model.gated = false
  model.exactGELU = isExact
  let integer = try Quantizer.quantize(
    model.graph(), recipe: .w8a16, calibrationTokens: QuantizerStructureTests.sequences(model))
  let decode = try #require(integer.function("decode"))
  let tables = decode.operations.filter { $0.code == .lut }
  #expect(tables.count == model.layers)
  for table in tables {
    guard case .value(let x) = table.operands[0], case .constant(let id) = table.operands[1],
      let from = decode[x].type.quant?.scales.first,
      let to = decode[table.results[0]].type.quant?.scales.first
    else { throw DiagnosticError("test", "a table without scales") }
    let entries = try #require(integer[id].data?.integers(UInt32.self, count: 512))
    var largest = 0.0
    for (index, entry) in entries.enumerated() {
      let real = Double(128 * index - 32768) * Double(from)
      let wanted =
        isExact
        ? 0.5 * real * erfc(-real / 2.0.squareRoot())
        : 0.5 * real * (1 + tanh((2 / Double.pi).squareRoot() * (real + 0.044715 * pow(real, 3))))
      let found = Double(Int16(truncatingIfNeeded: entry)) * Double(to)
      // Inputs as large as the least of them have no result in range.
      largest = max(largest, abs(found - min(wanted, 32767 * Double(to))))
    }
    // The forms differ by up to 5e-4, many steps of a table.
    #expect(largest <= 0.51 * Double(to))
    #expect(Double(to) < 2e-4)
  }
}
