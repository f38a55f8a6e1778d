import Support
import TensorCore

/// Turns the tables of a file into values, checking every index against what it points into.
struct TFLiteReader {
  /// Ranks beyond this are refused; the schema's kernels stop at 8.
  static let rankLimit = 8
  /// Elements of one tensor at most.
  static let elementLimit = 1 << 32

  var tables: TFLiteTables
  private let source: ByteSource

  /// A reader of `bytes`, which are those of `source`.
  init(_ bytes: UnsafeRawBufferPointer, source: ByteSource, name: String) {
    tables = TFLiteTables(bytes, source: source, name: name)
    self.source = source
  }

  /// Everything there is in a model.
  mutating func model() throws(DiagnosticError) -> (
    description: String, subgraphs: [TFLiteSubgraph], metadata: [(name: String, data: ByteSource)]
  ) {
    let root = try tables.root()
    let version = try tables.integer(root, 0, UInt32(0), "the version")
    guard version == 3 else {
      throw tables.malformed("version", "has schema version \(version); only 3 exists today")
    }
    var buffers: [ByteSource] = []
    for (index, table) in try tables.tables(root, 4, "the buffers").enumerated() {
      buffers.append(try buffer(table, "buffer \(index)"))
    }
    var codes: [TFLiteOperatorCode] = []
    for (index, table) in try tables.tables(root, 1, "the operator codes").enumerated() {
      codes.append(try code(table, "operator code \(index)"))
    }
    var subgraphs: [TFLiteSubgraph] = []
    for (index, table) in try tables.tables(root, 2, "the subgraphs").enumerated() {
      subgraphs.append(try subgraph(table, codes, buffers, "subgraph \(index)"))
    }
    guard !subgraphs.isEmpty else { throw tables.malformed("empty", "has no subgraph") }
    var metadata: [(name: String, data: ByteSource)] = []
    for (index, table) in try tables.tables(root, 6, "the metadata").enumerated() {
      let what = "metadata \(index)"
      let name = try tables.string(table, 0, what)
      let place = try tables.integer(table, 1, UInt32(0), what)
      guard place < buffers.count else {
        throw tables.malformed("index", "\(what) names buffer \(place) of \(buffers.count)")
      }
      metadata.append((name, buffers[Int(place)]))
    }
    return (try tables.string(root, 3, "the description"), subgraphs, metadata)
  }

  /// A buffer's bytes: in the table, or (large models) behind the tables.
  private func buffer(_ table: TFLiteTables.Table, _ what: String) throws(DiagnosticError)
    -> ByteSource
  {
    if let data = try tables.blob(table, 0, what), data.count > 0 { return data }
    let offset = try tables.integer(table, 1, UInt64(0), what)
    let size = try tables.integer(table, 2, UInt64(0), what)
    guard offset > 1, size > 0 else { return ByteSource([]) }
    guard let start = Int(exactly: offset), let count = Int(exactly: size),
      let data = source.slice(at: start, count: count)
    else { throw tables.malformed("corrupt", "\(what) lies outside the file") }
    return data
  }

  private mutating func code(_ table: TFLiteTables.Table, _ what: String)
    throws(DiagnosticError) -> TFLiteOperatorCode
  {
    // Two fields for history: the first is a byte, the second holds numbers above 127.
    let old = Int32(try tables.integer(table, 0, Int8(0), what))
    let number = max(old, try tables.integer(table, 3, Int32(0), what))
    if number == 32 { return .custom(try tables.string(table, 1, what)) }
    return TFLiteBuiltin(rawValue: number).map { .builtin($0) } ?? .unknown(number)
  }

  private mutating func subgraph(
    _ table: TFLiteTables.Table, _ codes: [TFLiteOperatorCode], _ buffers: [ByteSource],
    _ what: String
  ) throws(DiagnosticError) -> TFLiteSubgraph {
    var tensors: [TFLiteTensor] = []
    for (index, entry) in try tables.tables(table, 0, "tensors of \(what)").enumerated() {
      tensors.append(try tensor(entry, buffers, "\(what), tensor \(index)"))
    }
    var operators: [TFLiteOperator] = []
    for (index, entry) in try tables.tables(table, 3, "operators of \(what)").enumerated() {
      let what = "\(what), operator \(index)"
      let opcode = try tables.integer(entry, 0, UInt32(0), what)
      guard opcode < codes.count else {
        throw tables.malformed("index", "\(what) names operator code \(opcode) of \(codes.count)")
      }
      let inputs = try indices(entry, 1, tensors.count, what, optional: true)
      let outputs = try indices(entry, 2, tensors.count, what, optional: false)
      operators.append(
        TFLiteOperator(
          code: codes[Int(opcode)], inputs: inputs, outputs: outputs.compactMap { $0 },
          options: try options(entry, what),
          customOptions: try tables.blob(entry, 5, what) ?? ByteSource([]),
          intermediates: try indices(entry, 8, tensors.count, what, optional: false)
            .compactMap { $0 }))
    }
    return TFLiteSubgraph(
      name: try tables.string(table, 4, what), tensors: tensors,
      inputs: try indices(table, 1, tensors.count, what, optional: false).compactMap { $0 },
      outputs: try indices(table, 2, tensors.count, what, optional: false).compactMap { $0 },
      operators: operators)
  }

  /// Tensor indices of a field; -1 stands for an input that is left out.
  private mutating func indices(
    _ table: TFLiteTables.Table, _ slot: UInt16, _ count: Int, _ what: String, optional: Bool
  ) throws(DiagnosticError) -> [Int?] {
    var result: [Int?] = []
    for index in try tables.numbers(table, slot, what, as: Int32.self) ?? [] {
      guard index < count, index >= (optional ? -1 : 0) else {
        throw tables.malformed("index", "\(what) names tensor \(index) of \(count)")
      }
      result.append(index < 0 ? nil : Int(index))
    }
    return result
  }

  private mutating func tensor(
    _ table: TFLiteTables.Table, _ buffers: [ByteSource], _ what: String
  ) throws(DiagnosticError) -> TFLiteTensor {
    let name = try tables.string(table, 3, what)
    let extents = (try tables.numbers(table, 0, what, as: Int32.self) ?? []).map(Int.init)
    let shape = Shape(extents)
    guard shape.rank <= Self.rankLimit, let count = shape.checkedCount, count <= Self.elementLimit
    else {
      throw tables.malformed("shape", "\(what) has impossible extents \(shape)", name)
    }
    let number = try tables.integer(table, 1, Int8(0), what)
    guard let type = TFLiteTensorType(rawValue: number) else {
      throw tables.malformed("type", "\(what) has unknown element type \(number)", name)
    }
    let place = try tables.integer(table, 2, UInt32(0), what)
    guard place < max(buffers.count, 1) else {
      throw tables.malformed("index", "\(what) names buffer \(place) of \(buffers.count)", name)
    }
    let data = Int(place) < buffers.count ? buffers[Int(place)] : ByteSource([])
    if data.count > 0, let element = type.element, data.count != count * element.byteCount {
      throw tables.malformed(
        "size", "\(what) needs \(count * element.byteCount) bytes; its buffer has \(data.count)",
        name)
    }
    return TFLiteTensor(
      name: name, shape: shape, type: type,
      quantisation: try quantisation(table, shape, what, name), buffer: Int(place),
      data: data.count > 0 || (count == 0 && place != 0) ? data : nil,
      isVariable: try tables.flag(table, 5, what))
  }

  private mutating func quantisation(
    _ tensor: TFLiteTables.Table, _ shape: Shape, _ what: String, _ name: String
  ) throws(DiagnosticError) -> QuantParams? {
    guard let table = try tables.table(tensor, 4, what) else { return nil }
    let scales = (try tables.numbers(table, 2, what, as: UInt32.self) ?? [])
      .map(Float.init(bitPattern:))
    guard !scales.isEmpty else { return nil }
    guard scales.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
      throw tables.malformed("quantisation", "\(what) has a scale that is no finite number", name)
    }
    var zeroPoints: [Int32] = []
    for zero in try tables.numbers(table, 3, what, as: Int64.self) ?? [] {
      guard let zero = Int32(exactly: zero) else {
        throw tables.malformed("quantisation", "\(what) has zero point \(zero)", name)
      }
      zeroPoints.append(zero)
    }
    if zeroPoints.isEmpty { zeroPoints = [0] }
    guard zeroPoints.count == 1 || zeroPoints.count == scales.count else {
      throw tables.malformed(
        "quantisation", "\(what) has \(scales.count) scales and \(zeroPoints.count) zero points",
        name)
    }
    guard scales.count > 1 else {
      return QuantParams(scales: scales, zeroPoints: zeroPoints, axis: nil)
    }
    // Some converters name a wrong axis for depthwise weights, and runtimes ignore the field; the
    // extents then tell.
    let named = Int(try tables.integer(table, 6, Int32(0), what))
    let fits = { (axis: Int) in axis >= 0 && axis < shape.rank && shape[axis] == scales.count }
    guard let axis = fits(named) ? named : (0..<shape.rank).last(where: fits) else {
      throw tables.malformed(
        "quantisation", "\(what) has \(scales.count) scales along axis \(named) of \(shape)", name)
    }
    return QuantParams(scales: scales, zeroPoints: zeroPoints, axis: axis)
  }
}
