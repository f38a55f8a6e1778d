import TensorCore

/// Bias, multiplier and shift of the OFM channels.
struct ScaleRecords {
  var bias: [Int64]
  var scales: [FixedScale]

  /// Bytes of a record.
  static let recordBytes = 10

  /// Reads the 10-byte records of U55 and U65: bias 40 bits, multiplier 32, shift 6.
  ///
  /// - Parameter streams: one a core; core `k` of `n` holds channels `k, k + n, ...`.
  init(_ streams: [MemorySpan], channels: Int) throws(Fault) {
    bias = [Int64](repeating: 0, count: channels)
    scales = [FixedScale](repeating: .one, count: channels)
    for (core, span) in streams.enumerated() {
      let own = stride(from: core, to: channels, by: streams.count)
      let records = (channels - core + streams.count - 1) / streams.count
      guard records <= 0 || span.range.count >= records * Self.recordBytes else {
        throw .illegalValue(
          register: "scaleLength", value: span.range.count,
          legal: "at least \(records * Self.recordBytes) for \(records) channels")
      }
      var record = UnsafeRawPointer(span.base)
      for channel in own {
        let low = UInt64(
          littleEndian: record.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
        let high = UInt16(
          littleEndian: record.loadUnaligned(fromByteOffset: 8, as: UInt16.self))
        bias[channel] = Int64(bitPattern: low << 24) >> 24
        let multiplier =
          UInt32(truncatingIfNeeded: low >> 40) | UInt32(high & 0xFF) << 24
        scales[channel] = FixedScale(multiplier: multiplier, shift: Int(high >> 8) & 63)
        record += Self.recordBytes
      }
    }
  }

  /// Reads the 10-byte records of U85: bias 32 bits and multiplier 31, or bias 48 bits and multiplier 15;
  /// then the shift.
  ///
  /// - Parameters:
  ///   - stream: one record a channel; `nil` when the operation has none and biases are 0.
  ///   - isWide: whether accumulators have 48 bits.
  init(u85 stream: MemorySpan?, channels: Int, isWide: Bool) throws(Fault) {
    bias = [Int64](repeating: 0, count: channels)
    scales = [FixedScale](repeating: .one, count: channels)
    guard let stream, !stream.range.isEmpty else { return }
    guard stream.range.count / Self.recordBytes >= channels else {
      throw .illegalValue(
        register: "scaleLength", value: stream.range.count,
        legal: "at least \(channels * Self.recordBytes) for \(channels) channels")
    }
    var record = UnsafeRawPointer(stream.base)
    for channel in 0..<channels {
      let low = Int64(littleEndian: record.loadUnaligned(fromByteOffset: 0, as: Int64.self))
      let shift = Int(record.load(fromByteOffset: 8, as: UInt8.self))
      bias[channel] = isWide ? (low << 16) >> 16 : Int64(Int32(truncatingIfNeeded: low))
      let multiplier =
        isWide
        ? UInt32(truncatingIfNeeded: low >> 48) & 0x7FFF
        : UInt32(truncatingIfNeeded: low >> 32) & 0x7FFF_FFFF
      scales[channel] = FixedScale(multiplier: multiplier, shift: shift)
      record += Self.recordBytes
    }
  }
}
