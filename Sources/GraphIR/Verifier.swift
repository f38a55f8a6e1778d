import Support
import TensorCore

/// Holds a graph to the rules of the representation.
///
/// Rules are named; each is a function of its own and has a failing case among the tests. They run in
/// stages: what a later stage relies on (an operand that exists, an operand list of the right kinds)
/// an earlier one has checked, and a stage with problems is the last.
public struct Verifier {
  /// The rules, in the order they run. The raw value is the diagnostic code after `verify.`.
  public enum Rule: String, Sendable, CaseIterable {
    /// Names of constants, of states and of functions are unique and not empty.
    case uniqueNames = "unique-names"
    /// Every ID of an operand, input or result is of something that exists.
    case references
    /// Extents are positive, quantisation fits shape and element type.
    case types
    /// A constant's data fits its type.
    case constantData = "constant-data"
    /// Every value is defined exactly once: as an input or as a result.
    case singleDefinition = "single-definition"
    /// Operands and function results are defined before they are used.
    case dominance
    /// An operation says where it comes from.
    case provenance
    /// An operation exists in the form (float or integer) it is used in.
    case form
    /// An operation has as many operands and results as its definition says.
    case operandCount = "operand-count"
    /// Operands come from where the definition says: value, constant or state.
    case operandKinds = "operand-kinds"
    /// Required attributes are present, of the right kind and in range; there are no others.
    case attributes
    /// Element types are those of the float form or those `Docs/Numerics.md` gives the integer form.
    case elementTypes = "element-types"
    /// Shapes of operands and results fit together.
    case shapes
    /// Integer tensors have the scales the integer form needs.
    case quantisation
    /// Attention reads what its function has written before; keys and values have caches of their own.
    case stateUse = "state-use"
  }

  /// The graph under test.
  let graph: Graph
  private(set) var problems: [Diagnostic] = []

  /// Everything wrong with a graph, at most about 100 problems; empty for a sound one.
  public static func problems(in graph: Graph) -> [Diagnostic] {
    var verifier = Verifier(graph: graph)
    verifier.run()
    return verifier.problems
  }

  /// Throws everything wrong with a graph, with codes `verify.<rule>`.
  public static func verify(_ graph: Graph) throws(DiagnosticError) {
    let problems = problems(in: graph)
    if !problems.isEmpty { throw DiagnosticError(problems) }
  }

  private init(graph: Graph) { self.graph = graph }

  private mutating func run() {
    typealias GraphRule = (inout Verifier) -> Void
    typealias FunctionRule = (inout Verifier, Function) -> Void
    typealias OperationRule = (inout Verifier, VerifiedOperation) -> Void
    let graphRules: [GraphRule] = [
      { $0.checkUniqueNames() }, { $0.checkTypes() }, { $0.checkConstantData() },
    ]
    let functionRules: [FunctionRule] = [
      { $0.checkReferences($1) }, { $0.checkSingleDefinition($1) }, { $0.checkDominance($1) },
    ]
    let operationStages: [[OperationRule]] = [
      [{ $0.checkProvenance($1) }, { $0.checkOperandCount($1) }, { $0.checkOperandKinds($1) }],
      [{ $0.checkForm($1) }, { $0.checkFormOperands($1) }, { $0.checkAttributes($1) }],
      [{ $0.checkElementTypes($1) }, { $0.checkShapes($1) }],
      [{ $0.checkQuantisation($1) }],
    ]
    for rule in graphRules {
      rule(&self)
      if isFull { return }
    }
    guard problems.isEmpty else { return }
    for rule in functionRules {
      for function in graph.functions { rule(&self, function) }
      guard problems.isEmpty else { return }
    }
    for stage in operationStages {
      for function in graph.functions {
        for (index, operation) in function.operations.enumerated() {
          let verified = VerifiedOperation(
            graph: graph, function: function, index: index, operation: operation)
          for rule in stage { rule(&self, verified) }
          if isFull { return }
        }
      }
      guard problems.isEmpty else { return }
    }
    for function in graph.functions { checkStateUse(function) }
  }

  private var isFull: Bool { problems.count >= 100 }

  /// Records a problem.
  mutating func report(_ rule: Rule, _ message: String, in element: String) {
    problems.append(
      Diagnostic(
        "verify.\(rule.rawValue)", message, at: SourceLocation(file: nil, element: element),
        notes: []))
  }

  /// Records a problem of one operation.
  mutating func report(_ rule: Rule, _ message: String, in verified: VerifiedOperation) {
    report(rule, message, in: verified.name)
  }
}

/// An operation with what surrounds it.
struct VerifiedOperation {
  let graph: Graph
  let function: Function
  let index: Int
  let operation: Operation

  /// How messages name it.
  var name: String {
    "function @\(function.name), operation \(index) (\(operation.code.rawValue))"
  }

  /// The type of operand `i`.
  func type(_ i: Int) -> TensorType { graph.type(of: operation.operands[i], in: function) }

  /// The shape of operand `i`.
  func shape(_ i: Int) -> Shape { type(i).shape }

  /// The type of the first result; that of the first operand for operations without one.
  var result: TensorType {
    operation.results.first.map { function[$0].type } ?? type(0)
  }

  /// The form it is used in, told by the element type of one operand.
  var form: OpDefinition.Form {
    type(operation.code.definition.formOperand).element.isInteger ? .integer : .float
  }

  /// The operand list of its form.
  var signature: OpDefinition.Signature? { operation.code.definition.signature(form) }

  /// The parameter that operand `i` stands for.
  func parameter(_ i: Int) -> OpDefinition.Parameter? {
    guard let signature else { return nil }
    let all = signature.operands + signature.optional
    return all.indices.contains(i) ? all[i] : nil
  }
}
