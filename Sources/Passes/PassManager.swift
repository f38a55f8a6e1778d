import GraphIR
import Support

/// Runs passes in order, holds each to the rules of the graph and to its certificates, and counts.
public struct PassManager: Sendable {
  /// The passes, in order.
  public let passes: [any GraphPass]

  /// A manager of the given passes.
  public init(_ passes: [any GraphPass]) { self.passes = passes }

  /// What leads from a naive exporter's graph to canonical operations without data movement.
  public static let canonical = PassManager([
    // First: what a rotation reads decides in which order keys are stored.
    FuseRotary(),
    // Next: attention's keys are recognised in the order in which their cache holds them.
    AssignCacheLayout(),
    FuseAttention(),
    // What tensors with an axis for batches leave around sums and activations.
    SinkMovement(),
    // What the others left around their results, up to nothing.
    FoldMovement(),
    // Behind all that moves data: sums and norms have to meet.
    CentreResidual(),
    // Last: the constants that the others replaced.
    DropConstants(),
  ])

  /// What came of it.
  public struct Outcome: Sendable {
    /// The graph after all passes.
    public var graph: Graph
    /// What each pass did.
    public var stages: [Stage]
  }

  /// What one pass did.
  public struct Stage: Sendable {
    /// The pass.
    public var info: PassInfo
    /// Movement operations it removed and added.
    public var removed, added: Int
    /// Certificates that were checked and hold.
    public var certificates: Int
    /// What else it counted.
    public var counters: [Rewrite.Counter]
  }

  /// Runs all passes.
  ///
  /// Throws `verify.*` when the graph, or what a pass made of it, breaks a rule of the representation and
  /// `certificate.*` when a claim of a pass does not hold.
  public func run(_ graph: Graph) throws(DiagnosticError) -> Outcome {
    try Verifier.verify(graph)
    var outcome = Outcome(graph: graph, stages: [])
    for pass in passes {
      var stage = Stage(
        info: type(of: pass).info, removed: 0, added: 0, certificates: 0, counters: [])
      while try apply(pass, to: &outcome.graph, &stage), pass.isRepeated {}
      outcome.stages.append(stage)
    }
    return outcome
  }

  /// Runs one pass once, adds to its counts and says whether it changed a function.
  private func apply(
    _ pass: any GraphPass, to graph: inout Graph, _ stage: inout Stage
  ) throws(DiagnosticError) -> Bool {
    let info = stage.info
    let rewrite = try pass.run(graph)
    do {
      try Verifier.verify(rewrite.graph)
      switch rewrite.proof {
      case .movement: try CertificateChecker.check(before: graph, rewrite: rewrite)
      case .centring: try CentringChecker.check(before: graph, after: rewrite.graph)
      }
    } catch {
      throw DiagnosticError(
        error.diagnostics.map {
          var problem = $0
          problem.notes.append(
            "found after \(info.name): a mistake of the tool, not of the model")
          return problem
        })
    }
    for (old, new) in zip(graph.functions, rewrite.graph.functions) {
      guard let kept = rewrite.kept[old.name] else { continue }
      let stays = Set(kept.values)
      stage.removed += old.operations.indices.count {
        old.operations[$0].code.isMovement && kept[$0] == nil
      }
      stage.added += new.operations.indices.count {
        new.operations[$0].code.isMovement && !stays.contains($0)
      }
    }
    stage.certificates += rewrite.certificates.count + rewrite.constants.count
    for counter in rewrite.counters {
      if let known = stage.counters.firstIndex(where: { $0.name == counter.name }) {
        stage.counters[known].count += counter.count
      } else {
        stage.counters.append(counter)
      }
    }
    graph = rewrite.graph
    return !rewrite.kept.isEmpty
  }
}

extension PassManager.Stage: CustomStringConvertible {
  /// One line: name, movement removed and added, certificates, counters.
  public var description: String {
    let counted = counters.filter { $0.count > 0 }.map { "\($0.count) \($0.name)" }
    return
      ([
        "\(info.name): \(removed) movements removed, \(added) added, \(certificates) certificates hold"
      ] + counted).joined(separator: ", ")
  }
}
