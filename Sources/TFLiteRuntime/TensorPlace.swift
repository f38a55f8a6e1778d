import Containers
import NPUSim

/// Where a tensor's bytes are: a window of a memory bank.
struct TensorPlace {
  /// The memory.
  let bank: MemoryBank
  /// First byte in the bank.
  let offset: Int
  /// Bytes of the tensor.
  let count: Int

  /// The bytes now.
  var bytes: [UInt8] { bank.read(offset..<offset + count) }

  /// Replaces the bytes; `false` when their number is another.
  func write(_ source: [UInt8]) -> Bool {
    source.count == count && bank.write(source, at: offset)
  }
}
