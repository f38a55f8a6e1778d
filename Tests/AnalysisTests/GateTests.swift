import Foundation
import Support
import Testing

@testable import Analysis

/// A measurement with a value for every figure.
private func measured(_ change: [FigureKind: Double] = [:]) -> MeasuredFigures {
  var result = MeasuredFigures()
  for (index, kind) in FigureKind.allCases.enumerated() {
    result.figures[kind] = Estimate(Double(index + 1) * (1 + (change[kind] ?? 0)), error: 0.5)
  }
  result.checksum = 0x12
  return result
}

private func baseline(_ onChange: Baseline.Checksum.Consequence = .fail) -> Baseline {
  Baseline.recorded(
    measured(), settings: Baseline.Settings(stage: "compiled", model: "m"), onChange: onChange,
    keeping: nil)
}

@Test func unchangedFiguresPass() {
  let report = GateReport(measured(), against: baseline(), file: "b.json")
  #expect(report.passed)
  #expect(report.rows.count == FigureKind.allCases.count + 1)
  #expect(report.rows.allSatisfy { $0.verdict == .held })
}

/// For every figure: just outside its tolerance in the bad direction fails, just inside passes, the
/// good direction never fails.
@Test(arguments: FigureKind.allCases)
func tolerancesAreHeldOnTheirSide(_ kind: FigureKind) throws {
  let base = baseline()
  let entry = try #require(base.figures[kind])
  let allowance = entry.tolerance.allowance(of: entry.value) / entry.value
  #expect(allowance > 0 && allowance < 0.5)
  let bad = kind.higherIsBetter ? -1.0 : 1.0
  func verdict(_ share: Double) throws -> GateReport.Verdict {
    let report = GateReport(measured([kind: share]), against: base, file: "b.json")
    let row = try #require(report.rows.first { $0.name == kind.rawValue })
    #expect(report.passed != row.verdict.fails)
    return row.verdict
  }
  #expect(try verdict(bad * allowance * 1.01) == .regressed)
  #expect(try verdict(bad * allowance * 0.99) == .held)
  #expect(try verdict(-bad * allowance * 0.99) == .held)
  #expect(try verdict(-bad * allowance * 1.01) == .improved)
  #expect(try verdict(.nan) == .regressed)
}

@Test func missingFiguresFail() {
  var partial = measured()
  partial.figures[.kldMean] = nil
  partial.checksum = nil
  let report = GateReport(partial, against: baseline(), file: "b.json")
  #expect(report.failures.map(\.name) == ["kld_mean", "logits"])
  #expect(report.failures.allSatisfy { $0.verdict == .missing })
}

@Test func changedBitsFailOrWarn() {
  var other = measured()
  other.checksum = 0x13
  #expect(!GateReport(other, against: baseline(.fail), file: "b").passed)
  let warned = GateReport(other, against: baseline(.warn), file: "b")
  #expect(warned.passed)
  #expect(warned.rows.last?.verdict == .changed)
}

@Test func recordingKeepsChosenTolerances() throws {
  var old = baseline(.warn)
  old.figures[.perplexity]?.tolerance = Tolerance(relative: 0.5, why: "chosen")
  let new = Baseline.recorded(
    measured([.perplexity: 0.3]), settings: old.settings, onChange: .fail, keeping: old)
  #expect(new.figures[.perplexity]?.tolerance.why == "chosen")
  #expect(abs((new.figures[.perplexity]?.value ?? 0) - 1.3) < 1e-12)
  #expect(new.logits?.onChange == .warn)
  #expect(
    Baseline.recorded(
      measured(), settings: old.settings, onChange: .warn, changed: .fail, keeping: old
    ).logits?.onChange == .fail)
}

/// A folder that is gone after the test.
final class Scratch {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent(
    "swiftlet-analysis-\(UUID().uuidString)")

  init() throws {
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}

@Test func baselinesRoundTrip() throws {
  let scratch = try Scratch()
  var base = baseline()
  base.settings.maxTokens = 12
  base.settings.text = Baseline.Input(name: "a.txt", crc32: 7, path: "../a.txt")
  try base.text().write(toFile: scratch.path("b.json"), atomically: true, encoding: .utf8)
  #expect(try Baseline.load(scratch.path("b.json")) == base)
  #expect(try base.text() == base.text())
}

@Test func damagedBaselinesAreDiagnosed() throws {
  let scratch = try Scratch()
  let sound = Array(try baseline().text().utf8)
  var random = SplitMix64(seed: 11)
  var refused = 0
  for _ in 0..<300 {
    var bytes = sound
    for _ in 0...Int(random.next() % 3) {
      bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
    }
    try Data(bytes).write(to: scratch.url.appendingPathComponent("b.json"))
    do {
      _ = try Baseline.load(scratch.path("b.json"))
    } catch {
      refused += 1
      #expect(error.diagnostics[0].code.hasPrefix("baseline."))
    }
  }
  #expect(refused > 200)
  let negative = String(decoding: sound, as: UTF8.self).replacing(
    "\"relative\" : 0.01", with: "\"relative\" : -0.01")
  try negative.write(toFile: scratch.path("b.json"), atomically: true, encoding: .utf8)
  #expect(throws: DiagnosticError.self) { try Baseline.load(scratch.path("b.json")) }
}

@Test func reportsNameWhatFailed() throws {
  var other = measured([.kldMean: 1])
  other.checksum = 0x13
  let base = baseline()
  let gate = GateReport(other, against: base, file: "a<b>&\"c\".json", notes: ["a | b"])
  let xml = JUnitReport(gate).text
  let parser = XMLCheck(xml)
  #expect(parser.isWellFormed)
  #expect(parser.failures == 2)
  #expect(parser.cases == gate.rows.count)
  #expect(gate.markdown.contains("❌"))
  #expect(gate.markdown.contains("a \\| b"))
  let sarif = try SARIFReport(gate, baseline: base.text()).text()
  let object = try #require(
    try JSONSerialization.jsonObject(with: Data(sarif.utf8)) as? [String: Any])
  let run = try #require((object["runs"] as? [[String: Any]])?.first)
  let results = try #require(run["results"] as? [[String: Any]])
  #expect(results.compactMap { $0["ruleId"] as? String } == ["gate.kld_mean", "gate.logits"])
  // The place is the figure's own line.
  let location = try #require((results[0]["locations"] as? [[String: Any]])?.first)
  let physical = try #require(location["physicalLocation"] as? [String: Any])
  let line = try #require((physical["region"] as? [String: Int])?["startLine"])
  let lines = try base.text().split(separator: "\n", omittingEmptySubsequences: false)
  #expect(lines[line - 1].contains("\"kld_mean\""))
}

/// Enough of an XML reader to check a document without entities of its own: tags match, attributes are
/// quoted, and no stray markup is in the text.
private struct XMLCheck {
  var isWellFormed = true
  var failures = 0
  var cases = 0

  init(_ text: String) {
    var open: [Substring] = []
    var rest = text[...]
    if let end = rest.range(of: "?>") { rest = rest[end.upperBound...] }
    while let start = rest.firstIndex(of: "<") {
      if rest[..<start].contains(">") { isWellFormed = false }
      guard let end = rest[start...].firstIndex(of: ">") else {
        isWellFormed = false
        return
      }
      var tag = rest[rest.index(after: start)..<end]
      rest = rest[rest.index(after: end)...]
      if tag.contains("<") || tag.count(where: { $0 == "\"" }) % 2 != 0 { isWellFormed = false }
      if tag.hasPrefix("/") {
        if open.popLast() != tag.dropFirst() { isWellFormed = false }
        continue
      }
      let name = tag.prefix { $0 != " " && $0 != "/" }
      if name == "failure" { failures += 1 }
      if name == "testcase" { cases += 1 }
      if tag.hasSuffix("/") { tag.removeLast() } else { open.append(name) }
    }
    if !open.isEmpty { isWellFormed = false }
  }
}
