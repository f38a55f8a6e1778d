/// What a step of the device runtime can be, with the numbers of `enum swl_kernel`.
public enum Kernel: UInt32, Sendable, CaseIterable {
  /// A job of the NPU. Everything is one; nothing is left for the CPU to compute.
  case npuJob = 1

  /// Parameter words of a step, without the head word.
  public var parameterCount: Int {
    switch self {
    case .npuJob: 1
    }
  }

  /// The name in listings.
  public var name: String {
    switch self {
    case .npuJob: "npu"
    }
  }
}

/// One step of an entry point: a kernel and its parameters.
public struct Step: Sendable, Hashable {
  /// What runs.
  public let kernel: Kernel
  /// Its parameters, in the order `swiftlet_runtime.h` states.
  public let parameters: [UInt32]

  /// A step with as many parameters as the kernel takes.
  public init(_ kernel: Kernel, _ parameters: [UInt32]) {
    precondition(parameters.count == kernel.parameterCount, "wrong number of step parameters")
    self.kernel = kernel
    self.parameters = parameters
  }

  /// The encoded step: head word, then the parameters.
  public var words: [UInt32] {
    [kernel.rawValue | UInt32(parameters.count + 1) << 8] + parameters
  }

  /// Decodes a step list; nil when it is malformed.
  public static func decode(_ words: [UInt32]) -> [Step]? {
    var steps: [Step] = []
    var at = 0
    while at < words.count {
      guard let kernel = Kernel(rawValue: words[at] & 0xFF) else { return nil }
      let length = Int(words[at] >> 8)
      guard length == kernel.parameterCount + 1, at + length <= words.count else { return nil }
      steps.append(Step(kernel, Array(words[at + 1..<at + length])))
      at += length
    }
    return steps
  }
}
