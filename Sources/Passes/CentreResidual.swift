import GraphIR
import Support

/// Turns layer norms into RMS norms at no cost, where they read a residual stream.
///
/// What is added up in the stream loses its mean over the channels: rows of the embedding, weights and biases of
/// linear layers. A layer norm of a row without a mean is an RMS norm times `gamma`, plus `beta`; and `beta`
/// goes into the biases of the linear layers that read it. A head that shares the embedding's table keeps
/// the table as it was, because it reads norms, not the stream; where every channel's `gamma` is the same number, norms
/// have no mean either, and head and embedding go on sharing.
///
/// This changes numbers, not their places, so it has a proof of its own: `CentringChecker`. Layer norms that do
/// not read such a stream, or whose constants have no numbers, stay.
public struct CentreResidual: GraphPass {
  public static let info = PassInfo(
    "centre-residual", "layer norms become RMS norms over a residual stream without a mean")

  /// The pass.
  public init() {}

  public func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
    var rewrite = Rewrite(graph)
    var constants = CentredConstants()
    var norms: Set<ConstantID> = []
    var writers: Set<ConstantID> = []
    var shared: Set<ConstantID> = []
    for (index, function) in graph.functions.enumerated() {
      let streams = ResidualStream.streams(of: function).filter {
        Self.hasNumbers($0, function, graph)
      }
      guard !streams.isEmpty else { continue }
      let changed = Self.centred(function, streams, &constants, &rewrite.graph)
      rewrite.graph.functions[index] = changed
      rewrite.kept[function.name] = Dictionary(
        uniqueKeysWithValues: function.operations.indices.map { ($0, $0) })
      for stream in streams {
        for place in stream.norms { norms.formUnion(Self.constants(function.operations[place], 1)) }
        for place in stream.writers {
          let old = Self.constants(function.operations[place], 1)
          writers.formUnion(old)
          guard function.operations[place].code == .embedding else { continue }
          let readers = changed.operations.filter { $0.code == .linear }
          shared.formUnion(old.filter { id in readers.contains { Self.constants($0, 1) == [id] } })
        }
      }
    }
    guard !norms.isEmpty else { return rewrite }
    rewrite.proof = .centring
    rewrite.counters = [
      .init(name: "layer norms made RMS norms", count: norms.count),
      .init(name: "weights centred", count: writers.count),
      .init(name: "embedding split from the head", count: shared.count),
    ]
    return rewrite
  }

  /// The constant that an operation reads as its operand `place`, if it has one.
  private static func constants(
    _ operation: GraphIR.Operation, _ place: Int
  ) -> Set<ConstantID> {
    guard operation.operands.indices.contains(place),
      case .constant(let id) = operation.operands[place]
    else { return [] }
    return [id]
  }

  /// Whether all constants that have to change or move have numbers.
  private static func hasNumbers(
    _ stream: ResidualStream, _ function: Function, _ graph: Graph
  ) -> Bool {
    let normed = Set(stream.norms.flatMap { function.operations[$0].results })
    let touched = function.operations.indices.filter { index in
      stream.norms.contains(index) || stream.writers.contains(index)
        || function.operations[index].operands.contains {
          if case .value(let id) = $0 { normed.contains(id) } else { false }
        }
    }
    return touched.allSatisfy { index in
      function.operations[index].operands.allSatisfy {
        if case .constant(let id) = $0 { graph[id].data != nil } else { true }
      }
    }
  }

  /// What a layer norm leaves to those who read it.
  private struct Norm {
    /// Its shift; nil when it is zero.
    var beta: ConstantID?
    /// Whether all channels have the same factor, so that the result has no mean.
    var isEven: Bool
  }

  private static func centred(
    _ function: Function, _ streams: [ResidualStream], _ constants: inout CentredConstants,
    _ graph: inout Graph
  ) -> Function {
    var changed = function
    var norms: [ValueID: Norm] = [:]
    var tables: [ConstantID: ConstantID] = [:]
    let writers = streams.reduce(into: Set<Int>()) { $0.formUnion($1.writers) }
    for place in streams.flatMap(\.norms) {
      let operation = function.operations[place]
      guard let value = operation.results.first, case .constant(let gamma) = operation.operands[1],
        case .constant(let beta) = operation.operands[2],
        let factors = graph[gamma].floats,
        let shifts = graph[beta].floats
      else { continue }
      norms[value] = Norm(
        beta: shifts.contains { $0 != 0 } ? beta : nil,
        isEven: factors.allSatisfy { $0 == factors[0] })
      changed.operations[place].code = .rmsNorm
      changed.operations[place].operands.removeLast()
    }
    for place in writers where function.operations[place].code == .embedding {
      guard case .constant(let table) = function.operations[place].operands[1],
        let new = constants.rows(table, in: &graph)
      else { continue }
      tables[table] = new
      changed.operations[place].operands[1] = .constant(new)
    }
    for (place, operation) in function.operations.enumerated() where operation.code == .linear {
      guard case .value(let x) = operation.operands[0],
        case .constant(let weights) = operation.operands[1]
      else { continue }
      let isCentred = writers.contains(place)
      let norm = norms[x]
      var bias: ConstantID?
      if operation.operands.count > 2, case .constant(let id) = operation.operands[2] { bias = id }
      if isCentred, let new = constants.columns(weights, in: &graph) {
        changed.operations[place].operands[1] = .constant(new)
      } else if norm?.isEven == true, let new = tables[weights] {
        changed.operations[place].operands[1] = .constant(new)
      }
      guard norm?.beta != nil || (isCentred && bias != nil),
        let new = constants.bias(
          bias, weights: weights, beta: norm?.beta, isCentred: isCentred, in: &graph)
      else { continue }
      changed.operations[place].operands =
        changed.operations[place].operands.prefix(2) + [
          .constant(new)
        ]
    }
    return changed
  }
}
