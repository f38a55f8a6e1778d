import EthosUISA

/// Values for every field: the smallest that is not 0 and the product's last named value.
struct ArgumentSource {
  let product: Product

  /// A required argument was asked for that the product's command lacks.
  struct Absent: Error {}

  /// A number for a field; nil when the product's command lacks it.
  func number(_ opcode: Opcode, _ field: Field) -> Int? {
    InstructionSet.of(product).layout(opcode)?[field].map { max(1, $0.alignment) }
  }

  /// A named value for a field; nil when the product's command lacks it.
  func code<E: Enumeration>(_ opcode: Opcode, _ field: Field) -> E? {
    guard InstructionSet.of(product).layout(opcode)?[field] != nil else { return nil }
    return Array(E.allCases).last { $0.code(on: product) != nil }
  }

  /// The value of an argument that cannot be left out.
  func present<T>(_ value: T?) throws -> T {
    guard let value else { throw Absent() }
    return value
  }
}
