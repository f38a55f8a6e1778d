/// The layout of the binary form, which the C tokenizer reads in place (see `Tokenizer.blob()`).
enum BlobLayout {
  /// `SWTK`.
  static let magic: UInt32 = 0x4B54_5753
  /// Changes whenever a reader of the old layout would misread the new one.
  static let version: UInt8 = 1
  /// Bytes before the first section.
  static let headerBytes = 96
  /// The checksum covers everything from here on.
  static let checkedFrom = 12
  /// Where the sections' offsets start in the header, in the order of `Section`.
  static let sectionsAt = 48
  /// "No id" in the header and the byte table.
  static let none: UInt32 = 0xFFFF_FFFF

  /// The sections in file order.
  enum Section: Int, CaseIterable {
    case offsets, pieces, types, byteTokens, sorted, ranks, specials, merges, classes
  }
}
