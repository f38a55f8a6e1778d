import Containers
import EthosUISA
import NPUSim
import Support

/// An `ethos-u` operator: a stream and the base pointers a driver gives it.
///
/// Inputs in order: command stream, read-only data, scratch, fast scratch, then the model's tensors
/// (command-stream specification, section 1.3).
struct NPUJob {
  private let stream: [UInt8]
  private let accelerator: Accelerator
  private var machine: Machine

  /// Reads the operator's payload and binds its regions. `options` are the machine's.
  ///
  /// - Throws: `simulate.payload` when the payload is malformed or for unknown hardware.
  init(
    _ op: TFLiteOperator, places: [TensorPlace?], options: RunOptions, at location: SourceLocation
  ) throws(DiagnosticError) {
    func place(_ input: Int) throws(DiagnosticError) -> TensorPlace {
      guard input < op.inputs.count, let tensor = op.inputs[input], let place = places[tensor]
      else {
        throw DiagnosticError(
          "simulate.payload", "an ethos-u operator has at least four inputs; \(input) is missing",
          at: location)
      }
      return place
    }
    var map = MemoryMap()
    let constants = try place(1)
    let scratch = try place(2)
    let fast = try place(3)
    _ = map.bind(region: 0, to: constants.bank)
    _ = map.bind(region: 1, to: scratch.bank, offset: scratch.offset)
    _ = map.bind(region: 2, to: fast.bank, offset: fast.offset)
    var region = 3
    for tensor in op.inputs.dropFirst(4) + op.outputs.map({ Optional($0) }) {
      guard region < MemoryMap.regionCount else { break }
      if let tensor, let place = places[tensor] {
        _ = map.bind(region: region, to: place.bank, offset: place.offset, size: place.count)
      }
      region += 1
    }
    try self.init(payload: try place(0).bytes, map: map, options: options, at: location)
  }

  /// Reads a payload; `map` holds the base pointers.
  init(payload bytes: [UInt8], map: MemoryMap, options: RunOptions, at location: SourceLocation)
    throws(DiagnosticError)
  {
    let located: (payload: Payload, streamBytes: Range<Int>)
    do throws(PayloadError) {
      located = try Payload.locate(bytes)
    } catch {
      throw DiagnosticError("simulate.payload", "\(error)", at: location)
    }
    if case .cop2(let metadata) = located.payload.format, metadata.features & 2 != 0 {
      throw DiagnosticError(
        "simulate.payload", "the stream addresses inputs and outputs in regions of their own",
        at: location, wayOut: "compile without --separate-io-regions")
    }
    guard let accelerator = located.payload.accelerator, let hardware = Hardware(accelerator) else {
      let word = String(located.payload.configuration.rawValue, radix: 16)
      throw DiagnosticError(
        "simulate.npu-unknown", "configuration word 0x\(word) is of no NPU the simulator knows",
        at: location)
    }
    self.accelerator = accelerator
    stream = Array(bytes[located.streamBytes])
    machine = Machine(hardware: hardware, memory: map, options: options)
  }

  /// Runs the job once.
  ///
  /// - Throws: `simulate.stream` at the first command that cannot be executed.
  mutating func run(operatorIndex: Int, at location: SourceLocation) throws(DiagnosticError)
    -> NPUJobRun
  {
    do throws(SimulationError) {
      return NPUJobRun(
        operatorIndex: operatorIndex, accelerator: accelerator,
        result: try machine.run(stream: stream))
    } catch {
      throw DiagnosticError("simulate.stream", "\(error)", at: location)
    }
  }
}

extension Hardware {
  /// What the simulator knows of a configuration.
  init?(_ accelerator: Accelerator) {
    let known: Hardware? =
      switch accelerator.product {
      case .u55: .u55(macs: accelerator.macs)
      case .u65: .u65(macs: accelerator.macs)
      case .u85: .u85(macs: accelerator.macs)
      }
    guard let known else { return nil }
    self = known
  }
}
