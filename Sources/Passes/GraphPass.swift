import GraphIR
import Support

/// A rewriting of graphs: a value whose one function makes a new graph and says why it means the same.
public protocol GraphPass: Sendable {
  /// The name printed and the reason the pass exists, in one line.
  static var info: PassInfo { get }

  /// Whether it is run until it changes nothing; it must come to an end.
  var isRepeated: Bool { get }

  /// The graph rewritten. The graph given has passed the verifier.
  func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite
}

extension GraphPass {
  /// Most passes run once.
  public var isRepeated: Bool { false }
}

/// What a pass is called and does.
public struct PassInfo: Hashable, Sendable {
  /// The name, a verb phrase with dashes.
  public let name: String
  /// What it does, in one line.
  public let summary: String

  /// A name and a summary.
  public init(_ name: String, _ summary: String) {
    self.name = name
    self.summary = summary
  }
}

/// What a pass made of a graph.
public struct Rewrite: Sendable {
  /// The new graph.
  public var graph: Graph
  /// For each function that changed, by name: which operations are the old ones, from their indices
  /// before to those after.
  public var kept: [String: [Int: Int]] = [:]
  /// Why the movement operations that are gone could go.
  public var certificates: [Certificate] = []
  /// Where new constants come from.
  public var constants: [ConstantCertificate] = []
  /// What the manager has to check.
  public var proof = Proof.movement
  /// What was counted, in the order to print it.
  public var counters: [Counter] = []

  /// Why a new graph means what the old one meant, and who looks.
  public enum Proof: Hashable, Sendable {
    /// Only places of numbers changed, and each change has a certificate: `CertificateChecker`.
    case movement
    /// Only constants and norms of a residual stream changed: `CentringChecker`.
    case centring
  }

  /// Something counted.
  public struct Counter: Hashable, Sendable {
    /// What.
    public var name: String
    /// How many.
    public var count: Int
  }

  /// The graph as it is.
  public init(_ graph: Graph) { self.graph = graph }

  /// Takes the result of rewriting function `index`.
  mutating func finish(_ index: Int, _ rewriter: FunctionRewriter) -> FunctionRewriter.Finished {
    let finished = rewriter.finish()
    graph.functions[index] = finished.function
    kept[finished.function.name] = finished.kept
    return finished
  }
}
