/// A change to the waits or block dependencies of a stream.
struct StreamMutation: CustomStringConvertible {
  enum Change {
    /// The wait is taken out.
    case deleted
    /// The wait or dependency lets more be unfinished.
    case weakened(Int)
  }

  /// 17 DMA_WAIT, 18 KERNEL_WAIT, 303 BLOCKDEP.
  var opcode: Int
  /// Index of the command among all commands of the original stream.
  var command: Int
  var change: Change
  var stream: [UInt8]

  var description: String {
    let name = [17: "DMA_WAIT", 18: "KERNEL_WAIT", 303: "BLOCKDEP"][opcode] ?? "?"
    return switch change {
    case .deleted: "\(name) at command \(command) deleted"
    case .weakened(let value): "\(name) at command \(command) weakened to \(value)"
    }
  }

  /// Deletes and weakens every wait and weakens every block dependency of a stream.
  static func all(of stream: [UInt8], maximumDependency: Int) -> [StreamMutation] {
    var result: [StreamMutation] = []
    var at = 0
    var command = -1
    while at + 4 <= stream.count {
      command += 1
      let opcode = Int(stream[at]) | Int(stream[at + 1] & 3) << 8
      guard stream[at + 1] & 0x40 == 0 else {
        at += 8
        continue
      }
      let value = Int(stream[at + 2])
      func weakened(to new: Int) -> StreamMutation {
        var changed = stream
        changed[at + 2] = UInt8(new)
        return StreamMutation(
          opcode: opcode, command: command, change: .weakened(new), stream: changed)
      }
      switch opcode {
      case 17, 18:
        var shorter = stream
        shorter.removeSubrange(at..<at + 4)
        result.append(
          StreamMutation(opcode: opcode, command: command, change: .deleted, stream: shorter))
        result.append(weakened(to: value + 1))
      case 303:
        for new in Set([value + 1, maximumDependency]).sorted() where new > value {
          if new <= maximumDependency { result.append(weakened(to: new)) }
        }
      case 0: return result
      default: break
      }
      at += 4
    }
    return result
  }
}
