import GraphIR

/// A linear layer and what it reads: elementwise operations on the results of other linear layers, all of
/// which nothing else reads.
struct FeedForward {
  /// The layer that reads.
  let reader: Int
  /// The operation that makes what it reads.
  let made: Int
  /// The operations up to there: elementwise ones and, first of each way, linear ones. In order.
  let operations: [Int]
  /// The weights of the linear ones.
  let weights: [ConstantID]
  /// The one addition that takes the reader's result.
  let sum: Int

  /// The layer behind a reader; nil where it is built otherwise.
  init?(reader: Int, in function: Function, _ uses: ValueUses) {
    let operations = function.operations
    /// The only operation that reads a value.
    func onlyReader(_ id: ValueID) -> Int? {
      let readers = uses.readers(of: id)
      return readers.count == 1 && !function.results.contains(id) ? readers[0] : nil
    }
    guard operations[reader].operands.count > 1,
      case .value(let read) = operations[reader].operands[0], let made = uses.makers[read],
      // What a linear layer reads of another is no hidden value.
      operations[made].code != .linear, let result = operations[reader].results.first,
      let sum = onlyReader(result), operations[sum].code == .add
    else { return nil }
    var found: Set<Int> = []
    var weights: [ConstantID] = []
    var open = [read]
    while let id = open.popLast() {
      guard onlyReader(id) != nil, let maker = uses.makers[id] else { return nil }
      found.insert(maker)
      switch operations[maker].code {
      case .mul, .silu, .gelu:
        for operand in operations[maker].operands {
          guard case .value(let next) = operand else { return nil }
          open.append(next)
        }
      case .linear:
        guard operations[maker].operands.count > 1,
          case .constant(let weight) = operations[maker].operands[1]
        else { return nil }
        weights.append(weight)
      default: return nil
      }
    }
    (self.reader, self.made, self.sum) = (reader, made, sum)
    (self.operations, self.weights) = (found.sorted(), weights)
  }
}
