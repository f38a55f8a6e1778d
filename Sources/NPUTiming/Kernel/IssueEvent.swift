/// One thing a command stream issues that takes or orders time.
public enum IssueEvent: Sendable, Hashable {
  /// Words of the stream parsed up to and including the operation that follows.
  case commands(words: Int)
  case kernel(KernelDescription)
  /// A transfer between regions; nil is the NPU's internal memory.
  case transfer(bytes: Int, source: Int, destination: Int?)
  /// The parser waits until at most that many transfers are unfinished.
  case transferWait(Int)
  /// The parser waits until at most that many kernels are unfinished.
  case kernelWait(Int)
}
