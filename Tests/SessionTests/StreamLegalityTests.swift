import EthosUISA
import Quantize
import TestKit
import Testing

@testable import Session

/// Emitted streams, read back from their words, obey the rules that Arm's compiler's streams obey.
@Suite struct StreamLegalityTests {
  @Test(
    arguments: [
      "alif-e7-hp", "corstone-300-u55-32", "alif-e8", "corstone-320-u85-128",
      "corstone-320-u85-512", "corstone-320-u85-1024", "corstone-320-u85-2048",
    ], [QuantizationRecipe.w8a16, .w8a8])
  func blocksAndDependencies(_ target: String, _ recipe: QuantizationRecipe) throws {
    let program = try CompiledModel(
      RandomLlama.uneven(4), recipe: recipe, target: target
    ).program
    let accelerator = try #require(Accelerator.named(program.manifest.npu))
    let rules = BlockRules(accelerator)
    for job in program.manifest.jobs {
      let bytes = program.commands.withBytes { Array($0[job.offset..<job.offset + job.bytes]) }
      let stream = try #require(try Payload.locate(bytes).payload.stream)
      try stream.validate()
      var registers = RegisterFile(stream.product)
      var previous: KernelFootprint?
      var kernels = 0
      for command in try stream.decode() {
        if registers.apply(command) { continue }
        guard let operation = KernelOperation(command, registers: registers) else { continue }
        let place = "\(job.name), kernel \(kernels)"
        kernels += 1
        let block = try #require(registers.ofmBlock)
        let unit = registers.value(.setAccFormat, .microblock, as: ISA.Microblock.self)
          .flatMap(rules.microblock)
        if accelerator.product == .u85 {
          #expect(unit.map(rules.legalMicroblocks(operation).contains) == true, "\(place)")
        }
        #expect(rules.isLegal(operation, block: block, microblock: unit), "\(place)")
        let next = try #require(
          KernelFootprint(command, registers: registers, rules: rules), "\(place)")
        let limit = BlockDependency.value(previous: previous, next: next, on: accelerator)
        let dependency = try #require(registers.value(.setBlockdep, .blockdep))
        #expect(dependency <= limit, "\(place)")
        previous = next
      }
      #expect(kernels == job.provenance.count)
    }
  }
}
