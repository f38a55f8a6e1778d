/// A piece of physical memory that regions of a stream are bound to.
///
/// Two regions bound to the same bank alias, as two base pointers into the same SRAM do; what was
/// written and where staged data came from is therefore tracked here and not by region.
public final class MemoryBank {
  /// What the NPU may do with the bytes.
  public enum Access: Sendable {
    /// Constant: never written by anyone while bound. Writes by the NPU are errors.
    case readOnly
    /// Ordinary RAM.
    case readWrite
  }

  /// Name used in messages.
  public let name: String
  /// What the NPU may do with the bytes.
  public let access: Access
  /// Size in bytes.
  public let count: Int

  let base: UnsafeMutableRawPointer
  var initialised: InitialisedMap
  var provenance = Provenance()
  private let owned: Bool

  /// Wraps memory of the caller without copying it; it must stay valid as long as the bank.
  ///
  /// Host code that writes to `buffer` afterwards must say so with ``noteHostWrite(_:)``.
  ///
  /// - Parameter initialised: whether the present contents count as written.
  public init(
    name: String, wrapping buffer: UnsafeMutableRawBufferPointer, access: Access = .readWrite,
    initialised: Bool
  ) {
    self.name = name
    self.access = access
    count = buffer.count
    base = buffer.baseAddress ?? UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 16)
    owned = buffer.baseAddress == nil
    self.initialised = InitialisedMap(count: count, initialised: initialised || access == .readOnly)
  }

  /// Owns a copy of constant bytes.
  public convenience init(name: String, constant bytes: some Collection<UInt8>) {
    self.init(name: name, count: bytes.count, access: .readOnly, initialised: true)
    UnsafeMutableRawBufferPointer(start: base, count: count).copyBytes(from: bytes)
  }

  /// Owns RAM that holds the given bytes.
  public convenience init(name: String, bytes: some Collection<UInt8>) {
    self.init(name: name, count: bytes.count, access: .readWrite, initialised: true)
    UnsafeMutableRawBufferPointer(start: base, count: count).copyBytes(from: bytes)
  }

  /// Owns RAM that nobody has written; it holds `fill` until then.
  public convenience init(name: String, count: Int, fill: UInt8 = 0) {
    self.init(name: name, count: max(0, count), access: .readWrite, initialised: false)
    base.initializeMemory(as: UInt8.self, repeating: fill, count: self.count)
  }

  private init(name: String, count: Int, access: Access, initialised: Bool) {
    self.name = name
    self.access = access
    self.count = count
    base = UnsafeMutableRawPointer.allocate(byteCount: max(1, count), alignment: 64)
    owned = true
    self.initialised = InitialisedMap(count: count, initialised: initialised)
  }

  deinit {
    if owned { base.deallocate() }
  }

  /// All bytes, valid while the bank lives.
  public var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base, count: count)
  }

  /// Tells the simulator that host code wrote to a byte range, which is clipped to the bank.
  public func noteHostWrite(_ range: Range<Int>) {
    noteWrite(range.clamped(to: 0..<count))
  }

  /// Writes bytes as host code; `false` and nothing written when they do not fit.
  @discardableResult
  public func write(_ source: some Collection<UInt8>, at offset: Int) -> Bool {
    guard offset >= 0, offset <= count, source.count <= count - offset else { return false }
    UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + source.count])
      .copyBytes(from: source)
    noteWrite(offset..<offset + source.count)
    return true
  }

  /// A copy of a byte range; empty when it is not within the bank.
  public func read(_ range: Range<Int>) -> [UInt8] {
    guard range.lowerBound >= 0, range.upperBound <= count else { return [] }
    return [UInt8](bytes[range])
  }

  /// Records that a range holds bytes that nobody wrote, after all.
  func noteUnwritten(_ range: Range<Int>) {
    initialised.clear(range)
  }

  /// Records a write by the NPU or the host within bounds.
  func noteWrite(_ range: Range<Int>) {
    initialised.mark(range)
    provenance.forget(range)
  }
}
