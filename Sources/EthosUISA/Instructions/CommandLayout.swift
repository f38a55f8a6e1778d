/// How some products encode a command.
public struct CommandLayout: Sendable, Hashable {
  /// The command.
  public let opcode: Opcode
  /// The products that encode it so.
  public let products: [Product]
  /// Words: 1 (cmd0) or 2 (cmd1).
  public let words: Int
  /// The number in bits 9 to 0 of the first word.
  public let number: Int
  /// Fields, in the order of Arm's description.
  public let fields: [FieldLayout]
  /// Bits without a meaning that hardware tolerates.
  public let ignoredBits: UInt64

  init(
    _ opcode: Opcode, _ products: [Product], words: Int, number: Int, ignored: UInt64,
    fields: [FieldLayout]
  ) {
    self.opcode = opcode
    self.products = products
    self.words = words
    self.number = number
    self.fields = fields
    ignoredBits = ignored
  }

  /// Whether it starts or orders work instead of writing a register.
  public var isOperation: Bool { (words == 1) == (number < 256) }

  /// The first word with all fields 0.
  public var firstWord: UInt32 { UInt32(number) | (words == 2 ? 1 << 14 : 0) }

  /// Bits that must be 0.
  public var reservedBits: UInt64 {
    var used: UInt64 = 0xFFFF | ignoredBits
    for field in fields { used |= field.mask }
    return ~used & (words == 1 ? 0xFFFF_FFFF : .max)
  }

  /// The layout of `field`, if the command has it.
  public subscript(_ field: Field) -> FieldLayout? { fields.first { $0.field == field } }
}
