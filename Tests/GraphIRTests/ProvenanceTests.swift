import GraphIR
import Testing

/// Names of operations that run as one.
@Test func namesAreJoined() {
  #expect(Provenance.joined([]) == "")
  #expect(Provenance.joined(["a.b"]) == "a.b")
  #expect(Provenance.joined(["a.b", "a.b"]) == "a.b")
  #expect(Provenance.joined(["layers.0.wk", "layers.0.wq"]) == "layers.0.wk+wq")
  #expect(
    Provenance.joined(["blk.0.attn_q.weight", "blk.0.attn_k.weight"])
      == "blk.0.attn_q+attn_k.weight")
  #expect(Provenance.joined(["a", "b"]) == "a+b")
  #expect(Provenance.joined(["x.a.y", "x.b.c.y"]) == "x.a+b.c.y")
  #expect(Provenance.joined(["x", "x.y"]) == "x+x.y")
  #expect(Provenance.joined(["a.a", "a.a.a"]) == "a.a+a.a")
}
