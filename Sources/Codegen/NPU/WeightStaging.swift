import EthosUISA
import NPUTiming

/// How the weights of a job come to its convolutions when they do not live in fast memory.
struct WeightStaging: Hashable {
  /// Bytes of every 256 that the DMA fetches; convolutions read the others where they are.
  ///
  /// When one stream cannot keep enough reads in flight to use a far memory fully, the DMA and the
  /// weight fetch work side by side, each on slices of its own. What the DMA brought has to go through
  /// the decoder quickly then, because the weight fetch waits meanwhile: such slices have the
  /// fixed-width format.
  let stagedShare: Int
  /// Whether several transfers may be on their way. In a queue of one, a second holds up the parser.
  let queuesTransfers: Bool
  /// Where in the arena the staging buffers begin.
  var start = 0
  /// The size of one staging buffer, in bytes.
  var stride = 0
  /// Staging buffers: as many as there may be transfers under way beside that of a table, or one that is on
  /// its way and one that is read.
  var buffers: Int { queuesTransfers ? 3 : 2 }

  /// The arena's offset of the buffer for the slice with that number.
  func place(of number: Int) -> Int { start + number % buffers * stride }

  /// Where in the arena they end.
  var end: Int { start + buffers * stride }

  /// Whether convolutions read some slices in place.
  var isShared: Bool { stagedShare < 256 }

  /// Bytes a cycle that convolutions take from staging buffers, about: 32 less what each begins with.
  private static let stagedRate = 20.0
  /// The part of its window that a stream uses when the decoder takes what has come burst by burst.
  private static let weightShare = 0.85

  /// The staging of weights in a memory that `accelerator` reads at `rates`.
  init(rates: StreamRates?, accelerator: Accelerator) {
    queuesTransfers = accelerator.product.outstanding.transfers > 2
    guard queuesTransfers, let rates, rates.transfer > 0, rates.weights > 0,
      rates.together > 1.25 * rates.transfer
    else {
      stagedShare = 256
      return
    }
    // Both are through at the same time: f / transfer = (1 - f) / weights + f / staged.
    let weights = Self.weightShare * min(rates.weights, rates.together - rates.transfer)
    let share = 1 / weights / (1 / rates.transfer + 1 / weights - 1 / Self.stagedRate)
    stagedShare = min(max(Int(256 * share), 1), 256)
  }
}

/// The slices of a job that the DMA fetches, and how far it is.
struct StagingPlan {
  /// The slices, in the order of their use.
  private(set) var slices: [PackedSlice] = []
  /// Slices that convolutions have read, and transfers so far.
  var used = 0
  var started = 0
  /// The number of the transfer that brings each.
  var transfers: [Int] = []
  /// The number of the kernel that last read each buffer.
  var readers: [Int?] = []

  /// A plan without slices.
  init() {}

  /// The plan of a job.
  init(_ commands: [JobCommand], buffers: Int) {
    readers = Array(repeating: nil, count: buffers)
    for case .linear(let linear) in commands { slices += linear.packed.slices.filter(\.isStaged) }
  }
}
