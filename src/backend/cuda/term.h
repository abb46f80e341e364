/* SPDX-License-Identifier: MIT */
/* term.h - what the pair terms of the card share: one warp per atom, its lanes share the neighbours: all
 * atoms of a molecule (lane k takes the atoms k, k + 32, ...), or a walk over the bins of a crystal
 * (cells.h), on the fly: no list of the long range is stored. The lanes are added as a balanced tree,
 * so a sum depends on the system alone.
 *
 * Differences of positions, sums of energies and potentials, and what is done once per atom are in
 * double. T is the type of a pair's functions: double with a network in double, else float. Included
 * by term.cu and dispersion.cu. */
#ifndef AIM_BACKEND_CUDA_TERM_H
#define AIM_BACKEND_CUDA_TERM_H

#include "backend/cuda/cuda.h"
#include "point/d3_damping.h"
#include "point/units.h"

enum { WARPS = 4 };

/* ---------------------------------------------------------------- functions in float */

static __device__ __forceinline__ float fast_inverse(float x)
{
    return __fdividef(1.0f, x);
}
static __device__ __forceinline__ double fast_inverse(double x)
{
    return 1.0 / x;
}
static __device__ __forceinline__ float inverse_root(float x)
{
    return rsqrtf(x);
}
static __device__ __forceinline__ double inverse_root(double x)
{
    return rsqrt(x);
}
static __device__ __forceinline__ float fast_exp(float x)
{
    return __expf(x);
}
static __device__ __forceinline__ double fast_exp(double x)
{
    return exp(x);
}

/* The counting function and its derivative to d (bohr): aim_d3_count */
template <typename T> static __device__ __forceinline__ T count(T inv_d, T rcov, T *slope)
{
    const T k = (T)AIM_D3_K1 * rcov * inv_d, e = fast_exp((T)AIM_D3_K1 - k),
            v = fast_inverse((T)1 + e);
    *slope = -v * v * e * k * inv_d;
    return v;
}

/* ---------------------------------------------------------------- the neighbours of an atom */

/* Which atom a warp works on; -1: none left. */
static __device__ __forceinline__ int warp_atom(const struct cu_terms &t, int *place)
{
    const int k = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    *place = k;
    if (k >= t.n)
        return -1;
    return t.cells.grid ? t.cells.order[k] : k;
}

/* Neighbours of a crystal's atom wait until there is one for every lane: the bins hold as many again
 * that are too far. */
template <typename T> struct alignas(4 * sizeof(T)) waiting {
    T r[3];
    int place;
};

template <typename T> struct line {
    waiting<T> *ring; /* [64] of the warp */
    int head, n;
};

template <typename T, typename F>
static __device__ __forceinline__ void queue_up(line<T> *l, int mine, const double r[3], int place,
                                                F f)
{
    const int lane = threadIdx.x % 32;
    const unsigned hits = __ballot_sync(0xffffffffu, mine);
    if (!hits)
        return;
    if (mine) {
        const int to = (l->head + l->n + __popc(hits & ((1u << lane) - 1))) & 63;
        l->ring[to] = waiting<T>{{(T)r[0], (T)r[1], (T)r[2]}, place};
    }
    l->n += __popc(hits);
    __syncwarp();
    if (l->n < 32)
        return;
    const waiting<T> next = l->ring[(l->head + lane) & 63];
    __syncwarp();
    l->head = (l->head + 32) & 63;
    l->n -= 32;
    f(next.place, next.r);
}

template <typename T, typename F>
static __device__ __forceinline__ void serve_rest(const line<T> &l, F f)
{
    const int lane = threadIdx.x % 32;
    if (lane < l.n) {
        const waiting<T> next = l.ring[(l.head + lane) & 63];
        f(next.place, next.r);
    }
}

/* Calls far(place, r) or, for pairs closer than `near`, close(place, r) with r in double, every
 * neighbour of atom i within `reach` in one of the lanes. */
template <typename T, int CRYSTAL, typename FAR, typename NEAR>
static __device__ __forceinline__ void for_neighbours(const struct cu_terms &t, int i, int place,
                                                      double reach, double near, FAR far,
                                                      NEAR close)
{
    const int s = t.system[i];
    if (CRYSTAL) {
        __shared__ waiting<T> far_ring[WARPS][64];
        __shared__ waiting<double> near_ring[WARPS][64];
        const int warp = threadIdx.x / 32;
        const T near2 = (T)(near * near);
        line<T> far_line = {far_ring[warp], 0, 0};
        line<double> near_line = {near_ring[warp], 0, 0};
        cu_walk_as<T>(t.cells, t.cells.grid[s], place, reach,
                      [&](int k, const double r[3], T d2, int) {
                          const int is_near = k >= 0 && d2 < near2;
                          queue_up(&far_line, k >= 0 && !is_near, r, k, far);
                          if (near2 > (T)0)
                              queue_up(&near_line, is_near, r, k, close);
                      });
        serve_rest(far_line, far);
        if (near2 > (T)0)
            serve_rest(near_line, close);
        return;
    }
    const double x = t.coord[3 * i], y = t.coord[3 * i + 1], z = t.coord[3 * i + 2];
    for (int j = t.offset[s] + threadIdx.x % 32; j < t.offset[s + 1]; j += 32) {
        const double r[3] = {t.coord[3 * j] - x, t.coord[3 * j + 1] - y, t.coord[3 * j + 2] - z};
        const double d2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
        if (j == i || d2 >= reach * reach)
            continue;
        if (near > 0.0) {
            close(j, r);
        } else {
            const T short_r[3] = {(T)r[0], (T)r[1], (T)r[2]};
            far(j, short_r);
        }
    }
}

/* sum of force r and of force r r (xx yy zz xy xz yz) */
template <typename T> struct pull {
    T g[3], w[6];
};

template <typename T>
static __device__ __forceinline__ void add_pull(pull<T> *p, const T r[3], T force, int strain)
{
#pragma unroll
    for (int k = 0; k < 3; k++)
        p->g[k] += force * r[k];
    if (!strain)
        return;
#pragma unroll
    for (int k = 0; k < 3; k++)
        p->w[k] += force * r[k] * r[k];
    p->w[3] += force * r[0] * r[1];
    p->w[4] += force * r[0] * r[2];
    p->w[5] += force * r[1] * r[2];
}

/* Gradient and virial of atom i from all lanes; plus: other shares of them, or NULL. */
static __device__ __forceinline__ void finish_pull(const pull<double> &p, int i, int strain,
                                                   const double *grad_more,
                                                   const double *virial_more, double *grad,
                                                   double *virial)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < 3; k++) {
        const double g = cu_warp_sum(p.g[k]);
        const size_t at = 3 * (size_t)i + k;
        if (lane == 0)
            grad[at] = grad_more ? grad_more[at] + g : g;
    }
    if (!strain)
        return;
    double w[6];
#pragma unroll
    for (int k = 0; k < 6; k++)
        w[k] = -0.5 * cu_warp_sum(p.w[k]);
    const double full[9] = {w[0], w[3], w[4], w[3], w[1], w[5], w[4], w[5], w[2]};
    if (lane == 0)
#pragma unroll
        for (int k = 0; k < 9; k++) {
            const size_t at = 9 * (size_t)i + k;
            virial[at] = virial_more ? virial_more[at] + full[k] : full[k];
        }
}

/* scaled sum of the pairs in T and those in double */
template <typename T>
static __device__ __forceinline__ pull<double> both_pulls(const pull<T> &far, double factor,
                                                          const pull<double> &close)
{
    pull<double> p;
#pragma unroll
    for (int k = 0; k < 3; k++)
        p.g[k] = factor * (double)far.g[k] + close.g[k];
#pragma unroll
    for (int k = 0; k < 6; k++)
        p.w[k] = factor * (double)far.w[k] + close.w[k];
    return p;
}

/* Number of an atom's kind by its place, and the covalent radii (bohr) of all kinds in shared memory. */
static __device__ __forceinline__ int kind_at(const struct cu_terms &t, int place)
{
    return t.cells.grid ? t.cells.kind[place] : t.kind[place];
}

template <typename T> static __device__ void load_radii(const struct cu_terms &t, T *radius)
{
    for (int k = threadIdx.x; k < t.kinds; k += blockDim.x)
        radius[k] = (T)t.d3.rcov[t.kind_number[k]];
    __syncthreads();
}

#endif
