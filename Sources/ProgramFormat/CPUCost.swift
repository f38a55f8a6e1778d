/// What the runtime's own work before and after a job costs on a Cortex-M55.
public enum CPUCost {
  /// Cycles to set what depends on the tokens of a run: base pointers, the score mask, rotations, multipliers,
  /// and for a batch the embeddings, copied.
  ///
  /// Instructions counted under QEMU at -O2 (`Tests/Firmware/run_qemu.sh`, table in
  /// `Docs/DeviceRuntime.md`), times 1.2 cycles an instruction: an assumption until measured on silicon,
  /// without cache misses.
  ///
  /// - Parameters:
  ///   - tokens: the tokens of the run.
  ///   - embeddingBytes: the bytes of an embedding's row.
  ///   - rotationBytes: the bytes of a rotation's row.
  public static func cycles(tokens: Int, embeddingBytes: Int, rotationBytes: Int) -> Int {
    let copies = tokens * (rotationBytes + (tokens > 1 ? embeddingBytes : 0)) * 5 / 8
    return (260 + tokens * 35 + copies) * 6 / 5
  }
}
