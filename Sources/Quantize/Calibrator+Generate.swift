import Foundation
import GraphIR
import Reference
import Support

extension Calibrator {
  /// Tokens worth generating for a model of this size: a small model writes thousands of its own
  /// in a fraction of a second, a large one is better served by text.
  static func affordableTokens(parameters: Int) -> Int {
    let tokens = min(8192, 4_000_000_000 / max(parameters, 1))
    return tokens >= 256 ? tokens : 0
  }

  /// Short sequences that start in the middle of others, at most `count` of them.
  ///
  /// What stands at the first positions has keys and values unlike all others (attention rests there
  /// when nothing else matters), and long sequences show few of them. Where every text starts with the
  /// same token, so do these.
  static func coldStarts(of sequences: [[Int32]], count: Int = 64, length: Int = 8) -> [[Int32]] {
    let tokens = sequences.reduce(0) { $0 + $1.count }
    let step = max(tokens / max(count, 1), length)
    let first = sequences.first?.first
    let shared = sequences.allSatisfy { $0.first == first } ? first : nil
    return sequences.flatMap { sequence in
      stride(from: step, to: max(sequence.count - length, step), by: step).map { start in
        (sequences.count > 1 ? shared.map { [$0] } ?? [] : []) + sequence[start..<start + length]
      }
    }
  }

  /// Sequences the model writes itself: sampled at temperature 1 from its own predictions, each
  /// from the first token of one of `sequences`. What a small model will see at run time is mostly
  /// what it says, so its own text covers ranges that a stranger's text does not reach.
  ///
  /// - Parameters:
  ///   - count: tokens in all; no sequence is longer than the context.
  ///   - seed: the seed of the draws.
  ///   - progress: called with the tokens that are done, and how many there will be.
  public func generate(
    _ count: Int, from sequences: [[Int32]], seed: UInt64 = 1,
    progress: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws(DiagnosticError) -> [[Int32]] {
    let starts = sequences.compactMap(\.first)
    let length = min(context, 256)
    guard !starts.isEmpty, canDecode, length > 0 else { return [] }
    var result = [Result<[Int32], DiagnosticError>](
      repeating: .success([]), count: count / length)
    // Each has draws of its own, so that it does not matter which core writes it.
    for part in stride(from: 0, to: result.count, by: 8) {
      let end = min(part + 8, result.count)
      result.withUnsafeMutableBufferPointer { result in
        nonisolated(unsafe) let result = result
        Parallel.ranges(end - part, grain: 1) { range in
          for index in range.lowerBound + part..<range.upperBound + part {
            result[index] = Result { () throws(DiagnosticError) in
              try write(
                length, from: starts[index % starts.count], seed: seed &+ UInt64(index) << 32)
            }
          }
        }
      }
      progress(end * length, count)
    }
    return try result.map { one throws(DiagnosticError) in try one.get() }
  }

  /// One sequence, sampled.
  private func write(
    _ length: Int, from first: Int32, seed: UInt64
  ) throws(DiagnosticError) -> [Int32] {
    var random = SplitMix64(seed: seed)
    var state = interpreter.makeState()
    var ids = [first]
    while ids.count < length {
      let logits = try interpreter.run(
        "decode", ids: [ids[ids.count - 1]], position: ids.count - 1, state: &state)
      ids.append(Self.sample(logits, &random))
    }
    return ids
  }

  /// Draws a token in proportion to `exp(logit)`.
  private static func sample(_ logits: [Float], _ random: inout SplitMix64) -> Int32 {
    let top = logits.max() ?? 0
    let weights = logits.map { expf($0 - top) }
    var left = Float(random.uniform()) * weights.reduce(0, +)
    for (index, weight) in weights.enumerated() {
      left -= weight
      if left < 0 { return Int32(index) }
    }
    return Int32(max(weights.count - 1, 0))
  }
}
