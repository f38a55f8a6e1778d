import DeviceRuntime
import Testing

/// The embedding, run through the runtime, against the contract.
@Suite struct KernelTests {
  @Test(arguments: 0..<24) func embedding(_ seed: UInt64) {
    var source = ValueSource(seed: seed)
    let (n, d, vocabulary) = (source.below(1..<5), [1, 7, 64, 100][Int(seed % 4)], 9)
    let table: [Int8] = source.values(vocabulary * d)
    let multiplier: [Int32] = source.values(vocabulary)
    let shift = seed == 0 ? 0 : seed == 1 ? 62 : source.below(0..<63)
    let tokens = (0..<n).map { _ in Int32(source.below(0..<vocabulary)) }
    var machine = DeviceMachine()
    machine.vocabulary = vocabulary
    let tableRef = machine.put(table, in: DeviceMachine.params)
    let multiplierRef = machine.put(multiplier, in: DeviceMachine.params)
    let out = machine.reserve(n * d * 4, in: DeviceMachine.arena)
    let outcome = machine.run(
      step(
        SWL_KERNEL_EMBEDDING,
        [UInt32(n), UInt32(d), UInt32(vocabulary), tableRef, multiplierRef, UInt32(shift), out]),
      n: n, tokens: tokens)
    #expect(outcome.status == SWL_OK)
    let expected = tokens.flatMap { id in
      Contract.embedding(
        row: Array(table[Int(id) * d..<(Int(id) + 1) * d]), multiplier: multiplier[Int(id)],
        shift: shift)
    }
    #expect(machine.read(out, n * d) == expected)
  }
}
