extension Step {
  /// A byte range of a region.
  public struct ByteRange: Hashable, Sendable {
    /// The region's base-pointer index.
    public let region: Int
    /// The bytes.
    public let bytes: Range<Int>

    fileprivate init(_ reference: UInt32, count: UInt64) {
      region = Int(reference >> 29)
      let lower = Int(reference & 0x1FFF_FFFF)
      bytes = lower..<lower + Int(min(count, UInt64(Region.byteLimit)))
    }
  }

  /// What the kernel writes, for those that tell the simulator which bytes the CPU has filled. Empty for
  /// NPU jobs, whose writes the simulator sees itself.
  public var cpuWrites: [ByteRange] {
    func product(_ indices: Int..., size: UInt64) -> UInt64 {
      indices.reduce(size) {
        $0.multipliedReportingOverflow(by: UInt64(parameters[$1])).partialValue
      }
    }
    func width(_ index: Int) -> UInt64 { UInt64(parameters[index] / 8) }
    switch kernel {
    case .npuJob: return []
    case .embedding: return [ByteRange(parameters[6], count: product(0, 1, size: 4))]
    case .attention: return [ByteRange(parameters[16], count: product(0, 1, 3, size: width(17)))]
    }
  }
}
