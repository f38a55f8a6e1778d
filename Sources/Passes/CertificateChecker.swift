import GraphIR
import Support
import TensorCore

/// Checks what a pass claims about the data movement it removed, against the graphs before and after.
///
/// Maps are compared exactly, by their normal forms, and where they come from is found anew for single
/// elements, all of them or a repeatable sample: through the old graph axis by axis, and by the definition
/// of the operation in the new one. Following shares nothing with the passes; comparing shares the algebra
/// of the maps.
///
/// What certificates do not say, that the operations between the movement mean what the canonical one
/// means, is shown by interpreting both graphs.
public struct CertificateChecker {
  /// Elements of an entry up to which all are followed.
  static let exhaustive = 4096
  /// Elements followed of larger entries.
  static let samples = 512

  let before: Graph
  let after: Graph
  let rewrite: Rewrite
  /// For each function, the values of the new graph that certificates put in the places of old ones. A
  /// claim may rely on them: sources stand before entries, so no two claims rely on each other.
  let places: [String: [ValueID: Set<ValueID>]]
  var problems: [Diagnostic] = []

  /// Throws what does not hold, with codes `certificate.map`, `.unequal`, `.meaning`, `.constant`,
  /// `.coverage`, `.missing` and `.reader`. Both graphs have passed the verifier.
  public static func check(before: Graph, rewrite: Rewrite) throws(DiagnosticError) {
    var checker = CertificateChecker(
      before: before, after: rewrite.graph, rewrite: rewrite, places: places(rewrite))
    checker.run()
    if !checker.problems.isEmpty { throw DiagnosticError(checker.problems) }
  }

  private mutating func run() {
    for claim in rewrite.constants { checkConstant(claim) }
    for certificate in rewrite.certificates {
      guard let old = before.function(certificate.function),
        let new = after.function(certificate.function)
      else {
        report("meaning", "there is no function @\(certificate.function)", certificate)
        continue
      }
      var walkers = Walkers(old: MovementWalker(before, old), new: MovementWalker(after, new))
      check(certificate, &walkers)
    }
    for function in before.functions {
      guard let new = after.function(function.name) else {
        report("coverage", "function @\(function.name) is gone")
        continue
      }
      checkCoverage(function, new)
      checkPresence(function, new)
      checkReaders(function, new)
    }
    checkStates()
  }

  private static func places(_ rewrite: Rewrite) -> [String: [ValueID: Set<ValueID>]] {
    var places: [String: [ValueID: Set<ValueID>]] = [:]
    for certificate in rewrite.certificates {
      switch certificate.meaning {
      case .walk(let value, _), .attentionResult(let value, _), .cacheReading(_, let value, _),
        .sunkResult(let value, _), .rotation(.result(let value), _):
        places[certificate.function, default: [:]][certificate.entry, default: []].insert(value)
      case .renaming, .attention, .mask, .sunkOperand, .cacheRows, .rotation: continue
      }
    }
    return places
  }

  /// The walkers of one function.
  struct Walkers {
    let old: MovementWalker
    let new: MovementWalker
  }

  mutating func report(_ code: String, _ message: String, _ certificate: Certificate? = nil) {
    let element = certificate.map { "\($0.pass), function @\($0.function), \($0.site)" }
    problems.append(
      Diagnostic("certificate.\(code)", message, at: SourceLocation(element: element)))
  }

  /// The elements to follow of `count`.
  static func points(_ count: Int) -> [Int] {
    guard count > exhaustive else { return Array(0..<max(count, 0)) }
    var random = SplitMix64(seed: UInt64(count))
    return [0, 1, count / 2 - 1, count / 2, count - 2, count - 1]
      + (0..<samples).map { _ in Int(random.next() % UInt64(count)) }
  }

  // MARK: One certificate

  private mutating func check(_ certificate: Certificate, _ walkers: inout Walkers) {
    let count = walkers.old.count(certificate.entry)
    guard count > 0, certificate.before.count == count, certificate.after.count == count else {
      return report(
        "map",
        "the maps are of \(certificate.before.count) and \(certificate.after.count) elements "
          + "instead of \(count)", certificate)
    }
    if let wanted = exact(certificate), wanted != certificate.after {
      return report(
        "unequal", "elements came from \(wanted) and come from \(certificate.after) now",
        certificate)
    }
    if case .mask(let table, _) = certificate.meaning, !isCausal(table) {
      report("constant", "the mask's table is not causal", certificate)
    }
    guard followsOld(certificate, walkers, count), followsNew(certificate, walkers, count) else {
      return
    }
  }

  /// What `after` has to be, exactly; nil where only the new graph says it.
  private func exact(_ certificate: Certificate) -> IndexMap? {
    switch certificate.meaning {
    case .walk, .attention, .attentionResult, .cacheRows, .mask, .sunkOperand, .sunkResult:
      certificate.before
    case .renaming:
      certificate.before == .identity(certificate.before.count) ? certificate.before : nil
    case .cacheReading: nil
    case .rotation(.result, let rotation):
      certificate.before.then(rotation.over(count: certificate.before.count).reordering)
    case .rotation(let part, let rotation):
      rotationMap(part, rotation, certificate)
    }
  }

  private func rotationMap(
    _ part: Certificate.RotationPart, _ rotation: Certificate.Rotation, _ certificate: Certificate
  ) -> IndexMap? {
    guard case .value(let id) = rotatedSource(rotation, certificate) else {
      return IndexMap([], offset: -1)
    }
    let count = before.function(certificate.function)?[id].type.shape.count ?? 0
    let maps = rotation.over(count: count)
    guard certificate.before == certificate.after else { return certificate.before }
    return switch part {
    case .direct: rotation.direct
    case .partner: rotation.direct.then(maps.partner)
    case .cosine(let width), .sine(let width):
      rotation.direct.then(maps.angle(tableWidth: width))
    case .result: nil
    }
  }

  /// What a rotation rotates, by the certificate of its direct numbers.
  func rotatedSource(_ rotation: Certificate.Rotation, _ like: Certificate) -> Operand? {
    direct(rotation, like)?.source
  }

  private func direct(_ rotation: Certificate.Rotation, _ like: Certificate) -> Certificate? {
    rewrite.certificates.first {
      guard case .rotation(.direct, let other) = $0.meaning else { return false }
      return $0.function == like.function && other.value == rotation.value
    }
  }

  /// Whether the old graph moves elements as `before` says, by just the operations named.
  private mutating func followsOld(
    _ certificate: Certificate, _ walkers: Walkers, _ count: Int
  ) -> Bool {
    var visited: Set<ValueID> = []
    var negation: IndexMap?
    switch certificate.meaning {
    case .attentionResult: return true
    case .sunkResult(_, let value):
      if isSunk(certificate, value, walkers) { return true }
      report("meaning", "the new operation is another one than the old one", certificate)
      return false
    case .rotation(.result, let rotation):
      return resultFollowsOld(certificate, rotation, walkers, count)
    case .rotation(.partner(let negated), _): negation = negated
    default: break
    }
    for index in Self.points(count) {
      guard
        let place = walkers.old.walk(
          certificate.entry, index, to: certificate.source, visited: &visited),
        place.index == certificate.before(index), place.isNegated == (negation?(index) == 1)
      else {
        report(
          "map",
          "element \(index) does not come from element \(certificate.before(index)) of the "
            + "source", certificate)
        return false
      }
    }
    return covers(certificate, visited)
  }

  private mutating func covers(_ certificate: Certificate, _ visited: Set<ValueID>) -> Bool {
    if visited.isSuperset(of: certificate.removed) { return true }
    report("map", "names operations that its elements do not pass", certificate)
    return false
  }

  /// A rotation's result: each number is the one that was multiplied by the cosine.
  private mutating func resultFollowsOld(
    _ certificate: Certificate, _ rotation: Certificate.Rotation, _ walkers: Walkers, _ count: Int
  ) -> Bool {
    let cosines = Set(
      rewrite.certificates.filter {
        guard case .rotation(.cosine, let other) = $0.meaning else { return false }
        return $0.function == certificate.function && other.value == rotation.value
      }.map { Operand.value($0.entry) })
    var visited: Set<ValueID> = []
    var ignored: Set<ValueID> = []
    for index in Self.points(count) {
      var found: Int?
      if let place = walkers.old.walk(certificate.entry, index, to: nil, visited: &visited),
        let sum = walkers.old.definition(place.source), sum.code == .add
      {
        for operand in sum.operands {
          guard let product = walkers.old.definition(operand), product.code == .mul,
            let cosine = product.operands.firstIndex(where: cosines.contains),
            case .value(let factor) = product.operands[1 - cosine]
          else { continue }
          found =
            walkers.old.walk(factor, place.index, to: certificate.source, visited: &ignored)?.index
        }
      }
      guard found == certificate.before(index) else {
        report(
          "map", "element \(index) is not the rotated element \(certificate.before(index))",
          certificate)
        return false
      }
    }
    return covers(certificate, visited)
  }

  /// Whether the new graph reads what `after` says.
  private mutating func followsNew(
    _ certificate: Certificate, _ walkers: Walkers, _ count: Int
  ) -> Bool {
    var visited: Set<ValueID> = []
    func walked(_ value: ValueID, _ index: Int, _ end: Operand) -> Int? {
      guard walkers.new.count(value) == count else { return nil }
      let place = walkers.new.walk(value, index, to: end, visited: &visited)
      return place.flatMap { $0.isNegated ? nil : $0.index }
    }
    for index in Self.points(count) {
      let found: Int?
      switch certificate.meaning {
      case .walk(let value, let end):
        found = corresponds(certificate.source, end, walkers) ? walked(value, index, end) : nil
      case .renaming: found = index
      case .attention(let part, let value, let channels):
        found = attentionElement(part, value, channels, index, certificate, walkers)
      case .mask(let table, let value):
        found = maskElement(table, value, index, certificate, walkers)
      case .sunkOperand(let place, let value):
        let operands = walkers.new.definition(.value(value))?.operands ?? []
        let isSame =
          operands.indices.contains(place)
          && corresponds(certificate.source, operands[place], walkers)
        found = isSame ? certificate.before(index) : nil
      case .sunkResult(let value, let operation):
        found = walked(value, index, .value(operation))
      case .attentionResult(let value, let attention):
        let place = walked(value, index, .value(attention))
        found = resultElement(attention, index, walkers) == place ? place : nil
      case .cacheRows(let state, let channels):
        found = cacheRowElement(state, channels, index, certificate, walkers)
      case .cacheReading(let state, let value, let channels):
        let width = after.states.indices.contains(state.index) ? after[state].type.shape[2] : 1
        let wanted = index - index % width + channels(index % width)
        found = walked(value, index, .state(state)) == wanted ? wanted : nil
      case .rotation(.result(let value), let rotation):
        found = walked(value, index, .value(rotation.value))
        if let found, found != pairedElement(certificate.before(index), rotation) {
          report("meaning", "the rotation's result is in another order", certificate)
          return false
        }
      case .rotation(let part, let rotation):
        found = rotationElement(part, rotation, index)
      }
      guard found == certificate.after(index) else {
        report(
          "meaning",
          "the new operation does not read element \(certificate.after(index)) for "
            + "element \(index)", certificate)
        return false
      }
    }
    return true
  }
}
