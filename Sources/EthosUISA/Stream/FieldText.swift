/// The fields of a command as people read them: names, units, resolved addresses, real scales.
struct FieldText {
  let product: Product
  let registers: RegisterFile
  let names: [Int: String]

  /// All fields of `command`, separated by two spaces.
  func text(of command: Command) -> String {
    guard let layout = InstructionSet.of(product).layout(command.opcode) else { return "" }
    switch command.opcode {
    case .setOFMScale, .setOPAScale, .setIFMScale, .setIFM2Scale:
      return scale(command, layout)
    case .setKernelStride: return stride(command, layout)
    default: break
    }
    var parts = layout.fields.map { field(command, $0) }
    let ignored = command.bits & layout.ignoredBits
    if ignored != 0 { parts.append("ignored bits 0x\(String(ignored, radix: 16))") }
    return parts.joined(separator: "  ")
  }

  /// One field.
  private func field(_ command: Command, _ layout: FieldLayout) -> String {
    let value = layout.value(of: command.bits)
    if let enumeration = layout.enumeration {
      let name = enumeration.name(of: UInt32(truncatingIfNeeded: value), on: product)
      return "\(layout.field.name) \(name ?? "?\(value)")"
    }
    switch layout.field {
    case .addr: return address(command, value)
    case .length: return "\(value) bytes"
    case .widthM1, .heightM1, .depthM1: return "size \(value + 1)"
    case .resizeXScaleNM1, .resizeYScaleNM1: return "n \(value + 1)"
    case .ibEnd, .ibStart, .abStart: return "bank \(value)"
    case .region: return region(command, value)
    case .branchTarget: return "to byte \(value)"
    case .mask, .userReg: return "\(layout.field.name) 0x\(String(value, radix: 16))"
    case .idxMax: return "largest index \(value)"
    default: break
    }
    let text = "\(layout.field.name) \(value)"
    // The sign depends on the element type: show both readings where they differ.
    guard layout.sign == .either, value >> (layout.width - 1) == 1 else { return text }
    return text + " (\(value - (1 << layout.width)))"
  }

  /// Strides and lengths in bytes, bases with the region they lie in.
  private func address(_ command: Command, _ value: Int) -> String {
    guard let register = Self.region(of: command.opcode) else { return "\(value) bytes" }
    return place(register, value)
  }

  /// `region+offset` of an address whose region is in `register`.
  func place(_ register: Opcode, _ offset: Int) -> String {
    let hex = "+0x" + String(offset, radix: 16)
    guard let number = registers.value(register, .region) else { return "region ?" + hex }
    if registers.value(register, .regionMode, as: ISA.DMARegionMode.self) == .`internal` {
      return "internal memory" + hex
    }
    return (names[number] ?? "region \(number)") + hex
  }

  private func region(_ command: Command, _ number: Int) -> String {
    if product == .u85, let precision = Self.precision(of: command.opcode),
      registers.value(precision, .activationStorage, as: ISA.ActivationStorage.self) == .chained
    {
      return "chaining buffer \(number)"
    }
    return names[number].map { "region \(number) (\($0))" } ?? "region \(number)"
  }

  /// Multiplier, shift and the real number they stand for.
  private func scale(_ command: Command, _ layout: CommandLayout) -> String {
    func value(_ field: Field) -> Int? { layout[field]?.value(of: command.bits) }
    let multiplier = value(.scale) ?? 0
    let shift = value(.shift) ?? 0
    var real = Double(multiplier)
    for _ in 0..<shift { real /= 2 }
    var text = "\(multiplier) >> \(shift) = \(real)"
    if let rounding = value(.dblRnd) { text += "  dbl_rnd \(rounding)" }
    if let mode = layout[.roundMode] { text += "  " + field(command, mode) }
    return text
  }

  /// Strides as numbers; the rest of the register by name.
  private func stride(_ command: Command, _ layout: CommandLayout) -> String {
    func value(_ field: Field) -> Int { layout[field]?.value(of: command.bits) ?? 0 }
    let x = (value(.strideXLsb) | value(.strideXMsb) << 1) + 1
    let y = (value(.strideYLsb) | value(.strideYMsb) << 1) + 1
    let rest = layout.fields.filter { $0.enumeration != nil }.map { field(command, $0) }
    return (["x \(x)", "y \(y)"] + rest).joined(separator: "  ")
  }

  /// The register that names the region of an address register; nil for strides and lengths.
  static func region(of opcode: Opcode) -> Opcode? {
    switch opcode {
    case .setIFMBase0, .setIFMBase1, .setIFMBase2, .setIFMBase3: .setIFMRegion
    case .setIFM2Base0, .setIFM2Base1, .setIFM2Base2, .setIFM2Base3: .setIFM2Region
    case .setOFMBase0, .setOFMBase1, .setOFMBase2, .setOFMBase3: .setOFMRegion
    case .setWeightBase, .setWeight1Base, .setWeight2Base, .setWeight3Base: .setWeightRegion
    case .setScaleBase, .setScale1Base: .setScaleRegion
    case .setDMA0Src: .setDMA0SrcRegion
    case .setDMA0Dst: .setDMA0DstRegion
    case .setDMA0Idx: .setDMA0IdxRegion
    default: nil
    }
  }

  /// The precision register that belongs to a region register.
  private static func precision(of opcode: Opcode) -> Opcode? {
    switch opcode {
    case .setIFMRegion: .setIFMPrecision
    case .setIFM2Region: .setIFM2Precision
    case .setOFMRegion: .setOFMPrecision
    default: nil
    }
  }
}
