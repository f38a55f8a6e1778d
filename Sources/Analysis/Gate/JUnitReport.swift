/// A gate's result as JUnit XML: a suite with one case a figure.
public struct JUnitReport: Sendable {
  /// The gate's result.
  public let gate: GateReport

  /// A report of a gate.
  public init(_ gate: GateReport) { self.gate = gate }

  /// The document.
  public var text: String {
    var xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
    xml +=
      "  <testsuite name=\"\(Self.escaped("swiftlet gate " + gate.file))\""
      + " tests=\"\(gate.rows.count)\" failures=\"\(gate.failures.count)\" errors=\"0\" skipped=\"0\">\n"
    for row in gate.rows {
      xml +=
        "    <testcase classname=\"\(Self.escaped(gate.file))\" name=\"\(Self.escaped(row.name))\""
      if row.verdict.fails {
        xml += ">\n      <failure type=\"\(row.verdict.rawValue)\""
        xml += " message=\"\(Self.escaped(row.sentence))\"/>\n    </testcase>\n"
      } else {
        xml += ">\n      <system-out>\(Self.escaped(row.sentence))</system-out>\n    </testcase>\n"
      }
    }
    return xml + "  </testsuite>\n</testsuites>\n"
  }

  /// Text that may stand in an element or an attribute; characters XML forbids become a question mark.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += "&#\(scalar.value);"
      case let other where other.value < 0x20 || other.value == 0xFFFE || other.value == 0xFFFF:
        result += "?"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
