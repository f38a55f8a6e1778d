/// Finds where the classic encoder starts a new palette: where the weights of the last while would
/// do with fewer bits of index.
enum ClassicSectionSearch {
  /// Start indices of sections, ascending from 0.
  static func starts(_ weights: UnsafeBufferPointer<Int16>) -> [Int] {
    var starts = [0]
    var section = 0
    var hasPalette = false
    var paletteSize = 0
    var zeros = 0
    var last = [Int](repeating: -1, count: 511)
    // Places of nonzero weights, so that looking back is one step however many zeros lie between.
    var places: [Int] = []
    places.reserveCapacity(weights.count)
    var memo = [Memo](repeating: Memo(), count: 10)
    for (i, weight) in weights.enumerated() {
      let spare = zeros > (i - section) / 4 ? 1 : 0
      let slot = Int(weight) + 255
      if hasPalette && last[slot] < section {
        paletteSize += 1
        let t = paletteSize - 1 - spare
        if (t == 0 || (t > 0 && t & (t - 1) == 0))
          && (i - section - zeros > 512 || paletteSize - spare > 32)
        {
          starts.append(i)
          section = i
          hasPalette = false
          zeros = 0
        }
      }
      last[slot] = i
      if weight == 0 { zeros += 1 } else { places.append(i) }
      // The smallest window divides the larger ones; most weights end here.
      if (i - section - zeros) & 31 != 0 { continue }
      for index in 0..<5 {
        let base = 32 << index
        let window = hasPalette ? 2 * base : base
        let nonzero = i - section - zeros
        guard nonzero > 0, nonzero & (window - 1) == 0 else { continue }
        let back = places.count - (window + 2)
        let start = back >= 0 ? max(section, places[back]) : section
        let key = Memo(start: start, places: places.count, isZero: weight == 0)
        let at = index + (hasPalette ? 5 : 0)
        if memo[at] != key {
          memo[at] = key
          memo[at].distinct = last.reduce(0) { $0 + ($1 >= start ? 1 : 0) }
        }
        let distinct = memo[at].distinct
        var pays = false
        if hasPalette {
          pays =
            window * (width(paletteSize - spare) - width(distinct - spare)) * 15 / 16
            - distinct * 8 - 20 > 0
        } else if distinct - spare <= 32 {
          pays = window * (90 - width(distinct - spare) * 15) / 16 - distinct * 8 - 20 > 0
        }
        guard pays else { continue }
        paletteSize = distinct
        hasPalette = true
        section = start
        if starts[starts.count - 1] != start { starts.append(start) }
        var nonzeroHere = 0
        var place = places.count - 1
        while place >= 0 && places[place] >= start {
          nonzeroHere += 1
          place -= 1
        }
        zeros = i - start + 1 - nonzeroHere
      }
    }
    return starts
  }

  /// The last window that was looked at, since runs of zeros ask for the same again and again.
  private struct Memo: Equatable {
    var start = -1
    var places = -1
    var isZero = false
    var distinct = 0

    static func == (a: Memo, b: Memo) -> Bool {
      a.start == b.start && a.places == b.places && a.isZero == b.isZero
    }
  }

  /// Bits of an index into `count` entries.
  private static func width(_ count: Int) -> Int {
    count <= 1 ? 0 : Int.bitWidth - (count - 1).leadingZeroBitCount
  }
}
