import GraphIR
import Reference
import Support
import TensorCore

extension QuantizationStudy {
  /// How well every tensor's integers stand for its reals: weights by their values, activations and
  /// caches on token sequences. In the order of the model.
  ///
  /// - Parameter sequences: tokens to run, each sequence from position 0.
  public func tensors(
    on sequences: [[Int32]]
  ) throws(DiagnosticError) -> [TensorFidelity] {
    let (float, integer) = try functions()
    let caches = try CacheRounding.all(in: self, integer)
    var values = [FidelitySums](repeating: FidelitySums(), count: float.operations.count)
    var stored = [FidelitySums](repeating: FidelitySums(), count: caches.count)
    let roundings = integer.operations.map { operation in
      operation.results.first.flatMap { ValueRounding(integer[$0].type) }
    }
    try run(sequences, float, integer) { index, reals, integers, scale in
      if let rounding = roundings[index] {
        for x in reals {
          values[index].add(x, rounded: rounding.rounded(x), isClipped: rounding.clips(x))
        }
      } else {
        for x in reals { values[index].add(x, rounded: x, isClipped: false) }
      }
      for i in reals.indices where i < integers.count {
        values[index].addAccumulated(Double(reals[i]) - Double(integers[i]) * Double(scale))
      }
      for (number, cache) in caches.enumerated() where cache.producer == index {
        let width = cache.steps.count
        for i in reals.indices {
          let result = cache.rounded(reals[i], channel: i % width)
          stored[number].add(reals[i], rounded: result.value, isClipped: result.isClipped)
        }
      }
    }

    var result: [TensorFidelity] = []
    var seen = Set<ConstantID>()
    for (index, operation) in integer.operations.enumerated() {
      let name = operation.provenance.source
      if operation.code == .linear || operation.code == .embedding,
        case .constant(let id) = operation.operands[1], seen.insert(id).inserted
      {
        let kind: TensorFidelity.Kind = operation.code == .linear ? .weight : .embedding
        result.append(
          try matrix(
            id, of: operation, like: float.operations[index],
            headDim: turnedHead(index, in: integer),
            name: name, kind))
      }
      if let id = operation.results.first {
        let limit =
          roundings[index].map { Double($0.limit) * Double($0.scale) }
          ?? Double(integer[id].type.quant?.scales.first ?? 0) * 0x1p31
        result.append(
          values[index].fidelity(name, .activation, limit: limit, isAccumulated: true))
      }
      for (number, cache) in caches.enumerated()
      where operation.code == .kvWrite && cache.source == name {
        result.append(
          stored[number].fidelity(
            name, .kvCache, limit: Double(cache.limit), isAccumulated: false))
      }
    }
    return result
  }

  /// Runs both forms and hands over each operation's reals, integers and their scale.
  private func run(
    _ sequences: [[Int32]], _ float: Function, _ integer: Function,
    _ body: (_ operation: Int, _ reals: [Float], _ integers: [Int32], _ scale: Float) -> Void
  ) throws(DiagnosticError) {
    let floats = try FloatInterpreter(self.float, functions: [function])
    let integers = try IntegerInterpreter(self.integer, functions: [function])
    let scored = try ScoredFunction(self.float)
    for sequence in sequences {
      var floatState = floats.makeState()
      var integerState = integers.makeState()
      let length = min(sequence.count, scored.context)
      for start in stride(from: 0, to: length, by: max(scored.batch, 1)) {
        let ids = Array(sequence[start..<min(start + max(scored.batch, 1), length)])
        var reals: [Int: [Float]] = [:]
        _ = try floats.run(
          function, ids: ids, position: start, state: &floatState,
          observer: { index, _, numbers, _ in reals[index] = Array(numbers) })
        var rounded: [(Int, ValueID, IntegerTensor)] = []
        _ = try integers.run(
          function, ids: ids, position: start, state: &integerState,
          observer: { index, value, numbers in rounded.append((index, value, numbers)) })
        for (index, value, numbers) in rounded {
          let order = turnedHead(index, in: integer)
          body(
            index, reals[index] ?? [], Self.paired(numbers.widened, headDim: order),
            integer[value].type.quant?.scales.first ?? 1)
        }
      }
    }
  }

  private func matrix(
    _ id: ConstantID, of operation: GraphIR.Operation, like reference: GraphIR.Operation,
    headDim: Int?, name: String, _ kind: TensorFidelity.Kind
  ) throws(DiagnosticError) -> TensorFidelity {
    guard case .constant(let original) = reference.operands[1],
      let reals = float[original].floats
    else {
      throw DiagnosticError(
        "quantize.operation", "its numbers are unreadable", at: SourceLocation(element: name))
    }
    let (rounded, scales) = try dequantised(id, of: operation, headDim: headDim)
    let columns = integer[id].type.shape[1]
    let factors = columnFactors(operation, count: columns)
    let limit = Float(integer[id].type.element.symmetricLimit ?? 127)
    var sums = FidelitySums()
    for i in reals.indices {
      let step = scales[i / columns] * Float(factors?[i % columns] ?? 1)
      sums.add(reals[i], rounded: rounded[i], isClipped: abs(reals[i]) > (limit + 0.5) * step)
    }
    return sums.fidelity(
      name, kind, limit: Double(limit * (scales.max() ?? 0) * Float(factors?.max() ?? 1)),
      isAccumulated: false)
  }
}
