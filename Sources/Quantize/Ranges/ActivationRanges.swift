import GraphIR
import Support

/// How the ranges of 8-bit activations come about from what was seen of them.
///
/// A squared error does not know that all later tokens look at the first one, or that a channel holds up a whole
/// layer; so what it recommends is tried, and the divergence of the model decides (``chosen(for:_:_:judgedBy:progress:)``).
public struct ActivationRanges: Sendable, Hashable {
  /// How far the ranges of channels move into the weights that read them: 0 not at all, 1 until all channels are
  /// alike.
  public var power: Float = 0.5
  /// Whether products of feed-forward layers have the largest value of least squared error instead of that seen.
  public var clipsProducts = false
  /// The same for what norms and attentions make.
  public var clipsOthers = false

  /// The divergence left by a change that is kept: values clipped on other text than was judged may cost more than
  /// smaller gains.
  private static let gain = 0.95

  /// Half way, and nothing clipped.
  public init() {}

  /// Whether what an operation makes has as few bits as a recipe's activations: it is what linear layers read. All
  /// else has 16 or 32.
  static func isNarrow(_ code: OpCode) -> Bool {
    code == .rmsNorm || code == .attention || code == .mul
  }

  /// Whether what an operation makes may be clipped.
  func clips(_ code: OpCode) -> Bool { code == .mul ? clipsProducts : clipsOthers }

  /// The ranges with which 8-bit activations diverge least from a float model: changes are tried one after the other,
  /// and those that gain are kept.
  ///
  /// - Parameters:
  ///   - graph: the float model.
  ///   - calibration: what was seen of it.
  ///   - recipe: weights of few bits have no room for more range than half of it.
  ///   - passages: tokens to judge by, each sequence from position 0.
  static func chosen(
    for graph: Graph, _ calibration: Calibration, _ recipe: QuantizationRecipe,
    judgedBy passages: [[Int32]],
    progress: ObservedModel.Progress = { _, _, _ in }
  ) throws(DiagnosticError) -> ActivationRanges {
    var changes: [(inout ActivationRanges) -> Void] = [{ _ in }, { $0.clipsProducts = true }]
    if recipe.weights?.isFine ?? true { changes.append { $0.power = 0.75 } }
    changes.append { $0.clipsOthers = true }
    var float = RepeatedModel(try FloatLogitModel(graph))
    var best = ActivationRanges()
    var least = Double.infinity
    for (done, change) in changes.enumerated() {
      progress("choosing ranges", done, changes.count)
      var ranges = best
      change(&ranges)
      var calibration = calibration
      calibration.ranges = ranges
      float.repeatAll()
      var integer = try IntegerLogitModel(
        Quantizer.quantize(graph, recipe: .w8a8, calibration: calibration))
      let found = try Evaluation.compare(
        reference: &float, model: &integer, passages
      ).meanDivergence
      if found < Self.gain * least { (best, least) = (ranges, found) }
    }
    progress("choosing ranges", changes.count, changes.count)
    return best
  }
}
