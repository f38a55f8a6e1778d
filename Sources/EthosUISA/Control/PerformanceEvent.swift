/// Something that a performance counter can count.
public struct PerformanceEvent: Sendable, Hashable {
  /// The number written to an event-type register.
  public let code: Int
  /// The name in Arm's register description.
  public let name: String

  /// The events of `product` by rising code.
  public static func all(of product: Product) -> [PerformanceEvent] {
    table.filter { $0.products.contains(product) }.map(\.event)
  }

  /// The event of `product` called `name`.
  public static func named(_ name: String, of product: Product) -> PerformanceEvent? {
    all(of: product).first { $0.name == name }
  }

  private static let table: [(products: [Product], event: PerformanceEvent)] =
    PerformanceEventTable.text.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ").map(String.init)
      guard parts.count == 3, let code = Int(parts[0]) else { return nil }
      return (Product.list(parts[2]), PerformanceEvent(code: code, name: parts[1]))
    }
}
