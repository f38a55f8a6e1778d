import Dispatch
import EthosUISA
import GraphIR
import ProgramFormat
import Support
import TensorCore

/// Reorders and encodes linear layers' weights for the regions they live in.
struct WeightPacker {
  let graph: Graph
  let accelerator: Accelerator
  let tiling: LinearTiling
  /// Raw weights of a depth slice to aim at, in bytes.
  let sliceBytes: Int
  /// How slices are fetched.
  let staging: WeightStaging?
  /// Bytes of encoded slices that may live in other regions than the weights'.
  var rooms: [Region: Int] = [:]

  /// The packed layers, and what regions begin with.
  struct Result {
    var layers: [LinearGroup: PackedLinear] = [:]
    private(set) var contents: [Region: [UInt8]] = [:]
    /// The largest slice that the DMA fetches.
    var largestSlice = 0
    /// Bytes of weight streams alone.
    var streamBytes = 0
    /// Weights in them.
    var weightCount = 0

    /// What a region begins with.
    func content(of region: Region) -> [UInt8] { contents[region] ?? [] }

    /// Appends to a region, at a multiple of 16 bytes, and returns where.
    mutating func append(_ parts: [[UInt8]], to region: Region) -> Int {
      let end = contents[region]?.count ?? 0
      contents[region, default: []].append(
        contentsOf: repeatElement(0, count: (16 - end % 16) % 16))
      let offset = contents[region]?.count ?? 0
      for part in parts { contents[region]?.append(contentsOf: part) }
      return offset
    }
  }

  /// One slice to encode.
  private struct Task {
    let layer: Int
    let firstChannel: Int
    let channels: Int
    /// Raw bytes.
    let bytes: Int
    var home = SliceShares.Home.staged
    var isFast = false
  }

  /// Packs the layers in the given order, slices encoded on all cores.
  ///
  /// Throws `DiagnosticError` when a layer lacks data, a scale cannot be expressed, or the region grows
  /// beyond what a reference can address.
  func pack(
    _ groups: [LinearGroup], progress: (Int, Int) -> Void
  ) throws(DiagnosticError) -> Result {
    var layers: [PackedLinear] = []
    var records: [[ScaleRecord]] = []
    var tasks: [Task] = []
    for group in groups {
      let inputs = graph[group.parts[0].weight].type.shape.dimensions.last ?? 0
      var outputs = 0
      for key in group.parts { outputs += try self.outputs(of: key, inputs: inputs) }
      let depth = tiling.blockDepth(inputs: inputs, outputs: outputs, bits: group.inputBits)
      let channels = LinearTiling.sliceChannels(
        inputs: inputs, outputs: outputs, blockDepth: depth,
        unit: max(16, tiling.microblock(bits: group.inputBits).depth), targetBytes: sliceBytes)
      for first in stride(from: 0, to: outputs, by: channels) {
        let count = min(channels, outputs - first)
        tasks.append(
          Task(
            layer: layers.count, firstChannel: first, channels: count, bytes: count * inputs))
      }
      layers.append(
        PackedLinear(group: group, inputs: inputs, outputs: outputs, blockDepth: depth, slices: []))
      var all: [ScaleRecord] = []
      for key in group.parts { all += try scaleRecords(key) }
      records.append(all)
    }

    var result = Result()
    var shares = SliceShares(
      raw: tasks.reduce(0) { $0 + $1.bytes }, rooms: rooms,
      stagedShare: staging?.stagedShare ?? 256)
    let batch = 64
    for start in stride(from: 0, to: tasks.count, by: batch) {
      progress(start, tasks.count)
      var part = Array(tasks[start..<min(start + batch, tasks.count)])
      for index in part.indices {
        let home = shares.next(bytes: part[index].bytes)
        part[index].home = home
        part[index].isFast = home == .staged && staging?.isShared == true
      }
      for (task, encoded) in zip(part, encode(part, layers, records)) {
        guard let encoded else {
          throw DiagnosticError(
            "codegen.weights", "cannot be encoded",
            at: SourceLocation(element: graph[layers[task.layer].group.parts[0].weight].name))
        }
        let bytes = encoded.scales.count + encoded.streams.reduce(0) { $0 + $1.count }
        shares.encoded(bytes, of: task.bytes)
        var home = task.home
        // What turns out too large to live elsewhere has no other format.
        if case .kept(let region) = home,
          result.content(of: region).count + bytes + 15 > rooms[region] ?? 0
        {
          home = .staged
        }
        var region = Region.weights
        if case .kept(let other) = home { region = other }
        let slice = PackedSlice(
          firstChannel: task.firstChannel, channels: task.channels, region: region,
          offset: result.append([encoded.scales] + encoded.streams, to: region),
          scaleBytes: encoded.scales.count, streamBytes: encoded.streams.map(\.count),
          isStaged: home == .staged, isFast: task.isFast)
        layers[task.layer].slices.append(slice)
        if slice.isStaged { result.largestSlice = max(result.largestSlice, slice.bytes) }
        result.streamBytes += slice.weightBytes
        result.weightCount += task.channels * layers[task.layer].inputs
      }
      guard result.content(of: .weights).count <= Region.byteLimit else {
        throw DiagnosticError(
          "codegen.weights-too-large",
          "the encoded weights exceed the \(Region.byteLimit) bytes a program can address",
          wayOut: "a smaller model")
      }
    }
    progress(tasks.count, tasks.count)
    for layer in layers { result.layers[layer.group] = layer }
    return result
  }

  /// How many channels a layer makes of so many inputs.
  private func outputs(of key: LinearKey, inputs: Int) throws(DiagnosticError) -> Int {
    let constant = graph[key.weight]
    guard constant.type.shape.rank == 2, constant.type.shape[1] == inputs, let data = constant.data,
      data.encoding == .dense(.int8), data.bytes.count == constant.type.byteCount
    else {
      throw DiagnosticError(
        "codegen.weights", "has no int8 matrix data", at: SourceLocation(element: constant.name))
    }
    return constant.type.shape[0]
  }

  /// One slice as the NPU reads it.
  private struct Encoded {
    let scales: [UInt8]
    /// One for each decoder.
    let streams: [[UInt8]]
  }

  /// The slices; nil for one that cannot be encoded.
  private func encode(
    _ tasks: [Task], _ layers: [PackedLinear], _ records: [[ScaleRecord]]
  ) -> [Encoded?] {
    var results = [Encoded?](repeating: nil, count: tasks.count)
    results.withUnsafeMutableBufferPointer { results in
      // Each iteration writes its own element only.
      nonisolated(unsafe) let results = results
      DispatchQueue.concurrentPerform(iterations: tasks.count) { i in
        let task = tasks[i]
        let layer = layers[task.layer]
        let channels = task.firstChannel..<task.firstChannel + task.channels
        let streams = withRows(channels, of: layer) {
          encode($0, of: layer, channels: task.channels, isFast: task.isFast)
        }
        guard let streams else { return }
        results[i] = Encoded(
          scales: tiling.scaleStream(
            Array(records[task.layer][channels]), bits: layer.group.inputBits),
          streams: streams)
      }
    }
    return results
  }

  /// The weights of some channels, which may be those of several layers; nil where there are none.
  private func withRows<R>(
    _ channels: Range<Int>, of layer: PackedLinear, _ body: (UnsafeBufferPointer<Int8>) -> R?
  ) -> R? {
    var copy: [Int8] = []
    var first = 0
    for key in layer.group.parts {
      let constant = graph[key.weight]
      let own = channels.clamped(to: first..<first + constant.type.shape[0])
      defer { first += constant.type.shape[0] }
      guard !own.isEmpty else { continue }
      guard let data = constant.data else { return nil }
      let weights =
        (own.lowerBound - first) * layer.inputs..<(own.upperBound - first) * layer.inputs
      if own == channels {
        return data.bytes.withBytes {
          body(UnsafeBufferPointer(rebasing: $0.bindMemory(to: Int8.self)[weights]))
        }
      }
      data.bytes.withBytes { copy += $0.bindMemory(to: Int8.self)[weights] }
    }
    return copy.withUnsafeBufferPointer(body)
  }

  /// The weight streams of `channels` rows.
  private func encode(
    _ weights: UnsafeBufferPointer<Int8>, of layer: PackedLinear, channels: Int, isFast: Bool
  ) -> [[UInt8]]? {
    let bits = layer.group.inputBits
    guard accelerator.product == .u85 else {
      let order = LinearWeightOrder(
        inputs: layer.inputs, blockDepth: layer.blockDepth,
        microblockDepth: accelerator.microblock.depth, inputBits: bits)
      return [order.encode(weights, outputs: channels)]
    }
    var geometry = WeightGeometry(
      family: .u85, outputs: channels, inputs: layer.inputs, ofmBlockDepth: layer.blockDepth,
      ofmUblockDepth: tiling.microblock(bits: bits).depth, ifmBits: bits)
    geometry.cores = accelerator.weightDecoders
    geometry.macs = accelerator.macs
    if isFast { geometry.format = .fast }
    return try? (0..<geometry.streamCount).map {
      try WeightStream.encode(weights, geometry: geometry, stream: $0, effort: .quick)
    }
  }

  /// Bias, multiplier and shift of every output channel (`Docs/Numerics.md`, "linear").
  private func scaleRecords(
    _ key: LinearKey
  ) throws(DiagnosticError) -> [ScaleRecord] {
    let weight = graph[key.weight]
    let outputs = weight.type.shape[0]
    guard let quant = weight.type.quant, quant.scales.count == outputs else {
      throw DiagnosticError(
        "codegen.weights", "has no scale per output channel",
        at: SourceLocation(element: weight.name))
    }
    var bias: [Int32]?
    if let id = key.bias {
      bias = graph[id].data?.integers(Int32.self, count: outputs)
      guard bias != nil else {
        throw DiagnosticError(
          "codegen.weights", "has no int32 bias per output channel",
          at: SourceLocation(element: graph[id].name))
      }
    }
    var records: [ScaleRecord] = []
    records.reserveCapacity(outputs)
    for channel in 0..<outputs {
      let ratio =
        Double(key.inputScale) * Double(quant.scales[channel]) / Double(key.outputScale)
      let fixed =
        key.inputElement == .int16
        ? FixedMultiplier(fixed15: ratio) : FixedMultiplier(fixed31: ratio)
      guard let fixed else {
        throw DiagnosticError(
          "codegen.scale",
          "channel \(channel) needs a scale of \(ratio), which has no shift in 0…62",
          at: SourceLocation(element: weight.name))
      }
      records.append(
        ScaleRecord(
          bias: Int64(bias?[channel] ?? 0), multiplier: UInt32(fixed.multiplier),
          shift: Int(fixed.shift)))
    }
    return records
  }
}
