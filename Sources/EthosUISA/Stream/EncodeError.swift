/// A command that cannot be written: a bug of the caller, with the register and value named.
public struct EncodeError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What is wrong.
  public enum Reason: Sendable, Hashable {
    /// The product has no such command.
    case absentCommand
    /// The product's command has no such field.
    case absentField(Field)
    /// The value does not fit.
    case range(Field, value: Int, allowed: ClosedRange<Int>)
    /// The value is no multiple of what the field wants.
    case alignment(Field, value: Int, multiple: Int)
    /// The product has no such named value.
    case absentCase(Field, String)
    /// The stream exceeds what hardware accepts.
    case streamTooLong(words: Int)
  }

  /// The command.
  public let opcode: Opcode
  /// The product it was written for.
  public let product: Product
  /// What is wrong.
  public let reason: Reason

  /// One line with the register and the value.
  public var description: String {
    let name = "\(product) NPU_\(opcode.name)"
    switch reason {
    case .absentCommand: return "\(name) does not exist"
    case .absentField(let field): return "\(name) has no field \(field.name)"
    case .range(let field, let value, let allowed):
      return "\(name).\(field.name) is \(value), must be \(allowed.lowerBound) to "
        + "\(allowed.upperBound)"
    case .alignment(let field, let value, let multiple):
      return "\(name).\(field.name) is \(value), must be a multiple of \(multiple)"
    case .absentCase(let field, let value): return "\(name).\(field.name) cannot be \(value)"
    case .streamTooLong(let words):
      return "the stream for \(product) has \(words) words, at most \(CommandStream.wordLimit)"
    }
  }
}
