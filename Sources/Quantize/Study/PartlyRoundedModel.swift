import GraphIR
import Reference
import Support
import TensorCore

/// A float model in which only some stages are rounded as the integer graph rounds them.
public struct PartlyRoundedModel: LogitModel, Sendable {
  private let interpreter: FloatInterpreter
  private let scored: ScoredFunction
  private var state: FloatState
  /// By operation, what happens to its result.
  private let effects: [Effect]

  /// What happens to one operation's result.
  private struct Effect: Sendable {
    var rounding: ValueRounding?
    var cache: CacheRounding?
    /// The table that replaces an activation function, and its scales.
    var table: (entries: [UInt32], input: ValueRounding, output: Float)?
    /// Whether a table reads this result, so that it must be kept.
    var isKept = false
  }

  /// A model of a study's graph that rounds the given stages.
  init(_ study: QuantizationStudy, rounding stages: Set<RoundingStage>) throws(DiagnosticError) {
    let (float, integer) = try study.functions()
    var graph = study.float
    var function = float
    var effects = [Effect](repeating: Effect(), count: float.operations.count)
    var producers: [ValueID: Int] = [:]
    for (index, operation) in float.operations.enumerated() {
      for id in operation.results { producers[id] = index }
    }
    /// Puts the integer graph's numbers in place of a float constant.
    func replace(_ index: Int, operand: Int, _ floats: [Float]) {
      guard case .constant(let id) = float.operations[index].operands[operand] else { return }
      let new = graph.addConstant(
        Constant(
          name: "\(graph[id].name)/rounded\(index)",
          type: TensorType(graph[id].type.shape, .float32), data: ConstantData(floats: floats)))
      function.operations[index].operands[operand] = .constant(new)
    }
    for (index, operation) in integer.operations.enumerated() {
      if stages.contains(.activations), let id = operation.results.first {
        effects[index].rounding = ValueRounding(integer[id].type)
      }
      switch operation.code {
      case .linear where stages.contains(.weights), .embedding where stages.contains(.embeddings):
        guard case .constant(let id) = operation.operands[1] else { continue }
        let headDim = study.turnedHead(index, in: integer)
        replace(
          index, operand: 1, try study.dequantised(id, of: operation, headDim: headDim).values)
      case .rope where stages.contains(.tables):
        guard case .constant(let id) = operation.operands[2],
          let scale = study.integer[id].type.quant?.scales.first,
          let values = study.integer[id].data?.integers(
            Int16.self, count: study.integer[id].type.shape.count)
        else { continue }
        replace(
          index, operand: 2,
          QuantizationStudy.paired(
            values.map { Float($0) * scale }, headDim: study.turnedHead(index, in: integer)))
      case .lut where stages.contains(.tables):
        guard case .value(let x) = operation.operands[0], let result = operation.results.first,
          case .constant(let id) = operation.operands[1], let producer = producers[x],
          let entries = study.integer[id].data?.integers(UInt32.self, count: 512),
          let input = ValueRounding(integer[x].type),
          let output = integer[result].type.quant?.scales.first
        else { continue }
        effects[index].table = (entries, input, output)
        effects[producer].isKept = true
      default: continue
      }
    }
    for cache in try CacheRounding.all(in: study, integer) where stages.contains(cache.stage) {
      effects[cache.producer].cache = cache
    }
    graph.functions = [function]
    self.effects = effects
    interpreter = try FloatInterpreter(graph, functions: [study.function])
    scored = try ScoredFunction(graph)
    state = interpreter.makeState()
  }

  public var batch: Int { scored.batch }
  public var vocabulary: Int { scored.vocabulary }
  public var context: Int { scored.context }
  public mutating func restart() { state = interpreter.makeState() }

  public mutating func logits(
    _ ids: [Int32], at position: Int
  ) throws(DiagnosticError) -> [Float] {
    var kept: [ValueID: [Float]] = [:]
    let effects = effects
    let function = interpreter.graph.functions[0]
    return try interpreter.run(
      scored.name, ids: ids, position: position, state: &state,
      transform: { index, value, numbers, _ in
        let effect = effects[index]
        if let table = effect.table,
          case .value(let x)? = function.operations[index].operands.first,
          let input = kept.removeValue(forKey: x), input.count == numbers.count
        {
          for i in numbers.indices {
            let steps = (table.input.rounded(input[i]) / table.input.scale).rounded()
            numbers[i] = Float(Self.lookUp(Int32(steps), table.entries)) * table.output
          }
        }
        if let rounding = effect.rounding {
          for i in numbers.indices { numbers[i] = rounding.rounded(numbers[i]) }
        }
        if let cache = effect.cache {
          let width = cache.steps.count
          for i in numbers.indices {
            numbers[i] = cache.rounded(numbers[i], channel: i % width).value
          }
        }
        if effect.isKept { kept[value] = Array(numbers) }
      })
  }

  /// The 16-bit interpolating look-up (`Docs/Numerics.md`, `lut`).
  private static func lookUp(_ x: Int32, _ entries: [UInt32]) -> Int32 {
    let entry = entries[Int((x + 32768) >> 7) & 511]
    let base = Int32(Int16(truncatingIfNeeded: entry))
    let slope = Int32(Int16(truncatingIfNeeded: entry >> 16))
    return min(max(base + ((slope * (x & 127) + 64) >> 7), -32768), 32767)
  }
}
