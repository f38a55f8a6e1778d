import Foundation

/// Finds the folders that come with the tool: target files and the device runtime's sources.
public enum ResourceLocator {
  /// The folder at `path` below the first home that has it: the environment's `SWIFTLET_HOME`, else the
  /// folders above the running executable (a checkout's `.build/release/swiftlet`, or an installed
  /// `bin/swiftlet` with `share/swiftlet` beside it).
  public static func folder(_ path: String) -> URL? {
    var homes: [URL] = []
    if let home = ProcessInfo.processInfo.environment["SWIFTLET_HOME"] {
      homes.append(URL(fileURLWithPath: home))
    }
    let executable =
      (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
      ?? CommandLine.arguments.first ?? ""
    var above = URL(fileURLWithPath: executable).resolvingSymlinksInPath()
    while above.path != "/" && !above.path.isEmpty {
      above.deleteLastPathComponent()
      homes.append(above)
      homes.append(above.appendingPathComponent("share/swiftlet"))
    }
    for home in homes {
      let candidate = home.appendingPathComponent(path)
      var isDirectory: ObjCBool = false
      if FileManager.default.fileExists(atPath: candidate.path, isDirectory: &isDirectory),
        isDirectory.boolValue
      {
        return candidate
      }
    }
    return nil
  }
}
