import Support
import TensorCore

// Rules about operands, attributes and forms of single operations.
extension Verifier {
  mutating func checkProvenance(_ op: VerifiedOperation) {
    if op.operation.provenance.source.isEmpty {
      report(.provenance, "does not say where it comes from", in: op)
    }
  }

  mutating func checkOperandCount(_ op: VerifiedOperation) {
    let definition = op.operation.code.definition
    let signatures = [definition.float, definition.integer].compactMap(\.self)
    let counts = signatures.flatMap { [$0.operands.count, $0.operands.count + $0.optional.count] }
    if !counts.contains(op.operation.operands.count) {
      let allowed = Set(counts).sorted().map(String.init).joined(separator: " or ")
      report(
        .operandCount, "has \(op.operation.operands.count) operands instead of \(allowed)", in: op)
    }
    if op.operation.results.count != definition.resultCount {
      report(
        .operandCount,
        "has \(op.operation.results.count) results instead of \(definition.resultCount)", in: op)
    }
  }

  mutating func checkOperandKinds(_ op: VerifiedOperation) {
    let definition = op.operation.code.definition
    // Both forms agree on the kinds of the operands they share; the longer list says all.
    let lists = [definition.float, definition.integer].compactMap { $0 }
      .map { $0.operands + $0.optional }
    guard let parameters = lists.max(by: { $0.count < $1.count }) else { return }
    for (operand, parameter) in zip(op.operation.operands, parameters) {
      let kind: OpDefinition.Kind =
        switch operand {
        case .value: .value
        case .constant: .constant
        case .state: .state
        }
      if kind != parameter.kind {
        report(
          .operandKinds,
          "operand \(parameter.name) is a \(kind.rawValue) instead of a \(parameter.kind.rawValue)",
          in: op)
      }
    }
  }

  mutating func checkForm(_ op: VerifiedOperation) {
    if op.signature == nil {
      report(.form, "has no \(op.form.rawValue) form", in: op)
    }
  }

  /// The operand count again, now of the form that is used.
  mutating func checkFormOperands(_ op: VerifiedOperation) {
    guard let signature = op.signature else { return }
    let count = op.operation.operands.count
    let least = signature.operands.count
    if count != least, count != least + signature.optional.count {
      report(
        .operandCount,
        "has \(count) operands instead of the \(least) of its \(op.form.rawValue) form", in: op)
    }
  }

  mutating func checkAttributes(_ op: VerifiedOperation) {
    guard let signature = op.signature else { return }
    let attributes = op.operation.attributes
    for name in signature.integers {
      guard let value = op.operation.int(name) else {
        report(.attributes, "needs the integer attribute \(name)", in: op)
        continue
      }
      let range = Self.range(of: name)
      if !range.contains(value) {
        report(.attributes, "attribute \(name) = \(value) must be in \(range)", in: op)
      }
    }
    for name in signature.reals {
      guard let value = op.operation.float(name) else {
        report(.attributes, "needs the attribute \(name)", in: op)
        continue
      }
      if !value.isFinite || value < 0 {
        report(.attributes, "attribute \(name) = \(value) must be finite, not negative", in: op)
      }
    }
    for name in signature.lists where op.operation.ints(name) == nil {
      report(.attributes, "needs the attribute \(name), a list of integers", in: op)
    }
    for name in signature.flags where attributes[name] != nil {
      if !(op.operation.int(name).map { (0...1).contains($0) } ?? false) {
        report(.attributes, "attribute \(name) must be 0 or 1", in: op)
      }
    }
    // The integer form of attention keeps the real scale its constants were made from.
    let allowed =
      signature.integers + signature.lists + signature.flags
      + (op.operation.code.definition.float?.reals ?? [])
    for name in attributes.keys.sorted() where !allowed.contains(name) {
      report(.attributes, "has an unknown attribute \(name)", in: op)
    }
  }

  /// The range of an integer attribute (`Docs/Numerics.md`, notation).
  private static func range(of name: String) -> ClosedRange<Int> {
    switch name {
    case "shift", "score_shift", "row_shift": 0...62
    case "multiplier": 0...Int(Int32.max)
    case "eps_q": 0...(1 << 27)
    case "form": 0...NormForm.allCases.count - 1
    case "root_shift": 0...15
    case "head_dim": 2...256
    case "axis": 0...15
    case "start": 0...(1 << 32)
    default: 1...65536
    }
  }
}
