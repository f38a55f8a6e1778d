import Containers
import Support
import Testing

@Suite struct JSONValueTests {
  func parse(_ text: String) throws(DiagnosticError) -> JSONValue {
    try ByteSource(Array(text.utf8)).withBytes { bytes throws(DiagnosticError) in
      try JSONValue(parsing: bytes, name: "test.json")
    }
  }

  @Test func readsEveryKind() throws {
    let json = try parse(
      #" {"a": [1, -2.5e1, true, false, null], "b\n": "x\u00e9\ud83d\ude42\"", "c": {}} "#)
    #expect(json["a"]?.elements == [.integer(1), .number(-25), .bool(true), .bool(false), .null])
    #expect(json["b\n"]?.string == "xé🙂\"")
    #expect(json["c"]?.members?.isEmpty == true)
    #expect(try parse("9223372036854775807").int == .max)
    #expect(try parse("9223372036854775808").double == 0x1p63)
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "01", "1.", "1e", "-", "nul", "\"", "\"\\x\"",
    "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\u{1}\"", "1 2", "{\"a\":1,\"a\":2}", "1e999",
    String(repeating: "[", count: 100_000), "\"\\u12", "+1", "NaN",
  ])
  func refusesTheRest(_ text: String) {
    #expect(throws: DiagnosticError.self) { try parse(text) }
  }

  @Test func placesAreBytes() {
    let error = #expect(throws: DiagnosticError.self) { try parse("[1, 2, x]") }
    #expect(error?.diagnostics.first?.location?.byteOffset == 7)
  }
}
