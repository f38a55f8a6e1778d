import Containers
import TensorCore

/// Where a window lies along one axis: TFLite's padding rules.
struct WindowAxis {
  /// Extents of input, window and output.
  let input, kernel, output: Int
  /// Steps between outputs and between taps.
  let stride, dilation: Int
  /// Elements before the input's first.
  let before: Int

  /// Positions of a window; the output's extent must be what the padding says.
  init(
    input: Int, kernel: Int, output: Int, stride: Int, dilation: Int, padding: TFLitePadding
  ) throws(KernelError) {
    let reach = (kernel - 1) * dilation + 1
    let expected =
      padding == .same ? (input + stride - 1) / stride : (input - reach + stride) / stride
    guard kernel > 0, input > 0, output == expected, output > 0 else {
      throw KernelError(reason: "its window does not fit its shapes")
    }
    self.input = input
    self.kernel = kernel
    self.output = output
    self.stride = stride
    self.dilation = dilation
    before = max(0, (output - 1) * stride + reach - input) / 2
  }

  /// The positions of a convolution's window along rows and columns.
  static func pair(
    _ window: TFLiteWindow, input: Shape, taps: Shape, output: Shape
  ) throws(KernelError) -> (rows: WindowAxis, columns: WindowAxis) {
    (
      try WindowAxis(
        input: input[1], kernel: taps[1], output: output[1], stride: window.strideHeight,
        dilation: window.dilationHeight, padding: window.padding),
      try WindowAxis(
        input: input[2], kernel: taps[2], output: output[2], stride: window.strideWidth,
        dilation: window.dilationWidth, padding: window.padding)
    )
  }

  /// Input position of the first tap of output `index`; negative before the input.
  @inline(__always)
  func origin(_ index: Int) -> Int { index * stride - before }

  /// The taps of output `index` that lie in the input.
  @inline(__always)
  func taps(_ index: Int) -> Range<Int> {
    let origin = origin(index)
    let first = origin >= 0 ? 0 : (dilation - 1 - origin) / dilation
    let last = input > origin ? min(kernel, (input - origin + dilation - 1) / dilation) : 0
    return first..<max(first, last)
  }
}
