#include "swl_kernels.h"

void swl_embedding(uint32_t n, uint32_t d, const int32_t *tokens, const int8_t *table,
                   const int32_t *multiplier, unsigned shift, int32_t *out) {
  for (uint32_t t = 0; t < n; t++) {
    const int8_t *row = table + (uint64_t)(uint32_t)tokens[t] * d;
    int64_t m = multiplier[tokens[t]];
    for (uint32_t i = 0; i < d; i++) {
      out[i] = swl_low32(swl_rshift(row[i] * m, shift));
    }
    out += d;
  }
}
