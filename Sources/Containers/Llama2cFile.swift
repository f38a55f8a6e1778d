import Support
import TensorCore

/// A checkpoint of the llama2.c project: a small header and float32 tensors in a fixed order.
///
/// Three forms are read: the legacy one without magic (a negative vocabulary size says that the
/// classifier is separate), version 1 with the magic `ak42` and a 256-byte header, and version 2
/// (the same header with a group size, weights as int8 groups with float32 scales). Source of the
/// layouts: `export.py` and `run.c` of llama2.c.
public struct Llama2cFile: Sendable {
  /// The forms of the file.
  public enum Version: Int, Sendable {
    case legacy = 0
    case float32 = 1
    case int8 = 2
  }

  /// The numbers of the header.
  public struct Header: Sendable, Hashable {
    public let dim: Int
    public let hidden: Int
    public let layers: Int
    public let heads: Int
    public let kvHeads: Int
    public let vocabulary: Int
    public let context: Int
    public let sharedClassifier: Bool
    /// Elements that share a scale in version 2.
    public let groupSize: Int?

    /// Channels of one head.
    public var headDim: Int { dim / heads }
    /// Channels of all key (or value) heads.
    public var kvDim: Int { headDim * kvHeads }
  }

  /// Which form the file has.
  public let version: Version
  /// The numbers of the header.
  public let header: Header
  /// The tensors by name: `tok_embeddings`, `layers.0.attention.wq`, … `output` if separate, as
  /// the checkpoint's own model names them (without `.weight`).
  public let tensors: [String: NamedTensor]

  /// The magic number of versions 1 and 2, little endian.
  static let magic: UInt32 = 0x616B_3432
  /// Bytes of the header of versions 1 and 2.
  static let headerBytes = 256

  /// Whether bytes begin with the magic number.
  public static func hasMagic(_ source: ByteSource) -> Bool {
    source.withBytes { bytes in
      bytes.count >= 4 && UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)) == magic
    }
  }

  /// Whether bytes look like the legacy form: plausible numbers and exactly the size they imply.
  public static func matchesLegacy(_ source: ByteSource) -> Bool {
    guard let header = try? readHeader(source, version: .legacy, file: "") else { return false }
    return Sections(header, .legacy).byteCount == source.count
  }

  /// Reads a checkpoint. `name` is used in diagnostics.
  ///
  /// Throws `DiagnosticError` with codes `llama2c.*`.
  public init(_ source: ByteSource, name: String) throws(DiagnosticError) {
    version = try Self.readVersion(source, file: name)
    header = try Self.readHeader(source, version: version, file: name)
    let sections = Sections(header, version)
    guard let expected = sections.byteCount else {
      throw DiagnosticError(
        "llama2c.size", "the header claims a model of an impossible size",
        at: SourceLocation(file: name, byteOffset: 0))
    }
    guard expected == source.count else {
      throw DiagnosticError(
        expected > source.count ? "llama2c.truncated" : "llama2c.size",
        "the header implies \(expected) bytes; the file has \(source.count)",
        at: SourceLocation(file: name, byteOffset: min(expected, source.count)),
        wayOut: "download or export the checkpoint again")
    }
    tensors = try sections.tensors(in: source, file: name)
  }

  private static func readVersion(
    _ source: ByteSource, file: String
  ) throws(DiagnosticError) -> Version {
    guard hasMagic(source) else { return .legacy }
    let number = try source.withBytes { bytes throws(DiagnosticError) in
      var cursor = ByteCursor(bytes, file: file, format: "llama2c")
      _ = try cursor.take(4, "the magic number")
      return try cursor.integer(Int32.self, "the version")
    }
    guard number == 1 || number == 2, let version = Version(rawValue: Int(number)) else {
      throw DiagnosticError(
        "llama2c.version", "has checkpoint version \(number); versions 1 and 2 are read",
        at: SourceLocation(file: file, byteOffset: 4))
    }
    return version
  }

  private static func readHeader(
    _ source: ByteSource, version: Version, file: String
  ) throws(DiagnosticError) -> Header {
    try source.withBytes { bytes throws(DiagnosticError) in
      var cursor = ByteCursor(bytes, file: file, format: "llama2c")
      if version != .legacy {
        try cursor.need(UInt64(headerBytes), "the header")
        _ = try cursor.take(8, "the magic number and version")
      }
      let names = [
        "dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len",
      ]
      var fields: [Int] = []
      for name in names {
        let start = cursor.offset
        var value = Int(try cursor.integer(Int32.self, name))
        var shared = 1
        if name == "vocab_size", version == .legacy, value < 0 {
          value = -value
          shared = 0
        }
        guard value > 0, value <= 1 << 24 else {
          throw DiagnosticError(
            "llama2c.header", "\(name) is \(value); it must be in 1...\(1 << 24)",
            at: cursor.location(name, at: start),
            wayOut: "check that the file is a llama2.c checkpoint")
        }
        fields.append(value)
        if name == "vocab_size" { fields.append(shared) }
      }
      var shared = fields[6] == 1
      var groupSize: Int?
      if version != .legacy {
        let flag = try cursor.integer(UInt8.self, "shared_classifier")
        guard flag <= 1 else {
          throw DiagnosticError(
            "llama2c.header", "the shared classifier flag is \(flag) instead of 0 or 1",
            at: cursor.location("shared_classifier", at: cursor.offset - 1))
        }
        shared = flag == 1
        if version == .int8 {
          groupSize = Int(try cursor.integer(Int32.self, "group_size"))
          guard let size = groupSize, size > 0, size <= 1 << 16 else {
            throw DiagnosticError(
              "llama2c.header", "the group size \(groupSize ?? 0) must be in 1...\(1 << 16)",
              at: cursor.location("group_size", at: cursor.offset - 4))
          }
        }
      }
      let header = Header(
        dim: fields[0], hidden: fields[1], layers: fields[2], heads: fields[3],
        kvHeads: fields[4], vocabulary: fields[5], context: fields[7], sharedClassifier: shared,
        groupSize: groupSize)
      guard header.dim % header.heads == 0, header.headDim % 2 == 0,
        header.heads % header.kvHeads == 0, header.layers <= 1 << 12
      else {
        throw DiagnosticError(
          "llama2c.header",
          "dim \(header.dim), heads \(header.heads), kv heads \(header.kvHeads) and layers "
            + "\(header.layers) do not fit together",
          at: cursor.location(at: version == .legacy ? 0 : 8),
          wayOut: "check that the file is a llama2.c checkpoint")
      }
      return header
    }
  }
}

/// The order of a checkpoint's tensors.
private struct Sections {
  /// One tensor per layer, or one tensor; nil names are skipped bytes.
  struct Section {
    var name: String?
    var layers: Int?
    var shape: [Int]
    var quantised = false
  }

  let list: [Section]
  let headerBytes: Int
  let groupSize: Int?

  init(_ h: Llama2cFile.Header, _ version: Llama2cFile.Version) {
    let int8 = version == .int8
    func perLayer(_ name: String, _ shape: [Int], _ quantised: Bool = false) -> Section {
      Section(name: name, layers: h.layers, shape: shape, quantised: quantised)
    }
    let attentionNorm = perLayer("attention_norm", [h.dim])
    let ffnNorm = perLayer("ffn_norm", [h.dim])
    let finalNorm = Section(name: "norm", shape: [h.dim])
    let embeddings = Section(
      name: "tok_embeddings", shape: [h.vocabulary, h.dim], quantised: int8)
    let attention = [
      perLayer("attention.wq", [h.dim, h.dim], int8),
      perLayer("attention.wk", [h.kvDim, h.dim], int8),
      perLayer("attention.wv", [h.kvDim, h.dim], int8),
      perLayer("attention.wo", [h.dim, h.dim], int8),
    ]
    let feedForward = [
      perLayer("feed_forward.w1", [h.hidden, h.dim], int8),
      perLayer("feed_forward.w2", [h.dim, h.hidden], int8),
      perLayer("feed_forward.w3", [h.hidden, h.dim], int8),
    ]
    let output =
      h.sharedClassifier
      ? [] : [Section(name: "output", shape: [h.vocabulary, h.dim], quantised: int8)]
    groupSize = h.groupSize
    switch version {
    case .legacy:
      headerBytes = 28
      // The two tables of rotary cosines and sines are recomputed, not read.
      let rotary = Section(name: nil, shape: [h.context, h.headDim / 2])
      list =
        [embeddings, attentionNorm] + attention + [ffnNorm] + feedForward
        + [finalNorm, rotary, rotary] + output
    case .float32:
      headerBytes = Llama2cFile.headerBytes
      list = [attentionNorm, ffnNorm, finalNorm, embeddings] + attention + feedForward + output
    case .int8:
      headerBytes = Llama2cFile.headerBytes
      list = [attentionNorm, ffnNorm, finalNorm, embeddings] + attention + feedForward + output
    }
  }

  /// Bytes of one tensor of a section; nil when too many or not whole groups.
  private func byteCount(_ section: Section) -> Int? {
    guard let count = Shape(section.shape).checkedCount, count <= 1 << 48 else { return nil }
    guard section.quantised, let groupSize else { return count * 4 }
    return count % groupSize == 0 ? count + count / groupSize * 4 : nil
  }

  /// Bytes of the whole file; nil when impossible.
  var byteCount: Int? {
    var total = headerBytes
    for section in list {
      guard let one = byteCount(section) else { return nil }
      let (all, overflow) = one.multipliedReportingOverflow(by: section.layers ?? 1)
      let (sum, carry) = total.addingReportingOverflow(all)
      if overflow || carry { return nil }
      total = sum
    }
    return total
  }

  /// The tensors, of a file whose size has been checked.
  func tensors(
    in source: ByteSource, file: String
  ) throws(DiagnosticError) -> [String: NamedTensor] {
    var offset = headerBytes
    var tensors: [String: NamedTensor] = [:]
    for section in list {
      for layer in 0..<(section.layers ?? 1) {
        guard let count = byteCount(section), let bytes = source.slice(at: offset, count: count)
        else {
          throw DiagnosticError(
            "llama2c.truncated", "the file ends inside \(section.name ?? "the rotary tables")",
            at: SourceLocation(file: file, byteOffset: offset))
        }
        if let short = section.name {
          let name = section.layers == nil ? short : "layers.\(layer).\(short)"
          let data: ConstantData
          if section.quantised, let groupSize {
            data = dequantise(bytes, elements: Shape(section.shape).count, groupSize: groupSize)
          } else {
            data = ConstantData(bytes: bytes, encoding: .dense(.float32))
          }
          tensors[name] = NamedTensor(
            name: name, shape: Shape(section.shape), data: data, byteOffset: offset)
        }
        offset += count
      }
    }
    return tensors
  }

  /// Version 2 groups run across rows and have float32 scales after all the integers, unlike any
  /// block format, so these tensors become owned floats.
  private func dequantise(_ bytes: ByteSource, elements: Int, groupSize: Int) -> ConstantData {
    bytes.withBytes { raw in
      let floats = [Float](unsafeUninitializedCapacity: elements) { out, filled in
        for group in 0..<elements / groupSize {
          let scale = Float(
            bitPattern: UInt32(
              littleEndian: raw.loadUnaligned(
                fromByteOffset: elements + group * 4, as: UInt32.self)))
          for i in group * groupSize..<(group + 1) * groupSize {
            out[i] = Float(raw.load(fromByteOffset: i, as: Int8.self)) * scale
          }
        }
        filled = elements
      }
      return ConstantData(floats: floats)
    }
  }
}
