import GraphIR
import Support
import TensorCore

/// Turns writes of a cache, which exporters bring into the order of heads first, into `kv_write`, which
/// takes the rows of a linear layer as they are and writes them where they are read.
///
/// Where a rotation has left channels in another order, the cache holds them in that order too, in all
/// functions; what reads the cache gets the old order by a transpose that attention's pass removes.
public struct AssignCacheLayout: GraphPass {
  public static let info = PassInfo(
    "assign-cache-layout", "cache writes take rows as they are computed")

  /// The pass.
  public init() {}

  public func run(_ graph: Graph) throws(DiagnosticError) -> Rewrite {
    var rewrite = Rewrite(graph)
    var layouts: [StateID: IndexMap] = [:]
    for index in graph.states.indices {
      let id = StateID(index)
      if case .success(let channels) = Self.layout(of: id, in: graph) { layouts[id] = channels }
    }
    var (writes, reordered) = (0, 0)
    for index in graph.functions.indices {
      let views = Views(graph, graph.functions[index])
      var rewriter = FunctionRewriter(views.function)
      var claims: [Certificate] = []
      var readings: [(claim: Certificate, value: ValueID, state: StateID, channels: IndexMap)] = []
      for (place, operation) in views.function.operations.enumerated() {
        guard let state = operation.stateOperand, let channels = layouts[state] else { continue }
        let cache = graph[state].type
        switch operation.code {
        case .cacheWrite:
          guard case .value(let entry) = operation.operands[0] else { continue }
          let view = views.view(entry)
          rewriter.insert(
            GraphIR.Operation(
              .kvWrite, [view.source, operation.operands[1], .state(state)], results: [],
              provenance: operation.provenance), before: place)
          rewriter.drop(place)
          writes += 1
          claims.append(
            Certificate(
              pass: Self.info.name, function: views.function.name,
              site: operation.provenance.source, entry: entry, source: view.source,
              removed: view.path, before: view.map, after: view.map,
              meaning: .cacheRows(state, channels: channels)))
        case .cacheRead where !channels.isIdentity:
          guard let old = operation.results.first else { continue }
          let rows = cache.shape[0] * cache.shape[1]
          let order = IndexMap(
            [.init(rows, cache.shape[2])] + channels.digits, offset: channels.offset)
          let reading = rewriter.insert(
            .cacheRead, [.state(state)], type: cache, provenance: operation.provenance,
            before: place)
          guard
            let value = rewriter.materialise(
              order, of: .value(reading), shape: cache.shape, as: cache,
              provenance: operation.provenance, before: place)
          else { continue }
          rewriter.replace(old, with: value)
          reordered += 1
          let claim = Certificate(
            pass: Self.info.name, function: views.function.name,
            site: operation.provenance.source, entry: old, source: .state(state), removed: [old],
            before: .identity(cache.shape.count), after: order,
            meaning: .cacheReading(state, by: value, channels: channels))
          readings.append((claim, value, state, channels))
        default: continue
        }
      }
      guard rewriter.hasChanges else { continue }
      let finished = rewrite.finish(index, rewriter)
      for var reading in readings {
        guard let value = finished.values[reading.value] else { continue }
        reading.claim.meaning = .cacheReading(
          reading.state, by: value, channels: reading.channels)
        claims.append(reading.claim)
      }
      rewrite.certificates += claims
    }
    rewrite.counters = [
      .init(name: "cache writes", count: writes),
      .init(name: "readings reordered", count: reordered),
    ]
    return rewrite
  }

  /// The order of channels in which all functions can write a state without movement: from channels as
  /// they are to channels as the rows have them.
  static func layout(of id: StateID, in graph: Graph) -> Result<IndexMap, Refusal> {
    let shape = graph[id].type.shape
    guard shape.rank == 3 else { return .failure(Refusal(reason: "its cache has no heads")) }
    var found: IndexMap?
    for function in graph.functions {
      let views = Views(graph, function)
      for operation in function.operations where operation.stateOperand == id {
        switch operation.code {
        case .cacheRead: continue
        case .cacheWrite:
          let channels: IndexMap
          switch Self.channels(operation, cache: shape, views) {
          case .success(let order): channels = order
          case .failure(let refusal): return .failure(refusal)
          }
          if let found, found != channels {
            return .failure(Refusal(reason: "functions write its channels in different orders"))
          }
          found = channels
        default:
          return .failure(Refusal(reason: "the cache has canonical readers or writers beside it"))
        }
      }
    }
    guard let found else { return .failure(Refusal(reason: "nothing writes the cache")) }
    return .success(found)
  }

  /// The order of channels in which one write takes the rows of its source.
  private static func channels(
    _ write: GraphIR.Operation, cache: Shape, _ views: Views
  ) -> Result<IndexMap, Refusal> {
    let view = views.view(write.operands[0])
    let rows = views.shape(write.operands[0])
    let (heads, count, width) = (cache[0], rows[1], cache[2])
    guard case .value = view.source, views.shape(view.source) == [count, heads * width] else {
      return .failure(
        Refusal(
          reason: "what is written is no matrix of \(count) rows, but \(views.shape(view.source))"))
    }
    let canonical = IndexMap(
      extents: [heads, count, width], strides: [width, heads * width, 1])
    guard let back = canonical.inverse, let order = view.map.then(back),
      let channels = order.channels(of: width)
    else {
      return .failure(
        Refusal(reason: "the rows written come in the order \(view.map), not \(canonical)"))
    }
    return .success(channels)
  }
}

extension GraphIR.Operation {
  /// The first state it reads or writes.
  var stateOperand: StateID? {
    for case .state(let id) in operands { return id }
    return nil
  }
}

extension IndexMap {
  /// The reordering of each run of `width` elements, when the map does nothing else; nil otherwise.
  func channels(of width: Int) -> IndexMap? {
    guard offset == 0, count % width == 0, let cut = split(at: width),
      IndexMap(cut.outer) == IndexMap([Digit(count / width, width)])
    else { return nil }
    let inner = IndexMap(cut.inner)
    return inner.inverse == nil ? nil : inner
  }
}
