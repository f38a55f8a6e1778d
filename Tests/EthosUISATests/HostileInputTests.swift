import EthosUISA
import Support
import TestKit
import Testing

@Suite("Hostile streams and payloads")
struct HostileInputTests {
  @Test("random words are commands or an error with a place", arguments: Product.allCases)
  func randomWords(_ product: Product) {
    var random = SplitMix64(seed: 11 + UInt64(product.rawValue))
    let numbers = InstructionSet.of(product).layouts
    var errors = 0
    for _ in 0..<3000 {
      let words = (0..<Int(random.next() % 24)).map { _ -> UInt32 in
        let word = UInt32(truncatingIfNeeded: random.next())
        // Half of them look like commands, so that decoding gets somewhere.
        guard word & 1 == 0, let layout = numbers.randomElement(using: &random) else { return word }
        return layout.firstWord | (word & 0xFFFF_0000)
      }
      let stream = CommandStream(words, product: product)
      var reader = stream.makeReader()
      var covered = 0
      do {
        while let command = try reader.next() {
          #expect(command.byteOffset == covered * 4)
          covered += command.wordCount
        }
        #expect(covered == words.count)
      } catch {
        errors += 1
        #expect(error.byteOffset == covered * 4)
        #expect(error.commandIndex == reader.commandIndex)
        #expect(!error.description.isEmpty)
      }
      #expect(!Disassembler(stream).listing().isEmpty || words.isEmpty)
    }
    #expect(errors > 1000)
  }

  @Test("errors say what is wrong")
  func reasons() {
    func reason(_ words: [UInt32], _ product: Product = .u55) -> StreamError? {
      do throws(StreamError) {
        try CommandStream(words, product: product).validate()
        return nil
      } catch {
        return error
      }
    }
    func error(_ index: Int, _ byte: Int, _ reason: StreamError.Reason) -> StreamError {
      StreamError(commandIndex: index, byteOffset: byte, reason: reason)
    }
    #expect(reason([0xFFFF_0000]) == nil)
    #expect(reason([]) == error(0, 0, .noStop))
    #expect(reason([2]) == error(1, 4, .noStop))
    #expect(reason([2, 0x8000]) == error(1, 4, .control(2)))
    #expect(reason([2, 0xC000]) == error(1, 4, .control(3)))
    #expect(reason([0x400]) == error(0, 0, .reservedBits(.opStop, 0x400)))
    #expect(reason([0x4000]) == error(0, 0, .truncated(.setIFMBase0)))
    #expect(reason([0x4063, 0]) == error(0, 0, .unknownOpcode(number: 99, words: 2)))
    #expect(reason([0x0080_0100]) == error(0, 0, .reservedBits(.setIFMPadTop, 0x0080_0000)))
    #expect(reason([0x0001_0002]) == error(0, 0, .reservedBits(.opConv, 0x0001_0000)))
    #expect(reason([0x0001_0002, 0xFFFF_0000], .u85) == nil)
    // The upper address byte is ignored by a U55 and used by the others; the next byte is neither.
    #expect(reason([0x00FF_4000, 0, 0xFFFF_0000]) == nil)
    #expect(reason([0x0100_4000, 0, 0]) == error(0, 0, .reservedBits(.setIFMBase0, 0x0100_0000)))
    #expect(throws: StreamError.self) { try CommandStream(bytes: [1, 2, 3], product: .u55) }
  }

  @Test("a reader continues only at words of the stream")
  func seek() throws {
    var reader = CommandReader([2, 3, 0xFFFF_0000], product: .u55)
    for (offset, isWord) in [(12, false), (-4, false), (2, false), (Int.max, false), (8, true)] {
      let found = reader.seek(toByte: offset)
      #expect(found == isWord)
    }
    let stop = try reader.next()
    #expect(stop?.opcode == .opStop)
    let end = try reader.next()
    #expect(end == nil)
  }

  @Test("damaged payloads are errors or payloads that can be written again")
  func damagedPayloads() throws {
    var random = SplitMix64(seed: 99)
    let part = try #require(Accelerator.named("ethos-u65-512"))
    let words = (0..<40).map { UInt32($0) }
    let formats: [Payload.Format] = [.cop1, .cop2(.init(features: 2, fastScratchBytes: 1 << 40))]
    var accepted = 0
    var refused = 0
    for format in formats {
      let good = try Payload(words: words, for: part, format: format).serialise()
      for _ in 0..<5000 {
        var bytes = good
        for _ in 0...random.next() % 3 {
          bytes[Int(random.next() % UInt64(min(bytes.count, 80)))] = UInt8(random.next() & 255)
        }
        if random.next() % 4 == 0 { bytes.removeLast(Int(random.next() % UInt64(bytes.count))) }
        do throws(PayloadError) {
          let (payload, range) = try Payload.locate(bytes)
          accepted += 1
          #expect(range.lowerBound % 16 == 0 && range.upperBound <= bytes.count)
          #expect(payload.words.count * 4 == range.count)
          #expect(try Payload.parse(payload.serialise()) == payload)
        } catch {
          refused += 1
          #expect((0...bytes.count).contains(error.byteOffset), "\(error)")
        }
      }
    }
    #expect(accepted > 1000 && refused > 1000)
  }

  @Test("random bytes behind a good start", arguments: [UInt32(0x3150_4F43), 0x3250_4F43, 7])
  func randomPayloads(_ magic: UInt32) {
    var random = SplitMix64(seed: UInt64(magic))
    for _ in 0..<5000 {
      var words = [magic]
      for _ in 0..<random.next() % 20 {
        words.append(UInt32(truncatingIfNeeded: random.next() >> (random.next() % 60)))
      }
      _ = try? Payload.parse(words.littleEndianBytes)
      _ = try? Payload.parse(Array(words.littleEndianBytes.dropLast(Int(random.next() % 4))))
    }
  }

  @Test("any register values can be listed and judged", arguments: Accelerator.all)
  func randomRegisters(_ accelerator: Accelerator) throws {
    let product = accelerator.product
    let rules = BlockRules(accelerator)
    var random = SplitMix64(seed: UInt64(accelerator.macs))
    let layouts = InstructionSet.of(product).layouts
    var judged = 0
    for _ in 0..<60 {
      var words: [UInt32] = []
      for layout in layouts {
        // Registers first, because operations have the lowest and highest numbers.
        guard !layout.isOperation else { continue }
        words += randomWords(layout, &random)
      }
      for layout in layouts where layout.isOperation { words += randomWords(layout, &random) }
      let stream = CommandStream(words, product: product)
      #expect(Disassembler(stream).listing().contains("OP_STOP"))
      var registers = RegisterFile(product)
      var previous: KernelFootprint?
      for command in try stream.decode() {
        registers.apply(command)
        guard command.isOperation,
          let next = KernelFootprint(command, registers: registers, rules: rules)
        else { continue }
        judged += 1
        _ = rules.isLegal(next.operation, block: next.block)
        _ = rules.cost(next.operation, block: next.block)
        _ = rules.prefersPartKernelFirst(next.operation)
        let value = BlockDependency.value(previous: previous, next: next, on: accelerator)
        #expect((0...product.outstanding.blockDependency).contains(value))
        previous = next
      }
    }
    #expect(judged >= 100)
  }

  /// A command with random bits in all of its fields.
  private func randomWords(_ layout: CommandLayout, _ random: inout SplitMix64) -> [UInt32] {
    let bits = random.next() & ~layout.reservedBits & ~0xFFFF | UInt64(layout.firstWord)
    let first = UInt32(truncatingIfNeeded: bits)
    return layout.words == 1 ? [first] : [first, UInt32(truncatingIfNeeded: bits >> 32)]
  }
}
