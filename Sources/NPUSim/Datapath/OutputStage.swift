import TensorCore

/// Accumulator to stored value: scaling, rounding, zero point, activation, clamp and table.
struct OutputStage {
  private enum Scaling {
    case none
    case global(PreparedScale)
    case perChannel([PreparedScale])
  }

  private var scaling: Scaling
  private var zeroPoint: Int64
  private var activation: ActivationFunction
  private var clampLow: Int64
  private var clampHigh: Int64
  private var clamps: Bool
  /// Table entries widened, indexed by unsigned position.
  private var table: [Int32] = []
  private var tableBias: Int64 = 0

  /// Prepares the stage.
  ///
  /// - Parameters:
  ///   - channels: multiplier and shift by channel when the settings say so.
  ///   - internalMemory: the SHRAM or LUT RAM bytes.
  init(
    _ settings: OutputSettings, zeroPoint: Int32, channels: [FixedScale] = [],
    internalMemory: [UInt8]
  ) throws(Fault) {
    func prepared(_ scale: FixedScale) -> PreparedScale {
      PreparedScale(
        scale, rounding: settings.rounding, doubleRoundShift: settings.doubleRoundShift)
    }
    switch settings.scale {
    case .none: scaling = .none
    case .global(let scale): scaling = scale == .one ? .none : .global(prepared(scale))
    case .shiftOnly(let shift):
      scaling = shift == 0 ? .none : .global(prepared(FixedScale(multiplier: 1, shift: shift)))
    case .perChannel: scaling = .perChannel(channels.map(prepared))
    }
    self.zeroPoint = Int64(zeroPoint)
    activation = settings.activation
    clamps = settings.clamp != nil
    clampLow = settings.clamp?.lowerBound ?? .min
    clampHigh = settings.clamp?.upperBound ?? .max
    switch activation {
    case .none: break
    case .tanh, .sigmoid: table = SigmoidTable.values
    case .table8, .table8To16, .table8To32, .table16, .table16To32, .tanhTable, .sigmoidTable:
      try loadTable(settings, from: internalMemory)
    }
  }

  private mutating func loadTable(
    _ settings: OutputSettings, from memory: [UInt8]
  ) throws(Fault) {
    let entries: Int
    let entryBytes: Int
    switch activation {
    case .table8: (entries, entryBytes) = (256, 1)
    case .table8To16: (entries, entryBytes) = (256, 2)
    case .table8To32: (entries, entryBytes) = (256, 4)
    default: (entries, entryBytes) = (512, 4)
    }
    let offset = settings.tableOffset
    guard offset >= 0, offset + entries * entryBytes <= memory.count else {
      throw .illegalValue(
        register: "ACTIVATION table", value: offset,
        legal: "a table inside the \(memory.count) bytes of internal memory")
    }
    table.reserveCapacity(entries)
    for i in 0..<entries {
      let at = offset + i * entryBytes
      if entryBytes == 1 {
        table.append(Int32(memory[at]))
      } else if entryBytes == 2 {
        let word = UInt16(memory[at]) | UInt16(memory[at + 1]) << 8
        table.append(Int32(Int16(bitPattern: word)))
      } else {
        let word =
          UInt32(memory[at]) | UInt32(memory[at + 1]) << 8 | UInt32(memory[at + 2]) << 16
          | UInt32(memory[at + 3]) << 24
        table.append(Int32(bitPattern: word))
      }
    }
    switch activation {
    case .table16, .table16To32: tableBias = 32768
    default: tableBias = settings.tableIndexIsSigned ? 128 : 0
    }
  }

  /// Turns `pixels * channels` accumulators `[pixel][channel]` into values to store, in place.
  ///
  /// - Parameter firstChannel: the OFM channel of the first column, for per-channel scales.
  func apply(
    _ values: UnsafeMutablePointer<Int64>, pixels: Int, channels: Int, firstChannel: Int
  ) {
    let count = pixels &* channels
    switch scaling {
    case .none: break
    case .global(let scale):
      for i in 0..<count { values[i] = scale(values[i]) }
    case .perChannel(let scales):
      scales.withUnsafeBufferPointer { scales in
        var i = 0
        for _ in 0..<pixels {
          for c in 0..<channels {
            values[i] = scales[firstChannel &+ c](values[i])
            i &+= 1
          }
        }
      }
    }
    switch activation {
    case .none: finish(values, count) { $0 }
    case .tanh:
      table.withUnsafeBufferPointer { table in
        finish(values, count) { SigmoidTable.tanh($0, table) }
      }
    case .sigmoid:
      table.withUnsafeBufferPointer { table in
        finish(values, count) { SigmoidTable.sigmoid($0, table) }
      }
    case .tanhTable:
      table.withUnsafeBufferPointer { table in
        finish(values, count) { SigmoidTable.tanh($0, loaded: table) }
      }
    case .sigmoidTable:
      table.withUnsafeBufferPointer { table in
        finish(values, count) { SigmoidTable.sigmoid($0, loaded: table) }
      }
    case .table16To32:
      finish(values, count) { $0 }
      table.withUnsafeBufferPointer { table in
        for i in 0..<count {
          values[i] = Int64(table[Int(((values[i] &+ tableBias) & 0xFFFF) >> 7)])
        }
      }
    case .table8, .table8To16, .table8To32:
      finish(values, count) { $0 }
      table.withUnsafeBufferPointer { table in
        for i in 0..<count { values[i] = Int64(table[Int((values[i] &+ tableBias) & 255)]) }
      }
    case .table16:
      finish(values, count) { $0 }
      table.withUnsafeBufferPointer { table in
        for i in 0..<count {
          let u = (values[i] &+ tableBias) & 0xFFFF
          let entry = table[Int(u >> 7)]
          let base = Int64(Int16(truncatingIfNeeded: entry))
          let slope = Int64(entry >> 16)
          values[i] = base &+ ((slope &* (u & 127) &+ 64) >> 7)
        }
      }
    }
  }

  /// Zero point, function and clamp.
  @inline(__always)
  private func finish(
    _ values: UnsafeMutablePointer<Int64>, _ count: Int, _ function: (Int64) -> Int64
  ) {
    if clamps {
      let low = clampLow
      let high = clampHigh
      for i in 0..<count {
        let v = function(values[i] &+ zeroPoint)
        values[i] = v < low ? low : v > high ? high : v
      }
    } else {
      for i in 0..<count { values[i] = function(values[i] &+ zeroPoint) }
    }
  }
}
