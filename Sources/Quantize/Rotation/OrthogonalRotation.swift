import Foundation
import Support

/// An orthogonal map that spreads what stands out in one channel over all of them, in about `n log n` steps.
///
/// Signs drawn from a fixed seed, then a Hadamard matrix of the largest power of two that divides the width,
/// times a cosine transform (the orthogonal DCT-II) of the odd rest: 288 is 32 · 9. Randomised Hadamard
/// matrices are those of Ashkboos et al., "QuaRot" (2024).
struct OrthogonalRotation: Equatable, Sendable {
  /// Channels.
  let width: Int
  /// Of them, in each cosine transform.
  private let odd: Int
  /// 1 or −1 for each channel, times what makes the Hadamard matrix orthogonal.
  private let signs: [Double]
  /// The cosine transform, row-major.
  private let cosines: [Double]

  /// Larger odd parts have cosine transforms that cost more than all else.
  private static let largestOdd = 1024

  /// Whether channels of a width can be rotated at a reasonable cost: there are several, and their number has no
  /// large odd factor.
  static func suits(_ width: Int) -> Bool {
    width > 1 && width / (width & -width) <= largestOdd
  }

  /// The rotation of a width that suits; the same for the same width.
  init(width: Int) {
    self.width = width
    let power = width & -width
    odd = width / power
    var random = SplitMix64(seed: 0x726F_7461_7465)
    let unit = 1 / Double(power).squareRoot()
    signs = (0..<width).map { _ in random.next() & 1 == 0 ? unit : -unit }
    let (count, size) = (odd, Double(odd))
    cosines = (0..<count * count).map { index in
      let (row, column) = (index / count, index % count)
      let scale = ((row == 0 ? 1 : 2) / size).squareRoot()
      return scale * cos(Double.pi * Double(row) * (Double(column) + 0.5) / size)
    }
  }

  /// Rotates `width` numbers in place.
  ///
  /// - Parameter scratch: room for as many.
  func apply(
    _ values: UnsafeMutableBufferPointer<Double>, scratch: UnsafeMutableBufferPointer<Double>
  ) {
    for i in 0..<width { values[i] *= signs[i] }
    // Channel `a · odd + b`: the Hadamard matrix acts on a, the cosine transform on b.
    var half = odd
    while half < width {
      for start in stride(from: 0, to: width, by: 2 * half) {
        for i in start..<start + half {
          let (x, y) = (values[i], values[i + half])
          values[i] = x + y
          values[i + half] = x - y
        }
      }
      half *= 2
    }
    guard odd > 1 else { return }
    for start in stride(from: 0, to: width, by: odd) {
      for row in 0..<odd {
        var sum = 0.0
        for column in 0..<odd { sum += cosines[row * odd + column] * values[start + column] }
        scratch[row] = sum
      }
      for row in 0..<odd { values[start + row] = scratch[row] }
    }
  }
}
