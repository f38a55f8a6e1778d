import DeviceRuntime

@testable import Tokenizers

/// The device's tokenizer, opened on a blob, with Swift arrays around it.
final class CTokenizer {
  private let storage: UnsafeMutableRawBufferPointer
  private var handle = swl_tokenizer()
  /// What opening returned.
  let status: swl_tokenizer_status

  init(_ blob: [UInt8]) {
    storage = .allocate(byteCount: max(blob.count, 1), alignment: 16)
    storage.copyBytes(from: blob)
    status = swl_tokenizer_open(storage.baseAddress, blob.count, &handle)
  }

  deinit { storage.deallocate() }

  /// The ids of a text, or the negative status.
  func encode(
    _ text: [UInt8], addBOS: Bool? = nil, parseSpecial: Bool = true, scratchBytes: Int? = nil,
    capacity: Int? = nil
  ) -> Result<[Int32], CError> {
    let scratchBytes = scratchBytes ?? swl_tokenizer_scratch_bytes(text.count)
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: scratchBytes + 1, alignment: 16)
    defer { scratch.deallocate() }
    var ids = [Int32](repeating: -7, count: capacity ?? text.count * 4 + 8)
    var options: UInt32 = 0
    if let addBOS { options |= addBOS ? SWL_TOKENIZER_BOS.rawValue : SWL_TOKENIZER_NO_BOS.rawValue }
    if parseSpecial { options |= SWL_TOKENIZER_SPECIAL.rawValue }
    let result = text.withUnsafeBytes { raw in
      ids.withUnsafeMutableBufferPointer { ids in
        swl_tokenizer_encode(
          &handle, raw.bindMemory(to: CChar.self).baseAddress, raw.count, ids.baseAddress,
          ids.count, scratch, scratchBytes, options)
      }
    }
    if result < 0 { return .failure(CError(status: result)) }
    return .success(Array(ids.prefix(Int(result))))
  }

  /// The bytes of some tokens, or nil on an error.
  func decode(_ ids: [Int32], special: Bool = false, atStart: Bool = true) -> [UInt8]? {
    var text = [UInt8](repeating: 0, count: ids.count * 64 + 64)
    var options: UInt32 = special ? SWL_TOKENIZER_SPECIAL.rawValue : 0
    if !atStart { options |= SWL_TOKENIZER_CONTINUE.rawValue }
    let count = text.withUnsafeMutableBytes {
      swl_tokenizer_decode(
        &handle, ids, ids.count, $0.bindMemory(to: CChar.self).baseAddress, $0.count, options)
    }
    return count < 0 ? nil : Array(text.prefix(Int(count)))
  }

  /// The bytes of one token, or nil when it is refused.
  func piece(_ id: Int32, special: Bool = false) -> [UInt8]? {
    var pointer: UnsafePointer<CChar>?
    let count = swl_tokenizer_piece(&handle, id, special ? 1 : 0, &pointer)
    guard count >= 0, let pointer else { return nil }
    return (0..<Int(count)).map { UInt8(bitPattern: pointer[$0]) }
  }
}

/// A negative status of the C tokenizer.
struct CError: Error, Equatable {
  var status: Int32
}
