import Foundation
import Support
import Testing

@testable import Analysis

private let header = Checkpoint<CaseRecord>.Header(kind: "task", fingerprint: 5)

private func record(_ index: Int) -> CaseRecord {
  CaseRecord(index: index, isRight: index % 3 == 0, answer: "\(index)\n\"")
}

@Test func poolMeasuresEveryItemOnceInOrder() throws {
  for workers in [1, 2, 5] {
    var seen: [Int] = []
    let records: [CaseRecord] = try RecordPool.run(
      37, workers: workers, finished: [record(4), record(9)],
      make: { () throws(DiagnosticError) in { index throws(DiagnosticError) in record(index) } },
      onRecord: { record, done throws(DiagnosticError) in
        seen.append(record.index)
        #expect(done == seen.count + 2)
      })
    #expect(records == (0..<37).map(record))
    #expect(seen.sorted() == (0..<37).filter { $0 != 4 && $0 != 9 })
  }
}

@Test func poolStopsAtAFailure() {
  #expect(throws: DiagnosticError.self) {
    let _: [CaseRecord] = try RecordPool.run(
      1000, workers: 2,
      make: { () throws(DiagnosticError) in
        { index throws(DiagnosticError) in
          if index == 3 { throw DiagnosticError("test.failure", "on purpose") }
          return record(index)
        }
      })
  }
}

@Test func checkpointsResumeWhereTheyStopped() throws {
  let scratch = try Scratch()
  let path = scratch.path("c.jsonl")
  do {
    let first = try Checkpoint<CaseRecord>(path, header: header, count: 10, resume: false)
    try first.append(record(2))
    try first.append(record(7))
  }
  // A crash in the middle of a line.
  let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
  try handle.seekToEnd()
  try handle.write(contentsOf: Data("{\"index\":3,\"isRi".utf8))
  try handle.close()
  do {
    let second = try Checkpoint<CaseRecord>(path, header: header, count: 10, resume: true)
    #expect(second.finished == [record(2), record(7)])
    try second.append(record(3))
  }
  let third = try Checkpoint<CaseRecord>(path, header: header, count: 10, resume: true)
  #expect(third.finished == [record(2), record(7), record(3)])
}

@Test func checkpointsOfOtherRunsAreRefused() throws {
  let scratch = try Scratch()
  let path = scratch.path("c.jsonl")
  do {
    let first = try Checkpoint<CaseRecord>(path, header: header, count: 10, resume: false)
    try first.append(record(8))
    try first.append(record(1))
  }
  func open(_ fingerprint: UInt32, count: Int = 10, resume: Bool = true) throws -> String {
    do {
      _ = try Checkpoint<CaseRecord>(
        path, header: .init(kind: "task", fingerprint: fingerprint), count: count, resume: resume)
      return ""
    } catch {
      return error.diagnostics[0].code
    }
  }
  #expect(try open(5) == "")
  #expect(try open(6) == "checkpoint.other")
  #expect(try open(5, resume: false) == "checkpoint.exists")
  #expect(try open(5, count: 5) == "checkpoint.record")
  try Data("nonsense".utf8).write(to: URL(fileURLWithPath: path))
  #expect(try open(5) == "checkpoint.format")
}
