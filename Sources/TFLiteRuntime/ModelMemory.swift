import Containers
import NPUSim
import Support
import TensorCore

/// The memory of a model: one arena planned by the compiler, and a bank for each tensor outside it.
///
/// Memory that nobody has written holds a garbage pattern, so that a stream which reads it shows.
struct ModelMemory {
  /// Bytes of run-time tensors at most; a file that asks for more is refused.
  static let limit = 1 << 31
  /// What unwritten memory holds.
  static let garbage: UInt8 = 0xA5

  /// The tensors of each subgraph.
  private(set) var places: [[TensorPlace?]] = []
  /// The planned arena; nil for a model without a plan.
  let arena: MemoryBank?

  /// Lays the tensors of a model out.
  ///
  /// - Throws: `simulate.memory` when tensors have no size or are too large together.
  init(_ model: TFLiteModel) throws(DiagnosticError) {
    let plan = try model.offlineMemoryPlan()
    var total = 0
    func claim(_ bytes: Int, _ what: String) throws(DiagnosticError) {
      guard bytes <= Self.limit - total else {
        throw DiagnosticError(
          "simulate.memory", "\(what) brings the tensors above \(Self.limit) bytes",
          at: SourceLocation(file: model.name))
      }
      total += bytes
    }
    let fast = Self.fastScratch(of: model)
    func planned(_ graph: Int, _ tensor: Int) -> Int? {
      guard model.subgraphs[graph].tensors[tensor].data == nil, !fast[graph].contains(tensor) else {
        return nil
      }
      return plan?.offsets[graph][tensor]
    }
    var arenaBytes = 0
    for (g, graph) in model.subgraphs.enumerated() {
      for (t, tensor) in graph.tensors.enumerated() {
        guard let offset = planned(g, t), let count = tensor.byteCount else { continue }
        try claim(0, tensor.name)
        guard count <= Self.limit - offset else {
          throw DiagnosticError(
            "simulate.memory", "the plan puts \(tensor.name) beyond \(Self.limit) bytes",
            at: SourceLocation(file: model.name, element: tensor.name))
        }
        arenaBytes = max(arenaBytes, offset + count)
      }
    }
    try claim(arenaBytes, "the arena")
    let arena =
      plan == nil
      ? nil : MemoryBank(name: "arena", count: (arenaBytes + 15) & ~15, fill: Self.garbage)
    self.arena = arena
    for (g, graph) in model.subgraphs.enumerated() {
      var row: [TensorPlace?] = []
      for (t, tensor) in graph.tensors.enumerated() {
        if let data = tensor.data {
          let bytes = data.withBytes { [UInt8]($0) }
          row.append(
            TensorPlace(
              bank: MemoryBank(name: tensor.name, constant: bytes), offset: 0, count: bytes.count))
        } else if let count = tensor.byteCount {
          if let offset = planned(g, t), let arena {
            row.append(TensorPlace(bank: arena, offset: offset, count: count))
          } else {
            try claim(count, tensor.name)
            let bank = MemoryBank(name: tensor.name, count: count, fill: Self.garbage)
            row.append(TensorPlace(bank: bank, offset: 0, count: count))
          }
        } else {
          row.append(nil)
        }
      }
      places.append(row)
    }
    resetVariables(of: model)
  }

  /// Puts the tensors that live on between runs to their zero point.
  func resetVariables(of model: TFLiteModel) {
    for (g, graph) in model.subgraphs.enumerated() {
      for (t, tensor) in graph.tensors.enumerated() where tensor.isVariable {
        guard let place = places[g][t], let element = tensor.type.element else { continue }
        let zero = Int64(tensor.quantisation?.zeroPoint() ?? 0)
        let cell = (0..<element.byteCount).map {
          UInt8(truncatingIfNeeded: zero >> (8 * Int64($0)))
        }
        let count = place.count / element.byteCount
        _ = place.write((0..<count).flatMap { _ in element.isInteger ? cell : cell.map { _ in 0 } })
      }
    }
  }

  /// The fast scratch tensors: own memory beside the arena, whatever offset the plan names.
  private static func fastScratch(of model: TFLiteModel) -> [Set<Int>] {
    model.subgraphs.map { graph in
      var found: Set<Int> = []
      for op in graph.operators where op.code == TFLiteOperator.ethosU && op.inputs.count > 3 {
        if let fast = op.inputs[3], fast != op.inputs[2] { found.insert(fast) }
      }
      return found
    }
  }
}
