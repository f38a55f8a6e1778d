/// What an operation does with a piece of memory, for messages.
public enum TensorRole: String, Sendable, Hashable {
  case ifm = "IFM"
  case ifm2 = "IFM2"
  case ofm = "OFM"
  case weights, scales
  case lookupTable = "lookup table"
  case dmaSource = "DMA source"
  case dmaDestination = "DMA destination"
  case dmaIndices = "DMA indices"
}

/// Why a stream could not go on.
public enum Fault: Error, Sendable, Hashable {
  /// The words do not form a command of this product.
  case malformedStream(String)
  /// An operation used a register that the stream never wrote.
  case registerNotSet(String)
  /// A register holds a value outside its limits; `legal` states them.
  case illegalValue(register: String, value: Int, legal: String)
  /// A region without a base pointer was used.
  case unmappedRegion(role: TensorRole, region: Int)
  /// An access left its region: `lower..<upper` against `0..<size`, in bytes.
  case outOfRegion(role: TensorRole, region: Int, lower: Int, upper: Int, size: Int)
  /// The NPU would write to memory that was declared constant.
  case writeToConstant(role: TensorRole, region: Int)
  /// The weight stream does not decode to the weights of the operation.
  case weightStream(String)
  /// The stream asks for more than the run options allow.
  case limitExceeded(what: String, value: Int, limit: Int)
  /// Legal, but this simulator does not execute it.
  case notImplemented(String)
}

extension Fault: CustomStringConvertible {
  /// One sentence with what was found and what would be allowed.
  public var description: String {
    switch self {
    case .malformedStream(let what): "malformed command stream: \(what)"
    case .registerNotSet(let name): "\(name) is used but was never written"
    case .illegalValue(let register, let value, let legal):
      "\(register) is \(value), must be \(legal)"
    case .unmappedRegion(let role, let region):
      "\(role.rawValue): region \(region) has no base pointer"
    case .outOfRegion(let role, let region, let lower, let upper, let size):
      "\(role.rawValue): bytes \(lower)..<\(upper) are outside region \(region) (0..<\(size))"
    case .writeToConstant(let role, let region):
      "\(role.rawValue): region \(region) is constant"
    case .weightStream(let what): "weight stream: \(what)"
    case .limitExceeded(let what, let value, let limit): "\(what) is \(value), limit \(limit)"
    case .notImplemented(let what): "not simulated: \(what)"
    }
  }
}

/// A fault and the place in the command stream where it arose.
public struct SimulationError: Error, Sendable, Hashable, CustomStringConvertible {
  /// What went wrong.
  public var fault: Fault
  /// Index of the command in the stream, counted from 0.
  public var commandIndex: Int
  /// Byte offset of the command in the stream.
  public var byteOffset: Int

  /// Place and reason in one line.
  public var description: String {
    "command \(commandIndex) at byte 0x\(String(byteOffset, radix: 16)): \(fault)"
  }
}
