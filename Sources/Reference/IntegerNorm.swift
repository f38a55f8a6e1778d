import GraphIR
import Support
import TensorCore

/// The constants of an integer `rms_norm` (`Docs/Numerics.md`).
struct IntegerNorm {
  let form: NormForm
  let gamma: [Int32]
  let eps: Int
  var rootShift = 0
  var rowShift = 0
  var multiplier = 1
  let shift: Int
}

extension IntegerNorm {
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
    guard let form = operation.int("form").flatMap(NormForm.init) else {
      throw GraphReading.malformed(operation, "needs an attribute 'form' that there is")
    }
    self.init(
      form: form, gamma: gamma, eps: try attribute("eps_q", 0...1 << 27),
      rootShift: try attribute("root_shift", 0...15), rowShift: try attribute("row_shift", 0...62),
      multiplier: try attribute("multiplier", 0...Int(Int32.max)),
      shift: try reading.shift(operation, "shift"))
  }
}
