import GraphIR
import Support
import TensorCore

/// The constants of an integer `rms_norm` (`Docs/Numerics.md`).
struct IntegerNorm {
  /// What is known of the rows' sizes.
  enum Form: Int {
    /// Nothing.
    case any
    /// They are alike: no row is made smaller first.
    case alike
    /// They are nearly the same: one look-up makes the inverse root.
    case near
  }

  let form: Form
  let gamma: [Int32]
  let eps: Int
  let rootShift: Int
  let rowShift: Int
  let multiplier: Int
  let shift: Int

  /// What is added to the sum of squares of a ``Form/near`` row: epsilon, and where codes start.
  var rootAddend: Int { eps - 32768 << rootShift }

  /// Reads an operation's attributes.
  init(
    _ operation: GraphIR.Operation, _ reading: GraphReading, gamma: [Int32]
  ) throws(DiagnosticError) {
    func attribute(_ name: String, _ range: ClosedRange<Int>) throws(DiagnosticError) -> Int {
      guard let value = operation.int(name), range.contains(value) else {
        throw GraphReading.malformed(
          operation, "needs an attribute '\(name)' in \(range.lowerBound) ... \(range.upperBound)")
      }
      return value
    }
    form = Form(rawValue: try attribute("form", 0...2)) ?? .any
    self.gamma = gamma
    eps = try attribute("eps_q", 0...1 << 27)
    rootShift = try attribute("root_shift", 0...15)
    rowShift = try attribute("row_shift", 0...62)
    multiplier = try attribute("multiplier", 0...Int(Int32.max))
    shift = try reading.shift(operation, "shift")
  }

  /// Constants as they are.
  init(
    form: Form, gamma: [Int32], eps: Int, rootShift: Int = 0, rowShift: Int = 0,
    multiplier: Int = 1, shift: Int
  ) {
    self.form = form
    self.gamma = gamma
    self.eps = eps
    self.rootShift = rootShift
    self.rowShift = rowShift
    self.multiplier = multiplier
    self.shift = shift
  }
}
