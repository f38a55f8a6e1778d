import GraphIR
import Support
import TensorCore

// Whether there is a certificate for everything that needs one.
extension CertificateChecker {
  /// Every movement operation that is gone is named by a certificate, or was read by nobody; every
  /// operation said to be the old one is.
  mutating func checkCoverage(_ old: Function, _ new: Function) {
    guard let kept = rewrite.kept[old.name] else {
      if old != new { report("coverage", "function @\(old.name) changed without a record") }
      return
    }
    if Set(kept.values).count != kept.count {
      report("coverage", "two operations of @\(old.name) became one")
    }
    var named: Set<ValueID> = []
    for certificate in rewrite.certificates where certificate.function == old.name {
      named.formUnion(certificate.removed)
    }
    var live = [Bool](repeating: false, count: old.values.count)
    for id in old.results { live[id.index] = true }
    for operation in old.operations.reversed()
    where operation.results.isEmpty || operation.results.contains(where: { live[$0.index] }) {
      for case .value(let id) in operation.operands { live[id.index] = true }
    }
    for (index, operation) in old.operations.enumerated() {
      let name = "\(operation.code.rawValue) of \(operation.provenance.source) in @\(old.name)"
      if let place = kept[index] {
        guard new.operations.indices.contains(place) else {
          report("coverage", "\(name) is not where it is said to be")
          continue
        }
        let other = new.operations[place]
        let types = { (f: Function, o: GraphIR.Operation) in o.results.map { f[$0].type } }
        if other.code != operation.code || other.attributes != operation.attributes
          || other.provenance != operation.provenance || types(old, operation) != types(new, other)
        {
          report("coverage", "\(name) has become \(other.code.rawValue)")
        }
        continue
      }
      guard operation.code.isMovement, let result = operation.results.first, live[result.index],
        !named.contains(result)
      else { continue }
      report("coverage", "\(name) is gone without a certificate")
    }
  }

  /// What stays reads what it read: the same value, or one that a certificate puts in its place.
  mutating func checkReaders(_ old: Function, _ new: Function) {
    guard let kept = rewrite.kept[old.name] else { return }
    let walkers = Walkers(old: MovementWalker(before, old), new: MovementWalker(after, new))
    func isSame(_ a: Operand, _ b: Operand) -> Bool {
      switch (a, b) {
      case (.constant(let a), .constant(let b)):
        return before[a].name == after[b].name && before[a].type == after[b].type
      default: return corresponds(a, b, walkers)
      }
    }
    for (index, place) in kept.sorted(by: { $0.key < $1.key })
    where new.operations.indices.contains(place) {
      guard old.operations.indices.contains(index) else {
        report("coverage", "an operation of @\(old.name) never was")
        continue
      }
      let (a, b) = (old.operations[index].operands, new.operations[place].operands)
      if a.count != b.count || !zip(a, b).allSatisfy(isSame) {
        report(
          "reader",
          "\(new.operations[place].code.rawValue) of "
            + "\(new.operations[place].provenance.source) in @\(old.name) reads something else")
      }
    }
    if old.results.count != new.results.count
      || !zip(old.results, new.results).allSatisfy({ isSame(.value($0), .value($1)) })
    {
      report("reader", "@\(old.name) returns something else")
    }
  }

  /// Every new attention, rotation and cache write has the certificates of all its parts, which agree.
  mutating func checkPresence(_ old: Function, _ new: Function) {
    guard let kept = rewrite.kept[old.name] else { return }
    let known = Set(kept.values)
    let claims = rewrite.certificates.filter { $0.function == old.name }
    for (index, operation) in new.operations.enumerated() where !known.contains(index) {
      let name = "\(operation.code.rawValue) of \(operation.provenance.source) in @\(old.name)"
      switch (operation.code, operation.results.first) {
      case (.attention, let value?):
        var orders: [Certificate.AttentionPart: IndexMap] = [:]
        var hasResult = false
        for claim in claims {
          if case .attention(let part, value, let channels) = claim.meaning {
            orders[part] = channels
          }
          if case .attentionResult(_, value) = claim.meaning { hasResult = true }
        }
        if orders.count < 3 || !hasResult {
          report("missing", "\(name) lacks certificates")
        } else if orders[.query] != orders[.key] {
          report("unequal", "queries and keys of \(name) have different orders of channels")
        }
      case (.rope, let value?):
        var parts: Set<String> = []
        for claim in claims {
          guard case .rotation(let part, let rotation) = claim.meaning, rotation.value == value
          else { continue }
          switch part {
          case .direct: parts.insert("direct")
          case .partner: parts.insert("partner")
          case .cosine: parts.insert("cosine")
          case .sine: parts.insert("sine")
          case .result: parts.insert("result")
          }
          checkRotation(rotation, operation, claim, old, new)
        }
        if parts.count < 5 { report("missing", "\(name) lacks certificates") }
      case (.kvWrite, _):
        let isClaimed = claims.contains {
          if case .cacheRows(let state, _) = $0.meaning {
            operation.operands[2] == .state(state)
          } else {
            false
          }
        }
        if !isClaimed { report("missing", "\(name) lacks a certificate") }
      default: continue
      }
    }
  }

  /// What the new rotation rotates is the old tensor, its channels reordered if the pairing says so, and
  /// its angles are those of the old tables.
  private mutating func checkRotation(
    _ rotation: Certificate.Rotation, _ operation: GraphIR.Operation, _ claim: Certificate,
    _ old: Function, _ new: Function
  ) {
    let walkers = Walkers(old: MovementWalker(before, old), new: MovementWalker(after, new))
    func wrong(_ message: String) { report("meaning", message, claim) }
    guard operation.int("head_dim") == rotation.headDim else {
      return wrong("the rotation has other heads")
    }
    if case .rotation(let part, _) = claim.meaning {
      switch part {
      case .cosine, .sine:
        guard let rows = walkers.old.definition(claim.source), rows.code == .positionRows,
          corresponds(rows.operands[0], operation.operands[1], walkers),
          case .constant(let table) = operation.operands[2],
          case .rotationTable(let cosine, let sine, let pairing)? = origin(of: table),
          pairing == rotation.pairing
        else { return wrong("the rotation's angles are not those of the old tables") }
        var isSine = false
        if case .sine = part { isSine = true }
        if rows.operands[1] != .constant(isSine ? sine : cosine) {
          wrong("the rotation's angles are of other tables")
        }
        return
      case .partner:
        if claim.source != rotatedSource(rotation, claim) { wrong("a pair is of two tensors") }
        return
      case .direct, .result: break
      }
    }
    let source = operation.operands[0]
    if rotation.pairing == .neighbours {
      if !corresponds(claim.source, source, walkers) { wrong("another tensor is rotated") }
      return
    }
    guard let before = walkers.old.definition(claim.source), before.code == .linear,
      let now = walkers.new.definition(source), now.code == .linear,
      before.operands.count == now.operands.count,
      corresponds(before.operands[0], now.operands[0], walkers)
    else { return wrong("another tensor is rotated") }
    for (a, b) in zip(before.operands, now.operands).dropFirst() {
      guard case .constant(let from) = a, case .constant(let to) = b,
        origin(of: to) == .pairedRows(from, headDim: rotation.headDim)
      else { return wrong("the rotated tensor's weights are not the old ones, reordered") }
    }
  }

  private func origin(of constant: ConstantID) -> ConstantCertificate.Origin? {
    rewrite.constants.first { $0.constant == constant }?.origin
  }

  /// A state has one order of channels in all functions, and who reads it knows it.
  mutating func checkStates() {
    var orders: [StateID: IndexMap] = [:]
    for claim in rewrite.certificates {
      let (state, channels): (StateID, IndexMap)
      switch claim.meaning {
      case .cacheRows(let id, let order): (state, channels) = (id, order)
      case .cacheReading(let id, _, let order): (state, channels) = (id, order)
      default: continue
      }
      if let known = orders[state], known != channels {
        report("unequal", "a cache has two orders of channels", claim)
      }
      orders[state] = channels
    }
    for (state, order) in orders where !order.isIdentity {
      for function in before.functions {
        let kept = rewrite.kept[function.name]
        for (index, operation) in function.operations.enumerated()
        where operation.operands.contains(.state(state)) && (kept == nil || kept?[index] != nil) {
          report(
            "coverage",
            "\(operation.code.rawValue) in @\(function.name) does not know the new order of "
              + "a cache")
        }
      }
    }
  }
}
