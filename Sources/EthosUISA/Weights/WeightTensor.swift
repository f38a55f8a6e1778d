/// Scale records and weight streams of all depth slices of a layer, as they lie in memory.
///
/// There is no header: the places live in the command stream (WEIGHT_BASE, SCALE_BASE and their
/// lengths). Everything starts at a multiple of 16 bytes (facts: Arm's Vela).
public struct WeightTensor: Sendable, Hashable {
  /// What one core or weight decoder reads of a slice.
  public struct Substream: Sendable, Hashable {
    /// Scale records, a multiple of 16 bytes; empty where another core's are used.
    public let scales: Range<Int>
    /// The weight stream; empty without channels.
    public let weights: Range<Int>
  }

  /// One depth slice.
  public struct Slice: Sendable, Hashable {
    /// The whole slice, for instance to copy it with one DMA.
    public let range: Range<Int>
    /// By core or decoder; a core without channels has empty ranges.
    public let substreams: [Substream]
  }

  /// The tensor's bytes.
  public private(set) var bytes: [UInt8] = []
  /// The slices, in order of depth.
  public private(set) var slices: [Slice] = []

  /// A tensor without slices.
  public init() {}

  /// Appends a slice; each element is the scale records and the weight stream of one substream.
  public mutating func append(_ parts: [(scales: [UInt8], weights: [UInt8])]) {
    let start = bytes.count
    let substreams = parts.map { part in
      Substream(scales: add(part.scales), weights: add(part.weights))
    }
    slices.append(Slice(range: start..<bytes.count, substreams: substreams))
  }

  private mutating func add(_ part: [UInt8]) -> Range<Int> {
    let start = bytes.count
    bytes += part
    while bytes.count % 16 != 0 { bytes.append(0) }
    return start..<bytes.count
  }
}
