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

  /// A stretch of text, of which some tokens are given.
  private struct Window {
    var ids: [Int32]
    var given = 1
  }

  /// The windows of a text file; or of a task file, where each case is one: the prompt is given, the
  /// right answer is predicted.
  private func windows(_ path: String) throws(DiagnosticError) -> [Window] {
    let tokenizer = subject.tokenizer
    guard path.hasSuffix(".jsonl") else {
      return TokenSequences.split(
        try TextFile.read(path), tokenizer: tokenizer, context: subject.context,
        limit: plan.maxTokens
      ).map { Window(ids: $0) }
    }
    var windows: [Window] = []
    var left = plan.maxTokens
    for item in try TaskFile(path).cases where left > 0 {
      let prompt = tokenizer.encode(item.prompt)
      // An answer ends with the model's end token; a model without one ends its line.
      let ids =
        tokenizer.options.eos.map { tokenizer.encode(item.prompt + item.expect) + [$0] }
        ?? tokenizer.encode(item.prompt + item.expect + "\n")
      let shared = zip(prompt, ids).prefix { $0 == $1 }.count
      left -= ids.count
      windows.append(Window(ids: ids, given: max(shared, 1)))
    }
    return windows
  }

  /// Measures the plan's text.
  func text(_ path: String) throws(DiagnosticError) -> TextFigures {
    let windows = try windows(path)
    var crc = CRC32()
    for window in windows {
      for id in window.ids { withUnsafeBytes(of: id.littleEndian) { crc.update($0) } }
      crc.update([0xFF, 0xFF, 0xFF, 0xFF, UInt8(truncatingIfNeeded: window.given)])
    }
    let subject = subject
    let records: [WindowRecord] = try records(
      windows.count, kind: "text", items: crc.value, label: "evaluating"
    ) { () throws(DiagnosticError) in
      var meter = WindowMeter(try subject.make(), reference: try subject.makeReference?())
      return { index throws(DiagnosticError) in
        try meter.measure(windows[index].ids, index: index, given: windows[index].given)
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
    return try RecordRun(
      label: label, kind: kind, fingerprint: fingerprint.value, workers: workers,
      checkpoint: checkpoint.map {
        plan.text != nil && plan.task != nil ? "\($0).\(kind)" : $0
      }, resume: resume, quiet: quiet
    ).records(count, make: make)
  }
}
