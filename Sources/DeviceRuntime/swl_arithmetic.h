/// Limits of a program, and the sampler's arithmetic. Private to the runtime.
#ifndef SWL_ARITHMETIC_H
#define SWL_ARITHMETIC_H

#include <stdint.h>

/// Most positions of a KV cache.
#define SWL_MAX_CONTEXT 16384u
/// Most rows that are copied into the state region before a conversation.
#define SWL_MAX_FILLS 65536u
/// Largest right shift of a fixed-point factor.
#define SWL_MAX_SHIFT 62u

/// `round(2^(15 - b/256))` for `b` = 0...256: the table E of the contract.
extern const uint16_t swl_exp2_table[257];

/// The largest power that weighs something.
#define SWL_MAX_POWER 65535u

/// A distance below the maximum as powers of two with 12 fraction bits: `rshift(distance * multiplier, shift)`.
static inline uint64_t swl_exp_power(uint32_t distance, uint32_t multiplier, unsigned shift) {
  return ((uint64_t)distance * multiplier + (((uint64_t)1 << shift) >> 1)) >> shift;
}

/// The weight of a distance below the maximum, 0...32768; 16 powers of two and more weigh nothing.
static inline uint32_t swl_exp_weight(uint32_t distance, uint32_t multiplier, unsigned shift) {
  uint64_t power = swl_exp_power(distance, multiplier, shift);
  uint32_t u, whole, b, y;
  if (power > SWL_MAX_POWER) {
    return 0;
  }
  u = (uint32_t)power;
  whole = u >> 12;
  b = (u & 4095u) >> 4;
  y = swl_exp2_table[b];
  y -= ((y - swl_exp2_table[b + 1]) * (u & 15u) + 8u) >> 4;
  return (y + ((1u << whole) >> 1)) >> whole;
}

#endif
