import NPUTiming

/// What a run of NPU jobs did, ready for traces and reports.
public struct RunProfile: Sendable {
  /// One job.
  public struct Job: Sendable {
    /// The job's name.
    public var name: String
    /// Its cycles.
    public var timing: JobTiming
    /// A label for each operation: the layer of the user's model it comes from.
    public var labels: [String]

    /// A job.
    public init(name: String, timing: JobTiming, labels: [String]) {
      self.name = name
      self.timing = timing
      self.labels = labels
    }

    /// The label of an operation.
    func label(_ operation: Int) -> String {
      labels.indices.contains(operation) ? labels[operation] : "operation \(operation)"
    }
  }

  /// An operation's place in the whole run.
  struct Operation {
    var job: Job
    var index: Int
    /// Cycles from the start of the run.
    var start: Int
    var end: Int
    var label: String
    var timing: JobTiming.Operation
  }

  /// What was run, for titles.
  public var title: String
  /// The NPU's name.
  public var npu: String
  /// Its clock in hertz.
  public var clock: Double
  /// Multiply-accumulates a cycle.
  public var macs: Int
  /// The jobs, one after the other.
  public var jobs: [Job]
  /// Joules of the run, if the costs of events are known.
  public var energy: EnergyEstimate?
  /// Bytes in use in working memory over time: cycle and bytes from there on.
  public var occupancy: [Occupancy] = []

  /// Bytes in use from a cycle on.
  public struct Occupancy: Sendable {
    public var cycle: Int
    public var bytes: Int

    /// A point.
    public init(cycle: Int, bytes: Int) {
      self.cycle = cycle
      self.bytes = bytes
    }
  }

  /// A profile.
  public init(title: String, npu: String, clock: Double, macs: Int, jobs: [Job]) {
    self.title = title
    self.npu = npu
    self.clock = clock
    self.macs = macs
    self.jobs = jobs
  }

  /// Cycles of all jobs.
  public var total: Int { jobs.reduce(0) { $0 + $1.timing.total } }

  /// All operations with their places in the run.
  var operations: [Operation] {
    var result: [Operation] = []
    var base = 0
    for job in jobs {
      for (index, operation) in job.timing.operations.enumerated() {
        result.append(
          Operation(
            job: job, index: index, start: base + operation.start, end: base + operation.end,
            label: job.label(index), timing: operation))
      }
      base += job.timing.total
    }
    return result
  }
}
