import Foundation

/// The fixed 16-bit look-up table of `Docs/Numerics.md`: 512 words, low half the value at `128 · i − 32768`,
/// high half the step to the next, both signed.
///
/// Three functions share it, each on codes of its own, so that norms and attention need it loaded once:
///
/// | codes | function |
/// |---|---|
/// | −32768 … −1 | `E`: `32700 · 2^(x / 2048)`; 0 for −32768 |
/// | 2048 … 8191 | `Q`: `2^14 · sqrt(8192 / u)` |
/// | 8192 … 16383 | `D`: `2^28 / u` |
///
/// The last 64 words are nobody's, here and in ``roots``: a U55 has 256 bytes of another table there.
public enum FixedTables {
  /// The words.
  public static let shared: [UInt32] =
    words(0..<256) { x in x <= -32768 ? 0 : 32700 * exp2(x / 2048) }
    + words(256..<272) { _ in 32767 }
    + words(272..<320) { u in 16384 * (8192 / u).squareRoot() }
    + words(320..<384) { u in 0x1p28 / u }
    + words(384..<512) { _ in 0 }

  /// The table `R` of norms of rows nearly the same in size: `2^19 / sqrt(u)` at the code `u − 32768`, less half of
  /// what the chord between two words is above it.
  public static let roots: [UInt32] =
    words(0..<448) { code in
      let u = max(code + 32768, 256)
      return 0x1p19 / u.squareRoot() * (1 - 768 / (u * u))
    } + words(448..<512) { _ in 0 }

  /// The words of either table that nothing looks up.
  public static let spareWords = 448..<512

  /// The largest code of `E`, which the largest score gets.
  public static let largestPower = -1
  /// The largest code of `Q`.
  public static let largestRoot = 8191
  /// The largest code of `R`.
  public static let largestWideRoot = 24575
  /// What is added to a sum of squares whose code of `R` is the sum shifted: epsilon, and where codes start.
  public static func rootAddend(epsilon: Int, shift: Int) -> Int { epsilon - 32768 << shift }
  /// The largest code of `D`.
  public static let largestReciprocal = 16383

  /// The least score of a position that holds a token. Those without one count as −2^15, which weighs nothing
  /// beside it.
  public static let lowestScore = -28672

  /// Bytes of a table.
  public static let byteCount = 2048

  /// Some words of the table of a function over 16-bit codes, rounded half away from zero and clamped.
  private static func words(_ range: Range<Int>, _ function: (Double) -> Double) -> [UInt32] {
    func base(_ i: Int) -> Int {
      let y = function(Double(128 * i - 32768)).rounded(.toNearestOrAwayFromZero)
      return Int(min(max(y, -32768), 32767))
    }
    return range.map { i in
      let slope = min(max(base(i + 1) - base(i), -32768), 32767)
      return UInt32(UInt16(truncatingIfNeeded: base(i)))
        | UInt32(UInt16(truncatingIfNeeded: slope)) << 16
    }
  }

  /// The interpolated value of a 16-bit code.
  @inline(__always)
  public static func value(_ code: Int16, _ table: UnsafePointer<UInt32>) -> Int16 {
    let v = Int(code)
    let entry = table[(v + 32768) >> 7]
    let base = Int64(Int16(truncatingIfNeeded: entry))
    let slope = Int64(Int16(truncatingIfNeeded: entry >> 16))
    return Natural.sat16(base &+ (slope &* Int64(v & 127) &+ 64) >> 7)
  }
}
