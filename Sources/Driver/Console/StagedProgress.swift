/// Progress lines of work in stages, one after the other.
final class StagedProgress {
  private let quiet: Bool
  private var stage = ""
  private var bar: ProgressBar?

  /// Nothing is drawn when `quiet`.
  init(quiet: Bool) { self.quiet = quiet }

  /// Says how much of a stage is done; another stage replaces the line.
  func update(_ stage: String, _ done: Int, of total: Int) {
    if stage != self.stage {
      bar?.finish()
      bar = ProgressBar(stage, quiet: quiet)
      self.stage = stage
    }
    bar?.update(done, of: total)
  }

  /// Removes the line.
  func finish() { bar?.finish() }
}
