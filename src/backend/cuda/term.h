/* SPDX-License-Identifier: MIT */
/* term.h - what the kernels of Coulomb energies (term.cu) and of DFT-D3 (dispersion.cu) have in common.
 * T is the type of a pair's functions: double with a network in double, else float. Sums of energies
 * and potentials, and what is done once per atom, are in double. */
#ifndef AIM_BACKEND_CUDA_TERM_H
#define AIM_BACKEND_CUDA_TERM_H

#include "backend/cuda/groups.h"
#include "point/coulomb.h"
#include "point/cutoff.h"
#include "point/d3_damping.h"
#include "point/gelu.h"
#include "point/units.h"

enum { WARPS = CU_WALKERS, D3_ROW = CU_D3_ROW };

/* ---------------------------------------------------------------- functions in float
 *
 * Those of the processor, without its detours for numbers below 10^-38: no pair has such. */

static __device__ __forceinline__ float fast_inverse(float x)
{
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
static __device__ __forceinline__ double fast_inverse(double x)
{
    return 1.0 / x;
}
static __device__ __forceinline__ float inverse_root(float x)
{
    float y;
    asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
static __device__ __forceinline__ double inverse_root(double x)
{
    return rsqrt(x);
}
static __device__ __forceinline__ float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
static __device__ __forceinline__ double power_of_two(double x)
{
    return exp2(x);
}
static __device__ __forceinline__ float saturate(float x)
{
    return __saturatef(x);
}
static __device__ __forceinline__ double saturate(double x)
{
    return fmin(fmax(x, 0.0), 1.0);
}

#define LOG2_E 1.4426950408889634074

/* The counting function (aim_d3_count) of a pair whose radii (load_radii) add up to `radii`: v and e, where
 * v = 1 / (1 + e); its slope is -v v e radii / d^2 / log2(e). */
template <typename T> static __device__ __forceinline__ T count(T inv_d, T radii, T *e)
{
    *e = power_of_two((T)(AIM_D3_K1 * LOG2_E) - radii * inv_d);
    return fast_inverse((T)1 + *e);
}

/* Damped shifted force of one pair within the cutoff: value, and the derivative divided by d. */
static __device__ __forceinline__ float dsf_pair(float d2, float d, float inv, const aim_dsf &p,
                                                 float *slope)
{
    const float e = power_of_two(d2 * (float)(-p.alpha * p.alpha * LOG2_E)),
                t = fast_inverse(1.0f + (float)(0.35355339059327376220 * p.alpha) * d),
                c = e * aim_normal_tail_f32(t) * inv; /* erfc(x) = 2 (1 - Phi(x sqrt(2))) */
    *slope = ((float)p.slope - (c + (float)p.gauss * e) * inv) * inv;
    return c + (d * (float)p.slope - (float)(p.shift + p.rc * p.slope));
}
static __device__ __forceinline__ double dsf_pair(double, double d, double inv, const aim_dsf &p,
                                                  double *slope)
{
    const aim_deriv f = aim_coulomb_dsf(d, &p);
    *slope = f.d1 * inv;
    return f.v;
}

/* Coulomb's short-range part of a pair. */
static __device__ __forceinline__ aim_deriv short_range(const struct cu_terms &t, double d)
{
    return aim_deriv_mul(aim_coulomb_simple(d),
                         aim_cutoff_envelope(d, t.sr_rc, (aim_envelope)t.envelope));
}

/* dE/dCN (hartree) to what cn_force() takes */
static const double CN_UNIT = AIM_HARTREE / LOG2_E;

/* dE/dd / d of a pair, eV/A^2, through the coordination numbers of both; inv: 1/d, 1/A */
template <typename T> static __device__ __forceinline__ T cn_force(T radii, T cn_grads, T inv)
{
    T e;
    const T v = count(inv, radii, &e);
    return cn_grads * (v * v) * (e * radii) * (inv * inv * inv);
}

/* ---------------------------------------------------------------- the atoms of a molecule */

/* Calls f(j, r) for every other atom of the system of atom i within `reach`: lane k takes the atoms
 * k, k + 32, ... */
template <typename F>
static __device__ __forceinline__ void for_molecule(const struct cu_terms &t, int i, double reach,
                                                    F f)
{
    const int s = t.system[i];
    const double x = t.coord[3 * i], y = t.coord[3 * i + 1], z = t.coord[3 * i + 2];
    for (int j = t.offset[s] + threadIdx.x % 32; j < t.offset[s + 1]; j += 32) {
        const double r[3] = {t.coord[3 * j] - x, t.coord[3 * j + 1] - y, t.coord[3 * j + 2] - z};
        if (j != i && r[0] * r[0] + r[1] * r[1] + r[2] * r[2] < reach * reach)
            f(j, r);
    }
}

/* ---------------------------------------------------------------- the network's list */

/* From atom i to the neighbour that stands at this place of the list. */
static __device__ __forceinline__ void list_pair(const struct cu_terms &t, int i, size_t at,
                                                 double r[3])
{
    const double *x = t.order ? t.cells.wrapped : t.coord;
    const int j = t.j[at];
    for (int d = 0; d < 3; d++)
        r[d] = x[3 * (size_t)j + d] - x[3 * (size_t)i + d];
    if (!t.shift)
        return;
    const int s = t.shift[at];
    const double *h = t.cells.grid[t.system[i]].cell;
    for (int d = 0; d < 3; d++)
        r[d] += (double)(signed char)(s & 255) * h[d] +
                (double)(signed char)(s >> 8 & 255) * h[3 + d] +
                (double)(signed char)(s >> 16 & 255) * h[6 + d];
}

/* ---------------------------------------------------------------- forces */

/* sum of force r and of force r r (xx yy zz xy xz yz) */
template <typename T> struct pull {
    T g[3], w[6];
};

template <typename T>
static __device__ __forceinline__ void add_pull(pull<T> *p, const T r[3], T force, int strain)
{
#pragma unroll
    for (int k = 0; k < 3; k++)
        p->g[k] = fma(force, r[k], p->g[k]); /* the same bits with strain and without */
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

/* The same in double, times a factor. */
template <typename T>
static __device__ __forceinline__ pull<double> widened(const pull<T> &from, double factor)
{
    pull<double> p;
#pragma unroll
    for (int k = 0; k < 3; k++)
        p.g[k] = factor * (double)from.g[k];
#pragma unroll
    for (int k = 0; k < 6; k++)
        p.w[k] = factor * (double)from.w[k];
    return p;
}

/* The covalent radii (Angstrom) of all kinds, in shared memory, times what the counting function needs. */
template <typename T> static __device__ void load_radii(const struct cu_terms &t, T *radius)
{
    for (int k = threadIdx.x; k < t.kinds; k += blockDim.x)
        radius[k] = (T)(AIM_D3_K1 * LOG2_E * AIM_BOHR * t.d3.rcov[t.kind_number[k]]);
    __syncthreads();
}

/* What an atom leaves behind, in lane 0. */
static __device__ __forceinline__ void leave(const struct cu_terms &t, int i, double q, double phi,
                                             double phi_sr)
{
    t.e[i] = 0.5 * AIM_COULOMB_K * q * phi;
    t.e[t.n + i] = 0.5 * AIM_COULOMB_K * q * phi_sr;
    if (t.want_grad)
        t.gq[i] = AIM_COULOMB_K * (phi + phi_sr);
}

/* ---------------------------------------------------------------- groups of crystals */

/* Sums over the lanes of a warp, each as cu_warp_sum() makes it: sum k comes out in lane LANES k. Half of the sums
 * go to half of the lanes, and so on, until each has one; so a tree of lanes serves all. */
template <int K> struct cu_tree {
    enum { SUMS = K > 8 ? 16 : K > 4 ? 8 : K > 1 ? 4 : 1, LANES = 32 / SUMS };
};
template <int K, typename T>
static __device__ __forceinline__ T tree_sums(const T (&sum)[K])
{
    enum { N = cu_tree<K>::SUMS };
    const int lane = threadIdx.x % 32;
    T v[N];
#pragma unroll
    for (int k = 0; k < N; k++)
        v[k] = k < K ? sum[k] : (T)0;
#pragma unroll
    for (int n = N / 2, d = 16; d > 0; n /= 2, d /= 2) {
        if (n == 0)
            v[0] += __shfl_xor_sync(0xffffffffu, v[0], d);
#pragma unroll
        for (int k = 0; k < n; k++) {
            const T given = lane & d ? v[k] : v[k + n], kept = lane & d ? v[k + n] : v[k];
            v[k] = kept + __shfl_xor_sync(0xffffffffu, given, d);
        }
    }
    return v[0];
}

/* Sums of a group's atoms, [CU_GROUP][K] in shared memory: adds those of all lanes to atom a's. */
template <int K, typename T>
static __device__ __forceinline__ void add_sums(double *to, const T (&sum)[K])
{
    enum { LANES = cu_tree<K>::LANES };
    const int lane = threadIdx.x % 32, own = lane / LANES;
    const T v = tree_sums(sum);
    if (lane % LANES == 0 && own < K)
        to[own] += (double)v;
    __syncwarp();
}

/* Where numbers of the atom at a place stand. */
static __device__ __forceinline__ int atom_of(const struct cu_terms &t, int place)
{
    return t.order ? t.order[place] : place;
}

template <typename T> static __device__ __forceinline__ int apart(int, T d2)
{
    return d2 > (T)0;
}

#endif
