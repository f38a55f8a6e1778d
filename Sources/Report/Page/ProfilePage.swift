import Foundation
import NPUTiming

/// Writes a run as one HTML page: no scripts, no network, drawings as inline SVG.
public struct ProfilePage: Sendable {
  let profile: RunProfile

  /// A page of a run whose jobs were recorded with their traces.
  public init(_ profile: RunProfile) { self.profile = profile }

  /// The page.
  public var html: String {
    var body = "<h1>\(SVG.escape(profile.title))</h1>\n" + cards
    body += section(
      "Time line", timeline,
      "What each unit worked on. Gaps are waits: for weights, inputs, memory or the operation before."
    )
    body += section(
      "Layers", layers,
      "Cycles, multiply-accumulates and bytes over memory ports, in the order of the model. Colours "
        + "name what limits the layer.")
    if profile.occupancy.count > 1 {
      body += section(
        "Working memory", occupancy, "Bytes of working memory that hold something still needed.")
    }
    body += section("Memory ports", ports, "Share of each memory's sustained rate in use.")
    body += section(
      "Roofline", roofline,
      "Each dot is an operation: products per byte moved against products per cycle. Dots under the "
        + "slope are bound by memory, under the flat part by the array.")
    body += tables
    return """
      <!doctype html>
      <html lang="en"><head><meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <title>\(SVG.escape(profile.title))</title>
      <style>\(Self.style)</style></head>
      <body><main>
      \(body)</main></body></html>

      """
  }

  private func section(_ title: String, _ drawing: String, _ note: String) -> String {
    "<section><h2>\(title)</h2><p>\(note)</p><div class=\"wide\">\(drawing)</div></section>\n"
  }

  // MARK: Key figures

  private var cards: String {
    let seconds = Double(profile.total) / max(profile.clock, 1)
    let macs = profile.operations.reduce(0) { $0 + $1.timing.macs }
    let peak = Double(profile.macs) * Double(max(profile.total, 1))
    var items = [
      ("NPU cycles", Self.grouped(profile.total)),
      ("time at \(Self.short(profile.clock))Hz", Self.short(seconds) + "s"),
      ("multiply-accumulates", Self.short(Double(macs))),
      ("of the array's peak", String(format: "%.1f %%", 100 * Double(macs) / peak)),
    ]
    if let energy = profile.energy {
      items.append(("energy (estimate)", Self.short(energy.total) + "J"))
    }
    if let top = profile.occupancy.map(\.bytes).max(), top > 0 {
      items.append(("working memory at peak", Self.short(Double(top)) + "B"))
    }
    return "<div class=\"cards\">"
      + items.map { "<div><b>\($0.1)</b><span>\($0.0)</span></div>" }.joined() + "</div>\n"
  }

  // MARK: Time line

  private static let width = 640.0
  private static let left = 92.0

  private var timeline: String {
    let engines = Engine.allCases
    let row = 22.0
    var svg = SVG(width: Self.width, height: row * Double(engines.count) + 26)
    let scale = (Self.width - Self.left - 4) / Double(max(profile.total, 1))
    for (index, engine) in engines.enumerated() {
      let y = row * Double(index)
      svg.label(0, y + 15, engine.rawValue)
      svg.line(Self.left, y + row - 1, Self.width, y + row - 1, "grid")
    }
    var base = 0
    var pending: [Engine: (start: Double, end: Double, label: String)] = [:]
    func flush(_ engine: Engine) {
      guard let bar = pending[engine], let index = engines.firstIndex(of: engine) else { return }
      svg.rectangle(
        bar.start, row * Double(index) + 3, bar.end - bar.start, row - 7, "e\(index)",
        title: bar.label)
      pending[engine] = nil
    }
    for job in profile.jobs {
      for slice in job.timing.trace {
        let start = Self.left + Double(base + slice.start) * scale
        let end = Self.left + Double(base + slice.end) * scale
        let label = job.label(slice.operation)
        // Bars that touch on paper become one.
        if let bar = pending[slice.engine], start - bar.end < 0.35,
          bar.label == label || bar.end - bar.start < 1.5, start >= bar.start
        {
          pending[slice.engine]?.end = max(bar.end, end)
        } else {
          flush(slice.engine)
          pending[slice.engine] = (start, end, "\(label): \(slice.end - slice.start) cycles")
        }
      }
      base += job.timing.total
    }
    for engine in engines { flush(engine) }
    let axis = row * Double(engines.count) + 16
    for step in 0...4 {
      let cycle = profile.total * step / 4
      let x = Self.left + Double(cycle) * scale
      let style = step == 0 ? "" : step == 4 ? "end" : "mid"
      svg.label(x, axis, Self.short(Double(cycle) / max(profile.clock, 1)) + "s", style)
    }
    return svg.text
  }

  // MARK: Layers

  private struct Layer {
    var label: String
    var cycles = 0
    var macs = 0
    var bytes = 0
    var bound = 0
    var limiters: [Limiter: Int] = [:]

    var limiter: Limiter {
      limiters.max { ($0.value, $1.key.rawValue) < ($1.value, $0.key.rawValue) }?.key ?? .mac
    }
  }

  /// Operations of one label together, in order of their first; transfers count to what follows them.
  private var layerList: [Layer] {
    var order: [String] = []
    var layers: [String: Layer] = [:]
    var lastEnd = 0
    for operation in profile.operations {
      if layers[operation.label] == nil {
        order.append(operation.label)
        layers[operation.label] = Layer(label: operation.label)
      }
      // Overlapping operations share the clock: each is charged for what it adds.
      let added = max(0, operation.end - max(lastEnd, operation.start))
      lastEnd = max(lastEnd, operation.end)
      layers[operation.label]?.cycles += added
      layers[operation.label]?.macs += operation.timing.macs
      layers[operation.label]?.bytes += operation.timing.bytes
      layers[operation.label]?.bound += operation.timing.bound
      layers[operation.label]?.limiters[operation.timing.limiter, default: 0] += max(added, 1)
    }
    return order.compactMap { layers[$0] }
  }

  /// Bars a page can hold; the smallest layers beyond are summed.
  private static let shownLayers = 90

  private var layers: String {
    var list = layerList
    if list.count > Self.shownLayers {
      let threshold = list.map(\.cycles).sorted(by: >)[Self.shownLayers - 1]
      var rest = Layer(label: "smaller ones")
      for layer in list where layer.cycles < threshold {
        rest.cycles += layer.cycles
        rest.macs += layer.macs
        rest.bytes += layer.bytes
        rest.limiters[layer.limiter, default: 0] += layer.cycles
      }
      list = list.filter { $0.cycles >= threshold } + [rest]
    }
    let row = 15.0
    let names = 210.0
    let column = (Self.width - names - 8) / 3
    var svg = SVG(width: Self.width, height: row * Double(list.count) + 24)
    let tops = [
      list.map(\.cycles).max() ?? 1, list.map(\.macs).max() ?? 1, list.map(\.bytes).max() ?? 1,
    ]
    for (index, title) in ["cycles", "MACs", "bytes"].enumerated() {
      svg.label(names + column * Double(index), 12, title, "head")
    }
    for (index, layer) in list.enumerated() {
      let y = 20 + row * Double(index)
      svg.label(0, y + 10, Self.clip(layer.label, 34))
      let limiter = Limiter.allCases.firstIndex(of: layer.limiter) ?? 0
      for (place, value) in [layer.cycles, layer.macs, layer.bytes].enumerated() {
        let x = names + column * Double(place)
        let length = Double(value) / Double(max(tops[place], 1)) * (column - 46)
        if value > 0 {
          svg.rectangle(
            x, y + 1, length, row - 4, place == 0 ? "l\(limiter)" : "plain",
            title: "\(layer.label): limited by \(layer.limiter.rawValue)")
        }
        svg.label(x + length + 3, y + 10, value > 0 ? Self.short(Double(value)) : "–", "small")
      }
    }
    let used = Set(list.map(\.limiter))
    let legend = Limiter.allCases.enumerated().filter { used.contains($0.element) }
      .map { "<i class=\"l\($0.offset)\"></i>\($0.element.rawValue)" }.joined(separator: " ")
    return svg.text + "<p class=\"legend\">\(legend)</p>"
  }

  // MARK: Over time

  private var occupancy: String {
    let top = Double(max(profile.occupancy.map(\.bytes).max() ?? 1, 1))
    var svg = SVG(width: Self.width, height: 130)
    let scale = (Self.width - Self.left - 4) / Double(max(profile.total, 1))
    var points: [(Double, Double)] = [(Self.left, 110)]
    var last = 110.0
    for point in profile.occupancy {
      let x = Self.left + Double(point.cycle) * scale
      points.append((x, last))
      last = 110 - 100 * Double(point.bytes) / top
      points.append((x, last))
    }
    points.append((Self.width - 4, last))
    points.append((Self.width - 4, 110))
    svg.path(points, "area", closed: true)
    svg.label(0, 14, Self.short(top) + "B")
    svg.label(0, 112, "0")
    svg.line(Self.left, 110, Self.width, 110, "axis")
    return svg.text
  }

  private var ports: String {
    var names: [String] = []
    for job in profile.jobs {
      for memory in job.timing.memories
      where memory.readBeats + memory.writeBeats > 0 && !names.contains(memory.name) {
        names.append(memory.name)
      }
    }
    let row = 64.0
    var svg = SVG(width: Self.width, height: row * Double(max(names.count, 1)))
    let columns = 280
    for (index, name) in names.enumerated() {
      var bytes = [Double](repeating: 0, count: columns)
      var rate = 1.0
      var base = 0
      for job in profile.jobs {
        if let memory = job.timing.memories.first(where: { $0.name == name }) {
          rate = memory.bytesPerCycle
          for use in [memory.readUse, memory.writeUse] {
            for (bucket, beats) in use.enumerated() where beats > 0 {
              let cycle = base + bucket * JobTiming.MemoryUse.useCycles
              let column = min(columns - 1, cycle * columns / max(profile.total, 1))
              bytes[column] += Double(beats * memory.beatBytes)
            }
          }
        }
        base += job.timing.total
      }
      let bottom = row * Double(index) + row - 8
      let span = Double(max(profile.total, 1)) / Double(columns)
      let step = (Self.width - Self.left - 4) / Double(columns)
      var points: [(Double, Double)] = [(Self.left, bottom)]
      for (column, value) in bytes.enumerated() {
        let share = min(value / (span * rate), 1)
        let y = bottom - (row - 16) * share
        points.append((Self.left + step * Double(column), y))
        points.append((Self.left + step * Double(column + 1), y))
      }
      points.append((Self.width - 4, bottom))
      svg.path(points, "area", closed: true)
      svg.line(Self.left, bottom - (row - 16), Self.width, bottom - (row - 16), "grid")
      svg.line(Self.left, bottom, Self.width, bottom, "axis")
      svg.label(0, bottom - 22, Self.clip(name, 14))
      svg.label(0, bottom - 8, SVG.number(rate) + " B/cycle", "small")
    }
    return svg.text
  }

  // MARK: Roofline

  private var roofline: String {
    let dots = profile.operations.filter {
      $0.timing.macs > 0 && $0.timing.bytes > 0 && $0.end > $0.start
    }
    guard !dots.isEmpty else { return "<p>No operation multiplies.</p>" }
    let height = 260.0
    var svg = SVG(width: Self.width, height: height)
    let intensity = dots.map { Double($0.timing.macs) / Double($0.timing.bytes) }
    let lowX = log10(max(intensity.min() ?? 0.1, 1e-3)).rounded(.down)
    let highX = max(log10(intensity.max() ?? 10).rounded(.up), lowX + 1)
    let highY = log10(Double(max(profile.macs, 1))) + 0.15
    let lowY = highY - 4
    func x(_ value: Double) -> Double {
      50 + (log10(max(value, 1e-9)) - lowX) / (highX - lowX) * (Self.width - 60)
    }
    func y(_ value: Double) -> Double {
      let share = (log10(max(value, 1e-9)) - lowY) / (highY - lowY)
      return height - 30 - max(share, 0) * (height - 44)
    }
    for power in Int(lowX)...Int(highX) {
      let value = pow(10, Double(power))
      svg.line(x(value), 8, x(value), height - 30, "grid")
      svg.label(x(value), height - 16, Self.short(value), "mid")
    }
    svg.label(Self.width / 2, height - 3, "products per byte moved", "mid")
    svg.label(2, 14, "products per cycle")
    svg.line(50, y(Double(profile.macs)), Self.width - 10, y(Double(profile.macs)), "roof")
    svg.label(Self.width - 12, y(Double(profile.macs)) - 4, "\(profile.macs) MACs", "end")
    var drawn: [String] = []
    for job in profile.jobs {
      for memory in job.timing.memories
      where memory.readBeats > 0 && !drawn.contains(memory.name) {
        drawn.append(memory.name)
        let knee = Double(profile.macs) / memory.bytesPerCycle
        let from = pow(10, max(lowX, lowY - log10(memory.bytesPerCycle)))
        let to = min(knee, pow(10, highX))
        guard to > from else { continue }
        svg.path(
          [(x(from), y(from * memory.bytesPerCycle)), (x(to), y(to * memory.bytesPerCycle))], "roof"
        )
        svg.label(x(from) + 4, y(from * memory.bytesPerCycle) - 4, memory.name, "small")
      }
    }
    for (dot, value) in zip(dots, intensity) {
      let rate = Double(dot.timing.macs) / Double(dot.end - dot.start)
      let limiter = Limiter.allCases.firstIndex(of: dot.timing.limiter) ?? 0
      svg.circle(
        x(value), y(rate), 2.6, "l\(limiter)",
        title: "\(dot.label): \(SVG.number(rate)) a cycle, \(dot.timing.limiter.rawValue)")
    }
    return svg.text
  }

  // MARK: Tables

  private var tables: String {
    var counters = PMUCounters()
    for job in profile.jobs { counters = counters + PMUCounters(job.timing) }
    var text = ""
    if let energy = profile.energy {
      let rows =
        [("multiply-accumulates", energy.mac)]
        + energy.memories.sorted { $0.key < $1.key }
        .map { ("bytes of \($0.key)", $0.value) } + [("clock and leakage", energy.idle)]
      text +=
        "<section><h2>Energy</h2><p>From the costs of events in the target's file; for comparisons.</p><table>"
      for row in rows {
        text += "<tr><td>\(SVG.escape(row.0))</td><td>\(Self.short(row.1))J</td></tr>"
      }
      text += "</table></section>\n"
    }
    text += "<section><h2>Counters</h2><table>"
    for (name, value) in counters.values.sorted(by: { $0.key < $1.key }) {
      text += "<tr><td>\(SVG.escape(name))</td><td>\(Self.grouped(value))</td></tr>"
    }
    return text + "</table></section>\n"
  }

  // MARK: Words

  private static func clip(_ text: String, _ count: Int) -> String {
    text.count <= count ? text : "…" + text.suffix(count - 1)
  }

  private static func grouped(_ value: Int) -> String {
    var digits = Array(String(value))
    var place = digits.count - 3
    while place > 0 {
      digits.insert(",", at: place)
      place -= 3
    }
    return String(digits)
  }

  /// Three digits and a prefix: `1.23 m`.
  static func short(_ value: Double) -> String {
    if value == 0 { return "0 " }
    let prefixes: [(Double, String)] = [
      (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"),
      (1e-12, "p"),
    ]
    let magnitude = abs(value)
    let (unit, name) = prefixes.first { magnitude >= $0.0 * 0.9995 } ?? (1e-12, "p")
    let scaled = value / unit
    let digits = abs(scaled) < 9.995 ? 2 : abs(scaled) < 99.95 ? 1 : 0
    return String(format: "%.\(digits)f ", scaled) + name
  }

  private static let style = """
    :root{color-scheme:light dark;--ink:#1c2430;--soft:#6b7687;--line:#d9dee6;--paper:#fff;--card:#f4f6f9}
    @media(prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#9aa6b8;--line:#343d4b;--paper:#14181f;--card:#1d232d}}
    body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.45 system-ui,sans-serif}
    main{max-width:1000px;margin:0 auto;padding:16px}
    h1{font-size:1.35rem}h2{font-size:1.05rem;margin:1.6em 0 .2em}p{color:var(--soft);margin:.2em 0 .6em}
    .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px}
    .cards div{background:var(--card);border-radius:8px;padding:10px}.cards b{display:block;font-size:1.15rem}
    .cards span{color:var(--soft);font-size:.8rem}.wide{overflow-x:auto}
    svg{display:block;width:100%;min-width:520px;height:auto}svg text{font-size:10.5px;fill:var(--ink)}
    svg .small{font-size:9px;fill:var(--soft)}svg .head{font-weight:600}svg .mid{text-anchor:middle}svg .end{text-anchor:end}
    .grid{stroke:var(--line);stroke-width:.6}.axis{stroke:var(--soft);stroke-width:.8}
    .roof{stroke:var(--soft);stroke-width:1.2;fill:none}.area{fill:#3b7dd8;opacity:.75}.plain{fill:#8fa3bd}
    .e0,.l4{fill:#2a9d8f;background:#2a9d8f}.e1,.l2{fill:#9b5de5;background:#9b5de5}.e2,.l0{fill:#3b7dd8;background:#3b7dd8}
    .e3,.l1{fill:#e9a23b;background:#e9a23b}.e4,.l5{fill:#d1495b;background:#d1495b}.e5,.l6{fill:#7a8699;background:#7a8699}
    .l3{fill:#c65bcf;background:#c65bcf}.l7{fill:#b08968;background:#b08968}.l8{fill:#55606f;background:#55606f}
    .legend i{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 4px 0 10px}
    table{border-collapse:collapse;font-size:.85rem}td{padding:2px 14px 2px 0;border-bottom:1px solid var(--line)}
    td:last-child{text-align:right;font-variant-numeric:tabular-nums}
    """
}
