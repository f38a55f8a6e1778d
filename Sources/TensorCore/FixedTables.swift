import Foundation

/// The fixed 16-bit look-up tables of `Docs/Numerics.md`: 512 words, low half the value at
/// `128 · i − 32768`, high half the step to the next, both signed.
public enum FixedTables {
  /// `E`: powers of two. 32752 stands for the largest score; 4096 steps are a factor of two.
  public static let powers = words { x in
    x <= -32768 ? 0 : 32700 * exp2((x - 32752) / 4096)
  }

  /// The least score of a position that holds a token. Those without one count as −2^15, which weighs nothing
  /// beside it.
  public static let lowestScore = -28672

  /// `Q`: `2^14 · sqrt(32768 / u)` for `u` in 8192 ... 32767; below, the value at 8192.
  public static let inverseRoots = words { u in 16384 * (32768 / max(u, 8192)).squareRoot() }

  /// `D`: `2^29 / u` for `u` in 16384 ... 32767; below, the value at 16384.
  public static let reciprocals = words { u in 0x1p29 / max(u, 16384) }

  /// Bytes of a table.
  public static let byteCount = 2048

  /// The table of a function over 16-bit codes, rounded half away from zero and clamped.
  private static func words(_ function: (Double) -> Double) -> [UInt32] {
    func base(_ i: Int) -> Int {
      let y = function(Double(128 * i - 32768)).rounded(.toNearestOrAwayFromZero)
      return Int(min(max(y, -32768), 32767))
    }
    return (0..<512).map { i in
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
