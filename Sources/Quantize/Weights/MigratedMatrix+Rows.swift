extension MigratedMatrix {
  /// The largest magnitude of a row.
  func largest(_ row: Int) -> Float {
    values.withUnsafeBufferPointer { values in
      var top: Float = 0
      for i in row * columns..<(row + 1) * columns { top = max(top, abs(values[i])) }
      return top
    }
  }

  /// Every `stride`-th row, at least 64 of them or all.
  func sampledRows(stride: Int) -> [Int] {
    let step = max(1, min(stride, rows / 64))
    return Array(Swift.stride(from: 0, to: rows, by: step))
  }

  /// Rows that tell how often each integer occurs, at least 256 of them; nil where all are looked at.
  var rowsForPrices: [Int]? {
    guard rows * columns >= 1 << 18, rows >= 512 else { return nil }
    return Array(Swift.stride(from: 0, to: rows, by: min(rows / 256, 8)))
  }

  /// The given rows.
  func picking(_ chosen: [Int]) -> MigratedMatrix {
    var picked: [Float] = []
    picked.reserveCapacity(chosen.count * columns)
    for row in chosen { picked += values[row * columns..<(row + 1) * columns] }
    return MigratedMatrix(rows: chosen.count, columns: columns, values: picked)
  }

  private init(rows: Int, columns: Int, values: [Float]) {
    self.rows = rows
    self.columns = columns
    self.values = values
  }
}
