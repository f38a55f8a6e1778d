import EthosUISA
import ProgramFormat
import Quantize
import Support
import TensorCore
import TestKit
import Testing

@testable import Session

/// Weights from a table of sixteen integers: palettes on U55, and on U85 as the compiler fetches them.
@Test(
  arguments: ["alif-e7-hp", "alif-e8"],
  ["c4a16", "c4a16:rotate=1", "w2a16:adapt=2,tune=2", "w2a8:adapt=0,tune=0"])
func fewValuesAreExact(_ target: String, _ name: String) throws {
  let recipe = try #require(QuantizationRecipe(name: name))
  let model = try CompiledModel(RandomLlama(), recipe: recipe, target: target)
  var random = SplitMix64(seed: 41)
  try model.compareDecode((0..<4).map { _ in Int32(random.next() % 64) })
}

/// Slices of a far memory that the DMA and the weight fetch share have the decoder's fixed-width format: four bits a
/// weight from a codebook, eight for any integers.
@Test(arguments: [("c4a16", true), ("w8a16", false)])
func codebooksTakeFixedFourBits(_ name: String, _ isNarrow: Bool) throws {
  var shape = RandomLlama()
  (shape.dim, shape.heads, shape.hidden) = (48, 6, 1000)
  let recipe = try #require(QuantizationRecipe(name: name))
  let model = try CompiledModel(
    shape, recipe: recipe, target: "corstone-320-dram-mid", sizes: ["isram": "256KiB"],
    residentBytes: 0)
  let job = try #require(model.program.manifest.jobs.first { $0.name == "decode" })
  let bytes = model.program.commands.withBytes { Array($0[job.offset..<job.offset + job.bytes]) }
  let stream = try #require(try Payload.locate(bytes).payload.stream)
  var registers = RegisterFile(stream.product)
  var (narrow, wide) = (0, 0)
  for command in try stream.decode() {
    if registers.apply(command) { continue }
    guard let operation = KernelOperation(command, registers: registers),
      operation.kind == .convolution,
      registers.value(.setWeightFormat, .weightFormat) == 1,
      registers.value(.setWeightRegion, .region) == Region.arena.rawValue,
      let length = registers.value(.setWeightLength, .length),
      let inputs = registers.size(.setIFMDepthM1, .depthM1),
      let outputs = registers.size(.setOFMDepthM1, .depthM1)
    else { continue }
    // Padding rounds widths up, headers are 32 bytes: half a byte and a whole one are far apart.
    if length < 32 + inputs * outputs * 3 / 4 { narrow += 1 } else { wide += 1 }
  }
  #expect(isNarrow ? narrow > 0 && wide == 0 : narrow == 0 && wide > 0)
  try model.compareDecode([7, 11, 13])
}

/// A checkpoint of −1, 0 and 1 keeps its integers and compiles to less than 1.7 bits a weight, on both kinds of
/// decoder, and it is exact.
@Test(arguments: ["alif-e7-hp", "alif-e8"])
func ternaryModelsTakeFewBits(_ target: String) throws {
  var model = RandomLlama()
  (model.dim, model.hidden, model.vocabulary, model.tied) = (128, 192, 256, false)
  model.weights = { name, shape in
    guard shape.rank == 2, !name.contains("embd"), !name.contains("rope") else { return nil }
    var random = SplitMix64(seed: name.utf8.reduce(7) { $0 &* 31 &+ UInt64($1) })
    let step = 1.2 / Float(shape[1]).squareRoot()
    return ConstantData(
      floats: (0..<shape.count).map { _ in Float(Int(random.next() % 3) - 1) * step })
  }
  for recipe in [QuantizationRecipe.w8a16, .w4a16] {
    let compiled = try CompiledModel(model, recipe: recipe, target: target)
    #expect(compiled.program.manifest.report.bitsPerWeight < 1.7)
    try compiled.compareDecode([3, 141, 59])
  }
}
