import Foundation

/// A flag that any thread may raise.
final class ManagedFlag: @unchecked Sendable {
  private let lock = NSLock()
  private var raised = false

  /// Raises it for good.
  func raise() {
    lock.lock()
    raised = true
    lock.unlock()
  }

  /// Whether anyone has raised it.
  var isRaised: Bool {
    lock.lock()
    defer { lock.unlock() }
    return raised
  }
}
