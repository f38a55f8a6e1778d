import Foundation
import NPUTiming

/// Writes a run in the trace event format that Perfetto and chrome://tracing open.
///
/// Units of the NPU are threads of one process, operations are slices named after the user's layers,
/// occupancy of memory ports is a counter per memory. Times are microseconds at the NPU's clock.
public struct PerfettoTrace: Sendable {
  private let profile: RunProfile

  /// A trace of a run whose jobs were recorded with their traces.
  public init(_ profile: RunProfile) { self.profile = profile }

  /// The trace as JSON text.
  public var json: String {
    var lines: [String] = []
    lines.append(
      event(["ph": "M", "name": "process_name", "pid": 1, "args": ["name": profile.npu]]))
    for (index, engine) in Engine.allCases.enumerated() {
      lines.append(
        event([
          "ph": "M", "name": "thread_name", "pid": 1, "tid": index + 1,
          "args": ["name": engine.rawValue],
        ]))
      lines.append(
        event([
          "ph": "M", "name": "thread_sort_index", "pid": 1, "tid": index + 1,
          "args": ["sort_index": index],
        ]))
    }
    lines.append(
      event(["ph": "M", "name": "thread_name", "pid": 1, "tid": 99, "args": ["name": "jobs"]]))
    var base = 0
    for job in profile.jobs {
      lines.append(slice(job.name, "job", 99, base, base + job.timing.total, [:]))
      for entry in job.timing.trace {
        let operation =
          job.timing.operations.indices.contains(entry.operation)
          ? job.timing.operations[entry.operation] : nil
        var arguments: [String: Any] = ["operation": entry.operation, "job": job.name]
        if let operation {
          arguments["limiter"] = operation.limiter.rawValue
          arguments["macs"] = operation.macs
          arguments["bytes"] = operation.bytes
        }
        let thread = (Engine.allCases.firstIndex(of: entry.engine) ?? 0) + 1
        lines.append(
          slice(
            job.label(entry.operation), entry.engine.rawValue, thread, base + entry.start,
            base + entry.end, arguments))
      }
      for memory in job.timing.memories { counters(memory, base, job.timing.total, &lines) }
      base += job.timing.total
    }
    return "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n" + lines.joined(separator: ",\n")
      + "\n]}\n"
  }

  /// Share of a memory's peak rate in use, at most 2,000 points a job.
  private func counters(
    _ memory: JobTiming.MemoryUse, _ base: Int, _ total: Int, _ lines: inout [String]
  ) {
    let count = max(memory.readUse.count, memory.writeUse.count)
    guard count > 0, memory.readBeats + memory.writeBeats > 0 else { return }
    let step = max(1, (count + 1999) / 2000)
    let width = Double(step * JobTiming.MemoryUse.useCycles)
    func share(_ use: [Int], _ from: Int) -> Double {
      let beats =
        use.isEmpty ? 0 : use[min(from, use.count)..<min(from + step, use.count)].reduce(0, +)
      let percent = 100 * Double(beats * memory.beatBytes) / (width * memory.bytesPerCycle)
      return (percent * 10).rounded() / 10
    }
    for from in stride(from: 0, to: count, by: step) {
      lines.append(
        event([
          "ph": "C", "name": "\(memory.name) % busy", "pid": 1,
          "ts": time(base + from * JobTiming.MemoryUse.useCycles),
          "args": ["read": share(memory.readUse, from), "write": share(memory.writeUse, from)],
        ]))
    }
    lines.append(
      event([
        "ph": "C", "name": "\(memory.name) % busy", "pid": 1, "ts": time(base + total),
        "args": ["read": 0, "write": 0],
      ]))
  }

  private func slice(
    _ name: String, _ category: String, _ thread: Int, _ start: Int, _ end: Int,
    _ arguments: [String: Any]
  ) -> String {
    event([
      "ph": "X", "name": name, "cat": category, "pid": 1, "tid": thread, "ts": time(start),
      "dur": time(end) - time(start),
      "args": arguments.merging(["cycles": end - start]) { old, _ in old },
    ])
  }

  /// Microseconds, to the nanosecond.
  private func time(_ cycle: Int) -> Double {
    (Double(cycle) / max(profile.clock, 1) * 1e9).rounded() / 1e3
  }

  private func event(_ fields: [String: Any]) -> String {
    guard
      let data = try? JSONSerialization.data(
        withJSONObject: fields, options: [.sortedKeys, .withoutEscapingSlashes])
    else { return "{}" }
    return String(decoding: data, as: UTF8.self)
  }
}
