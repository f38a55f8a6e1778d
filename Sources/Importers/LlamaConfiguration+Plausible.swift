import Support

extension LlamaConfiguration {
  /// Throws `import.configuration` unless every number is within what the compiler can handle
  /// (limits of `Docs/Numerics.md`), so that nothing after it can overflow or divide by zero.
  func requirePlausible(file: String) throws(DiagnosticError) {
    let limits: [(String, Int, ClosedRange<Int>)] = [
      ("embedding width", dim, 1...65536), ("layers", layers, 1...4096),
      ("heads", heads, 1...4096), ("key/value heads", kvHeads, 1...4096),
      ("head width", headDim, 2...256), ("feed-forward width", hidden, 1...65536),
      ("vocabulary", vocabulary, 1...(1 << 22)), ("context", modelContext, 1...(1 << 24)),
      ("rotary width", ropeDim, 2...256),
    ]
    var problems: [Diagnostic] = limits.filter { !$0.2.contains($0.1) }.map { name, value, range in
      Diagnostic(
        "import.configuration", "the \(name) is \(value); it must be in \(range)",
        at: SourceLocation(file: file))
    }
    func require(_ condition: Bool, _ message: String) {
      if problems.isEmpty, !condition {
        problems.append(
          Diagnostic("import.configuration", message, at: SourceLocation(file: file)))
      }
    }
    require(
      problems.isEmpty && heads % kvHeads == 0,
      "\(heads) heads are not a multiple of \(kvHeads) key/value heads")
    require(
      headDim % 2 == 0 && ropeDim % 2 == 0 && ropeDim <= headDim,
      "head width \(headDim) and rotary width \(ropeDim) must be even, and the latter no larger")
    require(
      ropeBase.isFinite && ropeBase > 0, "the rotary base \(ropeBase) must be positive")
    require(
      normEps.isFinite && normEps >= 0, "the norm's epsilon \(normEps) must not be negative")
    guard problems.isEmpty else { throw DiagnosticError(problems) }
  }
}
