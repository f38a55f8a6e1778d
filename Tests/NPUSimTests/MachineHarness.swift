import Testing

@testable import NPUSim

/// A machine, U55-128 unless told otherwise, with constants in region 0 and an arena in region 1.
struct MachineHarness {
  let arena: MemoryBank
  var machine: Machine

  init(
    constants: [UInt8] = [], arena: MemoryBank = MemoryBank(name: "arena", count: 1 << 16),
    options: RunOptions = RunOptions(), hardware: Hardware? = .u55(macs: 128)
  ) throws {
    self.arena = arena
    var map = MemoryMap()
    map.bind(region: 0, to: MemoryBank(name: "constants", constant: constants))
    map.bind(region: 1, to: arena)
    machine = Machine(
      hardware: try #require(hardware), memory: map, options: options)
  }

  /// The fault that a stream ends with.
  mutating func fault(_ stream: StreamBuilder) -> Fault? {
    do {
      _ = try machine.run(stream: stream.bytes)
      return nil
    } catch {
      return error.fault
    }
  }
}

extension StreamBuilder {
  /// A 1x1 average pooling that copies `ifm` to `ofm` with the present activation.
  mutating func copy(_ ifm: TestTensor, _ ofm: TestTensor) {
    self.ifm(ifm)
    self.ofm(ofm, isGlobal: true)
    kernel()
    setScale(36, multiplier: 1, shift: 0)
    set(5, 1)
  }
}
