extension WeightMethod {
  /// Mean bits a weight that can be asked for.
  public static let streamBits = 1.0...8.0

  /// Changes parts of the method: `key=value` pairs, separated by commas.
  ///
  /// Keys: `levels` (1–127), `codebook` (2–16 values chosen for each matrix), `step` (nats),
  /// `feedback` (0, 1), `order` (0, 1: largest channel first),
  /// `shrinkage` (0–1), `power` (0–1: cost moved out of columns), `rate` (how strongly bits weigh),
  /// `rows` (0, 1: feedback among rows), `rowshrinkage` (0–1), `adapt` (how often weights not rounded yet
  /// follow the gradient), `adaptrate` (how far), `tune` (how often scales do), `tokens` (to see what
  /// errors cost).
  ///
  /// - Returns: false when a pair cannot be understood.
  mutating func apply(_ options: String) -> Bool {
    for part in options.split(separator: ",") {
      let pair = part.split(separator: "=")
      guard pair.count == 2, let value = Double(pair[1]), value.isFinite, value >= 0,
        value <= 1e9
      else { return false }
      switch pair[0] {
      case "levels":
        guard value >= 1, value <= 127 else { return false }
        grid = .levels(limit: Int(value))
      case "codebook":
        guard value >= 2, value <= Double(Codebook.mostValues) else { return false }
        grid = .codebook(size: Int(value))
      case "step":
        guard value > 0 else { return false }
        grid = .lossStep(value)
      case "feedback": usesFeedback = value != 0
      case "order": ordersByActivity = value != 0
      case "shrinkage":
        guard value <= 1 else { return false }
        shrinkage = Float(value)
      case "power":
        guard value <= 1 else { return false }
        columnPower = Float(value)
        searchesPower = false
      case "rate": rateWeight = Float(value)
      case "rows": feedsRows = value != 0
      case "rowshrinkage":
        guard value <= 1 else { return false }
        rowShrinkage = Float(value)
      case "tune": tuningSteps = Int(value)
      case "adapt": compensationSteps = Int(value)
      case "adaptrate": compensationRate = Float(value)
      case "tokens": curvatureTokens = Int(value)
      default: return false
      }
    }
    return true
  }
}
