import DeviceRuntime
import ProgramFormat
import Support

extension LanguageSession {
  /// Reads bytes behind a base pointer (`BasePointer`) as they are now; nil when they are not all
  /// inside its region.
  public typealias MemoryReader = (_ base: Int, _ bytes: Range<Int>) -> [UInt8]?

  /// Runs one token through the decode steps, one by one, so that every intermediate result can be seen
  /// before a later one takes its place. The result is that of `decode`.
  ///
  /// - Parameters:
  ///   - token: the token.
  ///   - onKernel: called after each kernel operation of an NPU job, with the job, the operation's number
  ///     in it, and a reader of the memory.
  ///   - onStep: called after each step with its index and a reader of the memory.
  ///
  /// Throws `DiagnosticError` as `decode` does.
  public func trace(
    _ token: Int32, onKernel: (_ job: Int, _ kernel: Int, _ memory: MemoryReader) -> Void,
    onStep: (_ step: Int, _ memory: MemoryReader) -> Void
  ) throws(DiagnosticError) {
    let all = image.program.pointee.decode
    let start = context.pointee.position
    let place = program.manifest.position
    func read(_ base: Int, _ range: Range<Int>) -> [UInt8]? {
      guard let pointer = BasePointer(rawValue: base) else { return nil }
      let region = pointer.region.rawValue
      let offset: Int =
        switch pointer {
        case .rotation: place.rotationOffset + Int(start) * place.rotationRowBytes
        case .cacheRow: Int(start) * place.cacheRowBytes
        default: 0
        }
      let (from, isFar) = range.lowerBound.addingReportingOverflow(offset)
      guard !isFar, from >= 0, from <= image.sizes[region],
        range.count <= image.sizes[region] - from, let bytes = image.bases[region]
      else { return nil }
      return Array(UnsafeBufferPointer(start: bytes + from, count: range.count))
    }
    // The runtime runs whatever list the program points at: here, each step as a list of its own.
    var failure: DiagnosticError?
    withoutActuallyEscaping(onKernel) { onKernel in
      npu.onKernel = { job, kernel in onKernel(job, kernel, read) }
      defer {
        image.program.pointee.decode = all
        npu.onKernel = nil
      }
      var word: UInt32 = 0
      var index = 0
      while word < all.count, let words = all.words {
        let length = words[Int(word)] >> 8
        guard length > 0, length <= all.count - word else {
          failure = DiagnosticError("package.steps", "the steps of decode are malformed")
          return
        }
        context.pointee.position = start
        image.program.pointee.decode = swl_steps(
          words: words + Int(word), count: length, tokens: all.tokens)
        do throws(DiagnosticError) {
          try check(swl_decode(context, token))
        } catch {
          failure = error
          return
        }
        onStep(index, read)
        word += length
        index += 1
      }
    }
    if let failure { throw failure }
  }
}
