#include "cfloatkernels.h"

#if defined(__x86_64__)

#define WIDE __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline)) WIDE

typedef float v4 __attribute__((vector_size(16)));
typedef float v8 __attribute__((vector_size(32)));
typedef float u4 __attribute__((vector_size(16), aligned(4)));
typedef float u8 __attribute__((vector_size(32), aligned(4)));

int cfk_available(void) { return __builtin_cpu_supports("avx2") != 0; }

INLINE v8 load(const float *p) { return *(const u8 *)p; }
INLINE void store(float *p, v8 v) { *(u8 *)p = v; }

// Four numbers twice, for two tokens side by side.
INLINE v8 twice(const float *p) {
  v4 v = *(const u4 *)p;
  return __builtin_shufflevector(v, v, 0, 1, 2, 3, 0, 1, 2, 3);
}

// Up to eight tokens, packed in pairs, and up to two rows.
INLINE void dots_tile(const float *packed, const float *x, long pairs, long tokens, const float *w,
                      long height, long k, float *out, long stride) {
  long whole = k / 4;
  v8 sums[4][2];
  for (int p = 0; p < 4; p++)
    for (int r = 0; r < 2; r++) sums[p][r] = (v8){0};
  if (pairs == 4 && height == 2) {
    const float *w0 = w, *w1 = w + k;
    for (long c = 0; c < whole; c++) {
      const float *at = packed + c * 32;
      v8 r0 = twice(w0 + c * 4), r1 = twice(w1 + c * 4);
#pragma clang loop unroll(full)
      for (int p = 0; p < 4; p++) {
        v8 q = load(at + p * 8);
        sums[p][0] += q * r0;
        sums[p][1] += q * r1;
      }
    }
  } else {
    for (long r = 0; r < height; r++)
      for (long p = 0; p < pairs; p++) {
        v8 sum = {0};
        for (long c = 0; c < whole; c++)
          sum += load(packed + c * 32 + p * 8) * twice(w + r * k + c * 4);
        sums[p][r] = sum;
      }
  }
  for (long t = 0; t < tokens; t++)
    for (long r = 0; r < height; r++) {
      v8 v = sums[t / 2][r];
      float sum = t & 1 ? (v[4] + v[5]) + (v[6] + v[7]) : (v[0] + v[1]) + (v[2] + v[3]);
      for (long i = whole * 4; i < k; i++) sum += x[t * k + i] * w[r * k + i];
      out[t * stride + r] = sum;
    }
}

WIDE void cfk_dots(const float *x, long n, const float *w, long m, long k, float *out, long stride,
                   float *room) {
  long whole = k / 4;
  for (long first = 0; first < n; first += 8) {
    long tokens = n - first < 8 ? n - first : 8;
    long pairs = (tokens + 1) / 2;
    for (long t = 0; t < 2 * pairs; t++) {
      // A pair without a second token takes the first twice.
      const float *from = x + (first + (t < tokens ? t : tokens - 1)) * k;
      float *to = room + (t / 2) * 8 + (t & 1) * 4;
      for (long c = 0; c < whole; c++) *(u4 *)(to + c * 32) = *(const u4 *)(from + c * 4);
    }
    for (long r = 0; r < m; r += 2)
      dots_tile(room, x + first * k, pairs, tokens, w + r * k, m - r < 2 ? m - r : 2, k,
                out + first * stride + r, stride);
  }
}

INLINE void outer_tile(const float *a, long a_p, long a_i, const float *b, long b_stride,
                       long count, float *out, long out_stride) {
  v8 s[4][2];
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < 2; j++) s[i][j] = load(out + i * out_stride + j * 8);
  for (long p = 0; p < count; p++) {
    const float *row = b + p * b_stride;
    const float *left = a + p * a_p;
    v8 b0 = load(row), b1 = load(row + 8);
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
      float f = left[i * a_i];
      v8 v = {f, f, f, f, f, f, f, f};
      s[i][0] += v * b0;
      s[i][1] += v * b1;
    }
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++)
#pragma clang loop unroll(full)
    for (int j = 0; j < 2; j++) store(out + i * out_stride + j * 8, s[i][j]);
}

// A part of a tile at the edges.
INLINE void outer_edge(const float *a, long a_p, long a_i, const float *b, long b_stride,
                       long count, float *out, long out_stride, long rows, long columns) {
  for (long i = 0; i < rows; i++) {
    long j = 0;
    for (; j + 8 <= columns; j += 8) {
      v8 s = load(out + i * out_stride + j);
      for (long p = 0; p < count; p++) {
        float f = a[p * a_p + i * a_i];
        v8 v = {f, f, f, f, f, f, f, f};
        s += v * load(b + p * b_stride + j);
      }
      store(out + i * out_stride + j, s);
    }
    for (; j < columns; j++) {
      float s = out[i * out_stride + j];
      for (long p = 0; p < count; p++) s += a[p * a_p + i * a_i] * b[p * b_stride + j];
      out[i * out_stride + j] = s;
    }
  }
}

WIDE void cfk_outer(const float *a, long a_p, long a_i, const float *b, long b_stride, long count,
                    float *out, long out_stride, long rows, long columns) {
  // Parts of p whose rows of b stay in the cache; sums go on where they were.
  for (long p = 0; p < count; p += 128) {
    long part = count - p < 128 ? count - p : 128;
    const float *left = a + p * a_p, *right = b + p * b_stride;
    for (long j = 0; j < columns; j += 16) {
      long width = columns - j < 16 ? columns - j : 16;
      for (long i = 0; i < rows; i += 4) {
        long height = rows - i < 4 ? rows - i : 4;
        float *to = out + i * out_stride + j;
        if (height == 4 && width == 16)
          outer_tile(left + i * a_i, a_p, a_i, right + j, b_stride, part, to, out_stride);
        else
          outer_edge(left + i * a_i, a_p, a_i, right + j, b_stride, part, to, out_stride, height,
                     width);
      }
    }
  }
}

#else

int cfk_available(void) { return 0; }
void cfk_dots(const float *x, long n, const float *w, long m, long k, float *out, long stride,
              float *room) {
  (void)x, (void)n, (void)w, (void)m, (void)k, (void)out, (void)stride, (void)room;
}
void cfk_outer(const float *a, long a_p, long a_i, const float *b, long b_stride, long count,
               float *out, long out_stride, long rows, long columns) {
  (void)a, (void)a_p, (void)a_i, (void)b, (void)b_stride, (void)count, (void)out;
  (void)out_stride, (void)rows, (void)columns;
}

#endif
