/// Walks the transactions of a list of runs.
struct TransactionCursor {
  private var runs: [KernelPlan.Runs] = []
  private var index = 0
  private var run = 0
  private var offset = 0

  init() {}

  init(_ runs: [KernelPlan.Runs]) {
    self.runs = runs
    skipEmpty()
  }

  var isDone: Bool { index >= runs.count }

  /// The memory and bytes of the next transaction, at most `limit(memory)` bytes long.
  func next(_ limit: (Int) -> Int) -> (memory: Int, bytes: Int) {
    let current = runs[index]
    return (current.memory, min(current.bytes - offset, limit(current.memory)))
  }

  /// Steps over a transaction of that many bytes.
  mutating func advance(_ bytes: Int) {
    offset += bytes
    if offset >= runs[index].bytes {
      offset = 0
      run += 1
      if run >= runs[index].count {
        run = 0
        index += 1
        skipEmpty()
      }
    }
  }

  private mutating func skipEmpty() {
    while index < runs.count, runs[index].count == 0 || runs[index].bytes == 0 { index += 1 }
  }
}
