import EthosUISA
import Support
import Testing

@testable import NPUTiming

@Test func anEmptyJobTakesNoTime() throws {
  let job = JobTiming([], accelerator: try accelerator("ethos-u55-256"), memories: memories())
  #expect(job.total == 0 && job.operations.isEmpty && job.isComplete)
}

@Test(arguments: ["ethos-u55-32", "ethos-u55-128", "ethos-u65-512", "ethos-u85-256"])
func randomJobsEnd(name: String) throws {
  var random = SplitMix64(seed: 11)
  let accelerator = try accelerator(name)
  for _ in 0..<100 {
    let events = randomJob(&random, count: Int.random(in: 1...12, using: &random))
    let job = JobTiming(events, accelerator: accelerator, memories: memories())
    #expect(job.isComplete)
    for operation in job.operations {
      #expect(operation.start <= operation.end && operation.end <= job.total)
      #expect(operation.busy.array <= job.total && operation.busy.output <= job.total)
    }
    // The same events give the same job.
    let again = JobTiming(events, accelerator: accelerator, memories: memories())
    #expect(again.operations == job.operations && again.total == job.total)
    #expect(again.memories == job.memories)
  }
}

/// A transfer needs its bytes at the memory's rate, after its latency.
@Test func aTransferTakesRateAndLatency() throws {
  let accelerator = try accelerator("ethos-u55-256")
  let events = [IssueEvent.transfer(bytes: 6400, source: 0, destination: 1)]
  // 8 bytes in four cycles.
  let job = JobTiming(events, accelerator: accelerator, memories: memories(outstanding: 8))
  let ideal = 6400 / 2 + 64
  #expect(job.total >= ideal && job.total < ideal + 100, "\(job.total)")
  #expect(job.operations.map(\.limiter) == [.dma])
  #expect(job.memories[0].readBeats == 800 && job.memories[1].writeBeats == 800)
}

/// A short transfer into the NPU that is read while the one before is still being written.
@Test(arguments: ["ethos-u55-128", "ethos-u65-512", "ethos-u85-256"])
func transfersEndInOrder(_ name: String) throws {
  let accelerator = try #require(Accelerator.named(name))
  let job = JobTiming(
    [
      .transfer(bytes: 6400, source: 0, destination: 1),
      .transfer(bytes: 16, source: 0, destination: nil),
      .transfer(bytes: 6400, source: 0, destination: 1), .transferWait(0),
    ], accelerator: accelerator,
    memories: TimingAdapter(accelerator).system(.sharedSRAM))
  #expect(job.isComplete && job.operations.count == 3)
  for (first, second) in zip(job.operations, job.operations.dropFirst()) {
    #expect(first.end <= second.end && second.end <= job.total)
  }
}

/// One transaction at a time costs its latency every time.
@Test func outstandingTransactionsBoundTheRate() throws {
  let accelerator = try accelerator("ethos-u85-256")
  let events = [IssueEvent.transfer(bytes: 128 * 50, source: 0, destination: nil)]
  var system = memories(interval: 256, latency: 250, outstanding: 1)
  system.memories[0].beatBytes = 16
  let job = JobTiming(events, accelerator: accelerator, memories: system)
  // Published for one outstanding read on Corstone-320: latency and 7.5 cycles a burst of 8 beats.
  #expect(abs(job.total - 50 * 258) < 50, "\(job.total)")
}

@Test func waitsOrderTheEngines() throws {
  let accelerator = try accelerator("ethos-u55-256")
  func total(_ events: [IssueEvent]) -> Int {
    JobTiming(events, accelerator: accelerator, memories: memories()).total
  }
  let transfer = IssueEvent.transfer(bytes: 20000, source: 0, destination: 1)
  var kernel = convolution()
  kernel.weightRegion = 1
  kernel.scaleRegion = 1
  let alone = total([transfer]) + total([.kernel(kernel)])
  let together = total([transfer, .kernel(kernel)])
  #expect(together < alone * 9 / 10)
  #expect(total([transfer, .transferWait(0), .kernel(kernel)]) >= alone * 95 / 100)
  #expect(total([.kernel(kernel), .kernelWait(0), transfer]) >= alone * 95 / 100)
}

/// BLOCKDEP 0 waits for everything the kernel before wrote; more lets their blocks overlap.
@Test func blockDependencyLetsKernelsOverlap() throws {
  let accelerator = try accelerator("ethos-u55-256")
  var totals: [Int] = []
  for distance in 0...3 {
    var first = convolution()
    first.weightRegion = 1
    first.scaleRegion = 1
    var second = first
    second.blockDependency = distance
    totals.append(
      JobTiming(
        [.kernel(first), .kernel(second)], accelerator: accelerator, memories: memories()
      ).total)
  }
  #expect(totals == totals.sorted(by: >))
  #expect(totals[3] < totals[0])
}

/// Weights are read once for each block of the plane.
@Test func weightsAreReadForEveryPlaneBlock() throws {
  let accelerator = try accelerator("ethos-u55-256")
  let kernel = convolution()
  let job = JobTiming([.kernel(kernel)], accelerator: accelerator, memories: memories())
  let planes = 4
  let beats = (kernel.weightBytes + kernel.scaleBytes) * planes / 8
  #expect(abs(job.memories[0].readBeats - beats) <= beats / 50)
  #expect(job.memories[1].writeBeats == 16 * 16 * 32 / 8)
}

/// Chained operations move nothing between them.
@Test func chainsStayInside() throws {
  let accelerator = try accelerator("ethos-u85-256")
  var first = addition()
  var second = addition()
  let separate = JobTiming(
    [.kernel(first), .kernel(second)], accelerator: accelerator, memories: memories())
  first.ofm.region = nil
  first.ofm.isChained = true
  second.ifm.region = nil
  second.ifm.isChained = true
  let chained = JobTiming(
    [.kernel(first), .kernel(second)], accelerator: accelerator, memories: memories())
  #expect(chained.isComplete && chained.operations.count == 2)
  #expect(chained.memories[1].writeBeats * 2 == separate.memories[1].writeBeats)
  #expect(chained.memories[1].readBeats * 4 == separate.memories[1].readBeats * 3)
}

/// Two cores share the depth of the output: about twice as fast where the array limits.
@Test func twoCoresShareTheDepth() throws {
  var fast = memories(interval: 256, latency: 0, outstanding: 0)
  fast.regions = [1, 1]
  let kernel = convolution(
    height: 32, width: 32, input: 64, output: 128, block: BlockShape(8, 16, 32))
  let one = JobTiming(
    [.kernel(kernel)], accelerator: try accelerator("ethos-u65-256"), memories: fast)
  let two = JobTiming(
    [.kernel(kernel)], accelerator: try accelerator("ethos-u65-512"), memories: fast)
  #expect(two.arrayActive * 2 == one.arrayActive)
}
