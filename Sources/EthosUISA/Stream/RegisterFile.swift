/// What the stream registers hold at some point of a stream.
///
/// Registers that were never written read as nil: there are no initial values to rely on.
public struct RegisterFile: Sendable, Hashable {
  /// The product.
  public let product: Product
  private var bits: [UInt64]
  private var written: [Bool]

  /// Registers before the first command.
  public init(_ product: Product) {
    self.product = product
    bits = Array(repeating: 0, count: Opcode.allCases.count)
    written = Array(repeating: false, count: Opcode.allCases.count)
  }

  /// Stores a register write and tells whether the register held something else; operations change
  /// nothing.
  @discardableResult
  public mutating func apply(_ command: Command) -> Bool {
    guard !command.isOperation else { return false }
    let place = Int(command.opcode.rawValue)
    let changed = !written[place] || bits[place] != command.bits
    bits[place] = command.bits
    written[place] = true
    return changed
  }

  /// The words last written to `register`, the first in the low half; nil when never written.
  public func rawBits(_ register: Opcode) -> UInt64? {
    let place = Int(register.rawValue)
    return written[place] ? bits[place] : nil
  }

  /// A field's value with its sign; nil when never written or when the product lacks it.
  public func value(_ register: Opcode, _ field: Field) -> Int? {
    guard let raw = rawBits(register),
      let layout = InstructionSet.of(product).layout(register)?[field]
    else { return nil }
    return layout.value(of: raw)
  }

  /// A field's named value; nil when never written, or for a code without a name.
  public func value<E: Enumeration>(_ register: Opcode, _ field: Field, as _: E.Type) -> E? {
    guard let raw = rawBits(register),
      let layout = InstructionSet.of(product).layout(register)?[field], layout.enumeration == E.id
    else { return nil }
    return E(code: UInt32(truncatingIfNeeded: layout.bits(of: raw)), on: product)
  }

  /// A register that holds a size minus one, as the size.
  public func size(_ register: Opcode, _ field: Field) -> Int? {
    value(register, field).map { $0 + 1 }
  }
}
