import Foundation
import TensorCore

/// The constants of an `rms_norm` whose rows are nearly the same in size, so that one look-up makes the inverse
/// root of their sum of squares (`Docs/Numerics.md`, `form = 2`).
struct NearRows {
  /// By how much sums of squares are shifted to be looked up.
  let rootShift: Int
  /// Gamma as integers, and the shift behind the row's product with it.
  let gamma: [Int32]
  let rowShift: Int
  /// What the product with the root is multiplied by.
  let output: FixedMultiplier

  /// Sums of squares are looked up below this; the largest seen is half of it at most.
  private static let codes = 57344.0
  /// The least sum looked up: below it a chord of the table is more than 0.13 % off.
  private static let least = 768.0
  /// Room above the largest product of a number and its gamma.
  private static let room = 2.0

  /// The constants; nil for rows that are not alike enough.
  ///
  /// - Parameters:
  ///   - seen: what was seen of the rows.
  ///   - step: their scale.
  ///   - epsilon: what is added to the sum of squares, in steps of 2^16.
  ///   - gamma: factors of the channels, rescalings among them.
  ///   - out: the result's scale.
  init?(_ seen: SiteStatistics, step: Double, epsilon: Double, gamma: [Double], out: Double) {
    guard let squares = seen.rowSquares, seen.channelMax.count == gamma.count else { return nil }
    let unit = step * step * 65536
    let (smallest, largest) = (
      squares.lowerBound / unit + epsilon, squares.upperBound / unit + epsilon
    )
    let shift = max(Int(log2(max(2 * largest / Self.codes, 1)).rounded(.up)), 0)
    guard shift <= 15, smallest / exp2(Double(shift)) >= Self.least else { return nil }
    rootShift = shift
    let top = zip(seen.channelMax, gamma).reduce(0) { max($0, Double($1.0) / step * abs($1.1)) }
    guard top > 0 else { return nil }
    let lift = 32767 / (Self.room * top)
    let back = Double(gamma.count).squareRoot() / (out * lift) * exp2(-27 - Double(shift) / 2)
    guard let common = FixedMultiplier.common(gamma.map { $0 * lift }),
      let output = FixedMultiplier(fixed31: back)
    else { return nil }
    (self.gamma, rowShift) = common
    self.output = output
  }
}
