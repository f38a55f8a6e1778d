import GraphIR
import Support
import TensorCore

/// What data movement is left in a graph after the passes, and why.
public struct LayoutReport: Sendable {
  /// A movement operation that is still there.
  public struct Survivor: Hashable, Sendable {
    /// The function.
    public var function: String
    /// What it does: `reshape`, `transpose`, …
    public var operation: String
    /// Where in the user's model it comes from.
    public var site: String
    /// Why no pass removed it.
    public var reason: String
    /// Bytes it writes in a run of the function.
    public var bytes: Int
    /// Estimated NPU cycles of a run: what is read and written, run by run of neighbours, through a port.
    public var cycles: Int
  }

  /// What the estimate of costs needs to know.
  public struct Costs: Sendable {
    /// Bytes of an element: activations are integers by the time they are moved.
    public var elementBytes: Int
    /// Bytes the memory of activations gives or takes in a cycle.
    public var bytesPerCycle: Int

    /// Costs of 16-bit activations behind a port of 8 bytes a cycle, unless said otherwise.
    public init(elementBytes: Int = 2, bytesPerCycle: Int = 8) {
      self.elementBytes = max(elementBytes, 1)
      self.bytesPerCycle = max(bytesPerCycle, 1)
    }
  }

  /// What is left, in the order of functions and operations.
  public var survivors: [Survivor]
  /// How many movement operations the graph had before the passes.
  public var initial: Int
  /// What the passes did.
  public var stages: [PassManager.Stage]

  /// Movement operations that are gone.
  public var removed: Int { initial - survivors.count }
  /// Transposes that are left.
  public var transposes: Int { survivors.count { $0.operation == OpCode.transpose.rawValue } }
  /// Everything else that only moves data and is left.
  public var copies: Int { survivors.count - transposes }

  /// Compares a graph with what the passes made of it.
  public init(before: Graph, outcome: PassManager.Outcome, costs: Costs = Costs()) {
    initial = before.functions.reduce(0) { $0 + $1.operations.count { $0.code.isMovement } }
    stages = outcome.stages
    survivors = outcome.graph.functions.flatMap {
      Self.survivors(of: $0, in: outcome.graph, costs: costs)
    }
  }

  /// One line about what became of layer norms; nil when there were none.
  public var norms: String? {
    guard let stage = stages.first(where: { $0.info == CentreResidual.info }) else { return nil }
    let counted = stage.counters.filter { $0.count > 0 }.map { "\($0.count) \($0.name)" }
    return counted.isEmpty ? nil : counted.joined(separator: ", ")
  }

  /// One line: what is left and what was removed, and what became of layer norms.
  public var summary: String {
    "\(transposes) transposes, \(copies) copies left (\(removed) removed"
      + (removed > 0 ? ", each with a certificate that holds)" : ")")
      + (norms.map { "; \($0)" } ?? "")
  }

  /// Throws `layout.survivor` for each movement operation that is left: `--strict-layout`.
  public func requireNone() throws(DiagnosticError) {
    guard !survivors.isEmpty else { return }
    throw DiagnosticError(
      survivors.map {
        Diagnostic(
          "layout.survivor",
          "\($0.operation) is left: \($0.bytes) bytes, about \($0.cycles) cycles, because "
            + $0.reason,
          at: SourceLocation(element: "function @\($0.function), \($0.site)"),
          wayOut: "compile without --strict-layout to go on all the same")
      })
  }

  private static func survivors(
    of function: Function, in graph: Graph, costs: Costs
  ) -> [Survivor] {
    let views = Views(graph, function)
    let reasons = Self.reasons(views)
    return function.operations.compactMap { operation in
      guard operation.code.isMovement, let result = operation.results.first else { return nil }
      let shape = function[result].type.shape
      return Survivor(
        function: function.name, operation: operation.code.rawValue,
        site: operation.provenance.source,
        reason: reasons[result] ?? "nobody reads it",
        bytes: shape.count * costs.elementBytes,
        cycles: cycles(operation, views, count: shape.count, costs: costs))
    }
  }

  /// Reads and writes of runs of elements that are neighbours on both sides.
  private static func cycles(
    _ operation: GraphIR.Operation, _ views: Views, count: Int, costs: Costs
  ) -> Int {
    var run = count
    if let result = operation.results.first,
      let map = operation.movementMap(
        from: views.shape(operation.operands[0]), to: views.function[result].type.shape),
      let inner = map.digits.last
    {
      run = inner.stride == 1 ? inner.extent : 1
    } else if operation.code == .concat, let outer = views.outerCount(operation) {
      run = max(count / outer / 2, 1)
    }
    let beats = (run * costs.elementBytes + costs.bytesPerCycle - 1) / costs.bytesPerCycle
    return 2 * ((count + run - 1) / run) * beats
  }

  private static let result = "it is a result of the function"

  /// Why the first reader that computes wants the movement before it.
  private static func reasons(_ views: Views) -> [ValueID: String] {
    var reasons: [ValueID: String] = [:]
    for id in views.function.results { reasons[id] = result }
    for operation in views.function.operations.reversed() {
      let reason: String?
      if operation.code.isMovement, operation.code != .concat {
        reason = operation.results.first.flatMap { reasons[$0] }
      } else {
        reason = Self.reason(operation, views, reasons)
      }
      guard let reason else { continue }
      for case .value(let id) in operation.operands { reasons[id] = reason }
    }
    return reasons
  }

  private static func reason(
    _ operation: GraphIR.Operation, _ views: Views, _ reasons: [ValueID: String]
  ) -> String? {
    let name = "\(operation.code.rawValue) of \(operation.provenance.source)"
    let downstream = operation.results.first.flatMap { reasons[$0] }.flatMap {
      $0 == result ? nil : $0
    }
    switch operation.code {
    case .matmul:
      if case .failure(let refusal) = AttentionMatch.find(operation, in: views),
        views.definition(views.view(operation.operands[0]).source, .softmax) != nil
      {
        return "\(name) is no attention: \(refusal.reason)"
      }
      return downstream ?? "\(name) belongs to no attention"
    case .cacheWrite:
      if let state = operation.stateOperand,
        case .failure(let refusal) = AssignCacheLayout.layout(of: state, in: views.graph)
      {
        return "\(name) is not canonical: \(refusal.reason)"
      }
      return "\(name) reads it"
    case .concat, .add:
      // Only what multiplies by rows of a table looks like a rotation.
      if let downstream, operation.code == .concat { return downstream }
      if case .failure(let refusal) = RotaryMatch.find(operation, in: views),
        operation.operands.contains(where: { views.definition($0, .mul) != nil })
      {
        return "\(name) is no rotation: \(refusal.reason)"
      }
      return downstream ?? "\(name) reads it"
    case .softmax, .causalMask, .scale, .negate, .mul:
      return downstream ?? "\(name) reads it"
    default: return "\(name) reads it in this order"
    }
  }
}

extension LayoutReport.Survivor: CustomStringConvertible {
  /// One line: what is left where, what it costs and why it is there.
  public var description: String {
    "\(operation) is left in function @\(function), \(site): \(bytes) bytes, about \(cycles) cycles, "
      + "because \(reason)"
  }
}

extension Graph {
  /// The graph in canonical operations, and what data movement is left.
  ///
  /// Throws as `PassManager.run` does.
  public func canonicalised(
    costs: LayoutReport.Costs = .init()
  ) throws(DiagnosticError) -> (graph: Graph, report: LayoutReport) {
    let outcome = try PassManager.canonical.run(self)
    return (outcome.graph, LayoutReport(before: self, outcome: outcome, costs: costs))
  }
}
