import EthosUISA
import NPUSim
import NPUTiming
import Support

/// Compares simulated cycles and beats with published measurements.
public struct TimingValidation: Sendable {
  /// One measurement and what the model says.
  public struct Row: Sendable, Encodable {
    /// The measurement's id.
    public let id: String
    /// The stream that was run.
    public let stream: String
    /// What was compared: `active`, or `total` on its grid of 1,000 cycles.
    public let quantity: String
    /// Cycles, as published and as simulated on the same grid.
    public let measured: Int
    public let simulated: Int
    /// Cycles as simulated.
    public let simulatedActive: Int
    /// Relative error of `simulated`, positive when too slow: 0.05 is 5 %.
    public let error: Double
    /// Beats by published column: measured and simulated.
    public let beats: [String: Beats]
  }

  /// Beats of one column.
  public struct Beats: Sendable, Encodable {
    public let measured: Int
    public let simulated: Int
    public let error: Double
  }

  /// Errors of a group of rows, as fractions.
  public struct Summary: Sendable, Encodable {
    public let rows: Int
    public let meanAbsError: Double
    public let worstAbsError: Double

    init(_ rows: [Row]) {
      self.rows = rows.count
      meanAbsError = rows.isEmpty ? 0 : rows.reduce(0) { $0 + abs($1.error) } / Double(rows.count)
      worstAbsError = rows.reduce(0) { max($0, abs($1.error)) }
    }
  }

  /// The rows that have a stream, in the order of the table.
  public private(set) var rows: [Row] = []

  /// Runs every row that names a stream. `load` gives a file's bytes.
  public init(
    _ published: [PublishedRow], load: (String) throws(DiagnosticError) -> [UInt8]
  ) throws(DiagnosticError) {
    // Timing depends on addresses only by region: one memory serves every region of every stream.
    let bank = MemoryBank(name: "memory", count: 64 << 20)
    for row in published where !row.stream.isEmpty {
      rows.append(try Self.run(row, bytes: try load(row.stream), bank: bank))
    }
  }

  /// All rows, and rows by the letter of their id.
  public var summary: Summary { Summary(rows) }
  public var groups: [String: Summary] {
    Dictionary(grouping: rows) { String($0.id.prefix(1)) }.mapValues { Summary($0) }
  }

  /// The largest error of a published beat count; counts below 100 are left out, one burst is much there.
  public var worstBeatError: Double {
    rows.flatMap { $0.beats.values }.filter { $0.measured >= 100 }
      .reduce(0) { max($0, abs($1.error)) }
  }

  private static func run(
    _ row: PublishedRow, bytes: [UInt8], bank: MemoryBank
  ) throws(DiagnosticError) -> Row {
    let place = SourceLocation(file: row.stream)
    let name = "ethos-" + row.npu.lowercased()
    guard let accelerator = Accelerator.named(name), let hardware = hardware(accelerator) else {
      throw DiagnosticError("timing.npu", "'\(row.npu)' is not an Ethos-U we know", at: place)
    }
    guard let mode = TimingAdapter.MemoryMode(rawValue: row.memoryMode) else {
      throw DiagnosticError(
        "timing.memory-mode", "'\(row.memoryMode)' is not a memory mode we know", at: place)
    }
    let adapter = AdapterText.apply(row.adapter, to: TimingAdapter(accelerator))
    var memory = MemoryMap()
    for region in 0..<8 { memory.bind(region: region, to: bank) }
    var options = RunOptions()
    options.executesKernels = false
    options.detectsHazards = false
    var machine = Machine(hardware: hardware, memory: memory, options: options)
    let streams = StreamScan.streams(in: bytes)
    guard !streams.isEmpty else {
      throw DiagnosticError("timing.stream", "holds no command stream", at: place)
    }
    var cycles = 0
    var beats: [Int] = [0, 0, 0, 0]
    for stream in streams {
      let result: RunResult
      do {
        result = try machine.run(stream: stream)
      } catch {
        throw DiagnosticError("timing.stream", "\(error)", at: place)
      }
      let timing = JobTiming(
        result.issues, accelerator: accelerator, memories: adapter.system(mode))
      guard timing.isComplete else {
        throw DiagnosticError("timing.stream", "waits for itself", at: place)
      }
      cycles += timing.total
      for (index, memory) in timing.memories.prefix(2).enumerated() {
        beats[2 * index] += memory.readBeats
        beats[2 * index + 1] += memory.writeBeats
      }
    }
    guard let measured = row.active ?? row.total, measured > 0 else {
      throw DiagnosticError("timing.row", "\(row.id) has neither active nor total cycles")
    }
    // Totals are counted in quanta of 1,000 cycles after an offset.
    let simulated =
      row.active != nil ? cycles : (cycles + 999) / 1000 * 1000 + measured % 1000
    let columns = [
      "axi0_rd_beats": beats[0], "axi0_wr_beats": beats[1], "axi1_rd_beats": beats[2],
      "sram_rd_beats": beats[0], "sram_wr_beats": beats[1], "ext_rd_beats": beats[2],
      "ext_wr_beats": beats[3],
    ]
    var compared: [String: Beats] = [:]
    for (column, value) in row.beats {
      let simulated = columns[column] ?? 0
      compared[column] = Beats(
        measured: value, simulated: simulated,
        error: value > 0 ? Double(simulated - value) / Double(value) : simulated > 0 ? 1 : 0)
    }
    return Row(
      id: row.id, stream: row.stream, quantity: row.active != nil ? "active" : "total",
      measured: measured, simulated: simulated, simulatedActive: cycles,
      error: Double(simulated - measured) / Double(measured), beats: compared)
  }

  private static func hardware(_ accelerator: Accelerator) -> Hardware? {
    switch accelerator.product {
    case .u55: .u55(macs: accelerator.macs)
    case .u65: .u65(macs: accelerator.macs)
    case .u85: .u85(macs: accelerator.macs)
    }
  }
}
