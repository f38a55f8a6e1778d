/// What a package says of itself: `manifest.json`.
public struct Manifest: Codable, Sendable, Equatable {
  /// Always `swiftlet-package`.
  public var format = Manifest.formatName
  /// The version of this description.
  public var version = Manifest.currentVersion
  /// The model the package was made from.
  public var model: Model
  /// The target's name.
  public var target: String
  /// The NPU's name, such as `ethos-u55-128`.
  public var npu: String
  /// The NPU's clock in hertz.
  public var npuClock: Double
  /// The CPU's clock in hertz.
  public var cpuClock: Double
  /// The quantisation recipe.
  public var quant: String
  /// Where each region lives and how large it is.
  public var regions: [RegionEntry]
  /// The entry points.
  public var entries: [Entry]
  /// The NPU jobs, in `commands.bin`.
  public var jobs: [Job]
  /// The logits after a decode.
  public var logits: Logits
  /// What the runtime sets for each token.
  public var position: Position
  /// Every file of the package, with its size and checksum.
  public var files: [File]
  /// What the compiler reported.
  public var report: Report
  /// What events cost, for estimates of energy; absent from packages of other makers.
  public var energy: EnergyCosts?

  /// The value of `format`.
  public static let formatName = "swiftlet-package"
  /// The version written now.
  public static let currentVersion = 6

  /// The model's facts.
  public struct Model: Codable, Sendable, Equatable {
    /// The name, from the file's metadata or its file name.
    public var name: String
    /// The architecture, such as `llama`.
    public var architecture: String
    /// How many weights the model has.
    public var parameters: Int
    /// How many tokens the vocabulary has.
    public var vocabulary: Int
    /// How many positions the KV cache holds.
    public var context: Int
    /// The id put before a prompt; nil for none.
    public var bos: Int?
    /// The id that ends a text; nil for none.
    public var eos: Int?

    /// The model's facts.
    public init(
      name: String, architecture: String, parameters: Int, vocabulary: Int, context: Int,
      bos: Int?, eos: Int?
    ) {
      self.name = name
      self.architecture = architecture
      self.parameters = parameters
      self.vocabulary = vocabulary
      self.context = context
      self.bos = bos
      self.eos = eos
    }
  }

  /// One region.
  public struct RegionEntry: Codable, Sendable, Equatable {
    /// The region's name (`Region.name`).
    public var name: String
    /// The base-pointer index.
    public var index: Int
    /// Its size.
    public var bytes: Int
    /// The target's memory it is placed in.
    public var memory: String
    /// The address it starts at.
    public var address: UInt64
    /// The memory as the NPU sees it, so that cycles can be told without the target's file.
    public var speed: MemorySpeed

    /// One region.
    public init(
      name: String, index: Int, bytes: Int, memory: String, address: UInt64, speed: MemorySpeed
    ) {
      self.name = name
      self.index = index
      self.bytes = bytes
      self.memory = memory
      self.address = address
      self.speed = speed
    }
  }

  /// What events cost in joules, from the target's file.
  public struct EnergyCosts: Codable, Sendable, Equatable {
    /// One multiply-accumulate.
    public var mac: Double
    /// One cycle with the NPU on.
    public var cycle: Double
    /// One byte to or from each memory, by its name.
    public var bytes: [String: Double]

    /// Costs.
    public init(mac: Double, cycle: Double, bytes: [String: Double]) {
      self.mac = mac
      self.cycle = cycle
      self.bytes = bytes
    }
  }

  /// How fast a memory is, in bytes and cycles of the NPU's clock.
  public struct MemorySpeed: Codable, Sendable, Equatable {
    /// Bytes a cycle.
    public var read: Double
    public var write: Double
    /// Cycles.
    public var readLatency: Int
    public var writeLatency: Int
    /// Transactions that may be unanswered at once; nil where the target does not say.
    public var maximumReads: Int?
    public var maximumWrites: Int?

    /// A speed.
    public init(
      read: Double, write: Double, readLatency: Int, writeLatency: Int, maximumReads: Int? = nil,
      maximumWrites: Int? = nil
    ) {
      self.read = read
      self.write = write
      self.readLatency = readLatency
      self.writeLatency = writeLatency
      self.maximumReads = maximumReads
      self.maximumWrites = maximumWrites
    }
  }

  /// One entry point: a run of words in `steps.bin`.
  public struct Entry: Codable, Sendable, Equatable {
    /// `decode`, `prefill` or `prefill_near`.
    public var name: String
    /// Tokens of one call.
    public var tokens: Int
    /// The first word.
    public var firstWord: Int
    /// How many words.
    public var words: Int

    /// One entry point.
    public init(name: String, tokens: Int, firstWord: Int, words: Int) {
      self.name = name
      self.tokens = tokens
      self.firstWord = firstWord
      self.words = words
    }
  }

  /// One NPU job.
  public struct Job: Codable, Sendable, Equatable {
    /// The entry point and layer it serves.
    public var name: String
    /// The byte offset of its driver payload in `commands.bin`, a multiple of 16.
    public var offset: Int
    /// The payload's bytes.
    public var bytes: Int
    /// For each NPU kernel operation of the job, in order, the model's tensor it computes.
    public var provenance: [String]
    /// What several layers that run as one consist of, by its name; nil where there is none.
    public var fused: [String: [FusedLayer]]?

    /// One NPU job.
    public init(name: String, offset: Int, bytes: Int, provenance: [String]) {
      self.name = name
      self.offset = offset
      self.bytes = bytes
      self.provenance = provenance
    }
  }

  /// A layer that runs as one with others: its output channels follow those of the layer before.
  public struct FusedLayer: Codable, Sendable, Equatable {
    /// The model's tensor.
    public var name: String
    /// Output channels.
    public var channels: Int

    /// A layer.
    public init(name: String, channels: Int) {
      self.name = name
      self.channels = channels
    }
  }

  /// Where the logits are.
  public struct Logits: Codable, Sendable, Equatable {
    /// The byte offset in the arena; int16 elements.
    public var offset: Int
    /// The real value of one step.
    public var scale: Float

    /// Where the logits are.
    public init(offset: Int, scale: Float) {
      self.offset = offset
      self.scale = scale
    }
  }

  /// What depends on the position or the token, and is set by the runtime before a job.
  public struct Position: Codable, Sendable, Equatable {
    /// The byte offset of the score mask in the state region: int16, one for each position.
    public var maskOffset: Int
    /// The byte offset of the rotation table in the params region, the bytes of its rows, and the byte offset
    /// in the state region of the place where those of the positions are copied.
    public var rotationOffset: Int
    public var rotationRowBytes: Int
    public var rotationPlace: Int
    /// Where base pointers 5 and 6 are in the state region.
    public var values: CachePlace
    public var keys: CachePlace
    /// What the state region starts with, but for zeros.
    public var fills: [Fill] = []
    /// The byte offset in the state region of ten int16 numbers: a one among eight for the position modulo 8,
    /// and among two for it modulo 2; and of as many as a batch has rows, 1 for those that hold a token.
    public var selectionPlace = 0
    public var validityPlace = 0
    /// The byte offset of the embedding table in the weights region, and the bytes of its rows: base
    /// pointer 7 is at the token's row. Rows of 0 bytes: there is no table.
    public var embeddingOffset: Int
    public var embeddingRowBytes: Int
    /// The byte offset in the weights region of the rows' multipliers (int32), and in the state region of
    /// the place where those of the tokens are copied.
    public var multiplierOffset: Int
    public var multiplierPlace: Int
    /// The byte offset in the state region of the place where the rows of a batch's tokens are copied.
    public var embeddingPlace: Int
    /// The fewest tokens for which a run of `prefill` takes less time than as many of `decode`; a batch's
    /// other rows are wasted.
    public var prefillFrom: Int

    /// Batches start at positions that are multiples of this power of two.
    public var prefillAlignment = 1
    /// Batches that end within so many positions run `prefill_near`, whose attention looks at no others; 0
    /// without one.
    public var nearPositions = 0
    /// How many tokens of a fixed beginning the caches hold from the start.
    public var prefixTokens = 0

    /// What depends on the position and the token.
    public init(
      maskOffset: Int, rotationOffset: Int, rotationRowBytes: Int, rotationPlace: Int,
      values: CachePlace, keys: CachePlace, embeddingOffset: Int = 0, embeddingRowBytes: Int = 0,
      multiplierOffset: Int = 0,
      multiplierPlace: Int = 0, embeddingPlace: Int = 0, prefillFrom: Int = 1
    ) {
      self.prefillFrom = prefillFrom
      self.embeddingPlace = embeddingPlace
      self.embeddingOffset = embeddingOffset
      self.embeddingRowBytes = embeddingRowBytes
      self.multiplierOffset = multiplierOffset
      self.multiplierPlace = multiplierPlace
      self.maskOffset = maskOffset
      self.rotationOffset = rotationOffset
      self.rotationRowBytes = rotationRowBytes
      self.rotationPlace = rotationPlace
      self.values = values
      self.keys = keys
    }
  }

  /// How a base pointer follows the position `p` through the caches: it is `p / chunk * chunkBytes`,
  /// `q / period * periodBytes` with `q = p % chunk`, and `offsets[q % period]` bytes into the state region.
  public struct CachePlace: Codable, Sendable, Equatable {
    public var chunk: Int
    public var chunkBytes: Int
    public var period: Int
    public var periodBytes: Int
    public var offsets: [Int]

    /// How a base pointer follows the position.
    public init(chunk: Int, chunkBytes: Int, period: Int, periodBytes: Int, offsets: [Int]) {
      self.chunk = chunk
      self.chunkBytes = chunkBytes
      self.period = period
      self.periodBytes = periodBytes
      self.offsets = offsets
    }

    /// Bytes into the state region; nil for a position that the table does not have, or out of all range.
    public func offset(of position: Int) -> Int? {
      guard chunk > 0, period > 0, position >= 0 else { return nil }
      let inside = position % chunk
      guard offsets.indices.contains(inside % period) else { return nil }
      let chunks = (position / chunk).multipliedReportingOverflow(by: chunkBytes)
      let periods = (inside / period).multipliedReportingOverflow(by: periodBytes)
      let both = chunks.partialValue.addingReportingOverflow(periods.partialValue)
      let all = both.partialValue.addingReportingOverflow(offsets[inside % period])
      return chunks.overflow || periods.overflow || both.overflow || all.overflow
        ? nil : all.partialValue
    }
  }

  /// Bytes of the weights region that are copied to the state region before a conversation: `count` times
  /// `bytes` bytes, `stride` bytes apart there and `sourceStride` here.
  public struct Fill: Codable, Sendable, Equatable {
    public var offset: Int
    public var stride: Int
    public var count: Int
    public var source: Int
    public var sourceStride: Int
    public var bytes: Int

    /// Bytes that are copied.
    public init(
      offset: Int, stride: Int, count: Int, source: Int, sourceStride: Int, bytes: Int
    ) {
      self.offset = offset
      self.stride = stride
      self.count = count
      self.source = source
      self.sourceStride = sourceStride
      self.bytes = bytes
    }

    /// Whether it brings the keys or values of a fixed beginning: rows of their own, not the same everywhere.
    public var isPrefix: Bool { sourceStride > 0 }
  }

  /// One file of the package.
  public struct File: Codable, Sendable, Equatable {
    /// The name, relative to the package.
    public var name: String
    /// Its size.
    public var bytes: Int
    /// CRC-32 of its bytes.
    public var crc32: UInt32

    /// One file of the package.
    public init(name: String, bytes: Int, crc32: UInt32) {
      self.name = name
      self.bytes = bytes
      self.crc32 = crc32
    }
  }

  /// The streams of all keys and values.
  public struct Caches: Codable, Sendable, Equatable {
    /// Bytes of the streams of the whole context.
    public var bytes: Int
    /// Bits of a key and of a value.
    public var keyBits: Int
    public var valueBits: Int

    /// The streams of all keys and values.
    public init(bytes: Int, keyBits: Int, valueBits: Int) {
      self.bytes = bytes
      self.keyBits = keyBits
      self.valueBits = valueBits
    }
  }

  /// What the compiler measured.
  public struct Report: Codable, Sendable, Equatable {
    /// Bytes of writable on-chip memory used at most: the arena and whatever state lives there.
    public var sramPeakBytes: Int
    /// The same with activations and scratch at the most that is alive at once, which no arena can go
    /// below; nil in packages of compilers that did not say.
    public var sramBoundBytes: Int?
    /// Bytes of read-only data.
    public var flashBytes: Int
    /// Bytes of all weight streams, without scale records.
    public var weightStreamBytes: Int
    /// Bytes of weights and their scale records that live among the params, in fast memory, while the others
    /// come from a slower one; nil in packages of compilers that did not say.
    public var residentBytes: Int?
    /// Weights in those streams.
    public var weightCount: Int
    /// Keys and values; nil in packages of compilers that did not say.
    public var caches: Caches?
    /// Transposes left in all entry points.
    public var transposes: Int
    /// Steps of all entry points that are no NPU jobs.
    public var cpuOps: Int
    /// Estimated NPU cycles of one decode step.
    public var decodeCycles: Int
    /// Estimated bytes that the NPU reads and writes in one decode step, by memory; nil in packages of compilers
    /// that did not say.
    public var decodeTraffic: [String: Int]?
    /// Estimated CPU cycles of one decode step.
    public var decodeCPUCycles: Int
    /// The bound: every encoded byte read once at its memory's bandwidth.
    public var decodeBoundCycles: Int
    /// Estimated NPU cycles of one batch of `prefill`; 0 without one.
    public var prefillCycles: Int
    /// Those of one batch of `prefill_near`; 0 without one.
    public var nearCycles = 0

    /// What the compiler measured.
    public init(
      sramPeakBytes: Int, sramBoundBytes: Int? = nil, flashBytes: Int, weightStreamBytes: Int,
      residentBytes: Int? = nil, weightCount: Int,
      transposes: Int, cpuOps: Int, decodeCycles: Int, decodeTraffic: [String: Int]? = nil,
      decodeCPUCycles: Int, decodeBoundCycles: Int,
      prefillCycles: Int
    ) {
      self.sramPeakBytes = sramPeakBytes
      self.sramBoundBytes = sramBoundBytes
      self.flashBytes = flashBytes
      self.weightStreamBytes = weightStreamBytes
      self.residentBytes = residentBytes
      self.weightCount = weightCount
      self.transposes = transposes
      self.cpuOps = cpuOps
      self.decodeCycles = decodeCycles
      self.decodeTraffic = decodeTraffic
      self.decodeCPUCycles = decodeCPUCycles
      self.decodeBoundCycles = decodeBoundCycles
      self.prefillCycles = prefillCycles
    }

    /// Stream bits per weight.
    public var bitsPerWeight: Double {
      weightCount == 0 ? 0 : Double(weightStreamBytes) * 8 / Double(weightCount)
    }
  }

  /// A manifest of the current version.
  public init(
    model: Model, target: String, npu: String, npuClock: Double, cpuClock: Double, quant: String,
    regions: [RegionEntry], entries: [Entry], jobs: [Job], logits: Logits, position: Position,
    files: [File], report: Report
  ) {
    self.model = model
    self.target = target
    self.npu = npu
    self.npuClock = npuClock
    self.cpuClock = cpuClock
    self.quant = quant
    self.regions = regions
    self.entries = entries
    self.jobs = jobs
    self.logits = logits
    self.position = position
    self.files = files
    self.report = report
  }
}
