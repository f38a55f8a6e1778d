import Foundation
import Quantize
import Session
import Support
import Tokenizers

/// Answers the cases of a task, greedily, and judges the answers.
public struct TaskMeter {
  private let cases: [TaskFile.Case]

  /// A meter of some cases.
  public init(_ cases: [TaskFile.Case]) { self.cases = cases }

  /// A worker that answers with a compiled program.
  public func worker(
    _ session: LanguageSession, tokenizer: Tokenizer
  ) -> RecordPool.Worker<CaseRecord> {
    let context = session.program.manifest.model.context
    return { index throws(DiagnosticError) in
      session.reset()
      var greedy = Sampling()
      let answer = try TaskFile.answer(
        cases[index].prompt, tokenizer: tokenizer, context: context, maxTokens: context
      ) { ids throws(DiagnosticError) in
        if ids.count > 1 { try session.prompt(ids) } else { try session.decode(ids[0]) }
        return session.sample(&greedy)
      }
      return judged(index, answer)
    }
  }

  /// A worker that answers with any other model of text.
  public func worker(
    _ model: any LogitModel, tokenizer: Tokenizer
  ) -> RecordPool.Worker<CaseRecord> {
    var model = model
    return { index throws(DiagnosticError) in
      model.restart()
      var position = 0
      let answer = try TaskFile.answer(
        cases[index].prompt, tokenizer: tokenizer, context: model.context,
        maxTokens: model.context
      ) { ids throws(DiagnosticError) in
        var row: ArraySlice<Float> = []
        for start in stride(from: 0, to: ids.count, by: max(model.batch, 1)) {
          let part = Array(ids[start..<min(start + max(model.batch, 1), ids.count)])
          row = try model.logits(part, at: position).suffix(model.vocabulary)
          position += part.count
        }
        var best = 0
        var top = -Float.infinity
        for (token, value) in row.enumerated() where value > top {
          top = value
          best = token
        }
        return Int32(best)
      }
      return judged(index, answer)
    }
  }

  /// An answer is right when it is what the case expects, white space around it aside.
  private func judged(_ index: Int, _ answer: String) -> CaseRecord {
    func trimmed(_ text: String) -> String { text.trimmingCharacters(in: .whitespacesAndNewlines) }
    return CaseRecord(
      index: index, isRight: trimmed(answer) == trimmed(cases[index].expect), answer: answer)
  }
}
