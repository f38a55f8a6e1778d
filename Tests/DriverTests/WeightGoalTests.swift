import Testing

@testable import Driver

/// Sizes as people write them.
@Suite struct WeightGoalTests {
  @Test(arguments: [
    ("4MB", 4_000_000), ("600KiB", 614_400), ("1.5 MiB", 1_572_864), ("12345", 12345),
    ("64kb", 64_000),
  ])
  func sizesAreRead(_ text: String, _ bytes: Int) {
    #expect(WeightGoalOptions.bytes(text) == bytes)
  }

  @Test(arguments: ["", "MB", "-4MB", "0", "4 GB?", "1e99MB", "nan"])
  func otherTextIsNot(_ text: String) {
    #expect(WeightGoalOptions.bytes(text) == nil)
  }

  /// A search over a model of time: `floor` seconds at least, else so many a bit.
  private func searched(rate: Double, fixed: Double, perBit: Double, floor: Double) -> RateSearch {
    var search = RateSearch(rate: rate)
    func seconds(_ bits: Double) -> Double { max(floor, fixed + perBit * bits) }
    search.note(bits: 7.9, seconds: seconds(7.9))
    while let bits = search.next {
      // What is asked for comes out a little off.
      let got = bits * 1.004
      search.note(bits: got, seconds: seconds(got))
    }
    return search
  }

  /// 30 tokens a second: with 4 ms a bit and 10 ms fixed, 5.8 bits are left.
  @Test func aRateLeavesBits() throws {
    let search = searched(rate: 30, fixed: 0.010, perBit: 0.004, floor: 0)
    let best = search.tried[try #require(search.best)]
    #expect(best.seconds <= 1 / 30.0)
    #expect(best.bits > 5.6)
    #expect(search.tried.count <= 6)
  }

  /// Fast enough at 8 bits: nothing else is tried.
  @Test func anEasyRateTakesEightBits() {
    let search = searched(rate: 10, fixed: 0.010, perBit: 0.004, floor: 0)
    #expect(search.tried.count == 1)
    #expect(search.best == 0)
  }

  /// Below the decoder's limit fewer bits buy nothing; the search ends and says so.
  @Test func anImpossibleRateEnds() {
    let search = searched(rate: 100, fixed: 0.010, perBit: 0.001, floor: 0.0125)
    #expect(search.best == nil)
    #expect(search.tried.count <= 6)
  }

  /// A low rate of bits is reached where it must be.
  @Test func aHardRateTakesFewBits() throws {
    let search = searched(rate: 60, fixed: 0.010, perBit: 0.004, floor: 0)
    let best = search.tried[try #require(search.best)]
    #expect(best.bits > 1.5 && best.bits < 1.7)
  }
}
