import ProgramFormat
import Quantize
import Session
import Support

/// A compiled program, running on the simulator, as a model of text.
public struct CompiledLogitModel: LogitModel, CycleCounting {
  private let session: LanguageSession

  /// The model of a package.
  ///
  /// Throws `DiagnosticError` when its conversations start with a prefix, whose predictions are not those
  /// of a text alone, and when the runtime or the simulator refuses it.
  public init(_ program: Program) throws(DiagnosticError) {
    guard program.manifest.position.prefixTokens == 0 else {
      throw DiagnosticError(
        "evaluate.prefix",
        "the package starts every text with \(program.manifest.position.prefixTokens) tokens of its own",
        wayOut: "a package compiled without --prefix")
    }
    session = try LanguageSession(program)
  }

  public var batch: Int { 1 }
  public var vocabulary: Int { session.program.manifest.model.vocabulary }
  public var context: Int { session.program.manifest.model.context }
  public var cycles: (npu: Int, cpu: Int) {
    (session.counters.npuCycles, session.counters.cpuCycles)
  }

  public mutating func restart() {
    session.reset()
    session.resetCounters()
  }

  public mutating func logits(
    _ ids: [Int32], at position: Int
  ) throws(DiagnosticError) -> [Float] {
    let scale = session.program.manifest.logits.scale
    var rows: [Float] = []
    for id in ids {
      try session.decode(id)
      rows.append(contentsOf: session.logits.lazy.map { Float($0) * scale })
    }
    return rows
  }
}
