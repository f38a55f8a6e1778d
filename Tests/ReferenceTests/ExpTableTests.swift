import Foundation
import Testing

@testable import Reference

@Suite struct ExpTableTests {
  @Test func entriesFollowTheFormula() {
    #expect(ExpTable.entries.count == 257)
    for (b, entry) in ExpTable.entries.enumerated() {
      #expect(Double(entry) == exp2(15 - Double(b) / 256).rounded())
    }
  }
}
