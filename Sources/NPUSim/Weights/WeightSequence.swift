/// The order of the weights in one stream of an operation.
protocol WeightSequence {
  /// OFM channels that the stream carries.
  var channels: Int { get }
  /// Weights in the stream, padding included.
  var count: Int { get }

  /// The OFM channel that a channel of stream `core` out of `cores` is.
  func channel(_ own: Int, core: Int, cores: Int) -> Int

  /// Calls the body for each weight of the stream: channel of this stream, undilated kernel row and column,
  /// input channel. Padding has channel -1.
  func visit(_ body: (Int, Int, Int, Int) -> Void)
}
