import Support

/// One published measurement, as the tables of measurements list them.
public struct PublishedRow: Sendable, Hashable {
  /// Its id; the first letter names the group.
  public var id: String
  /// The configuration, such as `U85-256`.
  public var npu: String
  /// Vela's memory mode.
  public var memoryMode: String
  /// What is said of the timing adapter.
  public var adapter: String
  /// NPU ACTIVE, if published.
  public var active: Int?
  /// The total, which lies on a grid of 1,000 cycles.
  public var total: Int?
  /// Published beats by column name.
  public var beats: [String: Int]
  /// The file with the command stream; empty for none.
  public var stream: String

  /// Columns that hold beats.
  public static let beatColumns = [
    "axi0_rd_beats", "axi0_wr_beats", "axi1_rd_beats", "sram_rd_beats", "sram_wr_beats",
    "ext_rd_beats", "ext_wr_beats",
  ]

  /// The rows of a CSV text with a header line. Fields may be quoted.
  ///
  /// - Throws: `DiagnosticError` if a needed column is missing.
  public static func parse(_ text: String, file: String) throws(DiagnosticError) -> [PublishedRow] {
    let records = records(text)
    guard let header = records.first else { return [] }
    var columns: [String: Int] = [:]
    for (index, name) in header.enumerated() where columns[name] == nil { columns[name] = index }
    for name in ["id", "npu", "memory_mode", "timing_adapter", "npu_active", "npu_total", "stream"]
    where columns[name] == nil {
      throw DiagnosticError(
        "timing.columns", "has no column '\(name)'", at: SourceLocation(file: file))
    }
    var rows: [PublishedRow] = []
    for record in records.dropFirst() {
      func field(_ name: String) -> String {
        guard let index = columns[name], record.indices.contains(index) else { return "" }
        return record[index]
      }
      var beats: [String: Int] = [:]
      for name in beatColumns {
        if let value = Int(field(name)) { beats[name] = value }
      }
      guard !field("id").isEmpty else { continue }
      rows.append(
        PublishedRow(
          id: field("id"), npu: field("npu"), memoryMode: field("memory_mode"),
          adapter: field("timing_adapter"), active: Int(field("npu_active")),
          total: Int(field("npu_total")), beats: beats, stream: field("stream")))
    }
    return rows
  }

  /// Fields of each line (RFC 4180: quotes around fields, doubled inside).
  private static func records(_ text: String) -> [[String]] {
    var result: [[String]] = []
    var record: [String] = []
    var field = ""
    var isQuoted = false
    var previousWasQuote = false
    func endField() {
      record.append(field)
      field = ""
    }
    for character in text {
      if isQuoted {
        if character == "\"" {
          isQuoted = false
          previousWasQuote = true
        } else {
          field.append(character)
        }
        continue
      }
      switch character {
      case "\"":
        if previousWasQuote { field.append("\"") }
        isQuoted = true
      case ",": endField()
      case "\n", "\r\n":
        endField()
        result.append(record)
        record = []
      case "\r": break
      default: field.append(character)
      }
      previousWasQuote = false
    }
    if !field.isEmpty || !record.isEmpty {
      endField()
      result.append(record)
    }
    return result
  }
}
