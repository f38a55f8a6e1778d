import Foundation

/// Runs the Python oracles of `Tests/Oracles` in the checkout's virtual environment.
public enum Oracle {
  /// The environment's interpreter.
  public static let python = SharedData.checkout.appendingPathComponent(".venv/bin/python")

  /// Whether the environment is there and can import a module.
  public static func has(_ module: String) -> Bool {
    guard FileManager.default.isExecutableFile(atPath: python.path) else { return false }
    let process = Process()
    process.executableURL = python
    process.arguments = ["-c", "import \(module)"]
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }

  /// What a script prints. Throws when it fails.
  public static func run(_ script: String, _ arguments: [String]) throws -> String {
    let process = Process()
    process.executableURL = python
    let path = SharedData.checkout.appendingPathComponent("Tests/Oracles/\(script)").path
    process.arguments = [path] + arguments
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    struct Failed: Error { let script: String, status: Int32 }
    guard process.terminationStatus == 0 else {
      throw Failed(script: script, status: process.terminationStatus)
    }
    return String(decoding: data, as: UTF8.self)
  }
}
