import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file mapped read-only into memory, unmapped when the last reference goes.
///
/// Pages are loaded when touched, so a large model costs no more memory than what is read of it.
/// A file that shrinks while it is mapped would fault on access; callers that map files which others
/// may write should copy them first.
public final class MappedFile: Sendable {
  /// The name the file was opened by.
  public let name: String
  /// The whole content. Valid as long as this object lives.
  nonisolated(unsafe) public let bytes: UnsafeRawBufferPointer

  /// Maps a file.
  ///
  /// Throws `DiagnosticError` when it cannot be opened, is not a plain file, or cannot be mapped.
  public init(_ path: String) throws(DiagnosticError) {
    name = path
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else {
      throw DiagnosticError(
        "file.open", "cannot open: \(String(cString: strerror(errno)))",
        at: SourceLocation(file: path))
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw DiagnosticError("file.kind", "is not a plain file", at: SourceLocation(file: path))
    }
    let count = Int(status.st_size)
    guard count > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED
    else {
      throw DiagnosticError(
        "file.map", "cannot map \(count) bytes: \(String(cString: strerror(errno)))",
        at: SourceLocation(file: path))
    }
    bytes = UnsafeRawBufferPointer(start: base, count: count)
  }

  deinit {
    if let base = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
    }
  }
}

/// A run of bytes that is either owned or a part of a mapped file; copying it copies no bytes.
public struct ByteSource: Sendable {
  private enum Storage: Sendable {
    case owned([UInt8])
    case mapped(MappedFile)
  }

  private let storage: Storage
  private let range: Range<Int>

  /// Bytes in memory.
  public init(_ bytes: [UInt8]) {
    storage = .owned(bytes)
    range = 0..<bytes.count
  }

  /// A whole mapped file.
  public init(_ file: MappedFile) {
    storage = .mapped(file)
    range = 0..<file.bytes.count
  }

  private init(storage: Storage, range: Range<Int>) {
    self.storage = storage
    self.range = range
  }

  /// How many bytes there are.
  public var count: Int { range.count }

  /// Whether the bytes belong to a mapped file: their address then stays the same for as long as any
  /// copy of this source lives.
  public var isMapped: Bool {
    if case .mapped = storage { return true }
    return false
  }

  /// The part at `offset`, or nil when it does not lie within.
  public func slice(at offset: Int, count: Int) -> ByteSource? {
    guard offset >= 0, count >= 0, offset <= self.count, count <= self.count - offset else {
      return nil
    }
    let start = range.lowerBound + offset
    return ByteSource(storage: storage, range: start..<start + count)
  }

  /// Calls `body` with the bytes, which are valid only inside it.
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    switch storage {
    case .owned(let array):
      var failure: Failure?
      let result: Result? = array.withUnsafeBytes { all in
        do throws(Failure) {
          return try body(UnsafeRawBufferPointer(rebasing: all[range]))
        } catch {
          failure = error
          return nil
        }
      }
      if let failure { throw failure }
      guard let result else { preconditionFailure("body neither returned nor threw") }
      return result
    case .mapped(let file):
      return try body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
    }
  }
}
