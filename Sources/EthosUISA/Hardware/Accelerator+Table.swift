extension Accelerator {
  /// All configurations, the smallest first.
  ///
  /// Sources: Arm's Ethos-U55, U65 and U85 technical reference manuals (configurations, CONFIG
  /// register); RAM granules and microblocks as Vela 5.2.0 uses them, recomputed from the buffer
  /// registers of the streams it emits.
  public static let all: [Accelerator] = [
    shared(
      .u55, 32, BlockShape(1, 1, 4), banks: 16, reserved: 0, ifm: (2, 4), accumulator: (4, 4, 4)),
    shared(
      .u55, 64, BlockShape(1, 1, 8), banks: 16, reserved: 0, ifm: (2, 4), accumulator: (4, 4, 8)),
    shared(
      .u55, 128, BlockShape(1, 2, 8), banks: 24, reserved: 2, ifm: (4, 8),
      accumulator: (4, 8, 12)),
    shared(
      .u55, 256, BlockShape(2, 2, 8), banks: 48, reserved: 2, ifm: (8, 16),
      accumulator: (8, 16, 20)),
    shared(
      .u65, 256, BlockShape(2, 2, 8), banks: 48, reserved: 2, ifm: (8, 16),
      accumulator: (8, 16, 20)),
    shared(
      .u65, 512, cores: 2, BlockShape(2, 2, 8), banks: 48, reserved: 2, ifm: (8, 16),
      accumulator: (8, 16, 20)),
    u85(
      128, [BlockShape(1, 2, 8), BlockShape(1, 1, 16)], decoders: 1, ports: (2, 1),
      LocalRAMs(input: 8192, accumulator: 8192, output: 2048, chaining: 768)),
    u85(
      256, [BlockShape(2, 2, 8), BlockShape(1, 4, 8), BlockShape(1, 2, 16)], decoders: 1,
      ports: (2, 1), LocalRAMs(input: 16384, accumulator: 16384, output: 2048, chaining: 1536)),
    u85(
      512, [BlockShape(2, 2, 16), BlockShape(1, 4, 16)], decoders: 2, ports: (2, 1),
      LocalRAMs(input: 16384, accumulator: 32768, output: 4096, chaining: 3072)),
    u85(
      1024, [BlockShape(2, 2, 32), BlockShape(1, 4, 32), BlockShape(2, 4, 16)], decoders: 4,
      ports: (2, 2), LocalRAMs(input: 16384, accumulator: 65536, output: 4096, chaining: 6144)),
    u85(
      2048, [BlockShape(2, 2, 64), BlockShape(1, 4, 64), BlockShape(4, 4, 16)], decoders: 4,
      ports: (4, 2), LocalRAMs(input: 32768, accumulator: 131072, output: 8192, chaining: 12288)),
  ]

  /// A U55 or U65: granules are (8/16-bit, 32-bit) IFM and (16, 32, 40-bit) accumulators.
  private static func shared(
    _ product: Product, _ macs: Int, cores: Int = 1, _ microblock: BlockShape, banks: Int,
    reserved: Int, ifm: (Int, Int), accumulator: (Int, Int, Int)
  ) -> Accelerator {
    Accelerator(
      product, macs, cores: cores, microblocks: [microblock],
      sharedRAM: SharedRAM(
        banks: banks, reservedTableBanks: reserved, ifmGranule: ifm.0, ifm32Granule: ifm.1,
        accumulator16Granule: accumulator.0, accumulator32Granule: accumulator.1,
        accumulator40Granule: accumulator.2),
      ports: AXIPorts(sram: 1, external: 1), limit: BlockShape(32, 64, 128))
  }

  /// A U85.
  private static func u85(
    _ macs: Int, _ microblocks: [BlockShape], decoders: Int, ports: (Int, Int), _ rams: LocalRAMs
  ) -> Accelerator {
    Accelerator(
      .u85, macs, microblocks: microblocks, localRAMs: rams, decoders: decoders,
      ports: AXIPorts(sram: ports.0, external: ports.1), limit: BlockShape(128, 128, 1024))
  }
}
