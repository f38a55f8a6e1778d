import DeviceRuntime
import ProgramFormat
import Support

extension LanguageSession {
  /// Reads bytes of a region as they are now; nil when they are not all inside it.
  public typealias MemoryReader = (_ region: Int, _ bytes: Range<Int>) -> [UInt8]?

  /// Runs one token through the decode steps, one step at a time, so that every intermediate result can
  /// be seen. The result is that of `decode`; counters stay as they were.
  ///
  /// - Parameters:
  ///   - token: the token.
  ///   - onStep: called after each step with its index and a reader of the memory.
  ///
  /// Throws `DiagnosticError` as `decode` does.
  public func trace(
    _ token: Int32, onStep: (_ step: Int, _ memory: MemoryReader) -> Void
  ) throws(DiagnosticError) {
    let all = image.program.pointee.decode
    // The runtime runs whatever list the program points at: here, each step as a list of its own.
    defer { image.program.pointee.decode = all }
    let start = context.pointee.position
    var word: UInt32 = 0
    var index = 0
    while word < all.count {
      guard let words = all.words else { return }
      let length = words[Int(word)] >> 8
      guard length > 0, length <= all.count - word else {
        throw DiagnosticError("package.steps", "the steps of decode are malformed")
      }
      context.pointee.position = start
      image.program.pointee.decode = swl_steps(
        words: words + Int(word), count: length, tokens: all.tokens)
      try check(swl_decode(context, token))
      onStep(index) { region, range in
        guard image.bases.indices.contains(region), range.lowerBound >= 0,
          range.upperBound <= image.sizes[region], let base = image.bases[region]
        else { return nil }
        return Array(UnsafeBufferPointer(start: base + range.lowerBound, count: range.count))
      }
      word += length
      index += 1
    }
  }
}
