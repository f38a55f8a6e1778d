import DeviceRuntime
import Testing

/// Opening, the step loop, prompts, and every error code.
@Suite struct RuntimeTests {
  /// Counts jobs and fails at one of them.
  private final class Jobs {
    var ran: [Int] = []
    var failAt = -1
    var first: UnsafePointer<swl_job>?
  }

  private static let callback: swl_npu_run = { context, job in
    guard let context, let job, let user = context.pointee.user else { return -1 }
    let jobs = Unmanaged<Jobs>.fromOpaque(user).takeUnretainedValue()
    jobs.ran.append(Int(job.pointee.bytes))
    return jobs.ran.count - 1 == jobs.failAt ? 1 : 0
  }

  private func twoJobs() -> DeviceMachine {
    var machine = DeviceMachine()
    machine.jobs = [16, 32]
    machine.context = 6
    return machine
  }

  private let steps = step(SWL_KERNEL_NPU_JOB, [1]) + step(SWL_KERNEL_NPU_JOB, [0])

  @Test func decodeRunsStepsInOrderAndMovesOn() {
    var machine = twoJobs()
    let jobs = Jobs()
    machine.withProgram(steps) { _, program, bases in
      var device = swl_context()
      let user = Unmanaged.passUnretained(jobs).toOpaque()
      #expect(swl_open(&device, program, bases, Self.callback, user) == SWL_OK)
      #expect(swl_decode(&device, 3) == SWL_OK)
      #expect(jobs.ran == [32, 16])
      #expect(device.position == 1)
      #expect(device.last_step == 2)
      #expect(swl_decode(&device, 4) == SWL_ERROR_TOKEN)
      #expect(swl_decode(&device, -1) == SWL_ERROR_TOKEN)
      jobs.failAt = 2
      #expect(swl_decode(&device, 0) == SWL_ERROR_NPU)
      #expect(device.last_step == 0)
      #expect(device.position == 1)
      #expect(swl_decode(nil, 0) == SWL_ERROR_ARGUMENT)
    }
  }

  @Test func promptBatchesAllButTheLast() {
    var machine = twoJobs()
    let jobs = Jobs()
    let decode = step(SWL_KERNEL_NPU_JOB, [0])
    machine.withProgram(step(SWL_KERNEL_NPU_JOB, [1]), n: 2) { _, program, bases in
      decode.withUnsafeBufferPointer { list in
        program.pointee.decode.words = list.baseAddress
        program.pointee.decode.count = UInt32(list.count)
        #expect(swl_program_check(program) == SWL_OK)
        var device = swl_context()
        let user = Unmanaged.passUnretained(jobs).toOpaque()
        #expect(swl_open(&device, program, bases, Self.callback, user) == SWL_OK)
        #expect(swl_prompt(&device, [0, 1, 2, 3], 4) == SWL_OK)
        #expect(jobs.ran == [32, 32, 16])
        #expect(device.position == 4)
        // Nothing runs when something is wrong with the prompt.
        #expect(swl_prompt(&device, [0, 9], 2) == SWL_ERROR_TOKEN)
        #expect(swl_prompt(&device, [0, 1, 2], 3) == SWL_ERROR_CONTEXT_FULL)
        #expect(swl_prompt(&device, [0], 0) == SWL_ERROR_ARGUMENT)
        #expect(swl_prompt(&device, nil, 1) == SWL_ERROR_ARGUMENT)
        #expect(jobs.ran.count == 3)
        #expect(swl_prompt(&device, [0, 1], 2) == SWL_OK)
        #expect(jobs.ran == [32, 32, 16, 32, 16])
        #expect(swl_decode(&device, 0) == SWL_ERROR_CONTEXT_FULL)
        swl_reset(&device)
        #expect(device.position == 0)
        #expect(swl_prompt(&device, [2], 1) == SWL_OK)
        #expect(jobs.ran.last == 16)
        // All rows of a batch need room, used or not.
        for _ in 0..<3 { #expect(swl_decode(&device, 0) == SWL_OK) }
        jobs.ran = []
        program.pointee.prefill.tokens = 3
        #expect(swl_prompt(&device, [0, 1], 2) == SWL_OK)
        #expect(jobs.ran == [16, 16])
        // Batches that save nothing are left alone.
        swl_reset(&device)
        jobs.ran = []
        program.pointee.prefill.tokens = 2
        program.pointee.prefill_from = 2
        #expect(swl_prompt(&device, [0, 1, 2, 3], 4) == SWL_OK)
        #expect(jobs.ran == [32, 16, 16])
        // After a batch that failed, the caches are unsound until they are reset.
        swl_reset(&device)
        jobs.failAt = jobs.ran.count
        #expect(swl_prompt(&device, [0, 1, 2], 3) == SWL_ERROR_NPU)
        #expect(device.position == 0)
        #expect(swl_prompt(&device, [0, 1, 2], 3) == SWL_ERROR_NPU)
        #expect(swl_decode(&device, 1) == SWL_ERROR_NPU)
        swl_reset(&device)
        #expect(swl_prompt(&device, [0, 1, 2], 3) == SWL_OK)
        #expect(device.position == 3)
        // Batches start at multiples of the alignment only: a token, another, two as a batch, the last.
        swl_reset(&device)
        jobs.ran = []
        jobs.failAt = -1
        program.pointee.prefill_alignment = 2
        #expect(swl_prompt(&device, [0], 1) == SWL_OK)
        #expect(swl_prompt(&device, [0, 1, 2, 0], 4) == SWL_OK)
        #expect(jobs.ran == [16, 16, 32, 16])
        // Batches that end within the near positions have a job of their own.
        swl_reset(&device)
        jobs.ran = []
        program.pointee.prefill_near = program.pointee.decode
        program.pointee.prefill_near.tokens = 2
        program.pointee.near_positions = 2
        #expect(swl_prompt(&device, [0, 1, 2, 0, 1], 5) == SWL_OK)
        #expect(jobs.ran == [16, 32, 16])
        #expect(device.position == 5)
      }
    }
  }

  /// While a batch runs, its first row sees its own position and those before; row `t`, whose mask starts
  /// `t` numbers earlier, sees `t` more. Rows without a token change nothing that a later token reads.
  @Test func batchesShowEachRowItsPositions() {
    final class Seen {
      var masks: [[Int16]] = []
      var rows: [[UInt8]] = []
      var factors: [[Int32]] = []
    }
    let seen = Seen()
    var machine = twoJobs()
    let table = machine.put((0..<4).flatMap { [UInt8](repeating: 40 + $0, count: 16) }, in: 0)
    let multipliers = machine.put([Int32](10..<14), in: 0)
    let place = machine.reserve(3 * 16, in: DeviceMachine.state) & 0x1FFF_FFFF
    let factors = machine.reserve(3 * 4, in: DeviceMachine.state) & 0x1FFF_FFFF
    let decode = step(SWL_KERNEL_NPU_JOB, [0])
    machine.withProgram(step(SWL_KERNEL_NPU_JOB, [1]), n: 3) { _, program, bases in
      decode.withUnsafeBufferPointer { list in
        program.pointee.decode.words = list.baseAddress
        program.pointee.decode.count = UInt32(list.count)
        program.pointee.embedding = table & 0x1FFF_FFFF
        program.pointee.embedding_row_bytes = 16
        program.pointee.multipliers = multipliers & 0x1FFF_FFFF
        program.pointee.embedding_place = place
        program.pointee.multiplier_place = factors
        #expect(swl_program_check(program) == SWL_OK)
        var device = swl_context()
        let user = Unmanaged.passUnretained(seen).toOpaque()
        let opened = swl_open(
          &device, program, bases,
          { context, job in
            guard let context, let user = context.pointee.user,
              let state = context.pointee.base.3, let program = context.pointee.program?.pointee
            else { return -1 }
            let seen = Unmanaged<Seen>.fromOpaque(user).takeUnretainedValue()
            let raw = UnsafeRawPointer(state)
            let mask = raw + Int(program.mask)
            for t in 0..<(job?.pointee.bytes == 32 ? 3 : 1) {
              seen.masks.append(
                (0..<6).map { mask.load(fromByteOffset: ($0 - t) * 2, as: Int16.self) })
            }
            seen.rows.append(
              (0..<3).map {
                raw.load(fromByteOffset: Int(program.embedding_place) + $0 * 16, as: UInt8.self)
              })
            seen.factors.append(
              (0..<3).map {
                raw.load(fromByteOffset: Int(program.multiplier_place) + $0 * 4, as: Int32.self)
              })
            return 0
          }, user)
        #expect(opened == SWL_OK)
        #expect(swl_prompt(&device, [3, 1, 2], 3) == SWL_OK)
      }
    }
    // A batch of two tokens and one row without, then a decode.
    func visible(_ count: Int) -> [Int16] {
      (0..<6).map { $0 < count ? .max : .min }
    }
    #expect(seen.masks == [visible(1), visible(2), visible(3), visible(3)])
    #expect(seen.rows.first == [43, 41, 41])
    #expect(seen.factors.first == [13, 11, 11])
    #expect(seen.factors.last?.first == 12)
  }

  @Test func rollingMovesTheWindow() {
    var machine = twoJobs()
    let jobs = Jobs()
    machine.withProgram(step(SWL_KERNEL_NPU_JOB, [0])) { _, program, bases in
      var device = swl_context()
      let user = Unmanaged.passUnretained(jobs).toOpaque()
      #expect(swl_open(&device, program, bases, Self.callback, user) == SWL_OK)
      var window = [Int32](repeating: -1, count: 6)
      for token: Int32 in [0, 1, 2, 3, 0, 1] {
        #expect(swl_decode_rolling(&device, token, &window, 1) == SWL_OK)
      }
      #expect(window == [0, 1, 2, 3, 0, 1])
      #expect(jobs.ran.count == 6)
      #expect(swl_decode_rolling(&device, 3, &window, 1) == SWL_OK)
      #expect(Array(window.prefix(4)) == [0, 0, 1, 3])
      #expect(device.position == 4)
      #expect(jobs.ran.count == 10)
      #expect(swl_decode_rolling(&device, 4, &window, 1) == SWL_ERROR_TOKEN)
      #expect(swl_decode_rolling(&device, 0, &window, 6) == SWL_ERROR_ARGUMENT)
      #expect(swl_decode_rolling(&device, 0, nil, 1) == SWL_ERROR_ARGUMENT)
      #expect(swl_decode_rolling(nil, 0, &window, 1) == SWL_ERROR_ARGUMENT)
      program.pointee.prefix_tokens = 2
      #expect(swl_decode_rolling(&device, 0, &window, 1) == SWL_ERROR_ARGUMENT)
      #expect(device.position == 4)
    }
  }

  @Test func resetClearsTheState() {
    var machine = twoJobs()
    _ = machine.put([UInt8](repeating: 7, count: 100), in: DeviceMachine.state)
    machine.withProgram([]) { machine, program, bases in
      var device = swl_context()
      #expect(swl_open(&device, program, bases, { _, _ in 0 }, nil) == SWL_OK)
      machine.collect(bases)
      let caches = machine.regions[DeviceMachine.state].count - 32
      #expect(machine.regions[DeviceMachine.state][..<caches].allSatisfy { $0 == 0 })
      let mask = machine.read(
        UInt32(DeviceMachine.state) << 29 | program.pointee.mask, machine.context, as: Int16.self)
      #expect(mask == [Int16](repeating: .min, count: machine.context))
    }
  }

  @Test func theMaskAndTheBasePointersFollowThePosition() {
    var machine = twoJobs()
    _ = machine.put([UInt8](repeating: 0, count: 6 * 32), in: DeviceMachine.state)
    let rotation = machine.put(
      (0..<6).flatMap { [UInt8](repeating: 60 + $0, count: 16) }, in: DeviceMachine.params)
    let offsets: [UInt32] = [3, 5]
    let table = machine.put([UInt8](repeating: 0, count: 4 * 16), in: DeviceMachine.weights)
    let multipliers = machine.put([Int32](10..<14), in: DeviceMachine.weights)
    machine.withProgram([]) { machine, program, bases in
      let table = table
      offsets.withUnsafeBufferPointer { offsets in
        program.pointee.rotation = rotation & 0x1FFF_FFFF
        program.pointee.rotation_row_bytes = 16
        program.pointee.rotation_place = 80
        // Position 2 is in the second part of a chunk of three.
        program.pointee.keys = swl_cache_place(
          chunk: 3, chunk_bytes: 100, period: 2, period_bytes: 32, offsets: offsets.baseAddress,
          offset_count: 2)
        program.pointee.values = swl_cache_place(
          chunk: 2, chunk_bytes: 48, period: 2, period_bytes: 0, offsets: offsets.baseAddress,
          offset_count: 2)
        program.pointee.embedding = table & 0x1FFF_FFFF
        program.pointee.embedding_row_bytes = 16
        program.pointee.multipliers = multipliers & 0x1FFF_FFFF
        program.pointee.multiplier_place = 64
        #expect(swl_program_check(program) == SWL_OK)
        var device = swl_context()
        #expect(swl_open(&device, program, bases, { _, _ in 0 }, nil) == SWL_OK)
        for token: Int32 in [0, 3] { #expect(swl_decode(&device, token) == SWL_OK) }
        machine.collect(bases)
        let mask = machine.read(
          UInt32(DeviceMachine.state) << 29 | program.pointee.mask, 6, as: Int16.self)
        #expect(mask == [.max, .max] + [Int16](repeating: .min, count: 4))
        var pointers = [UnsafeMutablePointer<UInt8>?](repeating: nil, count: 8)
        swl_base_pointers(&device, &pointers)
        #expect((0..<5).allSatisfy { pointers[$0] == bases[$0] })
        #expect(pointers[5] == bases[3].map { $0 + 48 + 3 })
        #expect(pointers[6] == bases[3].map { $0 + 32 + 3 })
        #expect(
          machine.read(UInt32(DeviceMachine.state) << 29 | 80, 16, as: UInt8.self)
            == [UInt8](repeating: 61, count: 16))
        #expect(pointers[7] == bases[0].map { $0 + Int(program.pointee.embedding) + 3 * 16 })
        #expect(machine.read(UInt32(DeviceMachine.state) << 29 | 64, 1, as: Int32.self) == [13])
      }
    }
  }

  @Test func openRefusesWhatCannotRun() {
    var machine = twoJobs()
    machine.withProgram(steps) { _, program, bases in
      var device = swl_context()
      #expect(swl_open(nil, program, bases, Self.callback, nil) == SWL_ERROR_ARGUMENT)
      #expect(swl_open(&device, nil, bases, Self.callback, nil) == SWL_ERROR_ARGUMENT)
      #expect(swl_open(&device, program, nil, Self.callback, nil) == SWL_ERROR_ARGUMENT)
      #expect(swl_open(&device, program, bases, nil, nil) == SWL_ERROR_ARGUMENT)
      var moved = (0..<5).map { bases[$0] }
      moved[1] = bases[1].map { $0 + 8 }
      #expect(swl_open(&device, program, moved, Self.callback, nil) == SWL_ERROR_ARGUMENT)
      moved[1] = nil
      #expect(swl_open(&device, program, moved, Self.callback, nil) == SWL_ERROR_ARGUMENT)
      program.pointee.abi_version += 1
      #expect(swl_open(&device, program, bases, Self.callback, nil) == SWL_ERROR_ABI)
      #expect(swl_program_check(program) == SWL_ERROR_ABI)
    }
  }

  @Test func everyStatusHasItsOwnText() {
    let texts = (-6...0).map { String(cString: swl_status_text(swl_status(rawValue: $0))) }
    #expect(Set(texts).count == 7)
    #expect(String(cString: swl_status_text(swl_status(rawValue: 77))) == "unknown status")
  }

  @Test func logitsAreWhereTheProgramSays() {
    var machine = twoJobs()
    let ref = machine.put([Int16]([1, -2, 3, 4]), in: DeviceMachine.arena)
    machine.withProgram([]) { _, program, bases in
      program.pointee.logits = ref
      var device = swl_context()
      #expect(swl_open(&device, program, bases, { _, _ in 0 }, nil) == SWL_OK)
      let logits = swl_logits(&device)
      #expect((0..<4).map { logits?[$0] } == [1, -2, 3, 4])
    }
  }
}
