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
}
