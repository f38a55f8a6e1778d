import DeviceRuntime

/// The memory of a pretended device: regions filled by the test, step lists run through the runtime's
/// public entry points, results read back.
struct DeviceMachine {
  /// The content of every region, by region number.
  var regions = [[UInt8]](repeating: [UInt8](repeating: 0, count: 16), count: 5)
  /// Positions of the KV cache.
  var context = 16
  /// Token ids.
  var vocabulary = 4
  /// Driver payloads, as byte counts; each is placed 16-byte aligned.
  var jobs: [Int] = []

  static let weights = 0
  static let arena = 1
  static let state = 3
  static let params = 4

  /// Puts an array into a region and returns its reference.
  mutating func put<T: BitwiseCopyable>(_ values: [T], in region: Int) -> UInt32 {
    let ref = reserve(values.count * MemoryLayout<T>.size, in: region)
    let offset = Int(ref & 0x1FFF_FFFF)
    values.withUnsafeBytes { regions[region].replaceSubrange(offset..<offset + $0.count, with: $0) }
    return ref
  }

  /// Reserves bytes, 16-byte aligned, filled with a pattern, and returns their reference.
  mutating func reserve(_ bytes: Int, in region: Int) -> UInt32 {
    let offset = regions[region].count
    regions[region] += [UInt8](repeating: 0xA5, count: (bytes + 15) / 16 * 16)
    return UInt32(region) << 29 | UInt32(offset)
  }

  /// The values at a reference.
  func read<T: BitwiseCopyable>(_ ref: UInt32, _ count: Int, as type: T.Type = T.self) -> [T] {
    let offset = Int(ref & 0x1FFF_FFFF)
    return regions[Int(ref >> 29)].withUnsafeBytes { raw in
      (0..<count).map {
        raw.loadUnaligned(fromByteOffset: offset + $0 * MemoryLayout<T>.size, as: type)
      }
    }
  }

  /// What a run gave.
  struct Outcome {
    /// What `swl_program_check` said.
    var check: swl_status
    /// What the run said; that of the check when that failed.
    var status: swl_status
    /// The position afterwards.
    var position: UInt32 = 0
  }

  /// Checks `words` as the step list of `n` tokens and runs it with the KV cache at `position`.
  ///
  /// One token goes through decode; more make a prefill list, followed by an empty decode list.
  mutating func run(
    _ words: [UInt32], n: Int = 1, position: Int = 0, tokens: [Int32]? = nil
  ) -> Outcome {
    let ids = tokens ?? [Int32](repeating: 0, count: n)
    return withProgram(words, n: n) { machine, program, bases in
      let check = swl_program_check(program)
      guard check == SWL_OK else { return Outcome(check: check, status: check) }
      var device = swl_context()
      let opened = swl_open(&device, program, bases, { _, _ in 0 }, nil)
      guard opened == SWL_OK else { return Outcome(check: check, status: opened) }
      machine.fill(bases)
      device.position = UInt32(position)
      let status =
        n == 1 ? swl_decode(&device, ids[0]) : swl_prompt(&device, ids + [0], UInt32(n + 1))
      machine.collect(bases)
      return Outcome(check: check, status: status, position: device.position)
    }
  }

  /// Lays the regions out in memory and calls `body` with a program of one step list.
  mutating func withProgram<R>(
    _ words: [UInt32], n: Int = 1,
    _ body: (
      inout DeviceMachine, UnsafeMutablePointer<swl_program>,
      UnsafePointer<UnsafeMutablePointer<UInt8>?>
    ) -> R
  ) -> R {
    // A batch's later rows read from before the mask.
    let selection = reserve(20, in: Self.state) & 0x1FFF_FFFF
    let validity = reserve(2 * n, in: Self.state) & 0x1FFF_FFFF
    let mask = reserve((n - 1 + context) * 2, in: Self.state) & 0x1FFF_FFFF + UInt32(n - 1) * 2
    let memory = regions.map {
      UnsafeMutableRawPointer.allocate(byteCount: max($0.count, 16), alignment: 16)
    }
    let payload = UnsafeMutableRawPointer.allocate(byteCount: 16, alignment: 16)
    defer {
      for base in memory { base.deallocate() }
      payload.deallocate()
    }
    let bases: [UnsafeMutablePointer<UInt8>?] = memory.map {
      $0.assumingMemoryBound(to: UInt8.self)
    }
    let descriptors = jobs.map { swl_job(payload: payload, bytes: UInt32($0)) }
    let sizes = regions.map { UInt32($0.count) }
    let offsets = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)
    offsets.initialize(to: 0)
    defer { offsets.deallocate() }
    return words.withUnsafeBufferPointer { list in
      descriptors.withUnsafeBufferPointer { descriptors in
        var program = swl_program()
        let steps = swl_steps(
          words: list.baseAddress, count: UInt32(list.count), tokens: UInt32(n))
        program.abi_version = SWL_ABI_VERSION
        program.vocabulary = UInt32(vocabulary)
        program.context = UInt32(context)
        program.decode = n == 1 ? steps : swl_steps(words: nil, count: 0, tokens: 1)
        if n > 1 { program.prefill = steps }
        program.jobs = descriptors.baseAddress
        program.job_count = UInt32(descriptors.count)
        program.logits = UInt32(Self.arena) << 29
        program.logits_scale = 1
        program.mask = mask
        // Caches whose numbers follow each other, byte by byte.
        let place = swl_cache_place(
          chunk: UInt32(context), chunk_bytes: 0, period: 1, period_bytes: 1,
          offsets: UnsafePointer(offsets), offset_count: 1)
        program.values = place
        program.keys = place
        program.prefill_alignment = 1
        program.selection_place = selection
        program.validity_place = validity
        program.region_bytes = (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4])
        fill(bases)
        return body(&self, &program, bases)
      }
    }
  }

  /// Copies the regions to their memory.
  func fill(_ bases: UnsafePointer<UnsafeMutablePointer<UInt8>?>) {
    for (i, region) in regions.enumerated() {
      bases[i]?.update(from: region, count: region.count)
    }
  }

  /// Copies the memory back to the regions.
  mutating func collect(_ bases: UnsafePointer<UnsafeMutablePointer<UInt8>?>) {
    for i in regions.indices {
      regions[i] = Array(UnsafeBufferPointer(start: bases[i], count: regions[i].count))
    }
  }
}

/// The head word and parameters of a step.
func step(_ kernel: swl_kernel, _ parameters: [UInt32]) -> [UInt32] {
  [kernel.rawValue | UInt32(parameters.count + 1) << 8] + parameters
}
