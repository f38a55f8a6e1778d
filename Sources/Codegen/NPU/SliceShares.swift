import ProgramFormat

/// Which slices live where, so that each memory's are spread evenly over a token: while the DMA brings one
/// from a slow memory, convolutions have others to read in place.
struct SliceShares {
  /// Where a slice lives and how it gets to its convolution.
  enum Home: Hashable {
    /// In a region of a faster memory than the weights', read in place.
    case kept(Region)
    /// In the weights' memory, brought by the DMA.
    case staged
    /// In the weights' memory, read in place.
    case inPlace
  }

  /// A region of a faster memory.
  private struct Tier {
    let region: Region
    /// Encoded bytes that may still live there.
    var room: Int
    /// Raw bytes that should live there by now and do not.
    var credit = 0.0
  }

  /// Raw bytes of the slices to come.
  private var raw: Int
  private var tiers: [Tier]
  /// Of every 256 bytes that are in the weights' memory the DMA fetches this many.
  private let stagedShare: Int
  /// Raw bytes that the DMA fetches, and that are read in place.
  private var (staged, inPlace) = (0, 0)
  /// What has been encoded, for the ratio of encoded to raw bytes.
  private var (encoded, encodedRaw) = (0, 0)

  /// Shares of slices of `raw` bytes before encoding, of which `rooms` may live in faster memories.
  init(raw: Int, rooms: [Region: Int], stagedShare: Int) {
    self.raw = raw
    tiers = rooms.filter { $0.value > 0 }.sorted { $0.key.rawValue < $1.key.rawValue }.map {
      Tier(region: $0.key, room: $0.value)
    }
    self.stagedShare = stagedShare
  }

  /// Encoded bytes of a raw one, as far as is known.
  private var ratio: Double { encodedRaw > 0 ? Double(encoded) / Double(encodedRaw) : 1 }

  /// Where the next slice lives.
  mutating func next(bytes: Int) -> Home {
    let left = Double(max(raw, 1)) * ratio
    raw -= bytes
    for index in tiers.indices {
      tiers[index].credit += Double(bytes) * min(Double(tiers[index].room) / left, 1)
    }
    // Half a slice early is as good as half a slice late.
    let size = Double(bytes) * ratio
    let ready = tiers.indices.filter {
      tiers[$0].credit >= Double(bytes) / 2 && size <= Double(tiers[$0].room)
    }
    if let index = ready.max(by: { tiers[$0].credit < tiers[$1].credit }) {
      tiers[index].credit -= Double(bytes)
      tiers[index].room -= Int(size)
      return .kept(tiers[index].region)
    }
    // What is behind its share gets the next.
    if staged * (256 - stagedShare) <= inPlace * stagedShare {
      staged += bytes
      return .staged
    }
    inPlace += bytes
    return .inPlace
  }

  /// Notes what a slice's encoding took.
  mutating func encoded(_ bytes: Int, of raw: Int) {
    encoded += bytes
    encodedRaw += raw
  }
}
