import ProgramFormat
import Support

/// What the parameters of CPU steps mean: numbers, tables in constant regions, buffers
/// (`swiftlet_runtime.h`).
enum StepLayout {
  /// One parameter word.
  private enum Parameter {
    /// A number that decides what is computed.
    case number(String)
    /// A table of `rows × columns` elements; the sizes are other parameters' values, times a factor.
    case table(String, bytes: Int, rows: [Int], columns: [Int], factor: Int)
    /// A buffer: where something lies, not what it is.
    case buffer
  }

  private static func table(
    _ name: String, _ bytes: Int, rows: [Int] = [], columns: [Int] = [], factor: Int = 1
  ) -> Parameter {
    .table(name, bytes: bytes, rows: rows, columns: columns, factor: factor)
  }

  private static func parameters(_ kernel: Kernel) -> [Parameter] {
    func n(_ name: String) -> Parameter { .number(name) }
    switch kernel {
    case .npuJob: return [.buffer]
    case .embedding:
      return [
        n("tokens"), n("width"), n("vocabulary"), table("table", 1, rows: [2], columns: [1]),
        table("row multiplier", 4, columns: [2]), n("shift"), .buffer,
      ]
    case .attention:
      // A table's entry is two 16-bit halves: base and slope.
      return [
        n("tokens"), n("heads"), n("key heads"), n("head size"), n("pitch"), n("context"),
        .buffer, .buffer, .buffer, n("score multiplier"), n("score shift"),
        table("powers", 2, factor: 1024), table("reciprocals", 2, factor: 1024), n("multiplier"),
        n("shift"), .buffer, .buffer, n("bits"),
      ]
    }
  }

  /// The tables and numbers of a step.
  static func items(
    of step: Step, name: String, in program: Program
  ) -> [ProgramContents.Item] {
    var items: [ProgramContents.Item] = []
    var names: [String] = []
    var numbers: [Int64] = []
    for (index, parameter) in parameters(step.kernel).enumerated()
    where step.parameters.indices.contains(index) {
      let word = step.parameters[index]
      switch parameter {
      case .buffer: continue
      case .number(let what):
        names.append(what)
        numbers.append(Int64(word))
      case .table(let what, let bytes, let rows, let columns, let factor):
        let width = columns.reduce(factor) { size($0, step.parameters[$1]) }
        let count = rows.reduce(width) { size($0, step.parameters[$1]) }
        let region: ByteSource? =
          switch Region(rawValue: Int(word >> 29)) {
          case .params: program.params
          case .weights: program.weights
          default: nil
          }
        let content = region?.slice(at: Int(word & 0x1FFF_FFFF), count: size(count, UInt32(bytes)))
        items.append(
          ProgramContents.Item(
            stage: .tables, name: "\(name): \(what)",
            columns: max(rows.isEmpty ? 1 : width, 1), columnNames: [],
            identity: content.map { $0.withBytes { CRC32.checksum($0) } },
            load: { () throws(DiagnosticError) in
              guard let content else {
                throw DiagnosticError(
                  "bisect.table", "lies outside the constant regions",
                  at: SourceLocation(element: name))
              }
              return signedIntegers(content.withBytes { Array($0) }, elementBytes: bytes)
            }))
      }
    }
    items.append(
      ProgramContents.Item(
        stage: .parameters, name: "\(name) (\(step.kernel.name))", columns: max(numbers.count, 1),
        columnNames: names, identity: nil, load: { () throws(DiagnosticError) in numbers }))
    return items
  }

  /// A product that stays at a size no region has instead of overflowing.
  private static func size(_ a: Int, _ b: UInt32) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: Int(b))
    return overflow ? Int.max / 2 : min(product, Int.max / 2)
  }
}
