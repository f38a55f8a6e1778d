import Dispatch

/// Runs independent slices of an operation on the cores of the host.
enum Parallel {
  /// Work worth a second thread, in multiply-accumulates or element operations.
  static let worthwhile = 1 << 20

  /// Splits `0..<count` into contiguous slices, one a core, and runs the body on each.
  ///
  /// Bodies must touch disjoint memory. Small jobs (`cost` below ``worthwhile``) run inline.
  ///
  /// - Parameter alignment: slice bounds are multiples of this.
  static func forEachSlice(
    of count: Int, cost: Int, threads: Int, alignment: Int = 1, _ body: (Range<Int>) -> Void
  ) {
    let units = (count + alignment - 1) / alignment
    let slices = cost < worthwhile ? 1 : min(threads, units)
    guard slices > 1 else {
      body(0..<count)
      return
    }
    let share = (units + slices - 1) / slices * alignment
    withoutActuallyEscaping(body) { body in
      // Slices share nothing they write, which the compiler cannot see through raw pointers.
      nonisolated(unsafe) let work = body
      DispatchQueue.concurrentPerform(iterations: slices) { index in
        let lower = min(count, index * share)
        let upper = min(count, lower + share)
        if lower < upper { work(lower..<upper) }
      }
    }
  }
}

/// Scratch memory that lives for one call and is not initialised.
func withScratch<T: BitwiseCopyable>(
  _ count: Int, of type: T.Type, _ body: (UnsafeMutablePointer<T>) -> Void
) {
  let memory = UnsafeMutablePointer<T>.allocate(capacity: max(1, count))
  defer { memory.deallocate() }
  body(memory)
}
