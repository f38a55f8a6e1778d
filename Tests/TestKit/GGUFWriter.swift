/// Builds GGUF files for tests, sound ones and others: nothing is checked.
public struct GGUFWriter: Sendable {
  /// A tensor to write.
  public struct Tensor: Sendable {
    public var name: String
    /// Extents, innermost first as the format has them.
    public var dimensions: [UInt64]
    public var type: UInt32
    public var bytes: [UInt8]
    /// Overrides the offset in the data section.
    public var offset: UInt64?

    /// A tensor.
    public init(
      _ name: String, _ dimensions: [UInt64], type: UInt32, bytes: [UInt8], offset: UInt64? = nil
    ) {
      self.name = name
      self.dimensions = dimensions
      self.type = type
      self.bytes = bytes
      self.offset = offset
    }
  }

  public var version: UInt32 = 3
  public var alignment = 32
  public var tensors: [Tensor] = []
  private var entries: [[UInt8]] = []

  /// An empty file.
  public init() {}

  /// Adds a metadata entry whose value is already encoded.
  public mutating func add(_ key: String, type: UInt32, _ value: [UInt8]) {
    entries.append(Self.string(key) + Self.bytes(type) + value)
  }

  /// Adds an unsigned 32-bit entry.
  public mutating func add(_ key: String, _ value: UInt32) {
    add(key, type: 4, Self.bytes(value))
  }

  /// Adds a float entry.
  public mutating func add(_ key: String, _ value: Float) {
    add(key, type: 6, Self.bytes(value.bitPattern))
  }

  /// Adds a string entry.
  public mutating func add(_ key: String, _ value: String) { add(key, type: 8, Self.string(value)) }

  /// Adds an array of strings.
  public mutating func add(_ key: String, _ values: [String]) {
    add(
      key, type: 9,
      Self.bytes(UInt32(8)) + Self.bytes(UInt64(values.count)) + values.flatMap(Self.string))
  }

  /// Adds an array of floats.
  public mutating func add(_ key: String, _ values: [Float]) {
    add(
      key, type: 9,
      Self.bytes(UInt32(6)) + Self.bytes(UInt64(values.count))
        + values.flatMap { Self.bytes($0.bitPattern) })
  }

  /// The header: everything before the data section, without padding.
  public var header: [UInt8] {
    var out = Array("GGUF".utf8) + Self.bytes(version) + Self.bytes(UInt64(tensors.count))
    out += Self.bytes(UInt64(entries.count))
    for entry in entries { out += entry }
    var offset: UInt64 = 0
    for tensor in tensors {
      out += Self.string(tensor.name) + Self.bytes(UInt32(tensor.dimensions.count))
      out += tensor.dimensions.flatMap(Self.bytes)
      out += Self.bytes(tensor.type) + Self.bytes(tensor.offset ?? offset)
      offset += UInt64(padded(tensor.bytes.count))
    }
    return out
  }

  /// The whole file.
  public var file: [UInt8] {
    var out = header
    out += [UInt8](repeating: 0, count: padded(out.count) - out.count)
    for tensor in tensors {
      out += tensor.bytes
      out += [UInt8](repeating: 0, count: padded(tensor.bytes.count) - tensor.bytes.count)
    }
    return out
  }

  private func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

  /// The little-endian bytes of an integer.
  public static func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian, Array.init)
  }

  /// A string as the format writes it.
  public static func string(_ text: String) -> [UInt8] {
    bytes(UInt64(text.utf8.count)) + Array(text.utf8)
  }

  /// Floats as bytes.
  public static func floats(_ values: [Float]) -> [UInt8] {
    values.flatMap { bytes($0.bitPattern) }
  }
}
