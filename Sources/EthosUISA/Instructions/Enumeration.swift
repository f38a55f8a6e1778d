/// Named values of a field whose codes depend on the product.
public protocol Enumeration: RawRepresentable<UInt8>, CaseIterable, Sendable, Hashable {
  /// Its place in the tables.
  static var id: EnumerationID { get }
}

/// One value: its name and its code on each product, -1 where it does not exist.
struct EnumerationMember: Sendable {
  let name: String
  let codes: (Int16, Int16, Int16)

  init(_ name: String, _ u55: Int16, _ u65: Int16, _ u85: Int16) {
    self.name = name
    codes = (u55, u65, u85)
  }

  /// The code on `product`; nil when it has none.
  func code(on product: Product) -> UInt32? {
    let code =
      switch product {
      case .u55: codes.0
      case .u65: codes.1
      case .u85: codes.2
      }
    return UInt32(exactly: code)
  }
}

extension Enumeration {
  /// The code that stands for the value on `product`; nil when that product has no such value.
  public func code(on product: Product) -> UInt32? {
    EnumerationTable.members[Int(Self.id.rawValue)][Int(rawValue)].code(on: product)
  }

  /// The value that `code` stands for on `product`.
  public init?(code: UInt32, on product: Product) {
    let members = EnumerationTable.members[Int(Self.id.rawValue)]
    guard let place = members.firstIndex(where: { $0.code(on: product) == code }) else {
      return nil
    }
    self.init(rawValue: UInt8(place))
  }

  /// The name in Arm's register description.
  public var name: String {
    EnumerationTable.members[Int(Self.id.rawValue)][Int(rawValue)].name
  }
}

extension EnumerationID {
  /// The name that `code` has on `product`; nil for an unknown code.
  public func name(of code: UInt32, on product: Product) -> String? {
    EnumerationTable.members[Int(rawValue)].first { $0.code(on: product) == code }?.name
  }

  /// The names and codes on `product`, in the order of the description.
  public func members(on product: Product) -> [(name: String, code: UInt32)] {
    EnumerationTable.members[Int(rawValue)].compactMap { member in
      member.code(on: product).map { (member.name, $0) }
    }
  }
}
