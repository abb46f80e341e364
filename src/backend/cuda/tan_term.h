/* SPDX-License-Identifier: MIT */
/* tan_term.h - directional derivatives of sums over pairs, what their kernels share.
 *
 * A warp owns an atom and DIRS directions: its lanes share the neighbours, what belongs to a pair alone
 * is computed once for all of them, and the lanes are added as a balanced tree, so that a direction
 * does not know its siblings. With f = -e'/d, h = f'/d, tr = tx_j - tx_i + r W, a = r.tr and a
 * parameter p of each atom a pair adds
 *
 *     to dE/dr_i   (h a + f_i tp_i + f_j tp_j) r + f tr
 *     to dE/dp_i   -f_i a + e_ii tp_i + e_ij tp_j */
#ifndef AIM_CUDA_TAN_TERM_H
#define AIM_CUDA_TAN_TERM_H

#include "backend/cuda/tangent.h"
#include "backend/cuda/walk.h"
#include "point/deriv.h"
#include "point/units.h"

enum { WARPS = 4, DIRS = 4 };

/* ---------------------------------------------------------------- pairs */

/* Calls f(j, r) for every neighbour of atom i within `reach`, each in one of the lanes. */
template <int CRYSTAL, typename F>
static __device__ __forceinline__ void for_pairs(const struct cu_terms &t, int place, int i,
                                                 double reach, F f)
{
    const int s = t.system[i];
    if constexpr (CRYSTAL)
        cu_walk(t.cells, t.cells.grid[s], place, reach, [&](int k, const double r[3], double, int) {
            if (k >= 0)
                f(t.cells.order[k], r);
        });
    else
        for (int j = t.offset[s] + threadIdx.x % 32; j < t.offset[s + 1]; j += 32) {
            const double r[3] = {t.coord[3 * j] - t.coord[3 * i],
                                 t.coord[3 * j + 1] - t.coord[3 * i + 1],
                                 t.coord[3 * j + 2] - t.coord[3 * i + 2]};
            if (j != i && r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < reach * reach)
                f(j, r);
        }
}

static __device__ __forceinline__ double length_of(const double r[3])
{
    return sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
}

/* f, h and the value of scale e(d) */
struct radial {
    double f, h, v;
};
static __device__ __forceinline__ radial radial_of(const aim_deriv &e, double scale, double d)
{
    radial r;
    r.f = -scale * e.d1 / d;
    r.h = -(scale * e.d2 + r.f) / (d * d);
    r.v = scale * e.v;
    return r;
}

/* A function of a distance in bohr, d in Angstrom. */
static __device__ __forceinline__ radial radial_in_bohr(aim_deriv e, double scale, double d)
{
    e.d1 *= AIM_BOHR_INV;
    e.d2 *= AIM_BOHR_INV * AIM_BOHR_INV;
    return radial_of(e, scale, d);
}

/* Which atom and directions a warp works on; 0: none left. */
struct share {
    int place, i, first, n;
};
template <int CRYSTAL>
static __device__ __forceinline__ int find_share(const cu_term_tan &c, share *s)
{
    const int warp = (blockIdx.x * blockDim.x + threadIdx.x) / 32, n = c.of.n;
    if (warp >= n * ((c.n_dir + DIRS - 1) / DIRS))
        return 0;
    s->place = warp % n;
    s->i = CRYSTAL ? c.of.cells.order[s->place] : s->place;
    s->first = warp / n * DIRS;
    s->n = min(DIRS, c.n_dir - s->first);
    return 1;
}

static __device__ __forceinline__ size_t row_of(const cu_term_tan &c, const share &s, int d,
                                                int atom)
{
    return (size_t)(s.first + d) * c.of.n + atom;
}

/* tr of a pair along direction d of the share */
static __device__ __forceinline__ void move_pair(const cu_term_tan &c, const share &s, int d, int j,
                                                 const double r[3], double tr[3])
{
    const double *own = c.tx + 3 * row_of(c, s, d, s.i), *other = c.tx + 3 * row_of(c, s, d, j);
#pragma unroll
    for (int e = 0; e < 3; e++)
        tr[e] = other[e] - own[e];
    if (!c.w)
        return;
    const double *w = c.w + 9 * ((size_t)(s.first + d) * c.systems + c.of.system[s.i]);
#pragma unroll
    for (int e = 0; e < 3; e++)
        tr[e] += r[0] * w[e] + r[1] * w[3 + e] + r[2] * w[6 + e];
}

/* Tangents of gradient, strain derivative and dE/dp of one atom. */
template <int STRAIN> struct sums {
    double g[DIRS][3], w[DIRS][STRAIN ? 6 : 1], p[DIRS];
};

template <int STRAIN>
static __device__ __forceinline__ void add_pull(sums<STRAIN> *x, int d, const double r[3],
                                                const double tr[3], double tf, double f)
{
#pragma unroll
    for (int k = 0; k < 3; k++)
        x->g[d][k] += tf * r[k] + f * tr[k];
    if constexpr (STRAIN)
#pragma unroll
        for (int k = 0; k < 3; k++) {
            const int a = k == 2, b = k == 0 ? 1 : 2; /* xy xz yz */
            x->w[d][k] += (tf * r[k] + 2.0 * f * tr[k]) * r[k];
            x->w[d][3 + k] += tf * r[a] * r[b] + f * (tr[a] * r[b] + r[a] * tr[b]);
        }
}

/* tgrad and tvirial +=; returns the sum of p. */
template <int STRAIN>
static __device__ __forceinline__ double finish(const cu_term_tan &c, const share &s,
                                                const sums<STRAIN> &x, int d)
{
    const size_t row = row_of(c, s, d, s.i);
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < 3; k++) {
        const double g = cu_warp_sum(x.g[d][k]);
        if (lane == 0)
            c.tgrad[3 * row + k] += g;
    }
    if constexpr (STRAIN) {
        const int place[9] = {0, 3, 4, 3, 1, 5, 4, 5, 2};
        double w[6];
#pragma unroll
        for (int k = 0; k < 6; k++)
            w[k] = cu_warp_sum(x.w[d][k]);
        if (lane == 0)
#pragma unroll
            for (int k = 0; k < 9; k++)
                c.tvirial[9 * row + k] -= 0.5 * w[place[k]];
    }
    return cu_warp_sum(x.p[d]);
}

/* Blocks of a kernel with a warp for every share. */
static inline unsigned blocks_of(const cu_term_tan *c)
{
    return (unsigned)(((size_t)c->of.n * ((c->n_dir + DIRS - 1) / DIRS) + WARPS - 1) / WARPS);
}

#endif
