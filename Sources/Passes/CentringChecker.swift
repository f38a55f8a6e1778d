import GraphIR
import Support
import TensorCore

/// Proves that a graph whose residual stream lost its mean computes what it computed, by following both
/// graphs operation by operation.
///
/// Every value of the new graph is the old one, or the old one without the mean of each row, or the old one without
/// a layer norm's shift. What an operation makes of such operands follows from its definition; constants
/// that differ are compared with what they have to be, recomputed in double precision. In the end states and
/// results have to be the old ones. Nothing is taken from the pass but the two graphs.
struct CentringChecker {
  /// What a value of the new graph is to the same value of the old one.
  private enum Relation: Equatable {
    /// The same numbers.
    case same
    /// Each row less its mean.
    case centred
    /// Less the shift of a layer norm. When its factors are all the same number (`isEven`), rows have no mean.
    case unshifted(beta: ConstantID, isEven: Bool)
  }

  /// How a constant was made of another.
  private enum Change: Hashable {
    case rows(ConstantID, ConstantID)
    case columns(ConstantID, ConstantID)
  }

  private let before: Graph
  private let after: Graph
  private var known: [Change: Bool] = [:]
  private var problems: [Diagnostic] = []

  private init(_ before: Graph, _ after: Graph) {
    self.before = before
    self.after = after
  }

  /// Throws `certificate.centring` for everything that is not as it has to be. Both graphs have passed the
  /// verifier.
  static func check(before: Graph, after: Graph) throws(DiagnosticError) {
    var checker = CentringChecker(before, after)
    checker.run()
    if !checker.problems.isEmpty { throw DiagnosticError(checker.problems) }
  }

  private mutating func report(_ message: String, _ element: String) {
    problems.append(
      Diagnostic("certificate.centring", message, at: SourceLocation(element: element)))
  }

  private mutating func run() {
    if before.states != after.states { report("the states differ", "graph") }
    if before.constants.count > after.constants.count {
      return report("constants are gone", "graph")
    }
    for (old, new) in zip(before.constants, after.constants)
    where old.name != new.name || old.type != new.type || !Self.isSame(old.data, new.data) {
      report("constant \(old.name) is another one", "graph")
    }
    guard before.functions.map(\.name) == after.functions.map(\.name) else {
      return report("there are other functions", "graph")
    }
    guard problems.isEmpty else { return }
    for (old, new) in zip(before.functions, after.functions) { follow(old, new) }
  }

  private static func isSame(_ a: ConstantData?, _ b: ConstantData?) -> Bool {
    guard let a, let b else { return a == nil && b == nil }
    return a.encoding == b.encoding && a.bytes.count == b.bytes.count
      && a.bytes.withBytes { x in
        b.bytes.withBytes { y in x.baseAddress == y.baseAddress || x.elementsEqual(y) }
      }
  }

  // MARK: Functions

  private mutating func follow(_ old: Function, _ new: Function) {
    guard old.values == new.values, old.inputs == new.inputs, old.results == new.results,
      old.operations.count == new.operations.count
    else { return report("has other values or operations", "function @\(old.name)") }
    var relations = [Relation](repeating: .same, count: old.values.count)
    for (a, b) in zip(old.operations, new.operations) {
      let site = "\(a.code.rawValue) of \(a.provenance.source) in @\(old.name)"
      guard a.results == b.results, a.provenance == b.provenance, a.attributes == b.attributes
      else { return report("is another operation", site) }
      guard let relation = relation(a, b, relations) else {
        return report("does not mean what it meant", site)
      }
      for id in b.results { relations[id.index] = relation }
    }
    for id in old.results where relations[id.index] != .same {
      report("returns something else", "function @\(old.name)")
    }
  }

  /// What the result of `new` is to that of `old`; nil when nothing can be said.
  private mutating func relation(
    _ old: GraphIR.Operation, _ new: GraphIR.Operation, _ relations: [Relation]
  ) -> Relation? {
    let reads = old.operands.compactMap { operand -> Relation? in
      if case .value(let id) = operand { relations[id.index] } else { nil }
    }
    switch (old.code, new.code) {
    case (.embedding, .embedding):
      guard reads == [.same], old.operands[0] == new.operands[0],
        case .constant(let a) = old.operands[1], case .constant(let b) = new.operands[1]
      else { return nil }
      return a == b ? .same : (holds(.rows(a, b)) ? .centred : nil)
    case (.layerNorm, .rmsNorm):
      guard reads == [.centred], Array(old.operands.prefix(2)) == new.operands,
        case .constant(let gamma) = old.operands[1], case .constant(let beta) = old.operands[2],
        let factors = before[gamma].floats
      else { return nil }
      return .unshifted(beta: beta, isEven: Set(factors).count == 1)
    case (.layerNorm, .layerNorm):
      // It takes the mean away itself.
      return old.operands == new.operands && (reads == [.same] || reads == [.centred]) ? .same : nil
    case (.add, .add):
      guard old.operands == new.operands, reads.count == 2, reads[0] == reads[1] else { return nil }
      return reads[0] == .same || reads[0] == .centred ? reads[0] : nil
    case (.linear, .linear):
      guard old.operands[0] == new.operands[0], let read = reads.first else { return nil }
      return linear(old, new, read)
    default:
      return old == new && reads.allSatisfy { $0 == .same } ? .same : nil
    }
  }

  // MARK: Linear layers

  private mutating func linear(
    _ old: GraphIR.Operation, _ new: GraphIR.Operation, _ read: Relation
  ) -> Relation? {
    guard case .constant(let weights) = old.operands[1], case .constant(let now) = new.operands[1]
    else { return nil }
    var beta: ConstantID?
    var isEven = false
    switch read {
    case .same: break
    case .unshifted(let shift, let even): (beta, isEven) = (shift, even)
    case .centred: return nil
    }
    // Weights without their means over inputs make the same of what has no mean.
    let isCentred: Bool
    if now == weights || (isEven && holds(.rows(weights, now))) {
      isCentred = false
    } else if holds(.columns(weights, now)) {
      isCentred = true
    } else {
      return nil
    }
    let bias = constant(old.operands.dropFirst(2).first)
    let newBias = constant(new.operands.dropFirst(2).first)
    if beta == nil, !isCentred { return bias == newBias ? .same : nil }
    guard let wanted = wantedBias(bias, weights, beta, isCentred) else { return nil }
    let made = newBias.map { after[$0].floats } ?? [Float](repeating: 0, count: wanted.count)
    guard let made, made.count == wanted.count,
      zip(made, wanted).allSatisfy({ abs(Double($0) - $1.value) <= $1.tolerance })
    else { return nil }
    return isCentred ? .centred : .same
  }

  private func constant(_ operand: Operand?) -> ConstantID? {
    if case .constant(let id)? = operand { id } else { nil }
  }

  /// What a bias has to be, and how far rounding may take it from there.
  private func wantedBias(
    _ bias: ConstantID?, _ weights: ConstantID, _ beta: ConstantID?, _ isCentred: Bool
  ) -> [(value: Double, tolerance: Double)]? {
    let outputs = before[weights].type.shape[0]
    var wanted = [(value: Double, tolerance: Double)](repeating: (0, 0), count: outputs)
    // The size of what is added up: each sum may be wrong by a few units in the last place of it.
    var sizes = [Double](repeating: 0, count: outputs)
    if let bias {
      guard let values = before[bias].floats else { return nil }
      for (index, value) in values.enumerated() {
        wanted[index].value = Double(value)
        sizes[index] = abs(Double(value))
      }
    }
    if let beta {
      guard let shift = before[beta].floats, let matrix = before[weights].floats else { return nil }
      matrix.withUnsafeBufferPointer { matrix in
        shift.withUnsafeBufferPointer { shift in
          for row in 0..<outputs {
            var (sum, size) = (0.0, 0.0)
            for column in 0..<shift.count {
              let product = Double(shift[column]) * Double(matrix[row &* shift.count &+ column])
              sum += product
              size += abs(product)
            }
            wanted[row].value += sum
            sizes[row] += size
          }
        }
      }
    }
    if isCentred {
      let mean = wanted.reduce(0) { $0 + $1.value / Double(outputs) }
      let size = sizes.reduce(0) { $0 + $1 / Double(outputs) }
      for index in wanted.indices {
        wanted[index].value -= mean
        sizes[index] += size
      }
    }
    for index in wanted.indices {
      wanted[index].tolerance = 0x1p-22 * abs(wanted[index].value) + 1e-11 * sizes[index]
    }
    return wanted
  }

  // MARK: Matrices

  private mutating func holds(_ change: Change) -> Bool {
    if let answer = known[change] { return answer }
    let answer =
      switch change {
      case .rows(let old, let new): isCentred(old, new, alongRows: true)
      case .columns(let old, let new): isCentred(old, new, alongRows: false)
      }
    known[change] = answer
    return answer
  }

  /// Whether a matrix is another one without the mean of each row, or of each column.
  private func isCentred(_ old: ConstantID, _ new: ConstantID, alongRows: Bool) -> Bool {
    guard before[old].type == after[new].type, before[old].type.shape.rank == 2,
      let from = before[old].floats, let to = after[new].floats, from.count == to.count
    else { return false }
    let (rows, columns) = (before[old].type.shape[0], before[old].type.shape[1])
    let length = Double(alongRows ? columns : rows)
    // Of each line: its sum and that of its magnitudes. Matrices are read as they lie in memory.
    var sums = [Double](repeating: 0, count: alongRows ? rows : columns)
    var sizes = sums
    return from.withUnsafeBufferPointer { from in
      to.withUnsafeBufferPointer { to in
        for row in 0..<rows {
          for column in 0..<columns {
            let value = Double(from[row &* columns &+ column])
            let line = alongRows ? row : column
            sums[line] += value
            sizes[line] += abs(value)
          }
        }
        for row in 0..<rows {
          for column in 0..<columns {
            let line = alongRows ? row : column
            let wanted = Double(from[row &* columns &+ column]) - sums[line] / length
            let slack = 0x1p-22 * abs(wanted) + 1e-11 * sizes[line] / length
            let found = Double(to[row &* columns &+ column])
            guard abs(found - wanted) <= slack else { return false }
          }
        }
        return true
      }
    }
  }
}
