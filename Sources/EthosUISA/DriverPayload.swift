/// The first payload format in one call, for callers that have a stream and want bytes.
public enum DriverPayload {
  /// The longest stream hardware accepts, in words (16 MiB).
  public static let wordLimit = CommandStream.wordLimit

  /// Wraps a stream; nil when it exceeds `wordLimit`.
  public static func encode(stream: [UInt32], for accelerator: Accelerator) -> [UInt8]? {
    try? Payload(words: stream, for: accelerator).serialise()
  }
}
