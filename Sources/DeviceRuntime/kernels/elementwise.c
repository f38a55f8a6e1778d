#include "swl_kernels.h"

void swl_mul(uint32_t count, const int16_t *a, const int16_t *b, uint32_t multiplier, unsigned shift,
             void *out, uint32_t bits) {
  int8_t *out8 = out;
  int16_t *out16 = out;
  // Below 2^31, so that the product is one of 32 by 32 bits.
  int32_t m = (int32_t)multiplier;
  if (bits == 8) {
    // In place the bytes written never overtake the halves still to be read.
    for (uint32_t i = 0; i < count; i++) {
      out8[i] = swl_sat8(swl_rshift((int64_t)((int32_t)a[i] * (int32_t)b[i]) * m, shift));
    }
  } else {
    for (uint32_t i = 0; i < count; i++) {
      out16[i] = swl_sat16(swl_rshift((int64_t)((int32_t)a[i] * (int32_t)b[i]) * m, shift));
    }
  }
}

void swl_add(uint32_t count, const int32_t *a, const int32_t *b, int32_t *out) {
  for (uint32_t i = 0; i < count; i++) {
    out[i] = swl_signed32((uint32_t)a[i] + (uint32_t)b[i]);
  }
}
