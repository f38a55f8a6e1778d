/// How the weights of linear layers are rounded.
public struct WeightMethod: Hashable, Sendable {
  /// Which integers a weight may become.
  public enum Grid: Hashable, Sendable {
    /// −limit…limit with the step that errs least in each output channel.
    case levels(limit: Int)
    /// This many values chosen for each matrix, zero among them, for decoders that read a table.
    case codebook(size: Int)
    /// Any 8-bit integer; steps follow what errors cost, so that `lossStep` is the cost of one step
    /// in nats (times 24 what a weight loses on average). A larger one gives fewer bits.
    case lossStep(Double)
    /// As `lossStep`, chosen for a mean of this many bits a weight in the stream.
    case bitsPerWeight(Double)
  }

  /// The grid.
  public var grid: Grid
  /// Whether a channel's error is made good in later channels (GPTQ).
  public var usesFeedback = true
  /// The least share of each product of two channels that is not believed; few tokens raise it.
  public var shrinkage: Float = 0.01
  /// Whether a row's error is made good in later rows.
  public var feedsRows = true
  /// The same as ``shrinkage`` for the rows' gradients.
  public var rowShrinkage: Float = 0.01
  /// Whether channels are rounded largest first.
  public var ordersByActivity = true
  /// How much of a channel's cost is moved out of the weights into the operation before: 0 none,
  /// 1 all, so that all channels cost the same.
  public var columnPower: Float = 0.5
  /// Whether ``columnPower`` is searched, where the grid asks for bits.
  public var searchesPower = false
  /// How strongly choices weigh bits; 0 rounds to the nearest, 1 is the rate of exchange at which
  /// a finer step would buy the same.
  public var rateWeight: Float = 0
  /// Steps of ``ScaleTuner`` after rounding.
  public var tuningSteps = 0
  /// Steps of ``WeightCompensator`` while layers are rounded.
  public var compensationSteps = 0
  /// How far these steps go (``WeightCompensator/rate``).
  public var compensationRate: Float = 0.6
  /// The most tokens run backwards to see what errors cost.
  public var curvatureTokens = 8192

  /// Weights of a depth slice, about, which have a palette to themselves; nil where a layer is one slice.
  public var sliceWeights: Int? = 16_384

  /// Whether weights keep about eight bits, so that their errors do not outweigh those of the caches.
  var isFine: Bool {
    if case .levels(let limit) = grid { limit >= 64 } else { false }
  }

  /// A method for a grid.
  public init(grid: Grid) { self.grid = grid }

  /// Second-order rounding to 8 bits.
  public static let eightBit = WeightMethod(grid: .levels(limit: 127))
  /// Second-order rounding to 15 levels, which fit a fixed 4-bit code.
  public static let fourBit: WeightMethod = {
    var method = WeightMethod(grid: .levels(limit: 7))
    // Few levels clip what scaling makes large.
    method.columnPower = 0.25
    return method
  }()
  /// Second-order rounding to 16 values chosen for each matrix, which fit a fixed 4-bit code.
  public static let codebook: WeightMethod = {
    var method = WeightMethod.fourBit
    method.grid = .codebook(size: Codebook.mostValues)
    // Values far from zero are there for what scaling makes large.
    method.columnPower = 0.5
    return method
  }()
  /// Second-order rounding to −1, 0 and 1: about 1.6 bits a weight in the stream.
  public static let ternary: WeightMethod = {
    var method = WeightMethod.fourBit
    method.grid = .levels(limit: 1)
    method.columnPower = 0
    // So coarse a grid leaves much to make good.
    method.compensationSteps = 96
    method.compensationRate = 1
    method.tuningSteps = 48
    return method
  }()
  /// Rate–distortion optimised rounding to a mean number of bits in the stream.
  public static func stream(bitsPerWeight: Double) -> WeightMethod {
    var method = WeightMethod(grid: .bitsPerWeight(bitsPerWeight))
    method.rateWeight = 1
    method.searchesPower = true
    return method
  }
}
