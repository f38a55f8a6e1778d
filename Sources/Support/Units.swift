/// A number of clock cycles.
public struct Cycles: Hashable, Comparable, Sendable {
  /// The number.
  public let count: Int

  /// That many cycles.
  public init(_ count: Int) { self.count = count }

  /// Orders by number.
  public static func < (a: Self, b: Self) -> Bool { a.count < b.count }

  /// The sum.
  public static func + (a: Self, b: Self) -> Self { Cycles(a.count + b.count) }
}

/// A number of bytes.
public struct Bytes: Hashable, Comparable, Sendable {
  /// The number.
  public let count: Int

  /// That many bytes.
  public init(_ count: Int) { self.count = count }

  /// Orders by number.
  public static func < (a: Self, b: Self) -> Bool { a.count < b.count }
}

/// A frequency.
public struct Hertz: Hashable, Comparable, Sendable {
  /// Cycles a second.
  public let value: Double

  /// That many cycles a second.
  public init(_ value: Double) { self.value = value }

  /// Orders by value.
  public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
}

/// A transfer rate.
public struct Bandwidth: Hashable, Comparable, Sendable {
  /// Bytes a second.
  public let bytesPerSecond: Double

  /// That many bytes a second.
  public init(bytesPerSecond: Double) { self.bytesPerSecond = bytesPerSecond }

  /// Orders by rate.
  public static func < (a: Self, b: Self) -> Bool { a.bytesPerSecond < b.bytesPerSecond }

  /// Bytes in one cycle of the given clock.
  public func bytesPerCycle(at clock: Hertz) -> Double { bytesPerSecond / clock.value }
}
