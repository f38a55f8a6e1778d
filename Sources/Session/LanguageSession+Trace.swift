import DeviceRuntime
import ProgramFormat
import Support

extension LanguageSession {
  /// Reads bytes behind a base pointer (`BasePointer`) as they are now; nil when they are not all
  /// inside its region.
  public typealias MemoryReader = (_ base: Int, _ bytes: Range<Int>) -> [UInt8]?

  /// Runs one token so that every intermediate result can be seen before a later one takes its place. The
  /// result is that of `decode`.
  ///
  /// - Parameters:
  ///   - token: the token.
  ///   - onKernel: called after each kernel operation of an NPU job, with the job, the operation's number
  ///     in it, and a reader of the memory.
  ///
  /// Throws `DiagnosticError` as `decode` does.
  public func trace(
    _ token: Int32, onKernel: (_ job: Int, _ kernel: Int, _ memory: MemoryReader) -> Void
  ) throws(DiagnosticError) {
    let position = Int(context.pointee.position)
    let place = program.manifest.position
    func read(_ base: Int, _ range: Range<Int>) -> [UInt8]? {
      guard let pointer = BasePointer(rawValue: base) else { return nil }
      let region = pointer.region.rawValue
      let start: Int? =
        switch pointer {
        case .values: place.values.offset(of: position)
        case .keys: place.keys.offset(of: position)
        case .embeddingRow: place.embeddingOffset + Int(token) * place.embeddingRowBytes
        default: 0
        }
      guard let offset = start else { return nil }
      let (from, isFar) = range.lowerBound.addingReportingOverflow(offset)
      guard !isFar, from >= 0, from <= image.sizes[region],
        range.count <= image.sizes[region] - from, let bytes = image.bases[region]
      else { return nil }
      return Array(UnsafeBufferPointer(start: bytes + from, count: range.count))
    }
    try withoutActuallyEscaping(onKernel) { onKernel throws(DiagnosticError) in
      npu.onKernel = { job, kernel in onKernel(job, kernel, read) }
      defer { npu.onKernel = nil }
      try check(swl_decode(context, token))
    }
  }
}
