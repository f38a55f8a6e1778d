import Foundation
import Support

/// A file of finished records, so that a long evaluation can be stopped and resumed.
///
/// One JSON object a line: a header that says what is measured, then a record for each finished item.
/// Lines are appended as items finish; a last line cut short by a crash is ignored.
public final class Checkpoint<Record: MeasurementRecord> {
  /// What the records belong to.
  public struct Header: Codable, Sendable, Equatable {
    /// Always `swiftlet-checkpoint`.
    public var format = "swiftlet-checkpoint"
    /// The kind of record.
    public var kind: String
    /// A checksum of everything that decides the records: model, settings, items.
    public var fingerprint: UInt32

    /// A header.
    public init(kind: String, fingerprint: UInt32) {
      self.kind = kind
      self.fingerprint = fingerprint
    }
  }

  /// Records of an earlier run.
  public let finished: [Record]
  private let handle: FileHandle
  private let path: String

  /// The largest checkpoint that is read, in bytes.
  private static var byteLimit: Int { 1 << 30 }

  /// Opens a checkpoint.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - header: what is measured now.
  ///   - count: how many items there are; records of others are refused.
  ///   - resume: whether to go on with the records the file holds.
  ///
  /// Throws `DiagnosticError` when the file exists and may not be continued, or cannot be written.
  public init(
    _ path: String, header: Header, count: Int, resume: Bool
  ) throws(DiagnosticError) {
    self.path = path
    let manager = FileManager.default
    var records: [Record] = []
    if manager.fileExists(atPath: path) {
      guard resume else {
        throw DiagnosticError(
          "checkpoint.exists", "exists already", at: SourceLocation(file: path),
          wayOut: "--resume to go on with it, or remove it")
      }
      records = try Self.read(path, header: header, count: count)
    }
    finished = records
    do {
      // Written anew without a torn last line, then appended to.
      var text = try Self.line(header)
      for record in records { text.append(try Self.line(record)) }
      try text.write(to: URL(fileURLWithPath: path), options: .atomic)
      handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      try handle.seekToEnd()
    } catch {
      throw Self.unwritable(path, error)
    }
  }

  deinit { try? handle.close() }

  /// Adds a finished record.
  public func append(_ record: Record) throws(DiagnosticError) {
    do {
      try handle.write(contentsOf: try Self.line(record))
    } catch {
      throw Self.unwritable(path, error)
    }
  }

  private static func unwritable(_ path: String, _ error: any Error) -> DiagnosticError {
    DiagnosticError(
      "checkpoint.write", "cannot write: \(error.localizedDescription)",
      at: SourceLocation(file: path))
  }

  private static func line(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value) + Data([0x0A])
  }

  private static func read(
    _ path: String, header: Header, count: Int
  ) throws(DiagnosticError) -> [Record] {
    let file = ByteSource(try MappedFile(path))
    guard file.count <= byteLimit else {
      throw DiagnosticError(
        "checkpoint.too-large", "has \(file.count) bytes, more than \(byteLimit)",
        at: SourceLocation(file: path))
    }
    let lines = file.withBytes { Data($0) }.split(separator: 0x0A)
    let decoder = JSONDecoder()
    guard let first = lines.first, let found = try? decoder.decode(Header.self, from: first),
      found.format == header.format
    else {
      throw DiagnosticError(
        "checkpoint.format", "is not a checkpoint of an evaluation",
        at: SourceLocation(file: path))
    }
    guard found == header else {
      throw DiagnosticError(
        "checkpoint.other", "belongs to another evaluation: model, text or options differ",
        at: SourceLocation(file: path), wayOut: "another --checkpoint file, or remove this one")
    }
    var seen = Set<Int>()
    var records: [Record] = []
    for (number, line) in lines.enumerated().dropFirst() {
      guard let record = try? decoder.decode(Record.self, from: line),
        (0..<count).contains(record.index)
      else {
        if number == lines.count - 1 { break }
        throw DiagnosticError(
          "checkpoint.record", "is not a record of this evaluation",
          at: SourceLocation(file: path, line: number + 1))
      }
      if seen.insert(record.index).inserted { records.append(record) }
    }
    return records
  }
}
