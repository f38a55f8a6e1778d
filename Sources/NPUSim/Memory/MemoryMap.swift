/// The eight base pointers of a job: which bytes each region of the stream means.
public struct MemoryMap {
  /// One base pointer: a window of a bank.
  public struct Window {
    /// The memory behind the region.
    public var bank: MemoryBank
    /// Where the region starts in the bank, bytes.
    public var offset: Int
    /// Bytes of the region; accesses outside are errors.
    public var size: Int
  }

  /// Number of base pointers (BASEP registers) of every Ethos-U.
  public static let regionCount = 8

  private var windows: [Window?] = Array(repeating: nil, count: regionCount)

  /// A map without regions.
  public init() {}

  /// The window of a region, or `nil` when nothing is bound to it.
  public subscript(region: Int) -> Window? {
    windows.indices.contains(region) ? windows[region] : nil
  }

  /// Binds a region to a bank from `offset` on, for `size` bytes or to the end of the bank.
  ///
  /// - Returns: `false`, and the map unchanged, when the region does not exist, the window does not fit
  ///   the bank, or the offset is not a multiple of 16 as the driver asks of base pointers.
  @discardableResult
  public mutating func bind(
    region: Int, to bank: MemoryBank, offset: Int = 0, size: Int? = nil
  ) -> Bool {
    guard windows.indices.contains(region), offset >= 0, offset <= bank.count, offset % 16 == 0
    else { return false }
    let size = size ?? bank.count - offset
    guard size >= 0, size <= bank.count - offset else { return false }
    windows[region] = Window(bank: bank, offset: offset, size: size)
    return true
  }

  /// Removes the binding of a region.
  public mutating func unbind(region: Int) {
    if windows.indices.contains(region) { windows[region] = nil }
  }
}

/// A checked byte range of a bank: what a stream address became.
struct MemorySpan {
  var bank: MemoryBank
  /// Offset of the range in the bank.
  var range: Range<Int>

  var base: UnsafeMutableRawPointer { bank.base + range.lowerBound }
}

extension MemoryMap {
  /// Checks `lower..<upper` of a region and turns it into bank bytes.
  func span(
    region: Int, lower: Int, upper: Int, role: TensorRole, writing: Bool = false
  ) throws(Fault) -> MemorySpan {
    guard let window = self[region] else { throw .unmappedRegion(role: role, region: region) }
    guard lower >= 0, lower <= upper, upper <= window.size else {
      throw .outOfRegion(
        role: role, region: region, lower: lower, upper: upper, size: window.size)
    }
    if writing, window.bank.access == .readOnly {
      throw .writeToConstant(role: role, region: region)
    }
    return MemorySpan(
      bank: window.bank, range: window.offset + lower..<window.offset + upper)
  }
}
