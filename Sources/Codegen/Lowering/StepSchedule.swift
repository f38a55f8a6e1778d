import GraphIR

/// What one step of a function runs: operations as one NPU job, or one CPU kernel.
enum ScheduledStep: Equatable {
  /// Indices of operations, in execution order.
  case job([Int])
  /// The index of an operation that a kernel of the runtime computes.
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
/// Every hop between CPU and NPU costs an interrupt and a wake-up, so an operation of the NPU is pulled
/// forward into the running job as soon as its inputs exist. Operations on the same state keep their
/// order.
enum StepSchedule {
  /// The steps of `function`, covering each operation once, every input defined before its use.
  static func steps(of function: Function) -> [ScheduledStep] {
    var defined = Set(function.inputs)
    var done = Set<Int>()
    var steps: [ScheduledStep] = []
    func states(_ index: Int) -> [StateID] {
      function.operations[index].operands.compactMap {
        if case .state(let id) = $0 { return id }
        return nil
      }
    }
    func isReady(_ index: Int) -> Bool {
      let operation = function.operations[index]
      guard
        operation.operands.allSatisfy({
          if case .value(let id) = $0 { return defined.contains(id) }
          return true
        })
      else { return false }
      let own = states(index)
      return own.isEmpty
        || !(0..<index).contains { earlier in
          !done.contains(earlier) && states(earlier).contains(where: own.contains)
        }
    }
    for index in function.operations.indices where !done.contains(index) {
      guard OperationLowering.runsOnNPU(function.operations[index], of: function) else {
        steps.append(.kernel(index))
        done.insert(index)
        defined.formUnion(function.operations[index].results)
        continue
      }
      var group: [Int] = []
      for next in function.operations.indices[index...]
      where !done.contains(next)
        && OperationLowering.runsOnNPU(function.operations[next], of: function) && isReady(next)
      {
        group.append(next)
        done.insert(next)
        defined.formUnion(function.operations[next].results)
      }
      steps.append(.job(group))
    }
    return steps
  }
}
