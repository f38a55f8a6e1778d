import EthosUISA
import ProgramFormat
import Session
import Support

/// Runs a program step by step and tells what every operation wrote.
///
/// A job is looked at when it has ended: where a later operation of the same job reuses an earlier one's
/// buffer, the earlier name stands for the later content. That hides no difference, it can only name a
/// later operation.
struct ActivationTrace {
  /// What one operation wrote.
  struct Value {
    let name: String
    let elementBytes: Int
    let bytes: [UInt8]

    /// The elements as signed integers.
    var numbers: [Int64] {
      bytes.withUnsafeBytes { raw in
        (0..<raw.count / elementBytes).map { index in
          switch elementBytes {
          case 1: Int64(raw.loadUnaligned(fromByteOffset: index, as: Int8.self))
          case 2:
            Int64(Int16(littleEndian: raw.loadUnaligned(fromByteOffset: 2 * index, as: Int16.self)))
          default:
            Int64(Int32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self)))
          }
        }
      }
    }
  }

  private let session: LanguageSession
  private let contents: ProgramContents

  /// A trace of a program.
  init(_ program: Program, _ contents: ProgramContents) throws(DiagnosticError) {
    session = try LanguageSession(program)
    self.contents = contents
  }

  /// Runs the next token and gives what every operation wrote, in order.
  func run(_ token: Int32) throws(DiagnosticError) -> [Value] {
    var values: [Value] = []
    var seen: [String: Int] = [:]
    func add(_ name: String, _ elementBytes: Int, _ bytes: [UInt8]?) {
      guard let bytes else { return }
      seen[name, default: 0] += 1
      let count = seen[name] ?? 1
      values.append(
        Value(
          name: count == 1 ? name : "\(name) (\(count))", elementBytes: elementBytes, bytes: bytes))
    }
    let position = session.position
    try session.trace(token) { index, memory in
      guard contents.steps.indices.contains(index) else { return }
      let (step, source) = contents.steps[index]
      if step.kernel == .npuJob {
        var at = 0
        let job = contents.jobs[Int(step.parameters[0])]
        while at < job.count {
          // The slices of one tensor, one after the other.
          let name = job[at].source
          var bytes: [UInt8]? = []
          var element = 1
          while at < job.count, job[at].source == name {
            if let place = job[at].output, let part = memory(place.region, place.bytes) {
              bytes?.append(contentsOf: part)
              element = job[at].operation.ofmBits / 8
            }
            at += 1
          }
          add(name, max(element, 1), bytes)
        }
      } else if let written = Self.written(by: step, at: position) {
        add(
          source, written.element,
          written.ranges.reduce(into: []) {
            $0 += memory(written.region, $1) ?? []
          })
      }
    }
    return values
  }

  /// The bytes that a CPU step writes, and its element's size.
  private static func written(
    by step: Step, at position: Int
  ) -> (region: Int, ranges: [Range<Int>], element: Int)? {
    let p = step.parameters.map(Int.init)
    if step.kernel == .kvWrite {
      // [heads, context, head size] bytes; this token's rows, one a head.
      let (heads, size, context) = (p[1], p[2], p[3])
      guard position < context, heads <= 1 << 16, size <= 1 << 16, context <= 1 << 24 else {
        return nil
      }
      let base = p[8] & 0x1FFF_FFFF
      return (
        p[8] >> 29,
        (0..<heads).map { head in
          let start = base + (head * context + position) * size
          return start..<start + size
        }, 1
      )
    }
    guard let range = step.cpuWrites.first else { return nil }
    let element: Int =
      switch step.kernel {
      case .embedding, .add: 4
      case .rmsNorm: p[8] / 8
      case .attention: p[14] / 8
      case .mul: p[6] / 8
      default: 2
      }
    return (range.region, [range.bytes], max(element, 1))
  }
}
