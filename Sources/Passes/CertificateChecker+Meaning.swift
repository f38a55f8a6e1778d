import GraphIR
import Support
import TensorCore

// What canonical operations read, element by element, by their definitions (`OpCode`).
extension CertificateChecker {
  /// Whether an operand of the old graph and one of the new one are the same thing, or the second stands
  /// in the first one's place by a certificate.
  func corresponds(_ old: Operand, _ new: Operand, _ walkers: Walkers) -> Bool {
    switch (old, new) {
    case (.state(let a), .state(let b)): return a == b
    case (.constant(let a), .constant(let b)): return a == b
    case (.value(let a), .value(let b)):
      if places[walkers.old.function.name]?[a]?.contains(b) == true {
        return walkers.old.function[a].type == walkers.new.function[b].type
      }
      if let input = walkers.old.function.inputs.firstIndex(of: a) {
        return walkers.new.function.inputs.indices.contains(input)
          && walkers.new.function.inputs[input] == b
      }
      guard let from = walkers.old.definitionIndex(a), let to = walkers.new.definitionIndex(b)
      else { return false }
      return rewrite.kept[walkers.old.function.name]?[from] == to
    default: return false
    }
  }

  /// The element that attention reads of one of its operands; nil when it is not this attention.
  func attentionElement(
    _ part: Certificate.AttentionPart, _ value: ValueID, _ channels: IndexMap, _ index: Int,
    _ certificate: Certificate, _ walkers: Walkers
  ) -> Int? {
    guard let operation = walkers.new.definition(.value(value)), operation.code == .attention,
      let heads = operation.int("heads"), let kvHeads = operation.int("kv_heads"),
      let width = operation.int("head_dim"), heads > 0, kvHeads > 0, heads % kvHeads == 0,
      channels.count == width, channels.inverse != nil
    else { return nil }
    let context = after.type(of: operation.operands[2], in: walkers.new.function).shape[1]
    let rows = walkers.new.function[value].type.shape[0]
    switch part {
    case .query:
      guard corresponds(certificate.source, operation.operands[0], walkers) else { return nil }
      let at = MovementWalker.coordinates(index, of: [heads, rows, width])
      return (at[1] * heads + at[0]) * width + channels(at[2])
    case .key:
      guard operation.operands[2] == certificate.source else { return nil }
      let at = MovementWalker.coordinates(index, of: [heads, width, context])
      return (at[0] / (heads / kvHeads) * context + at[2]) * width + channels(at[1])
    case .value:
      guard operation.operands[3] == certificate.source, channels.isIdentity else { return nil }
      let at = MovementWalker.coordinates(index, of: [heads, context, width])
      return (at[0] / (heads / kvHeads) * context + at[1]) * width + at[2]
    }
  }

  /// Whether a new operation is an old elementwise one on operands that were all moved alike.
  func isSunk(_ certificate: Certificate, _ value: ValueID, _ walkers: Walkers) -> Bool {
    guard let old = walkers.old.definition(.value(certificate.entry)),
      let new = walkers.new.definition(.value(value)), old.code == new.code,
      [.add, .mul, .silu, .gelu, .scale, .negate].contains(old.code),
      old.attributes == new.attributes, old.operands.count == new.operands.count
    else { return false }
    return old.operands.indices.allSatisfy { place in
      rewrite.certificates.contains {
        $0.function == certificate.function && $0.meaning == .sunkOperand(place, of: value)
          && .value($0.entry) == old.operands[place] && $0.before == certificate.before
      }
    }
  }

  /// The element of a mask's rows that says whether attention sees a score; nil when the rows are not those
  /// of the position that the attention has.
  func maskElement(
    _ table: ConstantID, _ value: ValueID, _ index: Int, _ certificate: Certificate,
    _ walkers: Walkers
  ) -> Int? {
    guard let operation = walkers.new.definition(.value(value)), operation.code == .attention,
      let rows = walkers.old.definition(certificate.source), rows.code == .positionRows,
      rows.operands[1] == .constant(table),
      corresponds(rows.operands[0], operation.operands[1], walkers)
    else { return nil }
    let count = walkers.new.function[value].type.shape[0]
    let context = after.type(of: operation.operands[2], in: walkers.new.function).shape[1]
    guard before[table].type.shape[1] == context else { return nil }
    return index % (count * context)
  }

  /// Whether a table of the old graph hides just what lies behind each row's own position.
  func isCausal(_ id: ConstantID) -> Bool {
    guard before.constants.indices.contains(id.index) else { return false }
    let shape = before[id].type.shape
    guard shape.rank == 2, let numbers = before[id].floats else {
      return false
    }
    for row in 0..<shape[0] {
      for column in 0..<shape[1] {
        let number = numbers[row * shape[1] + column]
        if column > row ? number > -10000 : number != 0 { return false }
      }
    }
    return true
  }

  /// Where attention writes an element of its result `[heads, rows, head_dim]`.
  func resultElement(_ value: ValueID, _ index: Int, _ walkers: Walkers) -> Int? {
    guard let operation = walkers.new.definition(.value(value)), operation.code == .attention,
      let heads = operation.int("heads"), let width = operation.int("head_dim"), heads > 0
    else { return nil }
    let rows = walkers.new.function[value].type.shape[0]
    let at = MovementWalker.coordinates(index, of: [heads, rows, width])
    return (at[1] * heads + at[0]) * width + at[2]
  }

  /// The element that `kv_write` takes for an element of the rows `[heads, rows, head_dim]`.
  func cacheRowElement(
    _ state: StateID, _ channels: IndexMap, _ index: Int, _ certificate: Certificate,
    _ walkers: Walkers
  ) -> Int? {
    let write = walkers.new.function.operations.first {
      $0.code == .kvWrite && $0.operands[2] == .state(state)
    }
    guard let write, corresponds(certificate.source, write.operands[0], walkers),
      let old = walkers.old.function.operations.first(where: {
        $0.code == .cacheWrite && $0.operands[2] == .state(state)
      }), old.operands[0] == .value(certificate.entry),
      corresponds(old.operands[1], write.operands[1], walkers)
    else { return nil }
    let rows = after.type(of: write.operands[0], in: walkers.new.function).shape[0]
    let cache = after[state].type.shape
    guard channels.count == cache[2], channels.inverse != nil else { return nil }
    let at = MovementWalker.coordinates(index, of: [cache[0], rows, cache[2]])
    return (at[1] * cache[0] + at[0]) * cache[2] + channels(at[2])
  }

  /// The element that a part of a rotation reads for element `index` of its entry.
  func rotationElement(
    _ part: Certificate.RotationPart, _ rotation: Certificate.Rotation, _ index: Int
  ) -> Int? {
    let number = rotation.direct(index)
    let channel = number % rotation.headDim
    let half = rotation.headDim / 2
    let isFirst = rotation.pairing == .halves ? channel < half : channel % 2 == 0
    let pair = rotation.pairing == .halves ? channel % half : channel / 2
    switch part {
    case .direct: return number
    case .partner(let negated):
      // Without a pattern of signs the other number is always the second of its pair.
      guard negated.map({ ($0(index) == 1) == isFirst }) ?? isFirst else { return nil }
      let step = rotation.pairing == .halves ? half : 1
      return isFirst ? number + step : number - step
    case .cosine(let width), .sine(let width):
      let column = width == rotation.headDim ? channel : pair
      guard width == rotation.headDim || width == half else { return nil }
      return number / rotation.width * width + column
    case .result: return nil
    }
  }

  /// Where the new rotation, whose pairs are neighbours, has the old one's element.
  func pairedElement(_ number: Int, _ rotation: Certificate.Rotation) -> Int {
    guard rotation.pairing == .halves else { return number }
    let (channel, half) = (number % rotation.headDim, rotation.headDim / 2)
    return number - channel + channel % half * 2 + channel / half
  }

  // MARK: Constants

  mutating func checkConstant(_ claim: ConstantCertificate) {
    func constant(_ id: ConstantID, _ graph: Graph) -> Constant? {
      graph.constants.indices.contains(id.index) ? graph[id] : nil
    }
    func wrong(_ message: String) -> Diagnostic {
      Diagnostic("certificate.constant", message, at: SourceLocation(element: claim.pass))
    }
    guard let new = constant(claim.constant, after) else {
      return problems.append(wrong("the new constant does not exist"))
    }
    switch claim.origin {
    case .pairedRows(let id, let headDim):
      guard let old = constant(id, before), old.type == new.type, headDim > 0,
        let rows = old.type.shape.dimensions.first, rows % headDim == 0
      else { return problems.append(wrong("\(new.name) has another type than its origin")) }
      guard let a = old.data, let b = new.data else {
        if (old.data == nil) != (new.data == nil) {
          problems.append(wrong("\(new.name) is made up"))
        }
        return
      }
      let pitch = a.bytes.count / rows
      let rotation = Certificate.Rotation(
        value: ValueID(0), headDim: headDim, width: rows, pairing: .halves, direct: .identity(rows))
      for row in 0..<rows {
        let to = pairedElement(row, rotation)
        guard a.encoding == b.encoding, let x = a.bytes.slice(at: row * pitch, count: pitch),
          let y = b.bytes.slice(at: to * pitch, count: pitch),
          x.withBytes({ x in y.withBytes { x.elementsEqual($0) } })
        else {
          return problems.append(
            wrong("row \(to) of \(new.name) is not row \(row) of \(old.name)"))
        }
      }
    case .rotationTable(let cosineID, let sineID, let pairing):
      guard let cosine = constant(cosineID, before), let sine = constant(sineID, before),
        new.type.shape.rank == 2, new.type.shape[0] == cosine.type.shape[0],
        new.type.shape[0] == sine.type.shape[0], new.type.shape[1] % 2 == 0
      else { return problems.append(wrong("\(new.name) has another shape than its origins")) }
      let (context, headDim) = (new.type.shape[0], new.type.shape[1])
      let numbers = [cosine, sine, new].map(\.floats)
      guard let c = numbers[0], let s = numbers[1], let t = numbers[2] else {
        // Without numbers nobody can see whether a table holds each angle twice.
        let halves = [cosine, sine].allSatisfy { 2 * $0.type.shape[1] == headDim }
        if !halves || numbers.contains(where: { $0 != nil }) {
          problems.append(wrong("\(new.name) cannot be compared with its origins"))
        }
        return
      }
      for row in 0..<context {
        for channel in 0..<headDim {
          let pair = pairing == .halves ? channel % (headDim / 2) : channel / 2
          for (table, type, part) in [(c, cosine.type, 0), (s, sine.type, 1)] {
            let column = type.shape[1] == headDim ? channel : pair
            guard row * type.shape[1] + column < table.count,
              t[row * headDim + 2 * pair + part] == table[row * type.shape[1] + column]
            else {
              return problems.append(wrong("row \(row) of \(new.name) holds other angles"))
            }
          }
        }
      }
    }
  }
}
