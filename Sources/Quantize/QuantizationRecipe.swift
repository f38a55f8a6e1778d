import Foundation
import Support
import TensorCore

/// What a model is quantised to.
public struct QuantizationRecipe: Hashable, Sendable {
  /// The name on the command line, such as `w8a16`.
  public var name: String
  /// The type of what linear layers read: `int8` or `int16`.
  public var activations: ElementType

  /// How weights are rounded beyond the nearest of 8-bit steps; nil for that.
  public var weights: WeightMethod?

  /// What is rotated before the model is looked at (``Quantizer/prepared(_:for:watching:)``).
  public var rotations: ModelRotations = []

  /// What the embedding table holds: `int8`, or `int4` with a factor for each column (``EmbeddingTable``).
  public var embeddings = ElementType.int8
  /// Whether a budget decides about it (``Quantizer/storageChoices(_:recipe:progress:)``).
  public var choosesEmbeddings = false

  /// What caches hold.
  public var caches = CacheTypes()

  /// Whether channels that tower above the others go a way of their own.
  public var separatesOutliers = true

  /// The options of an embedding table of four bits, and of one that a budget decides about.
  private static let smallTable = "embeddings=4"
  private static let openTable = "embeddings=auto"

  /// The option that leaves outliers where they are.
  private static let withOutliers = "outliers=0"

  /// 8-bit weights, 8-bit inputs of the linear layers.
  public static let w8a8 = QuantizationRecipe(name: "w8a8", activations: .int8)
  /// 8-bit weights, 16-bit inputs of the linear layers.
  public static let w8a16 = QuantizationRecipe(name: "w8a16", activations: .int16)
  /// 15-level weights, 8-bit inputs of the linear layers.
  public static let w4a8 = QuantizationRecipe(
    name: "w4a8", activations: .int8, weights: .fourBit)
  /// 15-level weights, 16-bit inputs of the linear layers.
  public static let w4a16 = QuantizationRecipe(
    name: "w4a16", activations: .int16, weights: .fourBit)
  /// Weights of 16 values chosen for each matrix, 16-bit inputs of the linear layers: what four bits of
  /// fixed width can do.
  public static let c4a16 = QuantizationRecipe(
    name: "c4a16", activations: .int16, weights: .codebook)
  /// Weights of −1, 0 and 1, 8-bit inputs of the linear layers.
  public static let w2a8 = QuantizationRecipe(
    name: "w2a8", activations: .int8, weights: .ternary)
  /// Weights of −1, 0 and 1, 16-bit inputs of the linear layers.
  public static let w2a16 = QuantizationRecipe(
    name: "w2a16", activations: .int16, weights: .ternary)
  /// All recipes, in the order they are listed to the user.
  public static let all = [w8a8, w8a16, w4a8, w4a16, c4a16, w2a8, w2a16]

  /// The recipe called `name`: one of ``all``; or `b3.8a16`, for a mean of 3.8 bits a weight in the
  /// stream. Options may follow a colon: `kv=4` (or `keys=4` or `values=4` alone, or
  /// `kv=auto`), `embeddings=4` (or `auto`), `rotate=1` (or `stream` or
  /// `values` alone), `outliers=0`, and those of ``WeightMethod``, as in `w4a16:shrinkage=0.05`.
  public init?(name: String) {
    let parts = name.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let base = parts.first.map(String.init) ?? ""
    if let found = Self.all.first(where: { $0.name == base }) {
      self = found
    } else if let end = base.lastIndex(of: "a"), base.hasPrefix("b"),
      let bits = Double(base[base.index(after: base.startIndex)..<end]), bits.isFinite,
      WeightMethod.streamBits.contains(bits), ["a8", "a16"].contains(base[end...])
    {
      var method = WeightMethod.stream(bitsPerWeight: bits)
      method.compensationSteps = 96
      self.init(
        name: base, activations: base.hasSuffix("a8") ? .int8 : .int16, weights: method)
    } else {
      return nil
    }
    guard parts.count > 1 else { return }
    self.name = name
    // Embeddings, caches, rotations and outliers are the model's, all other options those of a method for weights.
    var options: [Substring] = []
    for option in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
      if let known = ModelRotations.options.first(where: { $0.name == option }) {
        rotations = known.rotations
      } else if option == Self.withOutliers {
        separatesOutliers = false
      } else if option == Self.smallTable {
        embeddings = .int4
      } else if option == Self.openTable {
        choosesEmbeddings = true
      } else if !caches.apply(option) {
        options.append(option)
      }
    }
    guard !options.isEmpty else { return }
    var method = weights ?? .eightBit
    guard method.apply(options.joined(separator: ",")) else { return nil }
    weights = method
  }

  /// What is wrong with a name: there is no such recipe, or it has no such option; nil for a recipe's name.
  public static func problem(in name: String) -> String? {
    guard QuantizationRecipe(name: name) == nil else { return nil }
    let parts = name.split(separator: ":", maxSplits: 1)
    guard let base = parts.first.map(String.init), QuantizationRecipe(name: base) != nil,
      let option = parts.last?.split(separator: ",", omittingEmptySubsequences: false)
        .first(where: { QuantizationRecipe(name: "\(base):\($0)") == nil })
    else {
      return "there is no recipe '\(name)'; choose one of "
        + all.map(\.name).joined(separator: ", ") + ", or bits such as b3.8a16"
    }
    return
      "recipe \(base) has no option '\(option)'; it has kv=4, keys=4, values=4, embeddings=4, rotate=1, "
      + "outliers=0 and those of methods for weights (Docs/Quantisation.md)"
  }

  /// The recipe of a mean of so many bits a weight, with this one's activations and what it does to the model before.
  ///
  /// Throws `DiagnosticError` for bits that no recipe has.
  public func with(bitsPerWeight bits: Double) throws(DiagnosticError) -> QuantizationRecipe {
    let options =
      (choosesEmbeddings ? [Self.openTable] : embeddings == .int4 ? [Self.smallTable] : [])
      + caches.options
      + [rotations.option, separatesOutliers ? nil : Self.withOutliers].compactMap(\.self)
    let name =
      "b" + String(format: "%.2f", bits) + (activations == .int8 ? "a8" : "a16")
      + (options.isEmpty ? "" : ":" + options.joined(separator: ","))
    guard let recipe = QuantizationRecipe(name: name) else {
      throw DiagnosticError("quantize.recipe", "there is no recipe '\(name)'")
    }
    return recipe
  }

  private init(name: String, activations: ElementType, weights: WeightMethod? = nil) {
    self.name = name
    self.activations = activations
    self.weights = weights
  }
}
