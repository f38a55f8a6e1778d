import EthosUISA
import Foundation
import Testing

@testable import NPUSim

/// Figures for the paths that language models live on; run with `SWIFTLET_BENCH=1` in a release build.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["SWIFTLET_BENCH"] != nil), .serialized)
struct SpeedTests {
  /// A fully connected layer whose weights are staged by DMA before each use.
  private func layer(
    inputs: Int, outputs: Int, rows: Int, bytes: Int, at weightsAt: Int
  ) -> (stream: StreamBuilder, constants: [UInt8]) {
    var g = SeededGenerator(1)
    let weights = TestWeights.random(outputs, 1, 1, inputs, range: -127...127, &g)
    let encoded = weights.stream(
      depthwise: false, partKernel: false, ifmBits: bytes * 8, block: 64, dilationY: 1,
      dilationX: 1, unit: 8)
    let scales = padded16(
      (0..<outputs).flatMap { _ in scaleRecord(bias: 5, multiplier: 1 << 30, shift: 40) })
    var s = StreamBuilder()
    s.dma(
      from: 0, region: 0, to: weightsAt, region: 1, length: encoded.count + scales.count)
    s.set(296, 1)
    s.set(297, 1)
    s.setWide(32, weightsAt)
    s.setWide(33, encoded.count)
    s.setWide(34, weightsAt + encoded.count)
    s.setWide(35, scales.count)
    s.ifm(.dense(1, rows, inputs, bytes: bytes, base: 0))
    s.ofm(.dense(1, rows, outputs, bytes: bytes, base: rows * inputs * 2))
    s.set(279, 63)
    s.kernel()
    s.activation(low: bytes == 1 ? -128 : -32768, high: bytes == 1 ? 127 : 32767)
    s.set(17, 0)
    s.set(2, 0)
    s.stop()
    return (s, encoded + scales)
  }

  @Test(arguments: [
    (1024, 1024, 1, 2), (1024, 1024, 1, 1), (64, 64, 1, 2), (1024, 1024, 16, 2),
    (1024, 1024, 16, 1), (2048, 4096, 1, 2),
  ])
  func fullyConnected(inputs: Int, outputs: Int, rows: Int, bytes: Int) throws {
    let staging = (rows * (inputs + outputs) * 2 + 15) / 16 * 16
    let (stream, constants) = layer(
      inputs: inputs, outputs: outputs, rows: rows, bytes: bytes, at: staging)
    var map = MemoryMap()
    map.bind(region: 0, to: MemoryBank(name: "constants", constant: constants))
    map.bind(
      region: 1,
      to: MemoryBank(
        name: "arena", bytes: [UInt8](repeating: 7, count: staging + constants.count)))
    let hardware = try #require(NPUSim.Hardware.u55(macs: 256))
    for threads in [1, 2] {
      var options = RunOptions()
      options.threads = threads
      var machine = Machine(hardware: hardware, memory: map, options: options)
      let decode = try ContinuousClock().measure { _ = try machine.run(stream: stream.bytes) }
      let macs = inputs * outputs * rows
      let repeats = max(3, 200_000_000 / macs)
      let time = try ContinuousClock().measure {
        for _ in 0..<repeats { _ = try machine.run(stream: stream.bytes) }
      }
      let each = time / repeats
      let seconds = Double(each.components.attoseconds) * 1e-18
      print(
        "fc \(inputs)x\(outputs) rows \(rows) int\(bytes * 8) threads \(threads):",
        "\(each) a run,", String(format: "%.2f GMAC/s,", Double(macs) / seconds * 1e-9),
        "first run \(decode)")
    }
  }

  /// Many small operations, as softmax and norms are.
  @Test func elementwiseOverhead() throws {
    var s = StreamBuilder()
    s.ifm(.dense(1, 64, 1, bytes: 4, base: 0))
    s.ifm2(.dense(1, 64, 1, bytes: 4, base: 1024))
    s.ofm(.dense(1, 64, 1, bytes: 4, base: 2048), isGlobal: true)
    s.setScale(36, multiplier: 1, shift: 4)
    s.activation(low: -32768, high: 32767)
    for i in 0..<100 {
      s.set(273, 63)
      s.setWide(16, 2048 + i * 256)
      s.set(6, 0)
    }
    s.stop()
    var map = MemoryMap()
    map.bind(
      region: 1, to: MemoryBank(name: "arena", bytes: [UInt8](repeating: 7, count: 1 << 16)))
    let hardware = try #require(NPUSim.Hardware.u55(macs: 256))
    var machine = Machine(hardware: hardware, memory: map)
    let start = Self.processorSeconds
    for _ in 0..<1000 { _ = try machine.run(stream: s.bytes) }
    let time = (Self.processorSeconds - start) / 100_000
    print("elementwise 64 x int32:", String(format: "%.2f µs an operation", time * 1e6))
  }

  /// Seconds the processor spent on this thread: other programs do not count.
  private static var processorSeconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// Layers of image networks on U85: 3x3, 1x1, few input channels, depthwise; one thread.
  @Test(arguments: [
    (56, 64, 64, 3, 1), (28, 128, 128, 3, 1), (28, 192, 64, 1, 1), (96, 3, 32, 3, 1),
    (56, 64, 64, 3, 2), (56, 96, 96, 3, 0),
  ])
  func convolution(size: Int, inputs: Int, outputs: Int, kernel: Int, kind: Int) throws {
    // Kind 0 is depthwise; otherwise the bytes of an element.
    let bytes = max(1, kind)
    let depthwise = kind == 0
    var g = SeededGenerator(2)
    var geometry = WeightGeometry(
      family: .u85, traversal: depthwise ? .depthwise : .depthFirst, outputs: outputs,
      inputs: depthwise ? 1 : inputs, kernelHeight: kernel, kernelWidth: kernel, ofmBlockDepth: 32,
      ofmUblockDepth: depthwise ? 16 : 8, ifmBits: bytes * 8)
    geometry.macs = 256
    let taps = kernel * kernel * (depthwise ? 1 : inputs)
    let weights = (0..<outputs * taps).map { _ in Int16(g.int(-127...127)) }
    let stream = try weights.withUnsafeBufferPointer {
      try WeightStream.encode($0, geometry: geometry)
    }
    let scales = padded16(
      (0..<outputs).flatMap { _ in
        scaleRecordU85(bias: 5, multiplier: 1 << 30, shift: 42, isWide: false)
      })
    var s = StreamBuilder()
    s.set(296, 0)
    s.set(297, 0)
    s.setWide(32, 0)
    s.setWide(33, stream.count)
    s.setWide(34, stream.count)
    s.setWide(35, scales.count)
    s.set(302, 0)
    let pad = kernel / 2
    s.ifm(.dense(size, size, inputs, bytes: bytes, base: 0, zeroPoint: bytes == 1 ? 3 : 0))
    let ofm = TestTensor.dense(
      size, size, outputs, bytes: bytes, base: size * size * inputs * bytes)
    s.ofmU85(ofm, isGlobal: false)
    s.kernel(kernel, kernel, pads: [pad, pad, pad, pad])
    s.activationU85()
    s.scaleU85(36, rounding: 0)
    s.accumulators(microblock: depthwise ? 1 : 3)
    s.set(depthwise ? 3 : 2, 0)
    s.stop()
    var map = MemoryMap()
    map.bind(region: 0, to: MemoryBank(name: "constants", constant: stream + scales))
    let total = size * size * (inputs + outputs) * bytes
    map.bind(
      region: 1, to: MemoryBank(name: "arena", bytes: (0..<total).map { UInt8($0 * 7 & 255) }))
    var options = RunOptions()
    options.threads = 1
    var machine = Machine(
      hardware: try #require(NPUSim.Hardware.u85(macs: 256)), memory: map, options: options)
    _ = try machine.run(stream: s.bytes)
    let macs = size * size * outputs * taps
    let repeats = max(2, 400_000_000 / macs)
    let start = Self.processorSeconds
    for _ in 0..<repeats { _ = try machine.run(stream: s.bytes) }
    let seconds = (Self.processorSeconds - start) / Double(repeats)
    print(
      depthwise ? "depthwise" : "convolution", "\(size)x\(size) \(inputs)->\(outputs)",
      "\(kernel)x\(kernel) int\(bytes * 8):",
      String(format: "%.2f ms, %.2f GMAC/s", seconds * 1e3, Double(macs) / seconds * 1e-9))
  }
}
