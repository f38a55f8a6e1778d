extension MappedTensor {
  /// Reads `x` of row `y`, channels `c`, as integers minus the zero point, into `[x][c]`.
  ///
  /// `T` must hold the values: 16 bits for 8-bit elements and for 16-bit ones without zero point.
  @inline(__always)
  func read<T: FixedWidthInteger & SignedInteger>(
    y: Int, x: Range<Int>, c: Range<Int>, into destination: UnsafeMutablePointer<T>
  ) {
    let zero = T(truncatingIfNeeded: map.zeroPoint)
    forEachRun(y: y, x: x, c: c) { address, position, n in
      let out = destination + position
      switch (map.elementBytes, map.isSigned) {
      case (1, true): Self.convert(address.assumingMemoryBound(to: Int8.self), n, zero, out)
      case (1, false): Self.convert(address.assumingMemoryBound(to: UInt8.self), n, zero, out)
      case (2, true): Self.convertUnaligned(address, Int16.self, n, zero, out)
      case (2, false): Self.convertUnaligned(address, UInt16.self, n, zero, out)
      case (4, true): Self.convertUnaligned(address, Int32.self, n, zero, out)
      case (4, false): Self.convertUnaligned(address, UInt32.self, n, zero, out)
      default: Self.convertUnaligned(address, Int64.self, n, zero, out)
      }
    }
  }

  @inline(__always)
  private static func convert<S: FixedWidthInteger, T: FixedWidthInteger>(
    _ source: UnsafePointer<S>, _ n: Int, _ zero: T, _ out: UnsafeMutablePointer<T>
  ) {
    for i in 0..<n { out[i] = T(truncatingIfNeeded: source[i]) &- zero }
  }

  @inline(__always)
  private static func convertUnaligned<
    S: FixedWidthInteger & BitwiseCopyable, T: FixedWidthInteger
  >(
    _ source: UnsafeRawPointer, _ type: S.Type, _ n: Int, _ zero: T, _ out: UnsafeMutablePointer<T>
  ) {
    for i in 0..<n {
      let value = source.loadUnaligned(fromByteOffset: i &* MemoryLayout<S>.size, as: S.self)
      out[i] = T(truncatingIfNeeded: S(littleEndian: value)) &- zero
    }
  }

  /// Stores `[x][c]` values, truncated to the element width.
  @inline(__always)
  func write(
    y: Int, x: Range<Int>, c: Range<Int>, from source: UnsafePointer<Int64>
  ) {
    forEachRun(y: y, x: x, c: c) { address, position, n in
      let values = source + position
      switch map.elementBytes {
      case 1: Self.store(values, n, UInt8.self, address)
      case 2: Self.store(values, n, UInt16.self, address)
      case 4: Self.store(values, n, UInt32.self, address)
      default: Self.store(values, n, UInt64.self, address)
      }
    }
  }

  /// Stores one value, truncated to the element width.
  @inline(__always)
  func store(_ value: Int64, at address: UnsafeMutableRawPointer) {
    withUnsafePointer(to: value) { values in
      switch map.elementBytes {
      case 1: Self.store(values, 1, UInt8.self, address)
      case 2: Self.store(values, 1, UInt16.self, address)
      case 4: Self.store(values, 1, UInt32.self, address)
      default: Self.store(values, 1, UInt64.self, address)
      }
    }
  }

  @inline(__always)
  private static func store<S: FixedWidthInteger & BitwiseCopyable>(
    _ values: UnsafePointer<Int64>, _ n: Int, _ type: S.Type, _ address: UnsafeMutableRawPointer
  ) {
    for i in 0..<n {
      address.storeBytes(
        of: S(truncatingIfNeeded: values[i]).littleEndian,
        toByteOffset: i &* MemoryLayout<S>.size, as: S.self)
    }
  }

  /// The first byte, as an offset in its bank, that the map covers and nobody ever wrote.
  func firstUninitialised(in bank: MemoryBank) -> Int? {
    guard !bank.initialised.isComplete else { return nil }
    var found: Int?
    forEachByteRange { address, n in
      guard found == nil else { return }
      let start = UnsafeRawPointer(address) - UnsafeRawPointer(bank.base)
      found = bank.initialised.firstMissing(in: start..<start &+ n)
    }
    return found
  }

  /// Records that the whole map was written.
  func noteWritten(in bank: MemoryBank) {
    forEachByteRange { address, n in
      let start = UnsafeRawPointer(address) - UnsafeRawPointer(bank.base)
      bank.noteWrite(start..<start &+ n)
    }
  }
}
