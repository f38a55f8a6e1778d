import GraphIR
import TensorCore

/// Attention spelled out: `softmax(mask(scale · q kᵀ)) v` with keys and values read from caches.
struct AttentionMatch {
  /// What is read, with the view that says in which order.
  var query, key, value: Part
  /// The position.
  var position: Operand
  /// The table of numbers added to the scores, where that is what masks them.
  var mask: (table: ConstantID, part: Part)?
  /// The caches.
  var keys, values: StateID
  /// Sizes.
  var heads, kvHeads, rows, headDim: Int
  /// What scores are multiplied with.
  var scale: Double
  /// The order of channels that queries and keys share.
  var channels: IndexMap
  /// The product that the attention replaces, and its source in the user's file.
  var result: ValueID
  var site: Provenance
  /// Movement between the products that only renames axes.
  var renames: [Part]

  /// An operand of a product.
  struct Part {
    var entry: ValueID
    var view: View
  }

  /// From elements of the product `[heads, rows, head_dim]` to those of the result `[rows, heads*head_dim]`.
  var order: IndexMap {
    IndexMap(extents: [heads, rows, headDim], strides: [headDim, heads * headDim, 1])
  }

  /// The attention that a matrix product ends, or why there is none.
  static func find(
    _ operation: GraphIR.Operation, in views: Views
  ) -> Result<AttentionMatch, Refusal> {
    func no(_ reason: String) -> Result<AttentionMatch, Refusal> {
      .failure(Refusal(reason: reason))
    }
    guard operation.code == .matmul, let result = operation.results.first else {
      return no("is no matrix product")
    }
    var renames: [Part] = []
    // An operand that differs from its source by its shape alone.
    func plain(_ operand: Operand) -> Operand? {
      let view = views.view(operand)
      guard view.map.isIdentity else { return nil }
      if case .value(let entry) = operand, !view.path.isEmpty {
        renames.append(Part(entry: entry, view: view))
      }
      return view.source
    }
    guard let weights = plain(operation.operands[0]),
      let softmax = views.definition(weights, .softmax)
    else { return no("its first operand is no softmax in the order of its scores") }
    var scale = 1.0
    // What hides later positions: an operation, or rows of a table that are added.
    var mask: (shape: [Int], position: Operand, table: (ConstantID, Part)?)?
    var scores = softmax.operands[0]
    var product: GraphIR.Operation?
    while product == nil {
      guard case .value(let id)? = plain(scores), let step = views.definition(id) else {
        return no("its scores are moved before the softmax")
      }
      switch step.code {
      case .scale:
        scale *= step.float("scale") ?? 1
        scores = step.operands[0]
      case .causalMask where mask == nil:
        mask = (views.shape(step.operands[0]).dimensions, step.operands[1], nil)
        scores = step.operands[0]
      case .add where mask == nil && scale == 1:
        guard let added = addedMask(step, views) else {
          return no("what is added to its scores is no causal mask")
        }
        mask = (views.shape(step.operands[0]).dimensions, added.position, (added.table, added.part))
        scores = added.scores
      case .matmul: product = step
      default: return no("its scores come from \(step.code.rawValue), not from a matrix product")
      }
    }
    guard let product, let mask else { return no("its scores have no causal mask") }
    func scaled(_ operand: Operand) -> Part? {
      guard case .value(let entry) = operand else { return nil }
      var view = views.view(entry)
      while let step = views.definition(view.source, .scale) {
        let inner = views.view(step.operands[0])
        guard let map = view.map.then(inner.map) else { return nil }
        scale *= step.float("scale") ?? 1
        view = View(source: inner.source, map: map, path: view.path + inner.path)
      }
      return Part(entry: entry, view: view)
    }
    guard let query = scaled(product.operands[0]), let key = scaled(product.operands[1]),
      case .value(let entry) = operation.operands[1]
    else { return no("its operands cannot be followed") }
    let value = Part(entry: entry, view: views.view(entry))
    guard case .state(let keys) = key.view.source, case .state(let values) = value.view.source,
      keys != values
    else { return no("its keys and values do not come from two caches") }
    let left = views.shape(product.operands[0]).dimensions
    let cache = views.graph[keys].type.shape
    let (rows, headDim) = (left[left.count - 2], left[left.count - 1])
    let (heads, kvHeads, context) = (left.dropLast(2).reduce(1, *), cache[0], cache[1])
    let masked = mask.shape.suffix(2)
    guard cache[2] == headDim, heads % kvHeads == 0, (2...256).contains(headDim),
      views.graph[values].type.shape == cache,
      views.shape(product.operands[1]).dimensions.last == context,
      Array(masked) == [rows, context],
      views.shape(softmax.operands[0]).dimensions.last == context,
      case .value = query.view.source, views.shape(query.view.source) == [rows, heads * headDim],
      scale.isFinite, scale >= 0
    else { return no("its shapes are not those of \(kvHeads) shared heads of \(headDim) channels") }
    let order = IndexMap(
      extents: [heads, rows, headDim], strides: [headDim, heads * headDim, 1])
    guard let back = order.inverse, let channels = query.view.map.then(back)?.channels(of: headDim)
    else { return no("its queries come in the order \(query.view.map), not \(order)") }
    let group = heads / kvHeads
    let shared = [IndexMap.Digit(kvHeads, context * headDim), .init(group, 0)]
    let wantedKeys = IndexMap(shared + channels.digits + [.init(context, headDim)])
    guard key.view.map == wantedKeys else {
      return no("its keys come in the order \(key.view.map), not \(wantedKeys)")
    }
    let wantedValues = IndexMap(shared + [.init(context, headDim), .init(headDim, 1)])
    guard value.view.map == wantedValues else {
      return no("its values come in the order \(value.view.map), not \(wantedValues)")
    }
    return .success(
      AttentionMatch(
        query: query, key: key, value: value, position: mask.position, mask: mask.table, keys: keys,
        values: values, heads: heads, kvHeads: kvHeads, rows: rows, headDim: headDim,
        scale: scale, channels: channels, result: result, site: operation.provenance,
        renames: renames))
  }
}

extension AttentionMatch {
  /// Scores and what is added to them, when that is the rows of a causal table for all heads.
  private static func addedMask(
    _ sum: GraphIR.Operation, _ views: Views
  ) -> (scores: Operand, position: Operand, table: ConstantID, part: Part)? {
    for (scores, rows) in RotaryMatch.orders(sum.operands) {
      guard case .value(let entry) = rows else { continue }
      let view = views.view(entry)
      guard let source = views.definition(view.source, .positionRows),
        case .constant(let table) = source.operands[1], isCausal(views.graph[table])
      else { continue }
      let shape = views.shape(rows).dimensions
      let (all, own) = (shape.reduce(1, *), views.shape(view.source).count)
      guard all % own == 0, view.map == IndexMap([.init(all / own, 0), .init(own, 1)]) else {
        continue
      }
      return (scores, source.operands[0], table, Part(entry: entry, view: view))
    }
    return nil
  }

  /// Whether row `i` of a table is zero up to column `i` and hides all others: nothing is left of a score
  /// that is 10,000 lower than another.
  static func isCausal(_ table: Constant) -> Bool {
    let shape = table.type.shape
    guard shape.rank == 2, let numbers = table.floats else {
      return false
    }
    return numbers.indices.allSatisfy { index in
      index % shape[1] <= index / shape[1] ? numbers[index] == 0 : numbers[index] <= -10000
    }
  }
}
