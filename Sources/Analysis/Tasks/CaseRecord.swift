/// What the model answered to one case of a task.
public struct CaseRecord: MeasurementRecord, Equatable {
  /// The case's place in the file.
  public var index: Int
  /// Whether the answer is right.
  public var isRight: Bool
  /// The answer.
  public var answer: String

  /// A record.
  public init(index: Int, isRight: Bool, answer: String) {
    self.index = index
    self.isRight = isRight
    self.answer = answer
  }
}

/// What an evaluation on a task found.
public struct TaskFigures: Sendable, Equatable {
  /// The share of right answers, with the standard error of a share.
  public var exactMatch: Estimate
  /// How many cases there were, and how many were answered right.
  public var cases: Int
  public var right: Int

  /// The figures of some records; nil without records.
  public init?(_ records: [CaseRecord]) {
    guard !records.isEmpty else { return nil }
    cases = records.count
    right = records.count { $0.isRight }
    let share = Double(right) / Double(cases)
    exactMatch = Estimate(
      share, error: cases > 1 ? (share * (1 - share) / Double(cases)).squareRoot() : nil)
  }
}
