import Foundation

/// Builds SVG text.
struct SVG {
  private var parts: [String] = []
  let width: Double
  let height: Double

  init(width: Double, height: Double) {
    self.width = width
    self.height = height
  }

  /// The element, scaled to the width of its container.
  var text: String {
    "<svg viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\" role=\"img\" "
      + "xmlns=\"http://www.w3.org/2000/svg\">" + parts.joined() + "</svg>"
  }

  mutating func rectangle(
    _ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String,
    title: String? = nil
  ) {
    parts.append(
      "<rect x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(max(width, 0.4)))\" "
        + "height=\"\(Self.number(max(height, 0)))\" class=\"\(style)\">"
        + (title.map { "<title>\(Self.escape($0))</title>" } ?? "") + "</rect>")
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
    parts.append(
      "<line x1=\"\(Self.number(x1))\" y1=\"\(Self.number(y1))\" x2=\"\(Self.number(x2))\" "
        + "y2=\"\(Self.number(y2))\" class=\"\(style)\"/>")
  }

  mutating func path(_ points: [(Double, Double)], _ style: String, closed: Bool = false) {
    guard let first = points.first else { return }
    var data = "M\(Self.number(first.0)) \(Self.number(first.1))"
    for point in points.dropFirst() { data += "L\(Self.number(point.0)) \(Self.number(point.1))" }
    parts.append("<path d=\"\(data)\(closed ? "Z" : "")\" class=\"\(style)\"/>")
  }

  mutating func circle(_ x: Double, _ y: Double, _ radius: Double, _ style: String, title: String) {
    parts.append(
      "<circle cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"\(Self.number(radius))\" "
        + "class=\"\(style)\"><title>\(Self.escape(title))</title></circle>")
  }

  mutating func label(_ x: Double, _ y: Double, _ text: String, _ style: String = "") {
    parts.append(
      "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" class=\"\(style)\">"
        + Self.escape(text) + "</text>")
  }

  /// Two decimals at most, without the machine's locale.
  static func number(_ value: Double) -> String {
    let rounded = (value * 100).rounded() / 100
    return rounded == rounded.rounded() ? String(Int(rounded)) : String(rounded)
  }

  /// Text inside HTML.
  static func escape(_ text: String) -> String {
    var result = ""
    for character in text {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      default: result.append(character)
      }
    }
    return result
  }
}
