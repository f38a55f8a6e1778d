import GraphIR
import Support
import TensorCore

/// Sees a value and the gradient at it: the index of the operation in its function, the value, its
/// numbers (row-major; none for the function's result), the gradient and the number of rows.
public typealias FloatGradientObserver = (
  _ operation: Int, _ value: ValueID, _ numbers: UnsafeBufferPointer<Float>,
  _ gradient: UnsafeBufferPointer<Float>, _ rows: Int
) -> Void

/// Sees what a linear layer reads and the gradient at its result, when the gradient has passed the
/// layer: the index of the operation in its function, what it reads `[rows, columns]`, the gradient
/// `[rows, width]`, and the number of rows. The layer's weights may change now.
public typealias FloatLinearObserver = (
  _ operation: Int, _ numbers: UnsafePointer<Float>, _ gradient: UnsafePointer<Float>, _ rows: Int
) -> Void

extension FloatInterpreter {
  /// Runs a function on a sequence from position 0 and then backwards.
  ///
  /// - Parameters:
  ///   - name: the function.
  ///   - ids: the tokens, at most as many as the function takes.
  ///   - seed: from the function's result `[ids.count, width]` to the gradient at it, in place.
  ///   - observer: sees the result of every operation that has one and the gradient at it, last
  ///     first. All gradients that an operation's result receives are complete then.
  ///   - linear: sees what linear layers read, and the gradients at their results.
  ///   - first: the first operation whose gradients are of interest.
  public func backpropagate(
    _ name: String, ids: [Int32], seed: (inout [Float]) -> Void,
    observer: FloatGradientObserver = { _, _, _, _, _ in }, linear: FloatLinearObserver? = nil,
    downTo first: Int = 0
  ) throws(DiagnosticError) {
    guard let plan = plans[name], let last = plan.function.results.first?.index else {
      throw DiagnosticError(
        "reference.function", "the graph has no function '\(name)' with a result")
    }
    try GraphReading.check(plan.function, graph: graph, ids: ids, position: 0)
    let n = ids.count
    if let naive = plan.function.operations.first(where: { $0.code.isNaive }) {
      throw GraphReading.malformed(naive, "has no gradient; the passes come first")
    }
    var state = makeState()
    var values = [[Float]](repeating: [], count: plan.function.values.count)
    for step in plan.steps { _ = try execute(step, plan.function, ids, 0, &values, &state) }
    var gradients = [[Float]](repeating: [], count: values.count)
    var caches = [[Float]](repeating: [], count: state.tensors.count)
    gradients[last] = values[last]
    seed(&gradients[last])
    values[last] = []
    for (index, step) in plan.steps.enumerated().reversed() where index >= first {
      let out = plan.function.operations[index].results.first?.index
      if let out {
        if gradients[out].isEmpty { continue }
        values[out].withUnsafeBufferPointer { numbers in
          gradients[out].withUnsafeBufferPointer { observer(index, ValueID(out), numbers, $0, n) }
        }
      }
      let dy = out.map { gradients[$0] } ?? []
      transpose(step, dy, n, values, state, &gradients, &caches)
      if let linear, case .linear(let x, _, _, _) = step {
        values[x].withUnsafeBufferPointer { numbers in
          dy.withUnsafeBufferPointer { dy in
            if let numbers = numbers.baseAddress, let dy = dy.baseAddress {
              linear(index, numbers, dy, n)
            }
          }
        }
      }
      if let out {
        gradients[out] = []
        values[out] = []
      }
    }
  }

  /// The function's result from what its last operation, a linear layer, reads.
  ///
  /// - Parameter numbers: `[rows, columns]` of that layer.
  /// - Returns: nil when the last operation is no linear layer, or does not fit.
  public func result(_ name: String, ofLast numbers: [Float]) -> [Float]? {
    guard let step = plans[name]?.steps.last, case .linear(_, let matrix, let bias, _) = step,
      numbers.count % matrix.columns == 0
    else { return nil }
    let n = numbers.count / matrix.columns
    let count = n * matrix.rows
    return [Float](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = count
      guard let out = buffer.baseAddress else { return }
      matrix.withPointer { w in
        FloatKernels.linear(
          numbers, n: n, k: matrix.columns, w: w, m: matrix.rows, bias: nil, out: out)
      }
      guard let bias else { return }
      for i in 0..<count { out[i] += bias[i % matrix.rows] }
    }
  }

  /// Adds what one step's result asks of its operands to their gradients.
  private func transpose(
    _ step: Step, _ dy: [Float], _ n: Int, _ values: [[Float]], _ state: FloatState,
    _ gradients: inout [[Float]], _ caches: inout [[Float]]
  ) {
    func add(_ value: Int, _ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Void) {
      if gradients[value].isEmpty { gradients[value] = [Float](repeating: 0, count: count) }
      gradients[value].withUnsafeMutableBufferPointer { if let p = $0.baseAddress { body(p) } }
    }
    switch step {
    case .embedding, .naive: break
    case .rmsNorm(let x, let gamma, let eps, _):
      add(x, values[x].count) {
        FloatKernels.rmsNormGradient(
          values[x], dy, n: n, d: values[x].count / n, gamma: gamma, eps: eps, into: $0)
      }
    case .layerNorm(let x, let gamma, _, let eps, _):
      add(x, values[x].count) {
        FloatKernels.layerNormGradient(
          values[x], dy, n: n, d: values[x].count / n, gamma: gamma, eps: eps, into: $0)
      }
    case .linear(let x, let matrix, _, _):
      add(x, n * matrix.columns) { into in
        matrix.withPointer {
          FloatKernels.linearGradient(
            dy, n: n, k: matrix.columns, w: $0, m: matrix.rows, into: into)
        }
      }
    case .rope(let x, let table, let headDim, _):
      add(x, dy.count) {
        FloatKernels.ropeGradient(
          dy, n: n, width: dy.count / n, headDim: headDim, position: 0, table: table, into: $0)
      }
    case .kvWrite(let x, let id):
      let cache = caches[id.index]
      guard !cache.isEmpty else { break }
      let shape = graph[id].type.shape
      let (kvHeads, headDim) = (shape[0], shape[2])
      add(x, cache.count) { to in
        for h in 0..<kvHeads {
          for t in 0..<n {
            for i in 0..<headDim {
              to[(t * kvHeads + h) * headDim + i] += cache[(h * n + t) * headDim + i]
            }
          }
        }
      }
    case .attention(let q, let k, let v, let heads, let kvHeads, let headDim, let scale, _):
      for id in [k, v] where caches[id.index].isEmpty {
        caches[id.index] = [Float](repeating: 0, count: kvHeads * n * headDim)
      }
      var (dk, dv) = (caches[k.index], caches[v.index])
      add(q, values[q].count) { dq in
        FloatKernels.attentionGradient(
          values[q], dy, n: n, k: state.tensors[k.index], v: state.tensors[v.index],
          context: graph[k].type.shape[1], heads: heads, kvHeads: kvHeads, headDim: headDim,
          scale: scale, dq: dq, dk: &dk, dv: &dv)
      }
      (caches[k.index], caches[v.index]) = (dk, dv)
    case .silu(let x, _):
      add(x, dy.count) { FloatKernels.siluGradient(values[x], dy, count: dy.count, into: $0) }
    case .gelu(let x, isExact: false, _):
      add(x, dy.count) { FloatKernels.geluGradient(values[x], dy, count: dy.count, into: $0) }
    case .gelu(let x, isExact: true, _):
      add(x, dy.count) { FloatKernels.exactGeluGradient(values[x], dy, count: dy.count, into: $0) }
    case .mul(let a, let b, _):
      let (left, right) = (values[a], values[b])
      add(a, dy.count) { for i in dy.indices { $0[i] += dy[i] * right[i] } }
      add(b, dy.count) { for i in dy.indices { $0[i] += dy[i] * left[i] } }
    case .add(let a, let b, _):
      for x in [a, b] { add(x, dy.count) { for i in dy.indices { $0[i] += dy[i] } } }
    }
  }
}
