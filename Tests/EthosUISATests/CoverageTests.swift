import EthosUISA
import Testing

@Suite("Every command and field")
struct CoverageTests {
  /// Values at the ends of a field's range and in between; named codes where it has names.
  private func values(_ field: FieldLayout, on product: Product) -> [Int] {
    if let id = field.enumeration {
      return id.members(on: product).map { Int($0.code) }
    }
    let range = field.range
    let step = field.alignment
    return [range.lowerBound, 0, step, range.upperBound / 2, range.upperBound]
      .map { $0 / step * step }
  }

  @Test("encode, decode, print, encode again", arguments: Product.allCases)
  func roundTrip(_ product: Product) throws {
    var commands = 0
    var fields = 0
    var seen: Set<Opcode> = []
    for layout in InstructionSet.of(product).layouts {
      seen.insert(layout.opcode)
      commands += 1
      let variants: [[(FieldLayout, Int)]] =
        layout.fields.isEmpty
        ? [[]]
        : layout.fields.flatMap { field in
          values(field, on: product).map { [(field, $0)] }
        }
      fields += layout.fields.count
      for variant in variants {
        var values = try CommandValues(layout.opcode, on: product)
        for (field, value) in variant { try values.put(field.field, value) }
        let stream = CommandStream(values.words, product: product)
        let decoded = try stream.decode()
        #expect(decoded.count == 1)
        let command = try #require(decoded.first)
        #expect(command.opcode == layout.opcode)
        #expect(command.words == values.words)
        #expect(command.isOperation == layout.isOperation)
        for field in layout.fields {
          let expected = variant.first { $0.0 == field }?.1 ?? 0
          let read = command.value(field.field, on: product)
          // Either sign may be written; reads are unsigned then.
          #expect(
            read == expected || (field.sign == .either && read == expected + 1 << field.width))
        }
        let text = Disassembler(stream).listing()
        #expect(text.contains(layout.opcode.name))
        for (field, value) in variant where field.enumeration != nil {
          let name = try #require(field.enumeration?.name(of: UInt32(value), on: product))
          #expect(
            text.contains(name) || layout.opcode == .setKernelStride, "\(text) lacks \(name)")
        }
      }
    }
    #expect(seen.count == commands)
    print("\(product): \(commands) commands and \(fields) fields encoded, decoded and printed")
  }

  @Test("every opcode, field and enumeration belongs to a product")
  func nothingUnused() {
    let layouts = Product.allCases.flatMap { InstructionSet.of($0).layouts }
    #expect(Set(layouts.map(\.opcode)).count == Opcode.allCases.count)
    #expect(Set(layouts.flatMap { $0.fields.map(\.field) }).count == Field.allCases.count)
    for id in EnumerationID.allCases {
      #expect(Product.allCases.contains { !id.members(on: $0).isEmpty })
    }
  }

  @Test("fields do not overlap and leave the opcode alone", arguments: Product.allCases)
  func layouts(_ product: Product) {
    for layout in InstructionSet.of(product).layouts {
      var used: UInt64 = 0xFFFF | layout.ignoredBits
      for field in layout.fields {
        #expect(used & field.mask == 0, "\(layout.opcode) \(field.field)")
        used |= field.mask
        #expect(layout.words == 2 || field.mask >> 32 == 0)
      }
    }
  }

  @Test("the same number means another command on another product")
  func numbers() throws {
    func opcode(_ words: [UInt32], _ product: Product) throws -> Opcode? {
      try CommandStream(words, product: product).decode().first?.opcode
    }
    #expect(try opcode([301], .u55) == .setABStart)
    #expect(try opcode([301], .u85) == .setResizeYOffset)
    for (number, old, new) in [
      (37, Opcode.setOPAScale, Opcode.setIFMScale), (38, .setOPBScale, .setIFM2Scale),
      (51, .setDMA0Skip0, .setDMA0SrcStride0), (52, .setDMA0Skip1, .setDMA0SrcStride1),
      (146, .setScale1Base, .setWeight2Base), (147, .setScale1Length, .setWeight2Length),
    ] {
      #expect(try opcode([UInt32(number) | 1 << 14, 0], .u65) == old)
      #expect(try opcode([UInt32(number) | 1 << 14, 0], .u85) == new)
    }
  }

  @Test("every typed function writes its own command", arguments: Product.allCases)
  func typedFunctions(_ product: Product) throws {
    let source = ArgumentSource(product: product)
    for (opcode, call) in builderCalls {
      var builder = StreamBuilder(product)
      guard let layout = InstructionSet.of(product).layout(opcode) else {
        #expect(throws: (any Error).self) { try call(&builder, source) }
        #expect(builder.words.isEmpty)
        continue
      }
      try call(&builder, source)
      let command = try #require(
        try CommandStream(builder.words, product: product).decode().first)
      #expect(command.opcode == opcode)
      for field in layout.fields {
        let value = try #require(command.value(field.field, on: product))
        if let id = field.enumeration {
          #expect(value == Int(try #require(id.members(on: product).last).code))
        } else {
          #expect(value == max(1, field.alignment))
        }
      }
    }
    #expect(builderCalls.count == Opcode.allCases.count)
  }
}
