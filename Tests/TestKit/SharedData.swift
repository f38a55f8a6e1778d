import Foundation

/// Finds the models and texts that live beside the checkout, where a machine has them.
///
/// They are never needed by a user; a test that wants one is disabled with a message when it is
/// absent (`.enabled(if: SharedData.exists("models/…"))`).
public enum SharedData {
  /// The checkout's root folder, found from this file's own place.
  public static let checkout = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The folder of shared data: `SWIFTLET_SHARED`, or `shared` beside the checkout.
  public static let root: URL = {
    if let named = ProcessInfo.processInfo.environment["SWIFTLET_SHARED"] {
      return URL(fileURLWithPath: named)
    }
    return checkout.deletingLastPathComponent().appendingPathComponent("shared")
  }()

  /// The place of one shared file, whether or not it is there.
  public static func url(_ path: String) -> URL { root.appendingPathComponent(path) }

  /// Whether the shared file is there.
  public static func exists(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: url(path).path)
  }
}
