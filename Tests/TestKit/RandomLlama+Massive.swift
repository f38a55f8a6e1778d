import Support
import TensorCore

extension RandomLlama {
  /// A model with two channels in the feed-forward layer of its first block that are `factor` times as large as the
  /// others, as those of some large models are.
  public static func massive(_ factor: Float, gated: Bool = true, biased: Bool = false)
    -> RandomLlama
  {
    var model = RandomLlama()
    (model.hidden, model.gated, model.biasedThroughout) = (112, gated, biased)
    let dim = model.dim
    model.weights = { name, shape in
      guard name.hasPrefix("blk.0.ffn_"), shape.rank == 2 else { return nil }
      let isReader = name.contains("down")
      var random = SplitMix64(seed: name.utf8.reduce(3) { $0 &* 31 &+ UInt64($1) })
      let deviation = 1 / Float(shape[1]).squareRoot()
      return ConstantData(
        floats: (0..<shape.count).map { index in
          let channel = isReader ? index % shape[1] : index / dim
          let isMassive = channel == 5 || channel == 77
          let size: Float = !isMassive || name.contains("gate") ? 1 : isReader ? 8 / factor : factor
          return Float(random.normal()) * deviation * size
        })
    }
    return model
  }
}
