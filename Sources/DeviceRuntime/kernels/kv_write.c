#include "swl_kernels.h"

void swl_kv_write(uint32_t n, uint32_t kv_heads, uint32_t head_dim, uint32_t context,
                  uint32_t position, const int16_t *x, const int16_t *offset,
                  const int32_t *multiplier, const int32_t *shift, int8_t *cache) {
  for (uint32_t t = 0; t < n; t++) {
    for (uint32_t h = 0; h < kv_heads; h++) {
      int8_t *row = cache + ((uint64_t)h * context + position + t) * head_dim;
      const int16_t *centre = offset + h * head_dim;
      int32_t m = multiplier[h];
      unsigned s = (unsigned)shift[h] & 63u;
      for (uint32_t i = 0; i < head_dim; i++) {
        int64_t y = swl_rshift((int64_t)(x[i] - centre[i]) * m, s);
        row[i] = (int8_t)(y < -127 ? -127 : y > 127 ? 127 : y);
      }
      x += head_dim;
    }
  }
}
