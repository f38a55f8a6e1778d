import TensorCore
import Testing

@testable import Containers
@testable import TFLiteRuntime

/// Layers against sums of real numbers: the integer result is the nearest stored value, up to one step.
@Suite struct LayerKernelTests {
  /// A convolution as its definition says, in double, with `weights(o, ky, kx, c)`.
  private func reference(
    _ x: KernelTensor, _ window: TFLiteWindow, kernel: (Int, Int), to: [Int],
    _ product: (_ pixel: Int, _ ky: Int, _ kx: Int, _ o: Int) -> Double
  ) -> [Double] {
    let from = x.type.shape
    func before(_ axis: Int, _ size: Int, _ stride: Int, _ dilation: Int) -> Int {
      max(0, (to[axis] - 1) * stride + (size - 1) * dilation + 1 - from[axis]) / 2
    }
    let top = before(1, kernel.0, window.strideHeight, window.dilationHeight)
    let left = before(2, kernel.1, window.strideWidth, window.dilationWidth)
    var result: [Double] = []
    for oy in 0..<to[1] {
      for ox in 0..<to[2] {
        for o in 0..<to[3] {
          var sum = 0.0
          for ky in 0..<kernel.0 {
            for kx in 0..<kernel.1 {
              let y = oy * window.strideHeight - top + ky * window.dilationHeight
              let at = ox * window.strideWidth - left + kx * window.dilationWidth
              guard (0..<from[1]).contains(y), (0..<from[2]).contains(at) else { continue }
              sum += product((y * from[2] + at) * from[3], ky, kx, o)
            }
          }
          result.append(sum)
        }
      }
    }
    return result
  }

  private func extent(_ input: Int, _ kernel: Int, _ window: TFLiteWindow, _ stride: Int, _ d: Int)
    -> Int
  {
    let reach = (kernel - 1) * d + 1
    return window.padding == .same
      ? (input + stride - 1) / stride : (input - reach + stride) / stride
  }

  private func window(_ h: inout KernelHarness) -> TFLiteWindow {
    TFLiteWindow(
      padding: h.int(0...1) == 0 ? .same : .valid, strideHeight: h.int(1...3),
      strideWidth: h.int(1...3), dilationHeight: h.int(1...2), dilationWidth: h.int(1...2),
      activation: [.none, .relu, .relu6][h.int(0...2)])
  }

  private func check(
    _ actual: [Int], _ expected: [Double], as type: TFLiteTensor, _ activation: TFLiteActivation
  ) {
    #expect(actual.count == expected.count)
    for (value, real) in zip(actual, expected) {
      let bounded =
        activation == .none ? real : max(0, activation == .relu6 ? min(real, 6) : real)
      #expect(abs(Double(value) - KernelHarness.stored(bounded, as: type)) < 1.01)
    }
  }

  @Test(arguments: [TFLiteTensorType.int8, .uint8, .int16])
  func convolution(_ type: TFLiteTensorType) throws {
    var h = KernelHarness(seed: 4)
    for _ in 0..<40 {
      let window = window(&h)
      let groups = type == .int8 ? h.int(1...2) : 1
      let depth = h.int(1...9)
      let from = [1, h.int(5...9), h.int(5...9), depth * groups]
      let kernel = (h.int(1...3), h.int(1...3))
      let outputs = h.int(1...6) * groups
      let zero = type == .int16 ? 0 : type == .uint8 ? h.int(90...160) : h.int(-30...30)
      let x = h.tensor(from, type, scale: h.scale(), zero: zero)
      let weightScale = h.scale()
      let weightZero = type == .uint8 ? 120 : 0
      let w = h.tensor(
        [outputs, kernel.0, kernel.1, depth], type == .uint8 ? .uint8 : .int8, scale: weightScale,
        zero: weightZero)
      let biasScale = (x.type.quantisation?.scale() ?? 1) * weightScale
      let bias = KernelHarness.tensor(
        [outputs], type == .int16 ? .int64 : .int32, (0..<outputs).map { _ in h.int(-900...900) },
        scale: biasScale)
      let to = [
        1, extent(from[1], kernel.0, window, window.strideHeight, window.dilationHeight),
        extent(from[2], kernel.1, window, window.strideWidth, window.dilationWidth), outputs,
      ]
      let target = KernelHarness.type(
        to, type, scale: biasScale * (type == .int16 ? 900 : 150), zero: zero)
      let xs = try KernelHarness.reals(x)
      let ws = try KernelHarness.reals(w)
      let bs = try KernelHarness.reals(bias)
      let perGroup = outputs / groups
      let expected = reference(x, window, kernel: kernel, to: to) { pixel, ky, kx, o in
        let first = pixel + o / perGroup * depth
        let filter = ((o * kernel.0 + ky) * kernel.1 + kx) * depth
        return (0..<depth).reduce(0) { $0 + xs[first + $1] * ws[filter + $1] }
      }.enumerated().map { $1 + bs[$0 % outputs] }
      let actual = try KernelHarness.run(.conv2d, .convolution(window), [x, w, bias], to: target)
      check(actual, expected, as: target, window.activation)
    }
  }

  @Test(arguments: [TFLiteTensorType.int8, .uint8, .int16])
  func depthwise(_ type: TFLiteTensorType) throws {
    var h = KernelHarness(seed: 5)
    for _ in 0..<40 {
      let window = window(&h)
      let factor = h.int(1...3)
      let from = [1, h.int(5...9), h.int(5...9), h.int(1...9)]
      let kernel = (h.int(1...3), h.int(1...3))
      let outputs = from[3] * factor
      let zero = type == .int16 ? 0 : 60
      let x = h.tensor(from, type, scale: h.scale(), zero: zero)
      let weightScale = h.scale()
      let w = h.tensor(
        [1, kernel.0, kernel.1, outputs], type == .uint8 ? .uint8 : .int8, scale: weightScale,
        zero: type == .uint8 ? 130 : 0)
      let to = [
        1, extent(from[1], kernel.0, window, window.strideHeight, window.dilationHeight),
        extent(from[2], kernel.1, window, window.strideWidth, window.dilationWidth), outputs,
      ]
      let target = KernelHarness.type(
        to, type, scale: (x.type.quantisation?.scale() ?? 1) * weightScale * 200, zero: zero)
      let xs = try KernelHarness.reals(x)
      let ws = try KernelHarness.reals(w)
      let expected = reference(x, window, kernel: kernel, to: to) { pixel, ky, kx, o in
        xs[pixel + o / factor] * ws[(ky * kernel.1 + kx) * outputs + o]
      }
      let actual = try KernelHarness.run(
        .depthwiseConv2d, .depthwise(window, depthMultiplier: factor), [x, w, nil], to: target)
      check(actual, expected, as: target, window.activation)
    }
  }

  /// A transposed convolution is the convolution's map read the other way: `<conv(a), b> = <a, t(b)>`.
  @Test func transposed() throws {
    var h = KernelHarness(seed: 6)
    for _ in 0..<30 {
      let stride = h.int(1...2)
      let kernel = h.int(2...4)
      let padding: TFLitePadding = h.int(0...1) == 0 ? .same : .valid
      let window = TFLiteWindow(
        padding: padding, strideHeight: stride, strideWidth: stride, activation: .none)
      let from = [1, h.int(2...5), h.int(2...5), h.int(1...5)]
      let outputs = h.int(1...4)
      let to =
        [1] + from[1...2].map { padding == .same ? $0 * stride : ($0 - 1) * stride + kernel }
        + [outputs]
      let x = h.tensor(from, .int8, scale: 0.02, zero: 5)
      let w = h.tensor([outputs, kernel, kernel, from[3]], .int8, scale: 0.01)
      let target = KernelHarness.type(to, .int8, scale: 0.04, zero: -3)
      let shape = KernelHarness.tensor([4], .int32, to)
      let actual = try KernelHarness.run(
        .transposeConv, .convolution(window), [shape, w, x], to: target)
      let xs = try KernelHarness.reals(x)
      let ws = try KernelHarness.reals(w)
      var expected = [Double](repeating: 0, count: to.reduce(1, *))
      let before = (1...2).map {
        max(0, (from[$0] - 1) * stride + kernel - to[$0]) / 2
      }
      for iy in 0..<from[1] {
        for ix in 0..<from[2] {
          for ky in 0..<kernel {
            for kx in 0..<kernel {
              let y = iy * stride - before[0] + ky
              let at = ix * stride - before[1] + kx
              guard (0..<to[1]).contains(y), (0..<to[2]).contains(at) else { continue }
              for o in 0..<outputs {
                for c in 0..<from[3] {
                  expected[(y * to[2] + at) * outputs + o] +=
                    xs[(iy * from[2] + ix) * from[3] + c]
                    * ws[((o * kernel + ky) * kernel + kx) * from[3] + c]
                }
              }
            }
          }
        }
      }
      check(actual, expected, as: target, .none)
    }
  }

  @Test(arguments: [TFLiteTensorType.int8, .uint8, .int16])
  func fullyConnected(_ type: TFLiteTensorType) throws {
    var h = KernelHarness(seed: 7)
    for _ in 0..<40 {
      let (rows, depth, outputs) = (h.int(1...3), h.int(1...400), h.int(1...20))
      let zero = type == .int16 ? 0 : 20
      let x = h.tensor([rows, depth], type, scale: 0.01, zero: zero)
      let w = h.tensor(
        [outputs, depth], type == .uint8 ? .uint8 : .int8, scale: 0.01,
        zero: type == .uint8 ? 128 : 0)
      let target = KernelHarness.type(
        [rows, outputs], type, scale: type == .int16 ? 0.9 : 0.05, zero: zero)
      let xs = try KernelHarness.reals(x)
      let ws = try KernelHarness.reals(w)
      let expected = (0..<rows * outputs).map { i in
        (0..<depth).reduce(0) {
          $0 + xs[i / outputs * depth + $1] * ws[i % outputs * depth + $1]
        }
      }
      let actual = try KernelHarness.run(
        .fullyConnected, .fullyConnected(.relu, keepsDimensions: false), [x, w, nil], to: target)
      check(actual, expected, as: target, .relu)
    }
  }

  @Test(arguments: [true, false]) func pooling(isAverage: Bool) throws {
    var h = KernelHarness(seed: 8)
    for _ in 0..<40 {
      let from = [1, h.int(4...9), h.int(4...9), h.int(1...8)]
      let kernel = (h.int(1...4), h.int(1...4))
      let window = TFLiteWindow(
        padding: h.int(0...1) == 0 ? .same : .valid, strideHeight: h.int(1...3),
        strideWidth: h.int(1...3), activation: .none)
      let to = [
        1, extent(from[1], kernel.0, window, window.strideHeight, 1),
        extent(from[2], kernel.1, window, window.strideWidth, 1), from[3],
      ]
      let x = h.tensor(from, .int8, scale: 1)
      let target = KernelHarness.type(to, .int8, scale: 1)
      let values = try KernelHarness.reals(x)
      let counts = reference(x, window, kernel: kernel, to: to) { _, _, _, _ in 1 }
      var best = [Double](repeating: -.infinity, count: counts.count)
      var next = 0
      let sums = reference(x, window, kernel: kernel, to: to) { pixel, _, _, o in
        values[pixel + o]
      }
      for c in 0..<from[3] {
        // A maximum is the largest of the sums over windows of one tap.
        for ky in 0..<kernel.0 {
          for kx in 0..<kernel.1 {
            let tap = reference(x, window, kernel: kernel, to: to) { pixel, y, at, o in
              y == ky && at == kx && o == c ? values[pixel + o] + 1000 : 0
            }
            for i in tap.indices where tap[i] > 0 { best[i] = max(best[i], tap[i] - 1000) }
          }
        }
        next += 1
      }
      #expect(next == from[3])
      let actual = try KernelHarness.run(
        isAverage ? .averagePool2d : .maxPool2d,
        .pool(window, height: kernel.0, width: kernel.1), [x], to: target)
      let expected =
        isAverage
        ? zip(sums, counts).map { ($0 / $1).rounded(.toNearestOrAwayFromZero) } : best
      #expect(actual.map(Double.init) == expected)
    }
  }
}
