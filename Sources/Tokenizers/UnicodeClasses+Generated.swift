extension UnicodeClasses {
  static let changes: [UInt32] = [0]
}
