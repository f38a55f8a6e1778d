import EthosUISA
import Support
import Testing

@testable import NPUTiming

/// Weights at one byte a cycle, activations at eight.
private let memories = [memory(1, latency: 10), memory(8)]

/// A thousand bytes at one a cycle, after ten cycles of latency.
private let transfer = IssueEvent.transfer(bytes: 1000, source: 0, destination: 1)

private func play(_ events: [IssueEvent]) throws -> JobTimeline {
  let accelerator = try #require(Accelerator.named("ethos-u55-256"))
  return JobTimeline(events, accelerator: accelerator, memories: memories)
}

@Test func anEmptyJobTakesNoTime() throws {
  let job = try play([])
  #expect(job.total == 0 && job.spans.isEmpty)
}

@Test func kernelsAreSerialAndTransfersOverlapThem() throws {
  let one = try play([.kernel(kernel())]).total
  #expect(one > 0)
  #expect(try play([.kernel(kernel()), .kernel(kernel())]).total == 2 * one)
  #expect(try play([transfer]).total == 1010)
  #expect(try play([transfer, .kernel(kernel())]).total == max(1010, one))
}

@Test func waitsOrderTheEngines() throws {
  let one = try play([.kernel(kernel())]).total
  // The kernel needs what the transfer brings.
  #expect(try play([transfer, .transferWait(0), .kernel(kernel())]).total == 1010 + one)
  // Waiting until at most one is unfinished does not hold anything up here.
  #expect(try play([transfer, .transferWait(1), .kernel(kernel())]).total == max(1010, one))
  // The transfer overwrites what the kernel reads.
  #expect(try play([.kernel(kernel()), .kernelWait(0), transfer]).total == one + 1010)
}

/// While a kernel uses one slice of the weights the next one is fetched.
@Test func doubleBufferingHidesTheShorterSide() throws {
  let one = try play([.kernel(kernel())]).total
  var events: [IssueEvent] = [transfer]
  for _ in 0..<4 { events += [.transferWait(0), .kernel(kernel()), transfer] }
  let job = try play(events)
  #expect(job.total == 1010 + 4 * max(1010, one))
  #expect(job.transferBusy == 5 * 1010 && job.kernelBusy == 4 * one)
}

/// More waits, more work or slower memory never shorten a job; no engine does two things at once.
@Test func randomJobsAreConsistent() throws {
  var random = SplitMix64(seed: 5)
  let accelerator = try #require(Accelerator.named("ethos-u55-128"))
  for _ in 0..<200 {
    var events: [IssueEvent] = []
    for _ in 0..<Int.random(in: 1...30, using: &random) {
      switch random.next() % 4 {
      case 0: events.append(.transfer(bytes: Int(random.next() % 5000), source: 0, destination: 1))
      case 1: events.append(.transferWait(Int(random.next() % 3)))
      case 2: events.append(.kernelWait(Int(random.next() % 3)))
      default: events.append(.kernel(kernel(ifmDepth: 8 + Int(random.next() % 64))))
      }
    }
    func total(_ events: [IssueEvent], _ memories: [MemoryTraits]) -> Int {
      JobTimeline(events, accelerator: accelerator, memories: memories).total
    }
    let job = JobTimeline(events, accelerator: accelerator, memories: memories)
    #expect(job.total >= max(job.kernelBusy, job.transferBusy))
    #expect(job.total <= job.kernelBusy + job.transferBusy)
    let kernels = job.spans.filter { $0.limiter != .dma }
    for (a, b) in zip(kernels, kernels.dropFirst()) { #expect(b.start >= a.end) }
    #expect(total(events, [memory(0.5, latency: 10), memory(4)]) >= job.total)
    #expect(total(events + [.kernel(kernel())], memories) >= job.total)
    var held = events
    held.insert(
      random.next() % 2 == 0 ? .kernelWait(0) : .transferWait(0),
      at: Int.random(in: 0...events.count, using: &random))
    #expect(total(held, memories) >= job.total)
  }
}
