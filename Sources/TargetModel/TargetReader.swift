import Support
import Yams

/// Walks a target's YAML nodes and collects everything that is wrong with them.
struct TargetReader {
  let file: String
  private(set) var problems: [Diagnostic] = []

  init(file: String) { self.file = file }

  private mutating func problem(
    _ code: String, _ message: String, _ node: Node?, wayOut: String? = nil
  ) {
    let mark = node?.mark
    problems.append(
      Diagnostic(
        "target." + code, message,
        at: SourceLocation(file: file, line: mark?.line, column: mark?.column), wayOut: wayOut))
  }

  /// Reports the first anchor or alias of a text that has not been parsed yet.
  ///
  /// Aliases let a small file stand for a huge one, and the parser already expands them, so this
  /// looks at the bare text: `&` or `*` with a name behind it and no letter or digit before it.
  /// Quotes and comments are not exempt, because telling them apart takes the parser.
  mutating func rejectAliases(_ text: String) {
    func isWord(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
        true
      default: false
      }
    }
    let bytes = Array(text.utf8)
    var line = 1
    var lineStart = 0
    for (at, byte) in bytes.enumerated() {
      if byte == UInt8(ascii: "\n") {
        line += 1
        lineStart = at + 1
      }
      guard byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*") else { continue }
      guard at + 1 < bytes.count, isWord(bytes[at + 1]) else { continue }
      // "-" may end a list mark such as "- *a", never directly precede an alias in one word.
      if at > 0, isWord(bytes[at - 1]) { continue }
      problems.append(
        Diagnostic(
          "target.alias", "anchors and aliases are not allowed",
          at: SourceLocation(file: file, line: line, column: at - lineStart + 1),
          wayOut: "write the value out; a word in a comment or text may not start with & or *"))
      return
    }
  }

  /// The fields of a mapping, checked against the keys it may and must have.
  private mutating func fields(
    _ node: Node, _ what: String, required: [String], optional: [String] = []
  ) -> [String: Node]? {
    guard let mapping = node.mapping else {
      problem("kind", "\(what) must be a mapping", node)
      return nil
    }
    var found: [String: Node] = [:]
    let known = required + optional
    for (key, value) in mapping {
      guard let name = key.scalar?.string else {
        problem("key", "a key of \(what) is not plain text", key)
        continue
      }
      guard known.contains(name) else {
        problem(
          "unknown-key", "\(what) has no key '\(name)'", key,
          wayOut: "one of \(known.sorted().joined(separator: ", "))")
        continue
      }
      if found.updateValue(value, forKey: name) != nil {
        problem("duplicate-key", "\(what) has '\(name)' twice", key)
      }
    }
    for name in required where found[name] == nil {
      problem("missing-key", "\(what) lacks '\(name)'", node)
    }
    return found
  }

  private mutating func text(_ node: Node?, _ what: String) -> String? {
    guard let node else { return nil }
    guard let value = node.scalar?.string, !value.isEmpty else {
      problem("kind", "\(what) must be text", node)
      return nil
    }
    return value
  }

  /// A number written as `{value: …, source: …}`: no figure stands without its source.
  private mutating func sourced(_ node: Node?, _ what: String) -> (text: String, node: Node)? {
    guard let node else { return nil }
    guard let found = fields(node, what, required: ["value", "source"]) else { return nil }
    _ = text(found["source"], "\(what): source")
    guard let value = found["value"], let scalar = text(value, "\(what): value") else { return nil }
    return (scalar, value)
  }

  private mutating func quantity<T>(
    _ node: Node?, _ what: String, _ form: String, _ read: (String) -> T?,
    _ legal: (T) -> Bool, _ limits: String
  ) -> T? {
    guard let (scalar, place) = sourced(node, what) else { return nil }
    guard let value = read(scalar) else {
      problem("value", "\(what) is '\(scalar)', not \(form)", place)
      return nil
    }
    guard legal(value) else {
      problem("impossible", "\(what) is \(scalar), must be \(limits)", place)
      return nil
    }
    return value
  }

  private mutating func clock(_ node: Node?, _ what: String) -> Hertz? {
    quantity(
      node, what, "a frequency such as 400MHz", Quantity.hertz,
      { $0.value >= 1e6 && $0.value <= 1e10 }, "1 MHz to 10 GHz")
  }

  private mutating func rate(_ node: Node?, _ what: String, zero: Bool = false) -> Bandwidth? {
    quantity(
      node, what, "a rate such as 0.39GB/s", Quantity.bandwidth,
      { ($0.bytesPerSecond >= 1e5 || zero && $0.bytesPerSecond == 0) && $0.bytesPerSecond <= 1e12 },
      zero ? "0, or 0.1 MB/s to 1 TB/s" : "0.1 MB/s to 1 TB/s")
  }

  private mutating func energy(_ node: Node?, _ what: String, suffix: String = "") -> Joules? {
    quantity(
      node, what, "an energy such as 1.25pJ\(suffix)", { Quantity.joules($0, suffix: suffix) },
      { $0.value <= 1e-6 }, "at most 1000 nJ\(suffix)")
  }

  private mutating func cycles(_ node: Node?, _ what: String) -> Cycles? {
    quantity(
      node, what, "a whole number of NPU cycles",
      { Quantity.integer($0).flatMap { Int(exactly: $0) }.map(Cycles.init) },
      { $0.count <= 100_000 }, "at most 100000")
  }

  /// The whole file.
  mutating func target(_ root: Node) -> Target? {
    guard
      let top = fields(
        root, "a target", required: ["name", "summary", "cpu", "npu", "memories", "placement"])
    else { return nil }
    let name = text(top["name"], "name")
    if let name, !name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }) {
      problem("name", "name '\(name)' may only have letters, digits and '-'", top["name"])
    }
    let summary = text(top["summary"], "summary")
    let cpu = top["cpu"].flatMap { self.cpu($0) }
    let npu = top["npu"].flatMap { self.npu($0) }
    let memories = top["memories"].map { self.memories($0) } ?? []
    let placement = top["placement"].map { self.placement($0, memories.map(\.memory)) } ?? [:]
    checkOverlap(memories)
    guard let name, let summary, let cpu, let npu else { return nil }
    return Target(
      name: name, summary: summary, cpu: cpu, npu: npu, memories: memories.map(\.memory),
      placement: placement)
  }

  private mutating func cpu(_ node: Node) -> Target.CPU? {
    guard let found = fields(node, "cpu", required: ["core", "clock"]) else { return nil }
    guard let core = text(found["core"], "cpu: core"),
      let clock = clock(found["clock"], "cpu: clock")
    else { return nil }
    return Target.CPU(core: core, clock: clock)
  }

  private mutating func npu(_ node: Node) -> Target.NPU? {
    guard
      let found = fields(
        node, "npu", required: ["variant", "clock"], optional: ["mac_energy", "cycle_energy"])
    else { return nil }
    guard let variant = text(found["variant"], "npu: variant"),
      let clock = clock(found["clock"], "npu: clock")
    else { return nil }
    var npu = Target.NPU(variant: variant, clock: clock)
    if let energy = energy(found["mac_energy"], "npu: mac_energy") { npu.macEnergy = energy }
    if let energy = energy(found["cycle_energy"], "npu: cycle_energy") { npu.cycleEnergy = energy }
    return npu
  }

  private mutating func memories(_ node: Node) -> [(memory: Target.Memory, node: Node)] {
    guard let mapping = node.mapping, mapping.count > 0, mapping.count <= 64 else {
      problem("kind", "memories must be a mapping of 1 to 64 memories", node)
      return []
    }
    var result: [(memory: Target.Memory, node: Node)] = []
    for (key, value) in mapping {
      guard let name = key.scalar?.string else {
        problem("key", "a memory's name is not plain text", key)
        continue
      }
      if result.contains(where: { $0.memory.name == name }) {
        problem("duplicate-key", "memories has '\(name)' twice", key)
        continue
      }
      if let memory = memory(name, value) { result.append((memory, key)) }
    }
    return result
  }

  private mutating func memory(_ name: String, _ node: Node) -> Target.Memory? {
    guard
      let found = fields(
        node, "memory \(name)",
        required: [
          "kind", "base", "size", "read", "write", "read_latency", "write_latency", "burst", "port",
        ], optional: ["max_reads", "max_writes", "byte_energy"])
    else { return nil }
    let kindText = text(found["kind"], "\(name): kind")
    let kind = kindText.flatMap(Target.Kind.init(rawValue:))
    if let kindText, kind == nil {
      problem(
        "value", "\(name): kind is '\(kindText)'", found["kind"],
        wayOut: "one of \(Target.Kind.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    let base = quantity(
      found["base"], "\(name): base", "an address such as 0x80000000", Quantity.integer,
      { $0 < 1 << 40 && $0 % 16 == 0 }, "a multiple of 16 below 2^40")
    let size = quantity(
      found["size"], "\(name): size", "a size such as 4MiB", Quantity.bytes,
      { $0.count >= 1024 && $0.count <= 1 << 36 }, "1 KiB to 64 GiB")
    let read = rate(found["read"], "\(name): read")
    let write = rate(found["write"], "\(name): write", zero: true)
    let readLatency = cycles(found["read_latency"], "\(name): read_latency")
    let writeLatency = cycles(found["write_latency"], "\(name): write_latency")
    let burst = quantity(
      found["burst"], "\(name): burst", "a size such as 64B", Quantity.bytes,
      { (8...4096).contains($0.count) && $0.count & ($0.count - 1) == 0 },
      "a power of two from 8 to 4096 bytes")
    func outstanding(_ key: String) -> Int? {
      quantity(
        found[key], "\(name): \(key)", "a number of transactions",
        { Quantity.integer($0).flatMap { Int(exactly: $0) } }, { (1...4096).contains($0) },
        "1 to 4096")
    }
    let maximumReads = outstanding("max_reads")
    let maximumWrites = outstanding("max_writes")
    let byteEnergy = energy(found["byte_energy"], "\(name): byte_energy", suffix: "/B")
    let portText = text(found["port"], "\(name): port")
    let port = portText.flatMap { ["axi0": 0, "axi1": 1][$0] }
    if let portText, port == nil {
      problem("value", "\(name): port is '\(portText)', must be axi0 or axi1", found["port"])
    }
    if let kind, let write, kind.isWritable != (write.bytesPerSecond > 0) {
      problem(
        "impossible",
        "\(name): \(kind.rawValue) is \(kind.isWritable ? "" : "not ")writable, write must \(kind.isWritable ? "not " : "")be 0",
        found["write"])
    }
    guard let kind, let base, let size, let read, let write, let readLatency, let writeLatency,
      let burst, let port
    else { return nil }
    if base + UInt64(size.count) > 1 << 40 {
      problem("impossible", "\(name): ends above 2^40", found["size"])
      return nil
    }
    return Target.Memory(
      name: name, kind: kind, base: base, size: size, readBandwidth: read, writeBandwidth: write,
      readLatency: readLatency, writeLatency: writeLatency, maximumReads: maximumReads,
      maximumWrites: maximumWrites, burst: burst, port: port,
      byteEnergy: byteEnergy ?? .assumedByte(kind))
  }

  private mutating func checkOverlap(_ memories: [(memory: Target.Memory, node: Node)]) {
    let sorted = memories.sorted { $0.memory.base < $1.memory.base }
    for (a, b) in zip(sorted, sorted.dropFirst()) {
      let end = a.memory.base + UInt64(a.memory.size.count)
      if end > b.memory.base {
        problem(
          "overlap",
          "memories \(a.memory.name) and \(b.memory.name) overlap by \(end - b.memory.base) bytes",
          b.node)
      }
    }
  }

  private mutating func placement(_ node: Node, _ memories: [Target.Memory])
    -> [Target.DataKind: [String]]
  {
    let kinds = Target.DataKind.allCases
    // Files of earlier versions say where weight slices on their way lie: in the arena now.
    guard
      let found = fields(
        node, "placement", required: kinds.map(\.rawValue), optional: ["staging"])
    else { return [:] }
    var result: [Target.DataKind: [String]] = [:]
    for kind in kinds {
      guard let list = found[kind.rawValue] else { continue }
      guard let sequence = list.sequence, sequence.count > 0 else {
        problem("kind", "placement: \(kind.rawValue) must be a list of memories", list)
        continue
      }
      var names: [String] = []
      for entry in sequence {
        guard let name = text(entry, "placement: \(kind.rawValue)") else { continue }
        guard let memory = memories.first(where: { $0.name == name }) else {
          problem("unknown-memory", "placement: \(kind.rawValue) names no memory '\(name)'", entry)
          continue
        }
        if kind.isWritten && !memory.kind.isWritable {
          problem(
            "impossible",
            "placement: \(kind.rawValue) is written at run time, \(name) is \(memory.kind.rawValue)",
            entry)
          continue
        }
        if names.contains(name) {
          problem("duplicate-key", "placement: \(kind.rawValue) names '\(name)' twice", entry)
          continue
        }
        names.append(name)
      }
      result[kind] = names
    }
    return result
  }
}
