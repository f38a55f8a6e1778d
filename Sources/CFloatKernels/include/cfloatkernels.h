/// Matrix products of the float interpreter on processors with wider registers than the package is
/// compiled for. Every sum has the order of the portable loops in `FloatKernels`, and no product is
/// fused with its sum, so both give the same bits.
#ifndef CFLOATKERNELS_H
#define CFLOATKERNELS_H

/// Whether the functions below may be called on this processor.
int cfk_available(void);

/// `out[t][o] = x[t] · w[o]` for `n` tokens and `m` rows of `k` numbers: four interleaved sums, added
/// in pairs, then the tail. `out` has `stride` numbers for a token. `room` takes
/// `8 * (k / 4) * 4` numbers.
void cfk_dots(const float *x, long n, const float *w, long m, long k, float *out, long stride,
              float *room);

/// `out[i][j] += Σ_p a[p][i] b[p][j]`, p in order, for `rows` i and `columns` j. Element (p, i) of a is
/// at `p * a_p + i * a_i`; rows of b and out are `b_stride` and `out_stride` numbers apart.
void cfk_outer(const float *a, long a_p, long a_i, const float *b, long b_stride, long count,
               float *out, long out_stride, long rows, long columns);

#endif
