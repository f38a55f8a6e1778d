import Foundation
import TestKit
import Testing

@testable import NPUSim

/// Streams that a released compiler emitted: every register is understood and no hazard is seen.
@Suite(.enabled(if: SharedData.exists("spec/samples"))) struct SampleStreamTests {
  @Test(arguments: [
    ("kws_int8_u55-128", Hardware.u55(macs: 128)), ("kws_int8_u65-256", .u65(macs: 256)),
    ("extra/kws_int8_u65-512", .u65(macs: 512)), ("extra/softmax_u55-128", .u55(macs: 128)),
    ("extra/bmm_adjy_u55-128", .u55(macs: 128)), ("extra/resize_u55-128", .u55(macs: 128)),
    ("extra/matvec_example_u65", .u65(macs: 256)),
  ])
  func isFreeOfHazards(name: String, hardware: Hardware?) throws {
    let bytes = try [UInt8](Data(contentsOf: SharedData.url("spec/samples/\(name).bin")))
    var map = MemoryMap()
    map.bind(
      region: 0,
      to: MemoryBank(name: "constants", constant: [UInt8](repeating: 0, count: 1 << 20)))
    for region in 1...2 {
      map.bind(
        region: region,
        to: MemoryBank(name: "ram \(region)", bytes: [UInt8](repeating: 0, count: 1 << 20)))
    }
    var options = RunOptions()
    // The samples come without their constants, so there are no weights to decode.
    options.executesKernels = false
    var machine = Machine(
      hardware: try #require(hardware), memory: map, options: options)
    let result = try machine.run(stream: bytes)
    #expect(result.hazards == [])
    #expect(result.kernels > 0)
  }

  /// Taking all waits out of a stream that needs them is noticed.
  @Test func missingWaitsAreNoticed() throws {
    let bytes = try [UInt8](
      Data(contentsOf: SharedData.url("spec/samples/kws_int8_u55-128.bin")))
    var words = stride(from: 0, to: bytes.count, by: 4).map { Array(bytes[$0..<$0 + 4]) }
    var at = 0
    var waits = 0
    while at < words.count {
      if words[at][1] & 0x40 != 0 {
        at += 2
      } else if words[at][1] & 3 == 0, words[at][0] == 17 || words[at][0] == 18 {
        words.remove(at: at)
        waits += 1
      } else {
        at += 1
      }
    }
    #expect(waits > 10)
    var map = MemoryMap()
    map.bind(
      region: 0,
      to: MemoryBank(name: "constants", constant: [UInt8](repeating: 0, count: 1 << 16)))
    map.bind(
      region: 1, to: MemoryBank(name: "ram", bytes: [UInt8](repeating: 0, count: 1 << 16)))
    var options = RunOptions()
    options.executesKernels = false
    var machine = Machine(
      hardware: try #require(Hardware.u55(macs: 128)), memory: map, options: options)
    let hazards = try machine.run(stream: words.flatMap { $0 }).hazards
    #expect(
      hazards.contains {
        if case .readAfterWrite(role: .weights, _) = $0.kind { true } else { false }
      })
    #expect(
      hazards.contains {
        if case .writeAfterRead(role: .dmaDestination, _) = $0.kind { true } else { false }
      })
  }
}
