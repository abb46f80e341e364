/* SPDX-License-Identifier: MIT */
/* dispersion.h - what the kernels of DFT-D3 have in common, by atoms and by groups (dispersion.cu) and by
 * molecules (molecules.cu): weights of an atom's references, what these make of its pairs, and sums. */
#ifndef AIM_BACKEND_CUDA_DISPERSION_H
#define AIM_BACKEND_CUDA_DISPERSION_H

#include "backend/cuda/term.h"

/* Of atoms by places, rows of D3_ROW references: normalised weights, their slopes and exponents; and the
 * smallest exponent of each atom. */
template <typename T> struct d3_rows {
    T *w, *dw, *s, *low;
};
template <typename T> static __device__ __forceinline__ d3_rows<T> rows_of(const struct cu_terms &t)
{
    return {(T *)t.w, (T *)t.dw, (T *)t.s, (T *)t.low};
}

/* The row of the atom at `place`, from its coordination number; a lane per reference, by eight neighbouring
 * lanes or, those from the ninth on idle, by a warp. */
template <typename T>
static __device__ __forceinline__ void set_weights(const struct cu_terms &t, const d3_rows<T> &to,
                                                   int place, int z, double cn, int lane)
{
    const int first = t.d3.first[z], n = t.d3.first[z + 1] - first,
              clamped = t.d3.cn_max && cn > t.d3.cn_max[z];
    cn = clamped ? t.d3.cn_max[z] : cn;
    const double own = lane < n ? aim_d3_exponent(cn, t.d3.cn[first + lane]) : -INFINITY;
    double top = own;
    for (int d = 4; d > 0; d >>= 1)
        top = fmax(top, __shfl_xor_sync(0xffffffffu, top, d));
    const double e = own - top;
    const int kept = lane < n && e >= t.d3.weight_floor;
    const double w = kept ? exp(e) : 0.0,
                 slope = kept ? -2.0 * AIM_D3_K3 * (cn - t.d3.cn[first + lane]) : 0.0;
    double sum = w, dsum = w * slope, low = kept ? e : 0.0;
    for (int d = 4; d > 0; d >>= 1) {
        sum += __shfl_xor_sync(0xffffffffu, sum, d);
        dsum += __shfl_xor_sync(0xffffffffu, dsum, d);
        low = fmin(low, __shfl_xor_sync(0xffffffffu, low, d));
    }
    if (lane < D3_ROW) {
        const size_t k = (size_t)place * D3_ROW + lane;
        to.w[k] = (T)(lane < n ? w / sum : 0.0);
        to.dw[k] = (T)(lane < n && !clamped ? w / sum * (slope - dsum / sum) : 0.0);
        to.s[k] = (T)(lane < n ? e : -INFINITY);
    }
    if (lane == 0)
        to.low[place] = (T)low;
}

/* C6 and dC6/dCN_i where pairs of references are dropped */
template <typename T>
static __device__ __noinline__ void long_way(const struct cu_terms *t, d3_rows<T> rows, int i, int j,
                                             int zi, int zj, T *c6, T *dc6)
{
    const int fi = t->d3.first[zi], ni = t->d3.first[zi + 1] - fi, fj = t->d3.first[zj],
              nj = t->d3.first[zj + 1] - fj;
    double num = 0, den = 0, dnum = 0, dden = 0;
    for (int a = 0; a < ni; a++)
        for (int b = 0; b < nj; b++) {
            const size_t ka = (size_t)i * D3_ROW + a, kb = (size_t)j * D3_ROW + b;
            if ((double)rows.s[ka] + (double)rows.s[kb] < t->d3.weight_floor)
                continue;
            const double c = t->d3.c6[(size_t)(fi + a) * t->d3.n_refs + fj + b],
                         w = (double)rows.w[ka] * (double)rows.w[kb],
                         dw = (double)rows.dw[ka] * (double)rows.w[kb];
            num += w * c;
            den += w;
            dnum += dw * c;
            dden += dw;
        }
    *c6 = (T)(num / den);
    *dc6 = (T)((dnum - num / den * dden) / den);
}

/* bohr^6 in Angstrom^6 */
static const double BOHR_6 = AIM_BOHR * AIM_BOHR * AIM_BOHR * AIM_BOHR * AIM_BOHR * AIM_BOHR;

/* References of an element. */
struct references {
    int first, n;
};
static __device__ __forceinline__ references references_of(const struct cu_terms &t, int z)
{
    const int first = t.d3.first[z];
    return {first, t.d3.first[z + 1] - first};
}

/* Of a pair of kinds: s8 3 r4r2 r4r2, powers of the damping radius; of Angstrom. n: references of the second. */
template <typename T> struct kind_pair {
    T c8, r06, r08;
    int n;
};

template <typename T>
static __device__ __forceinline__ kind_pair<T> pair_of_kinds(const struct cu_terms &t, int z, int zj)
{
    const double ratio = aim_d3_c8_ratio(t.d3.r4r2[z], t.d3.r4r2[zj]),
                 r0 = AIM_BOHR * aim_d3_radius(ratio, t.a1, t.a2), r2 = r0 * r0, r4 = r2 * r2;
    return {(T)(t.s8 * ratio * BOHR_6 * AIM_BOHR * AIM_BOHR), (T)(r4 * r2), (T)(r4 * r4),
            t.d3.first[zj + 1] - t.d3.first[zj]};
}

/* What an atom contributes to a pair with each kind of atom. */
template <typename T> struct alignas(16) kind_row {
    T g[D3_ROW], dg[D3_ROW]; /* sum_a w_a c6[a][b], d/dCN of it */
    kind_pair<T> of;
};

/* By a warp. own: references of the atom's kind; those of kind k are refs(k), the numbers of a pair with it of(k). */
template <typename T, typename R, typename P>
static __device__ __forceinline__ void fill_rows(const struct cu_terms &t, const d3_rows<T> &rows,
                                                 int place, const references &own, R refs, P of,
                                                 kind_row<T> *row)
{
    const T *w = rows.w + (size_t)place * D3_ROW, *dw = rows.dw + (size_t)place * D3_ROW;
    for (int k = threadIdx.x % 32; k < t.kinds * D3_ROW; k += 32) {
        const int kind = k / D3_ROW, b = k % D3_ROW;
        const references other = refs(kind);
        double g = 0, dg = 0;
        for (int a = 0; a < own.n && b < other.n; a++) {
            const double c = t.d3.c6[(size_t)(own.first + a) * t.d3.n_refs + other.first + b];
            g += (double)w[a] * c;
            dg += (double)dw[a] * c;
        }
        row[kind].g[b] = (T)g;
        row[kind].dg[b] = (T)dg;
        if (b == 0)
            row[kind].of = of(kind);
    }
    __syncwarp();
}

/* What is the same for all pairs of a launch; lengths in Angstrom. */
template <typename T> struct d3_constants {
    T s6, floor, on, inv_width, limit; /* of the switch: 0 and 0 if there is none */
    int many;                          /* a kind has more than four references */
};

template <typename T>
static __device__ __forceinline__ d3_constants<T> make_constants(const struct cu_terms &t)
{
    const double start = t.cutoff * (1.0 - t.smoothing), reach = fmin(t.reach, t.cutoff);
    const int smooth = start < t.cutoff && isfinite(t.cutoff);
    d3_constants<T> c;
    c.s6 = (T)(t.s6 * BOHR_6);
    c.floor = (T)t.d3.weight_floor;
    c.inv_width = (T)(smooth ? 1.0 / (t.cutoff - start) : 0.0);
    c.on = (T)(smooth ? start / (t.cutoff - start) : 0.0);
    c.limit = (T)(reach * reach);
    c.many = 0;
    for (int k = 0; k < t.kinds; k++)
        c.many |= t.d3.first[t.kind_number[k] + 1] - t.d3.first[t.kind_number[k]] > 4;
    return c;
}

/* damping times switch, and -d/dd of it divided by d: aim_d3_damping and aim_cutoff_s5 */
template <typename T>
static __device__ __forceinline__ T damped(T d2, T inv_d, const d3_constants<T> &c,
                                           const kind_pair<T> &k, T *f)
{
    d2 = min(d2, (T)1e8); /* farther pairs do not count, their powers overflow */
    const T d4 = d2 * d2, ia = fast_inverse(d4 * d2 + k.r06), ib = fast_inverse(d4 * d4 + k.r08),
            a = c.s6 * ia, b = k.c8 * ib, v = a + b,
            slope = d4 * ((T)6 * (a * ia) + (T)8 * (d2 * (b * ib))),
            x = saturate(d2 * inv_d * c.inv_width - c.on), u = x - x * x, x2 = x * x,
            sw = (T)1 - x * x2 * ((T)10 + x * ((T)6 * x - (T)15));
    *f = slope * sw + v * ((T)30 * c.inv_width) * (u * u) * inv_d;
    return v * sw;
}

/* C6 and dC6/dCN_i from the weights of the other atom: the first four, and where the others are, if a kind
 * has so many. */
template <typename T>
static __device__ __forceinline__ void short_way(const kind_row<T> &row, const vec4<T> &w0,
                                                 int many, const T *more, T *c6, T *dc6)
{
    *c6 = w0.x * row.g[0] + w0.y * row.g[1] + w0.z * row.g[2] + w0.w * row.g[3];
    *dc6 = w0.x * row.dg[0] + w0.y * row.dg[1] + w0.z * row.dg[2] + w0.w * row.dg[3];
    if (!many || row.of.n <= 4)
        return;
    const vec4<T> w1 = *(const vec4<T> *)more;
    *c6 += w1.x * row.g[4] + w1.y * row.g[5] + w1.z * row.g[6] + w1.w * row.g[7];
    *dc6 += w1.x * row.dg[4] + w1.y * row.dg[5] + w1.z * row.dg[6] + w1.w * row.dg[7];
}

/* Sums of one atom: energy and its derivative, forces. */
template <typename T> struct d3_sums {
    T e, cn;
    pull<T> p;
};

template <typename T>
static __device__ __forceinline__ void add_d3(d3_sums<T> *sum, const d3_constants<T> &c,
                                              const kind_row<T> &row, const T r[3], T d2, T c6,
                                              T dc6, int strain)
{
    T f;
    const T v = damped(d2, inverse_root(d2), c, row.of, &f);
    sum->e += c6 * v;
    sum->cn += dc6 * v;
    add_pull(&sum->p, r, c6 * f, strain);
}

static const double FORCE_UNIT = -AIM_HARTREE;

#endif
