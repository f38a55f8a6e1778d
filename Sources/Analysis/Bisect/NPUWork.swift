import EthosUISA
import ProgramFormat
import Support

/// Bytes of a program's constants: of the weights region, of a nearer one, or of the params for what is
/// resident.
struct ConstantBytes {
  let region: Region
  let range: Range<Int>

  /// The bytes; nil where the region has no such.
  func content(of program: Program) -> ByteSource? {
    program.content(of: region)?.slice(at: range.lowerBound, count: range.count)
  }
}

/// One kernel operation of an NPU job, read back from its command stream.
struct NPUWork {
  /// What stands between a source and the number of one of its operations, in names.
  static let numbering = ", operation "

  /// The model's tensor or operation it computes, as the manifest says.
  let source: String
  /// The source, with a number where it takes several operations. Depth slices of a layer share a name.
  private(set) var name: String
  /// What it does.
  let operation: KernelOperation
  /// Registers that decide what is computed, with the words last written to them.
  let settings: [Opcode: UInt64]
  /// Where the result goes; nil when it is not in memory.
  let output: FeatureMapPlace?
  /// Operands that are constants of the params region.
  let constants: [(what: String, place: FeatureMapPlace)]
  /// The look-up table it uses, in the params region.
  let table: Range<Int>?
  /// How the weights are ordered, and their streams in the regions of constants; nil without constant
  /// weights.
  let geometry: WeightGeometry?
  let weightStreams: [ConstantBytes]
  /// The scale records' streams in the same regions.
  let scaleStreams: [ConstantBytes]

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
        jobs.append(named(try read(stream, on: accelerator, sources: job.provenance)))
      } catch {
        throw DiagnosticError("bisect.job", "job '\(job.name)': \(error)")
      }
    }
    return jobs
  }

  /// Numbers the operations without weights of each source.
  private static func named(_ work: [NPUWork]) -> [NPUWork] {
    var totals: [String: Int] = [:]
    for item in work where item.geometry == nil { totals[item.source, default: 0] += 1 }
    var counts: [String: Int] = [:]
    return work.map { item in
      guard item.geometry == nil, totals[item.source] ?? 0 > 1 else { return item }
      var item = item
      counts[item.source, default: 0] += 1
      item.name = "\(item.source)\(numbering)\(counts[item.source] ?? 0)"
      return item
    }
  }

  private static func read(
    _ stream: CommandStream, on accelerator: Accelerator, sources: [String]
  ) throws(StreamError) -> [NPUWork] {
    var reader = stream.makeReader()
    var registers = RegisterFile(stream.product)
    var copies: [Copy] = []
    var work: [NPUWork] = []
    // Provenance has an entry for every kernel, none for transfers.
    var entry = 0
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
          operation, command, registers, accelerator: accelerator, copies: copies,
          source: sources.indices.contains(entry) ? sources[entry] : "operation \(work.count)"))
      entry += 1
    }
    return work
  }

  private init(
    _ operation: KernelOperation, _ command: Command, _ registers: RegisterFile,
    accelerator: Accelerator, copies: [Copy], source: String
  ) {
    self.source = source
    name = source
    self.operation = operation
    settings = Self.settings(operation, command, registers)
    output = registers.place(.ofm, shape: operation.ofm)
    // Keys and values are weights too, but no constants: their convolutions are like other operations.
    let isWeighted =
      (operation.kind == .convolution || operation.kind == .depthwise)
      && registers.value(.setWeightRegion, .region) != BasePointer.state.rawValue
    let footprint = KernelFootprint(
      command, registers: registers, rules: BlockRules(accelerator))
    constants = (footprint?.inputs ?? []).enumerated().compactMap { index, place in
      place.region == BasePointer.params.rawValue
        ? (what: index == 0 ? "first operand" : "second operand", place: place) : nil
    }
    table =
      operation.usesTable
      ? copies.last { $0.region == nil }.map { $0.source..<$0.source + $0.length } : nil
    guard isWeighted else {
      geometry = nil
      weightStreams = []
      scaleStreams = []
      return
    }
    geometry = Self.geometry(operation, registers, accelerator)
    /// The constant bytes behind a base and a length, through the copies that filled a buffer.
    func range(_ base: Opcode, _ length: Opcode, _ region: Opcode) -> ConstantBytes? {
      guard let region = registers.value(region, .region),
        let from = registers.value(base, .addr), let count = registers.value(length, .length),
        count > 0, from >= 0
      else { return nil }
      if let region = Region(rawValue: region), region.isConstant {
        return ConstantBytes(region: region, range: from..<from + count)
      }
      guard let copy = copies.last(where: { $0.covers(region, from..<from + count) }) else {
        return nil
      }
      let start = copy.source + from - copy.destination
      return ConstantBytes(region: .weights, range: start..<start + count)
    }
    weightStreams = [
      (Opcode.setWeightBase, Opcode.setWeightLength), (.setWeight1Base, .setWeight1Length),
      (.setWeight2Base, .setWeight2Length), (.setWeight3Base, .setWeight3Length),
    ].prefix(geometry?.streamCount ?? 1).compactMap { range($0.0, $0.1, .setWeightRegion) }
    scaleStreams = [
      (Opcode.setScaleBase, Opcode.setScaleLength), (.setScale1Base, .setScale1Length),
    ].prefix(accelerator.cores).compactMap { range($0.0, $0.1, .setScaleRegion) }
  }

  /// The words of the registers that decide what an operation computes, rather than where or how fast.
  /// Registers that its kind does not read are left out: they hold what another operation left there.
  private static func settings(
    _ operation: KernelOperation, _ command: Command, _ registers: RegisterFile
  ) -> [Opcode: UInt64] {
    var used: [Opcode] = [
      .setIFMPrecision, .setIFMZeroPoint, .setOFMPrecision, .setOFMZeroPoint, .setActivation,
      .setActivationMin, .setActivationMax,
    ]
    switch operation.kind {
    case .elementwise:
      used += [.setOFMScale, .setOPAScale, .setOPBScale]
      used += [.setIFM2Precision, .setIFM2ZeroPoint, .setIFM2Broadcast]
      if !operation.hasSecondTensor { used.append(.setIFM2Scalar) }
    case .convolution, .depthwise: used.append(.setKernelStride)
    default: used += [.setKernelStride, .setOFMScale]
    }
    var settings: [Opcode: UInt64] = [:]
    for register in used { settings[register] = registers.rawBits(register) }
    settings[command.opcode] = command.bits
    return settings
  }

  private static func geometry(
    _ operation: KernelOperation, _ registers: RegisterFile, _ accelerator: Accelerator
  ) -> WeightGeometry? {
    guard let block = registers.ofmBlock else { return nil }
    // A U85 says for each operation which micro-block it works in.
    let unit =
      registers.value(.setAccFormat, .microblock, as: ISA.Microblock.self)
      .flatMap(BlockRules(accelerator).microblock) ?? accelerator.microblock
    var geometry = WeightGeometry(
      family: accelerator.product == .u85 ? .u85 : .u55,
      traversal: operation.kind == .depthwise
        ? .depthwise : operation.partKernelFirst ? .partKernelFirst : .depthFirst,
      outputs: operation.ofm.depth, inputs: operation.ifm.depth,
      kernelHeight: registers.size(.setKernelHeightM1, .heightM1) ?? 1,
      kernelWidth: registers.size(.setKernelWidthM1, .widthM1) ?? 1,
      ofmBlockDepth: block.depth, ofmUblockDepth: unit.depth,
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

  /// A transfer of constants: from the weights region to a buffer, or from the params region to the NPU's
  /// internal memory, which is where tables are.
  private struct Copy {
    let source: Int
    /// The destination's base pointer; nil for internal memory.
    let region: Int?
    let destination: Int
    let length: Int

    /// The transfer that `registers` describe; nil when it is not a plain copy of constants.
    init?(_ registers: RegisterFile) {
      guard let from = registers.value(.setDMA0SrcRegion, .region),
        let source = registers.value(.setDMA0Src, .addr),
        let region = registers.value(.setDMA0DstRegion, .region),
        let mode = registers.value(.setDMA0DstRegion, .regionMode),
        let destination = registers.value(.setDMA0Dst, .addr),
        let length = registers.value(.setDMA0Len, .addr), source >= 0, destination >= 0,
        length > 0, length <= Region.byteLimit
      else { return nil }
      let isTable = mode == 1 && from == BasePointer.params.rawValue
      guard isTable || (mode == 0 && from == BasePointer.weights.rawValue) else { return nil }
      self.source = source
      self.region = isTable ? nil : region
      self.destination = destination
      self.length = length
    }

    func covers(_ region: Int, _ range: Range<Int>) -> Bool {
      self.region == region && destination <= range.lowerBound
        && range.upperBound <= destination + length
    }
  }
}
