import EthosUISA
import Foundation
import TestKit
import Testing

@Suite("Generated code")
struct GeneratorTests {
  /// Whether the generator can run here.
  static let hasPython = FileManager.default.isExecutableFile(atPath: "/usr/bin/python3")

  @Test("is what the generator writes", .enabled(if: hasPython))
  func upToDate() throws {
    let files = FileManager.default
    let root = SharedData.checkout
    let out = files.temporaryDirectory.appendingPathComponent("isa-\(UUID().uuidString)")
    defer { try? files.removeItem(at: out) }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/python3")
    process.arguments = [
      root.appendingPathComponent("Tools/generate_isa.py").path,
      out.appendingPathComponent("Sources").path, out.appendingPathComponent("Tests").path,
    ]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    for (made, committed) in [
      ("Sources", "Sources/EthosUISA/Generated"), ("Tests", "Tests/EthosUISATests/Generated"),
    ] {
      let folder = out.appendingPathComponent(made)
      let place = root.appendingPathComponent(committed)
      let names = try files.contentsOfDirectory(atPath: folder.path).sorted()
      #expect(try files.contentsOfDirectory(atPath: place.path).sorted() == names)
      #expect(!names.isEmpty)
      for name in names {
        #expect(
          try Data(contentsOf: folder.appendingPathComponent(name))
            == Data(contentsOf: place.appendingPathComponent(name)), "\(name)")
      }
    }
  }

  @Test("control registers and events are complete")
  func control() throws {
    #expect(ControlRegister.all(of: .u55).count == 202)
    #expect(ControlRegister.all(of: .u65).count == 215)
    #expect(ControlRegister.all(of: .u85).count == 233)
    #expect(PerformanceEvent.all(of: .u55).count == 74)
    #expect(PerformanceEvent.all(of: .u65).count == 74)
    #expect(PerformanceEvent.all(of: .u85).count == 171)
    for product in Product.allCases {
      #expect(ControlRegister.at(0x8, of: product)?.name == "CMD")
      #expect(ControlRegister.at(0xB8, of: product)?.name == "BASEP")
      #expect(PerformanceEvent.named("CYCLE", of: product)?.code == 17)
      for register in ControlRegister.all(of: product) {
        for field in register.fields {
          #expect(field.lsb + field.width <= register.bits, "\(register.name).\(field.name)")
        }
      }
    }
    let status = try #require(ControlRegister.at(4, of: .u55))
    #expect(status.fields.first { $0.name == "cmd_end_reached" }?.lsb == 5)
    // The window onto the stream's registers: command number n at 0x400 + 4n, from 384 at 0x300 +
    // 4n; two words each for cmd1, in groups of sixteen that lie 64 bytes apart.
    // Four lie or are named elsewhere.
    let odd: [Opcode] = [.setDMA0IdxMax, .setDMA0IdxSkip1, .setResizeX, .setResizeY]
    for layout in InstructionSet.of(.u85).layouts
    where !layout.isOperation && !odd.contains(layout.opcode) {
      let number = layout.number
      let offset =
        layout.words == 2
        ? (number < 128 ? 0xA00 : 0x900) + number / 16 * 64 + number % 16 * 8
        : (number < 384 ? 0x400 : 0x300) + 4 * number
      let register = ControlRegister.at(offset, of: .u85)
      #expect(register.map { "SET_" + $0.name } == layout.opcode.name)
    }
  }
}
