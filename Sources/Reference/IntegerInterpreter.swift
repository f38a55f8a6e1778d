import GraphIR
import Support
import TensorCore

/// What an integer model remembers between runs: its caches, one array per state, row-major.
public struct IntegerState: Sendable {
  /// One array per state of the graph.
  public var tensors: [[Int8]]
}

/// Sees each value as soon as it is computed: the index of the operation in its function, the value
/// and its numbers.
public typealias IntegerObserver = (
  _ operation: Int, _ value: ValueID, _ numbers: IntegerTensor
) -> Void

/// Runs the functions of an integer graph exactly as `Docs/Numerics.md` defines: the contract that
/// compiled programs are held to, bit for bit.
public struct IntegerInterpreter: Sendable {
  /// The graph it runs.
  public let graph: Graph
  private let plans: [String: Plan]

  private struct Plan: Sendable {
    var function: Function
    var steps: [Step]
    var dead: [[Int]]
  }

  private enum Step: Sendable {
    case embedding(
      ByteSource, vocabulary: Int, multipliers: [Int32], columns: [Int8], shift: Int, out: Int)
    case rmsNorm(Int, IntegerNorm, out: Int)
    case linear(Int, ByteSource, IntegerLinear, out: Int)
    case rope(Int, table: [Int16], headDim: Int, out: Int)
    case kvWrite(
      Int, state: StateID, offsets: [Int16], multipliers: [Int32], shift: Int, limit: Int64)
    case attention(Int, k: StateID, v: StateID, IntegerAttention, out: Int)
    case lut(Int, table: [UInt32], out: Int)
    case mul(Int, Int, multiplier: Int64, shift: Int64, out: Int)
    case add(Int, Int, out: Int)
  }

  /// Prepares the named functions, all when none is named.
  ///
  /// Throws when an operation breaks a rule of the contract.
  public init(_ graph: Graph, functions: [String]? = nil) throws(DiagnosticError) {
    self.graph = graph
    var plans: [String: Plan] = [:]
    for function in graph.functions where functions?.contains(function.name) ?? true {
      let reading = GraphReading(graph: graph, function: function)
      var steps: [Step] = []
      for operation in function.operations { steps.append(try Self.step(operation, reading)) }
      plans[function.name] = Plan(function: function, steps: steps, dead: reading.lastUses())
    }
    self.plans = plans
  }

  private static func step(
    _ operation: GraphIR.Operation, _ reading: GraphReading
  ) throws(DiagnosticError) -> Step {
    let function = reading.function
    func element(_ value: Int) -> ElementType { function.values[value].type.element }
    func value(_ index: Int, _ allowed: ElementType...) throws(DiagnosticError) -> Int {
      let id = try reading.value(operation, index)
      guard allowed.contains(element(id)) else {
        throw GraphReading.malformed(
          operation, "operand \(index) must not be \(element(id).rawValue)")
      }
      return id
    }
    func result(_ allowed: ElementType...) throws(DiagnosticError) -> Int {
      let id = try reading.result(operation)
      guard allowed.contains(element(id)) else {
        throw GraphReading.malformed(
          operation, "the result must not be \(element(id).rawValue)")
      }
      return id
    }
    func scale(_ value: Int) throws(DiagnosticError) -> Double {
      guard let scale = function.values[value].type.quant?.scales.first else {
        throw GraphReading.malformed(operation, "a value has no scale")
      }
      return Double(scale)
    }
    func weights(_ element: ElementType = .int8) throws(DiagnosticError) -> (Constant, ByteSource) {
      let (_, constant, data) = try reading.constant(operation, 1)
      guard constant.type.element == element, data.encoding == .dense(element),
        constant.type.shape.rank == 2
      else {
        throw GraphReading.malformed(
          operation, "'\(constant.name)' must be an \(element.rawValue) matrix")
      }
      return (constant, data.bytes)
    }
    switch operation.code {
    case .embedding:
      let hasFactors = operation.operands.count > 3
      let (constant, bytes) = try weights(hasFactors ? .int4 : .int8)
      let out = try result(.int32)
      let rows = constant.type.shape[0]
      guard constant.type.shape[1] == reading.width(out) else {
        throw GraphReading.malformed(operation, "the table must be as wide as the result")
      }
      return .embedding(
        bytes, vocabulary: rows,
        multipliers: try reading.integers(operation, 2, Int32.self, count: rows),
        columns: hasFactors
          ? try reading.integers(operation, 3, Int8.self, count: reading.width(out)) : [],
        shift: try reading.shift(operation, "shift"), out: out)
    case .rmsNorm:
      let x = try value(0, .int32)
      let gamma = try reading.integers(operation, 1, Int32.self, count: reading.width(x))
      return .rmsNorm(
        x, try IntegerNorm(operation, reading, gamma: gamma), out: try result(.int8, .int16))
    case .linear:
      let x = try value(0, .int8, .int16)
      let out = try result(.int16, .int32)
      let (constant, bytes) = try weights()
      let shape = constant.type.shape
      guard shape.dimensions == [reading.width(out), reading.width(x)], shape[1] <= 65536,
        let scales = constant.type.quant?.scales, scales.count == shape[0] || scales.count == 1
      else {
        throw GraphReading.malformed(operation, "'\(constant.name)' fits neither side")
      }
      let (from, to) = (try scale(x), try scale(out))
      var multipliers: [FixedMultiplier] = []
      for o in 0..<shape[0] {
        let real = from * Double(scales[scales.count == 1 ? 0 : o]) / to
        guard
          let fixed = element(x) == .int16
            ? FixedMultiplier(fixed15: real) : FixedMultiplier(fixed31: real)
        else {
          throw GraphReading.malformed(operation, "the scale \(real) cannot be written")
        }
        multipliers.append(fixed)
      }
      let bias =
        operation.operands.count > 2
        ? try reading.integers(operation, 2, Int32.self, count: shape[0]) : nil
      return .linear(
        x, bytes,
        IntegerLinear(rows: shape[0], columns: shape[1], multipliers: multipliers, bias: bias),
        out: out)
    case .rope:
      let x = try value(0, .int16)
      let headDim = try reading.positive(operation, "head_dim")
      let (_, constant, _) = try reading.constant(operation, 2)
      let context = reading.graph.states.map { $0.type.shape[1] }.min() ?? 0
      guard headDim % 2 == 0, reading.width(x) % headDim == 0,
        constant.type.shape.count >= context * headDim
      else { throw GraphReading.malformed(operation, "the table does not fit the heads") }
      return .rope(
        x,
        table: try reading.integers(operation, 2, Int16.self, count: constant.type.shape.count),
        headDim: headDim, out: try result(.int16))
    case .kvWrite:
      let x = try value(0, .int16)
      let state = try reading.state(operation, 2)
      let shape = reading.graph[state].type.shape
      let width = reading.width(x)
      guard width % shape[0] == 0, width / shape[0] <= shape[2] else {
        throw GraphReading.malformed(operation, "the cache does not fit the value")
      }
      guard let limit = reading.graph[state].type.element.symmetricLimit else {
        throw GraphReading.malformed(operation, "the cache must hold int8 or int4")
      }
      return .kvWrite(
        x, state: state, offsets: try reading.integers(operation, 3, Int16.self, count: width),
        multipliers: try reading.integers(operation, 4, Int32.self, count: width),
        shift: try reading.shift(operation, "shift"), limit: Int64(limit))
    case .attention:
      let q = try value(0, .int16)
      let (k, v) = (try reading.state(operation, 2), try reading.state(operation, 3))
      let heads = try reading.positive(operation, "heads")
      let kvHeads = try reading.positive(operation, "kv_heads")
      let headDim = try reading.positive(operation, "head_dim")
      let shape = reading.graph[k].type.shape
      guard heads % kvHeads == 0, heads * headDim == reading.width(q), shape[0] == kvHeads,
        shape[2] >= headDim, headDim <= 256, shape[1] <= 16384,
        reading.graph[v].type.shape == shape
      else { throw GraphReading.malformed(operation, "its heads do not fit the caches") }
      guard let multiplier = operation.int("multiplier"), (1..<1 << 31).contains(multiplier) else {
        throw GraphReading.malformed(operation, "needs an attribute 'multiplier'")
      }
      return .attention(
        q, k: k, v: v,
        IntegerAttention(
          heads: heads, kvHeads: kvHeads, headDim: headDim, pitch: shape[2], context: shape[1],
          scoreShift: try reading.shift(operation, "score_shift"), multiplier: multiplier,
          shift: try reading.shift(operation, "shift")), out: try result(.int8, .int16))
    case .lut:
      return .lut(
        try value(0, .int16), table: try reading.integers(operation, 1, UInt32.self, count: 512),
        out: try result(.int16))
    case .mul:
      guard let multiplier = operation.int("multiplier"), multiplier >= 0, multiplier < 1 << 31
      else { throw GraphReading.malformed(operation, "needs an attribute 'multiplier'") }
      return .mul(
        try value(0, .int16), try value(1, .int16), multiplier: Int64(multiplier),
        shift: Int64(try reading.shift(operation, "shift")), out: try result(.int8, .int16))
    case .add:
      return .add(try value(0, .int32), try value(1, .int32), out: try result(.int32))
    case .layerNorm, .silu, .gelu, .reshape, .transpose, .expand, .slice, .concat, .matmul, .scale,
      .negate,
      .softmax, .causalMask, .positionRows, .cacheWrite, .cacheRead:
      throw GraphReading.malformed(operation, "has no integer form")
    }
  }

  /// A state whose tensors are all zero.
  public func makeState() -> IntegerState {
    IntegerState(tensors: graph.states.map { [Int8](repeating: 0, count: $0.type.shape.count) })
  }

  /// Runs a function on up to as many tokens as it is made for.
  ///
  /// - Parameters:
  ///   - name: the function.
  ///   - ids: the tokens; fewer than the function's rows are allowed.
  ///   - position: the position of the first one.
  ///   - state: the caches, read and written.
  ///   - observer: sees every value.
  /// - Returns: the function's first result, `[ids.count, width]`; nil when it has none.
  public func run(
    _ name: String, ids: [Int32], position: Int, state: inout IntegerState,
    observer: IntegerObserver? = nil
  ) throws(DiagnosticError) -> IntegerTensor? {
    guard let plan = plans[name] else {
      throw DiagnosticError("reference.function", "the graph has no function '\(name)'")
    }
    try GraphReading.check(plan.function, graph: graph, ids: ids, position: position)
    var run = Run(
      graph: graph, function: plan.function, ids: ids, position: position,
      values: [IntegerTensor?](repeating: nil, count: plan.function.values.count))
    for (index, step) in plan.steps.enumerated() {
      let out = try run.execute(step, &state)
      if let observer, let out, let numbers = run.values[out] {
        observer(index, ValueID(out), numbers)
      }
      for value in plan.dead[index] { run.values[value] = nil }
    }
    return plan.function.results.first.flatMap { run.values[$0.index] }
  }

  /// One call in progress.
  private struct Run {
    let graph: Graph
    let function: Function
    let ids: [Int32]
    let position: Int
    var values: [IntegerTensor?]

    private func width(_ value: Int) -> Int {
      function.values[value].type.shape.dimensions.last ?? 1
    }

    private func int16(_ value: Int) -> [Int16] {
      switch values[value] {
      case .int16(let numbers): numbers
      case .int8(let numbers): numbers.map(Int16.init)
      default: []
      }
    }

    private func int32(_ value: Int) -> [Int32] {
      if case .int32(let numbers) = values[value] { return numbers }
      return []
    }

    /// Makes a value of the type the function gives it; the body for that type gets room for it.
    /// Each operation passes bodies for the types it was checked to have.
    private func make(
      _ out: Int, int8: (UnsafeMutablePointer<Int8>) -> Void = { _ in },
      int16: (UnsafeMutablePointer<Int16>) -> Void = { _ in },
      int32: (UnsafeMutablePointer<Int32>) -> Void = { _ in }
    ) -> IntegerTensor? {
      let count = ids.count * width(out)
      func fill<T>(_ body: (UnsafeMutablePointer<T>) -> Void) -> [T] {
        [T](unsafeUninitializedCapacity: count) { buffer, filled in
          if let base = buffer.baseAddress { body(base) }
          filled = count
        }
      }
      switch function.values[out].type.element {
      case .int8: return .int8(fill(int8))
      case .int16: return .int16(fill(int16))
      case .int32: return .int32(fill(int32))
      default: return nil
      }
    }

    /// Runs one step and returns the value it defined, nil for none.
    mutating func execute(
      _ step: Step, _ state: inout IntegerState
    ) throws(DiagnosticError) -> Int? {
      let n = ids.count
      switch step {
      case .embedding(
        let bytes, let vocabulary, let multipliers, let columns, let shift, let out):
        if let bad = ids.first(where: { $0 < 0 || Int($0) >= vocabulary }) {
          throw DiagnosticError(
            "reference.token", "token \(bad) is outside the vocabulary of \(vocabulary)")
        }
        let d = width(out)
        values[out] = make(
          out,
          int32: { to in
            bytes.withInt8 {
              IntegerKernels.embedding(
                ids, table: $0, d: d, multipliers: multipliers, columns: columns, shift: shift,
                out: to)
            }
          })
        return out
      case .rmsNorm(let x, let norm, let out):
        let d = width(x)
        let from = int32(x)
        values[out] = make(
          out,
          int8: { to in
            IntegerKernels.rmsNorm(from, n: n, d: d, norm) { i, y in to[i] = Natural.sat8(y) }
          },
          int16: { to in
            IntegerKernels.rmsNorm(from, n: n, d: d, norm) { i, y in to[i] = Natural.sat16(y) }
          })
        return out
      case .linear(let x, let bytes, let linear, let out):
        let from = int16(x)
        let m = linear.rows
        values[out] = make(
          out,
          int16: { to in
            let to = SharedPointer(to)
            bytes.withInt8 { weights in
              linear.run(from, n: n, weights: weights) { t, o, y in
                to.base[t * m + o] = Natural.sat16(y)
              }
            }
          },
          int32: { to in
            let to = SharedPointer(to)
            bytes.withInt8 { weights in
              linear.run(from, n: n, weights: weights) { t, o, y in
                to.base[t * m + o] = Int32(truncatingIfNeeded: y)
              }
            }
          })
        return out
      case .rope(let x, let table, let headDim, let out):
        let d = width(x)
        let from = int16(x)
        values[out] = make(
          out,
          int16: {
            IntegerKernels.rope(
              from, n: n, width: d, headDim: headDim, position: position, table: table, out: $0)
          })
        return out
      case .kvWrite(let x, let id, let offsets, let multipliers, let shift, let limit):
        let shape = graph[id].type.shape
        let from = int16(x)
        state.tensors[id.index].withUnsafeMutableBufferPointer { cache in
          guard let cache = cache.baseAddress else { return }
          IntegerKernels.kvWrite(
            from, n: n, kvHeads: shape[0], headDim: width(x) / shape[0], pitch: shape[2],
            context: shape[1], position: position, offsets: offsets, multipliers: multipliers,
            shift: shift, limit: limit, cache: cache)
        }
        return nil
      case .attention(let q, let k, let v, let attention, let out):
        let from = int16(q)
        let (keys, rows) = (state.tensors[k.index], state.tensors[v.index])
        values[out] = make(
          out,
          int8: { to in
            let to = SharedPointer(to)
            attention.run(from, n: n, position: position, k: keys, v: rows) { i, y in
              to.base[i] = Natural.sat8(y)
            }
          },
          int16: { to in
            let to = SharedPointer(to)
            attention.run(from, n: n, position: position, k: keys, v: rows) { i, y in
              to.base[i] = Natural.sat16(y)
            }
          })
        return out
      case .lut(let x, let table, let out):
        let from = int16(x)
        values[out] = make(
          out, int16: { IntegerKernels.lut(from, count: from.count, table: table, out: $0) })
        return out
      case .mul(let a, let b, let multiplier, let shift, let out):
        let (left, right) = (int16(a), int16(b))
        values[out] = make(
          out,
          int8: { to in
            for i in left.indices {
              to[i] = Natural.sat8(IntegerKernels.product(left[i], right[i], multiplier, shift))
            }
          },
          int16: { to in
            for i in left.indices {
              to[i] = Natural.sat16(IntegerKernels.product(left[i], right[i], multiplier, shift))
            }
          })
        return out
      case .add(let a, let b, let out):
        let (left, right) = (int32(a), int32(b))
        values[out] = make(
          out, int32: { to in for i in left.indices { to[i] = left[i] &+ right[i] } })
        return out
      }
    }
  }
}

extension ByteSource {
  /// Calls `body` with the bytes as signed numbers.
  fileprivate func withInt8(_ body: (UnsafePointer<Int8>) -> Void) {
    withBytes { raw in
      raw.withMemoryRebound(to: Int8.self) { numbers in
        if let base = numbers.baseAddress { body(base) }
      }
    }
  }
}
