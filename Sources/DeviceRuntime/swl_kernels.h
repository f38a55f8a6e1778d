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

/// Rows of an int8 table, each times its own multiplier: int32 [n, d].
void swl_embedding(uint32_t n, uint32_t d, const int32_t *tokens, const int8_t *table,
                   const int32_t *multiplier, unsigned shift, int32_t *out);

/// Root-mean-square norm of int32 rows [n, d]; `out` is int8 or int16 by `bits`.
void swl_rms_norm(uint32_t n, uint32_t d, const int32_t *x, const int32_t *gamma, unsigned shift,
                  uint64_t eps, void *out, uint32_t bits);

/// Rotates pairs of int16 [n, heads, head_dim] by the table's rows `position...`; `out` may be `x`.
void swl_rope(uint32_t n, uint32_t heads, uint32_t head_dim, uint32_t position, const int16_t *x,
              const int16_t *table, int16_t *out);

/// Requantises int16 [n, kv_heads, head_dim], less the offset [kv_heads, head_dim], into the cache int8
/// [kv_heads, context, head_dim].
void swl_kv_write(uint32_t n, uint32_t kv_heads, uint32_t head_dim, uint32_t context,
                  uint32_t position, const int16_t *x, const int16_t *offset,
                  const int32_t *multiplier, const int32_t *shift, int8_t *cache);

/// What attention works on.
typedef struct swl_attention_args {
  uint32_t n, heads, kv_heads, head_dim, context, position;
  const int16_t *q;              ///< [n, heads, head_dim]
  const int8_t *k, *v;           ///< [kv_heads, context, head_dim]
  const int32_t *exp_multiplier; ///< [kv_heads], as are the next three
  const int32_t *exp_shift;
  const int32_t *out_multiplier;
  const int32_t *out_shift;
  int32_t *scratch;              ///< [context]
  void *out;                     ///< [n, heads, head_dim], int8 or int16 by `bits`
  uint32_t bits;
} swl_attention_args;

/// Causal attention over the KV cache. Takes about 4.3 KB of stack.
void swl_attention(const swl_attention_args *args);

/// 512-segment linear interpolation of int16; `out` may be `x`.
void swl_lut(uint32_t count, const int16_t *x, const uint32_t *table, int16_t *out);

/// Scaled product of int16; `out`, int8 or int16 by `bits`, may be `a` or `b`.
void swl_mul(uint32_t count, const int16_t *a, const int16_t *b, uint32_t multiplier, unsigned shift,
             void *out, uint32_t bits);

/// Sum of int32, low 32 bits; `out` may be `a` or `b`.
void swl_add(uint32_t count, const int32_t *a, const int32_t *b, int32_t *out);

#endif
