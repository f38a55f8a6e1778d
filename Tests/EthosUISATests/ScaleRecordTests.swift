import Support
import Testing

@testable import EthosUISA

@Test func scaleRecordsSurviveEveryLayout() {
  var random = SplitMix64(seed: 3)
  for layout in ScaleRecord.Layout.allCases {
    let unused = Int64(64 - layout.biasBits)
    let records = (0..<100).map { _ in
      ScaleRecord(
        bias: Int64(bitPattern: random.next()) >> unused,
        multiplier: UInt32(random.next() >> UInt64(64 - layout.multiplierBits)),
        shift: Int(random.next() % 64))
    }
    #expect(records.allSatisfy { $0.fits(layout) })
    let bytes = ScaleRecord.stream(records, layout: layout, channelMultiple: 16)
    #expect(bytes.count == 1120)
    #expect(ScaleRecord.decode(bytes, count: 100, layout: layout) == records)
    #expect(ScaleRecord.decode(bytes, count: 113, layout: layout) == nil)
  }
  #expect(!ScaleRecord(bias: 1 << 31, multiplier: 0, shift: 0).fits(.u85Acc32))
  #expect(!ScaleRecord(bias: 0, multiplier: 1 << 15, shift: 0).fits(.u85Acc48))
  #expect(!ScaleRecord(bias: 0, multiplier: 0, shift: 64).fits(.u55))
}

@Test func scaleFactorsAreCloseToTheirScale() {
  var random = SplitMix64(seed: 9)
  for _ in 0..<2000 {
    let scale = Double(
      sign: .plus, exponent: -Int(random.next() % 30), significand: 1 + random.uniform())
    for isReduced in [false, true] {
      let factor = ScaleFactor(scale, isReduced: isReduced)
      let value =
        Double(factor.multiplier) / Double(sign: .plus, exponent: factor.shift, significand: 1)
      let tolerance = isReduced ? 0x1p-14 : 0x1p-31
      #expect(abs(value / scale - 1) <= tolerance)
      #expect(factor.multiplier < (isReduced ? 1 << 15 : 1 << 31))
    }
  }
  #expect(ScaleFactor(0.5) == ScaleFactor(0.5, isReduced: false))
  #expect(ScaleFactor(0.5).multiplier == 1 << 30)
  #expect(ScaleFactor(0.5).shift == 31)
  #expect(ScaleFactor(0x1p-70).multiplier == 0)
  #expect(ScaleFactor(0).shift == 0)
  #expect(ScaleFactor(1 - 0x1p-40).multiplier == 1 << 30)
  #expect(ScaleFactor(1 - 0x1p-40).shift == 30)
}

@Test func tensorPartsStartAtSixteenBytes() {
  var tensor = WeightTensor()
  tensor.append([
    (scales: [UInt8](repeating: 1, count: 20), weights: [UInt8](repeating: 2, count: 32)),
    (scales: [], weights: [UInt8](repeating: 3, count: 16)),
  ])
  tensor.append([(scales: [], weights: [])])
  #expect(tensor.bytes.count == 80)
  #expect(tensor.slices[0].substreams[0].scales == 0..<32)
  #expect(tensor.slices[0].substreams[0].weights == 32..<64)
  #expect(tensor.slices[0].substreams[1].weights == 64..<80)
  #expect(tensor.slices[1].range == 80..<80)
}
