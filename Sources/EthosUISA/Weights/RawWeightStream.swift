/// Weight streams in which every weight has a place of its own, so that feature maps can be written where
/// weights are read: an NPU that writes its keys and values there multiplies by them as by any weights.
///
/// A weight takes a byte, or half of one. Two that share a byte are neighbours, the even one in the lower bits. Half
/// bytes are indices of a table of −7 … 7: 8 more than the weight; 0 stands for zero as well, so that bytes nobody has
/// written are zeros.
///
/// Facts: weight-stream specification, sections 1, 2 and 8.2.
public struct RawWeightStream: Hashable, Sendable {
  /// Bits of a weight: 8 or 4.
  public let bits: Int
  /// Whether it is for the U85's fast decoder.
  public let isFast: Bool

  /// The form of streams with so many bits a weight.
  public init(bits: Int, isFast: Bool) {
    precondition(bits == 8 || bits == 4, "weights take a byte or half of one")
    self.bits = bits
    self.isFast = isFast
  }

  /// Weights of a byte.
  public var weightsPerByte: Int { 8 / bits }

  /// The place of weight 0, in weights from the first byte on; the others follow.
  ///
  /// The standard decoder's weight 0 is zero and cannot be written. Weight 1 of 4 bits shares its byte with a header,
  /// so what is written begins with weight 2 there.
  public var start: Int {
    switch (isFast, bits) {
    case (true, _): 32 * weightsPerByte
    case (false, 8): 8
    default: 34
    }
  }

  /// The largest magnitude of a weight.
  public var limit: Int { bits == 8 ? 127 : 7 }

  /// What stands for a weight, those beyond the limit clamped: magnitude and sign in the standard decoder's bytes,
  /// two's complement in the fast decoder's.
  public func code(of weight: Int8) -> UInt8 {
    if bits == 4 { return UInt8(min(max(Int(weight), -limit), limit) + 8) }
    if isFast { return UInt8(bitPattern: weight) }
    return min(weight.magnitude, 127) << 1 | (weight < 0 ? 1 : 0)
  }

  /// The bytes of a stream of zeros.
  ///
  /// - Parameter count: weights; an even number of 2 … 32768 for the standard decoder (a slice has 15 bits for their
  ///   number).
  public func bytes(count: Int) -> [UInt8] {
    isFast ? fast(count: count) : standard(count: count)
  }

  /// Weights of 4 bits by their codes, folded: magnitude and sign.
  private static let table = (0..<16).map { code -> UInt32 in
    let weight = code == 0 ? 0 : code - 8
    return UInt32(weight.magnitude << 1) | (weight < 0 ? 1 : 0)
  }

  /// Raw codes follow each other without gaps, but a first slice's header has 36 bits, and 64 for the table of 4-bit
  /// weights. So the first weight comes in a slice of its own, a Golomb-Rice code that fills up the bits: 36 + 13, and
  /// 23 for the header of the second slice, are nine bytes; 36 + 64 + 17 and 23 are seventeen and a half.
  private func standard(count: Int) -> [UInt8] {
    precondition((2...32768).contains(count), "a slice has 1 … 32767 weights")
    var writer = BitWriter(capacity: count * bits / 8 + 32)
    let isWide = bits == 8
    let remainder = isWide ? 1 : 5
    // No zero runs, one weight, divisor 2 or 32, a new palette.
    writer.write(6, 3)
    writer.write(0, 15)
    writer.write(UInt32(remainder), 3)
    writer.write(0, 1)
    writer.write(1, 1)
    writer.write(0, 5)
    // None, and codes of 8 bits; or sixteen entries of 4 bits.
    writer.write(isWide ? 0 : 15, 5)
    writer.write(isWide ? 6 : 2, 3)
    if !isWide {
      for entry in Self.table { writer.write(entry, 4) }
    }
    // Twelve quotients of 0, and the one remainder.
    writer.write(0, 12 + remainder)
    // The others, raw.
    writer.write(6, 3)
    writer.write(UInt32(count - 2), 15)
    writer.write(7, 3)
    writer.write(0, 2)
    for _ in 1..<count { writer.write(0, bits) }
    writer.write(7, 3)
    writer.finish(alignment: 16)
    return writer.bytes
  }

  private func fast(count: Int) -> [UInt8] {
    var writer = BitWriter(capacity: count * bits / 8 + 64)
    writer.write(bits == 8 ? 1 : 0, 1)
    while writer.bitCount < 112 { writer.write(0, 1) }
    for entry in Self.table { writer.write(bits == 8 ? 0 : entry, 9) }
    for _ in 0..<count { writer.write(0, bits) }
    while writer.bitCount % 256 != 0 { writer.write(0, 4) }
    return writer.bytes
  }
}
