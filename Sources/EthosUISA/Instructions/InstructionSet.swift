/// The commands of one product, ready for decoding and encoding.
public struct InstructionSet: Sendable {
  /// The product.
  public let product: Product
  /// Layouts in the order of the table; every one is of this product.
  public let layouts: [CommandLayout]
  /// Place in `layouts` by opcode; 255 when the product lacks it.
  let placeOfOpcode: [UInt8]
  /// Opcode by number, cmd1 numbers 1024 higher; 255 for unknown numbers.
  let opcodeOfNumber: [UInt8]
  /// Reserved bits by opcode.
  let reservedOfOpcode: [UInt64]

  /// The set of `product`.
  public static func of(_ product: Product) -> InstructionSet {
    switch product {
    case .u55: u55
    case .u65: u65
    case .u85: u85
    }
  }

  private static let u55 = InstructionSet(.u55)
  private static let u65 = InstructionSet(.u65)
  private static let u85 = InstructionSet(.u85)

  private init(_ product: Product) {
    self.product = product
    layouts = CommandTable.commands.filter { $0.products.contains(product) }
    var places = [UInt8](repeating: 255, count: Opcode.allCases.count)
    var numbers = [UInt8](repeating: 255, count: 2048)
    var reserved = [UInt64](repeating: .max, count: Opcode.allCases.count)
    for (place, layout) in layouts.enumerated() {
      places[Int(layout.opcode.rawValue)] = UInt8(place)
      numbers[layout.number + (layout.words == 2 ? 1024 : 0)] = layout.opcode.rawValue
      reserved[Int(layout.opcode.rawValue)] = layout.reservedBits
    }
    placeOfOpcode = places
    opcodeOfNumber = numbers
    reservedOfOpcode = reserved
  }

  /// How the product encodes `opcode`; nil when it lacks it.
  public func layout(_ opcode: Opcode) -> CommandLayout? {
    let place = placeOfOpcode[Int(opcode.rawValue)]
    return place == 255 ? nil : layouts[Int(place)]
  }
}
