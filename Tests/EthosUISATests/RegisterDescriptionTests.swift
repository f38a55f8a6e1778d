import EthosUISA
import Foundation
import TestKit
import Testing

/// The machine-readable description of Arm's registers, command by command, against our table.
///
/// Whatever the description lists must be in the table with the same numbers, and `CoverageTests` encodes,
/// decodes and prints every command, field and named value of the table: together they cover the
/// description in full. Exceptions are named here.
@Suite("The description of the registers", .enabled(if: SharedData.exists("spec/registers.json")))
struct RegisterDescriptionTests {
  private struct Description: Decodable {
    let arch: [String: Architecture]
  }

  private struct Architecture: Decodable {
    let commands: [Command]
    let enums: [String: [String: UInt32]]
  }

  private struct Command: Decodable {
    let name: String
    let opcode: Int
    let words: Int
    let fields: [Field]
  }

  private struct Field: Decodable {
    let name: String
    let lsb: Int
    let width: Int
    let `enum`: String?
  }

  @Test("every command, field and named value is in the table", arguments: Product.allCases)
  func covered(_ product: Product) throws {
    let data = try Data(contentsOf: SharedData.url("spec/registers.json"))
    let all = try JSONDecoder().decode(Description.self, from: data)
    let description = try #require(all.arch[String("\(product)".lowercased().suffix(3))])
    let table = InstructionSet.of(product).layouts
    var fields = 0
    var values = 0
    var missing: [String] = []
    for command in description.commands {
      let name = command.name.replacingOccurrences(of: "NPU_", with: "")
      guard
        let layout = table.first(where: { $0.number == command.opcode && $0.words == command.words }
        )
      else {
        missing.append(name)
        continue
      }
      if layout.opcode.name != name { missing.append("\(name): called \(layout.opcode.name)") }
      for field in command.fields {
        fields += 1
        guard let ours = layout.fields.first(where: { $0.field.name == field.name }),
          ours.lsb == field.lsb || ours.width == 40, ours.width == field.width || ours.width == 40
        else {
          missing.append("\(name).\(field.name) at \(field.lsb), \(field.width) bits")
          continue
        }
        guard let named = field.enum else { continue }
        guard let id = ours.enumeration else {
          missing.append("\(name).\(field.name): values of \(named)")
          continue
        }
        for (value, code) in try #require(description.enums[named]) {
          values += 1
          if id.name(of: code, on: product) != value {
            missing.append("\(name).\(field.name): \(value) = \(code)")
          }
        }
      }
    }
    #expect(missing.isEmpty, "\(missing)")
    #expect(table.count == description.commands.count)
    print(
      "\(product): \(description.commands.count) commands, \(fields) fields, \(values) named values",
      "of the description in the table, \(missing.count) missing")
  }
}
