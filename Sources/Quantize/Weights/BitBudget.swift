import Foundation

/// Keeps layers that are rounded one after the other within a number of bits: what the earlier ones
/// took beyond what was expected of them the later ones make good.
///
/// All steps follow from one number (``WeightSolver``), and moving it by a few thousandths half way
/// loses nothing that could be measured: the best point is flat.
struct BitBudget {
  /// Bits that all layers may take together.
  let limit: Double
  /// The step of loss for the layers to be rounded next.
  private(set) var lossStep: Double

  private let first: Double
  private var spent = 0.0
  /// Of the last layers' steps, the largest that took too many bits and the smallest that did not.
  private var fine: Double?
  private var coarse: Double?
  /// Of the layers not rounded yet, the bits expected at the first step, and the weights.
  private var left: (bits: Double, count: Double)

  /// A doubled step saves half a bit at high rates, less where few bits are left.
  private static let stepsPerBit = 2.0

  /// The budget of layers from which `expected` bits are expected at `lossStep`, all `count` weights
  /// together.
  init(limit: Double, expected: Double, count: Int, lossStep: Double) {
    self.limit = limit
    self.lossStep = lossStep
    first = lossStep
    left = (expected, Double(count))
    steer()
  }

  /// Chooses the step at which the layers left take what is left.
  private mutating func steer() {
    guard left.count > 0 else { return }
    let excess = (left.bits - (limit - spent)) / left.count
    lossStep = first * exp2(min(max(Self.stepsPerBit * excess, -2), 2))
  }

  /// Takes note of layers that were rounded, and chooses the step of those that follow.
  ///
  /// - Parameters:
  ///   - bits: what they take.
  ///   - expected: what was expected of them at the first step.
  mutating func spend(bits: Int, expected: Double, count: Int) {
    spent += Double(bits)
    left.bits -= expected
    left.count -= Double(count)
    steer()
  }

  /// Whether layers that take so many bits fit, when none follow.
  func fits(bits: Int) -> Bool { spent + Double(bits) <= limit }

  /// Whether they fit and leave hardly anything.
  func isFilled(bits: Int) -> Bool { fits(bits: bits) && spent + Double(bits) > 0.998 * limit }

  /// Chooses another step for the last layers, which took too many bits or left too many at the step they
  /// were rounded with. Between a step that is too fine and one that is too coarse it stays between them.
  mutating func retry(bits: Int, count: Int) {
    if fits(bits: bits) {
      coarse = min(coarse ?? lossStep, lossStep)
    } else {
      fine = max(fine ?? lossStep, lossStep)
    }
    let excess = (spent + Double(bits) - 0.999 * limit) / Double(max(count, 1))
    lossStep *= exp2(min(max(Self.stepsPerBit * excess, -2), 2))
    guard let fine, let coarse, fine < coarse else { return }
    if lossStep <= fine || lossStep >= coarse { lossStep = (fine * coarse).squareRoot() }
  }
}
