/// Builds safetensors files for tests.
public struct SafetensorsWriter: Sendable {
  private var entries: [(name: String, type: String, shape: [Int], bytes: [UInt8])] = []

  /// An empty file.
  public init() {}

  /// Adds a tensor.
  public mutating func add(_ name: String, _ type: String, _ shape: [Int], _ bytes: [UInt8]) {
    entries.append((name, type, shape, bytes))
  }

  /// The whole file.
  public var file: [UInt8] {
    var offset = 0
    var members = ["\"__metadata__\": {\"format\": \"pt\"}"]
    for entry in entries {
      let end = offset + entry.bytes.count
      members.append(
        "\"\(entry.name)\": {\"dtype\": \"\(entry.type)\", \"shape\": \(entry.shape), "
          + "\"data_offsets\": [\(offset), \(end)]}")
      offset = end
    }
    return Self.file(header: "{\(members.joined(separator: ", "))}", entries.flatMap(\.bytes))
  }

  /// A file with a given header.
  public static func file(header: String, _ data: [UInt8]) -> [UInt8] {
    GGUFWriter.bytes(UInt64(header.utf8.count)) + Array(header.utf8) + data
  }
}
