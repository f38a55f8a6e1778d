import Support

extension TFLiteReader {
  private typealias Table = TFLiteTables.Table

  /// Reads an operator's options by the union's type number (BuiltinOptions of the schema).
  mutating func options(_ op: TFLiteTables.Table, _ what: String) throws(DiagnosticError)
    -> TFLiteOptions
  {
    let kind = try tables.integer(op, 3, UInt8(0), what)
    guard kind != 0, let table = try tables.table(op, 4, what) else { return .none }
    func activation(_ slot: UInt16) throws(DiagnosticError) -> TFLiteActivation {
      try choice(table, slot, what)
    }
    func integer(_ slot: UInt16, _ fallback: Int32 = 0) throws(DiagnosticError) -> Int {
      Int(try tables.integer(table, slot, fallback, what))
    }
    func positive(_ slot: UInt16, _ fallback: Int32 = 0) throws(DiagnosticError) -> Int {
      let value = try integer(slot, fallback)
      guard (1...1 << 16).contains(value) else {
        throw tables.malformed("options", "\(what): option \(slot) is \(value), not 1 to 65536")
      }
      return value
    }
    func flag(_ slot: UInt16) throws(DiagnosticError) -> Bool {
      try tables.flag(table, slot, what)
    }
    func float(_ slot: UInt16) throws(DiagnosticError) -> Float {
      try tables.float(table, slot, what)
    }
    switch kind {
    case 1:
      return .convolution(
        TFLiteWindow(
          padding: try choice(table, 0, what), strideHeight: try positive(2),
          strideWidth: try positive(1), dilationHeight: try positive(5, 1),
          dilationWidth: try positive(4, 1), activation: try activation(3)))
    case 2:
      return .depthwise(
        TFLiteWindow(
          padding: try choice(table, 0, what), strideHeight: try positive(2),
          strideWidth: try positive(1), dilationHeight: try positive(6, 1),
          dilationWidth: try positive(5, 1), activation: try activation(4)),
        depthMultiplier: try integer(3))
    case 5:
      return .pool(
        TFLiteWindow(
          padding: try choice(table, 0, what), strideHeight: try positive(2),
          strideWidth: try positive(1), activation: try activation(5)),
        height: try positive(4), width: try positive(3))
    case 6: return .svdf(rank: try integer(0), try activation(1))
    case 8: return .fullyConnected(try activation(0), keepsDimensions: try flag(2))
    case 9: return .softmax(beta: try float(0))
    case 10: return .concatenation(axis: try integer(0), try activation(1))
    case 11, 21, 28, 29: return .arithmetic(try activation(0))
    case 14: return .lstm(try activation(0), cellClip: try float(1), timeMajor: true)
    case 15: return .resize(alignCorners: try flag(2), halfPixelCentres: try flag(3))
    case 17: return .reshape(try list(table, 0, what))
    case 19, 94: return .block(size: try positive(0))
    case 23: return .gather(axis: try integer(0), batchDimensions: try integer(1))
    case 27: return .reduce(keepsDimensions: try flag(0))
    case 30: return .squeeze(try list(table, 0, what))
    case 32:
      return .stridedSlice(
        begin: try integer(0), end: try integer(1), ellipsis: try integer(2),
        newAxis: try integer(3), shrink: try integer(4), offset: try flag(5))
    case 35, 79: return .split(count: try integer(0))
    case 37:
      return .cast(
        from: TFLiteTensorType(rawValue: try tables.integer(table, 0, 0, what)),
        to: TFLiteTensorType(rawValue: try tables.integer(table, 1, 0, what)))
    case 49:
      return .convolution(
        TFLiteWindow(
          padding: try choice(table, 0, what), strideHeight: try positive(2),
          strideWidth: try positive(1), activation: try activation(3)))
    case 59: return .pack(axis: try integer(1))
    case 64: return .unpack(axis: try integer(1))
    case 71: return .lstm(try activation(0), cellClip: try float(1), timeMajor: try flag(3))
    case 74: return .resize(alignCorners: try flag(0), halfPixelCentres: try flag(1))
    case 75: return .leakyRelu(alpha: try float(0))
    case 77:
      return .mirrorPad(isSymmetric: try tables.integer(table, 0, Int8(0), what) != 0)
    case 92: return .branch(then: try integer(0), otherwise: try integer(1))
    case 93: return .loop(condition: try integer(0), body: try integer(1))
    case 101: return .batchMatMul(transposesA: try flag(0), transposesB: try flag(1))
    case 116: return .gelu(isApproximate: try flag(0))
    case 103: return .callOnce(subgraph: try integer(0))
    case 111:
      return .variable(
        container: try tables.string(table, 0, what), name: try tables.string(table, 1, what))
    default: return .none
    }
  }

  private func choice<T: RawRepresentable<Int8>>(
    _ table: TFLiteTables.Table, _ slot: UInt16, _ what: String
  ) throws(DiagnosticError) -> T {
    let raw = try tables.integer(table, slot, Int8(0), what)
    guard let value = T(rawValue: raw) else {
      throw tables.malformed("options", "\(what): option \(slot) has no value \(raw)")
    }
    return value
  }

  private mutating func list(
    _ table: TFLiteTables.Table, _ slot: UInt16, _ what: String
  ) throws(DiagnosticError) -> [Int] {
    (try tables.numbers(table, slot, what, as: Int32.self) ?? []).map(Int.init)
  }
}
