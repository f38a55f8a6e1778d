import GraphIR
import Support
import TestKit
import Testing

@testable import Passes

/// Runs the passes on annotated `.gir` files and compares the canonical graph or what is left.
@Suite struct PassCaseTests {
  static let cases = (try? CaseFile.all(in: "Passes", suffix: ".gir")) ?? []

  @Test func thereAreCases() { #expect(Self.cases.count >= 3) }

  @Test(arguments: cases) func runs(_ file: CaseFile) throws {
    #expect(!file.checks.isEmpty || !file.expectedErrors.isEmpty, "a case without expectation")
    do throws(DiagnosticError) {
      let graph = try GraphParser.parse(file.text, file: file.name)
      let (canonical, report) = try graph.canonicalised()
      let text = GraphPrinter.print(canonical) + report.summary
      let missing = file.firstMissing(in: text)
      #expect(missing == nil, "\(missing ?? "") is not in the output:\n\(text)")
      try report.requireNone()
      #expect(file.expectedErrors.isEmpty, "no error in spite of \(file.expectedErrors)")
    } catch {
      let text = error.description
      if file.expectedErrors.isEmpty { Issue.record("unexpected: \(text)") }
      for expected in file.expectedErrors {
        #expect(text.contains(expected), "\(expected) is not in:\n\(text)")
      }
    }
  }
}
