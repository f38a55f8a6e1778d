import Dispatch
import Foundation
import Support

/// Measures many items on several threads, each with models of its own.
public enum RecordPool {
  /// A worker: measures the item of an index. Made and used by one thread.
  public typealias Worker<Record> = (Int) throws(DiagnosticError) -> Record

  /// Measures the items `0 ..< count` that `finished` does not have, and returns all records in order.
  ///
  /// - Parameters:
  ///   - workers: how many threads; each item is measured by one of them. Which one does not matter
  ///     to the record, so results do not depend on this number.
  ///   - make: makes a worker, called on the worker's thread.
  ///   - finished: records of an earlier run.
  ///   - onRecord: sees each new record, one call at a time, with how many are done.
  ///
  /// Throws the first failure; items in work are finished and seen before.
  public static func run<Record: MeasurementRecord>(
    _ count: Int, workers: Int, finished: [Record] = [],
    make: @Sendable () throws(DiagnosticError) -> Worker<Record>,
    onRecord: @escaping (_ record: Record, _ done: Int) throws(DiagnosticError) -> Void = { _, _ in
    }
  ) throws(DiagnosticError) -> [Record] {
    let known = Set(finished.map(\.index))
    let queue = Queue<Record>(
      pending: (0..<count).filter { !known.contains($0) }, records: finished)
    let threads = max(1, min(workers, queue.pending.count))
    // Called under the queue's lock only, and not after this function has returned.
    nonisolated(unsafe) let onRecord = onRecord
    DispatchQueue.concurrentPerform(iterations: threads) { _ in
      do throws(DiagnosticError) {
        guard var index = queue.next() else { return }
        let measure = try make()
        while true {
          try queue.add(try measure(index), onRecord)
          guard let next = queue.next() else { return }
          index = next
        }
      } catch {
        queue.fail(error)
      }
    }
    if let failure = queue.failure { throw failure }
    return queue.records.sorted { $0.index < $1.index }
  }

  /// What the threads share, behind a lock.
  private final class Queue<Record: MeasurementRecord>: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var pending: [Int]
    private(set) var records: [Record]
    private(set) var failure: DiagnosticError?
    private var at = 0

    init(pending: [Int], records: [Record]) {
      self.pending = pending
      self.records = records
    }

    func next() -> Int? {
      lock.lock()
      defer { lock.unlock() }
      guard failure == nil, at < pending.count else { return nil }
      at += 1
      return pending[at - 1]
    }

    func add(
      _ record: Record, _ onRecord: (Record, Int) throws(DiagnosticError) -> Void
    ) throws(DiagnosticError) {
      lock.lock()
      defer { lock.unlock() }
      records.append(record)
      try onRecord(record, records.count)
    }

    func fail(_ error: DiagnosticError) {
      lock.lock()
      defer { lock.unlock() }
      failure = failure ?? error
    }
  }
}
