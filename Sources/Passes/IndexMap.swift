import TensorCore

/// Where each element of a tensor comes from: a map from the flat, row-major index of a result to the
/// flat index of a source, in mixed-radix form.
///
/// The result's index is read as digits, the first one outermost; each digit moves the source's index
/// by its stride: `source = offset + Σ digit · stride`. Every reshape, transpose, expand and slice of
/// a row-major tensor is such a map, and so is a swap of halves (a negative stride).
///
/// Maps are kept in a normal form: no digit of extent one, and no two neighbours that one digit could
/// replace. The innermost digit of the normal form ends where the map first departs from a straight
/// line, and what remains is again such a map, so the normal form is unique: two maps are equal as
/// functions exactly when they are equal as values.
public struct IndexMap: Hashable, Sendable {
  /// One digit of the result's index.
  public struct Digit: Hashable, Sendable {
    /// How many values it takes.
    public var extent: Int
    /// How far one step moves in the source; zero for a repetition.
    public var stride: Int

    /// A digit.
    public init(_ extent: Int, _ stride: Int) {
      self.extent = extent
      self.stride = stride
    }
  }

  /// The digits, outermost first.
  public let digits: [Digit]
  /// The source index of the result's first element.
  public let offset: Int

  /// The map of the given digits, outermost first, brought to normal form. Extents must be positive.
  public init(_ digits: [Digit], offset: Int = 0) {
    var normal: [Digit] = []
    for digit in digits where digit.extent != 1 {
      if let outer = normal.last, outer.stride == digit.stride * digit.extent {
        normal[normal.count - 1] = Digit(outer.extent * digit.extent, digit.stride)
      } else {
        normal.append(digit)
      }
    }
    self.digits = normal
    self.offset = offset
  }

  /// The map of `count` elements to themselves.
  public static func identity(_ count: Int) -> IndexMap { IndexMap([Digit(count, 1)]) }

  /// The map of a result of the given extents into a tensor with a stride for each of its axes.
  public init(extents: [Int], strides: [Int], offset: Int = 0) {
    self.init(zip(extents, strides).map { Digit($0, $1) }, offset: offset)
  }

  /// How many elements the result has.
  public var count: Int { digits.reduce(1) { $0 * $1.extent } }

  /// Whether every element stays where it is.
  public var isIdentity: Bool {
    offset == 0 && (digits.isEmpty || digits == [Digit(count, 1)])
  }

  /// The smallest and the largest source index.
  public var range: ClosedRange<Int> {
    var (low, high) = (offset, offset)
    for digit in digits {
      let reach = (digit.extent - 1) * digit.stride
      if reach < 0 { low += reach } else { high += reach }
    }
    return low...high
  }

  /// The source index of element `index` of the result, in `0 ..< count`.
  public func callAsFunction(_ index: Int) -> Int {
    var (rest, source) = (index, offset)
    for digit in digits.reversed() {
      source += rest % digit.extent * digit.stride
      rest /= digit.extent
    }
    return source
  }

  /// The row-major strides of a shape.
  public static func strides(of extents: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: extents.count)
    for axis in stride(from: extents.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * extents[axis + 1]
    }
    return strides
  }
}

extension IndexMap: CustomStringConvertible {
  /// `offset + [extent:stride …]`, outermost digit first.
  public var description: String {
    let list = digits.map { "\($0.extent):\($0.stride)" }.joined(separator: " ")
    return (offset == 0 ? "" : "\(offset) + ") + "[\(list)]"
  }
}
