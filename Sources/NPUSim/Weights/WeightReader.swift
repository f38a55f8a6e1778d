/// Decodes the weight streams of an operation and puts the weights in datapath order.
enum WeightReader {
  /// The weights of all cores, ordered as ``DecodedWeights`` says.
  ///
  /// - Parameter streams: one a core or decoder. On U55 and U65 core `k` of `n` holds OFM channels
  ///   `k, k + n, ...`; on U85 decoders share each microblock, and fast streams are always one.
  static func read(
    _ streams: [MemorySpan], layout: WeightLayout, hardware: Hardware
  ) throws(Fault) -> [Int16] {
    guard hardware.product == .u85 else {
      return try read(
        streams, layout,
        streams.indices.map { core in
          WeightOrder(
            layout, core: core, cores: streams.count, microblockDepth: hardware.microblockDepth)
        })
    }
    let orders = (0..<hardware.cores).map { decoder in
      WeightOrderU85(layout, decoder: decoder, decoders: hardware.cores, macs: hardware.macs)
    }
    return layout.isFast
      ? try readFast(streams, layout, orders) : try read(streams, layout, orders)
  }

  private static func read<Order: WeightSequence>(
    _ streams: [MemorySpan], _ layout: WeightLayout, _ orders: [Order]
  ) throws(Fault) -> [Int16] {
    for (order, span) in zip(orders, streams) {
      // A bit makes at most 8 zeros, so short streams are refused before anything is allocated.
      guard order.count <= span.range.count * 64 else {
        throw .weightStream("\(span.range.count) bytes cannot hold \(order.count) weights")
      }
    }
    var result = DatapathWeights(layout)
    for (core, (order, span)) in zip(orders, streams).enumerated() where order.channels > 0 {
      let stream = try StandardWeightDecoder.decode(bytes(span), count: order.count)
      result.place(stream, order, core: core, cores: streams.count)
    }
    return try result.finished()
  }

  /// One stream with the sequences of all decoders, interleaved stripe by stripe.
  private static func readFast(
    _ streams: [MemorySpan], _ layout: WeightLayout, _ orders: [WeightOrderU85]
  ) throws(Fault) -> [Int16] {
    guard let span = streams.first, let order = orders.first else {
      throw .weightStream("is missing")
    }
    // Decoders carry the same number of weights.
    let (share, overflow) = order.count.multipliedReportingOverflow(by: orders.count)
    guard !overflow, share <= span.range.count * 4 else {
      throw .weightStream("\(span.range.count) bytes cannot hold \(share) weights")
    }
    let stream = try FastWeightDecoder.decode(bytes(span), count: share)
    var result = DatapathWeights(layout)
    if orders.count == 1 {
      result.place(stream, order, core: 0, cores: 1)
      return try result.finished()
    }
    let stripe = max(1, order.interleave)
    for (decoder, order) in orders.enumerated() {
      var own: [Int16] = []
      own.reserveCapacity(order.count)
      for start in stride(from: decoder * stripe, to: share, by: orders.count * stripe) {
        own += stream[start..<min(share, start + stripe)]
      }
      guard own.count == order.count else {
        throw .weightStream("\(share) weights do not split into stripes of \(stripe)")
      }
      result.place(own, order, core: decoder, cores: orders.count)
    }
    return try result.finished()
  }

  private static func bytes(_ span: MemorySpan) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: span.base, count: span.range.count)
  }
}

/// Weights on their way from stream order to datapath order.
private struct DatapathWeights {
  private let layout: WeightLayout
  private let inputs: Int
  private let taps: Int
  private var values: [Int16]
  private var strays = 0

  init(_ layout: WeightLayout) {
    self.layout = layout
    inputs = layout.isDepthwise ? 1 : layout.ifmDepth
    taps = layout.kernelHeight * layout.kernelWidth
    values = [Int16](repeating: 0, count: layout.ofmDepth * taps * inputs)
  }

  /// Places a decoded stream, which has as many weights as the order.
  mutating func place<Order: WeightSequence>(
    _ stream: [Int16], _ order: Order, core: Int, cores: Int
  ) {
    var at = 0
    let layout = layout
    let (taps, inputs) = (taps, inputs)
    var strays = 0
    values.withUnsafeMutableBufferPointer { values in
      stream.withUnsafeBufferPointer { stream in
        order.visit { own, ky, kx, input in
          guard at < stream.count else { return }
          let weight = stream[at]
          at &+= 1
          guard own >= 0 else {
            if weight != 0 { strays &+= 1 }
            return
          }
          let channel = order.channel(own, core: core, cores: cores)
          let tap = ky &* layout.kernelWidth &+ kx
          values[
            layout.isDepthwise
              ? tap &* layout.ofmDepth &+ channel
              : (channel &* taps &+ tap) &* inputs &+ input] = weight
        }
      }
    }
    self.strays += strays
  }

  func finished() throws(Fault) -> [Int16] {
    guard strays == 0 else {
      throw .weightStream(
        "\(strays) padding weights are not zero: the stream is in another order")
    }
    return values
  }
}
