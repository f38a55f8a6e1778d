import Support
import Testing

@testable import Passes

/// The algebra of index maps against plain tables of indices.
@Suite struct IndexMapTests {
  /// The map as a table.
  static func table(_ map: IndexMap) -> [Int] { (0..<map.count).map { map($0) } }

  static func extents(_ random: inout SplitMix64, most: Int = 4) -> [Int] {
    (0..<Int.random(in: 1...most, using: &random)).map { _ in Int.random(in: 1...4, using: &random)
    }
  }

  /// Some other extents with the same product.
  static func regrouped(_ count: Int, _ random: inout SplitMix64) -> [Int] {
    var (rest, found) = (count, [Int]())
    while rest > 1 {
      let divisors = (1...rest).filter { rest % $0 == 0 }
      let next = divisors.randomElement(using: &random) ?? rest
      found.append(next)
      rest /= next
    }
    return found.shuffled(using: &random)
  }

  /// A random reshape and transpose, slice, repetition or reversal of a tensor of `count` elements.
  static func map(from count: Int, _ random: inout SplitMix64) -> IndexMap {
    let extents = regrouped(count, &random)
    var strides = IndexMap.strides(of: extents)
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      let order = extents.indices.shuffled(using: &random)
      return IndexMap(extents: order.map { extents[$0] }, strides: order.map { strides[$0] })
    case 1 where !extents.isEmpty:
      let axis = extents.indices.randomElement(using: &random) ?? 0
      let step = Int.random(in: 1...2, using: &random)
      let start = Int.random(in: 0..<extents[axis], using: &random)
      var cut = extents
      cut[axis] = (extents[axis] - start - 1) / step + 1
      let offset = start * strides[axis]
      strides[axis] *= step
      return IndexMap(extents: cut, strides: strides, offset: offset)
    case 2: return IndexMap(extents: [2] + extents, strides: [0] + strides)
    case 3 where !extents.isEmpty:
      let axis = extents.indices.randomElement(using: &random) ?? 0
      let offset = (extents[axis] - 1) * strides[axis]
      strides[axis] = -strides[axis]
      return IndexMap(extents: extents, strides: strides, offset: offset)
    default: return .identity(count)
    }
  }

  /// Two maps are the same functions exactly when they are the same values.
  @Test func normalFormsAreUnique() {
    var random = SplitMix64(seed: 1)
    var seen: [[Int]: IndexMap] = [:]
    var repeats = 0
    for _ in 0..<4000 {
      let count = [4, 6, 8, 12].randomElement(using: &random) ?? 4
      let map = Self.map(from: count, &random)
      let table = Self.table(map)
      #expect(map.range.lowerBound == table.min() && map.range.upperBound == table.max())
      if let other = seen[table] {
        repeats += 1
        #expect(other == map, "\(other) and \(map) are the same function")
      }
      seen[table] = map
    }
    #expect(repeats > 1000)
    #expect(Set(seen.values).count == seen.count)
  }

  @Test func compositionsAreThoseOfTheTables() {
    var random = SplitMix64(seed: 2)
    var (composed, refused) = (0, 0)
    for _ in 0..<4000 {
      let inner = Self.map(
        from: [6, 8, 12, 16, 24].randomElement(using: &random) ?? 8, &random)
      let outer = Self.map(from: inner.count, &random)
      guard let both = outer.then(inner) else {
        refused += 1
        continue
      }
      composed += 1
      #expect(Self.table(both) == Self.table(outer).map { inner($0) }, "\(outer) then \(inner)")
    }
    #expect(composed > 2000)
    #expect(refused > 0)
  }

  /// Whole-tensor reorderings always compose, whatever their digits, when these are powers of two.
  @Test func powersOfTwoAlwaysCompose() {
    var random = SplitMix64(seed: 3)
    for _ in 0..<2000 {
      func reorder(_ random: inout SplitMix64) -> IndexMap {
        let extents = Self.regrouped(64, &random)
        let strides = IndexMap.strides(of: extents)
        let order = extents.indices.shuffled(using: &random)
        return IndexMap(extents: order.map { extents[$0] }, strides: order.map { strides[$0] })
      }
      let (a, b) = (reorder(&random), reorder(&random))
      let both = a.then(b)
      #expect(both.map(Self.table) == Self.table(a).map { b($0) })
    }
  }

  @Test func inversesUndo() {
    var random = SplitMix64(seed: 4)
    var found = 0
    for _ in 0..<2000 {
      let map = Self.map(from: 24, &random)
      let table = Self.table(map)
      let isReordering = table.sorted() == Array(0..<map.count)
      guard let inverse = map.inverse else {
        // Reversals reorder too, but have no inverse that the passes need.
        #expect(!isReordering || map.offset != 0)
        continue
      }
      found += 1
      #expect(isReordering)
      for (index, source) in table.enumerated() { #expect(inverse(source) == index) }
      #expect(inverse.inverse == map)
    }
    #expect(found > 500)
  }

  /// Joining the halves of a tensor gives the tensor; joining them in the other order swaps them.
  @Test func joinsAreThoseOfTheTables() throws {
    let first = IndexMap(extents: [3, 4], strides: [8, 1])
    let second = IndexMap(extents: [3, 4], strides: [8, 1], offset: 4)
    #expect(first.joined(with: second, outer: 3) == .identity(24))
    let swapped = try #require(second.joined(with: first, outer: 3))
    #expect(Self.table(swapped).prefix(8) == [4, 5, 6, 7, 0, 1, 2, 3])
    #expect(swapped == IndexMap(extents: [3, 2, 4], strides: [8, -4, 1], offset: 4))
    #expect(swapped.then(swapped) == .identity(24))
    #expect(first.joined(with: IndexMap(extents: [3, 4], strides: [1, 3]), outer: 3) == nil)
    #expect(first.joined(with: .identity(6), outer: 3) == nil)
  }

  /// What leaves the source or carries between its digits has no composition.
  @Test func carriesAreRefused() {
    let transposed = IndexMap(extents: [3, 4], strides: [1, 3])
    #expect(IndexMap(extents: [5], strides: [2]).then(transposed) == nil)
    #expect(IndexMap(extents: [5], strides: [3]).then(transposed) == nil)
    #expect(
      IndexMap(extents: [3], strides: [4]).then(transposed) == IndexMap(extents: [3], strides: [1]))
  }
}
