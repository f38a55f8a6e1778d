import Foundation

/// A progress line on standard error, drawn only on a terminal and only when work takes a while.
final class ProgressBar {
  private let label: String
  private let shown: Bool
  private let start = Date()
  private var lastDraw = Date.distantPast
  private var drawn = false

  /// A bar for one stage of work. `quiet` draws nothing at all.
  init(_ label: String, quiet: Bool = false) {
    self.label = label
    shown = !quiet && isatty(2) == 1
  }

  /// Says how much is done.
  func update(_ done: Int, of total: Int) {
    let now = Date()
    guard shown, total > 0, now.timeIntervalSince(start) > 0.3,
      now.timeIntervalSince(lastDraw) > 0.1
    else { return }
    lastDraw = now
    drawn = true
    let width = 28
    let filled = min(width, width * done / total)
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let elapsed = now.timeIntervalSince(start)
    let left = done > 0 ? elapsed * Double(total - done) / Double(done) : 0
    let text = String(format: "\r%@ %@ %3d %% %5.0f s left ", label, bar, 100 * done / total, left)
    FileHandle.standardError.write(Data(text.utf8))
  }

  /// Removes the bar.
  func finish() {
    guard drawn else { return }
    FileHandle.standardError.write(Data("\r\u{1B}[2K".utf8))
    drawn = false
  }

  deinit { finish() }
}
