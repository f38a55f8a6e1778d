/// Little-endian signed integers of 1, 2 or 4 bytes, as 64-bit numbers; bytes left over are dropped.
func signedIntegers(_ bytes: [UInt8], elementBytes: Int) -> [Int64] {
  bytes.withUnsafeBytes { raw in
    (0..<raw.count / max(elementBytes, 1)).map { index in
      switch elementBytes {
      case 1: Int64(raw.loadUnaligned(fromByteOffset: index, as: Int8.self))
      case 2:
        Int64(Int16(littleEndian: raw.loadUnaligned(fromByteOffset: 2 * index, as: Int16.self)))
      case 4:
        Int64(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self)))
      default: 0
      }
    }
  }
}
