import Foundation
import ProgramFormat
import Support

/// Writes a program as a package directory: binaries, C folder, manifest.
public struct PackageEmitter {
  private let program: Program
  private let runtimeSources: URL

  /// An emitter; `runtimeSources` is the folder of the device runtime's C sources.
  public init(program: Program, runtimeSources: URL) {
    self.program = program
    self.runtimeSources = runtimeSources
  }

  /// Writes everything and puts the package in place. Throws `DiagnosticError`; nothing is left then.
  public func write(to writer: PackageWriter) throws(DiagnosticError) {
    try writer.write(program.commands, to: PackageFile.commands)
    try writer.write(program.weights, to: PackageFile.weights)
    try writer.write(program.near, to: PackageFile.near)
    try writer.write(program.params, to: PackageFile.params)
    try writer.write(program.tokenizer, to: PackageFile.tokenizer)
    var steps: [UInt8] = []
    for word in program.steps {
      withUnsafeBytes(of: word.littleEndian) { steps.append(contentsOf: $0) }
    }
    try writer.write(ByteSource(steps), to: PackageFile.steps)
    try CPackageEmitter(program: program, runtimeSources: runtimeSources).write(to: writer)
    try writer.commit(program.manifest)
  }
}
