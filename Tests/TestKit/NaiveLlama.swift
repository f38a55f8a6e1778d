import Foundation
import GraphIR
import Support
import TensorCore

/// The functions of a generated Llama as an exporter writes them that knows tensors only: heads moved in
/// front of rows and back, keys repeated for the heads that share them and transposed, rotations out
/// of slices, whole caches read as values.
public struct NaiveLlama: Sendable {
  /// How rotations are spelled.
  public enum Rotation: String, Sendable, CaseIterable {
    /// `x · cos + concat(-x[half...], x[..<half]) · sin`: Hugging Face.
    case rotateHalf
    /// `x · cos + stack(-x[1::2], x[0::2]) · sin`: GPT-J.
    case rotateEveryTwo
    /// Even and odd channels apart, joined in a new innermost axis: Meta's `apply_rotary_emb`.
    case pairs
    /// First and second halves apart, joined: GPT-NeoX and many ONNX exporters.
    case splitHalves

    /// Whether the pairs are neighbours.
    public var hasNeighbours: Bool { self == .rotateEveryTwo || self == .pairs }
    /// Whether both numbers of a pair are computed apart.
    var isApart: Bool { self == .pairs || self == .splitHalves }
  }

  /// The sizes and weights.
  public var model: RandomLlama
  /// How rotations are spelled.
  public var rotation = Rotation.rotateHalf
  /// Whether tables of angles hold every angle twice, once for each number of a pair.
  public var hasWholeTables = false
  /// Whether queries are scaled instead of scores.
  public var scalesQueries = false
  /// Whether products are of three axes, as `bmm` wants them.
  public var usesThreeAxes = false
  /// Whether keys are transposed before they are repeated.
  public var transposesFirst = false
  /// Whether activations between operations have a leading axis for batches, of one.
  public var hasBatchAxis = false
  /// Whether a table's rows are added to the scores, instead of the operation that masks.
  public var addsMask = false
  /// What such a table holds where it hides.
  public var hidden = -Float.greatestFiniteMagnitude
  /// Changes the permutation that brings a tensor's heads to the front, to break a graph in tests.
  public var headsFirst = [0, 2, 1, 3]

  /// The naive form of a model.
  public init(_ model: RandomLlama = RandomLlama()) { self.model = model }

  /// The graph with the functions `decode`, `prefill` and `score`.
  public func graph() -> Graph {
    var graph = model.graph()
    graph.name = "naive-llama"
    let canonical = graph.functions
    graph.functions = []
    // The model's own table of angles, its last constant, gives way to two.
    graph.constants.removeLast()
    let headDim = model.dim / model.heads
    var tables: [ConstantID] = []
    for (name, function) in [("rope.cos", cos as (Double) -> Double), ("rope.sin", sin)] {
      var numbers: [Float] = []
      for position in 0..<model.context {
        let half = (0..<headDim / 2).map {
          Float(function(Double(position) * pow(10000, -2 * Double($0) / Double(headDim))))
        }
        if !hasWholeTables {
          numbers += half
        } else if rotation.hasNeighbours {
          numbers += half.flatMap { [$0, $0] }
        } else {
          numbers += half + half
        }
      }
      tables.append(
        graph.addConstant(
          Constant(
            name: name,
            type: TensorType([model.context, numbers.count / model.context], .float32),
            data: ConstantData(floats: numbers))))
    }
    let mask = graph.addConstant(
      Constant(
        name: "mask", type: TensorType([model.context, model.context], .float32),
        data: ConstantData(
          floats: (0..<model.context * model.context).map {
            $0 % model.context <= $0 / model.context ? 0 : hidden
          })))
    for function in canonical {
      var exporter = Exporter(
        naive: self, graph: graph, source: function, tables: (tables[0], tables[1]),
        mask: mask)
      graph.functions.append(exporter.export())
    }
    return graph
  }
}

/// Writes one function.
private struct Exporter {
  let naive: NaiveLlama
  let graph: Graph
  let source: Function
  let tables: (cosine: ConstantID, sine: ConstantID)
  let mask: ConstantID
  var function = Function(name: "")
  var values: [ValueID: ValueID] = [:]
  var site = Provenance("")
  var rows: Int { source[source.inputs[0]].type.shape[0] }
  var headDim: Int { naive.model.dim / naive.model.heads }

  init(
    naive: NaiveLlama, graph: Graph, source: Function, tables: (ConstantID, ConstantID),
    mask: ConstantID
  ) {
    self.mask = mask
    self.naive = naive
    self.graph = graph
    self.source = source
    self.tables = tables
  }

  /// The canonical function, with rotations, cache writes and attentions spelled out.
  mutating func export() -> Function {
    function.name = source.name
    for id in source.inputs { values[id] = function.addInput(source[id].type) }
    var angles: (ValueID, ValueID)?
    for operation in source.operations {
      site = operation.provenance
      let operands = operation.operands.map { operand -> Operand in
        if case .value(let id) = operand, let new = values[id] { return .value(new) }
        return operand
      }
      switch operation.code {
      case .rope:
        let rotated = rotate(operands[0], operands[1], &angles)
        values[operation.results[0]] = merged(rotated, like: source[operation.results[0]].type)
      case .kvWrite:
        let heads = split(operands[0], naive.model.kvHeads)
        let rows = move(
          .reshape, heads, [naive.model.kvHeads, self.rows, headDim])
        function.operations.append(
          GraphIR.Operation(
            .cacheWrite, [.value(rows), operands[1], operands[2]], results: [], provenance: site))
      case .attention:
        values[operation.results[0]] = attention(
          operands, scale: operation.float("scale") ?? 1,
          like: source[operation.results[0]].type)
      case .add, .mul, .silu:
        let id = operation.results[0]
        let type = batched(source[id].type)
        values[id] = function.append(
          operation.code, operands, type: type, attributes: operation.attributes, provenance: site)
      default:
        let flat = operands.map { operand -> Operand in
          guard case .value(let id) = operand, extents(id).count == 3 else { return operand }
          return .value(move(.reshape, id, Array(extents(id).dropFirst())))
        }
        for id in operation.results {
          let made = function.append(
            operation.code, flat, type: source[id].type, attributes: operation.attributes,
            provenance: site)
          let isLast = source.results.contains(id)
          values[id] =
            naive.hasBatchAxis && !isLast ? move(.reshape, made, [1] + extents(made)) : made
        }
        if operation.results.isEmpty {
          function.operations.append(
            GraphIR.Operation(
              operation.code, operands, results: [], attributes: operation.attributes,
              provenance: site))
        }
      }
    }
    function.results = source.results.compactMap { values[$0] }
    return function
  }

  /// A type with an axis for batches, if the model has them.
  func batched(_ type: TensorType) -> TensorType {
    naive.hasBatchAxis ? TensorType(Shape([1] + type.shape.dimensions), type.element) : type
  }

  mutating func move(
    _ code: OpCode, _ x: ValueID, _ extents: [Int], _ attributes: [String: Attribute] = [:]
  ) -> ValueID { emit(code, [.value(x)], extents, attributes) }

  mutating func emit(
    _ code: OpCode, _ operands: [Operand], _ extents: [Int], _ attributes: [String: Attribute] = [:]
  ) -> ValueID {
    function.append(
      code, operands, type: TensorType(Shape(extents), .float32), attributes: attributes,
      provenance: site)
  }

  func extents(_ x: ValueID) -> [Int] { function[x].type.shape.dimensions }

  mutating func transpose(_ x: ValueID, _ order: [Int]) -> ValueID {
    let old = extents(x)
    return move(.transpose, x, order.map { old[$0] }, ["permutation": .ints(order)])
  }

  mutating func slice(_ x: ValueID, start: Int, step: Int, count: Int) -> ValueID {
    var to = extents(x)
    to[to.count - 1] = count
    return move(
      .slice, x, to, ["axis": .int(to.count - 1), "start": .int(start), "step": .int(step)])
  }

  mutating func concat(_ a: ValueID, _ b: ValueID) -> ValueID {
    var to = extents(a)
    to[to.count - 1] += extents(b)[to.count - 1]
    return emit(.concat, [.value(a), .value(b)], to, ["axis": .int(to.count - 1)])
  }

  mutating func binary(_ code: OpCode, _ a: ValueID, _ b: ValueID) -> ValueID {
    emit(code, [.value(a), .value(b)], extents(a))
  }

  /// `[n, heads*head_dim]` → `[1, heads, n, head_dim]`.
  mutating func split(_ x: Operand, _ heads: Int) -> ValueID {
    let rows = emit(.reshape, [x], [1, self.rows, heads, headDim])
    return transpose(rows, naive.headsFirst)
  }

  /// `[1, heads, n, head_dim]` → `[n, heads*head_dim]`.
  mutating func merged(_ x: ValueID, like type: TensorType) -> ValueID {
    move(.reshape, transpose(x, [0, 2, 1, 3]), batched(type).shape.dimensions)
  }

  /// Rows of a table, repeated for all heads.
  mutating func angle(_ row: ValueID, heads: Int) -> ValueID {
    let width = extents(row)[1]
    return move(
      .expand, move(.reshape, row, [1, 1, rows, width]), [1, heads, rows, width])
  }

  mutating func rotate(
    _ x: Operand, _ position: Operand, _ angles: inout (ValueID, ValueID)?
  ) -> ValueID {
    let (naive, half) = (self.naive, headDim / 2)
    if angles == nil {
      let width = graph[tables.cosine].type.shape[1]
      func rows(_ table: ConstantID, _ exporter: inout Exporter) -> ValueID {
        var row = exporter.emit(
          .positionRows, [position, .constant(table)], [exporter.rows, width])
        if !naive.rotation.isApart, width == half {
          if naive.rotation.hasNeighbours {
            row = exporter.move(.reshape, row, [exporter.rows, half, 1])
            row = exporter.move(.expand, row, [exporter.rows, half, 2])
            row = exporter.move(.reshape, row, [exporter.rows, 2 * half])
          } else {
            row = exporter.concat(row, row)
          }
        } else if naive.rotation.isApart, width != half {
          row = exporter.slice(
            row, start: 0, step: naive.rotation.hasNeighbours ? 2 : 1, count: half)
        }
        return row
      }
      angles = (rows(tables.cosine, &self), rows(tables.sine, &self))
    }
    guard let angles, case .value(let source) = x else { return ValueID(0) }
    let heads = (extents(source).last ?? 0) / headDim
    let split = split(x, heads)
    let (cosine, sine) = (angle(angles.0, heads: heads), angle(angles.1, heads: heads))
    func part(_ second: Bool, _ exporter: inout Exporter) -> ValueID {
      naive.rotation.hasNeighbours
        ? exporter.slice(split, start: second ? 1 : 0, step: 2, count: half)
        : exporter.slice(split, start: second ? half : 0, step: 1, count: half)
    }
    let (a, b) = (part(false, &self), part(true, &self))
    // Two tensors as neighbours of a new innermost axis, which then goes.
    func stacked(_ a: ValueID, _ b: ValueID, _ exporter: inout Exporter) -> ValueID {
      let column = exporter.extents(a) + [1]
      let both = exporter.concat(
        exporter.move(.reshape, a, column), exporter.move(.reshape, b, column))
      return exporter.move(.reshape, both, [1, heads, exporter.rows, 2 * half])
    }
    if naive.rotation.isApart {
      let first = binary(
        .add, binary(.mul, a, cosine),
        move(.negate, binary(.mul, b, sine), extents(b)))
      let second = binary(.add, binary(.mul, a, sine), binary(.mul, b, cosine))
      return naive.rotation.hasNeighbours ? stacked(first, second, &self) : concat(first, second)
    }
    let negative = move(.negate, b, extents(b))
    let swapped =
      naive.rotation.hasNeighbours ? stacked(negative, a, &self) : concat(negative, a)
    return binary(.add, binary(.mul, split, cosine), binary(.mul, swapped, sine))
  }

  /// A whole cache, repeated for the heads that share it: `[1, heads, context, head_dim]`, or its
  /// last two axes swapped.
  mutating func repeated(_ cache: Operand, transposed: Bool) -> ValueID {
    let (kvHeads, heads, context) = (naive.model.kvHeads, naive.model.heads, naive.model.context)
    var x = emit(.cacheRead, [cache], [kvHeads, context, headDim])
    x = move(.reshape, x, [1, kvHeads, context, headDim])
    let isFirst = transposed && naive.transposesFirst
    if isFirst { x = transpose(x, [0, 1, 3, 2]) }
    if heads != kvHeads {
      let inner = Array(extents(x)[2...])
      x = move(.reshape, x, [1, kvHeads, 1] + inner)
      x = move(.expand, x, [1, kvHeads, heads / kvHeads] + inner)
      x = move(.reshape, x, [1, heads] + inner)
    }
    return transposed && !isFirst ? transpose(x, [0, 1, 3, 2]) : x
  }

  mutating func attention(
    _ operands: [Operand], scale: Double, like type: TensorType
  ) -> ValueID {
    let (heads, context) = (naive.model.heads, naive.model.context)
    func flat(_ x: ValueID, _ exporter: inout Exporter) -> ValueID {
      exporter.naive.usesThreeAxes
        ? exporter.move(.reshape, x, Array(exporter.extents(x).dropFirst())) : x
    }
    var q = split(operands[0], heads)
    if naive.scalesQueries { q = move(.scale, q, extents(q), ["scale": .float(scale)]) }
    let keys = repeated(operands[2], transposed: true)
    let values = repeated(operands[3], transposed: false)
    let leading = naive.usesThreeAxes ? [heads] : [1, heads]
    let (left, right) = (flat(q, &self), flat(keys, &self))
    var scores = emit(.matmul, [.value(left), .value(right)], leading + [rows, context])
    if naive.usesThreeAxes { scores = move(.reshape, scores, [1, heads, rows, context]) }
    if !naive.scalesQueries {
      scores = move(.scale, scores, extents(scores), ["scale": .float(scale)])
    }
    if naive.addsMask {
      let row = emit(.positionRows, [operands[1], .constant(mask)], [rows, context])
      let all = move(
        .expand, move(.reshape, row, [1, 1, rows, context]), [1, heads, rows, context])
      scores = binary(.add, scores, all)
    } else {
      scores = emit(.causalMask, [.value(scores), operands[1]], extents(scores))
    }
    let weights = move(.softmax, scores, extents(scores))
    let (shares, rest) = (flat(weights, &self), flat(values, &self))
    var result = emit(.matmul, [.value(shares), .value(rest)], leading + [rows, headDim])
    if naive.usesThreeAxes { result = move(.reshape, result, [1, heads, rows, headDim]) }
    return merged(result, like: type)
  }
}
