import Support
import TensorCore

/// An array of NumPy's `.npy` format, versions 1 to 3, as its bytes.
public struct NumpyArray: Sendable {
  /// The type string, such as `<i4` or `|S3664`.
  public let descriptor: String
  /// Extents, outermost first.
  public let shape: Shape
  /// The elements in C order.
  public let bytes: ByteSource

  /// The element type; nil for text and structures.
  public var element: ElementType? { Self.types.first { $0.value == descriptor }?.key }

  /// The type string of an element type; nil where NumPy has none.
  public static func descriptor(of element: ElementType) -> String? { types[element] }

  private static let types: [ElementType: String] = [
    .bool: "|b1", .int8: "|i1", .uint8: "|u1", .int16: "<i2", .uint16: "<u2", .int32: "<i4",
    .uint32: "<u4", .int64: "<i8", .float16: "<f2", .float32: "<f4",
  ]

  /// Reads an array. Throws `DiagnosticError` with the code `npy.malformed`.
  public init(_ source: ByteSource, name: String) throws(DiagnosticError) {
    func malformed(_ what: String) -> DiagnosticError {
      DiagnosticError("npy.malformed", what, at: SourceLocation(file: name))
    }
    let front = source.withBytes { Array($0.prefix(1 << 16)) }
    guard front.count >= 12, front.starts(with: [0x93] + Array("NUMPY".utf8)), front[6] < 4 else {
      throw malformed("is not a .npy file of version 1 to 3")
    }
    let start = front[6] == 1 ? 10 : 12
    let length =
      Int(front[8]) | Int(front[9]) << 8
      | (start == 12 ? Int(front[10]) << 16 | Int(front[11]) << 24 : 0)
    guard length <= front.count - start else { throw malformed("its header is cut off") }
    let header = String(decoding: front[start..<start + length], as: UTF8.self)
    guard header.contains("'fortran_order': False"),
      let descriptor = header.firstMatch(of: /'descr': '([^']{1,16})'/)?.1,
      let extents = header.firstMatch(of: /'shape': \(([0-9, ]*)\)/)?.1
    else { throw malformed("is in Fortran order, or its header lacks type or shape") }
    let list = extents.split(separator: ",").map { Int($0.filter(\.isNumber)) }
    let shape = Shape(list.compactMap { $0 })
    guard shape.rank == list.count, shape.rank <= 32, let count = shape.checkedCount,
      let width = Int(descriptor.drop { !$0.isNumber }), width > 0,
      case (let size, false) = count.multipliedReportingOverflow(by: width),
      let bytes = source.slice(at: start + length, count: size),
      descriptor.first == "<" || descriptor.first == "|"
    else { throw malformed("its data are cut off or of a type that has no plain bytes") }
    self.descriptor = String(descriptor)
    self.shape = shape
    self.bytes = bytes
  }

  /// The whole numbers of an integer array; nil for other types.
  public var integers: [Int]? {
    guard let element, element.isInteger else { return nil }
    let size = element.byteCount
    let isSigned = descriptor.dropFirst().first == "i"
    return bytes.withBytes { raw in
      (0..<raw.count / size).map { i in
        var value: UInt64 = 0
        for b in (0..<size).reversed() { value = value << 8 | UInt64(raw[i * size + b]) }
        guard isSigned, size < 8 else { return Int(truncatingIfNeeded: value) }
        let unused = UInt64(64 - 8 * size)
        return Int(Int64(bitPattern: value << unused) >> Int64(unused))
      }
    }
  }

  /// The content of a `.npy` file.
  public static func file(_ element: ElementType, _ shape: Shape, _ bytes: [UInt8]) -> [UInt8]? {
    guard let descriptor = types[element] else { return nil }
    let extents = shape.dimensions.map { "\($0)," }.joined(separator: " ")
    var header = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': (\(extents)), }"
    while (header.utf8.count + 11) % 64 != 0 { header += " " }
    header += "\n"
    guard header.utf8.count < 1 << 16 else { return nil }
    let length = [UInt8(header.utf8.count & 255), UInt8(header.utf8.count >> 8)]
    return [0x93] + Array("NUMPY".utf8) + [1, 0] + length + Array(header.utf8) + bytes
  }
}
