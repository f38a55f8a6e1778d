import Analysis
import Foundation
import Quantize
import Session
import Support
import Tokenizers

/// Runs an evaluation: windows and cases on several threads, with a checkpoint and a progress bar.
struct EvaluationRun {
  /// What is measured and how.
  let plan: EvaluationPlan
  /// The model.
  let subject: EvaluationSubject
  /// Threads.
  let workers: Int
  /// Where finished records are kept, and whether those found there are used.
  let checkpoint: String?
  let resume: Bool
  /// Draws no progress bar.
  let quiet: Bool

  /// Measures the plan's text.
  func text(_ path: String) throws(DiagnosticError) -> TextFigures {
    let windows = TokenSequences.split(
      try TextFile.read(path), tokenizer: subject.tokenizer, context: subject.context,
      limit: plan.maxTokens)
    var crc = CRC32()
    for window in windows {
      for id in window { withUnsafeBytes(of: id.littleEndian) { crc.update($0) } }
      crc.update([0xFF, 0xFF, 0xFF, 0xFF])
    }
    let subject = subject
    let records: [WindowRecord] = try records(
      windows.count, kind: "text", items: crc.value, label: "evaluating"
    ) { () throws(DiagnosticError) in
      var meter = WindowMeter(try subject.make(), reference: try subject.makeReference?())
      return { index throws(DiagnosticError) in
        try meter.measure(windows[index], index: index)
      }
    }
    guard let figures = TextFigures(records) else {
      throw DiagnosticError(
        "evaluate.text", "the text has fewer than two tokens", at: SourceLocation(file: path))
    }
    return figures
  }

  /// Measures the plan's task; also gives the first wrong answers.
  func task(
    _ path: String
  ) throws(DiagnosticError) -> (TaskFigures, wrong: [(TaskFile.Case, answer: String)]) {
    var cases = try TaskFile(path).cases
    if let limit = plan.maxCases { cases = Array(cases.prefix(limit)) }
    let judged = cases
    var crc = CRC32()
    for item in judged {
      crc.update(item.prompt.utf8)
      crc.update([0])
      crc.update(item.expect.utf8)
      crc.update([0])
    }
    let subject = subject
    let records: [CaseRecord] = try records(
      judged.count, kind: "task", items: crc.value, label: "answering"
    ) { () throws(DiagnosticError) in
      let meter = TaskMeter(judged)
      if let program = subject.program {
        return meter.worker(try LanguageSession(program), tokenizer: subject.tokenizer)
      }
      return meter.worker(try subject.make(), tokenizer: subject.tokenizer)
    }
    guard let figures = TaskFigures(records) else {
      throw DiagnosticError("task.empty", "has no cases", at: SourceLocation(file: path))
    }
    return (
      figures, records.lazy.filter { !$0.isRight }.prefix(5).map { (cases[$0.index], $0.answer) }
    )
  }

  private func records<Record: MeasurementRecord>(
    _ count: Int, kind: String, items: UInt32, label: String,
    make: @Sendable () throws(DiagnosticError) -> RecordPool.Worker<Record>
  ) throws(DiagnosticError) -> [Record] {
    var fingerprint = CRC32()
    for part in [subject.contentChecksum, items] {
      withUnsafeBytes(of: part.littleEndian) { fingerprint.update($0) }
    }
    fingerprint.update("\(plan.stage.rawValue) \(subject.context)".utf8)
    let store = try checkpoint.map { path throws(DiagnosticError) in
      try Checkpoint<Record>(
        plan.text != nil && plan.task != nil ? "\(path).\(kind)" : path,
        header: .init(kind: kind, fingerprint: fingerprint.value), count: count, resume: resume)
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
