import Support
import TensorCore
import Testing

@testable import Containers
@testable import TFLiteRuntime

/// Kernels given operands that do not belong together answer with a result or an error, never a trap.
@Suite struct HostileKernelTests {
  @Test(arguments: KernelTable.kernels.keys.sorted { $0.rawValue < $1.rawValue })
  func anyOperands(_ builtin: TFLiteBuiltin) {
    var h = KernelHarness(seed: UInt64(builtin.rawValue) + 1)
    var answered = 0
    var refused = 0
    for _ in 0..<400 {
      let type: TFLiteTensorType = pick(
        [.int8, .uint8, .int16, .int32, .int64, .bool, .float32], &h)
      // Most of what counts lies behind the first checks: tensors share a type and a rank often.
      let rank = h.int(0...4)
      let inputs: [KernelTensor?] = (0..<h.int(0...5)).map { index in
        if h.int(0...9) == 0 { return nil }
        if index > 0, h.int(0...2) == 0 {
          return KernelHarness.tensor(
            [h.int(0...4)], .int32, (0..<4).map { _ in h.int(-3...5) }.prefix(4).map { $0 }
          )
          .trimmed
        }
        return random(h.int(0...2) == 0 ? pick([.int8, .int32, .int64], &h) : type, rank, &h)
      }
      let outputs = (0..<h.int(1...3)).map { _ in random(type, rank, &h).type }
      let call = KernelHarness.call(builtin, options(builtin, &h), inputs, to: outputs)
      do throws(KernelError) {
        _ = try call.evaluate()
        answered += 1
      } catch {
        #expect(!error.reason.isEmpty)
        refused += 1
      }
    }
    #expect(answered + refused == 400)
  }

  private func pick<T>(_ values: [T], _ h: inout KernelHarness) -> T {
    values[h.int(0...values.count - 1)]
  }

  private func random(_ type: TFLiteTensorType, _ rank: Int, _ h: inout KernelHarness)
    -> KernelTensor
  {
    let shape = (0..<rank).map { _ in h.int(0...9) == 0 ? 0 : h.int(1...3) }
    let scale: Float? = pick([nil, 0.02, 0.02, 0.02, 1e-30, 1e30, 0, .greatestFiniteMagnitude], &h)
    let zero = pick([0, 0, 0, 3, -128, 255, Int(Int32.max), Int(Int32.min)], &h)
    let element = type.element ?? .int8
    let count = shape.reduce(1, *) * element.byteCount
    let bytes = (0..<count).map { _ in pick([0, 1, 0x7F, 0x80, 0xFF], &h) as UInt8 }
    return KernelTensor(KernelHarness.type(shape, type, scale: scale, zero: zero), bytes)
  }

  private func options(_ builtin: TFLiteBuiltin, _ h: inout KernelHarness) -> TFLiteOptions {
    let window = TFLiteWindow(
      padding: pick([.same, .valid], &h), strideHeight: pick([1, 1, 2, 65536], &h),
      strideWidth: pick([1, 1, 3], &h), dilationHeight: pick([1, 1, 2, 65536], &h),
      dilationWidth: 1, activation: pick([.none, .none, .relu6, .tanh], &h))
    let axis = h.int(-5...5)
    let fitting: TFLiteOptions? =
      switch builtin {
      case .conv2d, .transposeConv: .convolution(window)
      case .depthwiseConv2d: .depthwise(window, depthMultiplier: h.int(-1...2))
      case .averagePool2d, .maxPool2d:
        .pool(window, height: pick([1, 2, 65536], &h), width: h.int(1...3))
      case .fullyConnected: .fullyConnected(.none, keepsDimensions: false)
      case .batchMatmul: .batchMatMul(transposesA: h.int(0...1) == 0, transposesB: true)
      case .softmax: .softmax(beta: pick([1, 0, -1, .infinity, .nan, 1e30], &h))
      case .leakyRelu: .leakyRelu(alpha: pick([0.1, -1, .nan, 1e30], &h))
      case .gelu: .gelu(isApproximate: h.int(0...1) == 0)
      case .unidirectionalSequenceLstm:
        .lstm(.tanh, cellClip: pick([0, 1, .infinity], &h), timeMajor: h.int(0...1) == 0)
      case .concatenation: .concatenation(axis: axis, .none)
      case .gather: .gather(axis: axis, batchDimensions: 0)
      case .pack: .pack(axis: axis)
      case .unpack: .unpack(axis: axis)
      case .mirrorPad: .mirrorPad(isSymmetric: h.int(0...1) == 0)
      case .stridedSlice:
        .stridedSlice(
          begin: h.int(0...7), end: h.int(0...7), ellipsis: 0, newAxis: 0, shrink: h.int(0...3),
          offset: h.int(0...1) == 0)
      case .resizeBilinear, .resizeNearestNeighbor:
        .resize(alignCorners: h.int(0...1) == 0, halfPixelCentres: h.int(0...1) == 0)
      default: nil
      }
    return h.int(0...9) == 0 ? .none : fitting ?? .arithmetic(.none)
  }
}

extension KernelTensor {
  /// The tensor with as many bytes as its shape says.
  fileprivate var trimmed: KernelTensor {
    KernelTensor(type, Array(bytes.prefix(type.byteCount ?? 0)))
  }
}
