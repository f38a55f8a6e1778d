/// Writes a command stream through typed functions, one for each command.
///
/// Register writes that repeat the value a register already has are left out, because registers
/// keep their values; operations are always written.
public struct StreamBuilder: Sendable {
  /// The product.
  public let product: Product
  /// The words so far.
  public private(set) var words: [UInt32] = []
  /// Whether repeated register writes are left out.
  public var omitsRepeatedWrites = true
  private var shadow: [UInt64?]

  /// An empty stream for `product`.
  public init(_ product: Product) {
    self.product = product
    shadow = Array(repeating: nil, count: Opcode.allCases.count)
  }

  /// Byte offset of the next command, as branch targets want it.
  public var byteOffset: Int { words.count * 4 }

  /// Forgets what registers hold, so that the next writes are all made.
  public mutating func forgetRegisters() {
    shadow = Array(repeating: nil, count: Opcode.allCases.count)
  }

  /// Appends a command whose fields are set.
  public mutating func append(_ values: CommandValues) {
    guard !values.layout.isOperation else {
      words.append(contentsOf: values.words)
      // The instruction after a branch may be reached from elsewhere.
      if values.opcode == .opBranch { forgetRegisters() }
      return
    }
    let place = Int(values.opcode.rawValue)
    if omitsRepeatedWrites, shadow[place] == values.bits { return }
    shadow[place] = values.bits
    words.append(contentsOf: values.words)
  }

  /// Appends a command given by its fields, for callers that hold them as data.
  public mutating func append(_ opcode: Opcode, _ fields: [(Field, Int)] = [])
    throws(EncodeError)
  {
    var values = try CommandValues(opcode, on: product)
    for (field, value) in fields { try values.put(field, value) }
    append(values)
  }

  /// Ends the stream with OP_STOP and returns its words.
  ///
  /// - Throws: `EncodeError` when hardware does not accept the length.
  public mutating func finish(mask: Int = 0xFFFF) throws(EncodeError) -> [UInt32] {
    try opStop(mask)
    guard words.count <= CommandStream.wordLimit else {
      throw EncodeError(
        opcode: .opStop, product: product, reason: .streamTooLong(words: words.count))
    }
    return words
  }
}
