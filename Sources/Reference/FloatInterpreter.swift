import GraphIR
import Support
import TensorCore

/// What a float model remembers between runs: the content of the graph's states.
public struct FloatState: Sendable {
  /// One array per state of the graph, row-major.
  public var tensors: [[Float]]
}

/// Sees each value as soon as it is computed: the index of the operation in its function, the
/// value, its numbers (row-major) and the number of rows.
public typealias FloatObserver = (
  _ operation: Int, _ value: ValueID, _ numbers: UnsafeBufferPointer<Float>, _ rows: Int
) -> Void

/// Changes each value as soon as it is computed, before anything reads it: the index of the operation in
/// its function, the value, its numbers (row-major) and the number of rows.
public typealias FloatTransform = (
  _ operation: Int, _ value: ValueID, _ numbers: UnsafeMutableBufferPointer<Float>, _ rows: Int
) -> Void

/// Runs the functions of a float graph: the meaning that quantisation is measured against.
///
/// Results do not depend on the batch size: scoring 128 tokens at once gives the same bits as
/// decoding them one by one.
public struct FloatInterpreter: Sendable {
  /// The graph it runs.
  public let graph: Graph
  let plans: [String: Plan]

  /// A function made ready to run.
  struct Plan: Sendable {
    var function: Function
    var steps: [Step]
    var dead: [[Int]]
  }

  /// One operation with what it reads.
  enum Step: Sendable {
    case embedding(ConstantData, vocabulary: Int, out: Int)
    case rmsNorm(Int, gamma: [Float], eps: Float, out: Int)
    case layerNorm(Int, gamma: [Float], beta: [Float], eps: Float, out: Int)
    case linear(Int, FloatMatrix, bias: [Float]?, out: Int)
    case rope(Int, table: [Float], headDim: Int, out: Int)
    case kvWrite(Int, state: StateID)
    case attention(
      Int, k: StateID, v: StateID, heads: Int, kvHeads: Int, headDim: Int, scale: Float, out: Int)
    case silu(Int, out: Int)
    case gelu(Int, isExact: Bool, out: Int)
    case mul(Int, Int, out: Int)
    case add(Int, Int, out: Int)
    case naive(NaiveStep, out: Int)
  }

  /// Prepares the named functions, all when none is named. Block-quantised weights are dequantised
  /// here, once for all functions; plain floats stay in their file.
  ///
  /// Throws when an operation lacks an operand, an attribute or a payload, or is an integer one.
  ///
  /// - Parameter moving: numbers of linear layers' weights in place of the graph's own.
  public init(
    _ graph: Graph, functions: [String]? = nil, moving: [ConstantID: MovingWeights] = [:]
  ) throws(DiagnosticError) {
    self.graph = graph
    var matrices: [ConstantID: FloatMatrix] = [:]
    for (id, weights) in moving where graph[id].type.shape.rank == 2 {
      let shape = graph[id].type.shape
      matrices[id] = FloatMatrix(rows: shape[0], columns: shape[1], weights)
    }
    var vectors: [ConstantID: [Float]] = [:]
    var plans: [String: Plan] = [:]
    for function in graph.functions where functions?.contains(function.name) ?? true {
      let reading = GraphReading(graph: graph, function: function)
      var steps: [Step] = []
      for operation in function.operations {
        steps.append(try Self.step(operation, reading, &matrices, &vectors))
      }
      plans[function.name] = Plan(function: function, steps: steps, dead: reading.lastUses())
    }
    self.plans = plans
  }

  private static func step(
    _ operation: GraphIR.Operation, _ reading: GraphReading,
    _ matrices: inout [ConstantID: FloatMatrix], _ vectors: inout [ConstantID: [Float]]
  ) throws(DiagnosticError) -> Step {
    func vector(_ index: Int, _ count: Int) throws(DiagnosticError) -> [Float] {
      let (id, _, _) = try reading.constant(operation, index)
      if let known = vectors[id], known.count == count { return known }
      let values = try reading.floats(operation, index, count: count)
      vectors[id] = values
      return values
    }
    func eps() throws(DiagnosticError) -> Float {
      guard let eps = operation.float("eps") else {
        throw GraphReading.malformed(operation, "needs an attribute 'eps'")
      }
      return Float(eps)
    }
    switch operation.code {
    case .embedding:
      let (_, constant, data) = try reading.constant(operation, 1)
      let out = try reading.result(operation)
      guard constant.type.shape.rank == 2, constant.type.shape[1] == reading.width(out) else {
        throw GraphReading.malformed(operation, "the table must be as wide as the result")
      }
      return .embedding(data, vocabulary: constant.type.shape[0], out: out)
    case .rmsNorm:
      let x = try reading.value(operation, 0)
      return .rmsNorm(
        x, gamma: try vector(1, reading.width(x)), eps: try eps(),
        out: try reading.result(operation))
    case .layerNorm:
      let x = try reading.value(operation, 0)
      let width = reading.width(x)
      return .layerNorm(
        x, gamma: try vector(1, width), beta: try vector(2, width), eps: try eps(),
        out: try reading.result(operation))
    case .linear:
      let x = try reading.value(operation, 0)
      let out = try reading.result(operation)
      let (id, constant, data) = try reading.constant(operation, 1)
      guard constant.type.shape.dimensions == [reading.width(out), reading.width(x)] else {
        throw GraphReading.malformed(
          operation, "'\(constant.name)' is \(constant.type.shape), which fits neither side")
      }
      if matrices[id] == nil { matrices[id] = FloatMatrix(constant, data) }
      guard let matrix = matrices[id] else {
        throw GraphReading.malformed(operation, "the numbers of '\(constant.name)' are unreadable")
      }
      let bias = operation.operands.count > 2 ? try vector(2, matrix.rows) : nil
      return .linear(x, matrix, bias: bias, out: out)
    case .rope:
      let x = try reading.value(operation, 0)
      let headDim = try reading.positive(operation, "head_dim")
      let (_, constant, _) = try reading.constant(operation, 2)
      let context = reading.graph.states.map { $0.type.shape[1] }.min() ?? 0
      guard headDim % 2 == 0, reading.width(x) % headDim == 0,
        constant.type.shape.count >= context * headDim, constant.type.shape.rank == 2,
        constant.type.shape[1] == headDim
      else { throw GraphReading.malformed(operation, "the table does not fit the heads") }
      return .rope(
        x, table: try vector(2, constant.type.shape.count), headDim: headDim,
        out: try reading.result(operation))
    case .kvWrite:
      let x = try reading.value(operation, 0)
      let state = try reading.state(operation, 2)
      let shape = reading.graph[state].type.shape
      guard shape[0] * shape[2] == reading.width(x) else {
        throw GraphReading.malformed(operation, "the cache does not fit the value")
      }
      return .kvWrite(x, state: state)
    case .attention:
      let q = try reading.value(operation, 0)
      let (k, v) = (try reading.state(operation, 2), try reading.state(operation, 3))
      let heads = try reading.positive(operation, "heads")
      let kvHeads = try reading.positive(operation, "kv_heads")
      let headDim = try reading.positive(operation, "head_dim")
      let shape = reading.graph[k].type.shape
      guard heads % kvHeads == 0, heads * headDim == reading.width(q), shape[0] == kvHeads,
        shape[2] == headDim, reading.graph[v].type.shape == shape,
        let scale = operation.float("scale")
      else { throw GraphReading.malformed(operation, "its heads do not fit the caches") }
      return .attention(
        q, k: k, v: v, heads: heads, kvHeads: kvHeads, headDim: headDim, scale: Float(scale),
        out: try reading.result(operation))
    case .silu:
      return .silu(try reading.value(operation, 0), out: try reading.result(operation))
    case .gelu:
      return .gelu(
        try reading.value(operation, 0), isExact: operation.int("exact") == 1,
        out: try reading.result(operation))
    case .mul, .add:
      let (a, b) = (try reading.value(operation, 0), try reading.value(operation, 1))
      let out = try reading.result(operation)
      guard reading.width(a) == reading.width(b), reading.width(a) == reading.width(out) else {
        throw GraphReading.malformed(operation, "its operands differ in width")
      }
      return operation.code == .mul ? .mul(a, b, out: out) : .add(a, b, out: out)
    case .lut:
      throw GraphReading.malformed(operation, "has no float form")
    case .reshape, .transpose, .expand, .slice, .concat, .matmul, .scale, .negate, .softmax,
      .causalMask, .positionRows, .cacheWrite, .cacheRead:
      return .naive(
        try NaiveStep(operation, reading),
        out: operation.code == .cacheWrite ? -1 : try reading.result(operation))
    }
  }

  /// A state whose tensors are all zero.
  public func makeState() -> FloatState {
    FloatState(tensors: graph.states.map { [Float](repeating: 0, count: $0.type.shape.count) })
  }

  /// Runs a function on up to as many tokens as it is made for.
  ///
  /// - Parameters:
  ///   - name: the function.
  ///   - ids: the tokens; fewer than the function's rows are allowed.
  ///   - position: the position of the first one.
  ///   - state: the caches, read and written.
  ///   - observer: sees every value.
  ///   - transform: may change every value, before the observer sees it.
  /// - Returns: the function's first result, `[ids.count, width]`; empty when it has none.
  public func run(
    _ name: String, ids: [Int32], position: Int, state: inout FloatState,
    observer: FloatObserver? = nil, transform: FloatTransform? = nil
  ) throws(DiagnosticError) -> [Float] {
    guard let plan = plans[name] else {
      throw DiagnosticError("reference.function", "the graph has no function '\(name)'")
    }
    try GraphReading.check(plan.function, graph: graph, ids: ids, position: position)
    let n = ids.count
    var values = [[Float]](repeating: [], count: plan.function.values.count)
    for (index, step) in plan.steps.enumerated() {
      let out = try execute(step, plan.function, ids, position, &values, &state)
      if let transform, out >= 0 {
        values[out].withUnsafeMutableBufferPointer { transform(index, ValueID(out), $0, n) }
      }
      if let observer, out >= 0 {
        values[out].withUnsafeBufferPointer { observer(index, ValueID(out), $0, n) }
      }
      for value in plan.dead[index] { values[value] = [] }
    }
    return plan.function.results.first.map { values[$0.index] } ?? []
  }

  /// Runs one step and returns the value it defined, −1 for none.
  func execute(
    _ step: Step, _ function: Function, _ ids: [Int32], _ position: Int,
    _ values: inout [[Float]], _ state: inout FloatState
  ) throws(DiagnosticError) -> Int {
    let n = ids.count
    func width(_ value: Int) -> Int { function.values[value].type.shape.dimensions.last ?? 1 }
    func make(
      _ out: Int, _ count: Int? = nil, _ body: (UnsafeMutablePointer<Float>) -> Void
    ) -> [Float] {
      let count = count ?? n * width(out)
      return [Float](unsafeUninitializedCapacity: count) { buffer, filled in
        if let base = buffer.baseAddress { body(base) }
        filled = count
      }
    }
    switch step {
    case .embedding(let table, let vocabulary, let out):
      let d = width(out)
      if let bad = ids.first(where: { $0 < 0 || Int($0) >= vocabulary }) {
        throw DiagnosticError(
          "reference.token", "token \(bad) is outside the vocabulary of \(vocabulary)")
      }
      values[out] = make(out) { to in
        for (t, id) in ids.enumerated() {
          let row = UnsafeMutableBufferPointer(start: to + t * d, count: d)
          if !table.readFloats(Int(id) * d..<Int(id) * d + d, into: row) {
            row.initialize(repeating: .nan)
          }
        }
      }
      return out
    case .rmsNorm(let x, let gamma, let eps, let out):
      let d = width(x)
      values[out] = values[x].withUnsafeBufferPointer { from in
        make(out) { to in
          guard let from = from.baseAddress else { return }
          FloatKernels.rmsNorm(from, n: n, d: d, gamma: gamma, eps: eps, out: to)
        }
      }
      return out
    case .layerNorm(let x, let gamma, let beta, let eps, let out):
      let d = width(x)
      values[out] = values[x].withUnsafeBufferPointer { from in
        make(out) { to in
          guard let from = from.baseAddress else { return }
          FloatKernels.layerNorm(from, n: n, d: d, gamma: gamma, beta: beta, eps: eps, out: to)
        }
      }
      return out
    case .linear(let x, let matrix, let bias, let out):
      values[out] = values[x].withUnsafeBufferPointer { from in
        make(out) { to in
          guard let from = from.baseAddress else { return }
          matrix.withPointer { w in
            func run(_ bias: UnsafePointer<Float>?) {
              FloatKernels.linear(
                from, n: n, k: matrix.columns, w: w, m: matrix.rows, bias: bias, out: to)
            }
            if let bias {
              bias.withUnsafeBufferPointer { run($0.baseAddress) }
            } else {
              run(nil)
            }
          }
        }
      }
      return out
    case .rope(let x, let table, let headDim, let out):
      let d = width(x)
      values[out] = values[x].withUnsafeBufferPointer { from in
        make(out) { to in
          guard let from = from.baseAddress else { return }
          FloatKernels.rope(
            from, n: n, width: d, headDim: headDim, position: position, table: table, out: to)
        }
      }
      return out
    case .kvWrite(let x, let id):
      let shape = graph[id].type.shape
      let (kvHeads, context, headDim) = (shape[0], shape[1], shape[2])
      values[x].withUnsafeBufferPointer { from in
        state.tensors[id.index].withUnsafeMutableBufferPointer { cache in
          for t in 0..<n {
            for h in 0..<kvHeads {
              let to = (h * context + position + t) * headDim
              let row = (t * kvHeads + h) * headDim
              for i in 0..<headDim { cache[to + i] = from[row + i] }
            }
          }
        }
      }
      return -1
    case .attention(let q, let k, let v, let heads, let kvHeads, let headDim, let scale, let out):
      let context = graph[k].type.shape[1]
      let (keys, rows) = (state.tensors[k.index], state.tensors[v.index])
      values[out] = values[q].withUnsafeBufferPointer { from in
        make(out) { to in
          guard let from = from.baseAddress else { return }
          FloatKernels.attention(
            from, n: n, position: position, k: keys, v: rows, context: context, heads: heads,
            kvHeads: kvHeads, headDim: headDim, scale: scale, out: to)
        }
      }
      return out
    case .naive(let step, let out):
      let rows = function.inputs.first.map { function[$0].type.shape.count } ?? 0
      guard n == rows else {
        throw DiagnosticError(
          "reference.rows", "a function with reshapes runs whole batches of \(rows), not \(n)")
      }
      let result = try step.run(values, position: position, rows: n, state: &state)
      if out >= 0 { values[out] = result }
      return out
    case .silu(let x, let out), .gelu(let x, _, let out):
      let count = values[x].count
      values[out] = values[x].withUnsafeBufferPointer { from in
        make(out, count) { to in
          guard let from = from.baseAddress else { return }
          switch step {
          case .gelu(_, isExact: true, _): FloatKernels.exactGelu(from, count: count, out: to)
          case .gelu: FloatKernels.gelu(from, count: count, out: to)
          default: FloatKernels.silu(from, count: count, out: to)
          }
        }
      }
      return out
    case .mul(let a, let b, let out), .add(let a, let b, let out):
      var isMul = false
      if case .mul = step { isMul = true }
      let (left, right) = (values[a], values[b])
      let count = min(left.count, right.count)
      values[out] = make(out, count) { to in
        left.withUnsafeBufferPointer { left in
          right.withUnsafeBufferPointer { right in
            if isMul {
              for i in 0..<count { to[i] = left[i] * right[i] }
            } else {
              for i in 0..<count { to[i] = left[i] + right[i] }
            }
          }
        }
      }
      return out
    }
  }
}
