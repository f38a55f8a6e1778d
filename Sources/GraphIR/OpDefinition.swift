/// What an operation's operand, result and attribute lists look like; the verifier holds every
/// operation to it.
public struct OpDefinition: Sendable {
  /// Where an operand comes from.
  public enum Kind: String, Sendable {
    case value, constant, state
  }

  /// One operand: its name in messages and where it comes from.
  public struct Parameter: Sendable {
    public let name: String
    public let kind: Kind
  }

  /// Whether numbers are floats or integers with scales.
  public enum Form: String, Sendable {
    case float, integer
  }

  /// One form of an operation.
  public struct Signature: Sendable {
    /// Operands that must be there.
    public let operands: [Parameter]
    /// Operands that may follow, all or none.
    public let optional: [Parameter]
    /// Integer attributes that must be there.
    public let integers: [String]
    /// Real attributes that must be there.
    public let reals: [String]
    /// Attributes that are lists of integers and must be there.
    public let lists: [String]
    /// Attributes of 0 or 1 that may be there; 0 is meant where they are not.
    public let flags: [String]
  }

  /// The operand whose element type tells the form.
  public let formOperand: Int
  /// How many values it defines.
  public let resultCount: Int
  /// The float form; nil when there is none.
  public let float: Signature?
  /// The integer form of `Docs/Numerics.md`; nil when there is none.
  public let integer: Signature?

  /// The signature of a form.
  public func signature(_ form: Form) -> Signature? { form == .float ? float : integer }
}

extension OpCode {
  /// The operation's definition.
  public var definition: OpDefinition {
    switch self {
    case .embedding:
      define(
        formOperand: 1, float: signature("ids", "@table"),
        integer: signature(
          "ids", "@table", "@row_multiplier", optional: ["@column_factor"], integers: ["shift"]))
    case .rmsNorm:
      define(
        float: signature("x", "@gamma", reals: ["eps"]),
        integer: signature(
          "x", "@gamma",
          integers: ["form", "eps_q", "root_shift", "row_shift", "multiplier", "shift"]))
    case .layerNorm:
      define(float: signature("x", "@gamma", "@beta", reals: ["eps"]), integer: nil)
    case .linear:
      define(
        float: signature("x", "@weights", optional: ["@bias"]),
        integer: signature("x", "@weights", optional: ["@bias"]))
    case .rope:
      define(
        float: signature("x", "pos", "@table", integers: ["head_dim"]),
        integer: signature("x", "pos", "@table", integers: ["head_dim"]))
    case .kvWrite:
      define(
        results: 0, float: signature("x", "pos", "$cache"),
        integer: signature("x", "pos", "$cache", "@offset", "@multiplier", integers: ["shift"]))
    case .attention:
      define(
        float: signature(
          "q", "pos", "$k", "$v", integers: ["heads", "kv_heads", "head_dim"], reals: ["scale"]),
        integer: signature(
          "q", "pos", "$k", "$v",
          integers: [
            "heads", "kv_heads", "head_dim", "score_shift", "multiplier", "shift",
          ]))
    case .silu: define(float: signature("x"), integer: nil)
    case .gelu: define(float: signature("x", flags: ["exact"]), integer: nil)
    case .lut: define(float: nil, integer: signature("x", "@table"))
    case .mul:
      define(
        float: signature("a", "b"), integer: signature("a", "b", integers: ["multiplier", "shift"]))
    case .add: define(float: signature("a", "b"), integer: signature("a", "b"))
    case .reshape, .expand, .negate, .softmax: define(float: signature("x"), integer: nil)
    case .transpose: define(float: signature("x", lists: ["permutation"]), integer: nil)
    case .slice:
      define(float: signature("x", integers: ["axis", "start", "step"]), integer: nil)
    case .concat: define(float: signature("a", "b", integers: ["axis"]), integer: nil)
    case .matmul: define(float: signature("a", "b"), integer: nil)
    case .scale: define(float: signature("x", reals: ["scale"]), integer: nil)
    case .causalMask: define(float: signature("x", "pos"), integer: nil)
    case .positionRows: define(formOperand: 1, float: signature("pos", "@table"), integer: nil)
    case .cacheWrite:
      define(results: 0, float: signature("x", "pos", "$cache"), integer: nil)
    case .cacheRead: define(float: signature("$cache"), integer: nil)
    }
  }

  private func define(
    formOperand: Int = 0, results: Int = 1, float: OpDefinition.Signature?,
    integer: OpDefinition.Signature?
  ) -> OpDefinition {
    OpDefinition(formOperand: formOperand, resultCount: results, float: float, integer: integer)
  }

  /// A signature of operands written as in the textual form: `@` a constant, `$` a state.
  private func signature(
    _ operands: String..., optional: [String] = [], integers: [String] = [], reals: [String] = [],
    lists: [String] = [], flags: [String] = []
  ) -> OpDefinition.Signature {
    func parameter(_ text: String) -> OpDefinition.Parameter {
      switch text.first {
      case "@": OpDefinition.Parameter(name: String(text.dropFirst()), kind: .constant)
      case "$": OpDefinition.Parameter(name: String(text.dropFirst()), kind: .state)
      default: OpDefinition.Parameter(name: text, kind: .value)
      }
    }
    return OpDefinition.Signature(
      operands: operands.map(parameter), optional: optional.map(parameter), integers: integers,
      reals: reals, lists: lists, flags: flags)
  }
}
