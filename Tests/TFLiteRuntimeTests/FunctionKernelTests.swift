import Foundation
import TensorCore
import Testing

@testable import Containers
@testable import TFLiteRuntime

/// Elementwise operators, curves and reductions against real numbers.
@Suite struct FunctionKernelTests {
  /// Compares an operator's stored results with a function of reals, up to `slack` steps.
  private func expect(
    _ actual: [Int], _ expected: [Double], as type: TFLiteTensor, slack: Double = 1.01
  ) {
    #expect(actual.count == expected.count)
    for (value, real) in zip(actual, expected) {
      let stored = KernelHarness.stored(real, as: type)
      #expect(abs(Double(value) - stored) < slack, "\(value) for \(stored)")
    }
  }

  @Test(arguments: [TFLiteBuiltin.add, .sub, .mul, .maximum, .minimum, .squaredDifference])
  func binary(_ builtin: TFLiteBuiltin) throws {
    var h = KernelHarness(seed: 9)
    for type in [TFLiteTensorType.int8, .uint8, .int16] {
      for other in [[2, 3, 4], [1, 1, 4], [1], [3, 1]] {
        if builtin == .squaredDifference, type == .int16 { continue }
        let isSame = builtin == .maximum || builtin == .minimum
        let zero = type == .int16 ? 0 : type == .uint8 ? 120 : -7
        let a = h.tensor([2, 3, 4], type, scale: 0.03, zero: zero)
        let b = h.tensor(other, type, scale: isSame ? 0.03 : 0.05, zero: zero)
        let target = KernelHarness.type(
          [2, 3, 4], type, scale: isSame ? 0.03 : type == .int16 ? 10 : 0.1, zero: zero)
        let xs = try KernelHarness.reals(a)
        let ys = try KernelHarness.reals(b)
        let at = try KernelHarness.call(builtin, .none, [], to: []).broadcast(
          b.type.shape, to: [2, 3, 4])
        let expected = xs.indices.map { i -> Double in
          let (x, y) = (xs[i], ys[at[i]])
          return switch builtin {
          case .add: x + y
          case .sub: x - y
          case .mul: x * y
          case .maximum: max(x, y)
          case .minimum: min(x, y)
          default: (x - y) * (x - y)
          }
        }
        let actual = try KernelHarness.run(builtin, .arithmetic(.none), [a, b], to: target)
        expect(actual, expected, as: target)
      }
    }
  }

  @Test func broadcastRepeatsExtentsOfOne() throws {
    let call = KernelHarness.call(.add, .none, [], to: [])
    #expect(try call.broadcast([3, 1], to: [2, 3, 2]) == [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2])
    #expect(throws: KernelError.self) { try call.broadcast([2], to: [3]) }
  }

  @Test(arguments: [TFLiteTensorType.int8, .int16])
  func curves(_ type: TFLiteTensorType) throws {
    var h = KernelHarness(seed: 10)
    let unit: Float = type == .int8 ? 1.0 / 256 : 1.0 / 32768
    let zero = type == .int8 ? -128 : 0
    for scale in [0.001, 0.03, 0.1] as [Float] {
      let inputScale = type == .int8 ? scale : scale / 200
      let x = h.tensor([1000], type, scale: inputScale)
      let reals = try KernelHarness.reals(x)
      let logistic = KernelHarness.type([1000], type, scale: unit, zero: zero)
      expect(
        try KernelHarness.run(.logistic, .none, [x], to: logistic),
        reals.map { 1 / (1 + exp(-$0)) }, as: logistic, slack: type == .int8 ? 1.01 : 5)
      let curved = KernelHarness.type([1000], type, scale: type == .int8 ? 1.0 / 128 : unit)
      expect(
        try KernelHarness.run(.tanh, .none, [x], to: curved), reals.map { tanh($0) }, as: curved,
        slack: type == .int8 ? 1.01 : 9)
    }
  }

  @Test(arguments: [TFLiteTensorType.int8, .uint8, .int16])
  func softmax(_ type: TFLiteTensorType) throws {
    var h = KernelHarness(seed: 11)
    for depth in [2, 10, 77] {
      let x = h.tensor([3, depth], type, scale: type == .int16 ? 0.0003 : 0.04)
      let target = KernelHarness.type(
        [3, depth], type, scale: type == .int16 ? 1.0 / 32768 : 1.0 / 256,
        zero: type == .int8 ? -128 : 0)
      let powers = try KernelHarness.reals(x).map { exp($0) }
      let expected = powers.indices.map { i in
        powers[i] / powers[i / depth * depth..<(i / depth + 1) * depth].reduce(0, +)
      }
      expect(
        try KernelHarness.run(.softmax, .softmax(beta: 1), [x], to: target), expected, as: target,
        slack: type == .int16 ? 40 : 1.01)
    }
  }

  @Test func piecewise() throws {
    var h = KernelHarness(seed: 12)
    let x = h.tensor([500], .int8, scale: 0.07, zero: 11)
    let target = KernelHarness.type([500], .int8, scale: 0.05, zero: -20)
    let reals = try KernelHarness.reals(x)
    func check(
      _ builtin: TFLiteBuiltin, _ options: TFLiteOptions = .none, _ f: (Double) -> Double
    ) throws {
      expect(
        try KernelHarness.run(builtin, options, [x], to: target), reals.map(f), as: target)
    }
    try check(.relu) { max(0, $0) }
    try check(.relu6) { min(6, max(0, $0)) }
    try check(.reluN1To1) { min(1, max(-1, $0)) }
    try check(.relu0To1) { min(1, max(0, $0)) }
    try check(.leakyRelu, .leakyRelu(alpha: 0.2)) { $0 < 0 ? 0.2 * $0 : $0 }
    try check(.abs) { abs($0) }
    try check(.hardSwish) { $0 * min(6, max(0, $0 + 3)) / 6 }
    try check(.gelu, .gelu(isApproximate: false)) { 0.5 * $0 * (1 + erf($0 / 2.0.squareRoot())) }
  }

  @Test func reductions() throws {
    var h = KernelHarness(seed: 13)
    let x = h.tensor([2, 3, 4], .int8, scale: 0.05, zero: 9)
    let axes = KernelHarness.tensor([1], .int32, [-2])
    let reals = try KernelHarness.reals(x)
    let columns: [[Double]] = (0..<8).map { (i: Int) -> [Double] in
      let first = i / 4 * 12 + i % 4
      return [reals[first], reals[first + 4], reals[first + 8]]
    }
    let target = KernelHarness.type([2, 4], .int8, scale: 0.1, zero: -4)
    func check(_ builtin: TFLiteBuiltin, _ f: ([Double]) -> Double) throws {
      let isExtreme = builtin == .reduceMax || builtin == .reduceMin
      let type = isExtreme ? KernelHarness.type([2, 4], .int8, scale: 0.05, zero: 9) : target
      expect(
        try KernelHarness.run(builtin, .reduce(keepsDimensions: false), [x, axes], to: type),
        columns.map(f), as: type)
    }
    try check(.mean) { $0.reduce(0, +) / 3 }
    try check(.sum) { $0.reduce(0, +) }
    try check(.reduceMax) { $0.max() ?? 0 }
    try check(.reduceMin) { $0.min() ?? 0 }
    let best = try KernelHarness.run(
      .argMax, .none, [x, axes], to: KernelHarness.type([2, 4], .int32))
    #expect(best == columns.map { column in column.firstIndex(of: column.max() ?? 0) ?? -1 })
  }

  @Test func movements() throws {
    let x = KernelHarness.tensor([2, 3], .int8, [1, 2, 3, 4, 5, 6])
    func ints(_ values: [Int]) -> KernelTensor {
      KernelHarness.tensor([values.count], .int32, values)
    }
    func run(
      _ builtin: TFLiteBuiltin, _ options: TFLiteOptions = .none, _ inputs: [KernelTensor?],
      _ shape: [Int]
    ) throws -> [Int] {
      try KernelHarness.run(builtin, options, inputs, to: KernelHarness.type(shape, .int8))
    }
    #expect(try run(.slice, .none, [x, ints([0, 1]), ints([2, -1])], [2, 2]) == [2, 3, 5, 6])
    #expect(
      try run(.gather, .gather(axis: 1, batchDimensions: 0), [x, ints([2, 0])], [2, 2])
        == [3, 1, 6, 4])
    #expect(try run(.reverseV2, .none, [x, ints([1])], [2, 3]) == [3, 2, 1, 6, 5, 4])
    let amounts = KernelHarness.tensor([2, 2], .int32, [0, 0, 1, 2])
    #expect(
      try run(.mirrorPad, .mirrorPad(isSymmetric: false), [x, amounts], [2, 6])
        == [2, 1, 2, 3, 2, 1, 5, 4, 5, 6, 5, 4])
    #expect(
      try run(.mirrorPad, .mirrorPad(isSymmetric: true), [x, amounts], [2, 6])
        == [1, 1, 2, 3, 3, 2, 4, 4, 5, 6, 6, 5])
    #expect(
      try run(.pack, .pack(axis: 1), [x, x], [2, 2, 3]) == [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6])
    let parts = try KernelHarness.call(
      .unpack, .unpack(axis: 1), [x],
      to: [KernelTensor](repeating: x, count: 3).map { _ in KernelHarness.type([2], .int8) }
    ).evaluate().outputs
    #expect(parts == [[1, 4], [2, 5], [3, 6]])
    let truth = KernelHarness.tensor([3], .bool, [1, 0, 1])
    #expect(try run(.selectV2, .none, [truth, x, ints8([9])], [2, 3]) == [1, 9, 3, 4, 9, 6])
  }

  private func ints8(_ values: [Int]) -> KernelTensor {
    KernelHarness.tensor([values.count], .int8, values)
  }

  @Test func errorsSayWhy() throws {
    let x = KernelHarness.tensor([2], .int8, [1, 2], scale: 0.1)
    let target = KernelHarness.type([2], .int8, scale: 0.1)
    do {
      _ = try KernelHarness.run(.softmax, .none, [x], to: target)
      Issue.record("softmax without options ran")
    } catch { #expect(error.reason.contains("options")) }
    do {
      _ = try KernelHarness.run(.whereOperator, .none, [x], to: target)
      Issue.record("an operator without a kernel ran")
    } catch { #expect(error.reason.contains("no kernel")) }
    do {
      _ = try KernelHarness.run(.add, .arithmetic(.none), [x], to: target)
      Issue.record("an addition of one tensor ran")
    } catch { #expect(error.reason.contains("input 1")) }
  }
}

extension TFLiteBuiltin {
  /// WHERE, whose name is a keyword.
  fileprivate static let whereOperator = TFLiteBuiltin.`where`
}
