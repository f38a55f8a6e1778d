import EthosUISA
import ProgramFormat
import TensorCore

/// One operation of a job that is no convolution: element by element, or a pooling.
struct NPUKernel: Hashable {
  /// What is computed.
  enum Work: Hashable {
    /// One or two operands; an operand of extent 1 along an axis is repeated there.
    case elementwise(ISA.ElementwiseMode)
    /// The largest of each row's columns: one column is left.
    case rowMaximum
    /// The sum over channels: one channel is left.
    case channelSum
  }

  /// The second operand.
  enum Second: Hashable {
    case tensor(NPUTensor)
    /// A constant (8- and 16-bit operands only).
    case constant(Int)
  }

  /// What is computed.
  var work: Work
  /// The first operand.
  var ifm: NPUTensor
  /// The second operand, where there are two.
  var second: Second?
  /// The result.
  var ofm: NPUTensor
  /// The result's multiplier; products of 32-bit operands have none.
  var multiplier: UInt32 = 1
  /// The result is divided by 2 to this power, rounded half up.
  var shift = 0
  /// The smallest and the largest value that is stored or looked up; nil is the type's.
  var minimum: Int?
  var maximum: Int?
  /// What is added to the result before it is stored.
  var zeroPoint = 0
  /// What a sum's second operand is multiplied by.
  var secondScale = 1
  /// Whether the stored value is looked up in the table that was loaded last.
  var usesTable = false
  /// Whether the second operand stands first.
  var isSwapped = false

  /// The operation as block rules and dependencies see it.
  var operation: KernelOperation {
    var operation: KernelOperation
    switch work {
    case .elementwise:
      operation = KernelOperation(.elementwise, ifm: ofm.shape, ofm: ofm.shape)
      if case .tensor(let other)? = second {
        operation.hasSecondTensor = true
        operation.broadcast.height = other.shape.height < ofm.shape.height
        operation.broadcast.width = other.shape.width < ofm.shape.width
        operation.broadcast.depth = other.shape.depth < ofm.shape.depth
      }
    case .rowMaximum:
      operation = KernelOperation(.pooling, ifm: ifm.shape, ofm: ofm.shape)
      operation.kernel = (1, ifm.shape.width)
    case .channelSum:
      operation = KernelOperation(.reduceSum, ifm: ifm.shape, ofm: ofm.shape)
    }
    operation.ifmBits = ifm.element.byteCount * 8
    operation.ofmBits = ofm.element.byteCount * 8
    operation.usesTable = usesTable
    return operation
  }

  /// Its inputs in memory.
  var inputs: [NPUTensor] {
    if case .tensor(let other)? = second { return [ifm, other] }
    return [ifm]
  }
}

/// One entry of a job, in execution order.
enum JobCommand {
  /// A linear layer, slice by slice.
  case linear(JobLinear)
  /// An operation on feature maps.
  case kernel(NPUKernel)
  /// A convolution whose weights are in the caches.
  case cached(CachedConvolution)
  /// Puts a table, at a place in memory, where the next kernels look it up.
  case table(NPUTensor)
}
