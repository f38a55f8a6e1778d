import Foundation
import Support

/// The tensors of one safetensors file, or of the shards that an index file names.
public struct SafetensorsSet: Sendable {
  /// Shards of a model at most.
  public static let shardLimit = 1024

  /// The files' names.
  public let files: [String]
  private let tensors: [String: NamedTensor]

  /// The tensor called `name`.
  public func tensor(_ name: String) -> NamedTensor? { tensors[name] }

  /// How many tensors there are.
  public var count: Int { tensors.count }

  /// One file. Throws as `SafetensorsFile` does.
  public init(file path: String) throws(DiagnosticError) {
    let file = try SafetensorsFile(ByteSource(try MappedFile(path)), name: path)
    files = [path]
    var tensors: [String: NamedTensor] = [:]
    for tensor in file.tensors { tensors[tensor.name] = tensor }
    self.tensors = tensors
  }

  /// The shards of an index (`model.safetensors.index.json`), which lie beside it.
  ///
  /// Throws `safetensors.index` when the index is unsound, names a file elsewhere, or promises a
  /// tensor that its shard lacks; and as `SafetensorsFile` does.
  public init(index path: String) throws(DiagnosticError) {
    let json = try ByteSource(try MappedFile(path)).withBytes { bytes throws(DiagnosticError) in
      try JSONValue(parsing: bytes, name: path)
    }
    func fail(_ message: String, _ element: String? = nil) -> DiagnosticError {
      DiagnosticError(
        "safetensors.index", message, at: SourceLocation(file: path, element: element))
    }
    guard let map = json["weight_map"]?.members else { throw fail("there is no weight_map") }
    var wanted: [String: [String]] = [:]
    for member in map {
      guard let shard = member.value.string, !shard.isEmpty, !shard.contains("/"),
        !shard.contains("\0"), shard != ".", shard != ".."
      else {
        throw fail("tensor \(member.name) must lie in a file of the same folder", member.name)
      }
      wanted[shard, default: []].append(member.name)
    }
    guard wanted.count <= Self.shardLimit else {
      throw fail("\(wanted.count) shards are above the limit of \(Self.shardLimit)")
    }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
    var files: [String] = []
    var tensors: [String: NamedTensor] = [:]
    for shard in wanted.keys.sorted() {
      let place = folder.appendingPathComponent(shard).path
      let file = try SafetensorsFile(ByteSource(try MappedFile(place)), name: place)
      files.append(place)
      let found = Dictionary(file.tensors.map { ($0.name, $0) }) { first, _ in first }
      for name in wanted[shard] ?? [] {
        guard let tensor = found[name] else {
          throw fail("tensor \(name) is not in its shard \(shard)", name)
        }
        tensors[name] = tensor
      }
    }
    self.files = files
    self.tensors = tensors
  }
}
