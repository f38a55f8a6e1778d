#include "swl_kernels.h"

void swl_rope(uint32_t n, uint32_t heads, uint32_t head_dim, uint32_t position, const int16_t *x,
              const int16_t *table, int16_t *out) {
  table += (uint64_t)position * head_dim;
  for (uint32_t t = 0; t < n; t++) {
    for (uint32_t h = 0; h < heads; h++) {
      for (uint32_t i = 0; i < head_dim; i += 2) {
        int64_t x0 = x[i];
        int64_t x1 = x[i + 1];
        int64_t c = table[i];
        int64_t s = table[i + 1];
        out[i] = swl_sat16(swl_rshift(x0 * c - x1 * s, 14));
        out[i + 1] = swl_sat16(swl_rshift(x0 * s + x1 * c, 14));
      }
      x += head_dim;
      out += head_dim;
    }
    table += head_dim;
  }
}
