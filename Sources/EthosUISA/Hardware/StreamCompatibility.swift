/// Why a driver refuses to run a stream on a part.
public enum StreamIncompatibility: Error, Sendable, Hashable {
  /// Built for another product.
  case product(stream: UInt32, hardware: UInt32)
  /// Built for another number of multiply-accumulates a cycle.
  case macs(stream: Int, hardware: Int)
  /// Another version of the command stream.
  case streamVersion(stream: UInt32, hardware: UInt32)
  /// U85: another number of AXI ports.
  case ports(stream: Accelerator.AXIPorts, hardware: Accelerator.AXIPorts)
  /// The stream wants a custom DMA engine that the part lacks.
  case customDMA
  /// Architecture versions do not fit: the major number must be equal, and the minor number of the
  /// part at least that of the stream.
  case architecture(streamMajor: Int, streamMinor: Int, hardwareMajor: Int, hardwareMinor: Int)
}

extension ConfigurationWord {
  /// Compares a stream's words with a part's as Arm's driver does; nil when the part may run it.
  ///
  /// The size of the shared RAM is not compared.
  public static func incompatibility(
    stream: (ConfigurationWord, IdentificationWord),
    hardware: (ConfigurationWord, IdentificationWord)
  ) -> StreamIncompatibility? {
    let (wanted, wantedID) = stream
    let (config, id) = hardware
    if wanted.rawValue >> 28 != config.rawValue >> 28 {
      return .product(stream: wanted.rawValue >> 28, hardware: config.rawValue >> 28)
    }
    if wanted.macs != config.macs { return .macs(stream: wanted.macs, hardware: config.macs) }
    if wanted.streamVersion != config.streamVersion {
      return .streamVersion(stream: wanted.streamVersion, hardware: config.streamVersion)
    }
    if config.product == .u85, wanted.ports != config.ports {
      return .ports(stream: wanted.ports, hardware: config.ports)
    }
    if wanted.hasCustomDMA, !config.hasCustomDMA { return .customDMA }
    let (wantedMajor, wantedMinor, _) = wantedID.architecture
    let (major, minor, _) = id.architecture
    if wantedMajor != major || wantedMinor > minor {
      return .architecture(
        streamMajor: wantedMajor, streamMinor: wantedMinor, hardwareMajor: major,
        hardwareMinor: minor)
    }
    return nil
  }
}
