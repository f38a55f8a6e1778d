/// A command being written: checks every field against the product's layout.
public struct CommandValues: Sendable, Hashable {
  /// The command.
  public let opcode: Opcode
  /// How the product encodes it.
  public let layout: CommandLayout
  /// The bits so far.
  public private(set) var bits: UInt64
  private let product: Product

  /// The command with all fields 0. Throws when `product` lacks it.
  public init(_ opcode: Opcode, on product: Product) throws(EncodeError) {
    guard let layout = InstructionSet.of(product).layout(opcode) else {
      throw EncodeError(opcode: opcode, product: product, reason: .absentCommand)
    }
    self.opcode = opcode
    self.product = product
    self.layout = layout
    bits = UInt64(layout.firstWord)
  }

  /// Sets a number. Nil leaves 0, whether the field exists or not.
  public mutating func put(_ field: Field, _ value: Int?) throws(EncodeError) {
    guard let value else { return }
    guard let place = layout[field] else { throw error(.absentField(field)) }
    guard place.range.contains(value) else {
      throw error(.range(field, value: value, allowed: place.range))
    }
    guard value % place.alignment == 0 else {
      throw error(.alignment(field, value: value, multiple: place.alignment))
    }
    bits = bits & ~place.mask | place.placed(value)
  }

  /// Sets a named value. Nil leaves 0, whether the field exists or not.
  public mutating func put<E: Enumeration>(_ field: Field, _ value: E?) throws(EncodeError) {
    guard let value else { return }
    guard layout[field] != nil else { throw error(.absentField(field)) }
    guard let code = value.code(on: product) else {
      throw error(.absentCase(field, value.name))
    }
    try put(field, Int(code))
  }

  /// The words.
  public var words: [UInt32] {
    let first = UInt32(truncatingIfNeeded: bits)
    return layout.words == 1 ? [first] : [first, UInt32(truncatingIfNeeded: bits >> 32)]
  }

  private func error(_ reason: EncodeError.Reason) -> EncodeError {
    EncodeError(opcode: opcode, product: product, reason: reason)
  }
}
