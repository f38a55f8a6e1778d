import ArgumentParser
import Containers
import Foundation
import NPUSim
import NPUTiming
import Report
import Support
import TFLiteRuntime
import TargetModel
import TensorCore

/// Files of other compilers: TFLite models and Vela's raw output.
extension SimulateCommand {
  /// Runs a `.tflite` or `.npz` file.
  func runForeign() throws {
    var isFolder: ObjCBool = false
    if FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), isFolder.boolValue {
      throw DiagnosticError(
        "simulate.input", "is not a package directory", at: SourceLocation(file: file),
        wayOut: "swiftlet compile MODEL --target NAME -o DIR makes one")
    }
    let source = ByteSource(try MappedFile(file))
    if TFLiteModel.matches(source) {
      try runModel(TFLiteModel(source, name: file))
    } else if NumpyArchive.matches(source) {
      try runRaw(NumpyArchive(source, name: file))
    } else {
      throw DiagnosticError(
        "simulate.input", "is neither a package directory, nor a .tflite, nor a .npz file",
        at: SourceLocation(file: file),
        wayOut: "swiftlet compile MODEL --target NAME -o DIR makes a package")
    }
  }

  private func runModel(_ model: TFLiteModel) throws {
    let session = try TFLiteSession(model)
    let graph = session.graph
    if !session.usesNPU {
      FileHandle.standardError.write(
        Data("note: no operator is compiled for an NPU; the CPU kernels run the model\n".utf8))
    }
    if session.readsBeforeInitialisation {
      FileHandle.standardError.write(
        Data(
          "note: the file reads variables before CALL_ONCE sets them; here it runs first\n".utf8))
    }
    var given: Set<String> = []
    for (name, array) in try namedInputs() {
      if let tensor = graph.inputs.map({ graph.tensors[$0] }).first(where: { $0.name == name }),
        let element = array.element, element != tensor.type.element
      {
        throw DiagnosticError(
          "simulate.input", "input \(name) is \(tensor.type), the array \(array.descriptor)",
          at: SourceLocation(file: file, element: name))
      }
      try session.setInput(name, array.bytes.withBytes { [UInt8]($0) })
      given.insert(name)
    }
    let missing = graph.inputs.map { graph.tensors[$0].name }.filter { !given.contains($0) }
    guard missing.isEmpty else {
      throw DiagnosticError(
        "simulate.input", "input \(missing.joined(separator: ", ")) is not given",
        at: SourceLocation(file: file), wayOut: "--input \(missing[0])=file.npy")
    }
    try session.run()
    for (index, output) in graph.outputs.enumerated() {
      let tensor = graph.tensors[output]
      if let element = tensor.type.element {
        try write(session.output(index), element, tensor.shape, tensor.name)
      }
    }
    try finish(session.jobs, arenaBytes: session.arenaBytes)
  }

  private func runRaw(_ archive: NumpyArchive) throws {
    var job = try RawJob(archive, name: file)
    for (name, array) in try namedInputs() {
      guard let index = Int(name) else {
        throw ValidationError("inputs of a .npz are named by index, not '\(name)'")
      }
      try job.setInput(index, array.bytes.withBytes { [UInt8]($0) })
    }
    let run = try job.run()
    for (index, tensor) in job.outputs.enumerated() {
      // The archive does not tell signs; bytes of the right width are what it knows.
      let element: ElementType =
        [1: .int8, 2: .int16, 4: .int32, 8: .int64][tensor.elementBytes] ?? .uint8
      try write(job.output(index), element, tensor.shape, "output\(index)")
    }
    try finish([run], arenaBytes: job.arenaBytes)
  }

  private func namedInputs() throws -> [(name: String, array: NumpyArray)] {
    try input.map { entry in
      // Tensor names may hold '='; file names rarely do.
      guard let at = entry.lastIndex(of: "=") else {
        throw ValidationError("--input takes NAME=file.npy, not '\(entry)'")
      }
      let path = String(entry[entry.index(after: at)...])
      return (
        String(entry[..<at]), try NumpyArray(ByteSource(try MappedFile(path)), name: path)
      )
    }
  }

  private func write(_ bytes: [UInt8], _ element: ElementType, _ shape: Shape, _ name: String)
    throws
  {
    guard let outputDir, let content = NumpyArray.file(element, shape, bytes) else { return }
    // Tensor names hold separators and colons; a file name must not.
    let safe = String(name.map { $0.isLetter || $0.isNumber || "._-".contains($0) ? $0 : "_" })
    let url = URL(fileURLWithPath: outputDir).appendingPathComponent(safe + ".npy")
    do {
      try FileManager.default.createDirectory(
        atPath: outputDir, withIntermediateDirectories: true)
      try Data(content).write(to: url, options: .atomic)
    } catch {
      throw DiagnosticError(
        "output.write", "cannot write: \(error.localizedDescription)",
        at: SourceLocation(file: url.path))
    }
  }

  private func finish(_ runs: [NPUJobRun], arenaBytes: Int) throws {
    let records = trace != nil || report != nil
    let jobs = runs.map { run in
      SimulatedJob(
        name: "operator \(run.operatorIndex)", result: run.result,
        timing: run.timing(recordsTrace: records), provenance: [])
    }
    if let first = runs.first {
      var profile = RunProfile(
        title: URL(fileURLWithPath: file).lastPathComponent + " on \(first.accelerator.name)",
        npu: first.accelerator.name, clock: TimingAdapter.clock(of: first.accelerator),
        macs: first.accelerator.macs, jobs: jobs.map(\.profile))
      profile.energy = EnergyEstimate(
        jobs.map(\.timing),
        costs: EnergyEstimate.Costs(
          mac: Joules.assumedMAC.value, cycle: Joules.assumedCycle.value,
          bytes: ["SRAM": Joules.assumedByte(.sram).value],
          otherByte: Joules.assumedByte(.flash).value))
      profile.occupancy = RunProfile.occupancy(jobs.map { ($0.result.ops, $0.timing) })
      try write(profile)
    }
    try present(summary(jobs, sramPeakBytes: arenaBytes))
  }
}
