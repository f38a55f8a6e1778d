import EthosUISA
import Foundation
import TestKit
import Testing

/// A stream that Arm's compiler emitted, with the listing of an independent decoder.
struct Sample: Sendable, CustomTestStringConvertible {
  let name: String
  let accelerator: Accelerator
  let words: [UInt32]
  /// Per command: byte offset, name, `field=value` pairs.
  let listing: [(offset: Int, name: String, fields: [(name: String, value: Int)])]

  var product: Product { accelerator.product }
  var testDescription: String { name }

  /// Whether the samples are on this machine.
  static let exist = SharedData.exists("spec/samples")

  /// All samples; empty when they are not on this machine.
  static let all: [Sample] = ["spec/samples", "spec/samples/extra"].flatMap { folder in
    let url = SharedData.url(folder)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []
    return names.filter { $0.hasSuffix(".bin") }.sorted().compactMap { file -> Sample? in
      let name = String(file.dropLast(4))
      guard let data = try? Data(contentsOf: url.appendingPathComponent(file)),
        let text = try? String(
          contentsOf: url.appendingPathComponent(name + ".txt"), encoding: .utf8)
      else { return nil }
      let configuration = name.split(separator: "_").last.map(String.init) ?? ""
      // One example names the product alone.
      guard
        let accelerator = Accelerator.named(
          "ethos-" + (configuration == "u65" ? "u65-256" : configuration))
      else { return nil }
      return Sample(
        name: name, accelerator: accelerator, words: [UInt32](littleEndianBytes: [UInt8](data)),
        listing: text.split(separator: "\n").compactMap(entry))
    }
  }

  /// `OFFSET: WORDS NPU_NAME field=NAME(3) field=7`.
  private static func entry(
    _ line: Substring
  ) -> (offset: Int, name: String, fields: [(name: String, value: Int)])? {
    let parts = line.split(separator: " ")
    guard let first = parts.first, first.hasSuffix(":"),
      let place = Int(first.dropLast(), radix: 16),
      let name = parts.firstIndex(where: { $0.hasPrefix("NPU_") })
    else { return nil }
    let fields = parts[(name + 1)...].compactMap { part -> (name: String, value: Int)? in
      let pair = part.split(separator: "=", maxSplits: 1)
      guard pair.count == 2 else { return nil }
      var text = pair[1]
      if let open = text.firstIndex(of: "("), text.hasSuffix(")") {
        text = text[text.index(after: open)...].dropLast()
      }
      return Int(text).map { (String(pair[0]), $0) }
    }
    return (place, String(parts[name].dropFirst(4)), fields)
  }
}
