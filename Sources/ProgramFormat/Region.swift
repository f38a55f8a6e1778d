/// The memory regions of a program. Raw values are the NPU's base-pointer indices and equal
/// `enum swl_region` of the device runtime.
public enum Region: Int, Sendable, CaseIterable, Codable {
  /// Encoded weight and scale streams, then the embedding table that the CPU reads, read-only.
  case weights = 0
  /// Activations of one step list, then buffers for weight slices that the NPU's DMA brings.
  case arena = 1
  /// Weight and scale streams that live in the nearer of two read-only memories, such as MRAM beside flash.
  case near = 2
  /// KV caches and the score mask, kept from token to token.
  case state = 3
  /// Tables, norm weights and constants that jobs read again and again, read-only.
  case params = 4

  /// The name in manifests and reports.
  public var name: String {
    switch self {
    case .weights: "weights"
    case .arena: "arena"
    case .near: "near"
    case .state: "state"
    case .params: "params"
    }
  }

  /// Whether its content is part of the package.
  public var isConstant: Bool { self == .weights || self == .near || self == .params }

  /// The largest region a reference can address.
  public static let byteLimit = 1 << 29
}

/// A place in a region, packed as the step encoding wants it (`swl_ref`).
public struct RegionReference: Hashable, Sendable {
  /// The region.
  public let region: Region
  /// The byte offset in it, below `Region.byteLimit`.
  public let offset: Int

  /// A place; the offset must be below `Region.byteLimit`.
  public init(_ region: Region, _ offset: Int) {
    precondition(offset >= 0 && offset < Region.byteLimit, "reference outside a region's reach")
    self.region = region
    self.offset = offset
  }

  /// Region in bits 31…29, offset in bits 28…0.
  public var word: UInt32 { UInt32(region.rawValue) << 29 | UInt32(offset) }
}
