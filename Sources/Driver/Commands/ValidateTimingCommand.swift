import ArgumentParser
import Foundation
import Report
import Support

/// `swiftlet validate-timing`.
struct ValidateTimingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate-timing",
    abstract: "Compares simulated cycles with published measurements.",
    discussion: """
      ROWS is a CSV file of measurements; every row whose column `stream` names a compiled model in the \
      streams folder is run on the system that the row describes. Errors are fractions: 0.05 is 5 %. \
      Rows without NPU ACTIVE are compared on their total, which lies on a grid of 1,000 cycles.
      """)

  @Argument(help: "A CSV file of measurements.")
  var rows: String

  @Option(help: ArgumentHelp("The folder with the compiled models.", valueName: "dir"))
  var streams: String

  @Flag(help: "Print one JSON object.")
  var json = false

  @Flag(help: "Print a Markdown table.")
  var markdown = false

  private struct Summary: Encodable {
    let rows: [TimingValidation.Row]
    let meanAbsError: Double
    let worstAbsError: Double
    let worstBeatError: Double
    let groups: [String: TimingValidation.Summary]
  }

  func run() throws {
    guard let data = FileManager.default.contents(atPath: rows) else {
      throw DiagnosticError(
        "timing.rows", "cannot be read", at: SourceLocation(file: rows),
        wayOut: "a CSV file with the columns id, npu, npu_active, stream and others")
    }
    let table = try PublishedRow.parse(String(decoding: data, as: UTF8.self), file: rows)
    let folder = streams
    let validation = try TimingValidation(table) { name throws(DiagnosticError) in
      guard let bytes = FileManager.default.contents(atPath: folder + "/" + name) else {
        throw DiagnosticError(
          "timing.stream", "cannot be read", at: SourceLocation(file: folder + "/" + name))
      }
      return [UInt8](bytes)
    }
    let summary = validation.summary
    if json {
      try Console.json(
        Summary(
          rows: validation.rows, meanAbsError: summary.meanAbsError,
          worstAbsError: summary.worstAbsError, worstBeatError: validation.worstBeatError,
          groups: validation.groups))
      return
    }
    if markdown {
      print("| row | stream | published | simulated | error |\n|---|---|---:|---:|---:|")
    }
    for row in validation.rows {
      let stream = row.stream.replacingOccurrences(of: ".tflite", with: "")
      let error = String(format: "%+.1f %%", 100 * row.error)
      let mark = row.quantity == "total" ? " (total)" : ""
      if markdown {
        print("| \(row.id) | \(stream) | \(row.measured)\(mark) | \(row.simulated) | \(error) |")
      } else {
        print(
          row.id.padding(toLength: 6, withPad: " ", startingAt: 0)
            + stream.padding(toLength: 40, withPad: " ", startingAt: 0)
            + "\(row.measured)\(mark) \(row.simulated) \(error)")
      }
    }
    func line(_ name: String, _ summary: TimingValidation.Summary) -> String {
      String(
        format: "%@: %d rows, mean %.1f %%, worst %.1f %%", name, summary.rows,
        100 * summary.meanAbsError, 100 * summary.worstAbsError)
    }
    print("")
    print(line("all", summary))
    for (name, group) in validation.groups.sorted(by: { $0.key < $1.key }) {
      print(line("group \(name)", group))
    }
    print(String(format: "beats: worst %.1f %%", 100 * validation.worstBeatError))
  }
}
