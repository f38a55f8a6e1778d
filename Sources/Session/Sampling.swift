import DeviceRuntime

/// How the next token is chosen.
public struct Sampling: Sendable {
  /// 0 takes the most likely token; larger values are bolder.
  public var temperature: Float
  /// The state of the generator (SplitMix64), advanced by each draw.
  public var random: UInt64

  /// A sampling rule. Equal seeds give equal texts, here and on the device.
  public init(temperature: Float = 0, seed: UInt64 = 0) {
    self.temperature = temperature
    random = seed
  }

  /// Draws a token from int16 logits, by the device's own sampler.
  mutating func draw(_ logits: UnsafeBufferPointer<Int16>, scale: Float) -> Int32 {
    swl_sample(logits.baseAddress, UInt32(logits.count), scale, temperature, &random)
  }
}
