import GraphIR

/// The channels of a feed-forward layer that tower so far above the others that one 16-bit scale cannot serve
/// both.
///
/// Sun et al., "Massive Activations in Large Language Models" (2024): a few channels of a few layers are
/// thousands of times as large as the rest, on the first token of a text above all. Such a channel sets the
/// step of all others, and as its weights are large, too, those of many rows.
struct OutlierChannels {
  /// A value that a linear layer reads and elementwise operations make of what other linear layers give.
  struct Hidden {
    /// The layer that reads it, by its weight.
    var reader: ConstantID
    /// The layers it comes from, by their weights.
    var sources: Set<ConstantID>
    /// The channels that are to go a way of their own, in order.
    var channels: [Int]
  }

  /// What was found, in the order of the model.
  private(set) var found: [Hidden] = []

  /// The most channels of one layer: one brick of the NPU.
  static let most = 16

  /// How large a step may be against the typical channel's root mean square: noise is 46 dB below it.
  private static let coarsest = 0.0175

  /// Looks through a function's feed-forward layers.
  ///
  /// - Parameter calibration: what was seen in it; a few hundred tokens will do.
  init(_ function: Function, calibration: Calibration) {
    let sites = Site.sites(of: function)
    let uses = ValueUses(function)
    for (index, operation) in function.operations.enumerated() where operation.code == .linear {
      guard let part = FeedForward(reader: index, in: function, uses),
        case .constant(let reader) = operation.operands[1],
        let seen = calibration.sites[sites[part.made]], seen.rows > 0
      else { continue }
      let channels = Self.outliers(seen)
      guard !channels.isEmpty else { continue }
      found.append(Hidden(reader: reader, sources: Set(part.weights), channels: channels))
    }
  }

  /// The largest channels, as few as leave steps fine enough for the typical one; none where 16 of them
  /// would not do.
  static func outliers(_ seen: SiteStatistics) -> [Int] {
    let sizes = seen.channelSquares.map { ($0 / Double(max(seen.rows, 1))).squareRoot() }.sorted()
    guard sizes.count > most * 4 else { return [] }
    let allowed = Float(sizes[sizes.count / 2] * coarsest) * 32767 / 1.25
    let large = seen.channelMax.indices.filter { seen.channelMax[$0] > allowed }
    return large.count <= most ? large : []
  }
}
