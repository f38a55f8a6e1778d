import EthosUISA
import ProgramFormat
import Support

/// A program taken apart into named arrays of integers, whatever the target and however it is tiled.
struct ProgramContents {
  /// One array: a tensor's weights, a table, an operation's registers.
  struct Item {
    /// What made it.
    let stage: BisectStage
    /// The model's tensor or operation, and what of it.
    let name: String
    /// How many numbers make a row (an output channel, a head…); a place is told as row and column.
    let columns: Int
    /// The names of columns, where they have any.
    let columnNames: [String]
    /// A checksum of the encoded form: equal ones are equal without decoding.
    let identity: UInt32?
    /// The numbers.
    let load: () throws(DiagnosticError) -> [Int64]

    /// The rows of each of some layers that run as one; the item itself where there are none.
    fileprivate func split(_ layers: [Manifest.FusedLayer]) -> [Item] {
      guard !layers.isEmpty else { return [self] }
      var parts: [Item] = []
      var first = 0
      for layer in layers {
        let rows = first..<first + min(max(layer.channels, 0), 1 << 24)
        first = rows.upperBound
        parts.append(
          Item(
            stage: stage, name: layer.name, columns: columns, columnNames: columnNames,
            identity: identity,
            load: { () throws(DiagnosticError) in
              let all = try load()
              return Array(
                all[
                  (rows.lowerBound * columns..<rows.upperBound * columns)
                    .clamped(to: 0..<all.count)])
            }))
      }
      return parts
    }
  }

  /// The arrays in the order of the decode step.
  let items: [Item]
  /// The operations of each job.
  let jobs: [[NPUWork]]

  /// Takes a program apart, as far as its entry points are included.
  init(
    _ program: Program, where isIncluded: (Manifest.Entry) -> Bool = { _ in true }
  ) throws(DiagnosticError) {
    jobs = try NPUWork.jobs(of: program)
    var items: [Item] = []
    for entry in program.manifest.entries where isIncluded(entry) {
      guard
        let steps = Step.decode(
          Array(program.steps[entry.firstWord..<entry.firstWord + entry.words]))
      else { throw DiagnosticError("package.steps", "the steps of \(entry.name) are malformed") }
      let isDecode = entry.name == "decode"
      let prefix = isDecode ? "" : "\(entry.name): "
      for step in steps {
        let job = Int(step.parameters[0])
        guard jobs.indices.contains(job) else {
          throw DiagnosticError("package.steps", "there is no job \(job)")
        }
        var at = 0
        while at < jobs[job].count {
          let start = at
          while at < jobs[job].count, jobs[job][at].name == jobs[job][start].name { at += 1 }
          let name = jobs[job][start].name
          items += Self.items(
            of: jobs[job][start..<at], name: prefix + name,
            fused: program.manifest.jobs[job].fused?[name] ?? [], in: program,
            // Entry points share the streams.
            withWeights: isDecode)
        }
      }
    }
    let place = program.manifest.position
    if place.rotationRowBytes > 0 {
      items.append(
        Self.table(
          "rotation table",
          program.params.slice(
            at: place.rotationOffset,
            count: place.rotationRowBytes * program.manifest.model.context),
          elementBytes: 2, columns: place.rotationRowBytes / 2))
    }
    if place.embeddingRowBytes > 0 {
      let vocabulary = program.manifest.model.vocabulary
      let (bytes, isTooLarge) = place.embeddingRowBytes.multipliedReportingOverflow(by: vocabulary)
      items.append(
        Self.table(
          "embedding table",
          isTooLarge ? nil : program.weights.slice(at: place.embeddingOffset, count: bytes),
          elementBytes: 1, columns: place.embeddingRowBytes))
      items.append(
        Self.table(
          "embedding multipliers",
          program.weights.slice(at: place.multiplierOffset, count: vocabulary * 4),
          elementBytes: 4, columns: 1))
    }
    self.items = items
  }

  /// A table that lies somewhere in a constant region.
  private static func table(
    _ name: String, _ content: ByteSource?, elementBytes: Int, columns: Int,
    columnNames: [String] = []
  ) -> Item {
    Item(
      stage: .tables, name: name, columns: max(columns, 1), columnNames: columnNames,
      identity: content.map { $0.withBytes { CRC32.checksum($0) } },
      load: { () throws(DiagnosticError) in
        guard let content else {
          throw DiagnosticError(
            "bisect.table", "lies outside its region", at: SourceLocation(element: name))
        }
        return signedIntegers(content.withBytes { Array($0) }, elementBytes: elementBytes)
      })
  }

  /// The arrays of an NPU operation, or of the slices that together compute one tensor or those of `fused`
  /// layers.
  private static func items(
    of slices: ArraySlice<NPUWork>, name: String, fused: [Manifest.FusedLayer], in program: Program,
    withWeights: Bool
  ) -> [Item] {
    var items: [Item] = []
    let weighted = slices.filter { !$0.weightStreams.isEmpty }
    if withWeights, let geometry = weighted.first?.geometry {
      let row = geometry.storedInputs * geometry.kernelHeight * geometry.kernelWidth
      let weights = Item(
        stage: .weights, name: name, columns: max(row, 1), columnNames: [],
        identity: identity(weighted.map(\.weightStreams), weighted.map(\.geometry), in: program),
        load: { () throws(DiagnosticError) in
          var weights: [Int64] = []
          for slice in weighted { weights += try decode(slice, name: name, in: program) }
          return weights
        })
      let scales = Item(
        stage: .scales, name: name, columns: 3, columnNames: ["bias", "multiplier", "shift"],
        identity: identity(weighted.map(\.scaleStreams), weighted.map(\.geometry), in: program),
        load: { () throws(DiagnosticError) in
          var numbers: [Int64] = []
          for slice in weighted { numbers += try records(of: slice, name: name, in: program) }
          return numbers
        })
      items += weights.split(fused) + scales.split(fused)
    }
    guard let first = slices.first else { return items }
    for (what, place) in first.constants {
      let bytes = place.elements { _, range in
        program.params.slice(at: range.lowerBound, count: range.count)?.withBytes { Array($0) }
      }
      items.append(
        table(
          "\(name): \(what)", bytes.map { ByteSource($0) },
          elementBytes: place.layout?.elementBytes ?? 4, columns: 1))
    }
    if let range = first.table {
      items.append(
        table(
          "\(name): table", program.params.slice(at: range.lowerBound, count: range.count),
          elementBytes: 2, columns: 2, columnNames: ["base", "slope"]))
    }
    let registers = first.settings.sorted { $0.key.rawValue < $1.key.rawValue }
    items.append(
      Item(
        stage: .registers, name: name, columns: registers.count,
        columnNames: registers.map(\.key.name), identity: nil,
        load: { () throws(DiagnosticError) in
          registers.map { Int64(truncatingIfNeeded: $0.value >> 16) }
        }))
    return items
  }

  private static func identity(
    _ streams: [[ConstantBytes]], _ geometries: [WeightGeometry?], in program: Program
  ) -> UInt32? {
    var crc = CRC32()
    for (streams, geometry) in zip(streams, geometries) {
      guard let geometry else { return nil }
      crc.update("\(geometry)".utf8)
      for place in streams {
        guard let bytes = place.content(of: program) else { return nil }
        bytes.withBytes { crc.update($0) }
      }
    }
    return crc.value
  }

  private static func bytes(
    _ place: ConstantBytes, name: String, in program: Program
  ) throws(DiagnosticError) -> [UInt8] {
    guard let part = place.content(of: program) else {
      throw DiagnosticError(
        "bisect.weights", "its stream lies outside its region",
        at: SourceLocation(element: name))
    }
    return part.withBytes { Array($0) }
  }

  private static func decode(
    _ slice: NPUWork, name: String, in program: Program
  ) throws(DiagnosticError) -> [Int64] {
    guard let geometry = slice.geometry, geometry.elementCount <= 1 << 28 else { return [] }
    var weights = [Int16](repeating: 0, count: geometry.elementCount)
    for (index, range) in slice.weightStreams.enumerated() {
      let stream = try bytes(range, name: name, in: program)
      // A code makes at most eight weights or so; a geometry far beyond that is not the stream's.
      var failure: WeightStreamError?
      weights.withUnsafeMutableBufferPointer { buffer in
        do throws(WeightStreamError) {
          try WeightStream.decode(stream, geometry: geometry, stream: index, into: buffer)
        } catch {
          failure = error
        }
      }
      if let failure {
        throw DiagnosticError(
          "bisect.weights", "its stream cannot be decoded: \(failure)",
          at: SourceLocation(element: name))
      }
    }
    return weights.map(Int64.init)
  }

  private static func records(
    of slice: NPUWork, name: String, in program: Program
  ) throws(DiagnosticError) -> [Int64] {
    guard let geometry = slice.geometry else { return [] }
    let layout: ScaleRecord.Layout =
      geometry.family == .u55
      ? .u55 : slice.operation.accumulatorBits == 48 ? .u85Acc48 : .u85Acc32
    var all = [Int64](repeating: 0, count: geometry.outputs * 3)
    let cores = slice.scaleStreams.count
    for (core, range) in slice.scaleStreams.enumerated() {
      let channels = Array(stride(from: core, to: geometry.outputs, by: cores))
      guard
        let records = ScaleRecord.decode(
          try bytes(range, name: name, in: program), count: channels.count, layout: layout)
      else {
        throw DiagnosticError(
          "bisect.scales", "has fewer scale records than channels",
          at: SourceLocation(element: name))
      }
      for (channel, record) in zip(channels, records) {
        all[channel * 3] = record.bias
        all[channel * 3 + 1] = Int64(record.multiplier)
        all[channel * 3 + 2] = Int64(record.shift)
      }
    }
    return all
  }
}
