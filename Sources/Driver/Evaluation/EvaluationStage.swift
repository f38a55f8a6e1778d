import ArgumentParser

/// Which form of a model is measured.
enum EvaluationStage: String, ExpressibleByArgument, CaseIterable, Sendable {
  /// The imported graph in floating point.
  case float
  /// The quantised graph, by the interpreter that defines its results.
  case integer
  /// The bytes for a target, on the simulator.
  case compiled
}
