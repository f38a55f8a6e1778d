import GraphIR
import Support
import TensorCore

/// Reorders query and key rows from half-split rotary pairs (i, i + r/2), as Hugging Face stores
/// them, to the interleaved pairs (2i, 2i+1) of the canonical graph. `r` is `ropeDim`, the channels of a
/// head that rotate; those behind them stay.
enum RotaryRows {
  /// The row of the half-split matrix that becomes row `row`.
  static func source(of row: Int, headDim: Int, ropeDim: Int) -> Int {
    let channel = row % headDim
    guard channel < ropeDim else { return row }
    return row - channel + channel / 2 + (channel % 2) * (ropeDim / 2)
  }

  /// A constant with its rows (axis 0) reordered into an owned copy of the same encoding.
  static func interleave(_ constant: Constant, headDim: Int, ropeDim: Int) -> Constant {
    guard let data = constant.data else { return constant }
    let rows = constant.type.shape[0]
    let rowBytes = data.bytes.count / max(rows, 1)
    let bytes = data.bytes.withBytes { raw in
      [UInt8](unsafeUninitializedCapacity: rows * rowBytes) { out, filled in
        for row in 0..<rows {
          let start = source(of: row, headDim: headDim, ropeDim: ropeDim) * rowBytes
          UnsafeMutableRawBufferPointer(
            rebasing: UnsafeMutableRawBufferPointer(out)[
              row * rowBytes..<(row + 1) * rowBytes]
          ).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: raw[start..<start + rowBytes]))
        }
        filled = rows * rowBytes
      }
    }
    return Constant(
      name: constant.name, type: constant.type,
      data: ConstantData(bytes: ByteSource(bytes), encoding: data.encoding))
  }
}
