import GraphIR
import TensorCore

/// Why a recogniser does not take an operation.
struct Refusal: Error {
  /// The reason, to print behind "because".
  var reason: String
}

/// A rotation of pairs, spelled out in one of two ways:
/// - `x · cos + rotated(x) · sin`, where `rotated` swaps the numbers of each pair and negates one;
/// - both numbers of a pair apart, `a · cos − b · sin` and `a · sin + b · cos`, joined.
struct RotaryMatch {
  /// The tensor `[n, width]` that is rotated.
  var source: Operand
  /// Which pairs; `direct` is of the entries of `parts`, and its `value` is set when it exists.
  var rotation: Certificate.Rotation
  /// From the elements of the result to those of the source.
  var result: IndexMap
  /// The result, in the graph as it is.
  var value: ValueID
  /// The tables of cosines and sines.
  var cosine, sine: ConstantID
  /// The position operand of both.
  var position: Operand
  /// What is read for each product.
  var parts: [Part]
  /// The source of the operation in the user's file.
  var site: String
  /// Movement in front of the result that disappears with it.
  var joins: [ValueID]

  /// One operand of a product.
  struct Part {
    var entry: ValueID
    var view: View
    var part: Certificate.RotationPart
  }

  /// The rotation that an operation ends, or why there is none.
  static func find(
    _ operation: GraphIR.Operation, in views: Views
  ) -> Result<RotaryMatch, Refusal> {
    switch operation.code {
    case .add: byPartners(operation, views)
    case .concat: byHalves(operation, views)
    default: .failure(Refusal(reason: "is no end of a rotation"))
    }
  }

  // MARK: x · cos + rotated(x) · sin

  private static func byPartners(
    _ operation: GraphIR.Operation, _ views: Views
  ) -> Result<RotaryMatch, Refusal> {
    var refusal = Refusal(reason: "adds no two products")
    for (first, second) in orders(operation.operands) {
      guard let a = views.definition(first, .mul), let b = views.definition(second, .mul) else {
        continue
      }
      for (x, c) in orders(a.operands) {
        for (r, s) in orders(b.operands) {
          guard let cosine = Angles(c, views), let sine = Angles(s, views),
            let partner = negatedView(r, views)
          else { continue }
          refusal = Refusal(reason: "its factors are no rotation of the pairs of one tensor")
          guard case .value(let direct) = x, case .value(let swapped) = r else { continue }
          let view = views.view(direct)
          let candidate = Candidate(
            direct: view, entry: direct, partner: partner.view, swapped: swapped,
            negated: partner.negated, angles: [(cosine, false), (sine, true)], views: views)
          if let match = candidate.match(operation, result: view.map, joins: []) {
            return .success(match)
          }
        }
      }
    }
    return .failure(refusal)
  }

  /// A concatenation of two parts of one source, the first of them negated, looked through.
  private static func negatedView(
    _ operand: Operand, _ views: Views
  ) -> (view: View, negated: IndexMap)? {
    let outer = views.view(operand)
    guard let concat = views.definition(outer.source, .concat), let id = concat.results.first,
      let count = views.outerCount(concat)
    else { return nil }
    let (a, b) = (views.view(concat.operands[0]), views.view(concat.operands[1]))
    guard let negation = views.definition(a.source, .negate) else { return nil }
    let inner = views.view(negation.operands[0])
    let total = views.shape(.value(id)).count
    guard inner.source == b.source, let map = a.map.then(inner.map),
      let joined = map.joined(with: b.map, outer: count), let whole = outer.map.then(joined),
      let negated = outer.map.then(
        IndexMap(extents: [count, 2, total / count / 2], strides: [0, -1, 0], offset: 1))
    else { return nil }
    return (
      View(
        source: b.source, map: whole, path: outer.path + [id] + a.path + inner.path + b.path),
      negated
    )
  }

  // MARK: a · cos − b · sin beside a · sin + b · cos

  private static func byHalves(
    _ operation: GraphIR.Operation, _ views: Views
  ) -> Result<RotaryMatch, Refusal> {
    let none = Refusal(reason: "joins no two halves of a rotation")
    let (left, right) = (views.view(operation.operands[0]), views.view(operation.operands[1]))
    guard left.map.isIdentity, right.map.isIdentity,
      let difference = views.definition(left.source, .add),
      let sum = views.definition(right.source, .add),
      let outer = views.outerCount(operation)
    else { return .failure(none) }
    for (plus, minus) in orders(difference.operands) {
      guard let ac = views.definition(plus, .mul), let negation = views.definition(minus, .negate),
        let bs = views.definition(negation.operands[0], .mul)
      else { continue }
      for (first, second) in orders(sum.operands) {
        guard let `as` = views.definition(first, .mul), let bc = views.definition(second, .mul)
        else { continue }
        guard let p = Factor(ac, views), let q = Factor(bs, views), let r = Factor(`as`, views),
          let t = Factor(bc, views), p.view.source == r.view.source, p.view.map == r.view.map,
          q.view.source == t.view.source, q.view.map == t.view.map
        else { continue }
        var candidate = Candidate(
          direct: p.view, entry: p.entry, partner: q.view, swapped: q.entry, negated: nil,
          angles: [(p.angles, false), (q.angles, true), (r.angles, true), (t.angles, false)],
          views: views)
        candidate.more = [
          Part(entry: r.entry, view: r.view, part: .direct),
          Part(entry: t.entry, view: t.view, part: .partner(negated: nil)),
        ]
        guard let joined = p.view.map.joined(with: q.view.map, outer: outer) else { continue }
        if let match = candidate.match(
          operation, result: joined, joins: operation.results + left.path + right.path)
        {
          return .success(match)
        }
      }
    }
    return .failure(none)
  }

  /// A product of a number with a cosine or a sine.
  private struct Factor {
    var entry: ValueID
    var view: View
    var angles: Angles

    init?(_ product: GraphIR.Operation, _ views: Views) {
      for (x, table) in RotaryMatch.orders(product.operands) {
        guard case .value(let id) = x, let angles = Angles(table, views) else { continue }
        entry = id
        view = views.view(id)
        self.angles = angles
        return
      }
      return nil
    }
  }

  /// An operand that comes from rows of a table, by position.
  fileprivate struct Angles {
    var entry: ValueID
    var view: View
    var position: Operand
    var table: ConstantID
    var width: Int

    init?(_ operand: Operand, _ views: Views) {
      guard case .value(let id) = operand else { return nil }
      let view = views.view(id)
      guard let rows = views.definition(view.source, .positionRows),
        case .constant(let table) = rows.operands[1]
      else { return nil }
      entry = id
      self.view = view
      position = rows.operands[0]
      self.table = table
      width = views.graph[table].type.shape[1]
    }
  }

  /// Both orders of two operands.
  static func orders(_ operands: [Operand]) -> [(Operand, Operand)] {
    operands.count == 2
      ? [(operands[0], operands[1]), (operands[1], operands[0])] : []
  }
}

/// What looks like a rotation until the maps are compared.
private struct Candidate {
  var direct: View
  var entry: ValueID
  var partner: View
  var swapped: ValueID
  var negated: IndexMap?
  var angles: [(RotaryMatch.Angles, isSine: Bool)]
  var views: Views
  var more: [RotaryMatch.Part] = []

  /// The rotation, if one of the pairings explains all maps.
  func match(
    _ operation: GraphIR.Operation, result: IndexMap, joins: [ValueID]
  ) -> RotaryMatch? {
    let shape = views.shape(direct.source)
    guard direct.source == partner.source, shape.rank == 2, result.inverse != nil,
      result.count == shape.count, let value = operation.results.first,
      case .value = direct.source, let cosine = angles.first(where: { !$0.isSine })?.0,
      let sine = angles.first(where: { $0.isSine })?.0,
      angles.allSatisfy({
        $0.0.position == cosine.position && $0.0.table == ($0.isSine ? sine : cosine).table
      }), views.graph[cosine.table].type.shape[0] == views.graph[sine.table].type.shape[0]
    else { return nil }
    for pairing in [Certificate.Pairing.neighbours, .halves] {
      for headDim in [cosine.width, 2 * cosine.width] {
        guard headDim % 2 == 0, (2...256).contains(headDim), shape[1] % headDim == 0,
          angles.allSatisfy({ $0.0.width == headDim || 2 * $0.0.width == headDim })
        else { continue }
        let rotation = Certificate.Rotation(
          value: value, headDim: headDim, width: shape[1], pairing: pairing, direct: direct.map)
        guard holds(rotation, count: shape.count) else { continue }
        let parts =
          [
            RotaryMatch.Part(entry: entry, view: direct, part: .direct),
            RotaryMatch.Part(entry: swapped, view: partner, part: .partner(negated: negated)),
          ] + more
          + angles.map { angle, isSine in
            RotaryMatch.Part(
              entry: angle.entry, view: angle.view,
              part: isSine ? .sine(width: angle.width) : .cosine(width: angle.width))
          }
        return RotaryMatch(
          source: direct.source, rotation: rotation, result: result, value: value,
          cosine: cosine.table, sine: sine.table, position: cosine.position, parts: parts,
          site: operation.provenance.source, joins: joins)
      }
    }
    return nil
  }

  private func holds(_ rotation: Certificate.Rotation, count: Int) -> Bool {
    // The pairs of the whole tensor, seen from the entries' elements.
    let whole = rotation.over(count: count)
    guard direct.map.then(whole.partner) == partner.map else { return false }
    let first = direct.map.then(whole.first)
    if let negated {
      guard first == negated else { return false }
    } else {
      // Without a negation pattern every direct number is the first of its pair.
      guard first == IndexMap([.init(direct.map.count, 0)], offset: 1) else { return false }
    }
    return angles.allSatisfy { angle, _ in
      direct.map.then(whole.angle(tableWidth: angle.width)) == angle.view.map
    }
  }
}

extension RotaryMatch {
  /// The claims that the rotation is this one.
  func certificates(
    pass: String, function: String, value: ValueID, result new: ValueID
  ) -> [Certificate] {
    var rotation = rotation
    rotation.value = value
    var claims = parts.map { part in
      Certificate(
        pass: pass, function: function, site: site, entry: part.entry, source: part.view.source,
        removed: part.view.path, before: part.view.map, after: part.view.map,
        meaning: .rotation(part.part, rotation))
    }
    let whole = rotation.over(count: result.count)
    rotation.direct = result
    claims.append(
      Certificate(
        pass: pass, function: function, site: site, entry: self.value, source: source,
        removed: joins, before: result, after: result.then(whole.reordering) ?? result,
        meaning: .rotation(.result(new), rotation)))
    return claims
  }
}
