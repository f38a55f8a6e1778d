import Support

/// A compiled model: what the device runs and the simulator executes, byte for byte.
public struct Program: Sendable {
  /// What the package says of itself. `files` is filled in when the package is written.
  public var manifest: Manifest
  /// All driver payloads, one after the other at multiples of 16 bytes.
  public var commands: ByteSource
  /// The words of all step lists.
  public var steps: [UInt32]
  /// The content of the weights region.
  public var weights: ByteSource
  /// The content of the near region; often empty.
  public var near: ByteSource
  /// The content of the params region.
  public var params: ByteSource
  /// The tokenizer's binary form; empty without one.
  public var tokenizer: ByteSource

  /// A program.
  public init(
    manifest: Manifest, commands: ByteSource, steps: [UInt32], weights: ByteSource,
    near: ByteSource, params: ByteSource, tokenizer: ByteSource
  ) {
    self.manifest = manifest
    self.commands = commands
    self.steps = steps
    self.weights = weights
    self.near = near
    self.params = params
    self.tokenizer = tokenizer
  }

  /// The size of a region, 0 when the program does not use it.
  public func bytes(of region: Region) -> Int {
    manifest.regions.first { $0.index == region.rawValue }?.bytes ?? 0
  }

  /// What a region holds from the start; nil for those that jobs write.
  public func content(of region: Region) -> ByteSource? {
    switch region {
    case .weights: weights
    case .near: near
    case .params: params
    case .arena, .state: nil
    }
  }

  /// The entry point called `name`.
  public func entry(_ name: String) -> Manifest.Entry? {
    manifest.entries.first { $0.name == name }
  }
}

/// The names of a package's files.
public enum PackageFile {
  public static let manifest = "manifest.json"
  public static let commands = "commands.bin"
  public static let steps = "steps.bin"
  public static let weights = "weights.bin"
  public static let near = "near.bin"
  public static let params = "params.bin"
  public static let tokenizer = "tokenizer.bin"
  /// The folder of C arrays, header and runtime sources.
  public static let cFolder = "c"
}
