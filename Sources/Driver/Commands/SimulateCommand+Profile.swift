import Foundation
import NPUSim
import NPUTiming
import ProgramFormat
import Report
import Support

/// One NPU job of a run, wherever it comes from.
struct SimulatedJob {
  /// The job's name.
  let name: String
  /// What it did, and when.
  let result: RunResult
  let timing: JobTiming
  /// The model's tensor of each kernel operation, as far as it is known.
  let provenance: [String]

  /// A name for each operation.
  var names: [String] {
    var kernel = 0
    return result.ops.map { record in
      if case .transfer(let bytes) = record.kind { return "dma \(bytes) bytes" }
      defer { kernel += 1 }
      return provenance.indices.contains(kernel) ? provenance[kernel] : Self.name(record)
    }
  }

  /// The job for traces and reports. A transfer belongs to the layer whose weights it brings: the next
  /// kernel's.
  var profile: RunProfile.Job {
    let names = names
    var labels = names
    for (index, record) in result.ops.enumerated().reversed() {
      if case .transfer = record.kind, index + 1 < labels.count {
        labels[index] = labels[index + 1]
      }
    }
    return RunProfile.Job(name: name, timing: timing, labels: labels)
  }

  private static func name(_ record: OpRecord) -> String {
    "\(record.kind) \(record.ofmShape.map(String.init).joined(separator: "x"))"
  }
}

extension EnergyEstimate {
  /// The energy of jobs of a package; nil when its manifest names no costs.
  init?(_ jobs: [JobTiming], of manifest: Manifest) {
    guard let energy = manifest.energy else { return nil }
    self.init(
      jobs, costs: Costs(mac: energy.mac, cycle: energy.cycle, bytes: energy.bytes))
  }
}

extension SimulateCommand {
  /// What is printed of a run.
  func summary(_ jobs: [SimulatedJob], sramPeakBytes: Int) -> Summary {
    var operations: [Summary.Operation] = []
    var counters = PMUCounters()
    for job in jobs {
      counters = counters + PMUCounters(job.timing)
      for (name, operation) in zip(job.names, job.timing.operations) {
        operations.append(
          Summary.Operation(
            index: operations.count, name: name, cycles: operation.end - operation.start,
            limiter: operation.limiter.rawValue, bound: operation.bound, macs: operation.macs,
            bytes: operation.bytes))
      }
    }
    let cycles = jobs.reduce(0) { $0 + $1.timing.total }
    var pmu = counters.values
    pmu["cycles"] = cycles
    pmu["jobs"] = jobs.count
    return Summary(
      npuCycles: cycles, pmu: pmu, ops: operations,
      hazards: jobs.flatMap { job in job.result.hazards.map { "\(job.name): \($0)" } },
      sramPeakBytes: sramPeakBytes)
  }

  /// Writes the trace and the report that were asked for.
  func write(_ profile: @autoclosure () -> RunProfile) throws {
    guard trace != nil || report != nil else { return }
    let profile = profile()
    for (path, text) in [
      (trace, { PerfettoTrace(profile).json }), (report, { ProfilePage(profile).html }),
    ] {
      guard let path else { continue }
      do {
        try Data(text().utf8).write(to: URL(fileURLWithPath: path))
      } catch {
        throw DiagnosticError(
          "simulate.output", "cannot be written", at: SourceLocation(file: path))
      }
    }
  }
}
