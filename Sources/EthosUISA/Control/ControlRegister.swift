/// A register that the host reaches over the APB bus.
public struct ControlRegister: Sendable, Hashable {
  /// A bit field.
  public struct BitField: Sendable, Hashable {
    /// The name.
    public let name: String
    /// Lowest bit.
    public let lsb: Int
    /// Width in bits.
    public let width: Int
    /// The name of the values' enumeration, if they have names.
    public let enumeration: String?
  }

  /// The name; registers of an array have one entry.
  public let name: String
  /// Byte offset of the first.
  public let offset: Int
  /// Width in bits: 32 or 64.
  public let bits: Int
  /// Value after reset of the reference implementation.
  public let reset: UInt64
  /// Registers in the array, one after the other.
  public let count: Int
  /// Fields, lowest first.
  public let fields: [BitField]

  /// The registers of `product` by rising offset.
  public static func all(of product: Product) -> [ControlRegister] {
    table.filter { $0.products.contains(product) }.map(\.register)
  }

  /// The register of `product` at `offset`, counting array elements.
  public static func at(_ offset: Int, of product: Product) -> ControlRegister? {
    all(of: product).first {
      offset >= $0.offset && offset < $0.offset + $0.count * $0.bits / 8
    }
  }

  private static let table: [(products: [Product], register: ControlRegister)] =
    ControlRegisterTable.text.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ").map(String.init)
      guard parts.count >= 6, let offset = number(parts[0]), let bits = Int(parts[3]),
        let reset = number(parts[4]), let count = Int(parts[5].dropFirst())
      else { return nil }
      let fields = parts[6...].compactMap(field)
      return (
        Product.list(parts[2]),
        ControlRegister(
          name: parts[1], offset: offset, bits: bits, reset: UInt64(reset), count: count,
          fields: fields)
      )
    }

  private static func number(_ text: String) -> Int? {
    text.hasPrefix("0x") ? Int(text.dropFirst(2), radix: 16) : Int(text)
  }

  /// `NAME:LSB+WIDTH[=ENUM]`.
  private static func field(_ text: String) -> BitField? {
    let parts = text.split { ":+=".contains($0) }.map(String.init)
    guard parts.count >= 3, let lsb = Int(parts[1]), let width = Int(parts[2]) else { return nil }
    return BitField(
      name: parts[0], lsb: lsb, width: width, enumeration: parts.count > 3 ? parts[3] : nil)
  }
}

extension Product {
  /// The products that the digits of the data file name: 5, 6, 8.
  static func list(_ digits: String) -> [Product] {
    digits.compactMap { digit in
      switch digit {
      case "5": .u55
      case "6": .u65
      case "8": .u85
      default: nil
      }
    }
  }
}
