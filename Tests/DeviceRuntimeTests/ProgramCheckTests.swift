import DeviceRuntime
import Support
import Testing

/// The program check: each rule once, then random and mutated programs.
@Suite struct ProgramCheckTests {
  private func machine() -> DeviceMachine {
    var machine = DeviceMachine()
    machine.context = 8
    machine.vocabulary = 4
    machine.jobs = [16]
    return machine
  }

  @Test func jobsThatExistAreValid() {
    var machine = machine()
    let job = step(SWL_KERNEL_NPU_JOB, [0])
    #expect(machine.run(job + job).status == SWL_OK)
  }

  @Test func refusesMalformedLists() {
    func check(_ words: [UInt32]) -> swl_status {
      var machine = machine()
      return machine.run(words).check
    }
    #expect(check(step(SWL_KERNEL_NPU_JOB, [1])) == SWL_ERROR_PROGRAM)
    #expect(check(step(SWL_KERNEL_NPU_JOB, [.max])) == SWL_ERROR_PROGRAM)
    #expect(check([0]) == SWL_ERROR_PROGRAM)
    #expect(check([2 | 2 << 8, 0]) == SWL_ERROR_PROGRAM)
    #expect(check([1]) == SWL_ERROR_PROGRAM)
    #expect(check([1 | 1 << 8]) == SWL_ERROR_PROGRAM)
    #expect(check([1 | 3 << 8, 0, 0]) == SWL_ERROR_PROGRAM)
    #expect(check([1 | 2 << 8]) == SWL_ERROR_PROGRAM)
    #expect(check([]) == SWL_OK)
  }

  @Test func refusesBadPrograms() {
    func check(_ change: (inout swl_program) -> Void) -> swl_status {
      var machine = machine()
      return machine.withProgram([]) { _, program, _ in
        change(&program.pointee)
        return swl_program_check(program)
      }
    }
    #expect(swl_program_check(nil) == SWL_ERROR_ARGUMENT)
    #expect(check { $0.jobs = nil } == SWL_ERROR_ARGUMENT)
    #expect(
      check {
        $0.decode.count = 1
        $0.decode.words = nil
      } == SWL_ERROR_ARGUMENT)
    #expect(check { $0.vocabulary = 0 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.vocabulary = 1 << 31 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.context = 0 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.context = 16385 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.decode.tokens = 2 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.prefill.tokens = 9 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.logits = 0x2000_0001 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.logits = 0x3000_0000 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.logits = 0xE000_0000 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.mask += 16 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.mask += 1 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.rotation = 1 << 29 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.rotation_row_bytes = 8 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.rotation_row_bytes = 1 << 20 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.embedding_row_bytes = 8 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.embedding_row_bytes = 1 << 20 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.rotation_place = 8 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.rotation_place = 1 << 20 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.prefill_alignment = 0 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.prefill_alignment = 6 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.near_positions = 9 } == SWL_ERROR_PROGRAM)
    #expect(
      check {
        $0.near_positions = 4
        $0.prefill_near.tokens = 2
      } == SWL_ERROR_PROGRAM)
    #expect(check { _ in } == SWL_OK)
  }

  /// A batch needs room for its rows of the embedding table, for their multipliers, and for the part of
  /// the score mask that its later rows read.
  @Test func refusesBatchesWithoutRoom() {
    func check(_ change: (inout swl_program) -> Void) -> swl_status {
      var machine = machine()
      let table = machine.put([UInt8](repeating: 0, count: 4 * 16), in: DeviceMachine.weights)
      let multipliers = machine.put([Int32](10..<14), in: DeviceMachine.weights)
      let place = machine.reserve(3 * 16, in: DeviceMachine.state)
      let factors = machine.reserve(3 * 4, in: DeviceMachine.state)
      return machine.withProgram([], n: 3) { _, program, _ in
        program.pointee.embedding = table & 0x1FFF_FFFF
        program.pointee.embedding_row_bytes = 16
        program.pointee.multipliers = multipliers & 0x1FFF_FFFF
        program.pointee.multiplier_place = factors & 0x1FFF_FFFF
        program.pointee.embedding_place = place & 0x1FFF_FFFF
        change(&program.pointee)
        return swl_program_check(program)
      }
    }
    #expect(check { _ in } == SWL_OK)
    #expect(check { $0.mask = 2 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.embedding_place = $0.region_bytes.3 - 32 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.embedding_place = .max } == SWL_ERROR_PROGRAM)
    #expect(check { $0.multiplier_place = $0.region_bytes.3 - 8 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.prefix_tokens = 1 } == SWL_OK)
    #expect(check { $0.prefix_tokens = 8 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.embedding += 16 } == SWL_OK)
    #expect(check { $0.embedding += 32 } == SWL_ERROR_PROGRAM)
  }

  /// What is copied into the state region, and where base pointers follow the position, stays inside.
  @Test func refusesPlacesOutsideTheState() {
    func check(
      _ fill: swl_fill? = nil, _ place: (inout swl_cache_place) -> Void = { _ in }
    ) -> swl_status {
      var machine = machine()
      _ = machine.reserve(64, in: DeviceMachine.state)
      _ = machine.put([UInt8](repeating: 1, count: 64), in: DeviceMachine.weights)
      let fills = UnsafeMutablePointer<swl_fill>.allocate(capacity: 1)
      let offsets = UnsafeMutablePointer<UInt32>.allocate(capacity: 2)
      defer {
        fills.deallocate()
        offsets.deallocate()
      }
      fills.initialize(to: fill ?? swl_fill())
      offsets.initialize(repeating: 8, count: 2)
      return machine.withProgram([]) { _, program, _ in
        program.pointee.fills = UnsafePointer(fills)
        program.pointee.fill_count = fill == nil ? 0 : 1
        program.pointee.keys = swl_cache_place(
          chunk: program.pointee.context, chunk_bytes: 0, period: 2, period_bytes: 8,
          offsets: UnsafePointer(offsets), offset_count: 2)
        place(&program.pointee.keys)
        return swl_program_check(program)
      }
    }
    func fill(
      _ offset: UInt32, _ stride: UInt32, _ count: UInt32, _ source: UInt32, _ apart: UInt32,
      _ bytes: UInt32
    ) -> swl_fill {
      swl_fill(
        offset: offset, stride: stride, count: count, source: source, source_stride: apart,
        bytes: bytes)
    }
    #expect(check() == SWL_OK)
    #expect(check(fill(0, 16, 4, 0, 16, 16)) == SWL_OK)
    #expect(check(fill(0, 16, 4, 0, 0, 16)) == SWL_OK)
    #expect(check(fill(0, 16, 0, 0, 0, 16)) == SWL_ERROR_PROGRAM)
    #expect(check(fill(0, 1 << 16, 4, 0, 0, 16)) == SWL_ERROR_PROGRAM)
    #expect(check(fill(.max, 0, 1, 0, 0, 16)) == SWL_ERROR_PROGRAM)
    #expect(check(fill(0, .max, .max, 0, .max, .max)) == SWL_ERROR_PROGRAM)
    #expect(check(fill(0, 16, 4, 1 << 16, 0, 16)) == SWL_ERROR_PROGRAM)
    #expect(check { $0.chunk = 0 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.period = 0 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.period = 3 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.period_bytes = 1 << 16 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.offsets = nil } == SWL_ERROR_PROGRAM)
    #expect(check { ($0.chunk, $0.chunk_bytes) = (1, .max) } == SWL_ERROR_PROGRAM)
  }

  /// Random words, and valid lists with some words changed: whatever passes the check must run
  /// without touching the constant regions.
  @Test(arguments: 0..<4) func hostilePrograms(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let valid = machine()
    let job = step(SWL_KERNEL_NPU_JOB, [0])
    var passed = 0
    for round in 0..<2500 {
      var machine = valid
      var words: [UInt32]
      if round % 5 == 0 {
        words = (0..<Int(random.next() % 10)).map { _ in
          UInt32(truncatingIfNeeded: random.next()) >> UInt32(random.next() % 32)
        }
      } else {
        words = (0...random.next() % 4).flatMap { _ in job }
        for _ in 0..<random.next() % 3 {
          let at = Int(random.next() % UInt64(words.count))
          switch random.next() % 4 {
          case 0: words[at] = UInt32(truncatingIfNeeded: random.next())
          case 1: words[at] ^= 1 << UInt32(random.next() % 32)
          case 2: words[at] &+= UInt32(random.next() % 33) &- 16
          default: words[at] = words[Int(random.next() % UInt64(words.count))]
          }
        }
        if random.next() % 8 == 0 { words.removeLast(Int(random.next() % UInt64(words.count))) }
      }
      let constants = machine.regions[DeviceMachine.params]
      let outcome = machine.run(words, position: Int(random.next() % 8))
      if outcome.status == SWL_OK { passed += 1 }
      #expect(machine.regions[DeviceMachine.params] == constants)
    }
    #expect(passed > 100)
  }
}
