#include "swl_kernels.h"

void swl_lut(uint32_t count, const int16_t *x, const uint32_t *table, int16_t *out) {
  for (uint32_t i = 0; i < count; i++) {
    uint32_t at = (uint32_t)(x[i] + 32768);
    uint32_t entry = table[at >> 7];
    int32_t base = (int32_t)((entry & 0xFFFFu) ^ 0x8000u) - 32768;
    int32_t slope = (int32_t)((entry >> 16) ^ 0x8000u) - 32768;
    // Biased by a multiple of 128, so that the shift is one of an unsigned number.
    uint32_t rise = (uint32_t)(slope * (int32_t)(at & 127u) + 64 + (1 << 22)) >> 7;
    int32_t y = base + (int32_t)rise - (1 << 15);
    out[i] = (int16_t)(y < -32768 ? -32768 : y > 32767 ? 32767 : y);
  }
}
