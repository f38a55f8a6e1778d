import EthosUISA
import ProgramFormat
import Session
import Support

/// Runs a program operation by operation and tells what each of them wrote.
struct ActivationTrace {
  /// What one operation wrote; for a linear layer what all its slices wrote.
  struct Value {
    let name: String
    let elementBytes: Int
    var bytes: [UInt8]

    /// The elements as signed integers.
    var numbers: [Int64] { signedIntegers(bytes, elementBytes: elementBytes) }
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
    let contents = contents
    try session.trace(
      token,
      onKernel: { job, kernel, memory in
        guard contents.jobs.indices.contains(job), contents.jobs[job].indices.contains(kernel)
        else { return }
        let work = contents.jobs[job][kernel]
        guard let bytes = work.output?.elements(memory) else { return }
        if work.geometry != nil, values.last?.name == work.name {
          values[values.count - 1].bytes += bytes
        } else {
          values.append(
            Value(
              name: work.name, elementBytes: max(work.operation.ofmBits / 8, 1), bytes: bytes))
        }
      })
    return values
  }
}
