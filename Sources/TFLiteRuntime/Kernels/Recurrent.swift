import Containers
import NPUSim
import TensorCore

/// UNIDIRECTIONAL_SEQUENCE_LSTM.
extension KernelCall {
  /// The integer LSTM of TFLite Micro: int8 inputs and hidden state, int16 gates (12 fraction bits before,
  /// 15 after their activation) and cell state.
  ///
  /// Inputs: 0 sequence, 1–4 input weights and 5–8 recurrent weights of the input, forget, cell and output
  /// gates, 12–15 their biases, 18 hidden state, 19 cell state. Variants with peepholes, projection or
  /// normalisation are refused.
  func lstm() throws(KernelError) -> KernelResult {
    guard case .lstm(let activation, let cellClip, let timeMajor) = op.options else {
      throw KernelError(reason: "its options are missing")
    }
    let extras = [9, 10, 11, 16, 17] + (20..<max(20, inputs.count))
    guard extras.allSatisfy({ $0 >= inputs.count || inputs[$0] == nil }), activation == .tanh else {
      throw KernelError(reason: "it has peepholes, a projection, normalisation or no tanh")
    }
    let source = try input(0)
    let hidden = try input(18)
    let cell = try input(19)
    let target = try output()
    let shape = source.type.shape
    guard shape.rank == 3, source.type.type == .int8, hidden.type.type == .int8,
      cell.type.type == .int16, target.type == .int8
    else { throw KernelError(reason: "no kernel takes \(source.type.type) sequences") }
    let batches = shape[timeMajor ? 1 : 0]
    let steps = shape[timeMajor ? 0 : 1]
    let width = shape[2]
    let (cellScale, cellZero) = try cell.type.perTensor()
    let (hiddenScale, hiddenZero) = try hidden.type.perTensor()
    let states = batches > 0 ? cell.type.shape.count / batches : 0
    guard states > 0, cell.type.shape.count == batches * states, cellZero == 0,
      hidden.type.shape.count == batches * states, target.shape.count == batches * steps * states
    else { throw KernelError(reason: "its states do not fit its shapes") }
    var gates: [Gate] = []
    for gate in 0..<4 {
      gates.append(
        try Gate(
          input: source.type, hidden: hidden.type, weights: input(1 + gate),
          recurrent: input(5 + gate), bias: optionalInput(12 + gate), width: width, states: states))
    }
    let keep = try Rescale(0x1p-15)
    let add = try Rescale(0x1p-30 / Double(cellScale))
    let emit = try Rescale(0x1p-30 / Double(hiddenScale))
    let power = Int(cellScale.exponent)
    guard cellScale.significand == 1, (-15...(-9)).contains(power) else {
      throw KernelError(reason: "the scale of its cell state is no power of two from 2^-15 to 2^-9")
    }
    let clip =
      cellClip > 0 ? Int(min(Double(cellClip) / Double(cellScale), 32767)) : nil
    let inputZero = try source.type.perTensor().zero
    let x = try source.integers().map { $0 - inputZero }
    var h = try hidden.integers()
    var c = try cell.integers()
    var result = [Int](repeating: 0, count: batches * steps * states)
    let int16 = -32768...32767
    SigmoidTable.values.withUnsafeBufferPointer { table in
      for step in 0..<steps {
        for batch in 0..<batches {
          let row = timeMajor ? step * batches + batch : batch * steps + step
          let xs = Array(x[row * width..<(row + 1) * width])
          let hs = h[batch * states..<(batch + 1) * states].map { $0 - hiddenZero }
          for state in 0..<states {
            let sums = gates.map { $0.value(xs, hs, state: state) }
            func sigmoid(_ sum: Int) -> Int { Int(SigmoidTable.sigmoid(Int64(3 * sum), table)) }
            let candidate = Int(SigmoidTable.tanh(Int64(3 * sums[2]), table))
            let at = batch * states + state
            var next = int16.limit(
              int16.limit(keep.apply(sigmoid(sums[1]) * c[at]))
                + int16.limit(add.apply(sigmoid(sums[0]) * candidate)))
            if let clip { next = (-clip...clip).limit(next) }
            c[at] = next
            let curved = Int(
              SigmoidTable.tanh(Self.tableInput(next, power: power), table))
            let emitted = emit.apply(sigmoid(sums[3]) * curved) + hiddenZero
            h[at] = (-128...127).limit(emitted)
            result[row * states + state] = h[at]
          }
        }
      }
    }
    return KernelResult(
      outputs: [encode(result, as: .int8)],
      updates: [18: encode(h, as: .int8), 19: encode(c, as: .int16)])
  }

  /// A cell state of scale `2^power` in units of 1/12288.
  private static func tableInput(_ value: Int, power: Int) -> Int64 {
    let shift = 12 + power
    if shift >= 0 { return Int64(3 * value) << Int64(shift) }
    return (Int64(3 * value) + (1 << Int64(-shift - 1))) >> Int64(-shift)
  }

  /// The two linear layers of a gate.
  private struct Gate {
    private let weights, recurrent, bias: [Int]
    private let scale, recurrentScale: Rescale
    private let width, states: Int

    init(
      input: TFLiteTensor, hidden: TFLiteTensor, weights: KernelTensor, recurrent: KernelTensor,
      bias: KernelTensor?, width: Int, states: Int
    ) throws(KernelError) {
      guard weights.type.shape.count == width * states, weights.type.type == .int8,
        recurrent.type.shape.count == states * states, recurrent.type.type == .int8
      else { throw KernelError(reason: "the weights of a gate do not fit its shapes") }
      self.weights = try weights.integers()
      self.recurrent = try recurrent.integers()
      self.bias = try bias?.integers() ?? [Int](repeating: 0, count: states)
      guard self.bias.count == states else {
        throw KernelError(reason: "the bias of a gate does not fit its shapes")
      }
      let gate: Float = 0x1p-12
      scale = try Rescale(
        Double(input.perTensor().scale * weights.type.perTensor().scale) / Double(gate))
      recurrentScale = try Rescale(
        Double(hidden.perTensor().scale * recurrent.type.perTensor().scale) / Double(gate))
      self.width = width
      self.states = states
    }

    /// The gate before its activation, saturated to 16 bits at each addition.
    func value(_ x: [Int], _ h: [Int], state: Int) -> Int {
      let int16 = -32768...32767
      var sum = bias[state]
      for i in 0..<width { sum &+= x[i] &* weights[state &* width &+ i] }
      var carried = 0
      for i in 0..<states { carried &+= h[i] &* recurrent[state &* states &+ i] }
      return int16.limit(
        int16.limit(scale.apply(sum)) + int16.limit(recurrentScale.apply(carried)))
    }
  }
}
