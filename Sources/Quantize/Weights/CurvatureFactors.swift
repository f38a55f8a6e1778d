import GraphIR
import Reference
import Support

/// The factors of all matrices of a ``Curvature``: made once, used by every attempt to round.
///
/// Scaling a channel scales its row of a factor, so these hold for all factors of channels; turning
/// pairs of rows does not, so those turns are part of them.
struct CurvatureFactors: Sendable {
  /// Of what layers read, by the site that makes it.
  private(set) var inputs: [Site: FeedbackFactor] = [:]
  /// Of the gradients at what layers make, by the layer's site.
  private(set) var outputs: [Site: FeedbackFactor] = [:]

  /// Factors what `method` has a use for, two matrices at a time.
  ///
  /// - Parameter migration: whose turns of rows are taken.
  init(
    _ graph: Graph, _ curvature: Curvature, migration: Migration, method: WeightMethod
  ) throws(DiagnosticError) {
    var tasks: [(site: Site, size: Int, isOutput: Bool, turns: [SIMD2<Float>]?)] = []
    var seen = Set<Site>()
    for layer in try LinearLayer.all(in: graph) {
      if seen.insert(layer.reads).inserted {
        tasks.append((layer.reads, layer.columns, false, nil))
      }
      if method.feedsRows, curvature.outputs[layer.site] != nil {
        tasks.append((layer.site, layer.rows, true, migration.rotations[layer.id]))
      }
    }
    var made = [FeedbackFactor?](repeating: nil, count: tasks.count)
    made.withUnsafeMutableBufferPointer { made in
      nonisolated(unsafe) let made = made
      Parallel.ranges(tasks.count, grain: 1) { range in
        for index in range {
          let (site, size, isOutput, turns) = tasks[index]
          let source = isOutput ? curvature.outputs[site] : curvature.grams[site]
          guard var gram = source else { continue }
          if let turns { Self.turn(&gram, size: size, turns) }
          made[index] = FeedbackFactor(
            gram, size: size,
            shrinkage: FeedbackFactor.shrinkage(
              size: size, tokens: Int(curvature.effectiveTokens[site] ?? Double(curvature.tokens)),
              least: isOutput ? method.rowShrinkage : method.shrinkage),
            ordersByActivity: method.ordersByActivity)
        }
      }
    }
    for (task, factor) in zip(tasks, made) {
      if task.isOutput { outputs[task.site] = factor } else { inputs[task.site] = factor }
    }
  }

  /// `T G Tᵀ` with `T` the turns of pairs of channels.
  private static func turn(_ gram: inout [Float], size: Int, _ turns: [SIMD2<Float>]) {
    guard gram.count == size * size, turns.count * 2 <= size else { return }
    gram.withUnsafeMutableBufferPointer { gram in
      for (pair, turn) in turns.enumerated() {
        let (a, b) = (2 * pair * size, (2 * pair + 1) * size)
        for c in 0..<size {
          let (x, y) = (gram[a + c], gram[b + c])
          gram[a + c] = turn.x * x - turn.y * y
          gram[b + c] = turn.x * y + turn.y * x
        }
      }
      for row in 0..<size {
        for (pair, turn) in turns.enumerated() {
          let at = row * size + 2 * pair
          let (x, y) = (gram[at], gram[at + 1])
          gram[at] = turn.x * x - turn.y * y
          gram[at + 1] = turn.x * y + turn.y * x
        }
      }
    }
  }
}
