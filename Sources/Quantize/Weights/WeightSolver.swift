import EthosUISA
import Foundation
import GraphIR
import Reference
import Support
import TensorCore

/// Rounds the weights of all linear layers of a graph by one method.
struct WeightSolver {
  /// One layer to round.
  private struct Layer {
    let layer: LinearLayer
    /// What an error in each output channel costs, after what later ones make good.
    let sensitivities: [Float]
    /// How errors in what it reads are made good.
    let factor: FeedbackFactor?
    /// What the values it reads are multiplied by.
    let units: [Float]?
    /// How errors in what it makes are made good.
    let outputs: FeedbackFactor?

    var id: ConstantID { layer.id }
    var rows: Int { layer.rows }
    var columns: Int { layer.columns }
  }

  let graph: Graph
  let migration: Migration
  private let method: WeightMethod
  private let layers: [Layer]

  /// Called with how much is done, of how much.
  typealias Progress = (_ done: Int, _ of: Int) -> Void

  /// Prepares the layers of `score` (or `decode`).
  init(
    _ graph: Graph, migration: Migration, sensitivities: [Site: [Float]],
    factors: CurvatureFactors, method: WeightMethod
  ) throws(DiagnosticError) {
    self.graph = graph
    self.migration = migration
    self.method = method
    var all = try LinearLayer.all(in: graph)
    // Nobody makes good what the last layer does, except those before it.
    if method.compensationSteps > 0, let last = all.popLast() { all.insert(last, at: 0) }
    layers = all.map { layer in
      let outputs = factors.outputs[layer.site]
      var costs = Self.migrated(
        sensitivities[layer.site] ?? [Float](repeating: 1, count: layer.rows),
        layer.id, migration)
      if let outputs {
        let rows = migration.rowFactors[layer.id]
        costs = outputs.channelCosts(units: rows.map { $0.map { 1 / $0 } })
      }
      return Layer(
        layer: layer, sensitivities: costs, factor: factors.inputs[layer.reads],
        units: migration.siteFactors[layer.reads], outputs: outputs)
    }
  }

  /// What an error costs after a layer's rows were turned and scaled.
  private static func migrated(
    _ seen: [Float], _ id: ConstantID, _ migration: Migration
  ) -> [Float] {
    var result = seen
    if migration.rotations[id] != nil {
      for r in stride(from: 0, to: result.count - 1, by: 2) {
        let mean = (result[r] + result[r + 1]) / 2
        (result[r], result[r + 1]) = (mean, mean)
      }
    }
    if let factors = migration.rowFactors[id] {
      for r in result.indices { result[r] /= factors[r] * factors[r] }
    }
    return result
  }

  /// Rounds all layers.
  ///
  /// - Parameter compensator: lets layers that are not rounded yet make good what rounding the others
  ///   did.
  func solve(
    compensator: WeightCompensator? = nil, progress: Progress
  ) throws(DiagnosticError) -> (weights: [ConstantID: WeightQuantizer.Result], report: WeightReport)
  {
    var report = WeightReport()
    var weights: [ConstantID: WeightQuantizer.Result] = [:]
    let total = layers.reduce(0) { $0 + $1.rows * $1.columns }
    var done = 0
    var lossStep: Double?
    var budget: BitBudget?
    var expected: [Double] = []
    switch method.grid {
    case .levels, .codebook: break
    case .lossStep(let step): lossStep = step
    case .bitsPerWeight(let bits): (budget, expected) = try plan(bitsPerWeight: bits)
    }
    if let compensator {
      // What is settled already does not move.
      for (id, result) in migration.kept.rounded(rowFactors: migration.rowFactors) {
        compensator.settle(id, restored(id, result))
      }
    }
    for first in stride(from: 0, to: layers.count, by: Self.batch) {
      let part = first..<min(first + Self.batch, layers.count)
      var found = try round(part, lossStep: budget?.lossStep ?? lossStep, compensator)
      if var known = budget {
        func bits() -> Int { found.reduce(0) { $0 + $1.line.bits } }
        let count = found.reduce(0) { $0 + $1.line.count }
        if part.upperBound == layers.count {
          found = try filling(&known, part, with: found, compensator)
        }
        known.spend(bits: bits(), expected: expected[part].reduce(0, +), count: count)
        budget = known
      }
      for (layer, (result, line)) in zip(layers[part], found) {
        weights[layer.id] = result
        report.layers.append(line)
        done += line.count
        compensator?.settle(layer.id, restored(layer.id, result))
      }
      // None after the last part, when no layer is free.
      let steps = method.compensationSteps
      let span = max(layers.count - Self.batch, 1)
      try compensator?.follow(
        steps: min(part.upperBound, span) * steps / span - min(first, span) * steps / span)
      progress(done, total)
    }
    return (weights, report)
  }

  /// The last layers rounded again until they take what is left, hardly less and no more.
  private func filling(
    _ budget: inout BitBudget, _ part: Range<Int>, with first: [Rounded],
    _ compensator: WeightCompensator?
  ) throws(DiagnosticError) -> [Rounded] {
    func bits(_ found: [Rounded]) -> Int { found.reduce(0) { $0 + $1.line.bits } }
    let count = first.reduce(0) { $0 + $1.line.count }
    var best = first
    var last = first
    for _ in 0..<6 where !budget.isFilled(bits: bits(best)) {
      budget.retry(bits: bits(last), count: count)
      last = try round(part, lossStep: budget.lossStep, compensator)
      // Too many bits give way to fewer; too few only to more that still fit.
      let isMore = bits(last) > bits(best)
      if budget.fits(bits: bits(best)) ? isMore && budget.fits(bits: bits(last)) : !isMore {
        best = last
      }
    }
    return best
  }

  /// How many bits may be spent, and what each layer is expected to take of them.
  private func plan(
    bitsPerWeight bits: Double
  ) throws(DiagnosticError) -> (budget: BitBudget, expected: [Double]) {
    var step = try search(bitsPerWeight: bits)
    var more = 0.0
    if sampleStride > 1, layers.contains(where: { $0.outputs != nil }) {
      more = try excess(step)
      step = try search(bitsPerWeight: max(bits - more, 0.5))
    }
    let expected = try sampled(lossStep: step).layers.map {
      Double($0.bits) + more * Double($0.count)
    }
    let count = layers.reduce(0) { $0 + $1.rows * $1.columns }
    let budget = BitBudget(
      limit: bits * Double(count), expected: expected.reduce(0, +), count: count, lossStep: step)
    return (budget: budget, expected: expected)
  }

  /// A layer's integers, and what is to be said of them.
  private typealias Rounded = (result: WeightQuantizer.Result, line: WeightReport.Layer)

  /// How many layers are rounded side by side.
  private static let batch = 8

  /// Rounds a few layers side by side: rows of a layer may follow from one another.
  private func round(
    _ part: Range<Int>, lossStep: Double?, _ compensator: WeightCompensator? = nil
  ) throws(DiagnosticError) -> [Rounded] {
    typealias Outcome = Result<(WeightQuantizer.Result, WeightReport.Layer), DiagnosticError>
    let moved = part.map { compensator?.data(layers[$0].id) }
    var outcomes = [Outcome?](repeating: nil, count: part.count)
    outcomes.withUnsafeMutableBufferPointer { outcomes in
      nonisolated(unsafe) let outcomes = outcomes
      Parallel.ranges(part.count, grain: 1) { range in
        for index in range {
          outcomes[index] = Outcome { () throws(DiagnosticError) in
            try round(
              layers[part.lowerBound + index], lossStep: lossStep, stride: 1, moved: moved[index])
          }
        }
      }
    }
    var found: [Rounded] = []
    for outcome in outcomes {
      if let made = try outcome?.get() { found.append(made) }
    }
    return found
  }

  /// Bits a weight that whole layers take beyond what their samples say, since only whole layers hand
  /// errors from row to row: seen on layers from the middle.
  private func excess(_ lossStep: Double) throws(DiagnosticError) -> Double {
    let middle = layers.count / 2
    let part = max(0, middle - Self.batch / 2)..<min(layers.count, middle + Self.batch / 2)
    let whole = try round(part, lossStep: lossStep).map(\.line)
    var (more, count) = (0.0, 0)
    for (index, line) in zip(part, whole) {
      let sample = try round(layers[index], lossStep: lossStep, stride: sampleStride).line
      let bits = Double(sample.bits) / Double(max(sample.count, 1))
      more += Double(line.bits) - bits * Double(line.count)
      count += line.count
    }
    return more / Double(max(count, 1))
  }

  /// The step of loss that gives this many bits a weight, from a part of each layer's rows.
  func search(bitsPerWeight wanted: Double) throws(DiagnosticError) -> Double {
    // Bits fall by half a bit for each doubling of the step, less when few are left.
    var (low, high) = (-60.0, 10.0)
    var at = -20.0
    var best = (at: at, miss: Double.infinity)
    for _ in 0..<16 {
      let found = try sampled(lossStep: exp2(at)).bitsPerWeight
      let miss = abs(found - wanted)
      if miss < best.miss { best = (at, miss) }
      if miss < 0.004 * wanted { break }
      if found > wanted { low = at } else { high = at }
      let next = at + (found - wanted) * (found < 2.5 ? 1.2 : 2)
      at = next > low && next < high ? next : (low + high) / 2
    }
    return exp2(best.at)
  }

  /// Of large models every so-many-th row is looked at.
  private var sampleStride: Int {
    max(1, layers.reduce(0) { $0 + $1.rows * $1.columns } / 4_000_000)
  }

  /// What rounding would make of the weights, from a part of each layer's rows.
  ///
  /// - Parameter lossStep: nil for a grid of levels.
  func sampled(lossStep: Double?) throws(DiagnosticError) -> WeightReport {
    var report = WeightReport()
    for layer in layers {
      var line = try round(layer, lossStep: lossStep, stride: sampleStride).line
      // Sampled layers weigh as much as they will in the whole.
      let factor = Double(layer.rows * layer.columns) / Double(max(line.count, 1))
      line.bits = Int(Double(line.bits) * factor)
      line.wholeBits = Int(Double(line.wholeBits) * factor)
      line.expectedDivergence *= factor
      line.count = layer.rows * layer.columns
      report.layers.append(line)
    }
    return report
  }

  /// Rounds one layer, or every so-many-th block of its rows.
  ///
  /// - Parameter moved: its weights, where they are not the graph's.
  private func round(
    _ layer: Layer, lossStep: Double?, stride: Int, moved: ConstantData? = nil
  ) throws(DiagnosticError) -> (result: WeightQuantizer.Result, line: WeightReport.Layer) {
    if let kept = migration.kept.rounded(layer.id, rowFactors: migration.rowFactors[layer.id]),
      let grid = migration.kept.grids[layer.id]
    {
      return (kept, line(of: layer, grid.integers, expectedDivergence: 0))
    }
    guard let data = moved ?? graph[layer.id].data,
      let whole = MigratedMatrix(
        data, rows: layer.rows, columns: layer.columns,
        rotations: migration.rotations[layer.id], rowFactors: migration.rowFactors[layer.id],
        columnFactors: migration.columnFactors[layer.id])
    else {
      throw DiagnosticError(
        "quantize.operation", "the weight is not a matrix of finite numbers",
        at: SourceLocation(element: layer.layer.name))
    }
    let chosen = stride == 1 ? nil : whole.sampledRows(stride: stride)
    let matrix = chosen.map { whole.picking($0) } ?? whole
    let sensitivities = chosen.map { $0.map { layer.sensitivities[$0] } } ?? layer.sensitivities
    let factor = layer.factor
    let costs = factor?.channelCosts(units: layer.units)
    var rounder = FeedbackRounder(
      factor: method.usesFeedback ? factor : nil, limit: 127, units: layer.units)
    let steps: [Float]
    if let lossStep {
      let mean = costs.map { $0.reduce(0, +) / Float(max($0.count, 1)) } ?? 1
      steps = Self.steps(matrix, sensitivities, meanCost: mean, lossStep)
      if method.rateWeight > 0 {
        // Prices from what plain rounding gives, then from what weighing bits made of it: of a large
        // matrix, seen on a part of the rows.
        let rows = matrix.rowsForPrices
        let part = rows.map(matrix.picking) ?? matrix
        let partSteps = rows.map { $0.map { steps[$0] } } ?? steps
        var plain = rounder
        plain.factor = nil
        rounder.exchange = 8.66 / method.rateWeight
        rounder.prices = WeightPrices(counts: Self.counts(plain.round(part, steps: partSteps))).bits
        let first = rounder.round(part, steps: partSteps)
        rounder.prices = WeightPrices(counts: Self.counts(first)).bits
      }
    } else if case .codebook(let size) = method.grid {
      let found = Codebook.fit(
        matrix, columnCosts: costs ?? [Float](repeating: 1, count: matrix.columns),
        rowCosts: sensitivities, size: size)
      rounder.codebook = found.codebook
      steps = found.steps
    } else {
      var limit = 127
      if case .levels(let levels) = method.grid { limit = min(max(levels, 1), 127) }
      rounder.limit = limit
      steps = Self.steps(matrix, costs, limit: limit)
    }
    if method.usesFeedback, chosen == nil, let outputs = layer.outputs {
      rounder.outputs = outputs
      rounder.rowUnits = migration.rowFactors[layer.id]
    }
    var (integers, losses) = rounder.rounded(matrix, steps: steps)
    var weights = sensitivities
    if rounder.outputs != nil, let outputs = layer.outputs {
      // These losses are in the units of what the layer makes.
      weights = outputs.channelCosts()
    } else if rounder.factor == nil, let factor {
      losses = factor.losses(matrix, integers, steps: steps, units: layer.units)
    }
    let loss = zip(losses, weights).reduce(0.0) { $0 + 0.5 * Double($1.0) * Double($1.1) }
    let line = line(of: layer, integers, expectedDivergence: loss)
    let least = (steps.max() ?? 0) * 0x1p-20
    let scales = steps.map { $0 > 0 ? max($0, least) : max(least, 1e-20) }
    return (
      WeightQuantizer.Result(
        bytes: ByteSource(integers.map { UInt8(bitPattern: $0) }), scales: scales,
        codebook: rounder.codebook), line
    )
  }

  /// Steps for which an error of one step costs the same in every row.
  private static func steps(
    _ matrix: MigratedMatrix, _ sensitivities: [Float], meanCost: Float, _ lossStep: Double
  ) -> [Float] {
    (0..<matrix.rows).map { row in
      let largest = matrix.largest(row)
      guard largest > 1e-30 else { return 0 }
      let step = Float((lossStep / (Double(sensitivities[row]) * Double(meanCost))).squareRoot())
      return min(max(step, largest / 127), largest * 2)
    }
  }

  /// Steps for which a grid of few levels errs least.
  private static func steps(
    _ matrix: MigratedMatrix, _ columnCosts: [Float]?, limit: Int
  ) -> [Float] {
    let costs = columnCosts ?? [Float](repeating: 1, count: matrix.columns)
    var steps = [Float](repeating: 0, count: matrix.rows)
    steps.withUnsafeMutableBufferPointer { steps in
      nonisolated(unsafe) let out = steps
      matrix.values.withUnsafeBufferPointer { values in
        costs.withUnsafeBufferPointer { costs in
          nonisolated(unsafe) let (from, weights) = (values, costs)
          Parallel.ranges(matrix.rows, grain: max(1, 65536 / max(matrix.columns, 1))) { range in
            for row in range {
              out[row] = StepSearch.best(
                UnsafeBufferPointer(
                  rebasing: from[row * matrix.columns..<(row + 1) * matrix.columns]),
                costs: weights, limit: limit)
            }
          }
        }
      }
    }
    return steps
  }

  /// How often each integer occurs, by its value plus 128.
  private static func counts(_ integers: some Collection<Int8>) -> [Int] {
    var counts = [Int](repeating: 0, count: 256)
    for value in integers { counts[Int(value) &+ 128] &+= 1 }
    return counts
  }

  /// What a layer's integers, or those of some of its rows, come to.
  private func line(
    of layer: Layer, _ integers: [Int8], expectedDivergence: Double
  ) -> WeightReport.Layer {
    WeightReport.Layer(
      name: layer.layer.name, count: integers.count,
      bits: Self.streamBits(integers, layer.columns, slice: method.sliceWeights),
      wholeBits: Self.streamBits(integers, layer.columns, slice: nil),
      expectedDivergence: expectedDivergence)
  }

  /// Bits of a stream cut about as the compiler cuts it, a palette of its own for each slice.
  private static func streamBits(_ integers: [Int8], _ columns: Int, slice: Int?) -> Int {
    let part = slice.map { max(1, $0 / 16 / max(columns, 1)) * 16 * columns } ?? integers.count
    return Swift.stride(from: 0, to: integers.count, by: max(part, 1)).reduce(0) {
      $0 + WeightPrices(counts: counts(integers[$1..<min($1 + part, integers.count)])).total
    }
  }
}
