import DeviceRuntime
import Support
import Testing

/// The program check: each rule once, then random and mutated programs.
@Suite struct ProgramCheckTests {
  /// A machine whose arena, state and parameters hold operands for one valid step of every kernel.
  private struct Valid {
    var machine = DeviceMachine()
    /// One step of every kernel, by kernel number less one.
    var steps: [[UInt32]] = []

    init() {
      machine.context = 8
      machine.vocabulary = 4
      machine.jobs = [16]
      let d: UInt32 = 8
      let table = machine.put([Int8](repeating: 3, count: 32), in: DeviceMachine.params)
      let factors = machine.put([Int32](repeating: 5, count: 8), in: DeviceMachine.params)
      let lut = machine.put([UInt32](repeating: 7, count: 512), in: DeviceMachine.params)
      let a = machine.put([Int16](repeating: 1234, count: 8), in: DeviceMachine.arena)
      let out = machine.reserve(32, in: DeviceMachine.arena)
      let scratch = machine.reserve(32, in: DeviceMachine.arena)
      let k = machine.reserve(64, in: DeviceMachine.state)
      let v = machine.reserve(64, in: DeviceMachine.state)
      steps = [
        step(SWL_KERNEL_NPU_JOB, [0]),
        step(SWL_KERNEL_EMBEDDING, [1, d, 4, table, factors, 3, out]),
        step(
          SWL_KERNEL_ATTENTION,
          [
            1, 2, 2, 4, 4, 8, a, k, v, 99, 9, lut, lut, 3, 7, scratch, out, 16,
          ]),
      ]
    }
  }

  @Test func oneOfEachIsValid() {
    var valid = Valid()
    #expect(valid.machine.run(valid.steps.flatMap { $0 }).status == SWL_OK)
  }

  /// One wrong parameter each: kernel number, parameter index (without the head word), bad value.
  @Test(
    arguments: [
      (1, 0, 1), (1, 0, .max),
      (2, 0, 0), (2, 0, 2), (2, 1, 0), (2, 1, 65537), (2, 2, 3), (2, 2, .max), (2, 3, 0x8FFF_FFF0),
      (2, 4, 0x8000_0012), (2, 5, 63), (2, 6, 0x8000_0010), (2, 6, 0x0000_0000),
      (2, 6, 0x2000_0001),
      (3, 0, 0), (3, 1, 3), (3, 2, 0), (3, 2, 4), (3, 3, 0), (3, 3, 300), (3, 4, 3), (3, 4, 257),
      (3, 5, 7), (3, 5, 16384), (3, 6, 0x2000_0031), (3, 8, 0x8000_8011), (3, 9, 0x8000_0000),
      (3, 10, 63), (3, 11, 0x8000_0802), (3, 12, 0x8000_8000), (3, 13, 0x8000_0000), (3, 14, 63),
      (3, 15, 0x8000_0010), (3, 16, 0x6000_0010), (3, 17, 12),
    ] as [(Int, Int, UInt32)])
  func refuses(_ kernel: Int, _ parameter: Int, _ value: UInt32) {
    var valid = Valid()
    valid.steps[kernel - 1][parameter + 1] = value
    #expect(valid.machine.run(valid.steps.flatMap { $0 }).check == SWL_ERROR_PROGRAM)
  }

  @Test func refusesMalformedLists() {
    var valid = Valid()
    func check(_ words: [UInt32]) -> swl_status { valid.machine.run(words).check }
    #expect(check([0]) == SWL_ERROR_PROGRAM)
    #expect(check([4 | 2 << 8, 0]) == SWL_ERROR_PROGRAM)
    #expect(check([1]) == SWL_ERROR_PROGRAM)
    #expect(check([1 | 1 << 8]) == SWL_ERROR_PROGRAM)
    #expect(check([1 | 3 << 8, 0, 0]) == SWL_ERROR_PROGRAM)
    #expect(check([1 | 2 << 8]) == SWL_ERROR_PROGRAM)
    #expect(check(Array(valid.steps[2].dropLast())) == SWL_ERROR_PROGRAM)
    #expect(check([]) == SWL_OK)
  }

  @Test func refusesBadPrograms() {
    func check(_ change: (inout swl_program) -> Void) -> swl_status {
      var valid = Valid()
      return valid.machine.withProgram([]) { _, program, _ in
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
    #expect(check { $0.mask += 4 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.mask += 1 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.rotation = 1 << 29 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.rotation_row_bytes = 8 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.rotation_row_bytes = 1 << 20 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.embedding_row_bytes = 8 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.embedding_row_bytes = 1 << 20 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.cache_row_bytes = 8 } == SWL_ERROR_PROGRAM)
    #expect(check { $0.cache_row_bytes = 1 << 20 } == SWL_ERROR_PROGRAM)
    #expect(check { _ in } == SWL_OK)
  }

  /// Random words, and valid lists with some words changed: whatever passes the check must run
  /// without touching the constant regions.
  @Test(arguments: 0..<8) func hostilePrograms(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let valid = Valid()
    var passed = 0
    for round in 0..<2500 {
      var machine = valid.machine
      var words: [UInt32]
      if round % 5 == 0 {
        words = (0..<Int(random.next() % 40)).map { _ in
          UInt32(truncatingIfNeeded: random.next()) >> UInt32(random.next() % 32)
        }
      } else {
        words = (0...random.next() % 4).flatMap { _ in valid.steps[Int(random.next() % 3)] }
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
      // Damaged tables must not matter to memory safety either.
      for i in machine.regions[DeviceMachine.params].indices where round % 2 == 0 {
        machine.regions[DeviceMachine.params][i] = UInt8(truncatingIfNeeded: random.next())
      }
      let constants = machine.regions[DeviceMachine.params]
      let outcome = machine.run(words, position: Int(random.next() % 8))
      if outcome.status == SWL_OK { passed += 1 }
      #expect(machine.regions[DeviceMachine.params] == constants)
    }
    #expect(passed > 100)
  }
}
