import Foundation
import Support
import TestKit
import Testing

@testable import Report

private let folder = "models/timing"
private let table = "spec/timing/published-cycles-dev.csv"

/// The figures the model is held to: mean error of all rows and of each group, the worst row, beats.
@Test(.enabled(if: SharedData.exists(folder) && SharedData.exists(table)))
func publishedMeasurementsAreMet() throws {
  let text = try String(contentsOf: SharedData.url(table), encoding: .utf8)
  let rows = try PublishedRow.parse(text, file: table)
  #expect(rows.count > 100)
  let validation = try TimingValidation(rows) { name throws(DiagnosticError) in
    guard let data = FileManager.default.contents(atPath: SharedData.url("\(folder)/\(name)").path)
    else { throw DiagnosticError("test.stream", "\(name) is missing") }
    return [UInt8](data)
  }
  #expect(validation.rows.count >= 100)
  #expect(validation.summary.meanAbsError <= 0.06)
  #expect(validation.summary.worstAbsError <= 0.20)
  #expect(validation.worstBeatError <= 0.05)
  for (name, group) in validation.groups {
    #expect(group.meanAbsError <= 0.08, "group \(name)")
  }
  // By configuration and memory setting, as small groups hide behind large ones.
  let kinds = Dictionary(uniqueKeysWithValues: rows.map { ($0.id, $0) })
  let settings = Dictionary(grouping: validation.rows) { row in
    (kinds[row.id]?.npu ?? "") + (kinds[row.id]?.adapter.contains("latency 0") == true ? "0" : "")
  }
  for (name, rows) in settings {
    let mean = rows.reduce(0) { $0 + abs($1.error) } / Double(rows.count)
    #expect(mean <= 0.08, "\(name): \(mean)")
  }
}

@Test func tablesAreReadWithQuotes() throws {
  let text = """
    id,npu,memory_mode,timing_adapter,npu_active,npu_total,stream,notes
    X1,U55-128,Shared_Sram,"on, default",12,34,a.tflite,"a ""b"", c"
    X2,U85-256,Dedicated_Sram,,,68,,
    """
  let rows = try PublishedRow.parse(text, file: "t.csv")
  #expect(rows.count == 2)
  #expect(rows[0].adapter == "on, default" && rows[0].active == 12 && rows[0].stream == "a.tflite")
  #expect(rows[1].active == nil && rows[1].total == 68)
}

@Test func missingColumnsAreNamed() {
  #expect(throws: DiagnosticError.self) { try PublishedRow.parse("id,npu\nA,B", file: "t.csv") }
}

@Test func scanningForStreamsNeverReadsPastTheEnd() {
  var random = SplitMix64(seed: 7)
  for _ in 0..<500 {
    var bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
      UInt8(truncatingIfNeeded: random.next() % 6)
    }
    let at = Int.random(in: 0...40, using: &random) * 4
    if at + 4 <= bytes.count { bytes.replaceSubrange(at..<at + 4, with: Array("COP1".utf8)) }
    for stream in StreamScan.streams(in: bytes) { #expect(stream.count % 4 == 0) }
  }
}
