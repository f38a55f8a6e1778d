/// What was measured on one item (a window of text, a case of a task): small enough to be kept, so that a
/// run can be resumed, and enough to compute every figure from.
public protocol MeasurementRecord: Codable, Sendable {
  /// The item's place in the run.
  var index: Int { get }
}
