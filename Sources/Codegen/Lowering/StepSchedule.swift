import GraphIR

/// What one step of a function runs: a group of linear layers as one NPU job, or one CPU kernel.
enum ScheduledStep: Equatable {
  /// Indices of `linear` operations, in execution order.
  case job([Int])
  /// The index of any other operation.
  case kernel(Int)

  /// The operations of the step.
  var operations: [Int] {
    switch self {
    case .job(let group): group
    case .kernel(let index): [index]
    }
  }
}

/// Puts a function's operations into steps.
///
/// Every hop between CPU and NPU costs an interrupt and a wake-up, so a linear layer is pulled
/// forward into an earlier layer's job as soon as its inputs exist: query, key and value make one job
/// even though rotations stand between them in the graph. Linear layers touch no state, so moving
/// them forward is always sound.
enum StepSchedule {
  /// The steps of `function`, covering each operation once, every input defined before its use.
  static func steps(of function: Function) -> [ScheduledStep] {
    var defined = Set(function.inputs)
    var done = Set<Int>()
    var steps: [ScheduledStep] = []
    func isReady(_ operation: Operation) -> Bool {
      operation.operands.allSatisfy {
        if case .value(let id) = $0 { return defined.contains(id) }
        return true
      }
    }
    for (index, operation) in function.operations.enumerated() where !done.contains(index) {
      guard operation.code == .linear else {
        steps.append(.kernel(index))
        done.insert(index)
        defined.formUnion(operation.results)
        continue
      }
      let group = function.operations.indices.filter {
        $0 >= index && !done.contains($0) && function.operations[$0].code == .linear
          && isReady(function.operations[$0])
      }
      steps.append(.job(group))
      done.formUnion(group)
      for member in group { defined.formUnion(function.operations[member].results) }
    }
    return steps
  }
}
