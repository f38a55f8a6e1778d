import Support
import Testing
import Tiling

/// Buffers alive at the same time never share a byte; the plan stays near the bound.
@Test func plansAreDisjointAndTight() {
  var random = SplitMix64(seed: 41)
  for _ in 0..<300 {
    let requests = (0..<Int(1 + random.next() % 40)).map { id in
      let first = Int(random.next() % 30)
      return BufferRequest(
        id: id, bytes: Int(1 + random.next() % 5000), first: first,
        last: first + Int(random.next() % 6))
    }
    let plan = ArenaAllocator.plan(requests)
    #expect(plan.offsets.count == requests.count)
    for a in requests {
      let start = plan.offsets[a.id] ?? -1
      #expect(start >= 0 && start % 16 == 0 && start + a.bytes <= plan.bytes)
      for b in requests where b.id > a.id && a.first <= b.last && b.first <= a.last {
        let other = plan.offsets[b.id] ?? -1
        #expect(start + a.bytes <= other || other + b.bytes <= start)
      }
    }
    #expect(plan.bytes >= plan.lowerBound)
    #expect(plan.bytes <= plan.lowerBound * 2)
  }
}

@Test func chainsOfBuffersReuseMemory() {
  // Two buffers are alive at any step of a chain, so the arena holds two.
  let requests = (0..<20).map { BufferRequest(id: $0, bytes: 1024, first: $0, last: $0 + 1) }
  #expect(ArenaAllocator.plan(requests).bytes == 2048)
}
