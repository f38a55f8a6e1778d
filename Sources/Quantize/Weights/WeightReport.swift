/// What rounding made of each layer's weights.
public struct WeightReport: Sendable {
  /// One layer.
  public struct Layer: Sendable {
    /// The weight's name in the user's file.
    public var name: String
    /// How many weights.
    public var count: Int
    /// Bits in the stream, estimated from the statistics of the integers.
    public var bits: Int
    /// The same if the layer were one slice, whatever the method says.
    public var wholeBits: Int
    /// Nats of divergence per token that its errors are expected to cost.
    public var expectedDivergence: Double
  }

  /// In the order they were rounded.
  public var layers: [Layer] = []

  /// Mean bits of a weight in the stream.
  public var bitsPerWeight: Double {
    let count = layers.reduce(0) { $0 + $1.count }
    return Double(layers.reduce(0) { $0 + $1.bits }) / Double(max(count, 1))
  }

  /// Mean bits of a weight in the stream if every layer were one slice.
  public var wholeBitsPerWeight: Double {
    let count = layers.reduce(0) { $0 + $1.count }
    return Double(layers.reduce(0) { $0 + $1.wholeBits }) / Double(max(count, 1))
  }

  /// The sum over layers.
  public var expectedDivergence: Double { layers.reduce(0) { $0 + $1.expectedDivergence } }
}
