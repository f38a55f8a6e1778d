import Quantize
import Support
import TestKit
import Testing

/// What does not fit is told with what would, and that does.
@Suite struct TooSmallTests {
  /// The number that follows an option in the way out of a failure to compile.
  private func advised(
    _ option: String, _ compile: () throws -> CompiledModel
  ) throws -> Double {
    let error = try #require(throws: DiagnosticError.self) { _ = try compile() }
    let problem = try #require(error.diagnostics.first { $0.code == "target.too-small" })
    let words = try #require(problem.wayOut).split(whereSeparator: { $0 == " " || $0 == "," })
    let place = try #require(words.firstIndex { $0 == option })
    return try #require(Double(words[place + 1]))
  }

  @Test func fewerBitsFit() throws {
    var shape = RandomLlama()
    shape.dim = 48
    shape.heads = 6
    shape.hidden = 1000
    let sizes = ["ddr": "270KiB"]
    let bits = try advised("--bits-per-weight") {
      try CompiledModel(shape, recipe: .w8a16, target: "corstone-300", sizes: sizes)
    }
    #expect(bits > 3 && bits < 7.5)
    let recipe = try #require(QuantizationRecipe(name: "b\(bits)a16:adapt=0"))
    let model = try CompiledModel(shape, recipe: recipe, target: "corstone-300", sizes: sizes)
    #expect(model.program.manifest.report.bitsPerWeight < bits + 0.5)
  }

  /// A large table first of all; where that does not do, bits that its half leaves.
  @Test func smallerEmbeddingsFit() throws {
    var shape = RandomLlama()
    (shape.vocabulary, shape.tied) = (3000, true)
    func compiled(_ recipe: String, _ size: String) throws -> CompiledModel {
      try CompiledModel(
        shape, recipe: #require(QuantizationRecipe(name: recipe)), target: "corstone-300",
        sizes: ["ddr": size])
    }
    func advice(_ size: String) throws -> String {
      let error = try #require(throws: DiagnosticError.self) { _ = try compiled("w8a16", size) }
      return try #require(
        error.diagnostics.first { $0.code == "target.too-small" }?.wayOut)
    }
    #expect(try advice("210KiB").contains("embeddings of 4 bits (--quant …:embeddings=4)"))
    _ = try compiled("w8a16:embeddings=4", "210KiB")
    let both = try advice("140KiB")
    let bits = try #require(
      both.firstMatch(of: #/bits-per-weight ([0-9.]+) with --quant …:embeddings=4/#)?.1)
    _ = try compiled("b\(bits)a16:adapt=0,embeddings=4", "140KiB")
  }

  @Test func aShorterContextFits() throws {
    var shape = RandomLlama()
    shape.context = 512
    let sizes = ["dtcm": "60KiB"]
    let context = try advised("--context") {
      try CompiledModel(shape, recipe: .w8a16, target: "alif-b1", sizes: sizes)
    }
    #expect(context < 512)
    shape.context = Int(context)
    _ = try CompiledModel(shape, recipe: .w8a16, target: "alif-b1", sizes: sizes)
  }

  /// In ever less memory first values of four bits are advised, then keys as well, and those fit.
  @Test func cachesOfFourBitsFit() throws {
    var shape = RandomLlama()
    (shape.dim, shape.heads, shape.hidden, shape.context) = (48, 6, 1000, 512)
    func compiled(_ recipe: String, _ size: Int) throws -> CompiledModel {
      try CompiledModel(
        shape, recipe: #require(QuantizationRecipe(name: recipe)), target: "alif-b1",
        sizes: ["dtcm": "\(size)KiB"], residentBytes: 0)
    }
    var given = "w8a16"
    var advised: [String] = []
    for size in stride(from: 160, to: 80, by: -8) where advised.count < 2 {
      do {
        _ = try compiled(given, size)
      } catch let error as DiagnosticError {
        let problem = try #require(error.diagnostics.first { $0.code == "target.too-small" })
        let option = try #require(
          ["values=4", "kv=4"].first { problem.wayOut?.contains("…:\($0))") == true },
          "\(size) KiB: \(problem.wayOut ?? "") \(problem.notes)")
        advised.append(option)
        given = "w8a16:\(option)"
        let caches = try #require(compiled(given, size).program.manifest.report.caches)
        #expect(caches.valueBits == 4 && caches.keyBits == (option == "kv=4" ? 4 : 8))
      }
    }
    #expect(advised == ["values=4", "kv=4"])
  }
}
