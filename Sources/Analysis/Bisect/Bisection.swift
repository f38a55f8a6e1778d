import ProgramFormat
import Support

/// Where two builds of a model part: the first stage and tensor, and what differs in every stage.
///
/// Contents are compared by name, decoded, so that builds for different targets or with different tilings
/// compare equal as long as they compute the same.
public struct Bisection: Sendable, Equatable {
  /// One thing that differs.
  public struct Finding: Sendable, Equatable, Codable {
    /// Where it was made.
    public var stage: BisectStage
    /// The tensor or operation.
    public var name: String
    /// What differs, in words.
    public var detail: String
    /// The first differing number in both builds; nil when the shapes differ.
    public var first: Int64?
    public var second: Int64?
    /// Its row and column; for weights output and input channel.
    public var row: Int?
    public var column: Int?
    /// How many numbers differ, of how many.
    public var differing: Int
    public var count: Int

    /// `stage of name: detail`.
    public var sentence: String { "\(stage.title) of \(name): \(detail)" }
  }

  /// What one stage gave.
  public struct StageResult: Sendable, Equatable {
    /// The stage.
    public var stage: BisectStage
    /// Arrays compared.
    public var compared: Int
    /// What differs, in program order; of the activations only the first.
    public var findings: [Finding]
  }

  /// The stages, in the order a build makes them.
  public private(set) var stages: [StageResult]

  /// The first difference; nil for equal builds.
  public var first: Finding? { stages.lazy.compactMap(\.findings.first).first }

  /// Compares two programs.
  ///
  /// - Parameters:
  ///   - a: one build.
  ///   - b: the other.
  ///   - probe: tokens to run; none leaves the activations out.
  ///   - progress: sees how many of how many parts are done.
  ///
  /// Throws `DiagnosticError` when a program cannot be read or run.
  public init(
    _ a: Program, _ b: Program, probe: [Int32], progress: (Int, Int) -> Void = { _, _ in }
  ) throws(DiagnosticError) {
    // Batches of different sizes compute the same, by different operations.
    let isComparable = { (entry: Manifest.Entry) in
      a.entry(entry.name)?.tokens == b.entry(entry.name)?.tokens
    }
    let (left, right) = (
      try ProgramContents(a, where: isComparable), try ProgramContents(b, where: isComparable)
    )
    var findings: [BisectStage: [Finding]] = [:]
    var compared: [BisectStage: Int] = [:]
    findings[.model] = Self.compareModels(a, b)
    compared[.model] = 2

    struct Key: Hashable {
      let stage: BisectStage
      let name: String
    }
    var others: [Key: ProgramContents.Item] = [:]
    for item in right.items { others[Key(stage: item.stage, name: item.name)] = item }
    let parts = left.items.count + probe.count
    // NPUs of other sizes lay caches out otherwise, and write them in fewer or more operations.
    var uneven = Set<String>()
    func note(missing item: ProgramContents.Item, from build: String) {
      if a.manifest.npu != b.manifest.npu, item.name.contains(NPUWork.numbering) {
        uneven.insert(Self.source(of: item.name))
      } else {
        findings[.model, default: []].append(Self.missing(item, from: build))
      }
    }
    for (index, item) in left.items.enumerated() {
      progress(index, parts)
      guard let other = others.removeValue(forKey: Key(stage: item.stage, name: item.name)) else {
        note(missing: item, from: "the second build")
        continue
      }
      compared[item.stage, default: 0] += 1
      if let identity = item.identity, identity == other.identity { continue }
      if let finding = Self.compare(item, try item.load(), try other.load()) {
        findings[item.stage, default: []].append(finding)
      }
    }
    for item in right.items where others[Key(stage: item.stage, name: item.name)] != nil {
      note(missing: item, from: "the first build")
    }

    let limit = min(
      a.manifest.model.context, b.manifest.model.context, probe.count)
    let vocabulary = min(a.manifest.model.vocabulary, b.manifest.model.vocabulary)
    let tokens = probe.prefix(limit).filter { (0..<vocabulary).contains(Int($0)) }
    /// What both builds compute by as many operations.
    func even(_ values: [ActivationTrace.Value]) -> [ActivationTrace.Value] {
      values.filter { !uneven.contains(Self.source(of: $0.name)) }
    }
    if !tokens.isEmpty {
      let traces = (try ActivationTrace(a, left), try ActivationTrace(b, right))
      for (index, token) in tokens.enumerated() {
        progress(left.items.count + index, parts)
        let (one, two) = (try traces.0.run(token), try traces.1.run(token))
        compared[.activations, default: 0] += one.count
        if let finding = Self.compare(even(one), even(two), token: index) {
          findings[.activations] = [finding]
          break
        }
      }
    }
    stages = BisectStage.allCases.map {
      StageResult(stage: $0, compared: compared[$0] ?? 0, findings: findings[$0] ?? [])
    }
  }

  private static func compareModels(_ a: Program, _ b: Program) -> [Finding] {
    let facts: [(String, Int, Int)] = [
      ("vocabulary", a.manifest.model.vocabulary, b.manifest.model.vocabulary),
      ("context", a.manifest.model.context, b.manifest.model.context),
    ]
    return facts.compactMap { name, one, two in
      one == two
        ? nil
        : Finding(
          stage: .model, name: name, detail: "\(one) in the first, \(two) in the second build",
          first: Int64(one), second: Int64(two), differing: 1, count: 1)
    }
  }

  /// The source of a numbered operation.
  private static func source(of name: String) -> String {
    name.range(of: NPUWork.numbering).map { String(name[..<$0.lowerBound]) } ?? name
  }

  private static func missing(_ item: ProgramContents.Item, from build: String) -> Finding {
    Finding(
      stage: .model, name: item.name, detail: "its \(item.stage.title) are missing from \(build)",
      differing: 1, count: 1)
  }

  private static func compare(
    _ item: ProgramContents.Item, _ one: [Int64], _ two: [Int64]
  ) -> Finding? {
    guard one.count == two.count else {
      return Finding(
        stage: item.stage, name: item.name,
        detail: "\(one.count) numbers in the first, \(two.count) in the second build",
        differing: max(one.count, two.count), count: max(one.count, two.count))
    }
    var firstIndex: Int?
    var differing = 0
    for index in one.indices where one[index] != two[index] {
      firstIndex = firstIndex ?? index
      differing += 1
    }
    guard let index = firstIndex else { return nil }
    let (row, column) = (index / item.columns, index % item.columns)
    let isNamed = item.columnNames.indices.contains(column)
    let what = isNamed ? item.columnNames[column] : nil
    let hasRows = one.count > item.columns
    let place: String
    switch item.stage {
    case .weights: place = "output \(row), input \(column)"
    case .scales: place = "\(what ?? "") of channel \(row)"
    case .registers: place = what ?? "number \(index)"
    default:
      place =
        what.map { "\($0) of entry \(row)" }
        ?? (item.columns > 1 && hasRows ? "row \(row), column \(column)" : "entry \(index)")
    }
    return Finding(
      stage: item.stage, name: item.name,
      detail: "\(place) is \(one[index]) in the first, \(two[index]) in the second build; "
        + "\(differing) of \(one.count) differ",
      first: one[index], second: two[index], row: row, column: column, differing: differing,
      count: one.count)
  }

  private static func compare(
    _ one: [ActivationTrace.Value], _ two: [ActivationTrace.Value], token: Int
  ) -> Finding? {
    var others: [String: ActivationTrace.Value] = [:]
    for value in two { others[value.name] = value }
    for value in one {
      // What only one build computes is told by the model stage; types that differ cannot be compared.
      guard let other = others[value.name], other.elementBytes == value.elementBytes,
        other.bytes != value.bytes
      else { continue }
      let (left, right) = (value.numbers, other.numbers)
      guard left.count == right.count,
        let index = left.indices.first(where: { left[$0] != right[$0] })
      else { continue }
      let differing = left.indices.count { left[$0] != right[$0] }
      return Finding(
        stage: .activations, name: value.name,
        detail: "at probe token \(token), element \(index) is \(left[index]) in the first, "
          + "\(right[index]) in the second build; \(differing) of \(left.count) differ",
        first: left[index], second: right[index], row: token, column: index,
        differing: differing, count: left.count)
    }
    return nil
  }
}
