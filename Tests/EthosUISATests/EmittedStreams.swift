import EthosUISA
import Foundation
import TestKit

/// A stream of Arm's compiler: the samples, and more where `SWIFTLET_PAYLOADS` names a folder of
/// payloads made by `Tests/Oracles/isa_payloads.py`.
struct EmittedStream: Sendable, CustomStringConvertible {
  let name: String
  let accelerator: Accelerator
  let stream: CommandStream
  /// The file's bytes; nil for the samples, which are bare streams.
  let payload: [UInt8]?

  var description: String { name }

  /// Every stream that this machine has.
  static let all: [EmittedStream] = {
    var streams = Sample.all.map {
      EmittedStream(
        name: $0.name, accelerator: $0.accelerator,
        stream: CommandStream($0.words, product: $0.product), payload: nil)
    }
    guard let folder = ProcessInfo.processInfo.environment["SWIFTLET_PAYLOADS"] else {
      return streams
    }
    let url = URL(fileURLWithPath: folder)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names.sorted() where name.contains(".cop") {
      guard let data = try? Data(contentsOf: url.appendingPathComponent(name)),
        let payload = try? Payload.parse([UInt8](data)), let accelerator = payload.accelerator,
        let stream = payload.stream
      else { continue }
      streams.append(
        EmittedStream(
          name: name, accelerator: accelerator, stream: stream, payload: [UInt8](data)))
    }
    return streams
  }()

  /// Calls `body` at every kernel operation with the registers as they are then.
  func forEachKernel(
    _ body: (Command, RegisterFile, KernelOperation, BlockShape) throws -> Void
  ) throws {
    var registers = RegisterFile(stream.product)
    for command in try stream.decode() {
      registers.apply(command)
      guard command.isOperation, let block = registers.ofmBlock,
        let operation = KernelOperation(command, registers: registers)
      else { continue }
      try body(command, registers, operation, block)
    }
  }
}
