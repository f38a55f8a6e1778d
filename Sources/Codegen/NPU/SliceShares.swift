/// Which slices live where, so that each memory's are spread evenly over a token: while the DMA brings one
/// from a slow memory, convolutions have others to read in place.
struct SliceShares {
  /// Where a slice lives and how it gets to its convolution.
  enum Home {
    /// In fast memory, read in place.
    case resident
    /// In the weights' memory, brought by the DMA.
    case staged
    /// In the weights' memory, read in place.
    case inPlace
  }

  /// Raw bytes of the slices to come.
  private var raw: Int
  /// Encoded bytes that may still become resident.
  private var room: Int
  /// Of every 256 bytes that are not resident the DMA fetches this many.
  private let stagedShare: Int
  /// Raw bytes that should be resident by now and are not.
  private var credit = 0.0
  /// Raw bytes that the DMA fetches, and that are read in place.
  private var (staged, inPlace) = (0, 0)
  /// What has been encoded, for the ratio of encoded to raw bytes.
  private var (encoded, encodedRaw) = (0, 0)

  /// Shares of slices of `raw` bytes before encoding.
  init(raw: Int, residentBytes: Int, stagedShare: Int) {
    self.raw = raw
    room = residentBytes
    self.stagedShare = stagedShare
  }

  /// Encoded bytes of a raw one, as far as is known.
  private var ratio: Double { encodedRaw > 0 ? Double(encoded) / Double(encodedRaw) : 1 }

  /// Where the next slice lives.
  mutating func next(bytes: Int) -> Home {
    let left = Double(max(raw, 1)) * ratio
    credit += Double(bytes) * min(Double(room) / left, 1)
    raw -= bytes
    // Half a slice early is as good as half a slice late.
    if room > 0, credit >= Double(bytes) / 2, Double(bytes) * ratio <= Double(room) {
      credit -= Double(bytes)
      room -= Int(Double(bytes) * ratio)
      return .resident
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
