import CTFLite
import Support

/// A budget of what a reader may copy out of a file, so that shared offsets cannot multiply.
///
/// Tables of a FlatBuffers file may point to the same vector any number of times. Copies are bounded by
/// a multiple of the file's size, which no writer we know comes near.
struct CopyBudget {
  private var left: Int

  /// The budget of a file of `count` bytes.
  init(fileBytes count: Int) {
    left = 1 << 20 &+ min(count, 1 << 28) &* 2
  }

  /// Takes bytes from the budget; `false` when there are not as many left.
  mutating func take(_ bytes: Int) -> Bool {
    guard bytes <= left else { return false }
    left -= bytes
    return true
  }
}

/// One table of a FlatBuffers file, read field by field through the verifying shim.
struct TFLiteTables {
  private let file: ctflite_file
  private let source: ByteSource
  private let name: String
  private var budget: CopyBudget

  /// A table, by the offset of its start.
  struct Table {
    fileprivate var offset: UInt32
  }

  /// Reads `bytes`, which are those of `source` and stay valid while this value is used.
  init(_ bytes: UnsafeRawBufferPointer, source: ByteSource, name: String) {
    file = ctflite_file(
      bytes: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), count: bytes.count)
    self.source = source
    self.name = name
    budget = CopyBudget(fileBytes: bytes.count)
  }

  /// The root table of a file with the identifier `TFL3`.
  func root() throws(DiagnosticError) -> Table {
    var offset: UInt32 = 0
    switch ctflite_root(file, "TFL3", &offset) {
    case 0: return Table(offset: offset)
    case 1:
      throw DiagnosticError(
        "tflite.identifier", "does not carry the identifier TFL3",
        at: SourceLocation(file: name, byteOffset: 4), wayOut: "convert the model to .tflite")
    default: throw corrupt("the root table", at: 0)
    }
  }

  /// The table a field points to; nil when the field is absent.
  func table(_ table: Table, _ slot: UInt16, _ what: @autoclosure () -> String)
    throws(DiagnosticError) -> Table?
  {
    var offset: UInt32 = 0
    guard try isFound(ctflite_table(file, table.offset, slot, &offset), table, what()) else {
      return nil
    }
    return Table(offset: offset)
  }

  /// The tables of a vector field; empty when the field is absent.
  mutating func tables(_ table: Table, _ slot: UInt16, _ what: @autoclosure () -> String)
    throws(DiagnosticError) -> [Table]
  {
    let run = try vector(table, slot, size: 4, what())
    try spend(Int(run.count) * 64, what(), table)
    var result: [Table] = []
    for index in 0..<run.count {
      var offset: UInt32 = 0
      guard ctflite_element(file, run, index, &offset) == 0 else {
        throw corrupt("element \(index) of \(what())", at: run.offset)
      }
      result.append(Table(offset: offset))
    }
    return result
  }

  /// A string field; empty when absent.
  mutating func string(_ table: Table, _ slot: UInt16, _ what: @autoclosure () -> String)
    throws(DiagnosticError) -> String
  {
    var run = ctflite_run()
    guard try isFound(ctflite_string(file, table.offset, slot, &run), table, what()) else {
      return ""
    }
    try spend(Int(run.count), what(), table)
    return String(decoding: bytes(run, size: 1), as: UTF8.self)
  }

  /// The numbers of a vector field; nil when absent.
  mutating func numbers<T: FixedWidthInteger>(
    _ table: Table, _ slot: UInt16, _ what: @autoclosure () -> String, as type: T.Type = T.self
  ) throws(DiagnosticError) -> [T]? {
    let size = MemoryLayout<T>.size
    var run = ctflite_run()
    let status = ctflite_vector(file, table.offset, slot, UInt32(size), &run)
    guard try isFound(status, table, what()) else { return nil }
    try spend(Int(run.count) * 8, what(), table)
    let bytes = bytes(run, size: size)
    return (0..<Int(run.count)).map {
      T(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * size, as: T.self))
    }
  }

  /// The bytes of a vector field, not copied; nil when absent.
  func blob(_ table: Table, _ slot: UInt16, _ what: @autoclosure () -> String)
    throws(DiagnosticError) -> ByteSource?
  {
    var run = ctflite_run()
    let status = ctflite_vector(file, table.offset, slot, 1, &run)
    guard try isFound(status, table, what()) else { return nil }
    return source.slice(at: Int(run.offset), count: Int(run.count))
  }

  /// An integer field, `fallback` when absent.
  func integer<T: FixedWidthInteger>(
    _ table: Table, _ slot: UInt16, _ fallback: T, _ what: @autoclosure () -> String
  ) throws(DiagnosticError) -> T {
    var bits: UInt64 = 0
    let size = UInt32(MemoryLayout<T>.size)
    let status = ctflite_scalar(file, table.offset, slot, size, &bits)
    return try isFound(status, table, what()) ? T(truncatingIfNeeded: bits) : fallback
  }

  /// A truth value, `false` when absent.
  func flag(_ table: Table, _ slot: UInt16, _ what: @autoclosure () -> String)
    throws(DiagnosticError) -> Bool
  {
    try integer(table, slot, UInt8(0), what()) != 0
  }

  /// A float32 field, 0 when absent.
  func float(_ table: Table, _ slot: UInt16, _ what: @autoclosure () -> String)
    throws(DiagnosticError) -> Float
  {
    Float(bitPattern: try integer(table, slot, UInt32(0), what()))
  }

  /// An error about the file as a whole.
  func malformed(_ code: String, _ message: String, _ element: String? = nil) -> DiagnosticError {
    DiagnosticError("tflite.\(code)", message, at: SourceLocation(file: name, element: element))
  }

  // MARK: Helpers

  private func vector(_ table: Table, _ slot: UInt16, size: UInt32, _ what: String)
    throws(DiagnosticError) -> ctflite_run
  {
    var run = ctflite_run()
    let status = ctflite_vector(file, table.offset, slot, size, &run)
    return try isFound(status, table, what) ? run : ctflite_run()
  }

  /// The bytes of a run the shim has verified.
  private func bytes(_ run: ctflite_run, size: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: file.bytes + Int(run.offset), count: Int(run.count) * size)
  }

  private func isFound(_ status: Int32, _ table: Table, _ what: @autoclosure () -> String)
    throws(DiagnosticError) -> Bool
  {
    guard status == 0 || status == 1 else { throw corrupt(what(), at: table.offset) }
    return status == 0
  }

  private mutating func spend(_ bytes: Int, _ what: @autoclosure () -> String, _ table: Table)
    throws(DiagnosticError)
  {
    guard budget.take(bytes) else {
      throw DiagnosticError(
        "tflite.limit", "\(what()) repeats more data than a file of this size can stand for",
        at: SourceLocation(file: name, byteOffset: Int(table.offset)))
    }
  }

  private func corrupt(_ what: String, at offset: UInt32) -> DiagnosticError {
    DiagnosticError(
      "tflite.corrupt", "\(what) does not lie within the file",
      at: SourceLocation(file: name, byteOffset: Int(offset)),
      wayOut: "the file is damaged; download or export it again")
  }
}
