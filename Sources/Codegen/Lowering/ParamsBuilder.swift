import GraphIR
import ProgramFormat
import Support
import TensorCore

/// Collects the constants that CPU kernels read into the params region, each once.
struct ParamsBuilder {
  private var offsets: [ConstantID: Int] = [:]
  private(set) var pieces: [(offset: Int, bytes: ByteSource)] = []
  private(set) var bytes = 0

  /// The place of a constant, added at the next multiple of 16 when it is new.
  mutating func place(_ id: ConstantID, of graph: Graph) throws(DiagnosticError) -> RegionReference
  {
    if let offset = offsets[id] { return RegionReference(.params, offset) }
    let constant = graph[id]
    guard let data = constant.data, case .dense(let element) = data.encoding,
      element == constant.type.element, data.bytes.count == constant.type.byteCount
    else {
      throw DiagnosticError(
        "codegen.constant", "has no dense \(constant.type.element.rawValue) data",
        at: SourceLocation(element: constant.name))
    }
    let offset = (bytes + 15) / 16 * 16
    guard offset + data.bytes.count <= Region.byteLimit else {
      throw DiagnosticError(
        "codegen.params-too-large",
        "the tables the CPU reads exceed \(Region.byteLimit) bytes",
        at: SourceLocation(element: constant.name))
    }
    offsets[id] = offset
    pieces.append((offset, data.bytes))
    bytes = offset + data.bytes.count
    return RegionReference(.params, offset)
  }

  /// The region's content.
  func content() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: max(bytes, 1)) { buffer, count in
      buffer.initialize(repeating: 0)
      for piece in pieces {
        piece.bytes.withBytes { raw in
          UnsafeMutableRawBufferPointer(buffer).baseAddress.map {
            ($0 + piece.offset).copyMemory(
              from: raw.baseAddress ?? UnsafeRawPointer($0), byteCount: raw.count)
          }
        }
      }
      count = bytes
    }
  }
}
