import TensorCore

/// The tensor types a GGUF file can name (the GGML family's type numbers).
enum GGUFTensorType {
  /// How a type number encodes its elements; nil when we do not read it.
  static func encoding(_ number: UInt32) -> Encoding? {
    switch number {
    case 0: .dense(.float32)
    case 1: .dense(.float16)
    case 2: .blocks(.q4_0)
    case 3: .blocks(.q4_1)
    case 6: .blocks(.q5_0)
    case 7: .blocks(.q5_1)
    case 8: .blocks(.q8_0)
    case 10: .blocks(.q2_k)
    case 11: .blocks(.q3_k)
    case 12: .blocks(.q4_k)
    case 13: .blocks(.q5_k)
    case 14: .blocks(.q6_k)
    case 24: .dense(.int8)
    case 25: .dense(.int16)
    case 26: .dense(.int32)
    case 27: .dense(.int64)
    case 30: .dense(.bfloat16)
    default: nil
    }
  }

  /// The name of a type we know of but do not read.
  static func name(_ number: UInt32) -> String {
    let names: [UInt32: String] = [
      9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
      20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 28: "F64", 29: "IQ1_M", 34: "TQ1_0",
      35: "TQ2_0", 39: "MXFP4",
    ]
    return names[number].map { "\($0) (type \(number))" } ?? "unknown type \(number)"
  }

  /// What we read, for messages.
  static let supported =
    "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K and Q6_K"
}
