import GraphIR
import Support
import TensorCore

/// A weight matrix as floats: the file's own bytes where they are floats already, else a copy that
/// was dequantised once.
struct FloatMatrix: Sendable {
  let rows: Int
  let columns: Int
  private let mapped: ByteSource?
  private let owned: [Float]
  private let moving: MovingWeights?

  /// A matrix whose numbers may change between runs; nil when there are not enough.
  init?(rows: Int, columns: Int, _ moving: MovingWeights) {
    guard moving.count == rows * columns else { return nil }
    self.rows = rows
    self.columns = columns
    self.moving = moving
    mapped = nil
    owned = []
  }

  /// Reads a constant of two axes; nil when its content cannot be read.
  init?(_ constant: Constant, _ data: ConstantData) {
    guard constant.type.shape.rank == 2 else { return nil }
    let rows = constant.type.shape[0]
    let columns = constant.type.shape[1]
    self.rows = rows
    self.columns = columns
    moving = nil
    if data.encoding == .dense(.float32), isLittleEndian,
      data.bytes.withBytes({ UInt(bitPattern: $0.baseAddress) % 4 == 0 })
    {
      mapped = data.bytes
      owned = []
      return
    }
    mapped = nil
    let failures = ManagedFlag()
    owned = [Float](unsafeUninitializedCapacity: rows * columns) { buffer, filled in
      guard let base = buffer.baseAddress else { return }
      let shared = SharedPointer(base)
      Parallel.ranges(rows, grain: max(1, 65536 / max(columns, 1))) { range in
        let out = UnsafeMutableBufferPointer(
          start: shared.base + range.lowerBound * columns, count: range.count * columns)
        let flat = range.lowerBound * columns..<range.upperBound * columns
        if !data.readFloats(flat, into: out) {
          out.initialize(repeating: 0)
          failures.raise()
        }
      }
      filled = rows * columns
    }
    if failures.isRaised { return nil }
  }

  /// Calls `body` with the row-major numbers.
  func withPointer<Result>(_ body: (UnsafePointer<Float>) -> Result) -> Result {
    if let moving { return withExtendedLifetime(moving) { body(moving.base) } }
    if let mapped {
      return mapped.withBytes { raw in
        withExtendedLifetime(mapped) {
          raw.withMemoryRebound(to: Float.self) { floats in
            body(floats.baseAddress ?? UnsafePointer(bitPattern: 4).unsafelyUnwrapped)
          }
        }
      }
    }
    return owned.withUnsafeBufferPointer { floats in
      body(floats.baseAddress ?? UnsafePointer(bitPattern: 4).unsafelyUnwrapped)
    }
  }
}

/// Whether floats in memory look like floats in files.
let isLittleEndian = UInt16(1).littleEndian == 1
