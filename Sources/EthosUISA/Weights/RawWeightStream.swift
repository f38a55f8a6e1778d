/// Weight streams in which every weight has a byte of its own, so that feature maps can be written where
/// weights are read: an NPU that writes its keys and values there multiplies by them as by any weights.
///
/// Facts: weight-stream specification, sections 1, 2 and 8.2.
public enum RawWeightStream {
  /// The bytes of a stream of the standard decoder whose weights are all zero: 16 more than weights.
  ///
  /// Raw codes of 8 bits follow each other without gaps, but a first slice's header has 36 bits. So the
  /// first weight comes in a slice of its own, a Golomb-Rice code that fills up the bits: 36 + 13, and 23
  /// for the header of the second slice, are nine bytes. The first weight is always zero; weight `i` is
  /// byte `8 + i`, as ``code(of:)`` says.
  ///
  /// - Parameter count: weights, 2 … 32768 (a slice has 15 bits for their number).
  public static func standard(count: Int) -> [UInt8] {
    precondition((2...32768).contains(count), "a slice has 1 … 32767 weights")
    var writer = BitWriter(capacity: count + 16)
    // No zero runs, one weight, divisor 2, a new palette without entries, codes of 8 bits.
    writer.write(6, 3)
    writer.write(0, 15)
    writer.write(1, 3)
    writer.write(0, 1)
    writer.write(1, 1)
    writer.write(0, 5)
    writer.write(0, 5)
    writer.write(6, 3)
    // Twelve quotients of 0, and the one remainder.
    writer.write(0, 13)
    // The others, raw.
    writer.write(6, 3)
    writer.write(UInt32(count - 2), 15)
    writer.write(7, 3)
    writer.write(0, 2)
    for _ in 1..<count { writer.write(0, 8) }
    writer.write(7, 3)
    writer.finish(alignment: 16)
    return writer.bytes
  }

  /// Where weight `i > 0` of a standard stream is.
  public static let standardStart = 8

  /// The byte of a weight of −127 … 127 in a standard stream: magnitude and sign. The byte that would be
  /// −128's is −127's.
  public static func code(of weight: Int8) -> UInt8 {
    let magnitude = min(weight.magnitude, 127)
    return magnitude << 1 | (weight < 0 ? 1 : 0)
  }

  /// The bytes of a stream of the fast decoder whose weights are all zero: weight `i` is byte `32 + i`, as
  /// it is.
  public static func fast(count: Int) -> [UInt8] {
    var writer = BitWriter(capacity: count + 64)
    writer.write(1, 1)
    while writer.bitCount < 256 { writer.write(0, 1) }
    for _ in 0..<count { writer.write(0, 8) }
    while writer.bitCount % 256 != 0 { writer.write(0, 8) }
    return writer.bytes
  }

  /// Where weight 0 of a fast stream is.
  public static let fastStart = 32
}
