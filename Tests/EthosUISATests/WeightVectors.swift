import Foundation
import TestKit

@testable import EthosUISA

/// Recorded streams of Arm's encoders, as JSON.
enum WeightVectors {
  static let exist = SharedData.exists("spec/vectors/vela_tensors.json")

  static func load<Entry: Decodable>(_ name: String, _ type: Entry.Type) throws -> [Entry] {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(
      [Entry].self, from: Data(contentsOf: SharedData.url("spec/vectors/\(name).json")))
  }

  static func int16(_ data: Data) -> [Int16] {
    stride(from: 0, to: data.count - 1, by: 2).map {
      Int16(bitPattern: UInt16(data[$0]) | UInt16(data[$0 + 1]) << 8)
    }
  }
}

struct StreamVector: Decodable {
  let name: String
  let weightsI16: Data
  let classic: Data?
  let regor: Data?
  let stream: Data?
  let classicBytes: Int?
  let regorBytes: Int?
  let forceRaw: Bool?
  var weights: [Int16] { WeightVectors.int16(weightsI16) }
}

struct OrderVector: Decodable {
  let name: String
  let traversal: String
  let shape: [Int]
  let ofmUblock: Int
  let ofmBlock: Int
  let ifmBits: Int
  let dilationYx: [Int]
  let weightsI16: Data
  let streamI16: Data
  let classic: Data
  let regor: Data

  var geometry: WeightGeometry {
    var geometry = WeightGeometry(
      traversal: WeightVectors.traversal(traversal), outputs: shape[0], inputs: shape[3],
      kernelHeight: shape[1], kernelWidth: shape[2], ofmBlockDepth: ofmBlock,
      ofmUblockDepth: ofmUblock, ifmBits: ifmBits)
    geometry.dilationY = dilationYx[0]
    geometry.dilationX = dilationYx[1]
    return geometry
  }
}

extension WeightVectors {
  static func traversal(_ name: String) -> WeightGeometry.Traversal {
    switch name {
    case "part": .partKernelFirst
    case "dw": .depthwise
    default: .depthFirst
    }
  }
}

struct TensorVector: Decodable {
  struct Stream: Decodable {
    let len: Int
    let n: Int
  }
  struct Slice: Decodable {
    let depth: Int
    let len: Int
    let ofmBlock: Int
    let trav: String
    let dil: [Int]
    let stride: [Int]
    let oub: Int?
    let ifmBlock: Int?
    let fwd: Int?
    let sparse: Int?
    let acc48: Int?
    let streams: [Stream]
  }
  let name: String
  let accelerator: String
  let op: String
  let weightShape: [Int]
  let weightsI16: Data
  let weightZeroPoint: Int
  let activation: String
  let ifmScale: Double
  let ofmScale: Double
  let weightScales: [Double]
  let bias: [Int64]?
  let slices: [Slice]
  let tensor: Data

  var isU85: Bool { accelerator.hasPrefix("ethos-u85") }
  var macs: Int { Int(accelerator.split(separator: "-").last ?? "") ?? 0 }
  var weights: [Int16] { WeightVectors.int16(weightsI16).map { $0 - Int16(weightZeroPoint) } }
  var channels: Int { op == "dw" ? weightShape[3] : weightShape[0] }
  var channelStride: Int { op == "dw" ? 1 : weightShape.dropFirst().reduce(1, *) }

  func geometry(_ slice: Slice) -> WeightGeometry {
    var result = WeightGeometry(
      family: isU85 ? .u85 : .u55, traversal: WeightVectors.traversal(slice.trav),
      outputs: slice.len, inputs: op == "dw" ? 1 : weightShape[weightShape.count - 1],
      kernelHeight: op == "fc" ? 1 : weightShape[1], kernelWidth: op == "fc" ? 1 : weightShape[2],
      ofmBlockDepth: slice.ofmBlock, ofmUblockDepth: slice.oub ?? (macs == 32 ? 4 : 8),
      ifmBits: activation == "int16" ? 16 : 8)
    (result.dilationY, result.dilationX) = (slice.dil[0], slice.dil[1])
    (result.strideY, result.strideX) = (slice.stride[0], slice.stride[1])
    if op == "dw" {
      result.outputStride = 1
      result.columnStride = channels
      result.rowStride = channels * weightShape[2]
    }
    result.macs = macs
    result.isSparse = slice.sparse == 1
    result.format = slice.fwd == 1 ? .fast : .standard
    if isU85 {
      result.cores = macs <= 256 ? 1 : macs == 512 ? 2 : 4
    } else {
      result.cores = accelerator == "ethos-u65-512" ? min(2, channels) : 1
    }
    return result
  }

  func scaleLayout(_ slice: Slice) -> ScaleRecord.Layout {
    !isU85 ? .u55 : slice.acc48 == 1 ? .u85Acc48 : .u85Acc32
  }

  /// The records of the whole layer.
  var records: [ScaleRecord] {
    (0..<channels).map { channel in
      let scale = weightScales[weightScales.count == 1 ? 0 : channel]
      let factor = ScaleFactor.tflite(
        input: Float(ifmScale), weight: Float(scale), output: Float(ofmScale),
        roundsProduct: activation == "uint8" || (op == "fc" && weightScales.count == 1),
        isReduced: activation == "int16")
      let bias = bias.map { $0[$0.count == 1 ? 0 : channel] } ?? 0
      return ScaleRecord(bias: bias, multiplier: factor.multiplier, shift: factor.shift)
    }
  }
}
