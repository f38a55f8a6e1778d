import Containers
import EthosUISA
import NPUSim
import Support
import TensorCore

/// An NPU job as Vela's `--output-format raw` writes it: a `.npz` of payload, weights and regions.
public struct RawJob {
  /// A tensor of the job: where it lies.
  public struct Tensor: Sendable {
    /// Extents, as the compiler wrote them.
    public let shape: Shape
    /// Bytes of one element.
    public let elementBytes: Int
    /// The region and the offset in it.
    let region: Int
    let offset: Int
  }

  /// The inputs in order.
  public let inputs: [Tensor]
  /// The outputs in order.
  public let outputs: [Tensor]
  /// Bytes of the arena.
  public let arenaBytes: Int
  private var map = MemoryMap()
  private var job: NPUJob
  private let location: SourceLocation

  /// Reads the job out of an archive.
  ///
  /// - Throws: `npz.*`, `npy.*` and `simulate.*`.
  public init(
    _ archive: NumpyArchive, name: String, options: RunOptions = RunOptions()
  ) throws(DiagnosticError) {
    let location = SourceLocation(file: name)
    func malformed(_ what: String) -> DiagnosticError {
      DiagnosticError("simulate.npz", what, at: location)
    }
    func integers(_ key: String) throws(DiagnosticError) -> [Int] {
      guard let values = try archive.array(key).integers else {
        throw malformed("array \(key) holds no integers")
      }
      return values
    }
    func one(_ key: String) throws(DiagnosticError) -> Int {
      guard let value = try integers(key).first, (0...ModelMemory.limit).contains(value) else {
        throw malformed("array \(key) holds no size or region")
      }
      return value
    }
    func blob(_ key: String) throws(DiagnosticError) -> [UInt8] {
      try archive.array(key).bytes.withBytes { [UInt8]($0) }
    }
    func tensors(_ kind: String) throws(DiagnosticError) -> [Tensor] {
      let shapes = try archive.array("\(kind)_shape")
      guard shapes.shape.rank == 2, shapes.shape[0] > 0, let extents = shapes.integers else {
        return []
      }
      let rank = shapes.shape[1]
      let sizes = try integers("\(kind)_elem_size")
      let regions = try integers("\(kind)_region")
      let offsets = try integers("\(kind)_offset")
      guard [sizes.count, regions.count, offsets.count].allSatisfy({ $0 == shapes.shape[0] }) else {
        throw malformed("the arrays of \(kind)s differ in length")
      }
      var result: [Tensor] = []
      for i in 0..<shapes.shape[0] {
        let shape = Shape(Array(extents[i * rank..<(i + 1) * rank]))
        guard let count = shape.checkedCount, count <= ModelMemory.limit,
          (1...8).contains(sizes[i]), offsets[i] >= 0, offsets[i] <= ModelMemory.limit
        else { throw malformed("\(kind) \(i) has an impossible size or place") }
        result.append(
          Tensor(
            shape: shape, elementBytes: sizes[i], region: regions[i], offset: offsets[i]))
      }
      return result
    }
    inputs = try tensors("input")
    outputs = try tensors("output")
    arenaBytes = try one("scratch_size")
    let fast = try one("scratch_fast_size")
    let arena = MemoryBank(name: "arena", count: arenaBytes, fill: ModelMemory.garbage)
    _ = map.bind(
      region: try one("weight_region"),
      to: MemoryBank(name: "read_only", constant: try blob("weight_data")))
    if fast > 0 {
      _ = map.bind(
        region: try one("scratch_fast_region"),
        to: MemoryBank(name: "scratch_fast", count: fast, fill: ModelMemory.garbage))
    }
    _ = map.bind(region: try one("scratch_region"), to: arena)
    job = try NPUJob(
      payload: try blob("cmd_data"), map: map, options: options, at: location)
    self.location = location
  }

  /// Writes input `index`.
  public func setInput(_ index: Int, _ bytes: [UInt8]) throws(DiagnosticError) {
    guard inputs.indices.contains(index), bytes.count == Self.bytes(inputs[index]),
      let window = map[inputs[index].region], window.bank.write(bytes, at: inputs[index].offset)
    else {
      throw DiagnosticError(
        "simulate.input", "input \(index) of \(inputs.count) does not take \(bytes.count) bytes",
        at: location)
    }
  }

  /// Runs the job.
  public mutating func run() throws(DiagnosticError) -> NPUJobRun {
    try job.run(operatorIndex: 0, at: location)
  }

  /// The bytes of output `index` after a run; empty when it lies outside its region.
  public func output(_ index: Int) -> [UInt8] {
    guard outputs.indices.contains(index), let window = map[outputs[index].region] else {
      return []
    }
    let start = outputs[index].offset
    return window.bank.read(start..<start + Self.bytes(outputs[index]))
  }

  private static func bytes(_ tensor: Tensor) -> Int { tensor.shape.count * tensor.elementBytes }
}
