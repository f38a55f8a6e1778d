import EthosUISA
import Foundation
import NPUTiming
import Testing

@testable import NPUSim
@testable import Report

/// Two jobs of a convolution and a transfer, recorded.
private func profile() throws -> RunProfile {
  let accelerator = try #require(Accelerator.named("ethos-u55-128"))
  let map = FeatureMapTraffic(height: 16, width: 16, depth: 32, bits: 8, isBricked: true, region: 1)
  var kernel = KernelDescription(
    kind: .convolution(partKernelFirst: false), ifm: map, ofm: map, block: BlockShape(8, 16, 16),
    microblock: BlockShape(1, 2, 8))
  kernel.weightBytes = 1024
  kernel.weightRegion = 1
  let events: [IssueEvent] = [
    .commands(words: 9), .transfer(bytes: 1024, source: 0, destination: 1), .transferWait(0),
    .commands(words: 60), .kernel(kernel),
  ]
  let timing = JobTiming(
    events, accelerator: accelerator, memories: TimingAdapter(accelerator).system(.sharedSRAM),
    recordsTrace: true)
  let job = RunProfile.Job(name: "<job & one>", timing: timing, labels: ["layer \"a\"", "layer b"])
  var profile = RunProfile(
    title: "a <model>", npu: "ethos-u55-128", clock: 5e8, macs: 128, jobs: [job, job])
  profile.energy = EnergyEstimate(
    [timing, timing],
    costs: .init(mac: 0.3e-12, cycle: 5e-12, bytes: ["SRAM": 1.25e-12], otherByte: 40e-12))
  return profile
}

@Test func tracesAreValidAndStayWithinTheRun() throws {
  let profile = try profile()
  let text = PerfettoTrace(profile).json
  let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
  let events = try #require(object?["traceEvents"] as? [[String: Any]])
  let end = Double(profile.total) / 500
  var slices = 0
  for event in events where event["ph"] as? String == "X" {
    let start = try #require(event["ts"] as? Double)
    let length = try #require(event["dur"] as? Double)
    #expect(start >= 0 && length >= 0 && start + length <= end + 0.01)
    slices += 1
  }
  #expect(slices >= 10)
  #expect(events.contains { $0["ph"] as? String == "C" })
  #expect(PerfettoTrace(profile).json == text)
}

@Test func pagesStandAlone() throws {
  let html = ProfilePage(try profile()).html
  #expect(!html.contains("<script") && !html.contains("src=") && !html.contains("href="))
  #expect(html.contains("name=\"viewport\""))
  // Names from the model are text, never markup.
  #expect(!html.contains("<model>") && html.contains("a &lt;model&gt;"))
  #expect(
    html.components(separatedBy: "<svg").count == html.components(separatedBy: "</svg>").count)
}

@Test func energyGrowsWithWhatIsMoved() throws {
  let profile = try profile()
  let timings = profile.jobs.map(\.timing)
  var costs = EnergyEstimate.Costs(mac: 1e-12, cycle: 1e-12, bytes: [:], otherByte: 1e-12)
  let near = EnergyEstimate(timings, costs: costs)
  costs.otherByte = 40e-12
  let far = EnergyEstimate(timings, costs: costs)
  #expect(far.total > near.total && near.mac == far.mac && near.idle == far.idle)
  let name = try #require(near.memories.keys.first)
  costs.bytes[name] = 0
  #expect(EnergyEstimate(timings, costs: costs).memories[name] == 0)
}

/// A chain of operations that write, read and reuse memory.
@Test func occupancyCountsWhatIsStillNeeded() {
  func op(_ reads: [Range<Int>], _ writes: [Range<Int>]) -> OpRecord {
    OpRecord(
      kind: .elementwise, commandIndex: 0, byteOffset: 0, ofmShape: [], operations: 0,
      weightBytes: 0, reads: reads, writes: writes)
  }
  let used = RunProfile.bytesInUse([
    op([], [0..<32]),  // 32 bytes, needed to the end
    op([0..<32], [32..<64]),
    op([32..<64], [64..<80]),  // the second value ends here
    op([0..<32, 64..<80], [32..<48]),
  ])
  #expect(used == [32, 64, 80, 64])
}
