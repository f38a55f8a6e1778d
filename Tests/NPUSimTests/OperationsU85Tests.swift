import Testing

@testable import NPUSim

/// Operations of U85, each against a plain statement of what it computes.
@Suite struct OperationsU85Tests {
  private static let hardware = Hardware.u85(macs: 256)

  /// Runs a stream on an arena of given bytes.
  private func run(
    _ stream: StreamBuilder, _ arena: [UInt8], constants: [UInt8] = []
  ) throws -> [UInt8] {
    var stream = stream
    stream.stop()
    var harness = try MachineHarness(
      constants: constants, arena: MemoryBank(name: "arena", bytes: arena),
      hardware: Self.hardware)
    let result = try harness.machine.run(stream: stream.bytes)
    #expect(result.hazards == [])
    return harness.arena.read(0..<arena.count)
  }

  private func arena(_ g: inout SeededGenerator, _ count: Int = 1 << 14) -> [UInt8] {
    (0..<count).map { _ in UInt8(g.int(0...255)) }
  }

  /// A stream that has what every operation needs.
  private func start(_ g: SeededGenerator? = nil) -> StreamBuilder {
    var s = StreamBuilder()
    s.kernel()
    s.accumulators()
    s.activationU85(clips: false)
    s.scaleU85(36)
    return s
  }

  private func clamp8(_ v: Int) -> Int { max(-128, min(127, v)) }

  @Test(arguments: [1, 2])
  func matrixProduct(bytes: Int) throws {
    var g = SeededGenerator(1)
    let memory = arena(&g)
    let a = TestTensor.dense(1, 7, 35, bytes: bytes, base: 0, zeroPoint: bytes == 1 ? 3 : 0)
    let b = TestTensor.dense(
      1, 9, 35, bytes: bytes, isBricked: true, base: 1024, zeroPoint: bytes == 1 ? -5 : 0)
    let c = TestTensor.dense(1, 7, 9, bytes: 4, base: 8192)
    var s = start()
    s.ifm(a)
    s.ifm2U85(b)
    s.ofmU85(c)
    s.scaleU85(36, shift: 3)
    s.accumulators(isWide: bytes == 2)
    s.set(2, 1)
    let result = try run(s, memory)
    for m in 0..<7 {
      for n in 0..<9 {
        var sum = 0
        for k in 0..<35 {
          sum +=
            (a.load(memory, 0, m, k) - a.zeroPoint) * (b.load(memory, 0, n, k) - b.zeroPoint)
        }
        let expected = Int(Int32(truncatingIfNeeded: (sum + 4) >> 3))
        #expect(c.load(result, 0, m, n) == expected)
      }
    }
  }

  /// All permutations and reversals of a copy, dense and in bricks.
  @Test(arguments: [(0, 0), (1, 0), (2, 0), (3, 0), (6, 0), (7, 0), (0, 1), (0, 2), (0, 3)])
  func storedOrder(transpose: Int, reverse: Int) throws {
    var g = SeededGenerator(2)
    let memory = arena(&g)
    let size = [3, 5, 18]
    let from = [
      0: [0, 1, 2], 1: [1, 0, 2], 2: [0, 2, 1], 3: [1, 2, 0], 6: [2, 0, 1], 7: [2, 1, 0],
    ]
    let axes = try #require(from[transpose])
    for isBricked in [false, true] {
      let input = TestTensor.dense(3, 5, 18, base: 0)
      let output = TestTensor.dense(
        size[axes[0]], size[axes[1]], size[axes[2]], isBricked: isBricked, base: 1024)
      var s = start()
      s.ifm(input)
      s.ofmU85(output, height: 3, width: 5, depth: 18, transpose: transpose, reverse: reverse)
      s.set(5, 3)
      let result = try run(s, memory)
      for y in 0..<3 {
        for x in 0..<5 {
          for c in 0..<18 {
            let at = [y, x, c]
            var to = axes.map { at[$0] }
            if reverse > 0 { to[reverse - 1] = size[reverse - 1] - 1 - to[reverse - 1] }
            #expect(
              output.load(result, to[0], to[1], to[2]) == input.load(memory, y, x, c))
          }
        }
      }
    }
  }

  /// MIN and both ARGMAX pooling modes.
  @Test(arguments: [5, 6, 7])
  func pooling(mode: Int) throws {
    var g = SeededGenerator(3)
    let memory = arena(&g).map { $0 & 0x8F }
    let isArgument = mode > 5
    let input = TestTensor.dense(6, 7, 5, base: 0)
    let (h, w) = mode == 6 ? (1, 7) : mode == 7 ? (6, 1) : (2, 3)
    let output = TestTensor.dense(7 - h, 8 - w, 5, bytes: isArgument ? 4 : 1, base: 1024)
    var s = start()
    s.ifm(input)
    s.ofmU85(output)
    s.kernel(h, w)
    s.scaleU85(36, shift: isArgument ? 16 : 0, rounding: isArgument ? 5 : 1)
    s.set(5, mode)
    let result = try run(s, memory)
    for y in 0..<output.height {
      for x in 0..<output.width {
        for c in 0..<5 {
          var values: [Int] = []
          for ky in 0..<h {
            for kx in 0..<w { values.append(input.load(memory, y + ky, x + kx, c)) }
          }
          let top = values.max() ?? 0
          let expected = isArgument ? values.firstIndex(of: top) : values.min()
          #expect(output.load(result, y, x, c) == expected)
        }
      }
    }
  }

  /// POOL NONE moves 64-bit data through the accumulators.
  @Test func accumulatorsFromMemory() throws {
    var g = SeededGenerator(4)
    let memory = arena(&g)
    let input = TestTensor.dense(2, 3, 5, bytes: 8, base: 0)
    let output = TestTensor.dense(3, 2, 5, bytes: 8, base: 1024)
    var s = start()
    s.ifm2U85(input)
    s.ofmU85(output, height: 2, width: 3, transpose: 1)
    s.accumulators(isWide: true, source: 2)
    s.set(5, 4)
    let result = try run(s, memory)
    for y in 0..<2 {
      for x in 0..<3 {
        for c in 0..<5 { #expect(output.load(result, x, y, c) == input.load(memory, y, x, c)) }
      }
    }
  }

  /// A product over `k` cut in two: the first half leaves its sums for the second.
  @Test func keptAccumulators() throws {
    var g = SeededGenerator(5)
    let memory = arena(&g)
    var results: [[UInt8]] = []
    for cuts in [[40], [24, 16]] {
      var s = start()
      var first = 0
      for (i, k) in cuts.enumerated() {
        var a = TestTensor.dense(1, 6, 40, base: first)
        var b = TestTensor.dense(1, 8, 40, base: 1024 + first)
        a.depth = k
        b.depth = k
        s.ifm(a)
        s.ifm2U85(b)
        s.ofmU85(.dense(1, 6, 8, bytes: 4, base: 8192), storage: i == cuts.count - 1 ? 0 : 3)
        s.accumulators(source: i == 0 ? 0 : 1, stays: i < cuts.count - 1)
        s.set(2, 1)
        first += k
      }
      results.append(try run(s, memory))
    }
    #expect(results[0][8192..<8192 + 192] == results[1][8192..<8192 + 192])
    #expect(results[0][8192..<8192 + 192] != memory[8192..<8192 + 192])
  }

  @Test func keepingNothingIsAnError() throws {
    var s = start()
    s.ifm(.dense(1, 6, 16, base: 0))
    s.ofmU85(.dense(1, 6, 16, base: 1024))
    s.accumulators(source: 1)
    s.set(5, 3)
    var harness = try MachineHarness(hardware: Self.hardware)
    guard case .illegalValue("accFormat input", 1, _)? = harness.fault(s) else {
      Issue.record("accumulators that do not exist were used")
      return
    }
  }

  /// (a + b) * c through a chaining buffer equals the same through memory.
  @Test func chaining() throws {
    var g = SeededGenerator(6)
    let memory = arena(&g)
    let t = { (base: Int, zero: Int) in
      TestTensor.dense(4, 5, 20, base: base, zeroPoint: zero)
    }
    var results: [[UInt8]] = []
    for isChained in [false, true] {
      var s = start()
      s.activationU85(low: -128, high: 127)
      s.scaleU85(37, multiplier: 1 << 30, shift: 12, rounding: 0, doubleRound: 20)
      s.scaleU85(38, multiplier: 1 << 29, shift: 12, rounding: 0, doubleRound: 20)
      s.scaleU85(36, multiplier: 1 << 30, shift: 49, rounding: 0)
      s.set(264, 0)
      s.ifm(t(0, 3))
      s.ifm2U85(t(512, -4))
      s.ofmU85(t(4096, 7), storage: isChained ? 2 : 0)
      if isChained { s.set(287, 1) }
      s.set(6, 1)
      s.scaleU85(36, multiplier: 1 << 30, shift: 35, rounding: 0)
      s.ifm(t(1024, 1))
      s.ifm2U85(t(4096, 7), storage: isChained ? 2 : 0)
      if isChained { s.set(399, 1) }
      s.ofmU85(t(8192, -9))
      s.set(6, 0)
      results.append(try run(s, memory))
    }
    #expect(results[0][8192..<8592] == results[1][8192..<8592])
    #expect(Set(results[0][8192..<8592]).count > 20)
    // The intermediate tensor never reaches memory.
    #expect(results[1][4096..<4496] == memory[4096..<4496])
  }

  @Test func emptyChainingBufferIsAnError() throws {
    var s = start()
    s.set(264, 0)
    s.ifm(.dense(1, 4, 16, base: 0))
    s.ifm2U85(.dense(1, 4, 16, base: 64), storage: 2)
    s.ofmU85(.dense(1, 4, 16, base: 128))
    s.set(6, 0)
    var harness = try MachineHarness(hardware: Self.hardware)
    guard case .illegalValue("IFM2 chaining buffer", 1, _)? = harness.fault(s) else {
      Issue.record("an empty chaining buffer was read")
      return
    }
  }

  /// Comparison with a scalar first operand.
  @Test(arguments: [16, 17, 18, 19])
  func comparison(mode: Int) throws {
    var g = SeededGenerator(7)
    let memory = arena(&g).map { $0 & 0x83 }
    let b = TestTensor.dense(2, 3, 8, base: 0, zeroPoint: 2)
    let output = TestTensor.dense(2, 3, 8, base: 1024)
    var a = b
    a.zeroPoint = -1
    var s = start()
    for opcode in [37, 38] { s.scaleU85(opcode, rounding: 0) }
    s.ifm(a)
    s.set(261, 1 | 3 << 14)
    s.set(264, 8)
    s.setWide(39, -2)
    s.ifm2U85(b)
    s.ofmU85(output)
    s.set(6, mode)
    let result = try run(s, memory)
    for y in 0..<2 {
      for x in 0..<3 {
        for c in 0..<8 {
          let left = -2 - a.zeroPoint
          let right = b.load(memory, y, x, c) - b.zeroPoint
          let holds = [left == right, left != right, left >= right, left > right][mode - 16]
          #expect(output.load(result, y, x, c) == (holds ? -1 : 0))
        }
      }
    }
  }

  /// Tables of the widths that U55 does not have.
  @Test(arguments: [5, 9])
  func wideTables(function: Int) throws {
    var g = SeededGenerator(8)
    let memory = arena(&g)
    let table = arena(&g, 2048)
    let bytes = function == 5 ? 2 : 4
    let input = TestTensor.dense(1, 8, 16, bytes: function == 5 ? 1 : 2, base: 0)
    let output = TestTensor.dense(1, 8, 16, bytes: bytes, base: 1024)
    // A table of 512 bytes can be the third.
    let number = function == 5 ? 2 : 0
    var s = start()
    s.dma(from: 0, region: 0, to: 0, region: nil, length: 2048)
    s.set(17, 0)
    s.ifm(input)
    s.ofmU85(output)
    s.activationU85(function, table: number)
    s.set(5, 3)
    let result = try run(s, memory, constants: table)
    for x in 0..<8 {
      for c in 0..<16 {
        let v = input.load(memory, 0, x, c)
        let at = function == 5 ? number * 512 + (v + 128) * 2 : ((v + 32768) >> 7) * 4
        var pattern = 0
        for i in 0..<bytes { pattern |= Int(table[at + i]) << (8 * i) }
        let unused = Int.bitWidth - 8 * bytes
        #expect(output.load(result, 0, x, c) == (pattern << unused) >> unused)
      }
    }
  }

  /// The loaded tanh and sigmoid tables give what U55 has built in, for every 16-bit input and beyond.
  @Test func tanhAndSigmoidTables() {
    let half = SigmoidTable.values
    func base(_ i: Int) -> Int32 {
      let magnitude = half[min(255, abs(i))] - 32768
      return i < 0 ? -magnitude : magnitude
    }
    let words = (-256...255).map { i -> Int32 in
      let slope = base(min(255, i + 1)) - base(i)
      return Int32(bitPattern: UInt32(UInt16(truncatingIfNeeded: base(i)))) | slope << 16
    }
    words.withUnsafeBufferPointer { loaded in
      half.withUnsafeBufferPointer { builtIn in
        for v in stride(from: Int64(-140_000), through: 140_000, by: 1) {
          if SigmoidTable.tanh(v, loaded: loaded) != SigmoidTable.tanh(v, builtIn)
            || SigmoidTable.sigmoid(v, loaded: loaded) != SigmoidTable.sigmoid(v, builtIn)
          {
            Issue.record("differs at \(v)")
            return
          }
        }
      }
    }
  }

  @Test(arguments: [0, 1, 2])
  func resize(mode: Int) throws {
    var g = SeededGenerator(9)
    let memory = arena(&g)
    let input = TestTensor.dense(4, 5, 6, base: 0)
    let output = TestTensor.dense(8, 10, 6, bytes: 4, base: 1024)
    let (n, d, offset) = (4, 2, -1)
    var s = start()
    s.ifm(input)
    s.ofmU85(output)
    s.scaleU85(36, shift: 16, rounding: 3)
    s.set(298, n - 1)
    s.set(299, n - 1)
    for opcode in [150, 151] { s.setWide(opcode, d) }
    s.set(300, offset & 0xFFF)
    s.set(301, offset & 0xFFF)
    s.set(289, 3)
    s.set(288, 4)
    s.set(7, mode)
    let result = try run(s, memory)
    func sample(_ o: Int, _ size: Int) -> (Int, Int, Int) {
      let t = o * d + offset
      let i = t < 0 ? -1 : t / n
      return (max(0, min(size - 1, i)), max(0, min(size - 1, i + 1)), t - i * n)
    }
    for y in 0..<8 {
      for x in 0..<10 {
        for c in 0..<6 {
          let (y0, y1, ry) = sample(y, 4)
          let (x0, x1, rx) = sample(x, 5)
          func v(_ y: Int, _ x: Int) -> Int { input.load(memory, y, x, c) }
          let expected =
            switch mode {
            case 0:
              v(y0, x0) * (n - ry) * (n - rx) + v(y0, x1) * (n - ry) * rx
                + v(y1, x0) * ry * (n - rx) + v(y1, x1) * ry * rx
            case 1: v(y0, x0)
            default: v(2 * ry >= n ? y1 : y0, 2 * rx >= n ? x1 : x0)
            }
          #expect(output.load(result, y, x, c) == expected)
        }
      }
    }
  }

  /// Rows picked by indices, and rows put where indices say; also in two rows of indices with a gap.
  @Test(arguments: [true, false])
  func gatherAndScatter(gathers: Bool) throws {
    var g = SeededGenerator(10)
    var memory = arena(&g)
    let indices = [3, 0, 7, 5, 1, 6]
    for (i, index) in indices.enumerated() {
      let at = 4096 + i * 4 + (i / 3) * 8
      for byte in 0..<4 { memory[at + byte] = byte == 0 ? UInt8(index) : 0 }
    }
    var s = StreamBuilder()
    s.set(304, 1 | 2 << 9 | (gathers ? 0x800 : 0))
    s.set(305, 1 | (gathers ? 0 : 0x800))
    s.setWide(48, 0)
    s.setWide(49, 1024)
    s.setWide(50, 10)
    s.set(306, 3)
    s.set(307, 2)
    s.setWide(51, gathers ? 16 : 12)
    s.setWide(52, gathers ? 0 : 36)
    s.setWide(53, gathers ? 12 : 16)
    s.setWide(54, gathers ? 36 : 0)
    s.set(308, 1)
    s.setWide(55, 4096)
    s.setWide(56, 7)
    s.setWide(57, 8)
    s.set(16, 0)
    let result = try run(s, memory)
    for (i, index) in indices.enumerated() {
      let from = gathers ? index * 16 : i * 12
      let to = 1024 + (gathers ? i * 12 : index * 16)
      #expect(result[to..<to + 10] == memory[from..<from + 10])
    }
    var bad = s
    bad.setWide(56, 6)
    bad.set(16, 0)
    var harness = try MachineHarness(
      arena: MemoryBank(name: "arena", bytes: memory), hardware: Self.hardware)
    #expect(
      harness.fault(bad) == .illegalValue(register: "DMA index", value: 7, legal: "0...6"))
  }

  /// A loop that counts down: subtract one, leave when the flag says so.
  @Test func branches() throws {
    var memory = [UInt8](repeating: 0, count: 256)
    memory[0] = 5
    var s = start()
    s.set(264, 0)
    for opcode in [37, 38] { s.scaleU85(opcode, rounding: 0) }
    let counter = TestTensor.dense(1, 1, 1, base: 0)
    s.ifm(counter)
    s.setWide(39, 1)
    s.ifm2U85(counter, broadcast: 8, storage: 3)
    let top = s.bytes.count
    s.ofmU85(counter)
    s.set(6, 2)
    // greater(counter, 1)
    s.ofmU85(.dense(1, 1, 1, base: 16))
    s.set(6, 19)
    s.set(18, 0)
    s.setWide(256, top)
    s.patchParameter(1)
    let result = try run(s, memory)
    #expect(result[0] == 1)
    // Without an end the limit of commands stops it.
    var endless = StreamBuilder()
    endless.set(303, 0)
    endless.setWide(256, 0)
    var options = RunOptions()
    options.limits.maximumCommands = 1000
    var harness = try MachineHarness(options: options, hardware: Self.hardware)
    #expect(
      harness.fault(endless) == .limitExceeded(what: "commands", value: 1001, limit: 1000))
    var outside = StreamBuilder()
    outside.setWide(256, 4096)
    guard case .malformedStream? = harness.fault(outside) else {
      Issue.record("a branch left the stream")
      return
    }
  }

  /// Mutated streams of U85 operations end in a result or an error.
  @Test(arguments: 0..<6)
  func mutatedStreams(seed: Int) throws {
    var g = SeededGenerator(UInt64(seed) &+ 8500)
    var s = start()
    s.dma(from: 0, region: 0, to: 0, region: nil, length: 512)
    for opcode in [37, 38] { s.scaleU85(opcode, rounding: 0) }
    s.ifm(.dense(1, 6, 20, base: 0))
    s.ifm2U85(.dense(1, 9, 20, base: 512))
    s.ofmU85(.dense(1, 6, 9, base: 1024), transpose: 0)
    s.accumulators(stays: true)
    s.set(2, 1)
    s.accumulators(source: 1)
    s.set(2, 1)
    s.accumulators(source: 2)
    s.ofmU85(.dense(2, 3, 9, base: 1024), height: 3, width: 2, transpose: 1)
    s.set(5, 4)
    s.accumulators()
    s.ifm(.dense(3, 4, 9, base: 0))
    s.ofmU85(.dense(2, 3, 9, base: 1536), reverse: 3)
    s.kernel(2, 2)
    s.set(5, 6)
    s.set(264, 0)
    s.ofmU85(.dense(3, 4, 9, base: 2048), storage: 2)
    s.ifm2U85(.dense(3, 4, 9, base: 700), broadcast: 0)
    s.set(6, 1)
    s.ifm2U85(.dense(3, 4, 9, base: 700), storage: 2)
    s.ofmU85(.dense(3, 4, 9, base: 2048))
    s.activationU85(4, low: -128, high: 127)
    s.set(6, 16)
    s.activationU85()
    s.set(298, 3)
    s.set(299, 3)
    for opcode in [150, 151] { s.setWide(opcode, 2) }
    s.set(300, 0)
    s.set(301, 0)
    s.set(289, 2)
    s.set(288, 3)
    s.ofmU85(.dense(6, 8, 9, base: 2600))
    s.set(7, 0)
    s.set(304, 1 | 2 << 9 | 0x800)
    s.set(305, 1)
    s.setWide(49, 3500)
    s.setWide(50, 8)
    s.set(306, 2)
    s.set(307, 2)
    for (opcode, value) in [(51, 8), (52, 0), (53, 8), (54, 16), (55, 3900), (56, 3), (57, 0)] {
      s.setWide(opcode, value)
    }
    s.set(308, 1)
    s.set(16, 0)
    s.setWide(256, 0)
    s.patchParameter(1)
    s.stop()
    var options = RunOptions()
    options.limits.maximumElements = 1 << 14
    options.limits.maximumOperations = 1 << 18
    options.limits.maximumTransfer = 1 << 14
    options.limits.maximumCommands = 2000
    var fine = 0
    var errors = 0
    for round in 0..<400 {
      var bytes = s.bytes
      for _ in 0..<(round == 0 ? 0 : g.int(1...4)) {
        switch g.int(0...3) {
        case 0: bytes[g.int(0...bytes.count - 1)] = UInt8(g.int(0...255))
        case 1: bytes[g.int(0...bytes.count - 1)] ^= 1 << UInt8(g.int(0...7))
        case 2: bytes.removeLast(min(bytes.count - 4, g.int(0...40)))
        default:
          let at = g.int(0...bytes.count / 4 - 1) * 4
          bytes.insert(contentsOf: bytes[at..<at + 4], at: g.int(0...bytes.count / 4) * 4)
        }
      }
      var memory = [UInt8](repeating: 0, count: 4096)
      for i in 0..<3900 { memory[i] = UInt8(g.int(0...255)) }
      var harness = try MachineHarness(
        constants: memory, arena: MemoryBank(name: "arena", bytes: memory), options: options,
        hardware: Self.hardware)
      do {
        _ = try harness.machine.run(stream: bytes)
        fine += 1
      } catch {
        if round == 0 { Issue.record("the unchanged stream fails: \(error)") }
        errors += 1
      }
    }
    #expect(fine > 20 && errors > 20)
  }

  /// Random commands of U85 with random parameters.
  @Test func randomCommands() throws {
    var g = SeededGenerator(86)
    var options = RunOptions()
    options.limits.maximumElements = 1 << 12
    options.limits.maximumOperations = 1 << 16
    options.limits.maximumTransfer = 1 << 12
    options.limits.maximumCommands = 4000
    let narrow = Array(256...308) + Array(384...399)
    let wide = Array(0...39) + Array(48...57) + Array(128...151)
    for _ in 0..<300 {
      var s = StreamBuilder()
      for opcode in narrow where g.int(0...20) > 0 && opcode != 262 && opcode != 272 {
        if OpcodeSet(product: .u85).contains(opcode: opcode, isWide: false) {
          s.set(opcode, g.flip() ? g.int(0...8) : g.int(0...65535))
        }
      }
      for opcode in wide where OpcodeSet(product: .u85).contains(opcode: opcode, isWide: true) {
        s.setWide(opcode, g.flip() ? g.int(0...64) * 16 : g.int(0...1 << 40))
        if g.int(0...3) == 0 { s.patchParameter(g.int(0...65535)) }
      }
      for _ in 0..<20 {
        switch g.int(0...7) {
        case 0: s.set(2, g.int(0...1))
        case 1: s.set(3, 0)
        case 2: s.set(5, g.int(0...8))
        case 3: s.set(6, g.int(0...43))
        case 4: s.set(7, g.int(0...3))
        case 5: s.set(16, 0)
        case 6: s.setWide(256, g.int(0...s.bytes.count))
        default: s.set(narrow[g.int(0...narrow.count - 1)], g.int(0...3))
        }
      }
      var harness = try MachineHarness(
        constants: [UInt8](repeating: 3, count: 4096),
        arena: MemoryBank(name: "arena", bytes: [UInt8](repeating: 5, count: 4096)),
        options: options, hardware: Self.hardware)
      _ = harness.fault(s)
    }
  }
}
