import GraphIR
import Support
import TensorCore

/// Makes constants out of constants, each once, with the certificates that say how.
struct ConstantMaker {
  /// The pass that makes them.
  let pass: String
  /// Where the constants made so far come from.
  private(set) var certificates: [ConstantCertificate] = []
  private var made: [ConstantCertificate.Origin: ConstantID] = [:]

  /// A maker without constants.
  init(pass: String) { self.pass = pass }

  private mutating func add(
    _ origin: ConstantCertificate.Origin, to graph: inout Graph, _ make: () -> Constant?
  ) -> ConstantID? {
    if let known = made[origin] { return known }
    guard var constant = make() else { return nil }
    constant.name = graph.unusedName(constant.name)
    let id = graph.addConstant(constant)
    made[origin] = id
    certificates.append(ConstantCertificate(pass: pass, constant: id, origin: origin))
    return id
  }

  /// The constant with its rows (axis 0) reordered within heads, from halves to neighbours. Nil when
  /// its rows are no whole heads or no whole bytes.
  mutating func pairedRows(
    _ id: ConstantID, headDim: Int, in graph: inout Graph
  ) -> ConstantID? {
    let constant = graph[id]
    return add(.pairedRows(id, headDim: headDim), to: &graph) {
      guard let rows = constant.type.shape.dimensions.first, headDim > 0, rows % headDim == 0 else {
        return nil
      }
      var data = constant.data
      if let old = constant.data {
        guard old.bytes.count % rows == 0 else { return nil }
        let pitch = old.bytes.count / rows
        let bytes = old.bytes.withBytes { raw in
          (0..<rows).flatMap { row in
            let channel = row % headDim
            let from = row - channel + channel / 2 + channel % 2 * (headDim / 2)
            return raw[from * pitch..<(from + 1) * pitch]
          }
        }
        data = ConstantData(bytes: ByteSource(bytes), encoding: old.encoding)
      }
      return Constant(name: constant.name + ".paired", type: constant.type, data: data)
    }
  }

  /// The table `[context, head_dim]` of cosines and sines, alternating. Nil when a table that holds every
  /// angle twice does not, or when nobody can tell because its numbers are unknown.
  mutating func rotationTable(_ match: RotaryMatch, in graph: inout Graph) -> ConstantID? {
    let (cosine, sine) = (graph[match.cosine], graph[match.sine])
    let headDim = match.rotation.headDim
    let origin = ConstantCertificate.Origin.rotationTable(
      cosine: match.cosine, sine: match.sine, pairing: match.rotation.pairing)
    return add(origin, to: &graph) {
      let (context, half) = (cosine.type.shape[0], headDim / 2)
      var data: ConstantData?
      if cosine.data != nil || sine.data != nil {
        guard
          let c = Self.angles(cosine, headDim: headDim, match.rotation.pairing),
          let s = Self.angles(sine, headDim: headDim, match.rotation.pairing)
        else { return nil }
        data = ConstantData(floats: (0..<context * half).flatMap { [c[$0], s[$0]] })
      } else if cosine.type.shape[1] == headDim || sine.type.shape[1] == headDim {
        return nil
      }
      return Constant(
        name: "rope.table", type: TensorType([context, headDim], .float32), data: data)
    }
  }

  /// The angles' functions of half a head's pairs, `[context, headDim/2]`; nil when a table with all
  /// channels of a head does not hold each twice, or has no numbers.
  static func angles(
    _ table: Constant, headDim: Int, _ pairing: Certificate.Pairing
  ) -> [Float]? {
    let (context, width, half) = (table.type.shape[0], table.type.shape[1], headDim / 2)
    guard let numbers = table.floats else { return nil }
    if width == half { return numbers }
    guard width == headDim else { return nil }
    var found: [Float] = []
    found.reserveCapacity(context * half)
    for row in 0..<context {
      for pair in 0..<half {
        let (a, b) = pairing == .halves ? (pair, pair + half) : (2 * pair, 2 * pair + 1)
        let number = numbers[row * width + a]
        guard number == numbers[row * width + b] else { return nil }
        found.append(number)
      }
    }
    return found
  }
}
