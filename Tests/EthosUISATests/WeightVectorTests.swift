import Foundation
import TestKit
import Testing

@testable import EthosUISA

private func encode(_ weights: [Int16], _ profile: EncoderProfile = .full) -> [UInt8] {
  weights.withUnsafeBufferPointer { StandardWeightEncoder.encode($0, profile: profile) }
}

private func bytes(_ sections: [StreamSection]) -> [UInt8] {
  StandardWeightEncoder.write(sections, bits: 1024)
}

@Suite(.enabled(if: WeightVectors.exist, "needs the recorded vectors"))
struct WeightVectorTests {
  @Test func decodesEveryRecordedStream() throws {
    var count = 0
    for file in ["swd_streams", "swd_decode_only", "swd_better"] {
      for vector in try WeightVectors.load(file, StreamVector.self) {
        let weights = vector.weights
        for stream in [vector.classic, vector.regor, vector.stream].compactMap({ $0 }) {
          let found = try StandardWeightDecoder.decode([UInt8](stream), limit: weights.count)
          #expect(found == weights, "\(file) \(vector.name)")
          count += 1
        }
      }
    }
    #expect(count == 64 * 2 + 208 + 10)
  }

  @Test func ourStreamsAreNeverLargerThanArms() throws {
    var ours = 0
    var arms = 0
    for file in ["swd_streams", "swd_better"] {
      for vector in try WeightVectors.load(file, StreamVector.self) {
        let weights = vector.weights
        let classic = vector.classic?.count ?? vector.classicBytes ?? 0
        let regor = vector.regor?.count ?? vector.regorBytes ?? 0
        for profile in EncoderProfile.allCases {
          let stream = encode(weights, profile)
          #expect(try StandardWeightDecoder.decode(stream, limit: weights.count) == weights)
          #expect(stream.count <= min(classic, regor), "\(vector.name) \(profile)")
          guard profile == .full else { continue }
          ours += stream.count
          arms += min(classic, regor)
          if file == "swd_better", let better = vector.stream {
            #expect(stream.count <= better.count + 16, "\(vector.name)")
          }
        }
      }
    }
    #expect(ours < arms)
    print("weight vectors: ours \(ours) bytes, the smaller of Arm's \(arms)")
  }

  @Test func plannersMakeArmsBytes() throws {
    for vector in try WeightVectors.load("swd_streams", StreamVector.self) {
      vector.weights.withUnsafeBufferPointer { weights in
        #expect(
          bytes(ArmPlanner.classic(weights)) == vector.classic.map { [UInt8]($0) }, "\(vector.name)"
        )
        #expect(
          bytes(ArmPlanner.regor(weights, piece: weights.count))
            == vector.regor.map { [UInt8]($0) },
          "\(vector.name)")
      }
    }
  }

  @Test func ordersWeightsOfU55AndU65() throws {
    let vectors = try WeightVectors.load("reorder_u55_u65", OrderVector.self)
    #expect(vectors.count == 25)
    for vector in vectors {
      let weights = WeightVectors.int16(vector.weightsI16)
      let padded = WeightVectors.int16(vector.streamI16)
      try weights.withUnsafeBufferPointer { source in
        let found = try WeightStream.padded(source, geometry: vector.geometry)
        #expect(found == padded, "\(vector.name)")
        let stream = try WeightStream.encode(source, geometry: vector.geometry)
        #expect(stream.count <= min(vector.classic.count, vector.regor.count))
        for bytes in [stream, [UInt8](vector.classic), [UInt8](vector.regor)] {
          var out = [Int16](repeating: 999, count: weights.count)
          try out.withUnsafeMutableBufferPointer {
            try WeightStream.decode(bytes, geometry: vector.geometry, into: $0)
          }
          #expect(out == weights, "\(vector.name)")
        }
      }
    }
  }

  @Test func fastStreamsAreArmsBytes() throws {
    for vector in try WeightVectors.load("fwd_streams", StreamVector.self) {
      let weights = vector.weights
      let found = try weights.withUnsafeBufferPointer {
        try FastWeightCodec.encode($0, forceRaw: vector.forceRaw ?? false)
      }
      #expect(found == vector.stream.map { [UInt8]($0) }, "\(vector.name)")
      #expect(try FastWeightCodec.decode(found, count: weights.count) == weights)
    }
  }

  /// Decodes what Arm's compiler made and encodes it again, scale records to the byte.
  @Test func wholeTensorsOfArmsCompiler() throws {
    let vectors = try WeightVectors.load("vela_tensors", TensorVector.self)
    #expect(vectors.count == 122)
    for vector in vectors {
      let tensor = [UInt8](vector.tensor)
      let weights = vector.weights
      var out = [Int16](repeating: 999, count: weights.count)
      var at = 0
      for slice in vector.slices {
        let geometry = vector.geometry(slice)
        let layout = vector.scaleLayout(slice)
        let first = slice.depth * vector.channelStride
        let multiple = vector.isU85 ? (geometry.ofmUblockDepth + 15) / 16 * 16 : 1
        let records = Array(vector.records[slice.depth..<slice.depth + slice.len])
        if vector.isU85 { #expect(geometry.ifmBlockDepthU85 == slice.ifmBlock, "\(vector.name)") }
        for core in 0..<geometry.streamCount {
          let own =
            vector.isU85
            ? (core == 0 ? records : [])
            : records.indices.filter { $0 % geometry.cores == core }.map { records[$0] }
          if own.isEmpty && !vector.isU85 { continue }
          let scales = ScaleRecord.stream(own, layout: layout, channelMultiple: multiple)
          #expect(
            Array(tensor[at..<min(at + scales.count, tensor.count)]) == scales, "\(vector.name)")
          #expect(ScaleRecord.decode(scales, count: own.count, layout: layout) == own)
          at += scales.count
          let recorded = slice.streams[core]
          #expect(geometry.paddedCount(stream: core) == recorded.n || geometry.format == .fast)
          let stream = Array(tensor[at..<at + recorded.len])
          try out.withUnsafeMutableBufferPointer { out in
            try WeightStream.decode(
              stream, geometry: geometry, stream: core,
              into: UnsafeMutableBufferPointer(rebasing: out[first...]))
          }
          try weights.withUnsafeBufferPointer { weights in
            let part = UnsafeBufferPointer(rebasing: weights[first...])
            let ours = try WeightStream.encode(part, geometry: geometry, stream: core)
            #expect(ours.count <= recorded.len, "\(vector.name)")
            if geometry.format == .fast {
              #expect(ours == stream, "\(vector.name)")
            } else {
              let padded = try WeightStream.padded(part, geometry: geometry, stream: core)
              padded.withUnsafeBufferPointer { padded in
                #expect(bytes(ArmPlanner.regor(padded)) == stream, "\(vector.name)")
              }
              #expect(try StandardWeightDecoder.decode(ours, limit: padded.count) == padded)
            }
          }
          at += recorded.len
        }
      }
      #expect(at == tensor.count, "\(vector.name)")
      #expect(out == weights, "\(vector.name)")
    }
  }
}
