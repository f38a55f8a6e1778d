import Containers
import Foundation
import Support
import TFLiteRuntime
import TensorCore

/// Samples for the one input of a TFLite model, and which output should be the largest for each.
struct LabelledSamples: Sendable {
  /// The right output of each sample.
  let labels: [Int]
  /// A checksum of all of it.
  let checksum: UInt32

  private let file: String
  private let array: NumpyArray
  private let tensor: TFLiteTensor
  /// Bytes of a sample in the array, and whether they are reals that the input's scale rounds.
  private let stride: Int
  private let isRounded: Bool

  /// The input's name.
  var input: String { tensor.name }

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
    tensor = graph.tensors[graph.inputs[0]]
    file = samples
    array = try NumpyArray(ByteSource(try MappedFile(samples)), name: samples)
    let truth = try NumpyArray(ByteSource(try MappedFile(labels)), name: labels)
    guard truth.shape.rank == 1, let numbers = truth.integers, !numbers.isEmpty else {
      throw wrong(labels, "is no row of whole numbers", "numpy.save(path, labels.astype('int32'))")
    }
    let (size, isTooLarge) = numbers.count.multipliedReportingOverflow(by: tensor.shape.count)
    guard size > 0, !isTooLarge, array.shape.count == size else {
      throw wrong(
        samples,
        "has the shape \(array.shape); \(numbers.count) samples, as many as labels, of \(tensor.shape) were to come"
      )
    }
    guard let element = tensor.type.element, let given = array.element,
      given == element || (given == .float32 && tensor.quantised([]) != nil)
    else {
      throw wrong(
        samples, "is '\(array.descriptor)', the input \(tensor.name) \(tensor.type)",
        "samples of that type, or reals as float32 where it is quantised")
    }
    stride = tensor.shape.count * given.byteCount
    isRounded = given != element
    let classes = graph.tensors[graph.outputs[0]].shape.count
    if let index = numbers.firstIndex(where: { !(0..<classes).contains($0) }) {
      throw wrong(labels, "label \(index) is \(numbers[index]); the model has \(classes) outputs")
    }
    self.labels = Array(numbers.prefix(limit ?? numbers.count))
    var crc = CRC32()
    array.bytes.withBytes { crc.update($0) }
    for label in self.labels { withUnsafeBytes(of: label.littleEndian) { crc.update($0) } }
    checksum = crc.value
  }

  /// A sample as the input's bytes.
  ///
  /// Throws `DiagnosticError` when it holds infinity or NaN.
  func sample(_ index: Int) throws(DiagnosticError) -> [UInt8] {
    let bytes = array.bytes.withBytes { Array($0[index * stride..<(index + 1) * stride]) }
    guard isRounded else { return bytes }
    let data = ConstantData(bytes: ByteSource(bytes), encoding: .dense(.float32))
    guard let reals = data.floats(count: tensor.shape.count), reals.allSatisfy(\.isFinite),
      let rounded = tensor.quantised(reals)
    else {
      throw DiagnosticError(
        "evaluate.samples", "sample \(index) holds infinity or NaN", at: SourceLocation(file: file))
    }
    return rounded
  }
}
