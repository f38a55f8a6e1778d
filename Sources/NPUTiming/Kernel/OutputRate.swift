import EthosUISA

/// Cycles of the output unit per element, in 1/32 cycles (the tables of Vela's performance models,
/// `cycles per output` and `cycles per activation`).
enum OutputRate {
  /// The rate of a kernel: the slower of output and activation.
  static func cycles32(_ kernel: KernelDescription, _ accelerator: Accelerator) -> Int {
    accelerator.product == .u85 ? wide(kernel, accelerator) : narrow(kernel, accelerator)
  }

  /// U55 and U65.
  private static func narrow(_ kernel: KernelDescription, _ accelerator: Accelerator) -> Int {
    let column =
      accelerator.product == .u65
      ? (accelerator.cores == 2 ? 4 : 3)
      : [32: 0, 64: 1, 128: 2, 256: 3][accelerator.macs] ?? 3
    let rates: [Int]
    switch kernel.kind {
    case .elementwise(let operation):
      if operation == .multiply, kernel.ofm.bits == 32 {
        rates = [96, 48, 24, 16, 8]
      } else if kernel.ifm.bits == 32 {
        rates = operation == .unary ? [64, 32, 24, 20, 10] : [96, 48, 40, 36, 18]
      } else if operation == .multiply {
        rates = [96, 48, 24, 12, 6]
      } else if operation == .addOrSubtract {
        rates = [192, 96, 48, 24, 12]
      } else {
        rates = [64, 32, 16, 8, 4]
      }
    case .pooling(reduceSum: false, max: true): rates = [32, 16, 8, 4, 2]
    default:
      rates = kernel.usesWideAccumulators ? [96, 48, 24, 12, 6] : [64, 32, 16, 8, 4]
    }
    let activation =
      kernel.usesTable
      ? [32, 32, 32, 32, 16] : kernel.usesClip ? [32, 32, 16, 8, 4] : [0, 0, 0, 0, 0]
    return max(rates[column], activation[column])
  }

  /// U85.
  private static func wide(_ kernel: KernelDescription, _ accelerator: Accelerator) -> Int {
    let column = [128: 0, 256: 1, 512: 2, 1024: 3, 2048: 4][accelerator.macs] ?? 4
    if case .elementwise(.divide) = kernel.kind { return 33 * 32 }
    let rates: [Int]
    let isBinary =
      switch kernel.kind {
      case .elementwise(.unary): false
      case .elementwise: true
      default: false
      }
    if isBinary, kernel.ifm.bits == 32 {
      rates = kernel.ofm.bits == 32 ? [32, 16, 8, 8, 4] : [32, 16, 8, 4, 2]
    } else {
      switch kernel.ofm.bits {
      case 8: rates = [16, 8, 4, 2, 1]
      case 16: rates = [16, 8, 4, 4, 2]
      case 32: rates = [16, 8, 8, 8, 4]
      default: rates = [32, 16, 16, 16, 8]
      }
    }
    let passes = kernel.usesTable || kernel.usesClip || kernel.reordersOutput
    let activation = passes ? [16, 8, 4, 2, 1] : [0, 0, 0, 0, 0]
    return max(rates[column], activation[column])
  }
}
