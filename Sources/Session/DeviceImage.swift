import DeviceRuntime
import ProgramFormat
import Support

/// A program's bytes laid out in memory as the device runtime sees them: aligned regions, jobs, step
/// lists and the `swl_program` that points at them.
///
/// A class because the runtime keeps pointers into it; not sendable, one session owns it.
final class DeviceImage {
  /// The base of every region, 16-byte aligned; constant regions are only read.
  let bases: [UnsafeMutablePointer<UInt8>?]
  /// The bytes of every region.
  let sizes: [Int]
  /// The runtime's description of the program.
  let program: UnsafeMutablePointer<swl_program>
  /// Driver payloads by job.
  let payloads: [UnsafeRawBufferPointer]

  private var owned: [UnsafeMutableRawPointer] = []
  private let steps: UnsafeMutablePointer<UInt32>
  private let jobs: UnsafeMutablePointer<swl_job>
  // Mapped sources stay alive as long as pointers into them may be used.
  private let sources: [ByteSource]

  /// Lays out a loaded program and lets the runtime check every step against the regions.
  ///
  /// Throws `DiagnosticError` when the runtime refuses it.
  init(_ loaded: Program) throws(DiagnosticError) {
    sources = [loaded.weights, loaded.near, loaded.params, loaded.commands]
    sizes = Region.allCases.map { loaded.bytes(of: $0) }
    var memory: [UnsafeMutableRawPointer] = []
    func allocate(_ count: Int) -> UnsafeMutableRawPointer {
      let base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 16), alignment: 64)
      memory.append(base)
      return base
    }
    /// Page-aligned mapped bytes are used in place; anything else is copied once.
    func place(_ source: ByteSource) -> UnsafeMutableRawPointer {
      source.withBytes { raw in
        if let base = raw.baseAddress, Int(bitPattern: base) % 64 == 0, source.isMapped {
          return UnsafeMutableRawPointer(mutating: base)
        }
        let copy = allocate(raw.count)
        if let base = raw.baseAddress { copy.copyMemory(from: base, byteCount: raw.count) }
        return copy
      }
    }
    var bases: [UnsafeMutablePointer<UInt8>?] = []
    for region in Region.allCases {
      let base: UnsafeMutableRawPointer
      switch region {
      case .weights: base = place(loaded.weights)
      case .near: base = place(loaded.near)
      case .params: base = place(loaded.params)
      case .arena, .state:
        base = allocate(sizes[region.rawValue])
        base.initializeMemory(as: UInt8.self, repeating: 0, count: sizes[region.rawValue])
      }
      bases.append(base.assumingMemoryBound(to: UInt8.self))
    }
    self.bases = bases
    let commands = place(loaded.commands)
    payloads = loaded.manifest.jobs.map {
      UnsafeRawBufferPointer(start: commands + $0.offset, count: $0.bytes)
    }
    steps = .allocate(capacity: max(loaded.steps.count, 1))
    steps.initialize(from: loaded.steps, count: loaded.steps.count)
    jobs = .allocate(capacity: max(payloads.count, 1))
    for (i, payload) in payloads.enumerated() {
      (jobs + i).initialize(
        to: swl_job(payload: payload.baseAddress, bytes: UInt32(payload.count)))
    }
    program = .allocate(capacity: 1)
    program.initialize(to: swl_program())
    owned = memory
    func place(_ place: Manifest.CachePlace) -> swl_cache_place {
      let offsets = UnsafeMutablePointer<UInt32>.allocate(capacity: max(place.offsets.count, 1))
      for (index, offset) in place.offsets.enumerated() {
        (offsets + index).initialize(to: UInt32(truncatingIfNeeded: offset))
      }
      owned.append(offsets)
      return swl_cache_place(
        chunk: UInt32(truncatingIfNeeded: place.chunk),
        chunk_bytes: UInt32(truncatingIfNeeded: place.chunkBytes),
        period: UInt32(truncatingIfNeeded: place.period),
        period_bytes: UInt32(truncatingIfNeeded: place.periodBytes),
        offsets: UnsafePointer(offsets),
        offset_count: UInt32(truncatingIfNeeded: place.offsets.count))
    }

    func entry(_ name: String) -> swl_steps {
      guard let entry = loaded.entry(name) else { return swl_steps() }
      return swl_steps(
        words: UnsafePointer(steps + entry.firstWord), count: UInt32(entry.words),
        tokens: UInt32(entry.tokens))
    }
    let model = loaded.manifest.model
    program.pointee.abi_version = SWL_ABI_VERSION
    program.pointee.vocabulary = UInt32(model.vocabulary)
    program.pointee.context = UInt32(model.context)
    program.pointee.decode = entry("decode")
    program.pointee.prefill = entry("prefill")
    program.pointee.prefill_near = entry("prefill_near")
    program.pointee.jobs = UnsafePointer(jobs)
    program.pointee.job_count = UInt32(payloads.count)
    program.pointee.logits = RegionReference(.arena, loaded.manifest.logits.offset).word
    program.pointee.logits_scale = loaded.manifest.logits.scale
    let position = loaded.manifest.position
    program.pointee.near_positions = UInt32(truncatingIfNeeded: position.nearPositions)
    program.pointee.mask = UInt32(truncatingIfNeeded: position.maskOffset)
    program.pointee.rotation = UInt32(truncatingIfNeeded: position.rotationOffset)
    program.pointee.rotation_row_bytes = UInt32(truncatingIfNeeded: position.rotationRowBytes)
    program.pointee.rotation_place = UInt32(truncatingIfNeeded: position.rotationPlace)
    program.pointee.values = place(position.values)
    program.pointee.keys = place(position.keys)
    program.pointee.selection_place = UInt32(truncatingIfNeeded: position.selectionPlace)
    program.pointee.validity_place = UInt32(truncatingIfNeeded: position.validityPlace)
    let fills = UnsafeMutablePointer<swl_fill>.allocate(capacity: max(position.fills.count, 1))
    for (index, fill) in position.fills.enumerated() {
      (fills + index).initialize(
        to: swl_fill(
          offset: UInt32(truncatingIfNeeded: fill.offset),
          stride: UInt32(truncatingIfNeeded: fill.stride),
          count: UInt32(truncatingIfNeeded: fill.count),
          source: UInt32(truncatingIfNeeded: fill.source),
          source_stride: UInt32(truncatingIfNeeded: fill.sourceStride),
          bytes: UInt32(truncatingIfNeeded: fill.bytes)))
    }
    owned.append(fills)
    program.pointee.fills = UnsafePointer(fills)
    program.pointee.fill_count = UInt32(truncatingIfNeeded: position.fills.count)
    program.pointee.embedding = UInt32(truncatingIfNeeded: position.embeddingOffset)
    program.pointee.embedding_row_bytes = UInt32(truncatingIfNeeded: position.embeddingRowBytes)
    program.pointee.multipliers = UInt32(truncatingIfNeeded: position.multiplierOffset)
    program.pointee.multiplier_place = UInt32(truncatingIfNeeded: position.multiplierPlace)
    program.pointee.embedding_place = UInt32(truncatingIfNeeded: position.embeddingPlace)
    program.pointee.prefill_from = UInt32(truncatingIfNeeded: position.prefillFrom)
    program.pointee.prefill_alignment = UInt32(truncatingIfNeeded: position.prefillAlignment)
    program.pointee.prefix_tokens = UInt32(truncatingIfNeeded: position.prefixTokens)
    withUnsafeMutableBytes(of: &program.pointee.region_bytes) { raw in
      for (i, size) in sizes.enumerated() {
        raw.storeBytes(of: UInt32(size), toByteOffset: i * 4, as: UInt32.self)
      }
    }
    program.pointee.bos = Int32(truncatingIfNeeded: model.bos ?? -1)
    program.pointee.eos = Int32(truncatingIfNeeded: model.eos ?? -1)

    let status = swl_program_check(program)
    guard status == SWL_OK else {
      throw DiagnosticError(
        "package.program",
        "the runtime refuses the program: \(String(cString: swl_status_text(status)))",
        wayOut: "compile the model again")
    }
  }

  deinit {
    for memory in owned { memory.deallocate() }
    steps.deallocate()
    jobs.deallocate()
    program.deallocate()
  }
}
