/// A typed index into one of an owner's arrays: an operation's, a value's, a constant's.
///
/// Values that refer to each other by typed index instead of by reference stay value types, and an
/// index of one kind cannot be used where another is meant.
public struct TypedID<Tag>: Hashable, Comparable, Sendable {
  /// The position in the owner's array.
  public let index: Int

  /// The ID of the element at `index`.
  public init(_ index: Int) { self.index = index }

  /// Orders IDs by position.
  public static func < (a: Self, b: Self) -> Bool { a.index < b.index }
}
