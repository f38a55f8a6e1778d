import GraphIR
import ProgramFormat
import Support
import TensorCore

/// One depth slice of a linear layer: scale records, then the weight stream, fetched together by one DMA
/// or read in place.
struct PackedSlice: Sendable, Equatable {
  /// The first output channel.
  let firstChannel: Int
  /// Output channels of the slice.
  let channels: Int
  /// Where it lives: the weights region, the near one, or among the params when it is resident in fast memory.
  let region: Region
  /// Byte offset in its region, a multiple of 16.
  var offset: Int
  /// Bytes of the scale records, padded to 16.
  let scaleBytes: Int
  /// Bytes of the weight streams, multiples of 16: one for each decoder that shares the work.
  let streamBytes: [Int]
  /// Whether the DMA fetches it; else it is read in place, as all are when no weights are staged.
  let isStaged: Bool
  /// Whether it has the fixed-width format of the U85's fast decoder.
  let isFast: Bool

  /// All bytes of the weight streams.
  var weightBytes: Int { streamBytes.reduce(0, +) }

  /// All bytes of the slice.
  var bytes: Int { scaleBytes + weightBytes }
}

/// What makes two linear operations share their packed form: the same weights, bias and scaling.
struct LinearKey: Hashable {
  let weight: ConstantID
  let bias: ConstantID?
  let inputElement: ElementType
  let inputScale: Float
  let outputElement: ElementType
  let outputScale: Float

  /// The key of a quantised `linear` operation of `function`.
  ///
  /// Throws `DiagnosticError` when the operation is not in the integer form of `Docs/Numerics.md`.
  init(_ operation: Operation, in function: Function, of graph: Graph) throws(DiagnosticError) {
    func malformed(_ what: String) -> DiagnosticError {
      DiagnosticError(
        "codegen.linear", what, at: SourceLocation(element: operation.provenance.source),
        wayOut: "quantise the graph first")
    }
    guard operation.operands.count >= 2, case .value(let x) = operation.operands[0],
      case .constant(let weight) = operation.operands[1], let result = operation.results.first
    else { throw malformed("linear needs a value and constant weights") }
    self.weight = weight
    if operation.operands.count > 2 {
      guard case .constant(let bias) = operation.operands[2] else {
        throw malformed("the bias must be a constant")
      }
      self.bias = bias
    } else {
      bias = nil
    }
    let input = function[x].type
    let output = function[result].type
    guard let inputQuant = input.quant, let outputQuant = output.quant,
      input.element == .int8 || input.element == .int16,
      output.element == .int16 || output.element == .int32, graph[weight].type.element == .int8,
      graph[weight].type.quant?.axis == 0
    else { throw malformed("linear is not in its integer form") }
    inputElement = input.element
    inputScale = inputQuant.scale()
    outputElement = output.element
    outputScale = outputQuant.scale()
  }
}

/// Linear layers of one input that are packed as one: the channels of the first, then of the next.
struct LinearGroup: Hashable {
  let parts: [LinearKey]

  /// A group of at least one layer.
  init(_ first: LinearKey, _ others: [LinearKey] = []) { parts = [first] + others }

  /// What all parts read and make.
  var inputElement: ElementType { parts[0].inputElement }
  var outputElement: ElementType { parts[0].outputElement }
  /// Bits of an input element.
  var inputBits: Int { inputElement == .int16 ? 16 : 8 }
}

/// A linear layer, or some of one input, as the NPU reads it.
struct PackedLinear {
  let group: LinearGroup
  /// Input width.
  let inputs: Int
  /// Output width.
  let outputs: Int
  /// OFM block depth the weights are ordered for.
  let blockDepth: Int
  /// The depth slices, in channel order.
  var slices: [PackedSlice]
}
