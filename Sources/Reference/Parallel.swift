import Dispatch

/// Splits loops over both cores. Which core runs a part never changes what the part computes.
public enum Parallel {
  /// Calls `body` with consecutive ranges that cover `0 ..< count`, at most `grain` long, in any
  /// order and from several threads. One range is run in place.
  @inlinable
  public static func ranges(_ count: Int, grain: Int, _ body: (Range<Int>) -> Void) {
    let grain = max(grain, 1)
    if count <= grain {
      if count > 0 { body(0..<count) }
      return
    }
    withoutActuallyEscaping(body) { body in
      // The callers' bodies touch disjoint parts of what they capture; no thread outlives this call.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: (count + grain - 1) / grain) { part in
        body(part * grain..<min((part + 1) * grain, count))
      }
    }
  }
}

/// A pointer handed to several threads that touch disjoint parts of it.
@usableFromInline
struct SharedPointer<Element>: @unchecked Sendable {
  @usableFromInline let base: UnsafeMutablePointer<Element>
  @inlinable init(_ base: UnsafeMutablePointer<Element>) { self.base = base }
}
