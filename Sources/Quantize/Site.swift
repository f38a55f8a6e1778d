import GraphIR

/// A place in the model that all its functions share: the same operation in `decode`, `prefill` and
/// `score` is one site, and its result has one scale.
public struct Site: Hashable, Sendable, CustomStringConvertible {
  /// The provenance of the operation.
  public var source: String
  /// What it does.
  public var code: OpCode
  /// Which one it is among those of equal source and code in its function.
  public var occurrence: Int

  /// The sites of a function's operations, in order.
  public static func sites(of function: Function) -> [Site] {
    var seen: [Site: Int] = [:]
    return function.operations.map { operation in
      var site = Site(source: operation.provenance.source, code: operation.code, occurrence: 0)
      let count = seen[site, default: 0]
      seen[site] = count + 1
      site.occurrence = count
      return site
    }
  }

  /// The source, the code and, past the first, the occurrence.
  public var description: String {
    "\(source):\(code.rawValue)" + (occurrence == 0 ? "" : "#\(occurrence)")
  }
}
