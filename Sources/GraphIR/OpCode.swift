/// What an operation does. The raw value is its name in the textual form.
///
/// The same code stands for the float and the integer form of an operation: which one is meant
/// follows from the types of its operands, and `Docs/Numerics.md` defines the integer result.
/// `n` is the number of tokens of the function, `d` a width.
public enum OpCode: String, Sendable, Hashable, CaseIterable {
  /// `ids [n] int32, table [V, d] (, rowScale [V] int32)` → `[n, d]`: the table's rows.
  /// Integer attribute `shift` in the integer form.
  case embedding
  /// `x [n, d], gamma [d]` → `[n, d]`: `x / sqrt(mean(x²) + eps) * gamma`. Attribute `eps`;
  /// in the integer form `form` (``NormForm``), `eps_q`, `root_shift`, `row_shift`, `multiplier`, `shift`.
  case rmsNorm = "rms_norm"
  /// `x [n, d], gamma [d], beta [d]` → `[n, d]`: `(x - mean(x)) / sqrt(variance(x) + eps) * gamma + beta`.
  /// Attribute `eps`. Float only: a pass makes `rms_norm` of it.
  case layerNorm = "layer_norm"
  /// `x [n, k], W [m, k] (, bias [m])` → `[n, m]`: `x Wᵀ + bias`.
  case linear
  /// `x [n, heads*head_dim], pos [], table [context, head_dim]` → same shape: rotates neighbouring
  /// pairs (2i, 2i+1) of each head; the table holds cos, sin alternating. Attribute `head_dim`.
  case rope
  /// `x [n, kv_heads*head_dim], pos [], cache $ (, multiplier [kv_heads], shift [kv_heads])` → no
  /// result: writes rows pos ..< pos+n of the cache `[kv_heads, context, head_dim]`.
  case kvWrite = "kv_write"
  /// `q [n, heads*head_dim], pos [], k $, v $ (, tables…)` → `[n, heads*head_dim]`: causal
  /// attention of row i over cache rows 0 ... pos+i. Attributes `heads`, `kv_heads`, `head_dim`,
  /// `scale`.
  case attention
  /// `x` → same shape: `x * sigmoid(x)`.
  case silu
  /// `x` → same shape: Gaussian error linear unit, in the tanh form or, with the attribute `exact` of 1,
  /// by the error function. Float only; becomes `lut`.
  case gelu
  /// `x int16, table [512] uint32` → int16, same shape: interpolating look-up.
  case lut
  /// `a, b` → elementwise product of equal shapes. Integer attributes `multiplier`, `shift`.
  case mul
  /// `a, b` → elementwise sum of equal shapes and, in the integer form, equal scales.
  case add

  // What exporters that know nothing of the canonical operations write around attention. Float only:
  // the passes turn them into the operations above, or leave them and say why.

  /// `x` → the same numbers in the same order under another shape of as many elements.
  case reshape
  /// `x` → its axes reordered: axis `i` of the result is axis `permutation[i]` of `x`.
  case transpose
  /// `x` → the same rank; axes of one element repeated to the result's extents.
  case expand
  /// `x` → elements `start`, `start + step`, … of axis `axis`, as many as the result has.
  case slice
  /// `a, b` → one behind the other along axis `axis`.
  case concat
  /// `a [… , m, k], b [… , k, n]` → `[… , m, n]`: one product for each index of the leading axes, which
  /// are equal.
  case matmul
  /// `x` → same shape: times the number `scale`.
  case scale
  /// `x` → same shape: `-x`.
  case negate
  /// `x` → same shape: `exp(x - max) / sum` along the last axis.
  case softmax
  /// `x [… , n, context], pos []` → same shape: minus infinity where column `j` of row `i` lies behind
  /// `pos + i`.
  case causalMask = "causal_mask"
  /// `pos [], table [context, w]` → `[n, w]`: rows pos ..< pos+n of the table.
  case positionRows = "position_rows"
  /// `x [kv_heads, n, head_dim], pos [], cache $` → no result: writes rows pos ..< pos+n of each head
  /// of the cache `[kv_heads, context, head_dim]`.
  case cacheWrite = "cache_write"
  /// `cache $` → the whole cache as a value.
  case cacheRead = "cache_read"
}

extension OpCode {
  /// Whether the operation computes nothing and only reorders, repeats or copies what it reads.
  public var isMovement: Bool {
    switch self {
    case .reshape, .transpose, .expand, .slice, .concat, .cacheRead: true
    case .embedding, .rmsNorm, .layerNorm, .linear, .rope, .kvWrite, .attention, .silu, .gelu, .lut,
      .mul, .add, .matmul, .scale, .negate, .softmax, .causalMask, .positionRows, .cacheWrite:
      false
    }
  }

  /// Whether the operation occurs in graphs of naive exporters only and has a float form alone.
  public var isNaive: Bool {
    switch self {
    case .reshape, .transpose, .expand, .slice, .concat, .matmul, .scale, .negate, .softmax,
      .causalMask, .positionRows, .cacheWrite, .cacheRead:
      true
    case .embedding, .rmsNorm, .layerNorm, .linear, .rope, .kvWrite, .attention, .silu, .gelu, .lut,
      .mul, .add:
      false
    }
  }
}
