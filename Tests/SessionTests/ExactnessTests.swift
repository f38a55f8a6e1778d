import EthosUISA
import Foundation
import GraphIR
import ProgramFormat
import Quantize
import Reference
import Support
import TargetModel
import TestKit
import Testing

@testable import Codegen
@testable import Session

/// A random model compiled for a target, with the interpreter that defines what it must compute.
struct CompiledModel {
  /// The integer graph.
  let graph: Graph
  let program: Program
  let session: LanguageSession
  let interpreter: IntegerInterpreter
  let vocabulary: Int
  private let context: Int
  private let kvHeads: Int
  private let headDim: Int
  private let caches: CacheLayout

  /// - Parameters:
  ///   - graph: the float graph; the shape's own unless another is given.
  ///   - name: a target's name.
  ///   - npu: the NPU that takes the place of the target's, if any.
  ///   - sizes: other sizes of some of the target's memories, by name.
  ///   - residentBytes: how many bytes of weights may live in on-chip RAM when not all fit.
  ///   - nearBytes: how many bytes of weights may live in the nearer of two other memories.
  ///   - batch: how many tokens `prefill` runs at once.
  ///   - prefix: what every conversation starts with.
  init(
    _ shape: RandomLlama, graph given: Graph? = nil, recipe: QuantizationRecipe,
    target name: String, npu: String? = nil, sizes: [String: String] = [:],
    residentBytes: Int? = nil, nearBytes: Int? = nil,
    batch: BatchChoice = .asGiven, prefix: [Int32] = []
  ) throws {
    context = shape.context
    kvHeads = shape.kvHeads
    let float = given ?? shape.graph()
    var random = SplitMix64(seed: 99)
    let sequences = (0..<4).map { _ in
      (0..<shape.context).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) }
    }
    graph = try Quantizer.quantize(float, recipe: recipe, calibrationTokens: sequences)
    var text = try String(
      contentsOf: SharedData.checkout.appendingPathComponent("Targets/\(name).yaml"),
      encoding: .utf8)
    if let npu { text.replace(#/variant: [a-z0-9-]+/#, with: "variant: \(npu)") }
    for (memory, size) in sizes {
      let start = try #require(text.range(of: "  \(memory):\n"))
      let old = try #require(text[start.upperBound...].firstMatch(of: #/size: \{value: [^,]+/#))
      text.replaceSubrange(old.range, with: "size: {value: \(size)")
    }
    let target = try TargetFile.load(text, file: name)
    let facts = ProgramCompiler.ModelFacts(
      name: "random", architecture: "llama", parameters: 0, quant: recipe.name, bos: nil, eos: nil,
      tokenizer: [])
    var options = ProgramCompiler.Options()
    options.batch = batch
    options.prefixTokens = prefix.count
    options.residentBytes = residentBytes
    options.nearBytes = nearBytes
    let compiled = try ProgramCompiler(target: target, options: options).compile(
      graph, facts: facts)
    program =
      prefix.isEmpty ? compiled : try LanguageSession.program(compiled, startingWith: prefix)
    session = try LanguageSession(program)
    interpreter = try IntegerInterpreter(graph)
    vocabulary = shape.vocabulary
    let chip = program.manifest.npu
    let accelerator = try #require(Accelerator.all.first { $0.name == chip })
    headDim = shape.dim / shape.heads
    caches = try CacheLayout(
      accelerator: accelerator, context: shape.context,
      channels: headDim * CacheLayout.sharing(headDim: headDim, among: kvHeads),
      bits: (recipe.caches.keys == .int4 ? 4 : 8, recipe.caches.values == .int4 ? 4 : 8))
  }

  /// The logits and caches of a conversation of these tokens, by definition.
  func expected(_ tokens: [Int32]) throws -> (logits: [Int16], state: IntegerState) {
    var state = interpreter.makeState()
    var last: IntegerTensor?
    for (position, token) in tokens.enumerated() {
      last = try interpreter.run("decode", ids: [token], position: position, state: &state)
    }
    guard case .int16(let logits)? = last else {
      throw DiagnosticError("test.logits", "decode gives no int16 logits")
    }
    return (logits, state)
  }

  /// Compares the KV caches, byte for byte, as far as they hold tokens: what a batch's rows without a
  /// token leave behind is never read.
  func compareState(_ state: IntegerState, _ what: String) {
    let bytes = session.bytes(of: .state)
    let sharing = caches.channels / headDim
    let streams = state.tensors.count / 2 * kvHeads / sharing
    for (index, tensor) in state.tensors.enumerated() {
      let pitch = tensor.count / (kvHeads * context)
      var wrong = 0
      for head in 0..<kvHeads {
        // All keys stand before all values.
        let number = (index / 2 * kvHeads + head) / sharing
        for position in 0..<session.position {
          for channel in 0..<headDim {
            let own = head % sharing * headDim + channel
            let place =
              index % 2 == 0
              ? number * caches.keyBytes + caches.keyPlace(own) + caches.keyOffset(position)
              : streams * caches.keyBytes + number * caches.valueBytes + caches.valuePlace(own)
                + caches.valueOffset(position)
            let expected = tensor[(head * context + position) * pitch + channel]
            let stream = (index % 2 == 0 ? caches.keys : caches.values).stream
            let isSecond = (index % 2 == 0 ? channel : position) % 2 == 1
            let found =
              stream.bits == 8 ? bytes[place] : isSecond ? bytes[place] >> 4 : bytes[place] & 15
            if found != stream.code(of: expected) { wrong += 1 }
          }
        }
      }
      #expect(wrong == 0, "KV cache \(index) after \(what)")
    }
  }

  /// Runs the tokens one by one on both and compares all logits and the KV caches.
  func compareDecode(_ tokens: [Int32]) throws {
    var state = interpreter.makeState()
    for (position, token) in tokens.enumerated() {
      try session.decode(token)
      let expected = try interpreter.run(
        "decode", ids: [token], position: position, state: &state)
      guard case .int16(let logits)? = expected else {
        Issue.record("decode gives no int16 logits")
        return
      }
      #expect(Array(session.logits) == logits, "token \(position)")
      compareState(state, "token \(position)")
    }
  }
}

/// A prompt in batches leaves the caches and logits that single tokens would.
@Test(arguments: [QuantizationRecipe.w8a16, .w8a8], [1, 7, 8, 9, 23])
func promptsInBatchesEqualSingleTokens(_ recipe: QuantizationRecipe, _ count: Int) throws {
  let model = try CompiledModel(RandomLlama(), recipe: recipe, target: "alif-e7-hp")
  var random = SplitMix64(seed: 17)
  let tokens = (0..<count).map { _ in Int32(random.next() % 64) }
  try model.comparePrompt(tokens)
}

extension CompiledModel {
  /// Runs a prompt and compares logits, position and caches with those of its tokens one by one.
  func comparePrompt(_ tokens: [Int32]) throws {
    try session.prompt(tokens)
    var state = interpreter.makeState()
    var last: IntegerTensor?
    for (position, token) in tokens.enumerated() {
      last = try interpreter.run("decode", ids: [token], position: position, state: &state)
    }
    guard case .int16(let logits)? = last else {
      Issue.record("decode gives no int16 logits")
      return
    }
    #expect(Array(session.logits) == logits)
    #expect(session.position == tokens.count)
    compareState(state, "\(tokens.count) tokens")
  }

  /// Runs the tokens as prompts of the given lengths and compares logits and caches after each.
  func comparePrompts(_ lengths: [Int], seed: UInt64 = 17) throws {
    var random = SplitMix64(seed: seed)
    var state = interpreter.makeState()
    for length in lengths {
      let start = session.position
      let tokens = (0..<length).map { _ in Int32(random.next() % UInt64(vocabulary)) }
      try session.prompt(tokens)
      var last: IntegerTensor?
      for (index, token) in tokens.enumerated() {
        last = try interpreter.run(
          "decode", ids: [token], position: start + index, state: &state)
      }
      guard case .int16(let logits)? = last else {
        Issue.record("decode gives no int16 logits")
        return
      }
      #expect(Array(session.logits) == logits)
      #expect(session.position == start + length)
      compareState(state, "prompts of \(lengths), at \(start) + \(length)")
    }
  }
}

/// Prompts one after the other, so that batches start anywhere, are partly empty, and come near the end
/// of the context, where a batch has no room and single tokens take over.
@Test(
  arguments: ["alif-e7-hp", "corstone-300-u55-32", "alif-e8", "corstone-320"],
  [[9, 9, 9, 5], [3, 20, 1, 7, 1], [32], [31], [2, 30]])
func promptsFollowEachOther(_ target: String, _ lengths: [Int]) throws {
  let model = try CompiledModel(RandomLlama(), recipe: .w8a16, target: target)
  try model.comparePrompts(lengths)
  #expect(model.session.counters.prefilledTokens > 0)
  // A second conversation sees nothing of the first.
  model.session.reset()
  try model.comparePrompts(lengths.reversed(), seed: 5)
}

/// Batches so large that every map takes several blocks.
@Test(arguments: [
  ("alif-e8", 64), ("corstone-320", 33), ("corstone-320-u85-2048", 64), ("alif-e7-hp", 64),
  ("corstone-300-u55-32", 50),
])
func largeBatchesAreExact(_ target: String, _ batch: Int) throws {
  var shape = RandomLlama()
  shape.dim = 96
  shape.heads = 6
  shape.context = 150
  shape.batch = batch
  let model = try CompiledModel(shape, recipe: .w8a16, target: target)
  try model.comparePrompts([batch + 20, 40])
}

/// Contexts whose keys and values take several weight streams, across the borders of these.
@Test(arguments: ["alif-e7-hp", "alif-e8", "corstone-320"], ["w8a16", "w8a8:kv=4"])
func longContextsAreExact(_ target: String, _ recipe: String) throws {
  var shape = RandomLlama()
  shape.dim = 128
  shape.heads = 2
  shape.kvHeads = 1
  shape.layers = 1
  shape.context = 600
  shape.batch = 32
  let model = try CompiledModel(
    shape, recipe: #require(QuantizationRecipe(name: recipe)), target: target)
  try model.comparePrompts([250, 9, 260, 60])
}

/// Shapes that need padding, biases and grouped heads, in batches of the fastest size.
@Test(arguments: 0..<6, ["alif-e7-hp", "alif-e8"])
func unevenShapesRunInBatches(_ index: Int, _ target: String) throws {
  let model = try CompiledModel(
    RandomLlama.uneven(index), recipe: index % 2 == 0 ? .w8a8 : .w8a16, target: target,
    batch: .fastest(promptTokens: 30))
  #expect(model.program.manifest.report.cpuOps == 0)
  #expect(model.program.manifest.jobs.map(\.name) == ["decode", "prefill"])
  try model.comparePrompts([21, 8])
}

extension RandomLlama {
  /// One of six shapes that need padding, many slices, biases and grouped heads.
  static func uneven(_ index: Int) -> RandomLlama {
    var shape = RandomLlama()
    shape.seed = UInt64(index + 5)
    shape.dim = [24, 40, 96, 64, 200, 48][index]
    shape.heads = [3, 5, 6, 8, 4, 2][index]
    shape.kvHeads = [1, 5, 2, 4, 2, 1][index]
    shape.hidden = [50, 33, 172, 300, 129, 77][index]
    shape.vocabulary = [65, 130, 515, 100, 1023, 17][index]
    shape.biased = index % 2 == 1
    shape.tied = index % 3 != 0
    return shape
  }
}

@Test(arguments: 0..<6)
func unevenShapesAreExact(_ index: Int) throws {
  let shape = RandomLlama.uneven(index)
  let model = try CompiledModel(
    shape, recipe: index % 2 == 0 ? .w8a16 : .w8a8,
    target: ["alif-e7-hp", "corstone-300", "corstone-300-u55-64"][index % 3])
  var random = SplitMix64(seed: 23)
  try model.compareDecode(
    (0..<6).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) })
}

/// Heads narrower than the array share streams: one stream or several, heads of a group or one each, channels
/// that are no multiple of eight.
@Test(
  arguments: ["alif-e7-hp", "corstone-300-u55-64", "alif-e8"],
  [(dim: 64, heads: 8, kvHeads: 4), (32, 4, 4), (48, 12, 6), (72, 6, 3)])
func narrowHeadsShareStreams(
  _ target: String, _ size: (dim: Int, heads: Int, kvHeads: Int)
) throws {
  var shape = RandomLlama()
  (shape.dim, shape.heads, shape.kvHeads) = size
  let model = try CompiledModel(shape, recipe: .w8a16, target: target)
  var random = SplitMix64(seed: 31)
  let tokens = (0..<23).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) }
  try model.compareDecode(Array(tokens[..<10]))
  model.session.reset()
  try model.comparePrompt(tokens)
}

/// Caches of four bits, or one of the two: wide and narrow heads, channels that are no multiple of eight, token by
/// token and in batches that start at even and odd places, with even and odd numbers of rows.
@Test(
  arguments: [
    "alif-e7-hp", "corstone-300-u55-32", "corstone-300-u55-64", "alif-e8",
    "corstone-320-u85-128", "corstone-320-u85-512", "corstone-320-u85-1024",
    "corstone-320-u85-2048",
  ],
  [("kv=4", 64, 2, 2), ("kv=4", 64, 8, 4), ("keys=4", 48, 12, 6), ("values=4", 72, 6, 3)])
func cachesOfFourBitsAreExact(
  _ target: String, _ size: (caches: String, dim: Int, heads: Int, kvHeads: Int)
) throws {
  var shape = RandomLlama()
  (shape.dim, shape.heads, shape.kvHeads) = (size.dim, size.heads, size.kvHeads)
  (shape.context, shape.batch) = (64, 11)
  let model = try CompiledModel(
    shape, recipe: #require(QuantizationRecipe(name: "w8a16:\(size.caches)")), target: target)
  #expect(model.program.manifest.report.cpuOps == 0)
  var random = SplitMix64(seed: 37)
  let tokens = (0..<23).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) }
  try model.compareDecode(Array(tokens[..<19]))
  model.session.reset()
  try model.comparePrompts([9, 2, 30, 5])
  let wide = try CompiledModel(shape, recipe: .w8a16, target: target)
  #expect(
    model.session.bytes(of: .state).count < wide.session.bytes(of: .state).count)
}

/// Embedding tables of four bits: rows that are no multiple of 16 bytes, tied and not, single tokens and batches.
@Test(
  arguments: ["alif-e7-hp", "corstone-300-u55-32", "alif-e8", "corstone-320"],
  [("w8a16:embeddings=4", 64, true), ("w8a8:embeddings=4,kv=4", 40, false)])
func embeddingsOfFourBitsAreExact(
  _ target: String, _ size: (recipe: String, dim: Int, tied: Bool)
) throws {
  var shape = RandomLlama()
  (shape.dim, shape.tied, shape.batch) = (size.dim, size.tied, 5)
  let model = try CompiledModel(
    shape, recipe: #require(QuantizationRecipe(name: size.recipe)), target: target)
  #expect(model.program.manifest.position.embeddingRowBytes == (size.dim / 2 + 15) / 16 * 16)
  var random = SplitMix64(seed: 43)
  try model.compareDecode(
    (0..<9).map { _ in Int32(random.next() % UInt64(shape.vocabulary)) })
  model.session.reset()
  try model.comparePrompts([7, 1, 12])
}

/// Batches near the beginning run a job of their own, those behind it and across its end the other one.
@Test(arguments: ["alif-e7-hp", "alif-e8"], [QuantizationRecipe.w8a16, .w8a8])
func batchesNearTheBeginningAreExact(_ target: String, _ recipe: QuantizationRecipe) throws {
  var shape = RandomLlama()
  (shape.context, shape.batch) = (160, 24)
  let model = try CompiledModel(shape, recipe: recipe, target: target)
  #expect(model.program.manifest.jobs.map(\.name) == ["decode", "prefill", "prefill_near"])
  #expect(model.program.manifest.position.nearPositions == 64)
  var random = SplitMix64(seed: 37)
  try model.comparePrompt((0..<120).map { _ in Int32(random.next() % 64) })
  #expect(Set(model.session.jobReports.map(\.name)) == ["decode", "prefill", "prefill_near"])
}

/// A model whose weights fill a small memory, and what single tokens and a prompt give.
private func compareSpread(
  _ target: String, _ recipe: QuantizationRecipe, sizes: [String: String], nearBytes: Int? = nil,
  seed: UInt64
) throws -> Program {
  var shape = RandomLlama()
  shape.dim = 48
  shape.heads = 6
  shape.hidden = 1000
  let model = try CompiledModel(
    shape, recipe: recipe, target: target, sizes: sizes, residentBytes: 20_000,
    nearBytes: nearBytes)
  var random = SplitMix64(seed: seed)
  try model.compareDecode((0..<6).map { _ in Int32(random.next() % 64) })
  let prompt = (0..<9).map { _ in Int32(random.next() % 64) }
  model.session.reset()
  try model.session.prompt(prompt)
  #expect(Array(model.session.logits) == (try model.expected(prompt).logits))
  return model.program
}

/// Weights that come from three places: on-chip RAM, staging buffers and the place they live in.
@Test(arguments: [
  ("alif-e7-hp", "sram1", "1KiB"), ("corstone-300-u55-32", "isram", "256KiB"),
  ("alif-e8", "sram", "256KiB"), ("corstone-320-dram-mid", "isram", "256KiB"),
])
func residentWeightsAreExact(_ target: String, _ memory: String, _ size: String) throws {
  let report = try compareSpread(target, .w8a16, sizes: [memory: size], seed: 29).manifest.report
  let resident = report.residentBytes ?? 0
  let mayReside = target != "corstone-300-u55-32"
  // A target whose weights are not to live on the chip has none there.
  #expect(mayReside ? resident > 10_000 && resident <= 20_000 : resident == 0)
  #expect(resident < report.weightStreamBytes)
}

/// Weights that come from three memories: on-chip RAM, MRAM, and flash by the DMA.
@Test(arguments: [("alif-e7-hp", "sram1", "1KiB"), ("alif-e8", "sram", "256KiB")])
func nearWeightsAreExact(_ target: String, _ memory: String, _ size: String) throws {
  let program = try compareSpread(
    target, .w8a8, sizes: [memory: size, "mram": "200KiB"], nearBytes: 70_000, seed: 31)
  let (report, near) = (program.manifest.report, program.near.count)
  #expect(report.residentBytes ?? 0 > 10_000)
  #expect((50_000...70_000).contains(near))
  let places = program.manifest.regions.filter { $0.bytes > 0 }.map(\.memory)
  #expect(places.contains("mram") && places.contains("ospi_flash"))
  // Each memory is read, and none for another's bytes.
  let traffic = try #require(report.decodeTraffic)
  #expect(traffic["mram"] ?? 0 >= near)
  #expect(traffic["mram"] ?? 0 < near * 9 / 8)
}

/// Where another memory is as fast and has room for it, the state leaves its own to weights.
@Test func theStateMakesRoomForWeights() throws {
  var shape = RandomLlama()
  (shape.dim, shape.heads, shape.hidden, shape.context) = (48, 6, 1000, 1024)
  func compiled(_ second: String) throws -> CompiledModel {
    try CompiledModel(
      shape, recipe: .w8a16, target: "alif-e7-hp", sizes: ["sram0": "400KiB", "sram1": second])
  }
  let (apart, beside) = (try compiled("200KiB"), try compiled("40KiB"))
  func place(_ model: CompiledModel, _ region: String) -> String? {
    model.program.manifest.regions.first { $0.name == region }?.memory
  }
  #expect(place(apart, "state") == "sram1" && place(apart, "params") == "sram0")
  #expect(place(beside, "state") == "sram0" && place(beside, "params") == "sram0")
  let (more, fewer) = (
    apart.program.manifest.report.residentBytes ?? 0,
    beside.program.manifest.report.residentBytes ?? 0
  )
  #expect(fewer > 0 && more > fewer + 40_000)
  var random = SplitMix64(seed: 47)
  try apart.compareDecode((0..<4).map { _ in Int32(random.next() % 64) })
}

@Test func badCallsAreDiagnosed() throws {
  let model = try CompiledModel(RandomLlama(), recipe: .w8a16, target: "corstone-300")
  #expect(throws: DiagnosticError.self) { try model.session.decode(64) }
  #expect(throws: DiagnosticError.self) { try model.session.decode(-1) }
  #expect(throws: DiagnosticError.self) { try model.session.prompt([]) }
  #expect(throws: DiagnosticError.self) {
    try model.session.prompt([Int32](repeating: 1, count: 33))
  }
  #expect(model.session.position == 0)
  for _ in 0..<32 { try model.session.decode(1) }
  #expect(throws: DiagnosticError.self) { try model.session.decode(1) }
  #expect(throws: DiagnosticError.self) { try model.session.prompt([1]) }
  #expect(model.session.position == 32)
}

@Test(
  arguments: ["corstone-300-u55-32", "corstone-300-u55-64", "corstone-300", "alif-e7-hp"],
  [QuantizationRecipe.w8a16, .w8a8])
func compiledDecodeEqualsTheInterpreter(_ target: String, _ recipe: QuantizationRecipe) throws {
  let model = try CompiledModel(RandomLlama(), recipe: recipe, target: target)
  var random = SplitMix64(seed: 3)
  try model.compareDecode((0..<12).map { _ in Int32(random.next() % 64) })
}
