import EthosUISA
import GraphIR
import ProgramFormat
import Support
import TensorCore

/// Collects constants into a region, each once.
struct ParamsBuilder {
  /// The region they are in.
  let region: Region
  /// Where in it the first one may start.
  let start: Int
  private var offsets: [ConstantID: Int] = [:]
  private var scalars: [Int32: Int] = [:]
  private var tables: [[UInt32]: Int] = [:]
  private var blobs: [[UInt8]: Int] = [:]
  private(set) var pieces: [(offset: Int, bytes: ByteSource)] = []
  /// The end of the last one, counted from the region's first byte.
  private(set) var bytes: Int
  /// Where the rotation table lies and how long its rows are.
  private(set) var rotation: (offset: Int, rowBytes: Int)?
  /// Where the embedding table lies, how long its rows are, and where their multipliers lie.
  private(set) var embedding: (offset: Int, rowBytes: Int, multipliers: Int)?

  /// A builder that starts at a byte of a region.
  init(region: Region, start: Int = 0) {
    self.region = region
    self.start = start
    bytes = start
  }

  /// The place of a constant, added at the next multiple of 16 when it is new.
  mutating func place(_ id: ConstantID, of graph: Graph) throws(DiagnosticError) -> RegionReference
  {
    if let offset = offsets[id] { return RegionReference(region, offset) }
    let constant = graph[id]
    guard let data = constant.data, case .dense(let element) = data.encoding,
      element == constant.type.element, data.bytes.count == constant.type.byteCount
    else {
      throw DiagnosticError(
        "codegen.constant", "has no dense \(constant.type.element.rawValue) data",
        at: SourceLocation(element: constant.name))
    }
    let offset = try append(data.bytes, constant.name)
    offsets[id] = offset
    return RegionReference(region, offset)
  }

  /// The place of a table whose rows base pointers may point at: rows start at multiples of 16 bytes.
  private mutating func placeRows(
    _ id: ConstantID, of graph: Graph
  ) throws(DiagnosticError) -> (offset: Int, rowBytes: Int) {
    let type = graph[id].type
    let isPacked = type.element == .int4
    let columns = type.shape.rank == 2 ? type.shape[1] : 0
    let width = isPacked ? columns / 2 : columns * type.element.byteCount
    let pitch = (width + 15) / 16 * 16
    if pitch == width, !isPacked { return (try place(id, of: graph).offset, pitch) }
    guard let known = offsets[id] else {
      guard let data = graph[id].data, data.bytes.count == type.byteCount, width > 0,
        !isPacked || columns % 2 == 0
      else {
        throw DiagnosticError(
          "codegen.constant", "has no rows", at: SourceLocation(element: graph[id].name))
      }
      let rows = isPacked ? Self.packedRows(data.bytes, columns: columns) : data.bytes
      let padded = rows.withBytes { raw in
        stride(from: 0, to: raw.count, by: width).flatMap {
          Array(raw[$0..<$0 + width]) + [UInt8](repeating: 0, count: pitch - width)
        }
      }
      let offset = try append(ByteSource(padded), graph[id].name)
      offsets[id] = offset
      return (offset, pitch)
    }
    return (known, pitch)
  }

  /// Rows of numbers of −7 … 7, two in a byte: 16 times that of a row's second half and that of its first.
  static func packedRows(_ numbers: ByteSource, columns: Int) -> ByteSource {
    let half = columns / 2
    return ByteSource(
      numbers.withBytes { raw in
        [UInt8](unsafeUninitializedCapacity: raw.count / 2) { out, count in
          count = raw.count / 2
          for i in 0..<count {
            let at = i / half * columns + i % half
            out[i] = raw[at] &+ raw[at + half] << 4
          }
        }
      })
  }

  /// The place of the table of all layers' rotations.
  mutating func placeRotation(
    _ id: ConstantID, of graph: Graph
  ) throws(DiagnosticError) -> (offset: Int, rowBytes: Int) {
    let place = try placeRows(id, of: graph)
    guard rotation == nil || rotation?.offset == place.offset else {
      throw DiagnosticError(
        "codegen.rotation", "all layers must turn by one table",
        at: SourceLocation(element: graph[id].name))
    }
    rotation = place
    return place
  }

  /// One int32 that the NPU reads as an operand.
  mutating func scalar(_ value: Int32) throws(DiagnosticError) -> NPUTensor {
    if let known = scalars[value] { return NPUTensor(.params, known, .int32, 1, 1, 1) }
    let bytes = withUnsafeBytes(of: value.littleEndian) { Array($0) }
    let offset = try append(ByteSource(bytes), "\(value)")
    scalars[value] = offset
    return NPUTensor(.params, offset, .int32, 1, 1, 1)
  }

  /// That many ones, what repeats another operand when they are multiplied.
  mutating func ones(_ count: Int) throws(DiagnosticError) -> NPUTensor {
    let bytes = (0..<2 * count).map { UInt8($0 % 2 == 0 ? 1 : 0) }
    return NPUTensor(.params, try place(bytes, "ones"), .int16, 1, 1, count)
  }

  /// The place of bytes, added at the next multiple of 16 when they are new.
  mutating func place(
    _ bytes: [UInt8], _ name: String
  ) throws(DiagnosticError) -> Int {
    if let known = blobs[bytes] { return known }
    let offset = try append(ByteSource(bytes), name)
    blobs[bytes] = offset
    return offset
  }

  /// Scale records of a convolution with 16-bit inputs that divides by a power of two.
  mutating func scaleRecords(
    count: Int, shift: Int, _ accelerator: Accelerator
  ) throws(DiagnosticError) -> NPUTensor {
    let records = [ScaleRecord](
      repeating: ScaleRecord(bias: 0, multiplier: 1, shift: shift), count: count)
    let bytes = LinearTiling(accelerator: accelerator).scaleStream(records, bits: 16)
    return NPUTensor(.params, try place(bytes, "scales"), .int8, 1, 1, bytes.count)
  }

  /// The bytes of weights −128 … 127 in a stream that has one for each.
  static let foldBytes = (Int8.min...Int8.max).map(
    RawWeightStream(bits: 8, isFast: false).code)

  /// The table of norms and attention. In words that those do not look up it has one of bytes for a U55: it
  /// makes weights' bytes of 8-bit numbers.
  mutating func sharedTable() throws(DiagnosticError) -> NPUTensor {
    try table(Self.sharedWords)
  }

  /// The table of norms of rows nearly the same in size, with the same bytes.
  mutating func rootTable() throws(DiagnosticError) -> NPUTensor {
    try table(Self.rootWords)
  }

  private static let sharedWords = withFoldBytes(FixedTables.shared)
  private static let rootWords = withFoldBytes(FixedTables.roots)

  private static func withFoldBytes(_ words: [UInt32]) -> [UInt32] {
    var words = words
    let bytes = foldBytes
    for (index, word) in FixedTables.spareWords.enumerated() {
      words[word] = (0..<4).reduce(0) { $0 | UInt32(bytes[4 * index + $1]) << (8 * UInt32($1)) }
    }
    return words
  }

  /// A look-up table of 512 words.
  mutating func table(_ words: [UInt32]) throws(DiagnosticError) -> NPUTensor {
    var offset = tables[words]
    if offset == nil {
      let bytes = words.map(\.littleEndian).withUnsafeBytes { Array($0) }
      offset = try append(ByteSource(bytes), "table")
      tables[words] = offset
    }
    return NPUTensor(.params, offset ?? 0, .int32, 1, 1, words.count)
  }

  /// Places an embedding's table and multipliers, and notes them for the runtime. Returns how long the
  /// table's rows are, in bytes.
  mutating func placeEmbedding(
    _ table: ConstantID, _ multiplier: ConstantID, of graph: Graph
  ) throws(DiagnosticError) -> Int {
    let place = try placeRows(table, of: graph)
    guard embedding == nil || embedding?.offset == place.offset else {
      throw DiagnosticError(
        "codegen.embedding", "all functions must look tokens up in one table",
        at: SourceLocation(element: graph[table].name))
    }
    embedding = (place.offset, place.rowBytes, try self.place(multiplier, of: graph).offset)
    return place.rowBytes
  }

  /// Makes room for bytes that are known later.
  mutating func reserve(bytes: Int) throws(DiagnosticError) -> Int {
    try append(ByteSource([UInt8](repeating: 0, count: bytes)), "prefix")
  }

  private mutating func append(
    _ source: ByteSource, _ name: String
  ) throws(DiagnosticError) -> Int {
    let offset = (bytes + 15) / 16 * 16
    guard offset + source.count <= Region.byteLimit else {
      throw DiagnosticError(
        "codegen.params-too-large",
        "the \(region.name) exceed the \(Region.byteLimit) bytes a program can address",
        at: SourceLocation(element: name), wayOut: "a smaller model")
    }
    pieces.append((offset, source))
    bytes = offset + source.count
    return offset
  }

  /// The content from `start` on.
  func content() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: max(bytes - start, 1)) { buffer, count in
      buffer.initialize(repeating: 0)
      for piece in pieces {
        piece.bytes.withBytes { raw in
          UnsafeMutableRawBufferPointer(buffer).baseAddress.map {
            ($0 + piece.offset - start).copyMemory(
              from: raw.baseAddress ?? UnsafeRawPointer($0), byteCount: raw.count)
          }
        }
      }
      count = bytes - start
    }
  }
}
