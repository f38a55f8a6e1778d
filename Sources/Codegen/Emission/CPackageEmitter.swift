import Foundation
import ProgramFormat
import Support

/// Writes the `c` folder of a package: what a firmware engineer adds to a build.
///
/// Arrays of the model's bytes, one header, memory definitions, and a copy of the runtime's sources.
/// Blobs above `arrayLimit` become an assembler file that includes the `.bin`, because a C compiler
/// needs gigabytes for an array of that size.
struct CPackageEmitter {
  /// The largest blob written as a C array.
  static let arrayLimit = 64 << 20

  /// The program to write.
  let program: Program
  /// The folder of the device runtime's sources.
  let runtimeSources: URL

  /// Writes all files.
  func write(to writer: PackageWriter) throws(DiagnosticError) {
    let folder = PackageFile.cFolder + "/"
    try writer.write(header, to: folder + "swiftlet_model.h")
    try writer.write(model, to: folder + "swiftlet_model.c")
    try writer.write(memory, to: folder + "swiftlet_memory.c")
    for blob in blobs { try write(blob, in: folder, to: writer) }
    try copyRuntime(to: writer, folder: folder + "runtime/")
  }

  private struct Blob {
    let symbol: String
    let section: String
    let fileName: String
    let binary: String
    let bytes: ByteSource
  }

  private var blobs: [Blob] {
    let near = Blob(
      symbol: "swiftlet_near", section: "SWIFTLET_NEAR_SECTION", fileName: "swiftlet_near",
      binary: PackageFile.near, bytes: program.near)
    return [
      Blob(
        symbol: "swiftlet_weights", section: "SWIFTLET_WEIGHTS_SECTION",
        fileName: "swiftlet_weights", binary: PackageFile.weights, bytes: program.weights)
    ] + (hasNear ? [near] : []) + [
      Blob(
        symbol: "swiftlet_params", section: "SWIFTLET_PARAMS_SECTION",
        fileName: "swiftlet_params", binary: PackageFile.params, bytes: program.params),
      Blob(
        symbol: "swiftlet_tokenizer", section: "SWIFTLET_PARAMS_SECTION",
        fileName: "swiftlet_tokenizer_data", binary: PackageFile.tokenizer,
        bytes: program.tokenizer),
      Blob(
        symbol: "swiftlet_commands", section: "SWIFTLET_COMMANDS_SECTION",
        fileName: "swiftlet_commands", binary: PackageFile.commands, bytes: program.commands),
    ]
  }

  /// Whether any weights live in the nearer of two memories.
  private var hasNear: Bool { program.near.count > 0 }

  private var banner: String {
    """
    /* Made by swiftlet from "\(commentSafe(program.manifest.model.name))" for \
    \(commentSafe(program.manifest.target)) (\(program.manifest.npu)). Do not edit. */

    """
  }

  /// A name with nothing in it that could end a C comment.
  private func commentSafe(_ text: String) -> String {
    String(
      text.unicodeScalars.map {
        $0.value < 32 || $0.value > 126 || "*/\\\"".unicodeScalars.contains($0)
          ? "_" : Character($0)
      })
  }

  private func words(_ bytes: Int) -> Int { max((bytes + 7) / 8, 1) }

  private var header: String {
    let model = program.manifest.model
    var text = banner
    text += """
      #ifndef SWIFTLET_MODEL_H
      #define SWIFTLET_MODEL_H

      #include "runtime/swiftlet_runtime.h"
      #include "runtime/swiftlet_tokenizer.h"

      /* Placement: define these before including, or on the compiler's command line, to put each
         array into a section of your linker script. The comments name where the plan expects it. */

      """
    for region in program.manifest.regions where region.bytes > 0 {
      text += "/* \(region.name): \(region.bytes) bytes in \(region.memory) */\n"
    }
    for name in ["WEIGHTS"] + (hasNear ? ["NEAR"] : []) + ["PARAMS", "COMMANDS", "ARENA", "STATE"] {
      text += """
        #ifndef SWIFTLET_\(name)_SECTION
        #define SWIFTLET_\(name)_SECTION
        #endif

        """
    }
    text += """

      #define SWIFTLET_VOCABULARY \(model.vocabulary)
      #define SWIFTLET_CONTEXT \(model.context)
      #define SWIFTLET_PREFIX_TOKENS \(program.manifest.position.prefixTokens)

      """
    for region in Region.allCases {
      text += "#define SWIFTLET_\(region.name.uppercased())_BYTES \(program.bytes(of: region))u\n"
    }
    text += "#define SWIFTLET_TOKENIZER_BYTES \(program.tokenizer.count)u\n\n"
    for blob in blobs {
      text += "extern const uint64_t \(blob.symbol)[\(words(blob.bytes.count))];\n"
    }
    text += """

      /** The compiled model. */
      extern const swl_program swiftlet_program;
      /** The regions' base addresses, in the order of enum swl_region, for swl_open. */
      extern uint8_t *const swiftlet_regions[SWL_REGION_COUNT];

      #endif

      """
    return text
  }

  private var model: String {
    let manifest = program.manifest
    var text = banner + "#include \"swiftlet_model.h\"\n\n"
    for entry in manifest.entries {
      let range = entry.firstWord..<entry.firstWord + entry.words
      text += "static const uint32_t \(entry.name)_steps[\(max(entry.words, 1))] = {"
      for (i, word) in program.steps[range].enumerated() {
        text += i % 8 == 0 ? "\n  " : " "
        text += "0x" + String(word, radix: 16) + "u,"
      }
      text += entry.words == 0 ? "0};\n\n" : "\n};\n\n"
    }
    text += "static const swl_job jobs[\(max(manifest.jobs.count, 1))] = {\n"
    for job in manifest.jobs {
      text += "  {(const uint8_t *)swiftlet_commands + \(job.offset)u, \(job.bytes)u},\n"
    }
    if manifest.jobs.isEmpty { text += "  {0, 0u},\n" }
    text += "};\n\n"
    func steps(_ name: String) -> String {
      guard let entry = program.entry(name) else { return "{0, 0u, 0u}" }
      return "{\(name)_steps, \(entry.words)u, \(entry.tokens)u}"
    }
    for (name, place) in [("values", manifest.position.values), ("keys", manifest.position.keys)] {
      let offsets = place.offsets.map { "\($0)u" }.joined(separator: ", ")
      text += "static const uint32_t \(name)_offsets[] = {\(offsets)};\n\n"
    }
    text += "static const swl_fill fills[\(max(manifest.position.fills.count, 1))] = {\n"
    for fill in manifest.position.fills {
      text += "  {\(fill.offset)u, \(fill.stride)u, \(fill.count)u, \(fill.source)u, "
      text += "\(fill.sourceStride)u, \(fill.bytes)u},\n"
    }
    if manifest.position.fills.isEmpty { text += "  {0u, 0u, 0u, 0u, 0u, 0u},\n" }
    text += "};\n\n"
    func place(_ name: String, _ place: Manifest.CachePlace) -> String {
      "{\(place.chunk)u, \(place.chunkBytes)u, \(place.period)u, \(place.periodBytes)u, "
        + "\(name)_offsets, \(place.offsets.count)u}"
    }
    let sizes = Region.allCases.map { "\(program.bytes(of: $0))u" }.joined(separator: ", ")
    text += """
      const swl_program swiftlet_program = {
        SWL_ABI_VERSION,
        \(manifest.model.vocabulary)u,
        \(manifest.model.context)u,
        \(steps("decode")),
        \(steps("prefill")),
        \(steps("prefill_near")),
        \(manifest.position.nearPositions)u,
        jobs,
        \(manifest.jobs.count)u,
        0x\(String(RegionReference(.arena, manifest.logits.offset).word, radix: 16))u,
        \(hexFloat(manifest.logits.scale)),
        \(manifest.position.maskOffset)u,
        \(manifest.position.rotationOffset)u,
        \(manifest.position.rotationRowBytes)u,
        \(manifest.position.rotationPlace)u,
        \(place("values", manifest.position.values)),
        \(place("keys", manifest.position.keys)),
        \(manifest.position.selectionPlace)u,
        \(manifest.position.validityPlace)u,
        fills,
        \(manifest.position.fills.count)u,
        \(manifest.position.embeddingOffset)u,
        \(manifest.position.embeddingRowBytes)u,
        \(manifest.position.multiplierOffset)u,
        \(manifest.position.multiplierPlace)u,
        \(manifest.position.embeddingPlace)u,
        \(manifest.position.prefillFrom)u,
        \(manifest.position.prefillAlignment)u,
        \(manifest.position.prefixTokens)u,
        {\(sizes)},
        \(manifest.model.bos ?? -1),
        \(manifest.model.eos ?? -1)
      };

      """
    return text
  }

  /// A C99 hexadecimal float literal: exact.
  private func hexFloat(_ value: Float) -> String {
    "0x1.\(hexFraction(value))p\(value.exponent)f"
  }

  private func hexFraction(_ value: Float) -> String {
    let digits = String(value.significandBitPattern << 1, radix: 16)
    return String(repeating: "0", count: 6 - digits.count) + digits
  }

  private var memory: String {
    var text = banner + "#include \"swiftlet_model.h\"\n\n"
    for region in Region.allCases where !region.isConstant {
      text += """
        static uint64_t \(region.name)[\(words(program.bytes(of: region)))] \
        __attribute__((aligned(16))) SWIFTLET_\(region.name.uppercased())_SECTION;

        """
    }
    text += """

      uint8_t *const swiftlet_regions[SWL_REGION_COUNT] = {
        (uint8_t *)(uintptr_t)swiftlet_weights,
        (uint8_t *)arena,
        \(hasNear ? "(uint8_t *)(uintptr_t)swiftlet_near" : "0"),
        (uint8_t *)state,
        (uint8_t *)(uintptr_t)swiftlet_params
      };

      """
    return text
  }

  private func write(_ blob: Blob, in folder: String, to writer: PackageWriter)
    throws(DiagnosticError)
  {
    if blob.bytes.count > Self.arrayLimit {
      try writer.write(
        """
        /* \(blob.bytes.count) bytes: too many for a C array, so the assembler includes them.
           Assemble with the package folder on the include path (-I). */
          .section .rodata.\(blob.symbol), "a"
          .balign 16
          .global \(blob.symbol)
        \(blob.symbol):
          .incbin "\(blob.binary)"

        """, to: folder + blob.fileName + ".S")
      return
    }
    let head =
      banner + "#include \"swiftlet_model.h\"\n\n"
      + "const uint64_t \(blob.symbol)[\(words(blob.bytes.count))] "
      + "__attribute__((aligned(16))) \(blob.section) = {"
    try writer.stream(to: folder + blob.fileName + ".c") { append in
      try Array(head.utf8).withUnsafeBytes { try append($0) }
      try CArrayWriter.write(blob.bytes, append)
      try Array("\n};\n".utf8).withUnsafeBytes { try append($0) }
    }
  }

  /// Copies the runtime's sources flat into one folder, so that one include path is enough.
  private func copyRuntime(to writer: PackageWriter, folder: String) throws(DiagnosticError) {
    guard
      let walker = FileManager.default.enumerator(
        at: runtimeSources, includingPropertiesForKeys: nil)
    else {
      throw DiagnosticError(
        "resources.runtime", "the device runtime's sources are not there",
        at: SourceLocation(file: runtimeSources.path),
        wayOut: "set SWIFTLET_HOME to the folder that holds Sources/DeviceRuntime")
    }
    var found: [URL] = []
    for case let url as URL in walker where ["c", "h"].contains(url.pathExtension) {
      found.append(url)
    }
    for url in found.sorted(by: { $0.path < $1.path }) {
      try writer.write(ByteSource(try MappedFile(url.path)), to: folder + url.lastPathComponent)
    }
  }
}
