import GraphIR
import Support
import TensorCore

/// Rewrites a float graph operation by operation into its integer form.
struct IntegerGraphBuilder {
  private let source: Graph
  private let recipe: QuantizationRecipe
  private let calibration: Calibration
  private let migration: Migration
  private let scales: ScalePlan
  private var result: Graph
  /// Constants made so far, by what they are for; functions share them.
  private var made: [String: ConstantID] = [:]
  /// The site that defines each value of the function at hand.
  private var producers: [ValueID: Site] = [:]
  /// Weights made so far. What linear layers read is rounded apart from an embedding table that
  /// shares its numbers.
  private var weights: [WeightKey: (id: ConstantID, scales: [Float])] = [:]
  /// Weights of linear layers that were rounded before.
  private let rounded: [ConstantID: WeightQuantizer.Result]
  /// The head width of weights whose result is turned by position.
  private var turned: [ConstantID: Int] = [:]

  private struct WeightKey: Hashable {
    var id: ConstantID
    var isTable: Bool
  }

  /// A builder that has made nothing yet.
  init(
    _ graph: Graph, recipe: QuantizationRecipe, calibration: Calibration, migration: Migration,
    scales: ScalePlan, rounded: [ConstantID: WeightQuantizer.Result] = [:]
  ) {
    source = graph
    self.recipe = recipe
    self.calibration = calibration
    self.migration = migration
    self.scales = scales
    self.rounded = rounded
    result = Graph(name: graph.name, metadata: graph.metadata)
    result.metadata["quantization"] = recipe.name
  }

  /// Builds the integer graph.
  mutating func build() throws(DiagnosticError) -> Graph {
    for (index, state) in source.states.enumerated() {
      let id = StateID(index)
      let headScales =
        scales.states[id] ?? [Float](repeating: 1 / 127, count: state.type.shape[0])
      // Rows start at multiples of 16 bytes, as base pointers have to.
      let shape = state.type.shape
      let padded = Shape([shape[0], shape[1], (shape[2] + 15) / 16 * 16])
      _ = result.addState(
        State(
          name: state.name,
          type: TensorType(
            padded, scales.elements[id] ?? .int8, quant: QuantParams(scales: headScales, axis: 0))))
    }
    for function in source.functions { findTurned(function) }
    for function in source.functions { try convert(function) }
    return result
  }

  // MARK: Functions

  /// Notes the weights of layers whose result `rope` turns: their rows are stored by halves.
  private mutating func findTurned(_ function: Function) {
    for rope in function.operations where rope.code == .rope {
      guard case .value(let x)? = rope.operands.first, let headDim = rope.int("head_dim"),
        headDim > 0
      else { continue }
      for linear in function.operations where linear.code == .linear && linear.results.contains(x) {
        if case .constant(let id)? = linear.operands.dropFirst().first { turned[id] = headDim }
      }
    }
  }

  /// Moves the first of each pair of a head's entries to the head's first half, the second to the
  /// other: what `rope` reads in long runs.
  private func halved<T>(_ values: [T], headDim: Int, size: Int = 1) -> [T] {
    let heads = values.count / (headDim * size)
    return (0..<heads * headDim).flatMap { to -> ArraySlice<T> in
      let (head, i) = (to / headDim, to % headDim)
      let pair = i < headDim / 2 ? 2 * i : 2 * (i - headDim / 2) + 1
      let from = (head * headDim + pair) * size
      return values[from..<from + size]
    }
  }

  private mutating func convert(_ function: Function) throws(DiagnosticError) {
    var out = function
    out.operations = []
    let sites = Site.sites(of: function)
    producers = [:]
    for (index, operation) in function.operations.enumerated() {
      for id in operation.results { producers[id] = sites[index] }
      if let value = operation.results.first {
        guard let type = scales.types[sites[index]] else {
          throw failure(operation, "has no scale")
        }
        out[value].type.element = type.element
        out[value].type.quant = QuantParams(scale: type.scale)
      }
      var converted = operation
      try convert(&converted, site: sites[index], in: out)
      out.operations.append(converted)
    }
    result.functions.append(out)
  }

  private mutating func convert(
    _ operation: inout GraphIR.Operation, site: Site, in function: Function
  ) throws(DiagnosticError) {
    let before = operation
    func scale(_ index: Int) throws(DiagnosticError) -> Double {
      guard before.operands.indices.contains(index),
        case .value(let id) = before.operands[index], let quant = function[id].type.quant
      else { throw failure(before, "operand \(index) must be a quantised value") }
      return Double(quant.scales[0])
    }
    func resultScale() throws(DiagnosticError) -> Double {
      guard let id = before.results.first, let quant = function[id].type.quant else {
        throw failure(before, "has no result")
      }
      return Double(quant.scales[0])
    }
    switch operation.code {
    case .embedding:
      let constant = try constantID(before, 1)
      let table = try embeddingTable(before, constant)
      let out = try resultScale()
      let name = source[constant].name + ".row_multiplier"
      let (multipliers, shift) = try common(before, table.scales.map { Double($0) / out })
      let multiplier = add(name, .int32, [multipliers.count]) { ConstantData(int32: multipliers) }
      operation.operands =
        [before.operands[0], .constant(table.id), .constant(multiplier)]
        + (table.columns.map { [.constant($0)] } ?? [])
      operation.attributes = ["shift": .int(shift)]
    case .rmsNorm:
      let gamma = try constantID(before, 1)
      let (x, out) = (try scale(0), try resultScale())
      guard let eps = before.float("eps") else { throw failure(before, "needs 'eps'") }
      let factors = migration.gammaFactors[gamma]
      let scaled = try floats(before, gamma).enumerated().map {
        Double($1) * Double(factors?[$0] ?? 1)
      }
      let width = Double(scaled.count)
      let epsilon = min((width * eps / (x * x) / 65536).rounded(.toNearestOrAwayFromZero), 0x1p27)
      let form: NormForm
      let multipliers: [Int32]
      if scales.isEven, case .value(let stream) = before.operands[0],
        let seen = producers[stream].flatMap({ calibration.sites[$0] }),
        let near = NearRows(seen, step: x, epsilon: epsilon, gamma: scaled, out: out)
      {
        (form, multipliers) = (.near, near.gamma)
        operation.attributes = [
          "root_shift": .int(near.rootShift), "row_shift": .int(near.rowShift),
          "multiplier": .int(Int(near.output.multiplier)), "shift": .int(Int(near.output.shift)),
        ]
      } else {
        let shift: Int
        form = scales.isEven ? .alike : .any
        (multipliers, shift) = try common(
          before, scaled.map { $0 / (out * 0x1p20 * 2.0.squareRoot()) * width.squareRoot() })
        operation.attributes = [
          "root_shift": .int(0), "row_shift": .int(0), "multiplier": .int(1), "shift": .int(shift),
        ]
      }
      operation.attributes["form"] = .int(form.rawValue)
      operation.attributes["eps_q"] = .int(Int(epsilon))
      let id = add(source[gamma].name + ".gamma_q/\(site)", .int32, [multipliers.count]) {
        ConstantData(int32: multipliers)
      }
      operation.operands = [before.operands[0], .constant(id)]
    case .linear:
      let constant = try constantID(before, 1)
      let x = try scale(0)
      let biases = try biases(before, constant)
      // A bias far above what its row's weights make still has to fit.
      let w = try weight(
        before, constant, leastScales: biases?.map { Float(abs($0) / (x * Self.biasLimit)) })
      operation.operands = [before.operands[0], .constant(w.id)]
      if var biases {
        let bias = try constantID(before, 2)
        if let headDim = turned[constant] { biases = halved(biases, headDim: headDim) }
        let steps = biases.enumerated().map { index, real in
          (real / (x * Double(w.scales[index]))).rounded(.toNearestOrAwayFromZero)
        }
        guard steps.allSatisfy({ abs($0) <= Self.biasLimit }) else {
          throw failure(before, "has a bias beyond 2^30 steps")
        }
        let values = steps.map { Int32($0) }
        let quant = QuantParams(scales: w.scales.map { Float(Double($0) * x) }, axis: 0)
        let id = add(source[bias].name, .int32, [values.count], quant: quant) {
          ConstantData(int32: values)
        }
        operation.operands.append(.constant(id))
      }
      let out = try resultScale()
      let isWide = function.element(before.operands[0]) == .int16
      for s in w.scales {
        let r = x * Double(s) / out
        guard (isWide ? FixedMultiplier(fixed15: r) : FixedMultiplier(fixed31: r)) != nil else {
          throw failure(before, "an output channel's scale of \(r) cannot be written")
        }
      }
      operation.attributes = [:]
    case .rope:
      let table = try constantID(before, 2)
      guard case .value(let x)? = before.operands.first, let headDim = before.int("head_dim"),
        producers[x]?.code == .linear
      else { throw failure(before, "must turn the result of a linear layer") }
      let values = halved(
        try floats(before, table).map {
          Int16(min(max(($0 * 0x1p14).rounded(.toNearestOrAwayFromZero), -32768), 32767))
        }, headDim: headDim)
      let shape = source[table].type.shape
      let id = add(source[table].name, .int16, shape.dimensions, quant: QuantParams(scale: 0x1p-14))
      { ConstantData(int16: values) }
      operation.operands[2] = .constant(id)
    case .kvWrite:
      guard before.operands.count == 3, case .state(let state) = before.operands[2],
        let heads = result[state].type.quant
      else { throw failure(before, "operand 2 must be a state") }
      let x = try scale(0)
      let width = function.width(before.operands[0])
      let headDim = width / max(heads.scales.count, 1)
      let (multipliers, shift) = try common(
        before, (0..<width).map { x / Double(heads.scales[$0 / max(headDim, 1)]) })
      var centre = migration.caches[state]?.centre ?? [Float](repeating: 0, count: width)
      if producers.first(where: { before.operands[0] == .value($0.key) })?.value.code == .rope {
        centre = halved(centre, headDim: headDim)
      }
      let offsets = centre.map {
        Int16(min(max((Double($0) / x).rounded(.toNearestOrAwayFromZero), -32768), 32767))
      }
      let offset = add("\(result[state].name).offset", .int16, [width]) {
        ConstantData(int16: offsets)
      }
      let multiplier = add("\(result[state].name).multiplier", .int32, [width]) {
        ConstantData(int32: multipliers)
      }
      operation.operands += [.constant(offset), .constant(multiplier)]
      operation.attributes = ["shift": .int(shift)]
    case .attention:
      guard before.operands.count == 4, case .state(let k) = before.operands[2],
        case .state(let v) = before.operands[3], let keys = result[k].type.quant,
        let rows = result[v].type.quant, let factor = before.float("scale")
      else { throw failure(before, "needs two states and a scale") }
      let (q, out) = (try scale(0), try resultScale())
      guard rows.scales.allSatisfy({ $0 == rows.scales[0] }),
        keys.scales.allSatisfy({ $0 == keys.scales[0] })
      else { throw failure(before, "needs one scale for all heads of a cache") }
      let step = q * Double(keys.scales[0]) * ScorePower.unit(factor)
      guard let shift = ScorePower.shift(of: step) else {
        throw failure(before, "its scores' scale of \(step) is no power of two that fits")
      }
      let real = Double(rows.scales[0]) / 256 / 0x1p13 / out
      var fixed = FixedMultiplier(multiplier: 1, shift: 13)
      if function.element(.value(before.results[0])) == .int8 {
        guard let found = FixedMultiplier(fixed31: real) else {
          throw failure(before, "its scale of \(real) cannot be written")
        }
        fixed = found
      }
      operation.attributes["score_shift"] = .int(shift)
      operation.attributes["multiplier"] = .int(Int(fixed.multiplier))
      operation.attributes["shift"] = .int(Int(fixed.shift))
    case .silu, .gelu:
      let (x, out) = (Float(try scale(0)), Float(try resultScale()))
      let gelu = before.int("exact") == 1 ? LookupTable.exactGelu : LookupTable.gelu
      let function = before.code == .silu ? LookupTable.silu : gelu
      let entries = LookupTable.entries(inputScale: x, outputScale: out, function)
      let id = add("\(site).table", .uint32, [512]) {
        ConstantData(
          bytes: ByteSource(entries.map(\.littleEndian).withUnsafeBytes(Array.init)),
          encoding: .dense(.uint32))
      }
      operation.code = .lut
      operation.operands = [before.operands[0], .constant(id)]
      operation.attributes = [:]
    case .mul:
      let real = try scale(0) * scale(1) / resultScale()
      guard let fixed = FixedMultiplier(fixed31: real) else {
        throw failure(before, "its scale of \(real) cannot be written")
      }
      operation.attributes = [
        "multiplier": .int(Int(fixed.multiplier)), "shift": .int(Int(fixed.shift)),
      ]
    case .add:
      guard try scale(0) == scale(1), try scale(0) == resultScale() else {
        throw failure(before, "its operands do not share a scale")
      }
    case .layerNorm, .lut, .reshape, .transpose, .expand, .slice, .concat, .matmul, .scale, .negate,
      .softmax, .causalMask, .positionRows, .cacheWrite, .cacheRead:
      throw failure(before, "has no integer form")
    }
  }

  // MARK: Constants

  private mutating func add(
    _ name: String, _ element: ElementType, _ dimensions: [Int], quant: QuantParams? = nil,
    _ data: () -> ConstantData
  ) -> ConstantID {
    if let known = made[name] { return known }
    let id = result.addConstant(
      Constant(
        name: name, type: TensorType(Shape(dimensions), element, quant: quant), data: data()))
    made[name] = id
    return id
  }

  /// The largest magnitude of an integer bias (`Docs/Numerics.md`, linear).
  private static let biasLimit = 0x1p30

  /// The bias of a linear layer as its weights are turned and scaled, in the order of their rows; nil when
  /// it has none.
  private func biases(
    _ operation: GraphIR.Operation, _ weights: ConstantID
  ) throws(DiagnosticError) -> [Double]? {
    guard operation.operands.count > 2 else { return nil }
    var reals = try floats(operation, try constantID(operation, 2))
    for (pair, turn) in (migration.rotations[weights] ?? []).enumerated() {
      let (a, b) = (reals[2 * pair], reals[2 * pair + 1])
      reals[2 * pair] = a * turn.x - b * turn.y
      reals[2 * pair + 1] = a * turn.y + b * turn.x
    }
    let factors = migration.rowFactors[weights]
    return reals.enumerated().map { Double($1) * Double(factors?[$0] ?? 1) }
  }

  private mutating func weight(
    _ operation: GraphIR.Operation, _ id: ConstantID, leastScales: [Float]? = nil
  ) throws(DiagnosticError) -> (id: ConstantID, scales: [Float]) {
    let isTable = operation.code == .embedding
    // One constant serves both unless the layer's columns were changed for its own sake.
    let apart = rounded[id] != nil || migration.columnFactors[id] != nil
    let key = WeightKey(id: id, isTable: isTable && apart)
    if let known = weights[key] { return known }
    let constant = source[id]
    let quantised: WeightQuantizer.Result?
    if !isTable, let ready = rounded[id] {
      quantised = ready
    } else if constant.type.shape.rank == 2, let data = constant.data {
      quantised = WeightQuantizer.quantize(
        data, rows: constant.type.shape[0], columns: constant.type.shape[1],
        rotations: isTable ? nil : migration.rotations[id],
        rowFactors: isTable ? nil : migration.rowFactors[id],
        columnFactors: isTable ? nil : migration.columnFactors[id],
        importance: importance(operation, id))
    } else {
      quantised = nil
    }
    guard var quantised else {
      throw failure(operation, "'\(constant.name)' is not a matrix of finite numbers")
    }
    if let leastScales { quantised.raise(to: leastScales, columns: constant.type.shape[1]) }
    var (scales, bytes) = (quantised.scales, quantised.bytes)
    if let headDim = turned[id] {
      scales = halved(scales, headDim: headDim)
      bytes = ByteSource(
        bytes.withBytes { halved(Array($0), headDim: headDim, size: constant.type.shape[1]) })
    }
    let made = result.addConstant(
      Constant(
        name: constant.name + (key.isTable ? ".table" : ""),
        type: TensorType(
          constant.type.shape, .int8, quant: QuantParams(scales: scales, axis: 0)),
        data: ConstantData(bytes: bytes, encoding: .dense(.int8))))
    weights[key] = (made, scales)
    return (made, scales)
  }

  /// An embedding table, and the factors of its columns where it has four bits.
  private mutating func embeddingTable(
    _ operation: GraphIR.Operation, _ id: ConstantID
  ) throws(DiagnosticError) -> (id: ConstantID, columns: ConstantID?, scales: [Float]) {
    guard recipe.embeddings == .int4 else {
      let table = try weight(operation, id)
      return (table.id, nil, table.scales)
    }
    let constant = source[id]
    let name = constant.name + ".table"
    if let known = made[name], let columns = made[name + ".columns"],
      let scales = result[known].type.quant?.scales
    {
      return (known, columns, scales)
    }
    let shape = constant.type.shape
    guard shape.rank == 2, shape[1] % 2 == 0, let data = constant.data,
      let table = EmbeddingTable(data, rows: shape[0], columns: shape[1])
    else {
      throw failure(
        operation,
        "'\(constant.name)' is not a matrix of finite numbers with an even number of columns")
    }
    let made = add(
      name, .int4, shape.dimensions, quant: QuantParams(scales: table.scales, axis: 0)
    ) { ConstantData(bytes: table.bytes, encoding: .dense(.int4)) }
    let columns = add(name + ".columns", .int8, [table.columns.count]) {
      ConstantData(int8: table.columns)
    }
    return (made, columns, table.scales)
  }

  /// How much an error in each column of a linear layer's weights matters: the mean square of the
  /// channel it is multiplied by.
  private func importance(_ operation: GraphIR.Operation, _ id: ConstantID) -> [Float]? {
    guard operation.code == .linear, case .value(let x)? = operation.operands.first,
      let site = producers[x], let seen = calibration.sites[site], seen.rows > 0
    else { return nil }
    let factors = migration.siteFactors[site]
    let squares = seen.channelSquares.enumerated().map { index, sum in
      let factor = factors?[index] ?? 1
      return Float(sum / Double(seen.rows)) * factor * factor
    }
    // A column that calibration never reached still counts a little.
    let floor = squares.reduce(0, +) / Float(max(squares.count, 1)) * 1e-3 + 1e-20
    return squares.map { max($0, floor) }
  }

  private func common(
    _ operation: GraphIR.Operation, _ reals: [Double]
  ) throws(DiagnosticError) -> ([Int32], Int) {
    guard let (multipliers, shift) = FixedMultiplier.common(reals) else {
      throw failure(operation, "its scales cannot be written")
    }
    return (multipliers, shift)
  }

  private func constantID(
    _ operation: GraphIR.Operation, _ index: Int
  ) throws(DiagnosticError) -> ConstantID {
    guard operation.operands.indices.contains(index),
      case .constant(let id) = operation.operands[index]
    else { throw failure(operation, "operand \(index) must be a constant") }
    return id
  }

  private func floats(
    _ operation: GraphIR.Operation, _ id: ConstantID
  ) throws(DiagnosticError) -> [Float] {
    guard let values = source[id].floats, values.allSatisfy(\.isFinite) else {
      throw failure(operation, "the numbers of '\(source[id].name)' are unreadable")
    }
    return values
  }

  private func failure(_ operation: GraphIR.Operation, _ message: String) -> DiagnosticError {
    DiagnosticError(
      "quantize.operation", "\(operation.code.rawValue) \(message)",
      at: SourceLocation(element: operation.provenance.source))
  }
}

extension Function {
  /// The element type of a value operand; nil for constants and states.
  fileprivate func element(_ operand: Operand) -> ElementType? {
    guard case .value(let id) = operand else { return nil }
    return self[id].type.element
  }

  /// Channels of a value operand; 0 for constants and states.
  fileprivate func width(_ operand: Operand) -> Int {
    guard case .value(let id) = operand else { return 0 }
    return self[id].type.shape.dimensions.last ?? 0
  }
}
