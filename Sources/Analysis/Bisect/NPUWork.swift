import EthosUISA
import ProgramFormat
import Support

/// One kernel operation of an NPU job, read back from its command stream.
struct NPUWork {
  /// The model's tensor it computes, as the manifest says.
  let source: String
  /// What it does.
  let operation: KernelOperation
  /// Registers that decide what is computed, with the words last written to them.
  let settings: [Opcode: UInt64]
  /// Where the result goes; nil when it is not in memory.
  let output: FeatureMapPlace?
  /// How the weights are ordered, and their streams in the weights region; nil without weights.
  let geometry: WeightGeometry?
  let weightStreams: [Range<Int>]
  /// The scale records' streams in the weights region.
  let scaleStreams: [Range<Int>]

  /// Registers that decide what is computed rather than where or how fast.
  private static let numerics: [Opcode] = [
    .setIFMPrecision, .setIFMZeroPoint, .setOFMPrecision, .setOFMZeroPoint, .setActivation,
    .setActivationMin, .setActivationMax, .setKernelStride, .setOFMScale, .setOPAScale,
    .setOPBScale, .setIFMScale, .setIFM2Scale, .setIFM2ZeroPoint, .setIFM2Precision,
  ]

  /// The operations of all jobs, by job.
  ///
  /// Throws `DiagnosticError` when a command stream cannot be read.
  static func jobs(of program: Program) throws(DiagnosticError) -> [[NPUWork]] {
    var jobs: [[NPUWork]] = []
    for job in program.manifest.jobs {
      guard let bytes = program.commands.slice(at: job.offset, count: job.bytes) else {
        throw DiagnosticError("bisect.job", "job '\(job.name)' lies outside the commands")
      }
      let payload: Payload
      do throws(PayloadError) {
        payload = try Payload.parse(bytes.withBytes { Array($0) })
      } catch {
        throw DiagnosticError("bisect.job", "job '\(job.name)': \(error)")
      }
      guard let stream = payload.stream, let accelerator = payload.accelerator else {
        throw DiagnosticError("bisect.job", "job '\(job.name)' is for an NPU we do not know")
      }
      do throws(StreamError) {
        jobs.append(try read(stream, on: accelerator, sources: job.provenance))
      } catch {
        throw DiagnosticError("bisect.job", "job '\(job.name)': \(error)")
      }
    }
    return jobs
  }

  private static func read(
    _ stream: CommandStream, on accelerator: Accelerator, sources: [String]
  ) throws(StreamError) -> [NPUWork] {
    var reader = stream.makeReader()
    var registers = RegisterFile(stream.product)
    var copies: [Copy] = []
    var work: [NPUWork] = []
    while let command = try reader.next() {
      guard command.isOperation else {
        registers.apply(command)
        continue
      }
      if command.opcode == .opStop { break }
      if command.opcode == .opDMAStart {
        if let copy = Copy(registers) { copies.append(copy) }
        continue
      }
      guard let operation = KernelOperation(command, registers: registers) else { continue }
      work.append(
        NPUWork(
          operation, registers, accelerator: accelerator, copies: copies,
          source: sources.indices.contains(work.count)
            ? sources[work.count] : "operation \(work.count)"
        ))
    }
    return work
  }

  private init(
    _ operation: KernelOperation, _ registers: RegisterFile, accelerator: Accelerator,
    copies: [Copy], source: String
  ) {
    self.source = source
    self.operation = operation
    var settings: [Opcode: UInt64] = [:]
    for register in Self.numerics { settings[register] = registers.rawBits(register) }
    self.settings = settings
    output = registers.place(.ofm, shape: operation.ofm)
    guard operation.kind == .convolution || operation.kind == .depthwise else {
      geometry = nil
      weightStreams = []
      scaleStreams = []
      return
    }
    geometry = Self.geometry(operation, registers, accelerator)
    /// The constant bytes behind a base and a length, through the copies that filled a buffer.
    func range(_ base: Opcode, _ length: Opcode, _ region: Opcode) -> Range<Int>? {
      guard let region = registers.value(region, .region),
        let from = registers.value(base, .addr), let count = registers.value(length, .length),
        count > 0, from >= 0
      else { return nil }
      if region == Region.weights.rawValue { return from..<from + count }
      let copy = copies.last { $0.covers(region, from..<from + count) }
      return copy.map {
        $0.source + from - $0.destination..<$0.source + from - $0.destination + count
      }
    }
    weightStreams = [
      (Opcode.setWeightBase, Opcode.setWeightLength), (.setWeight1Base, .setWeight1Length),
      (.setWeight2Base, .setWeight2Length), (.setWeight3Base, .setWeight3Length),
    ].prefix(geometry?.streamCount ?? 1).compactMap { range($0.0, $0.1, .setWeightRegion) }
    scaleStreams = [
      (Opcode.setScaleBase, Opcode.setScaleLength), (.setScale1Base, .setScale1Length),
    ].prefix(accelerator.cores).compactMap { range($0.0, $0.1, .setScaleRegion) }
  }

  private static func geometry(
    _ operation: KernelOperation, _ registers: RegisterFile, _ accelerator: Accelerator
  ) -> WeightGeometry? {
    guard let block = registers.ofmBlock else { return nil }
    var geometry = WeightGeometry(
      family: accelerator.product == .u85 ? .u85 : .u55,
      traversal: operation.kind == .depthwise
        ? .depthwise : operation.partKernelFirst ? .partKernelFirst : .depthFirst,
      outputs: operation.ofm.depth, inputs: operation.ifm.depth,
      kernelHeight: registers.size(.setKernelHeightM1, .heightM1) ?? 1,
      kernelWidth: registers.size(.setKernelWidthM1, .widthM1) ?? 1,
      ofmBlockDepth: block.depth, ofmUblockDepth: accelerator.microblock.depth,
      ifmBits: operation.ifmBits)
    geometry.dilationY = operation.dilation.y
    geometry.dilationX = operation.dilation.x
    // The register holds the dilated size.
    geometry.kernelHeight = (geometry.kernelHeight - 1) / operation.dilation.y + 1
    geometry.kernelWidth = (geometry.kernelWidth - 1) / operation.dilation.x + 1
    geometry.strideY = operation.stride.y
    geometry.strideX = operation.stride.x
    geometry.macs = accelerator.macs
    geometry.isSparse = operation.isSparse
    geometry.cores = accelerator.product == .u85 ? accelerator.weightDecoders : accelerator.cores
    if accelerator.product == .u85, registers.value(.setWeightFormat, .weightFormat) == 1 {
      geometry.format = .fast
    }
    return geometry
  }

  /// A transfer from the weights region to a buffer.
  private struct Copy {
    let source: Int
    let region: Int
    let destination: Int
    let length: Int

    /// The transfer that `registers` describe; nil when it is not a plain copy of constants.
    init?(_ registers: RegisterFile) {
      guard registers.value(.setDMA0SrcRegion, .region) == Region.weights.rawValue,
        let source = registers.value(.setDMA0Src, .addr),
        let region = registers.value(.setDMA0DstRegion, .region),
        let destination = registers.value(.setDMA0Dst, .addr),
        let length = registers.value(.setDMA0Len, .addr), source >= 0, destination >= 0,
        length > 0, length <= Region.byteLimit
      else { return nil }
      self.source = source
      self.region = region
      self.destination = destination
      self.length = length
    }

    func covers(_ region: Int, _ range: Range<Int>) -> Bool {
      self.region == region && destination <= range.lowerBound
        && range.upperBound <= destination + length
    }
  }
}
