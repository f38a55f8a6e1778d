/// One of the thirteen ways to spell the weight codes of a slice: normal with divisor exponents 0…5,
/// truncated with exponents 0…5, and raw.
struct CodeConfiguration: Hashable {
  /// 0…5 normal, 6…11 truncated, 12 raw.
  let index: Int

  /// How many there are.
  static let count = 13

  var isRaw: Bool { index == 12 }
  var isTruncated: Bool { index >= 6 && index < 12 }
  var divisor: Int { isRaw ? 7 : index % 6 }

  /// The configuration with these properties.
  init(divisor: Int, isTruncated: Bool, isRaw: Bool) {
    index = isRaw ? 12 : divisor + (isTruncated ? 6 : 0)
  }

  /// The configuration with an index.
  init(_ index: Int) { self.index = index }

  /// Bits of a code by configuration; `impossible` where Arm's encoders do not use a configuration.
  static func costs(code: Int, rawWidth: Int?, impossible: Int32, noRaw: Int32) -> SIMD16<Int32> {
    var result = SIMD16<Int32>(repeating: 10_000)
    for divisor in 0..<6 {
      let quotient = code >> divisor
      result[divisor] = quotient > 31 ? impossible : Int32(quotient + 1 + divisor)
      result[divisor + 6] = quotient > 2 ? impossible : Int32(min(quotient + 1, 2) + divisor)
    }
    result[12] = rawWidth.map { Int32($0) } ?? noRaw
    return result
  }
}
