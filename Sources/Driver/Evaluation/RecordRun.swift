import Analysis
import Support

/// Measures items on several threads, with a checkpoint and a progress bar.
struct RecordRun {
  /// What the bar says.
  let label: String
  /// The kind of records, and a checksum of everything that decides them.
  let kind: String
  let fingerprint: UInt32
  /// Threads.
  let workers: Int
  /// Where finished records are kept, and whether those found there are used.
  let checkpoint: String?
  let resume: Bool
  /// Draws no progress bar.
  let quiet: Bool

  /// The records of items `0 ..< count`, in order; `make` makes a thread's worker.
  func records<Record: MeasurementRecord>(
    _ count: Int, make: @Sendable () throws(DiagnosticError) -> RecordPool.Worker<Record>
  ) throws(DiagnosticError) -> [Record] {
    let store = try checkpoint.map { path throws(DiagnosticError) in
      try Checkpoint<Record>(
        path, header: .init(kind: kind, fingerprint: fingerprint), count: count, resume: resume)
    }
    let bar = ProgressBar(label, quiet: quiet)
    defer { bar.finish() }
    return try RecordPool.run(
      count, workers: workers, finished: store?.finished ?? [], make: make
    ) { record, done throws(DiagnosticError) in
      try store?.append(record)
      bar.update(done, of: count)
    }
  }
}
