import GraphIR
import Quantize
import Support
import TensorCore
import TestKit
import Testing

/// The integer graph has the operands, attributes and types that the contract lists.
@Suite struct QuantizerStructureTests {
  static func sequences(_ model: RandomLlama, count: Int = 4) -> [[Int32]] {
    var random = SplitMix64(seed: 77)
    return (0..<count).map { _ in
      (0..<model.context).map { _ in
        Int32(random.next() % UInt64(model.vocabulary))
      }
    }
  }

  @Test(arguments: QuantizationRecipe.all, [false, true])
  func everyOperationIsComplete(_ recipe: QuantizationRecipe, _ biased: Bool) throws {
    var model = RandomLlama()
    model.biased = biased
    let float = model.graph()
    let graph = try Quantizer.quantize(
      float, recipe: recipe, calibrationTokens: Self.sequences(model))
    #expect(graph.functions.map(\.name) == float.functions.map(\.name))
    #expect(graph.metadata["quantization"] == recipe.name)
    #expect(Set(graph.constants.map(\.name)).count == graph.constants.count)
    for state in graph.states {
      #expect(state.type.element == .int8)
      #expect(state.type.quant?.scales.count == model.kvHeads)
    }
    for function in graph.functions {
      for operation in function.operations {
        let types = operation.operands.map { graph.type(of: $0, in: function) }
        let result = operation.results.first.map { function[$0].type }
        switch operation.code {
        case .embedding:
          #expect(types.map(\.element) == [.int32, .int8, .int32])
          #expect(operation.int("shift") != nil)
          #expect(result?.element == .int32)
        case .rmsNorm:
          #expect(types.map(\.element) == [.int32, .int32])
          #expect(
            operation.int("eps_q") != nil && operation.int("form") != nil
              && operation.int("shift") != nil)
          #expect(result?.element == recipe.activations)
        case .linear:
          #expect(types[0].element == recipe.activations && types[1].element == .int8)
          #expect(types[1].quant?.scales.count == types[1].shape[0])
          #expect(result?.element == .int16 || result?.element == .int32)
          if types.count > 2 { #expect(types[2].element == .int32) }
        case .rope:
          #expect(types.map(\.element) == [.int16, .int32, .int16])
          #expect(types[0].quant == result?.quant)
        case .kvWrite:
          #expect(types.map(\.element) == [.int16, .int32, .int8, .int16, .int32])
        case .attention:
          #expect(
            types.map(\.element) == [.int16, .int32, .int8, .int8])
          #expect(result?.element == recipe.activations)
        case .lut:
          #expect(types.map(\.element) == [.int16, .uint32])
        case .mul:
          #expect(types.map(\.element) == [.int16, .int16])
          #expect(operation.int("multiplier") != nil && operation.int("shift") != nil)
        case .add:
          #expect(types.map(\.element) == [.int32, .int32])
          #expect(types[0].quant == types[1].quant && types[0].quant == result?.quant)
        default:
          Issue.record("\(operation.code) is not an integer operation")
        }
      }
    }
  }

  @Test func sameInputSameBytes() throws {
    let model = RandomLlama()
    func bytes() throws -> [[UInt8]] {
      try Quantizer.quantize(
        model.graph(), recipe: .w8a8, calibrationTokens: Self.sequences(model)
      ).constants.map { $0.data?.bytes.withBytes { Array($0) } ?? [] }
    }
    let first = try bytes()
    let second = try bytes()
    #expect(first == second)
  }

  @Test func noTextIsAnError() {
    #expect(throws: DiagnosticError.self) {
      try Quantizer.quantize(RandomLlama().graph(), recipe: .w8a16, calibrationTokens: [])
    }
  }
}
