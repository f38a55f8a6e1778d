#include "swl_kernels.h"

/// floor(sqrt(u)) for u >= 2^62, one result bit per round.
static uint32_t root_of(uint64_t u) {
  uint64_t root = 0;
  uint64_t rest = u;
  for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
    if (rest >= root + bit) {
      rest -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  return (uint32_t)root;
}

/// The shift that leaves 24 magnitude bits of the row's largest value.
static unsigned spare_bits(const int32_t *x, uint32_t d) {
  // The union of all magnitudes has the same highest bit as the largest one.
  uint32_t all = 0;
  unsigned p = 0;
  for (uint32_t i = 0; i < d; i++) {
    all |= x[i] < 0 ? 0u - (uint32_t)x[i] : (uint32_t)x[i];
  }
  while ((all >> p) >= ((uint32_t)1 << 24)) {
    p++;
  }
  return p;
}

static uint64_t square(int32_t x, unsigned p) {
  int32_t v = swl_asr32(x, p);
  return (uint64_t)((int64_t)v * v);
}

/// The sum of squares. Every square is at most 2^48, so with d <= 65536 only the last term can
/// overflow.
static uint64_t square_sum(const int32_t *x, uint32_t d, unsigned p) {
  uint64_t sum = 0;
  uint64_t last;
  for (uint32_t i = 0; i + 1 < d; i++) {
    sum += square(x[i], p);
  }
  last = square(x[d - 1], p);
  return sum > UINT64_MAX - last ? UINT64_MAX : sum + last;
}

void swl_rms_norm(uint32_t n, uint32_t d, const int32_t *x, const int32_t *gamma, unsigned shift,
                  uint64_t eps, void *out, uint32_t bits) {
  int8_t *out8 = out;
  int16_t *out16 = out;
  for (uint32_t t = 0; t < n; t++) {
    unsigned p = spare_bits(x, d);
    uint64_t mean = square_sum(x, d, p) / d;
    uint64_t e = eps >> (2 * p);
    uint64_t v = mean > UINT64_MAX - e ? UINT64_MAX : mean + e;
    unsigned j = 0;
    unsigned s;
    int64_t r;
    if (v == 0) {
      v = 1;
    }
    while ((v >> 62) == 0) {
      v <<= 2;
      j++;
    }
    r = (int64_t)(((uint64_t)1 << 62) / root_of(v));
    s = 40 - j + p;
    // The normalised value is at most 2^22 * sqrt(2 d): it fits 32 bits.
    if (bits == 8) {
      for (uint32_t i = 0; i < d; i++) {
        int32_t normal = (int32_t)swl_rshift(x[i] * r, s);
        out8[i] = swl_sat8(swl_rshift((int64_t)normal * gamma[i], shift));
      }
      out8 += d;
    } else {
      for (uint32_t i = 0; i < d; i++) {
        int32_t normal = (int32_t)swl_rshift(x[i] * r, s);
        out16[i] = swl_sat16(swl_rshift((int64_t)normal * gamma[i], shift));
      }
      out16 += d;
    }
    x += d;
  }
}
