import Foundation
import TensorCore

/// How a model stretches its rotary frequencies.
public enum RopeScaling: Sendable, Hashable {
  case none
  /// Every frequency divided by a factor.
  case linear(factor: Double)
  /// Llama 3: low frequencies divided by a factor, high ones kept, those between interpolated
  /// (Hugging Face configuration type `llama3`).
  case llama3(factor: Double, low: Double, high: Double, originalContext: Double)
  /// One divisor per pair of channels (GGUF tensor `rope_freqs.weight`).
  case divisors([Float])
}

/// Tables of rotary cosines and sines.
public enum RopeTable {
  /// The angle per position of each rotating pair, in radians.
  public static func frequencies(_ configuration: LlamaConfiguration) -> [Double] {
    let dim = configuration.ropeDim
    return (0..<dim / 2).map { pair in
      let plain = pow(configuration.ropeBase, -Double(2 * pair) / Double(dim))
      switch configuration.ropeScaling {
      case .none: return plain
      case .linear(let factor): return plain / factor
      case .divisors(let divisors): return plain / Double(divisors[pair])
      case .llama3(let factor, let low, let high, let original):
        let wavelength = 2 * Double.pi / plain
        if wavelength < original / high { return plain }
        if wavelength > original / low { return plain / factor }
        let blend = (original / wavelength - low) / (high - low)
        return (1 - blend) * plain / factor + blend * plain
      }
    }
  }

  /// `[context, head_dim]` float32: cosine and sine of each pair alternating, computed in double
  /// precision. Channels that do not rotate have cosine 1 and sine 0.
  public static func make(_ configuration: LlamaConfiguration) -> ConstantData {
    let frequencies = frequencies(configuration)
    var table: [Float] = []
    table.reserveCapacity(configuration.context * configuration.headDim)
    for position in 0..<configuration.context {
      for pair in 0..<configuration.headDim / 2 {
        let angle = pair < frequencies.count ? Double(position) * frequencies[pair] : 0
        table.append(Float(cos(angle)))
        table.append(Float(sin(angle)))
      }
    }
    return ConstantData(floats: table)
  }
}
