import EthosUISA
import Support
import Testing

@testable import NPUTiming

/// A change of the memory moves the result in its direction, and no further than it can.
@Test(arguments: ["ethos-u55-128", "ethos-u85-256"])
func slowerMemoriesSlowJobsByABoundedAmount(name: String) throws {
  var random = SplitMix64(seed: 3)
  let accelerator = try accelerator(name)
  for _ in 0..<40 {
    let events = randomJob(&random, count: 8)
    func total(_ system: MemorySystem) -> Int {
      JobTiming(events, accelerator: accelerator, memories: system).total
    }
    let base = total(memories())
    guard base > 0 else { continue }
    // Half the bandwidth of a memory at most doubles the time. A request may take another's turn when
    // times shift, so a job can also end a little earlier than strictly necessary.
    let slack = base / 25 + 200
    for system in [memories(interval: 2048), memories(fastInterval: 512)] {
      let slow = total(system)
      #expect(slow >= base - slack && slow <= 2 * base + slack, "\(slow) of \(base)")
    }
    // Twice the latency at most doubles it, too.
    let late = total(memories(latency: 128))
    #expect(late >= base - slack && late <= 2 * base + slack, "\(late) of \(base)")
    // More transactions at once never cost much.
    #expect(total(memories(outstanding: 16)) <= base + slack)
  }
}

/// Where a memory's rate is the limit, half of it doubles the job.
@Test func bandwidthBoundJobsFollowTheRate() throws {
  let accelerator = try accelerator("ethos-u55-256")
  let events = [
    IssueEvent.kernel(convolution(height: 1, width: 1, input: 512, output: 512, taps: 1))
  ]
  let base = JobTiming(
    events, accelerator: accelerator, memories: memories(interval: 2048, latency: 0, outstanding: 8)
  ).total
  let slow = JobTiming(
    events, accelerator: accelerator, memories: memories(interval: 4096, latency: 0, outstanding: 8)
  ).total
  #expect(abs(slow - 2 * base) < base / 20, "\(base) \(slow)")
}

/// An adapter that holds addresses back for a fifth of the time costs about a fifth.
@Test func heldBackAddressesCostTheirShare() throws {
  let accelerator = try accelerator("ethos-u85-256")
  let events = [IssueEvent.transfer(bytes: 1 << 20, source: 0, destination: nil)]
  var system = memories(interval: 256, latency: 0, outstanding: 0)
  let free = JobTiming(events, accelerator: accelerator, memories: system).total
  system.memories[0].pulseOn = 4000
  system.memories[0].pulseOff = 1000
  let held = JobTiming(events, accelerator: accelerator, memories: system).total
  // What is in flight when addresses are held back still arrives.
  #expect(held > free * 115 / 100 && held < free * 127 / 100, "\(free) \(held)")
}

/// A limit of beats a period counts whole transactions: 50 beats let seven bursts of 8 pass.
@Test func beatLimitsCountWholeTransactions() throws {
  let accelerator = try accelerator("ethos-u55-256")
  let adapter = TimingAdapter(accelerator)
  let bytes = 56 * 8 * 100
  let job = JobTiming(
    [.transfer(bytes: bytes, source: 0, destination: nil)], accelerator: accelerator,
    memories: adapter.system(.sharedSRAM))
  #expect(abs(job.total - 400 * 100) < 600, "\(job.total)")
}
