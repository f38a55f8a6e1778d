import GraphIR
import Support

/// A float model with all that quantisation wants to know about it, to quantise it more than once.
public struct ObservedModel: Sendable {
  /// The float graph.
  public let graph: Graph
  /// Ranges of all values.
  public let calibration: Calibration
  /// What errors in weights cost.
  public let curvature: Curvature
  /// Tokens that were only looked at for ranges, to judge results by.
  public let heldOut: [[Int32]]
  /// Tokens to tune scales on: others than those behind ``curvature`` where there were enough.
  public let text: [[Int32]]

  /// Called with what is done, and how much of how much.
  public typealias Progress = (_ stage: String, _ done: Int, _ of: Int) -> Void

  /// Runs token sequences, and text that a small model writes itself, through a float graph.
  ///
  /// - Parameters:
  ///   - recipe: whose activations it will have.
  ///   - tuningTokens: other sequences, which ranges and costs do not need.
  ///   - limit: the most tokens run backwards.
  ///   - holdsOut: whether an eighth of the tokens, 1024 at most, is kept for ``heldOut``.
  public init(
    _ graph: Graph, for recipe: QuantizationRecipe, calibrationTokens sequences: [[Int32]],
    tuningTokens: [[Int32]] = [],
    limit: Int, holdsOut: Bool = false,
    progress: Progress
  ) throws(DiagnosticError) {
    self.graph = graph
    let calibrator = try Calibrator(graph)
    let given = sequences.reduce(0) { $0 + $1.count }
    let wanted = max(
      Calibrator.affordableTokens(parameters: calibrator.parameters), Self.leastTokens - given)
    let own = try calibrator.generate(max(wanted, 0), from: sequences) {
      progress("writing calibration text", $0, $1)
    }
    let seen = sequences + own
    calibration = try calibrator.calibration(sequences, own: own, for: recipe, progress: progress)
    let (watched, kept) = holdsOut ? Self.split(seen) : (seen, [])
    heldOut = kept
    text = tuningTokens.isEmpty ? watched : tuningTokens
    curvature = try CurvatureCollector(graph).collect(watched, limit: limit) {
      progress("watching errors", $0, $1)
    }
  }

  /// Fewer tokens tell too little of how channels go together; what is missing the model writes, at
  /// about a tenth of a second a token for a hundred million weights.
  private static let leastTokens = 4096

  /// The last tokens of every sequence, and what is before them.
  private static func split(_ sequences: [[Int32]]) -> ([[Int32]], [[Int32]]) {
    var (watched, kept): ([[Int32]], [[Int32]]) = ([], [])
    var left = 1024
    for sequence in sequences.sorted(by: { $0.count > $1.count }) {
      let count = min(sequence.count / 8, left)
      if count >= 16 {
        kept.append(Array(sequence.suffix(count)))
        left -= count
      }
      watched.append(Array(sequence.dropLast(count >= 16 ? count : 0)))
    }
    return (watched, kept)
  }
}
