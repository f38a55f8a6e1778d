#include "swl_kernels.h"

#ifdef SWL_HELIUM

// Helium by hand: compilers leave these loops scalar.
static int32_t dot(const int16_t *q, const int8_t *k, uint32_t count) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < count; i += 4) {
    mve_pred16_t lanes = vctp32q(count - i);
    int32x4_t product = vmulq_s32(vldrhq_z_s32(q + i, lanes), vldrbq_z_s32(k + i, lanes));
    sum = vaddvaq_s32(sum, vrshrq_n_s32(product, 7));
  }
  return sum;
}

static void add_weighted(int32_t *sum, const int8_t *v, int32_t weight, uint32_t count) {
  for (uint32_t c = 0; c < count; c += 4) {
    mve_pred16_t lanes = vctp32q(count - c);
    int32x4_t product = vmulq_n_s32(vldrbq_z_s32(v + c, lanes), weight);
    int32x4_t term = vrshrq_n_s32(product, 7);
    vstrwq_p_s32(sum + c, vaddq_s32(vldrwq_z_s32(sum + c, lanes), term), lanes);
  }
}

#else

static int32_t dot(const int16_t *q, const int8_t *k, uint32_t count) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    sum += swl_asr32((int32_t)q[i] * (int32_t)k[i] + 64, 7);
  }
  return sum;
}

static void add_weighted(int32_t *sum, const int8_t *v, int32_t weight, uint32_t count) {
  for (uint32_t c = 0; c < count; c++) {
    sum[c] += swl_asr32(weight * (int32_t)v[c] + 64, 7);
  }
}

#endif

/// Scores in 2^-12 powers of two, and the largest of them in 16 of these steps.
static int32_t score(const swl_attention_args *a, const int16_t *q, const int8_t *k,
                     uint32_t length) {
  int32_t top = -32768;
  for (uint32_t j = 0; j < length; j++) {
    int64_t product = (int64_t)dot(q, k + (uint64_t)j * a->pitch, a->head_dim) * a->score_multiplier;
    int32_t s = swl_low32(swl_rshift(product, a->score_shift));
    int32_t coarse = swl_sat16(swl_rshift(s, 4));
    a->scratch[j] = s;
    if (coarse > top) {
      top = coarse;
    }
  }
  return top;
}

/// One head of one row: `head_dim` sums, saturated to 16 bits.
static void attend(const swl_attention_args *a, const int16_t *q, uint32_t h, uint32_t length,
                   int32_t *sums) {
  uint64_t cache = (uint64_t)(h / (a->heads / a->kv_heads)) * a->context * a->pitch;
  const int8_t *v = a->v + cache;
  int64_t offset = 32759 - 16 * (int64_t)score(a, q, a->k + cache, length);
  uint32_t total = 0;
  unsigned zeros = 0;
  int32_t reciprocal;
  for (uint32_t j = 0; j < length; j++) {
    int32_t e = swl_table(a->powers, swl_sat16(a->scratch[j] + offset));
    a->scratch[j] = e;
    total += (uint32_t)e;
  }
  // The table comes from the program: whatever it holds, the shifts below stay in range.
  while (zeros < 31 && (total >> (31 - zeros)) == 0) {
    zeros++;
  }
  reciprocal = swl_table(
      a->reciprocals,
      swl_sat16(swl_rshift(swl_signed32(zeros > 0 ? total << (zeros - 1) : 0), 16)));
  for (uint32_t c = 0; c < a->head_dim; c++) {
    sums[c] = 0;
  }
  for (uint32_t j = 0; j < length; j++) {
    int32_t p = swl_sat16(swl_rshift((int64_t)a->scratch[j] * reciprocal, 31 - zeros));
    if (p != 0) {
      add_weighted(sums, v + (uint64_t)j * a->pitch, p, a->head_dim);
    }
  }
}

void swl_attention(const swl_attention_args *a) {
  int32_t sums[SWL_MAX_HEAD_DIM];
  const int16_t *q = a->q;
  int8_t *out8 = a->out;
  int16_t *out16 = a->out;
  for (uint32_t t = 0; t < a->n; t++) {
    for (uint32_t h = 0; h < a->heads; h++) {
      attend(a, q, h, a->position + t + 1, sums);
      for (uint32_t c = 0; c < a->head_dim; c++) {
        int64_t y = swl_rshift((int64_t)swl_sat16(sums[c]) * a->multiplier, a->shift);
        if (a->bits == 8) {
          *out8++ = swl_sat8(y);
        } else {
          *out16++ = swl_sat16(y);
        }
      }
      q += a->head_dim;
    }
  }
}
