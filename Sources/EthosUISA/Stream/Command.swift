/// A decoded command: what it is, where it stood, and its bits.
public struct Command: Sendable, Hashable {
  /// Position among the commands of the stream.
  public let index: Int
  /// Byte offset of its first word in the stream.
  public let byteOffset: Int
  /// What it is.
  public let opcode: Opcode
  /// The first word.
  public let firstWord: UInt32
  /// The second word; 0 for commands of one word.
  public let payload: UInt32

  /// A command at a place of a stream.
  @inlinable
  public init(index: Int, byteOffset: Int, opcode: Opcode, firstWord: UInt32, payload: UInt32) {
    self.index = index
    self.byteOffset = byteOffset
    self.opcode = opcode
    self.firstWord = firstWord
    self.payload = payload
  }

  /// Bits 31 to 16 of the first word.
  @inlinable public var parameter: UInt16 { UInt16(truncatingIfNeeded: firstWord >> 16) }

  /// Number of words: 1 or 2.
  @inlinable public var wordCount: Int { firstWord & 0x4000 == 0 ? 1 : 2 }

  /// The words, as in the stream.
  public var words: [UInt32] { wordCount == 1 ? [firstWord] : [firstWord, payload] }

  /// Both words: the first in the low half.
  @inlinable public var bits: UInt64 { UInt64(payload) << 32 | UInt64(firstWord) }

  /// Whether it starts or orders work instead of writing a register.
  @inlinable public var isOperation: Bool {
    (firstWord & 0x4000 == 0) == (firstWord & 0x3FF < 256)
  }

  /// The 40 bits of an address command, unsigned.
  @inlinable public var address: UInt64 { UInt64(payload) | UInt64(firstWord >> 16 & 0xFF) << 32 }

  /// The address as hardware of `product` sees it: two's complement in 32 or 40 bits.
  @inlinable
  public func signedAddress(on product: Product) -> Int {
    product == .u55
      ? Int(Int32(bitPattern: payload))
      : Int(truncatingIfNeeded: Int64(bitPattern: address << 24) >> 24)
  }

  /// A field's value with its sign; nil when the command of `product` has no such field.
  public func value(_ field: Field, on product: Product) -> Int? {
    InstructionSet.of(product).layout(opcode)?[field]?.value(of: bits)
  }

  /// A field's named value; nil for a missing field or an unknown code.
  public func value<E: Enumeration>(_ field: Field, as _: E.Type, on product: Product) -> E? {
    guard let layout = InstructionSet.of(product).layout(opcode)?[field],
      layout.enumeration == E.id
    else { return nil }
    return E(code: UInt32(truncatingIfNeeded: layout.bits(of: bits)), on: product)
  }
}
