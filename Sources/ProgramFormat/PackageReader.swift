import Foundation
import Support

/// Reads a package directory, trusting nothing in it.
public enum PackageReader {
  /// Whether `path` is a directory with a manifest.
  public static func isPackage(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: path + "/" + PackageFile.manifest)
  }

  /// Loads a package. Large files are mapped, not read.
  ///
  /// Throws `DiagnosticError` when a file is missing, has another size than the manifest says, an
  /// entry or job lies outside its file, or a region is larger than a reference can address. Checksums
  /// are compared where `verify` is true, which reads every byte once.
  public static func load(_ path: String, verify: Bool = true) throws(DiagnosticError) -> Program {
    let manifestPath = path + "/" + PackageFile.manifest
    let text = ByteSource(try MappedFile(manifestPath))
    guard text.count <= 1 << 26 else {
      throw DiagnosticError(
        "package.manifest", "a manifest of \(text.count) bytes is not one of ours",
        at: SourceLocation(file: manifestPath))
    }
    let manifest: Manifest
    do {
      manifest = try text.withBytes { raw throws -> Manifest in
        try JSONDecoder().decode(Manifest.self, from: Data(raw))
      }
    } catch {
      throw DiagnosticError(
        "package.manifest", "is not a package manifest: \(error)",
        at: SourceLocation(file: manifestPath))
    }
    guard manifest.format == Manifest.formatName, manifest.version == Manifest.currentVersion else {
      throw DiagnosticError(
        "package.version",
        "\(manifest.format) version \(manifest.version); this tool reads "
          + "\(Manifest.formatName) version \(Manifest.currentVersion)",
        at: SourceLocation(file: manifestPath), wayOut: "compile the model again")
    }

    func file(_ name: String) throws(DiagnosticError) -> ByteSource {
      let place = path + "/" + name
      guard let entry = manifest.files.first(where: { $0.name == name }) else {
        throw DiagnosticError(
          "package.file", "the manifest does not list \(name)",
          at: SourceLocation(file: manifestPath))
      }
      let bytes = ByteSource(try MappedFile(place))
      guard bytes.count == entry.bytes else {
        throw DiagnosticError(
          "package.size", "has \(bytes.count) bytes, the manifest says \(entry.bytes)",
          at: SourceLocation(file: place), wayOut: "compile the model again")
      }
      if verify {
        let found = bytes.withBytes { CRC32.checksum($0) }
        guard found == entry.crc32 else {
          throw DiagnosticError(
            "package.checksum", "its checksum differs from the manifest's: the file is damaged",
            at: SourceLocation(file: place), wayOut: "compile the model again")
        }
      }
      return bytes
    }

    let stepBytes = try file(PackageFile.steps)
    let steps = stepBytes.withBytes { raw in
      (0..<raw.count / 4).map {
        UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
      }
    }
    let program = Program(
      manifest: manifest, commands: try file(PackageFile.commands), steps: steps,
      weights: try file(PackageFile.weights), near: try file(PackageFile.near),
      params: try file(PackageFile.params), tokenizer: try file(PackageFile.tokenizer))
    try check(program, at: manifestPath)
    return program
  }

  /// Checks that everything the manifest points at exists. What the steps themselves address is
  /// checked by the device runtime (`swl_program_check`).
  private static func check(_ program: Program, at path: String) throws(DiagnosticError) {
    let manifest = program.manifest
    var problems: [Diagnostic] = []
    func require(_ condition: Bool, _ message: String) {
      if !condition {
        problems.append(Diagnostic("package.manifest", message, at: SourceLocation(file: path)))
      }
    }
    for region in Region.allCases {
      let entries = manifest.regions.filter { $0.index == region.rawValue }
      require(entries.count == 1, "region \(region.name) is listed \(entries.count) times")
      require(
        entries.allSatisfy { $0.bytes >= 0 && $0.bytes <= Region.byteLimit },
        "region \(region.name) is larger than \(Region.byteLimit) bytes")
      require(
        entries.allSatisfy {
          $0.speed.read.isFinite && $0.speed.read > 0 && $0.speed.write.isFinite
            && $0.speed.write >= 0 && (0...1 << 20).contains($0.speed.readLatency)
            && (0...1 << 20).contains($0.speed.writeLatency)
            && (1...4096).contains($0.speed.maximumReads ?? 1)
            && (1...4096).contains($0.speed.maximumWrites ?? 1)
        }, "region \(region.name) has an impossible speed")
    }
    for region in Region.allCases {
      guard let content = program.content(of: region) else { continue }
      require(
        program.bytes(of: region) == content.count, "the \(region.name) region has another size")
    }
    for entry in manifest.entries {
      require(
        entry.tokens > 0 && entry.tokens <= 65_536 && entry.firstWord >= 0 && entry.words >= 0
          && entry.firstWord <= program.steps.count
          && entry.words <= program.steps.count - entry.firstWord,
        "entry \(entry.name) lies outside \(PackageFile.steps)")
    }
    require(program.entry("decode") != nil, "there is no decode entry")
    for job in manifest.jobs {
      require(
        job.offset >= 0 && job.bytes >= 0 && job.offset % 16 == 0
          && job.offset <= program.commands.count
          && job.bytes <= program.commands.count - job.offset,
        "job \(job.name) lies outside \(PackageFile.commands)")
    }
    let model = manifest.model
    require(
      (1...1 << 24).contains(model.vocabulary) && (1...1 << 24).contains(model.context),
      "vocabulary \(model.vocabulary) or context \(model.context) is absurd")
    let logitBytes = model.vocabulary.multipliedReportingOverflow(by: 2).partialValue
    require(
      manifest.logits.offset >= 0 && manifest.logits.offset % 2 == 0
        && manifest.logits.offset <= program.bytes(of: .arena)
        && logitBytes <= program.bytes(of: .arena) - manifest.logits.offset
        && manifest.logits.scale.isFinite && manifest.logits.scale > 0,
      "the logits lie outside the arena or have no sound scale")
    require(
      manifest.npuClock.isFinite && manifest.npuClock > 0 && manifest.cpuClock.isFinite
        && manifest.cpuClock > 0, "a clock is not a positive number")
    if !problems.isEmpty { throw DiagnosticError(problems) }
  }
}
