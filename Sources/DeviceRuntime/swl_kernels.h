/// The kernels behind the runtime's steps, and the arithmetic they share. Private to the runtime.
///
/// Docs/Numerics.md defines every result. Kernels trust their sizes (`swl_program_check` looked at
/// them) but not the content of tables: shifts read from memory are masked and sums wrap, so that a
/// damaged table gives wrong numbers and nothing worse.
#ifndef SWL_KERNELS_H
#define SWL_KERNELS_H

#include <stdint.h>

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include <arm_mve.h>
/// The target has Helium, Arm's 128-bit integer vectors.
#define SWL_HELIUM 1
#endif

/// Widest attention head; fixes the stack use of the attention kernel.
#define SWL_MAX_HEAD_DIM 256u
/// Widest row of a tensor.
#define SWL_MAX_WIDTH 65536u
/// Most positions of a KV cache.
#define SWL_MAX_CONTEXT 16384u
/// Largest right shift of a fixed-point factor.
#define SWL_MAX_SHIFT 62u

/// Arithmetic shift right (floor). C99 leaves `>>` of a negative number to the compiler; the test of
/// what it does is a constant, so nothing of it is left in the machine code.
static inline int64_t swl_asr(int64_t v, unsigned s) {
  if (((int64_t)-1 >> 1) == (int64_t)-1) {
    return v >> s;
  }
  return v < 0 ? -1 - ((-1 - v) >> s) : v >> s;
}

/// The same of 32 bits.
static inline int32_t swl_asr32(int32_t v, unsigned s) {
  if ((-1 >> 1) == -1) {
    return v >> s;
  }
  return v < 0 ? -1 - ((-1 - v) >> s) : v >> s;
}

/// The int64 with these 64 bits.
static inline int64_t swl_signed64(uint64_t bits) {
  return bits <= (uint64_t)INT64_MAX ? (int64_t)bits : -1 - (int64_t)~bits;
}

/// The int32 with these 32 bits.
static inline int32_t swl_signed32(uint32_t bits) {
  return bits <= (uint32_t)INT32_MAX ? (int32_t)bits : -1 - (int32_t)~bits;
}

/// The low 32 bits of `v`.
static inline int32_t swl_low32(int64_t v) { return swl_signed32((uint32_t)(uint64_t)v); }

/// `rshift` of the contract: right by `s` (0...62), halves up.
static inline int64_t swl_rshift(int64_t v, unsigned s) {
  return swl_asr(swl_signed64((uint64_t)v + (((uint64_t)1 << s) >> 1)), s);
}

/// The product's low 64 bits.
static inline int64_t swl_mul64(int64_t a, int64_t b) {
  return swl_signed64((uint64_t)a * (uint64_t)b);
}

/// Clamps to -128...127.
static inline int8_t swl_sat8(int64_t v) {
  return (int8_t)(v < -128 ? -128 : v > 127 ? 127 : v);
}

/// Clamps to -32768...32767.
static inline int16_t swl_sat16(int64_t v) {
  return (int16_t)(v < -32768 ? -32768 : v > 32767 ? 32767 : v);
}

/// `round(2^(15 - b/256))` for `b` = 0...256: the table E of the contract.
extern const uint16_t swl_exp2_table[257];

/// The weight of a distance below the maximum, 0...32768: the distance is
/// `rshift(distance * multiplier, shift)` powers of two with 12 fraction bits, 16 and more weigh nothing.
static inline uint32_t swl_exp_weight(uint32_t distance, uint32_t multiplier, unsigned shift) {
  uint64_t product = (uint64_t)distance * multiplier + (((uint64_t)1 << shift) >> 1);
  uint32_t u, whole, b, y;
  if ((product >> shift) > 65535u) {
    return 0;
  }
  u = (uint32_t)(product >> shift);
  whole = u >> 12;
  b = (u & 4095u) >> 4;
  y = swl_exp2_table[b];
  y -= ((y - swl_exp2_table[b + 1]) * (u & 15u) + 8u) >> 4;
  return (y + ((1u << whole) >> 1)) >> whole;
}

/// The interpolated value of a table of 512 words: low half the value at 128 i - 32768, high half the
/// step to the next.
static inline int32_t swl_table(const uint32_t *table, int32_t x) {
  uint32_t place = (uint32_t)(x + 32768);
  uint32_t entry = table[place >> 7];
  int32_t base = swl_asr32(swl_signed32(entry << 16), 16);
  int32_t slope = swl_asr32(swl_signed32(entry), 16);
  return swl_sat16((int64_t)base + swl_asr32(slope * (int32_t)(place & 127u) + 64, 7));
}

/// Rows of an int8 table, each times its own multiplier: int32 [n, d].
void swl_embedding(uint32_t n, uint32_t d, const int32_t *tokens, const int8_t *table,
                   const int32_t *multiplier, unsigned shift, int32_t *out);

/// What attention works on.
typedef struct swl_attention_args {
  uint32_t n, heads, kv_heads, head_dim, pitch, context, position;
  const int16_t *q;                ///< [n, heads, head_dim]
  const int8_t *k, *v;             ///< [kv_heads, context, pitch]
  int32_t score_multiplier;
  unsigned score_shift;
  const uint32_t *powers;      ///< tables of 512 words
  const uint32_t *reciprocals;
  int32_t multiplier;
  unsigned shift;
  int32_t *scratch; ///< [context]
  void *out;        ///< [n, heads, head_dim], int8 or int16 by `bits`
  uint32_t bits;
} swl_attention_args;

/// Causal attention over the KV cache. Takes about 1.2 KB of stack.
void swl_attention(const swl_attention_args *args);

#endif
