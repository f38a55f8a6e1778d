/// The fixed-width format of U85's fast weight decoder (FWD): a 256-bit header, then 2-bit or 4-bit
/// indices of a table of 9-bit values, or 8-bit values, filled with zeros up to 32 bytes.
///
/// Facts: the U85 weight encoder of Arm's Vela 5.
public enum FastWeightCodec {
  /// Encodes weights in hardware order, −255…255.
  ///
  /// - Parameter forceRaw: 8-bit values whatever the weights, as 2:4 sparsity asks for.
  public static func encode(
    _ weights: UnsafeBufferPointer<Int16>, forceRaw: Bool = false
  ) throws(WeightStreamError) -> [UInt8] {
    var indexOf = [Int](repeating: -1, count: 512)
    var table: [Int] = []
    var distinct = 0
    var minimum = 0
    var maximum = 0
    for weight in weights {
      guard weight >= -255 && weight <= 255 else {
        throw WeightStreamError(.weightOutOfRange(Int(weight)))
      }
      let folded = StandardWeightEncoder.fold(weight)
      if indexOf[folded] < 0 {
        indexOf[folded] = distinct
        distinct += 1
        if table.count < 16 { table.append(folded) }
        minimum = min(minimum, Int(weight))
        maximum = max(maximum, Int(weight))
      }
    }
    let isRaw = forceRaw || distinct > 16
    let isSmall = !isRaw && distinct <= 4
    var adjustment = 0
    if isRaw {
      if minimum < -128 {
        adjustment = -128 - minimum
      } else if maximum > 127 {
        adjustment = 127 - maximum
      }
      guard minimum + adjustment >= -128, maximum + adjustment <= 127 else {
        throw WeightStreamError(.rangeTooWide(minimum: minimum, maximum: maximum))
      }
      if forceRaw && adjustment != 0 {
        throw WeightStreamError(.rangeTooWide(minimum: minimum, maximum: maximum))
      }
    }
    let width = isRaw ? 8 : isSmall ? 2 : 4
    var writer = BitWriter(capacity: 64 + weights.count * width / 8)
    writer.write(isRaw ? 1 : 0, 1)
    writer.write(isSmall ? 1 : 0, 1)
    for _ in 0..<3 { writer.write(0, 32) }
    writer.write(0, 6)
    writer.write(UInt32(adjustment & 255), 8)
    for i in 0..<16 { writer.write(UInt32(i < table.count ? table[i] : 0), 9) }
    for weight in weights {
      let code =
        isRaw ? (Int(weight) + adjustment) & 255 : indexOf[StandardWeightEncoder.fold(weight)]
      writer.write(UInt32(code), width)
    }
    while writer.bitCount % 256 != 0 { writer.write(0, min(32, 256 - writer.bitCount % 256)) }
    return writer.bytes
  }

  /// Decodes `count` weights; the stream itself does not know how many it has.
  public static func decode(_ bytes: [UInt8], count: Int) throws(WeightStreamError) -> [Int16] {
    guard bytes.count >= 32, count >= 0 else {
      throw WeightStreamError(.truncated, bitOffset: bytes.count * 8)
    }
    let isRaw = bytes[0] & 1 != 0
    let isSmall = bytes[0] & 2 != 0
    if isRaw && isSmall {
      throw WeightStreamError(.invalidHeader(field: "RAW and SMALL", value: 3))
    }
    let width = isRaw ? 8 : isSmall ? 2 : 4
    guard (bytes.count - 32) * (8 / width) >= count else {
      throw WeightStreamError(.truncated, bitOffset: bytes.count * 8)
    }
    var table = [Int16](repeating: 0, count: 256)
    bytes.withUnsafeBufferPointer { bytes in
      var reader = WeightBitReader(bytes)
      for _ in 0..<3 { _ = reader.read(32) }
      _ = reader.read(8)
      let adjustment = Int16(Int8(truncatingIfNeeded: reader.read(8)))
      for i in 0..<16 {
        let folded = Int16(reader.read(9))
        table[i] = folded & 1 != 0 ? -(folded >> 1) : folded >> 1
      }
      guard isRaw else { return }
      for byte in 0..<256 { table[byte] = Int16(Int8(truncatingIfNeeded: byte)) - adjustment }
    }
    let perByte = 8 / width
    let mask = UInt8(truncatingIfNeeded: (1 << width) - 1)
    return [Int16](unsafeUninitializedCapacity: count) { out, written in
      for i in 0..<count {
        let byte = bytes[32 + i / perByte] >> UInt8(i % perByte * width)
        out[i] = table[Int(byte & mask)]
      }
      written = count
    }
  }
}
