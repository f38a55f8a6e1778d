import Foundation

/// A gate's result as SARIF 2.1.0 (OASIS), which code hosts show as annotations: one result for each
/// figure that failed, improved or changed, at its line of the baseline file.
public struct SARIFReport: Sendable {
  private let gate: GateReport
  private let lines: [String: Int]

  /// A report of a gate.
  ///
  /// - Parameters:
  ///   - gate: the gate's result.
  ///   - baseline: the baseline file's text, to find lines in.
  public init(_ gate: GateReport, baseline: String) {
    self.gate = gate
    var lines: [String: Int] = [:]
    for (number, line) in baseline.split(separator: "\n", omittingEmptySubsequences: false)
      .enumerated()
    {
      guard let key = Self.key(line), lines[key] == nil else { continue }
      lines[key] = number + 1
    }
    self.lines = lines
  }

  /// The key that a line of pretty-printed JSON starts with.
  private static func key(_ line: Substring) -> String? {
    let parts = line.split(separator: "\"", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].allSatisfy({ $0 == " " }),
      parts[2].drop(while: { $0 == " " }).first == ":"
    else { return nil }
    return String(parts[1])
  }

  private struct Log: Encodable {
    var version = "2.1.0"
    var schema = "https://json.schemastore.org/sarif-2.1.0.json"
    var runs: [Run]
    enum CodingKeys: String, CodingKey {
      case version, runs
      case schema = "$schema"
    }
  }
  private struct Run: Encodable {
    var tool: Tool
    var results: [Result]
  }
  private struct Tool: Encodable { var driver: Driver }
  private struct Driver: Encodable {
    var name = "swiftlet"
    var rules: [Rule]
  }
  private struct Rule: Encodable {
    var id: String
    var shortDescription: Message
  }
  private struct Message: Encodable { var text: String }
  private struct Result: Encodable {
    var ruleId: String
    var ruleIndex: Int
    var level: String
    var message: Message
    var locations: [Location]
  }
  private struct Location: Encodable { var physicalLocation: Physical }
  private struct Physical: Encodable {
    var artifactLocation: Artifact
    var region: Region
  }
  private struct Artifact: Encodable { var uri: String }
  private struct Region: Encodable { var startLine: Int }

  /// The document.
  public func text() throws -> String {
    let rules = gate.rows.map {
      Rule(id: "gate." + $0.name, shortDescription: Message(text: $0.title))
    }
    let results = gate.rows.enumerated().compactMap { index, row -> Result? in
      guard row.verdict != .held else { return nil }
      return Result(
        ruleId: "gate." + row.name, ruleIndex: index,
        level: row.verdict.fails ? "error" : row.verdict == .changed ? "warning" : "note",
        message: Message(text: row.sentence),
        locations: [
          Location(
            physicalLocation: Physical(
              artifactLocation: Artifact(uri: uri),
              region: Region(startLine: lines[row.name] ?? 1)))
        ])
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    let log = Log(runs: [Run(tool: Tool(driver: Driver(rules: rules)), results: results)])
    return String(decoding: try encoder.encode(log), as: UTF8.self) + "\n"
  }

  /// The baseline's file as a relative URI reference, or a file URI.
  private var uri: String {
    let allowed = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: ":"))
    let path = gate.file.addingPercentEncoding(withAllowedCharacters: allowed) ?? gate.file
    return path.hasPrefix("/") ? "file://" + path : path
  }
}
