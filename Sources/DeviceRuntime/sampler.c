#include <string.h>
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#include <arm_mve.h>
#define SWL_HAS_MVE 1
#endif

#include "swiftlet_runtime.h"
#include "swl_arithmetic.h"

/// Logits whose largest is found first: whether any of them matters shows there.
enum { BLOCK = 64 };

/// The largest of a block.
static int16_t largest(const int16_t *block) {
  int16_t most = INT16_MIN;
#ifdef SWL_HAS_MVE
  for (uint32_t i = 0; i < BLOCK; i += 8) {
    most = vmaxvq_s16(most, vld1q_s16(block + i));
  }
#else
  for (uint32_t i = 0; i < BLOCK; i++) {
    most = block[i] > most ? block[i] : most;
  }
#endif
  return most;
}

int32_t swl_argmax(const int16_t *logits, uint32_t count) {
  uint32_t from = 0;
  uint32_t next = 0;
  int16_t top;
  if (logits == NULL || count == 0) {
    return -1;
  }
  top = logits[0];
  for (; count - next >= BLOCK; next += BLOCK) {
    int16_t most = largest(logits + next);
    if (most > top) {
      top = most;
      from = next;
    }
  }
  for (; next < count; next++) {
    if (logits[next] > top) {
      top = logits[next];
      from = next;
    }
  }
  // None before that place is as large.
  while (logits[from] != top) {
    from++;
  }
  return (int32_t)from;
}

/// `fixed31` of the contract, from the number's own bits: no library function rounds here.
/// Returns -1 when the factor is 2^31 or more or not a number; a factor too small to be written is 0.
static int fixed31(double real, uint32_t *multiplier, unsigned *shift) {
  uint64_t bits;
  uint64_t m;
  int32_t s;
  uint32_t exponent;
  memcpy(&bits, &real, sizeof bits);
  exponent = (uint32_t)(bits >> 52) & 0x7FFu;
  if ((bits >> 63) != 0 || exponent == 0x7FFu) {
    return -1;
  }
  // real = f * 2^e with e = exponent - 1022; f has 53 bits, of which 31 stay.
  m = (bits & (((uint64_t)1 << 52) - 1)) | ((uint64_t)1 << 52);
  m = (m + ((uint64_t)1 << 21)) >> 22;
  s = 31 - ((int32_t)exponent - 1022);
  if (m == (uint64_t)1 << 31) {
    m >>= 1;
    s--;
  }
  if (s < 0) {
    return -1;
  }
  if (s > (int32_t)SWL_MAX_SHIFT) {
    m = 0;
    s = 0;
  }
  *multiplier = (uint32_t)m;
  *shift = (unsigned)s;
  return 0;
}

/// Steele, Lea and Flood's SplitMix64: one step.
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/// The logits' weights, and how far below the largest they are zero.
typedef struct {
  const int16_t *logits;
  uint32_t count;
  int32_t top;
  uint32_t multiplier;
  unsigned shift;
  uint32_t reach;
} weights;

/// The least distance that weighs nothing, so that most logits cost a comparison; beyond all distances for none.
static uint32_t find_reach(uint32_t multiplier, unsigned shift) {
  uint32_t low = 0;
  uint32_t high = 65536;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (swl_exp_power(middle, multiplier, shift) > SWL_MAX_POWER) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/// The first place where the weights add up to more than `threshold`; -1, and their sum, when none is.
static int32_t add_up(const weights *w, uint64_t threshold, uint64_t *sum) {
  uint64_t running = 0;
  for (uint32_t from = 0; from < w->count; from += BLOCK) {
    uint32_t size = w->count - from < BLOCK ? w->count - from : BLOCK;
    const int16_t *block = w->logits + from;
    if (size == BLOCK && (uint32_t)(w->top - largest(block)) >= w->reach) {
      continue;
    }
    for (uint32_t i = 0; i < size; i++) {
      uint32_t distance = (uint32_t)(w->top - block[i]);
      if (distance < w->reach) {
        running += swl_exp_weight(distance, w->multiplier, w->shift);
        if (running > threshold) {
          return (int32_t)(from + i);
        }
      }
    }
  }
  *sum = running;
  return -1;
}

int32_t swl_sample(const int16_t *logits, uint32_t count, float logits_scale, float temperature,
                   uint64_t *random) {
  // The weights are computed twice instead of kept: no buffer as large as the vocabulary is needed.
  const double log2_e = 0x1.71547652b82fep+0;
  int32_t best = swl_argmax(logits, count);
  uint32_t draw;
  uint64_t sum = 0;
  weights w;
  double factor;
  if (best < 0 || random == NULL || !(temperature > 0)) {
    return best;
  }
  factor = (double)logits_scale / (double)temperature;
  factor = factor * log2_e;
  factor = factor * 4096.0;
  if (fixed31(factor, &w.multiplier, &w.shift) != 0) {
    return best; // a temperature so near to zero that only the largest logit counts
  }
  w.logits = logits;
  w.count = count;
  w.top = logits[best];
  w.reach = find_reach(w.multiplier, w.shift);
  (void)add_up(&w, UINT64_MAX, &sum);
  draw = (uint32_t)(next_random(random) >> 32);
  // (sum * draw) >> 32 without losing the upper bits of a sum beyond 2^32, which it stays below.
  return add_up(&w, (sum >> 32) * draw + (((sum & 0xFFFFFFFFu) * draw) >> 32), &sum);
}
