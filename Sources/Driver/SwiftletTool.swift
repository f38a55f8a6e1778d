import ArgumentParser
import Foundation
import Support

/// The tool's front door: parses arguments, runs a subcommand, turns what it throws into messages and
/// an exit code.
public enum SwiftletTool {
  /// Exit codes that scripts rely on.
  public enum ExitStatus {
    public static let ok: Int32 = 0
    /// The input or the machine is at fault; a diagnostic says how.
    public static let diagnosed: Int32 = 1
    /// The command line is at fault.
    public static let usage: Int32 = 2
    /// A gate (a baseline comparison) failed.
    public static let gate: Int32 = 3
  }

  /// Runs the tool with the given arguments and returns the process's exit code.
  public static func run(_ arguments: [String]) -> Int32 {
    // A reader that closes the pipe early (`| head`) ends the output, not the program's manners.
    signal(SIGPIPE, SIG_DFL)
    do {
      var command = try RootCommand.parseAsRoot(arguments)
      try command.run()
      return ExitStatus.ok
    } catch let error as DiagnosticError {
      Console.report(error)
      return ExitStatus.diagnosed
    } catch let error as GateFailure {
      Console.error(error.message)
      return ExitStatus.gate
    } catch {
      let code = RootCommand.exitCode(for: error)
      let text = RootCommand.fullMessage(for: error)
      if code == .success {
        if !text.isEmpty { print(text) }
        return ExitStatus.ok
      }
      if code == .validationFailure {
        Console.error(text)
        return ExitStatus.usage
      }
      Console.error("error: \(error)")
      return ExitStatus.diagnosed
    }
  }
}

/// A gate that failed: exit code 3.
struct GateFailure: Error {
  /// What fell short.
  let message: String
}

/// `swiftlet`.
struct RootCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "swiftlet",
    abstract:
      "Compiles small language models for Arm Ethos-U microcontrollers, and simulates them.",
    discussion: """
      From a model file to text on the simulated NPU:

        swiftlet inspect model.gguf
        swiftlet compile model.gguf --target alif-e7-hp -o out
        swiftlet generate out --prompt "Once upon a time"

      The folder `out` is what a firmware build needs: C arrays, a header and the runtime in `out/c`,
      the same bytes as binaries beside it.

      Exit codes: 0 done, 1 the input is at fault (a message says how), 2 the command line is,
      3 a gate failed.
      """,
    version: "0.1.0",
    subcommands: [
      InspectCommand.self, TokenizeCommand.self, CompileCommand.self, GenerateCommand.self,
      SimulateCommand.self, DisassembleCommand.self, EvaluateCommand.self, BisectCommand.self,
      TargetsCommand.self, ValidateTimingCommand.self,
    ])
}
