import Foundation
import Support

/// Reads and writes NumPy's `.npy` files (format version 1.0), as far as tokens and logits need.
enum NumpyFile {
  /// The largest array read, in elements.
  static let elementLimit = 1 << 24

  /// A one-dimensional (or flattened) array of int32 or int64.
  static func integers(_ path: String) throws(DiagnosticError) -> [Int32] {
    let file = ByteSource(try MappedFile(path))
    func malformed(_ what: String) -> DiagnosticError {
      DiagnosticError(
        "npy.malformed", what, at: SourceLocation(file: path),
        wayOut: "numpy.save('\(path)', numpy.array(ids, dtype='int32'))")
    }
    let bytes = file.withBytes { Array($0.prefix(elementLimit * 8 + 65_546)) }
    guard bytes.count >= 10, bytes.starts(with: [0x93] + Array("NUMPY".utf8)), bytes[6] == 1 else {
      throw malformed("is not a .npy file of version 1")
    }
    let headerEnd = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
    guard headerEnd <= bytes.count else { throw malformed("its header is cut off") }
    let header = String(decoding: bytes[10..<headerEnd], as: UTF8.self)
    guard header.contains("'fortran_order': False") else {
      throw malformed("is in Fortran order or lacks a header")
    }
    let width: Int
    if header.contains("'<i4'") {
      width = 4
    } else if header.contains("'<i8'") {
      width = 8
    } else {
      throw malformed("holds neither int32 nor int64")
    }
    let body = bytes[headerEnd...]
    guard body.count % width == 0, body.count / width <= elementLimit else {
      throw malformed("its data are cut off or more than \(elementLimit) elements")
    }
    var values: [Int32] = []
    for start in stride(from: headerEnd, to: bytes.count, by: width) {
      var value: Int64 = 0
      for i in (0..<width).reversed() { value = value << 8 | Int64(bytes[start + i]) }
      if width == 4 { value = Int64(Int32(truncatingIfNeeded: value)) }
      guard let id = Int32(exactly: value) else { throw malformed("\(value) is no token id") }
      values.append(id)
    }
    return values
  }

  /// Writes a one-dimensional array of int16 into `folder`, which is made when it is not there.
  static func write(_ values: [Int16], to folder: String, name: String) throws(DiagnosticError) {
    var header = "{'descr': '<i2', 'fortran_order': False, 'shape': (\(values.count),), }"
    while (header.utf8.count + 11) % 64 != 0 { header += " " }
    header += "\n"
    var data = Data([0x93] + Array("NUMPY".utf8) + [1, 0])
    data.append(UInt8(header.utf8.count & 255))
    data.append(UInt8(header.utf8.count >> 8))
    data.append(contentsOf: header.utf8)
    values.withUnsafeBytes { data.append(contentsOf: $0) }
    let url = URL(fileURLWithPath: folder).appendingPathComponent(name)
    do {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
      try data.write(to: url, options: .atomic)
    } catch {
      throw DiagnosticError(
        "output.write", "cannot write: \(error.localizedDescription)",
        at: SourceLocation(file: url.path))
    }
  }
}
