import Dispatch
import Foundation
import GraphIR
import Support
import TensorCore

/// Looks for infinite and not-a-number weights, which would poison calibration silently.
enum WeightScan {
  /// Throws `import.non-finite` naming every tensor (at most 20) with such a number.
  ///
  /// Of block formats only the scales are read: nothing else in a block can be infinite. Tensors are
  /// scanned in parallel.
  static func requireFinite(_ constants: [Constant], file: String) throws(DiagnosticError) {
    let found = Findings()
    DispatchQueue.concurrentPerform(iterations: constants.count) { index in
      guard let data = constants[index].data, let element = firstNonFinite(data) else { return }
      found.add(index, element)
    }
    let bad = found.sorted
    guard !bad.isEmpty else { return }
    throw DiagnosticError(
      bad.prefix(20).map { index, element in
        Diagnostic(
          "import.non-finite",
          "tensor \(constants[index].name) holds infinity or NaN at or after element \(element)",
          at: SourceLocation(file: file, element: constants[index].name),
          wayOut: "the training run or the conversion went wrong; export the model again")
      })
  }

  /// The flat index of the first bad element; for block formats the first of its block.
  static func firstNonFinite(_ data: ConstantData) -> Int? {
    data.bytes.withBytes { raw in
      switch data.encoding {
      case .blocks(let format):
        return format.firstNonFiniteBlock(raw).map { $0 * format.elementsPerBlock }
      case .dense(.float32):
        return first(raw, UInt32.self, exponent: 0x7F80_0000)
      case .dense(.float16):
        return first(raw, UInt16.self, exponent: 0x7C00)
      case .dense(.bfloat16):
        return first(raw, UInt16.self, exponent: 0x7F80)
      case .dense:
        return nil
      }
    }
  }

  /// The first element whose exponent bits are all ones. Runs of 1024 are tested as a whole, a loop
  /// the compiler can vectorise.
  private static func first<T: FixedWidthInteger & UnsignedInteger>(
    _ raw: UnsafeRawBufferPointer, _ type: T.Type, exponent: T
  ) -> Int? {
    let size = MemoryLayout<T>.size
    let count = raw.count / size
    var start = 0
    while start < count {
      let end = min(start + 1024, count)
      var bad = false
      for i in start..<end {
        let bits = T(littleEndian: raw.loadUnaligned(fromByteOffset: i &* size, as: T.self))
        bad = bad || bits & exponent == exponent
      }
      if bad {
        return (start..<end).first { i in
          let bits = T(littleEndian: raw.loadUnaligned(fromByteOffset: i &* size, as: T.self))
          return bits & exponent == exponent
        }
      }
      start = end
    }
    return nil
  }

  /// What the parallel scans found.
  private final class Findings: @unchecked Sendable {
    private let lock = NSLock()
    private var list: [(Int, Int)] = []

    func add(_ index: Int, _ element: Int) { lock.withLock { list.append((index, element)) } }

    var sorted: [(Int, Int)] { lock.withLock { list.sorted { $0.0 < $1.0 } } }
  }
}
