/// Decodes the weight streams of an operation and puts the weights in datapath order.
enum WeightReader {
  /// The weights of all cores, ordered as ``DecodedWeights`` says.
  ///
  /// - Parameter streams: one a core; core `k` of `n` holds OFM channels `k, k + n, ...`.
  static func read(
    _ streams: [MemorySpan], layout: WeightLayout, hardware: Hardware
  ) throws(Fault) -> [Int16] {
    let orders = streams.indices.map { core in
      WeightOrder(
        layout, core: core, cores: streams.count, microblockDepth: hardware.microblockDepth)
    }
    for (order, span) in zip(orders, streams) {
      // A bit makes at most 8 zeros, so short streams are refused before anything is allocated.
      guard order.count <= span.range.count * 64 else {
        throw .weightStream("\(span.range.count) bytes cannot hold \(order.count) weights")
      }
    }
    let inputs = layout.isDepthwise ? 1 : layout.ifmDepth
    let taps = layout.kernelHeight * layout.kernelWidth
    var result = [Int16](repeating: 0, count: layout.ofmDepth * taps * inputs)
    for (core, span) in streams.enumerated() {
      let order = orders[core]
      guard order.channels > 0 else { continue }
      let bytes = UnsafeRawBufferPointer(start: span.base, count: span.range.count)
      let stream = try StandardWeightDecoder.decode(bytes, count: order.count)
      var strays = 0
      var at = 0
      order.visit { channel, ky, kx, input in
        let weight = stream[at]
        at &+= 1
        guard channel >= 0 else {
          if weight != 0 { strays &+= 1 }
          return
        }
        let channel = channel &* streams.count &+ core
        let tap = ky &* layout.kernelWidth &+ kx
        result[
          layout.isDepthwise
            ? tap &* layout.ofmDepth &+ channel
            : (channel &* taps &+ tap) &* inputs &+ input] = weight
      }
      guard strays == 0 else {
        throw .weightStream(
          "\(strays) padding weights are not zero: the stream is in another order")
      }
    }
    return result
  }
}
