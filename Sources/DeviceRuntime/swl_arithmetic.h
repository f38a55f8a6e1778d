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

#endif
