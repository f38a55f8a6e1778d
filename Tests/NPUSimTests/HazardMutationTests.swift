import Foundation
import TestKit
import Testing

@testable import NPUSim

/// What a stream loses when its waits or block dependencies go: each change that an adversary can turn
/// into another result must be reported as a hazard.
@Suite(.serialized) struct HazardMutationTests {
  /// A stream with a way to run it and to read its results.
  struct Subject {
    var name: String
    var hardware: Hardware
    var stream: [UInt8]
    var inventsWeights = false
    /// Fresh memory with the same contents each time, and what to compare afterwards.
    var memory: () throws -> (map: MemoryMap, results: () -> [UInt8])
  }

  struct Tally: CustomStringConvertible {
    var mutants = 0
    var harmful = 0
    var flagged = 0
    var flaggedHarmful = 0
    var missed: [String] = []

    mutating func add(_ other: Tally) {
      mutants += other.mutants
      harmful += other.harmful
      flagged += other.flagged
      flaggedHarmful += other.flaggedHarmful
      missed += other.missed
    }

    var share: Double { harmful == 0 ? 1 : Double(flaggedHarmful) / Double(harmful) }

    var description: String {
      "\(mutants) mutants, \(harmful) harmful, of these \(flaggedHarmful) flagged"
        + " (\(String(format: "%.1f", share * 100)) %), \(flagged) flagged in all"
    }
  }

  /// The streams of the specification, whose constants are unknown.
  static let samples = [
    "kws_int8_u55-128", "kws_int8_u65-256", "kws_int8_u85-256", "ffn_chain_u85-256",
    "extra/kws_int8_u65-512", "extra/softmax_u55-128", "extra/bmm_adjy_u55-128",
    "extra/bmm_u85-256", "extra/resize_u55-128", "extra/resize_u85-256", "extra/argmax_u85-256",
  ]

  @Test(.enabled(if: SharedData.exists("spec/samples")))
  func sampleStreams() throws {
    var total = Tally()
    for name in Self.samples {
      let tally = try judge(try sample(name), limit: 400)
      print("\(name): \(tally)")
      total.add(tally)
    }
    print("sample streams: \(total)")
    // An adversary without teeth would prove nothing.
    #expect(total.harmful >= 200)
    #expect(total.share == 1, "missed: \(total.missed.prefix(5))")
  }

  @Test(.enabled(if: !VelaCase.folders.isEmpty))
  func compiledModels() throws {
    var total = Tally()
    for path in VelaCase.paths {
      let model = try VelaCase(path: path)
      // Many runs a stream: large models would take hours.
      guard model.constants.count < 1 << 20, model.arena < 1 << 20, !model.keepsState else {
        continue
      }
      let range = try model.payload.withUnsafeBytes { try DriverPayload.stream(in: $0) }
      let constants = MemoryBank(name: "constants", constant: model.constants)
      let subject = Subject(
        name: model.name, hardware: model.hardware, stream: Array(model.payload[range])
      ) {
        let (map, arena) = try model.memory(model.runs - 1, constants: constants)
        return (map, { model.outputs.flatMap { arena.read($0.offset..<$0.offset + $0.bytes) } })
      }
      let tally = try judge(subject, limit: 40)
      if tally.mutants > 0 { print("\(model.name): \(tally)") }
      total.add(tally)
    }
    print("compiled models: \(total)")
    #expect(total.share == 1, "missed: \(total.missed.prefix(5))")
  }

  // MARK: Judging

  private func judge(_ subject: Subject, limit: Int) throws -> Tally {
    var cache = WeightCache(budget: 1 << 26)
    func outcome(
      _ adversary: Adversary, _ slow: Adversary.Schedule, blocks: Bool = false
    ) throws -> [UInt8] {
      let (map, results) = try subject.memory()
      try adversary.run(map, slow: slow, overlapsBlocks: blocks, cache: &cache)
      return results()
    }
    func adversary(_ stream: [UInt8]) throws -> Adversary {
      var adversary = try Adversary(stream: stream, hardware: subject.hardware)
      adversary.inventsWeights = subject.inventsWeights
      return adversary
    }
    let original = try adversary(subject.stream)
    let expected = try outcome(original, .nothing)
    // The compiler's own waits suffice against the adversary, and nothing is flagged.
    #expect(try outcome(original, .allTransfers) == expected, "\(subject.name): late transfers")
    #expect(try outcome(original, .allKernels) == expected, "\(subject.name): late kernels")
    #expect(
      try outcome(original, .nothing, blocks: true) == expected, "\(subject.name): blocks")
    let transfers = original.events.indices.filter {
      if case .transfer = original.events[$0] { true } else { false }
    }
    for index in stride(from: 0, to: transfers.count, by: max(1, transfers.count / 20)) {
      #expect(
        try outcome(original, .event(transfers[index])) == expected,
        "\(subject.name): late transfer \(index)")
    }
    #expect(try !flags(subject, subject.stream), "\(subject.name): false alarm")

    let all = StreamMutation.all(
      of: subject.stream, maximumDependency: subject.hardware.maximumBlockDependency)
    let step = max(1, all.count / limit)
    var tally = Tally()
    for mutation in stride(from: 0, to: all.count, by: step).map({ all[$0] }) {
      tally.mutants += 1
      let changed = try adversary(mutation.stream)
      func differs(_ slow: Adversary.Schedule, blocks: Bool = false) -> Bool {
        // Weights that are not there yet end in an error, which is harm as well.
        (try? outcome(changed, slow, blocks: blocks)) != expected
      }
      let isHarmful: Bool
      if mutation.opcode == 303 {
        isHarmful = differs(.nothing, blocks: true)
      } else {
        let near = changed.events.indices.filter {
          guard case .transfer = changed.events[$0] else { return false }
          return changed.commands[$0] < mutation.command
        }.suffix(4)
        isHarmful =
          differs(.allTransfers) || differs(.allKernels)
          || near.contains { differs(.event($0)) }
      }
      let isFlagged = try flags(subject, mutation.stream)
      tally.harmful += isHarmful ? 1 : 0
      tally.flagged += isFlagged ? 1 : 0
      tally.flaggedHarmful += isHarmful && isFlagged ? 1 : 0
      if isHarmful && !isFlagged { tally.missed.append("\(subject.name): \(mutation)") }
    }
    return tally
  }

  /// Whether the machine reports a collision; computing is not needed for that.
  private func flags(_ subject: Subject, _ stream: [UInt8]) throws -> Bool {
    var options = RunOptions()
    options.executesKernels = false
    options.recordsOperations = false
    var machine = Machine(
      hardware: subject.hardware, memory: try subject.memory().map, options: options)
    return try machine.run(stream: stream).hazards.contains {
      switch $0.kind {
      case .readAfterWrite, .writeAfterRead, .writeAfterWrite: true
      default: false
      }
    }
  }

  // MARK: Samples

  private func sample(_ name: String) throws -> Subject {
    let hardware = try #require(VelaCase.hardware(name))
    let stream = try [UInt8](Data(contentsOf: SharedData.url("spec/samples/\(name).bin")))
    var generator = SeededGenerator(11)
    let constants = MemoryBank(
      name: "constants", constant: (0..<1 << 17).map { _ in UInt8(generator.int(0...255)) })
    let arena = (0..<1 << 17).map { _ in UInt8(generator.int(0...255)) }
    return Subject(name: name, hardware: hardware, stream: stream, inventsWeights: true) {
      var map = MemoryMap()
      map.bind(region: 0, to: constants)
      let bank = MemoryBank(name: "arena", bytes: arena)
      map.bind(region: 1, to: bank)
      let fast = MemoryBank(name: "fast", bytes: arena.reversed())
      map.bind(region: 2, to: fast)
      // Invented weights may hide a wrong value from the last layers: every tensor that is left counts.
      return (map, { [UInt8](bank.bytes) + [UInt8](fast.bytes) })
    }
  }
}
