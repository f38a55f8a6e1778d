import Foundation

/// Finds the largest value of an 8-bit tensor that errs least in what linear layers make of it: a smaller one clips
/// a few numbers and rounds all others finer.
///
/// The error is the squared one of Nagel et al., "A White Paper on Neural Network Quantization" (2021), each channel
/// weighed by the squares of the weights it meets.
struct RangeSearch {
  private let histogram: MagnitudeHistogram
  /// The largest magnitude of each channel.
  private let largest: [Float]
  /// What a squared error in each channel costs.
  private let costs: [Double]

  /// Largest values to choose from: that of the text, and smaller ones, an eighth of an octave apart.
  private static let choices = 25
  /// Places of an octave that magnitudes are told apart by, and all of them.
  private static let fineness: Float = 8
  private static let places = 512

  /// Prepares a search; nil where nothing was counted.
  ///
  /// - Parameter readers: weights of the layers that read the tensor, each with its channels as columns.
  init?(_ seen: SiteStatistics, readers: [[Float]]) {
    let channels = seen.channelMax.count
    guard let histogram = seen.histogram, channels > 0, !readers.isEmpty,
      readers.allSatisfy({ $0.count % channels == 0 })
    else { return nil }
    self.histogram = histogram
    largest = seen.channelMax
    var costs = [Double](repeating: 0, count: channels)
    for weights in readers {
      weights.withUnsafeBufferPointer { weights in
        for row in stride(from: 0, to: weights.count, by: channels) {
          for i in 0..<channels { costs[i] += Double(weights[row + i] * weights[row + i]) }
        }
      }
    }
    self.costs = costs
  }

  /// The largest value that errs least.
  ///
  /// - Parameter factors: what each channel is multiplied by, and the weights that meet it divided by.
  func limit(_ factors: [Float]) -> Float {
    let top = zip(largest, factors).reduce(Float(0)) { max($0, $1.0 * $1.1) }
    guard top > 0 else { return top }
    let costs = costs(factors, top: top)
    var best = (limit: top, error: Double.infinity)
    for choice in 0..<Self.choices {
      let limit = Double(top * exp2(-Float(choice) / Self.fineness))
      let step = limit / 127
      var error = 0.0
      for (place, cost) in costs.enumerated() where cost > 0 {
        let x = Double(top * exp2(-Float(place) / Self.fineness))
        let clipped = (x - limit) * (x - limit)
        error += cost * (x > limit ? clipped : x < step / 2 ? x * x : step * step / 12)
      }
      if error < best.error { best = (Float(limit), error) }
    }
    return best.limit
  }

  /// What squared errors in numbers of each magnitude cost, all channels together, from the largest downwards.
  private func costs(_ factors: [Float], top: Float) -> [Double] {
    let bins = MagnitudeHistogram.bins
    let logs = (0..<bins).map { log2(histogram.magnitude($0)) }
    var result = [Double](repeating: 0, count: Self.places)
    histogram.counts.withUnsafeBufferPointer { counts in
      for (channel, factor) in factors.enumerated() {
        let cost = costs[channel] / Double(factor * factor)
        let scaledTop = log2(top / factor)
        for bin in 0..<bins where counts[channel * bins + bin] > 0 {
          let place = Int(((scaledTop - logs[bin]) * Self.fineness).rounded())
          guard place < Self.places else { continue }
          result[max(place, 0)] += cost * Double(counts[channel * bins + bin])
        }
      }
    }
    return result
  }
}
