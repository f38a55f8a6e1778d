import Codegen
import Foundation
import GraphIR
import ProgramFormat
import Quantize
import Support
import TargetModel
import TensorCore
import TestKit
import Testing

@testable import Analysis

/// A mistake put into a quantised graph on purpose, with the stage and tensor that must be named.
enum SeededFault: CaseIterable, CustomTestStringConvertible {
  /// One output channel's scale is half as large as it should be.
  case wrongScale
  /// Two tensors of one shape stand in each other's place.
  case swappedTensor
  /// One entry of an activation table is off by one.
  case tableEntry

  var testDescription: String {
    switch self {
    case .wrongScale: "one wrong scale"
    case .swappedTensor: "one swapped tensor"
    case .tableEntry: "one table entry off by one"
    }
  }

  /// The stage `Bisection` must name.
  var stage: BisectStage {
    switch self {
    case .wrongScale: .scales
    case .swappedTensor: .weights
    case .tableEntry: .tables
    }
  }

  /// Puts the fault into the middle layer and returns the name of what it hit.
  func apply(to graph: inout Graph) throws -> String {
    let decode = try #require(graph.function("decode"))
    let linears = decode.operations.filter { $0.code == .linear }
    func weight(_ operation: GraphIR.Operation) throws -> ConstantID {
      guard case .constant(let id) = operation.operands[1] else {
        throw DiagnosticError("test.operand", "no constant")
      }
      return id
    }
    let tables = decode.operations.filter { $0.code == .lut }
    let middle = tables.count / 2
    switch self {
    case .wrongScale:
      // The feed-forward's last layer is the seventh of a block.
      let operation = linears[middle * 7 + 6]
      let id = try weight(operation)
      graph[id].type.quant?.scales[5] /= 2
      return operation.provenance.source
    case .swappedTensor:
      let pair = linears[(middle * 7)..<(middle * 7 + 7)].filter {
        graph.type(of: $0.operands[1], in: decode).shape
          == graph.type(of: linears[middle * 7 + 4].operands[1], in: decode).shape
      }
      try #require(pair.count >= 2)
      let (one, two) = (try weight(pair[0]), try weight(pair[1]))
      (graph[one].data, graph[two].data) = (graph[two].data, graph[one].data)
      return pair[0].provenance.source
    case .tableEntry:
      let operation = tables[middle]
      guard case .constant(let id) = operation.operands[1] else {
        throw DiagnosticError("test.operand", "no constant")
      }
      var entries = try #require(graph[id].data?.integers(UInt32.self, count: 512))
      // An entry next to zero, where activations are; low half: the base.
      entries[257] = entries[257] & 0xFFFF_0000 | (entries[257] &+ 1) & 0xFFFF
      graph[id].data = ConstantData(
        bytes: ByteSource(entries.map(\.littleEndian).withUnsafeBytes(Array.init)),
        encoding: .dense(.uint32))
      return operation.provenance.source + ": table"
    }
  }
}

/// Compiles a quantised graph for a part.
func compiled(_ graph: Graph, target name: String = "alif-e7-hp") throws -> Program {
  let target = try TargetFile.load(
    String(
      contentsOf: SharedData.checkout.appendingPathComponent("Targets/\(name).yaml"),
      encoding: .utf8), file: name)
  return try ProgramCompiler(target: target).compile(
    graph,
    facts: ProgramCompiler.ModelFacts(
      name: "test", architecture: "llama", parameters: 0, quant: "w8a16", bos: nil, eos: nil,
      tokenizer: []))
}

/// The figures of a program against its float graph, as a gate sees them.
func figures(
  _ program: Program, _ float: FloatLogitModel, _ windows: [[Int32]]
) throws -> MeasuredFigures {
  let records: [WindowRecord] = try RecordPool.run(windows.count, workers: 2) {
    () throws(DiagnosticError) in
    var meter = WindowMeter(try CompiledLogitModel(program), reference: float)
    return { index throws(DiagnosticError) in try meter.measure(windows[index], index: index) }
  }
  let text = try #require(TextFigures(records))
  let comparison = try #require(text.comparison)
  var measured = MeasuredFigures()
  measured.figures[.perplexity] = text.perplexity
  measured.figures[.kldMean] = comparison.meanDivergence
  measured.figures[.kldMedian] = comparison.medianDivergence
  measured.figures[.kldP999] = comparison.divergence999
  measured.figures[.sameTop1] = comparison.sameTop1
  measured.figures[.npuCyclesPerToken] = text.npuCyclesPerToken.map { Estimate($0) }
  measured.checksum = text.checksum
  return measured
}
