import Containers
import Foundation
import Support
import TFLiteRuntime
import TensorCore

/// Samples for the one input of a TFLite model, and which output should be the largest for each.
struct LabelledSamples: Sendable {
  /// The input's name, and its bytes for each sample.
  let input: String
  let bytes: [[UInt8]]
  let labels: [Int]
  /// A checksum of all of it.
  let checksum: UInt32

  /// The largest files that are read, in elements.
  private static let elementLimit = 1 << 28

  /// Reads `[count, …]` samples and `[count]` labels, both `.npy`.
  ///
  /// Samples have the input's type; or they are reals (float32), which are rounded by the input's scale.
  ///
  /// - Parameter limit: the most samples that are taken; nil for all.
  ///
  /// Throws `DiagnosticError` when they do not fit the model or each other.
  init(
    _ samples: String, labels: String, of model: TFLiteModel, limit: Int?
  ) throws(DiagnosticError) {
    func wrong(_ file: String, _ what: String, _ wayOut: String? = nil) -> DiagnosticError {
      DiagnosticError(
        "evaluate.samples", what, at: SourceLocation(file: file), wayOut: wayOut)
    }
    guard let graph = model.subgraphs.first, graph.inputs.count == 1, !graph.outputs.isEmpty else {
      throw wrong(model.name, "has not one input and an output, so samples have no place")
    }
    let tensor = graph.tensors[graph.inputs[0]]
    let array = try NumpyArray(ByteSource(try MappedFile(samples)), name: samples)
    let truth = try NumpyArray(ByteSource(try MappedFile(labels)), name: labels)
    guard let numbers = truth.integers, truth.shape.count == truth.shape.dimensions.first ?? 0
    else {
      throw wrong(labels, "is no row of whole numbers", "numpy.save(path, labels.astype('int32'))")
    }
    let size = tensor.shape.count
    guard size > 0, array.shape.count <= Self.elementLimit,
      array.shape.count == numbers.count * size
    else {
      throw wrong(
        samples,
        "has the shape \(array.shape); \(numbers.count) samples, as many as labels, of \(tensor.shape) were to come"
      )
    }
    guard let element = tensor.type.element, let given = array.element else {
      throw wrong(samples, "is of a type that \(tensor.type) cannot be filled with")
    }
    let classes = graph.tensors[graph.outputs[0]].shape.count
    if let index = numbers.firstIndex(where: { !(0..<classes).contains($0) }) {
      throw wrong(labels, "label \(index) is \(numbers[index]); the model has \(classes) outputs")
    }
    let count = min(limit ?? numbers.count, numbers.count)
    let width = element.byteCount
    let rows: [[UInt8]]
    if given == element {
      rows = array.bytes.withBytes { raw in
        (0..<count).map { Array(raw[$0 * size * width..<($0 + 1) * size * width]) }
      }
    } else if given == .float32, element.isInteger, width <= 2, let range = element.integerRange,
      let quant = tensor.quantisation, quant.scales.count == 1
    {
      let (scale, zero) = (quant.scales[0], Float(quant.zeroPoints.first ?? 0))
      let (low, high) = (Float(range.lowerBound), Float(range.upperBound))
      var isNumber = true
      rows = array.bytes.withBytes { raw in
        (0..<count).map { sample in
          (0..<size).flatMap { i -> [UInt8] in
            let real = raw.loadUnaligned(fromByteOffset: (sample * size + i) * 4, as: Float.self)
            let step = (real / scale).rounded(.toNearestOrAwayFromZero) + zero
            guard step.isFinite else {
              isNumber = false
              return [UInt8](repeating: 0, count: width)
            }
            let value = Int(min(max(step, low), high))
            return (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
          }
        }
      }
      guard isNumber else { throw wrong(samples, "holds infinity or NaN") }
    } else {
      throw wrong(
        samples, "is \(given.rawValue), the input \(tensor.name) \(tensor.type)",
        "samples of that type, or reals as float32")
    }
    input = tensor.name
    bytes = rows
    self.labels = Array(numbers.prefix(count))
    var crc = CRC32()
    for row in rows { crc.update(row) }
    for label in self.labels { withUnsafeBytes(of: label.littleEndian) { crc.update($0) } }
    checksum = crc.value
  }
}
