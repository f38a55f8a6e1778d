import Foundation

/// An annotated test case: a text with `// CHECK:` and `// EXPECT-ERROR:` comments.
///
/// `CHECK` lines must occur in the output, in their order, each on its own line or part of one;
/// `EXPECT-ERROR` lines must each occur in the diagnostics. A case has one kind or the other.
public struct CaseFile: Sendable, CustomStringConvertible {
  /// The file's name, without folder.
  public let name: String
  /// The whole text.
  public let text: String
  /// What the output must hold, in order.
  public let checks: [String]
  /// What the diagnostics must hold.
  public let expectedErrors: [String]

  /// The case files of a folder in `Tests/Cases` that end in `suffix`, by name.
  public static func all(in folder: String, suffix: String) throws -> [CaseFile] {
    let url = SharedData.checkout.appendingPathComponent("Tests/Cases/\(folder)")
    return try FileManager.default.contentsOfDirectory(atPath: url.path).sorted()
      .filter { $0.hasSuffix(suffix) }
      .map {
        try CaseFile(
          name: $0, text: String(contentsOf: url.appendingPathComponent($0), encoding: .utf8))
      }
  }

  /// Parses the comments of a text.
  public init(name: String, text: String) {
    self.name = name
    self.text = text
    func comments(_ tag: String) -> [String] {
      text.split(separator: "\n").compactMap { line in
        guard let range = line.range(of: "// \(tag):") else { return nil }
        return line[range.upperBound...].trimmingCharacters(in: .whitespaces)
      }
    }
    checks = comments("CHECK")
    expectedErrors = comments("EXPECT-ERROR")
  }

  /// The first check that the output does not hold after the ones before it; nil when it holds all.
  public func firstMissing(in output: String) -> String? {
    var rest = output[...]
    for check in checks {
      guard let range = rest.range(of: check) else { return check }
      rest = rest[range.upperBound...]
    }
    return nil
  }

  /// The name.
  public var description: String { name }
}
