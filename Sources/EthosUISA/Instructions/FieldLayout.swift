/// Which numbers a field holds.
public enum FieldSign: UInt8, Sendable, Hashable {
  /// 0 and up.
  case unsigned
  /// Two's complement.
  case signed
  /// Decided by another register: numbers of both kinds are accepted, reads are unsigned.
  case either
}

/// Where a field lies in the 64 bits of a command and what it may hold.
public struct FieldLayout: Sendable, Hashable {
  /// The field's name.
  public let field: Field
  /// Lowest bit; 0 is bit 0 of the first word, 32 bit 0 of the second.
  public let lsb: Int
  /// Width in bits. 40 stands for an address: the second word, and bits 23 to 16 of the first.
  public let width: Int
  /// Which numbers it holds.
  public let sign: FieldSign
  /// What the value must be a multiple of.
  public let alignment: Int
  /// The values' names, when they have any.
  public let enumeration: EnumerationID?

  init(
    _ field: Field, _ lsb: Int, _ width: Int, _ sign: FieldSign = .unsigned, alignment: Int = 1,
    enumeration: EnumerationID? = nil
  ) {
    self.field = field
    self.lsb = lsb
    self.width = width
    self.sign = sign
    self.alignment = alignment
    self.enumeration = enumeration
  }

  /// The numbers that can be written.
  public var range: ClosedRange<Int> {
    let unsigned = (1 << width) - 1
    let half = 1 << (width - 1)
    switch sign {
    case .unsigned: return 0...unsigned
    case .signed: return -half...half - 1
    case .either: return -half...unsigned
    }
  }

  /// The bits it occupies.
  public var mask: UInt64 {
    width == 40 ? 0xFFFF_FFFF_00FF_0000 : (1 << UInt64(width) &- 1) << UInt64(lsb)
  }

  /// The field's bits out of a command's 64, unsigned.
  @inlinable
  public func bits(of raw: UInt64) -> UInt64 {
    if width == 40 { return raw >> 32 | (raw >> 16 & 0xFF) << 32 }
    return raw >> UInt64(truncatingIfNeeded: lsb)
      & ((1 << UInt64(truncatingIfNeeded: width)) &- 1)
  }

  /// The field's value out of a command's 64 bits, with its sign.
  @inlinable
  public func value(of raw: UInt64) -> Int {
    let value = bits(of: raw)
    guard sign == .signed else { return Int(truncatingIfNeeded: value) }
    let shift = UInt64(truncatingIfNeeded: 64 &- width)
    return Int(truncatingIfNeeded: Int64(bitPattern: value << shift) >> Int64(shift))
  }

  /// `value` at the field's place; bits that do not fit are dropped.
  public func placed(_ value: Int) -> UInt64 {
    let bits = UInt64(truncatingIfNeeded: value)
    if width == 40 { return bits << 32 | (bits >> 32 & 0xFF) << 16 }
    return bits << UInt64(lsb) & mask
  }
}
