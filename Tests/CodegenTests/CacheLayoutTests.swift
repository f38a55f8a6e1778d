import EthosUISA
import ProgramFormat
import Support
import TensorCore
import Testing

@testable import Codegen

/// Keys and values as weight streams.
@Suite struct CacheLayoutTests {
  private static let chips = Accelerator.all.filter { $0.product != .u65 }.map(\.name)

  /// Numbers written at their places are the weights that the decoder gives, and all others are zero.
  @Test(
    arguments: chips, [(5, 8), (64, 8), (100, 48), (513, 64), (700, 48), (90, 50), (300, 128)])
  func placesAreWeights(_ chip: String, _ shape: (context: Int, headDim: Int)) throws {
    let accelerator = try #require(Accelerator.all.first { $0.name == chip })
    for bits in [(keys: 8, values: 8), (8, 4), (4, 8), (4, 4)] {
      let layout = try CacheLayout(
        accelerator: accelerator, context: shape.context, channels: shape.headDim, bits: bits)
      #expect(layout.isEven)
      try check(layout, shape.context, shape.headDim, accelerator)
    }
  }

  private func check(
    _ layout: CacheLayout, _ context: Int, _ headDim: Int, _ accelerator: Accelerator
  ) throws {
    var random = SplitMix64(seed: 4)
    var keys = [UInt8]()
    for _ in 0..<layout.keyChunks { keys += layout.keys.template }
    var values = [UInt8]()
    for _ in 0..<layout.valueChunks { values += layout.values.template }
    var expected: [[(key: Int8, value: Int8)]] = []
    func draw(_ form: StreamForm) -> Int8 {
      let limit = form.stream.limit
      return Int8(Int(random.next() % UInt64(2 * limit + 1)) - limit)
    }
    func write(_ number: Int8, _ form: StreamForm, isSecond: Bool, _ byte: inout UInt8) {
      let code = form.stream.code(of: number)
      byte |= form.stream.bits == 4 && isSecond ? code << 4 : code
    }
    for position in 0..<context {
      expected.append(
        (0..<headDim).map { channel in
          let pair = (draw(layout.keys), draw(layout.values))
          write(
            pair.0, layout.keys, isSecond: channel % 2 == 1,
            &keys[layout.keyPlace(channel) + layout.keyOffset(position)])
          write(
            pair.1, layout.values, isSecond: position % 2 == 1,
            &values[layout.valuePlace(channel) + layout.valueOffset(position)])
          return pair
        })
    }
    for chunk in 0..<layout.keyChunks {
      let weights = try decode(layout.keys, keys, chunk, accelerator)
      for output in 0..<layout.keys.outputs {
        let position = chunk * layout.keyChunk + output - layout.lead
        let isHeld =
          output >= layout.lead && output < layout.lead + layout.keyChunk && position < context
        for channel in 0..<headDim {
          let weight = weights[output * headDim + channel]
          #expect(weight == (isHeld ? Int16(expected[position][channel].key) : 0))
        }
      }
    }
    for chunk in 0..<layout.valueChunks {
      let weights = try decode(layout.values, values, chunk, accelerator)
      for output in 0..<layout.valueChunk {
        for input in 0..<layout.values.inputs {
          let weight = weights[output * layout.values.inputs + input]
          let position = input - layout.lead
          #expect(
            weight
              == (position >= 0
                ? Int16(expected[position][chunk * layout.valueChunk + output].value) : 0))
        }
      }
    }
  }

  /// Half the bits take half the bytes, but for headers.
  @Test func fourBitsTakeHalf() throws {
    for chip in Accelerator.all where chip.product != .u65 {
      let wide = try CacheLayout(accelerator: chip, context: 256, channels: 64)
      let narrow = try CacheLayout(
        accelerator: chip, context: 256, channels: 64, bits: (4, 4))
      #expect(narrow.keyBytes <= wide.keyBytes / 2 + 32 * narrow.keyChunks)
      #expect(narrow.valueBytes <= wide.valueBytes / 2 + 32 * narrow.valueChunks)
      #expect(throws: DiagnosticError.self) {
        try CacheLayout(accelerator: chip, context: 256, channels: 63, bits: (4, 8))
      }
    }
  }

  private func decode(
    _ form: StreamForm, _ bytes: [UInt8], _ chunk: Int, _ accelerator: Accelerator
  ) throws -> [Int16] {
    var geometry = WeightGeometry(
      family: form.stream.isFast ? .u85 : .u55, outputs: form.outputs, inputs: form.inputs,
      ofmBlockDepth: form.blockDepth, ofmUblockDepth: form.microblock.depth, ifmBits: 16)
    if form.stream.isFast {
      geometry.format = .fast
      geometry.cores = accelerator.weightDecoders
      geometry.macs = accelerator.macs
    }
    var weights = [Int16](repeating: 99, count: form.outputs * form.inputs)
    try weights.withUnsafeMutableBufferPointer {
      try WeightStream.decode(
        Array(bytes[chunk * form.bytes..<(chunk + 1) * form.bytes]), geometry: geometry, into: $0)
    }
    return weights
  }

  /// A signed table's first entry is that of −128.
  @Test func foldedBytesAreThoseOfTheStream() {
    for number in Int8.min...Int8.max {
      let magnitude = min(abs(Int(number)), 127)
      #expect(
        Int(ParamsBuilder.foldBytes[Int(number) + 128]) == 2 * magnitude + (number < 0 ? 1 : 0))
    }
  }

  @Test func contextsThatNoStreamHoldsAreRefused() throws {
    let chip = try #require(Accelerator.all.first { $0.name == "ethos-u55-256" })
    #expect(throws: DiagnosticError.self) {
      try CacheLayout(accelerator: chip, context: 16384, channels: 64)
    }
    _ = try CacheLayout(accelerator: chip, context: 4000, channels: 64)
  }

  /// Numbers of a damaged manifest lead nowhere.
  @Test func placesOutOfRangeAreNone() {
    func place(_ chunk: Int, _ chunkBytes: Int, _ periodBytes: Int) -> Manifest.CachePlace {
      Manifest.CachePlace(
        chunk: chunk, chunkBytes: chunkBytes, period: 1, periodBytes: periodBytes, offsets: [16])
    }
    #expect(place(4, 100, 8).offset(of: 6) == 132)
    #expect(place(1, .max, 8).offset(of: 2) == nil)
    #expect(place(8, 0, .max).offset(of: 2) == nil)
    #expect(place(1, .max, 0).offset(of: 1) == nil)
    #expect(place(0, 0, 0).offset(of: 1) == nil)
    #expect(place(4, 100, 8).offset(of: -1) == nil)
  }

  @Test func runsCoverEveryPlaceOnce() {
    var random = SplitMix64(seed: 6)
    for _ in 0..<200 {
      let count = 1 + Int(random.next() % 40)
      var places = [0]
      while places.count < count {
        places.append((places.last ?? 0) + [1, 1, 1, 57, 193][Int(random.next() % 5)])
      }
      var seen = [Int?](repeating: nil, count: count)
      for run in PlaceRun.split(places) {
        for row in 0..<run.rows {
          for column in 0..<run.columns {
            let index = run.first + row * run.columns + column
            #expect(seen[index] == nil)
            seen[index] = run.place + row * run.rowStride + column * run.columnStride
          }
        }
      }
      #expect(seen == places)
    }
    #expect(PlaceRun.split(Array(0..<8) + Array(64..<72)).count == 1)
  }
}
