// Composition, inversion and joining of index maps.
extension IndexMap {
  /// The map that follows `self` first and `inner` then: `result(i) = inner(self(i))`.
  ///
  /// Nil when the composition is no mixed-radix map (a step of `self` would carry from one digit of
  /// `inner` into the next) or when `self` leaves the elements that `inner` has.
  public func then(_ inner: IndexMap) -> IndexMap? {
    let bounds = range
    guard bounds.lowerBound >= 0, bounds.upperBound < inner.count else { return nil }
    // Digits with negative strides count from their end, so that all steps are upwards.
    var low = offset
    for digit in digits where digit.stride < 0 { low += (digit.extent - 1) * digit.stride }
    var reach = inner.split(low)
    var parts: [Digit] = []
    var start = inner.offset
    for (radix, position) in zip(inner.digits, reach) { start += position * radix.stride }
    for digit in digits {
      guard let pieces = inner.steps(Digit(digit.extent, abs(digit.stride))) else { return nil }
      for piece in pieces {
        let stride = piece.radix.map { inner.digits[$0].stride * piece.step } ?? 0
        if let radix = piece.radix { reach[radix] += (piece.extent - 1) * piece.step }
        // A digit that counts from its end starts at the last of its steps.
        if digit.stride < 0 { start += (piece.extent - 1) * stride }
        parts.append(Digit(piece.extent, digit.stride < 0 ? -stride : stride))
      }
    }
    // Within each digit of `inner` all steps together must not carry.
    for (radix, top) in zip(inner.digits, reach) where top >= radix.extent { return nil }
    return IndexMap(parts, offset: start)
  }

  /// The inverse of a map that reorders its elements; nil when it drops or repeats some.
  public var inverse: IndexMap? {
    guard range == 0...(count - 1), offset == 0 else { return nil }
    // The digits sorted by stride must form a row-major order of all elements.
    let strides = Self.strides(of: digits.map(\.extent))
    let order = digits.indices.sorted { digits[$0].stride > digits[$1].stride }
    var expected = count
    for index in order {
      expected /= digits[index].extent
      guard digits[index].stride == expected else { return nil }
    }
    return IndexMap(order.map { Digit(digits[$0].extent, strides[$0]) })
  }

  /// The map of a result whose outer half comes by `self` and whose inner half by `second`, repeated
  /// `outer` times; nil when the two differ by more than where they start.
  ///
  /// `outer` is the product of the extents in front of the joined axis; both have as many elements.
  public func joined(with second: IndexMap, outer: Int) -> IndexMap? {
    guard count == second.count, outer > 0, count % outer == 0,
      let cut = split(at: count / outer), let other = second.split(at: second.count / outer),
      cut == other
    else { return nil }
    return IndexMap(
      cut.outer + [Digit(2, second.offset - offset)] + cut.inner, offset: offset)
  }

  /// The digits cut in two, so that the inner ones have `count` elements; nil when no cut fits.
  public func split(at count: Int) -> Cut? {
    var (rest, outer, inner) = (count, digits, [Digit]())
    while rest > 1, let last = outer.popLast() {
      if rest % last.extent == 0 {
        inner.insert(last, at: 0)
        rest /= last.extent
      } else if last.extent % rest == 0 {
        inner.insert(Digit(rest, last.stride), at: 0)
        outer.append(Digit(last.extent / rest, last.stride * rest))
        rest = 1
      } else {
        return nil
      }
    }
    return rest == 1 ? Cut(outer: outer, inner: inner) : nil
  }

  /// Digits cut in two.
  public struct Cut: Hashable, Sendable {
    /// The outer digits.
    public var outer: [Digit]
    /// The inner digits.
    public var inner: [Digit]
  }

  /// The digits of an index of this map's result.
  private func split(_ index: Int) -> [Int] {
    var (rest, found) = (index, [Int](repeating: 0, count: digits.count))
    for i in digits.indices.reversed() {
      found[i] = rest % digits[i].extent
      rest /= digits[i].extent
    }
    return found
  }

  /// A part of a digit that steps within one of this map's digits; none for steps of zero.
  private struct Piece {
    var extent: Int
    var radix: Int?
    var step: Int
  }

  /// A digit of upward steps in this map's result, as parts that each step within one digit of it,
  /// outermost first.
  private func steps(_ digit: Digit) -> [Piece]? {
    guard digit.stride != 0 else { return [Piece(extent: digit.extent, radix: nil, step: 0)] }
    var pieces: [Piece] = []
    var (extent, stride, weight) = (digit.extent, digit.stride, 1)
    for radix in digits.indices.reversed() {
      let next = weight * digits[radix].extent
      defer { weight = next }
      if stride >= next { continue }
      guard stride % weight == 0 else { return nil }
      let step = stride / weight
      let fits = (extent - 1) * step < digits[radix].extent
      if fits {
        pieces.insert(Piece(extent: extent, radix: radix, step: step), at: 0)
        return pieces
      }
      // The inner part fills this digit; the rest steps in the digits outside.
      guard digits[radix].extent % step == 0 else { return nil }
      let inner = digits[radix].extent / step
      guard extent % inner == 0 else { return nil }
      if inner > 1 { pieces.insert(Piece(extent: inner, radix: radix, step: step), at: 0) }
      extent /= inner
      stride = next
    }
    return extent == 1 ? pieces : nil
  }
}
