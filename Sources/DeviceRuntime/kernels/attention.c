#include "swl_kernels.h"

/// Positions whose weighted values are summed in 32 bits: 256 * 2^15 * 2^7 = 2^30.
#define BLOCK 256u

#ifdef SWL_HELIUM

// Helium by hand: compilers leave these two loops scalar. Integer sums that do not overflow have one
// value whatever their order, so the results are those of the portable loops below.

static int32_t dot(const int16_t *q, const int8_t *k, uint32_t count) {
  int32_t sum = 0;
  uint32_t i = 0;
  for (; i + 8 <= count; i += 8) {
    sum = vmladavaq_s16(sum, vldrhq_s16(q + i), vldrbq_s16(k + i));
  }
  if (i < count) {
    mve_pred16_t tail = vctp16q(count - i);
    sum = vmladavaq_p_s16(sum, vldrhq_z_s16(q + i, tail), vldrbq_z_s16(k + i, tail), tail);
  }
  return sum;
}

static void mix_block(const int32_t *weights, const int8_t *v, uint32_t count, uint32_t head_dim,
                      int32_t *sum) {
  uint32_t c = 0;
  // Sixteen channels at a time stay in registers while the positions pass by.
  for (; c + 16 <= head_dim; c += 16) {
    const int8_t *row = v + c;
    int32x4_t s0 = vdupq_n_s32(0);
    int32x4_t s1 = s0;
    int32x4_t s2 = s0;
    int32x4_t s3 = s0;
    for (uint32_t j = 0; j < count; j++) {
      int32_t e = weights[j];
      s0 = vmlaq_n_s32(s0, vldrbq_s32(row), e);
      s1 = vmlaq_n_s32(s1, vldrbq_s32(row + 4), e);
      s2 = vmlaq_n_s32(s2, vldrbq_s32(row + 8), e);
      s3 = vmlaq_n_s32(s3, vldrbq_s32(row + 12), e);
      row += head_dim;
    }
    vstrwq_s32(sum + c, s0);
    vstrwq_s32(sum + c + 4, s1);
    vstrwq_s32(sum + c + 8, s2);
    vstrwq_s32(sum + c + 12, s3);
  }
  for (; c < head_dim; c += 4) {
    const int8_t *row = v + c;
    mve_pred16_t lanes = vctp32q(head_dim - c);
    int32x4_t s = vdupq_n_s32(0);
    for (uint32_t j = 0; j < count; j++) {
      s = vmlaq_n_s32(s, vldrbq_z_s32(row, lanes), weights[j]);
      row += head_dim;
    }
    vstrwq_p_s32(sum + c, s, lanes);
  }
}

#else

static int32_t dot(const int16_t *q, const int8_t *k, uint32_t count) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    sum += (int32_t)q[i] * (int32_t)k[i];
  }
  return sum;
}

static void add_weighted(int32_t *sum, const int8_t *v, int16_t weight, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    sum[i] += (int32_t)weight * (int32_t)v[i];
  }
}

/// `sum[c]` = sum over at most `BLOCK` positions of weight times value.
static void mix_block(const int32_t *weights, const int8_t *v, uint32_t count, uint32_t head_dim,
                      int32_t *sum) {
  for (uint32_t c = 0; c < head_dim; c++) {
    sum[c] = 0;
  }
  for (uint32_t j = 0; j < count; j++) {
    const int8_t *row = v + (uint64_t)j * head_dim;
    int32_t e = weights[j];
    if (e == 0) {
      continue;
    }
    // 32768, the weight of the maximum itself, is one more than a 16-bit factor holds.
    if (e == 32768) {
      add_weighted(sum, row, 16384, head_dim);
      e = 16384;
    }
    add_weighted(sum, row, (int16_t)e, head_dim);
  }
}

#endif

/// Turns the scores into weights 0...32768 and returns their sum (at most 2^29).
static uint32_t weigh(int32_t *scores, uint32_t count, int32_t top, uint32_t multiplier,
                      unsigned shift) {
  uint32_t sum = 0;
  for (uint32_t j = 0; j < count; j++) {
    uint32_t e = swl_exp_weight((uint32_t)top - (uint32_t)scores[j], multiplier, shift);
    scores[j] = (int32_t)e;
    sum += e;
  }
  return sum;
}

/// `wide[c]` = sum over positions of weight times value.
static void mix(const int32_t *weights, const int8_t *v, uint32_t length, uint32_t head_dim,
                int64_t *wide) {
  int32_t sum[SWL_MAX_HEAD_DIM];
  for (uint32_t c = 0; c < head_dim; c++) {
    wide[c] = 0;
  }
  for (uint32_t first = 0; first < length; first += BLOCK) {
    uint32_t count = length - first < BLOCK ? length - first : BLOCK;
    mix_block(weights + first, v + (uint64_t)first * head_dim, count, head_dim, sum);
    for (uint32_t c = 0; c < head_dim; c++) {
      wide[c] += sum[c];
    }
  }
}

/// One head of one row: `head_dim` numbers, saturated to 16 bits.
static void attend(const swl_attention_args *a, const int16_t *q, uint32_t g, uint32_t length,
                   int32_t *result) {
  uint32_t head_dim = a->head_dim;
  const int8_t *k = a->k + (uint64_t)g * a->context * head_dim;
  const int8_t *v = a->v + (uint64_t)g * a->context * head_dim;
  int64_t wide[SWL_MAX_HEAD_DIM];
  int32_t top = INT32_MIN;
  uint32_t sum;
  int64_t r;
  int64_t m = a->out_multiplier[g];
  unsigned s = (unsigned)a->out_shift[g] & 63u;
  for (uint32_t j = 0; j < length; j++) {
    int32_t score = dot(q, k + (uint64_t)j * head_dim, head_dim);
    a->scratch[j] = score;
    if (score > top) {
      top = score;
    }
  }
  sum = weigh(a->scratch, length, top, (uint32_t)a->exp_multiplier[g],
              (unsigned)a->exp_shift[g] & 63u);
  mix(a->scratch, v, length, head_dim, wide);
  // The top score's own weight is 2^15, so the sum is never zero.
  r = (int64_t)(((uint64_t)1 << 45) / sum);
  for (uint32_t c = 0; c < head_dim; c++) {
    int64_t w = swl_rshift(wide[c] * r, 22);
    result[c] = swl_sat16(swl_rshift(w * m, s));
  }
}

void swl_attention(const swl_attention_args *a) {
  int32_t result[SWL_MAX_HEAD_DIM];
  const int16_t *q = a->q;
  int8_t *out8 = a->out;
  int16_t *out16 = a->out;
  uint32_t group = a->heads / a->kv_heads;
  for (uint32_t t = 0; t < a->n; t++) {
    for (uint32_t h = 0; h < a->heads; h++) {
      attend(a, q, h / group, a->position + t + 1, result);
      if (a->bits == 8) {
        for (uint32_t c = 0; c < a->head_dim; c++) {
          out8[c] = swl_sat8(result[c]);
        }
        out8 += a->head_dim;
      } else {
        for (uint32_t c = 0; c < a->head_dim; c++) {
          out16[c] = (int16_t)result[c];
        }
        out16 += a->head_dim;
      }
      q += a->head_dim;
    }
  }
}
