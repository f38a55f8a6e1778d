import GraphIR

/// Who makes and who reads each value of a function, as indices of its operations.
struct ValueUses {
  private(set) var makers: [ValueID: Int] = [:]
  private var all: [ValueID: [Int]] = [:]

  init(_ function: Function) {
    for (index, operation) in function.operations.enumerated() {
      for case .value(let id) in operation.operands { all[id, default: []].append(index) }
      for id in operation.results { makers[id] = index }
    }
  }

  /// The operations that read a value, in order; one that reads it twice is there twice.
  func readers(of value: ValueID) -> [Int] { all[value] ?? [] }
}
