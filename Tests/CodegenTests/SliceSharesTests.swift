import Support
import Testing

@testable import Codegen

/// Which slices become resident: never more than there is room for, and evenly over a token.
@Suite struct SliceSharesTests {
  @Test func residentSlicesAreSpreadAndFit() {
    var random = SplitMix64(seed: 41)
    for trial in 0..<200 {
      let slices = (0..<40 + Int(random.next() % 200)).map { _ in 1000 + Int(random.next() % 16000)
      }
      let raw = slices.reduce(0, +)
      let room = Int(random.next() % UInt64(raw))
      // Encodings that are smaller than raw, or a little larger.
      let ratio = 0.4 + Double(random.next() % 65) / 100
      var shares = SliceShares(raw: raw, rooms: [.params: room], stagedShare: 256)
      var (resident, passed, worst) = (0, 0, 0.0)
      for (index, bytes) in slices.enumerated() {
        let encoded = Int(Double(bytes) * ratio)
        // Slices are encoded in groups: what they took is known a little later.
        if shares.next(bytes: bytes) == .kept(.params) { resident += encoded }
        shares.encoded(encoded, of: bytes)
        passed += encoded
        if index >= slices.count / 2 {
          let even = Double(passed) * Double(room) / (Double(raw) * ratio)
          worst = max(worst, abs(Double(resident) - min(even, Double(room))))
        }
      }
      #expect(Double(resident) <= Double(room) + 1 + ratio * 17_000, "trial \(trial)")
      // Never further from an even spread than two slices, once the ratio is known.
      let fits = Double(room) < Double(raw) * ratio
      #expect(!fits || worst < 2 * 17_000 * ratio + 0.02 * Double(room), "trial \(trial)")
    }
  }

  /// Two memories beside the slow one: each gets its share of every stretch of slices.
  @Test func severalMemoriesAreSpread() {
    let slices = [Int](repeating: 10_000, count: 120)
    var shares = SliceShares(
      raw: 1_200_000, rooms: [.params: 300_000, .near: 450_000], stagedShare: 256)
    let homes = slices.map { shares.next(bytes: $0) }
    #expect(homes.count { $0 == .kept(.params) } == 30)
    #expect(homes.count { $0 == .kept(.near) } == 45)
    for start in stride(from: 0, to: homes.count, by: 24) {
      let part = homes[start..<start + 24]
      #expect(abs(part.count { $0 == .kept(.params) } - 6) <= 2, "from \(start)")
      #expect(abs(part.count { $0 == .kept(.near) } - 9) <= 2, "from \(start)")
    }
  }

  @Test func nothingIsResidentWithoutRoom() {
    var shares = SliceShares(raw: 100_000, rooms: [.params: 0], stagedShare: 128)
    let homes = (0..<10).map { _ in shares.next(bytes: 10_000) }
    #expect(homes.count { $0 == .staged } == 5)
    #expect(homes.count { $0 == .inPlace } == 5)
  }
}
