import DeviceRuntime
import EthosUISA
import NPUSim
import NPUTiming
import ProgramFormat
import Support

/// The NPU callback of a session: runs driver payloads on the simulator, in the session's memory.
final class SimulatedNPU {
  /// What went wrong in the job that failed.
  private(set) var failure: String?
  /// Called after each kernel operation with the job and the operation's number in it.
  var onKernel: ((_ job: Int, _ kernel: Int) -> Void)?
  /// Jobs run so far, by job.
  private(set) var runs: [Int]
  /// Of them, those before the last `resetCounters`.
  private(set) var uncounted = 0
  /// Cycles of those jobs.
  var cycles = 0
  /// The simulator's record of each job's last run, by job.
  private(set) var lastRuns: [RunResult?]

  private var machine: Machine
  private let image: DeviceImage
  private let banks: [MemoryBank]
  private let names: [String]
  private var cost: JobCost

  /// A simulator for a program laid out in memory.
  ///
  /// Throws `DiagnosticError` when the program names an NPU the simulator does not know.
  init(_ program: Program, image: DeviceImage) throws(DiagnosticError) {
    self.image = image
    names = program.manifest.jobs.map(\.name)
    guard let hardware = Hardware.named(program.manifest.npu) else {
      throw DiagnosticError(
        "simulate.npu-unknown", "the simulator does not know \(program.manifest.npu)")
    }
    var banks: [MemoryBank] = []
    var map = MemoryMap()
    for region in Region.allCases {
      let bank = MemoryBank(
        name: region.name,
        wrapping: UnsafeMutableRawBufferPointer(
          start: image.bases[region.rawValue], count: image.sizes[region.rawValue]),
        access: region.isConstant ? .readOnly : .readWrite,
        initialised: region.isConstant || region == .state)
      map.bind(region: region.rawValue, to: bank)
      banks.append(bank)
    }
    self.banks = banks
    machine = Machine(hardware: hardware, memory: map)
    cost = JobCost(program)
    lastRuns = Array(repeating: nil, count: names.count)
    runs = Array(repeating: 0, count: names.count)
  }

  /// Starts to count anew.
  func resetCounters() {
    cycles = 0
    uncounted = runs.reduce(0, +)
  }

  /// The timing of a job that has run.
  func timing(of job: Int) -> JobTiming? {
    lastRuns[job].flatMap { cost.timing(of: job, $0) }
  }

  /// Moves the base pointers that follow the position to where the runtime puts them.
  private func bindPosition(_ context: UnsafePointer<swl_context>) {
    withUnsafeTemporaryAllocation(
      of: UnsafeMutablePointer<UInt8>?.self, capacity: BasePointer.allCases.count
    ) { bases in
      swl_base_pointers(context, bases.baseAddress)
      for pointer in [BasePointer.values, .keys, .embeddingRow] {
        let region = pointer.region.rawValue
        guard let at = bases[pointer.rawValue], let start = image.bases[region] else { continue }
        machine.memory.bind(region: pointer.rawValue, to: banks[region], offset: at - start)
      }
    }
  }

  /// Runs one job. Returns 0 when it succeeded, as the runtime's callback does.
  func run(_ context: UnsafePointer<swl_context>, _ job: UnsafePointer<swl_job>) -> Int32 {
    guard let payload = job.pointee.payload,
      let index = image.payloads.firstIndex(where: { $0.baseAddress == payload })
    else {
      failure = "a job that is not the program's"
      return -1
    }
    bindPosition(context)
    machine.onKernel = onKernel.map { handler in { handler(index, $0) } }
    defer { machine.onKernel = nil }
    do throws(SimulationError) {
      let result = try machine.run(payload: image.payloads[index])
      if let hazard = result.hazards.first {
        failure = "job '\(names[index])': \(hazard)"
        return -1
      }
      runs[index] += 1
      cycles += cost.timing(of: index, result)?.total ?? 0
      lastRuns[index] = result
      return 0
    } catch {
      failure = "job '\(names[index])': \(error)"
      return -1
    }
  }
}

extension Hardware {
  /// The configuration with a name such as `ethos-u55-128`.
  static func named(_ name: String) -> Hardware? {
    let parts = name.split(separator: "-")
    guard parts.count == 3, parts[0] == "ethos", let macs = Int(parts[2]) else { return nil }
    switch parts[1] {
    case "u55": return .u55(macs: macs)
    case "u65": return .u65(macs: macs)
    case "u85": return .u85(macs: macs)
    default: return nil
    }
  }
}
