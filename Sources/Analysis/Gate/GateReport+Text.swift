extension GateReport {
  /// The table for a terminal: failures are marked, columns aligned.
  public var terminalText: String {
    let head = ["", "figure", "baseline", "measured", "change", "allowed"]
    let body = rows.map { row in
      [
        Self.mark(row.verdict), row.title, row.baseline, row.measured, row.change, row.tolerance,
      ]
    }
    let widths = head.indices.map { column in
      ([head] + body).map { $0[column].count }.max() ?? 0
    }
    let lines = ([head] + body).map { cells in
      cells.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column < 2 ? cell + space : space + cell
      }.joined(separator: "  ")
    }
    return ([summary] + notes.map { "note: \($0)" } + lines).joined(separator: "\n")
  }

  /// One line: the file and how many figures failed.
  public var summary: String {
    let improved = rows.count { $0.verdict == .improved }
    let changed = rows.contains { $0.verdict == .changed }
    if !passed { return "gate \(file): FAILED, \(failures.count) of \(rows.count) figures" }
    return "gate \(file): passed, \(rows.count) figures"
      + (improved > 0 ? ", \(improved) improved (--record keeps that)" : "")
      + (changed ? "; the logits' bits changed (--record accepts that)" : "")
  }

  /// The summary for a pull request.
  public var markdown: String {
    var text = "### \(passed ? "✅" : "❌") \(Self.escaped(summary))\n\n"
    for note in notes { text += "Note: \(Self.escaped(note))\n\n" }
    text += "| | figure | baseline | measured | change | allowed |\n"
    text += "|---|---|---:|---:|---:|---:|\n"
    for row in rows {
      let cells = [
        Self.mark(row.verdict), row.title, row.baseline, row.measured, row.change, row.tolerance,
      ]
      text += "| " + cells.map(Self.escaped).joined(separator: " | ") + " |\n"
    }
    if !passed {
      text += "\n" + failures.map { "- " + Self.escaped($0.sentence) + "\n" }.joined()
      text +=
        "\n`swiftlet bisect OLD NEW` names the first tensor or operation where two builds part.\n"
    }
    return text
  }

  private static func mark(_ verdict: Verdict) -> String {
    switch verdict {
    case .held: "✓"
    case .improved: "↑"
    case .regressed: "✗"
    case .missing: "?"
    case .changed: "≠"
    }
  }

  /// Keeps a cell from breaking the table.
  private static func escaped(_ text: String) -> String {
    text.replacing("|", with: "\\|").replacing("\n", with: " ")
  }
}
