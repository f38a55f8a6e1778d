import GraphIR
import Support
import TestKit
import Testing

/// Runs the annotated `.gir` files: parse, verify, print.
@Suite struct CaseFileTests {
  static let cases =
    (try? ["Verifier", "Syntax"].flatMap { try CaseFile.all(in: $0, suffix: ".gir") }) ?? []

  @Test func thereAreCases() { #expect(Self.cases.count > 20) }

  @Test(arguments: cases) func runs(_ file: CaseFile) throws {
    #expect(!file.checks.isEmpty || !file.expectedErrors.isEmpty, "a case without expectation")
    do throws(DiagnosticError) {
      let graph = try GraphParser.parse(file.text, file: file.name)
      let text = GraphPrinter.print(graph)
      #expect(try GraphPrinter.print(GraphParser.parse(text)) == text)
      try Verifier.verify(graph)
      #expect(file.expectedErrors.isEmpty, "verified in spite of \(file.expectedErrors)")
      let missing = file.firstMissing(in: text)
      #expect(missing == nil, "\(missing ?? "") is not in the output:\n\(text)")
    } catch {
      let text = error.description
      if file.expectedErrors.isEmpty { Issue.record("unexpected: \(text)") }
      for expected in file.expectedErrors {
        #expect(text.contains(expected), "\(expected) is not in:\n\(text)")
      }
    }
  }

  /// Every rule of the verifier has a case that breaks it (references cannot be broken in text).
  @Test(arguments: Verifier.Rule.allCases) func everyRuleHasACase(_ rule: Verifier.Rule) {
    let code = "[verify.\(rule.rawValue)]"
    if rule == .references || rule == .constantData { return }
    #expect(Self.cases.contains { $0.expectedErrors.contains { $0.contains(code) } }, "\(code)")
  }
}
