/// One line about an operation: what it reads, does and writes.
struct OperationSummary {
  let product: Product
  let registers: RegisterFile
  let names: [Int: String]

  private var fields: FieldText {
    FieldText(product: product, registers: registers, names: names)
  }

  /// The summary of `command`.
  func text(of command: Command) -> String {
    switch command.opcode {
    case .opDMAStart: return "DMA " + transfer()
    case .opDMAWait, .opKernelWait:
      let field: Field = command.opcode == .opDMAWait ? .k : .n
      let count = command.value(field, on: product) ?? 0
      let what = command.opcode == .opDMAWait ? "transfers" : "kernels"
      return "wait until at most \(count) \(what) are unfinished"
    case .opStop: return "stop"
    case .opIRQ: return "interrupt"
    case .opBranch: return "branch " + fields.text(of: command)
    case .opPMUMask: return "performance counters " + fields.text(of: command)
    default: return kernel(command)
    }
  }

  private func kernel(_ command: Command) -> String {
    let mode = fields.text(of: command)
    var name = command.opcode.name.dropFirst(3) + (mode.isEmpty ? "" : " " + mode)
    guard let operation = KernelOperation(command, registers: registers) else {
      return name + ", with registers that were never written"
    }
    if operation.kind != .elementwise && operation.kind != .resize {
      name += " \(operation.kernel.height)x\(operation.kernel.width)"
      if operation.stride != (1, 1) {
        name += " stride \(operation.stride.y)x\(operation.stride.x)"
      }
    }
    var parts = [name + ": " + map(.ifm, operation.ifm)]
    if operation.kind == .elementwise, operation.hasSecondTensor {
      parts.append(map(.ifm2, operation.ifm2Shape(registers)))
    } else if operation.kind == .matrixProduct {
      parts.append(map(.ifm2, BlockShape(1, operation.ofm.depth, operation.ifm.depth)))
    }
    var text = parts.joined(separator: ", ") + " → " + map(.ofm, operation.ofm)
    if let block = registers.ofmBlock { text += ", block \(block)" }
    return text
  }

  /// Type, shape, format and place of a map.
  private func map(_ map: FeatureMapRegisters, _ shape: BlockShape) -> String {
    let sign = registers.value(map.precision, .activationType) == 1 ? "int" : "uint"
    let bits = registers.elementBits(map.precision).map(String.init) ?? "?"
    let storage = registers.value(map.precision, .activationStorage, as: ISA.ActivationStorage.self)
    let format = registers.value(
      map.precision, .activationFormat, as: ISA.ActivationFormat.self)
    let text = "\(sign)\(bits)[\(shape)]"
    switch storage {
    case .chained: return text + " chained \(registers.value(map.region, .region) ?? 0)"
    case ISA.ActivationStorage.none?: return text + " not in memory"
    default:
      let base = registers.value(map.bases[0], .addr) ?? 0
      return text + " \(format?.name ?? "?") at \(fields.place(map.region, base))"
    }
  }

  /// `source → destination, length`, with counts and strides in two and three dimensions.
  private func transfer() -> String {
    let source = registers.value(.setDMA0Src, .addr) ?? 0
    let destination = registers.value(.setDMA0Dst, .addr) ?? 0
    let length = registers.value(.setDMA0Len, .addr) ?? 0
    var text = fields.place(.setDMA0SrcRegion, source) + " → "
    text += fields.place(.setDMA0DstRegion, destination) + ", \(length) bytes"
    // U65 has the mode in the destination register, U85 in the source register.
    let register: Opcode = product == .u85 ? .setDMA0SrcRegion : .setDMA0DstRegion
    let mode = registers.value(register, .strideMode) ?? 0
    if mode >= 1 { text += " x \(registers.value(.setDMA0Size0, .size) ?? 0)" }
    if mode >= 2 { text += " x \(registers.value(.setDMA0Size1, .size) ?? 0)" }
    for (register, verb) in [
      (Opcode.setDMA0SrcRegion, "gathered"), (.setDMA0DstRegion, "scattered"),
    ] where registers.value(register, .idxMode) == 1 {
      let index = registers.value(.setDMA0Idx, .addr) ?? 0
      text += ", \(verb) by indices at \(fields.place(.setDMA0IdxRegion, index))"
    }
    return text
  }
}
