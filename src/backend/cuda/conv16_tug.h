/* SPDX-License-Identifier: MIT */
/* conv16_tug.h - tugs of pairs and forces from them, in the adjoints of the convolution (conv16_back.cu)
 * and of the first one (conv16_first.cu).
 *
 * The energy knows a pair (i, j) twice: through the sums of j, where i is a neighbour, and through those
 * of i. What gathers for i the adjoints of j's sums can leave the first share of the pair's force, its tug:
 * the derivatives by distance and direction. The second share is the tug of the reverse pair (j, i). Forces
 * follow from both in a kernel of their own, of all passes at the end where tugs are kept as long.
 *
 * Where reverse pairs are not at hand (those of another slab's atoms, lists of the caller, few atoms) an atom
 * forms the reverse tugs as well, from what belongs to it and its neighbours: by the same expressions with the
 * roles exchanged; and lists give both directions of a pair the same bits, so the results are the same. */
#ifndef AIM_CUDA_CONV16_TUG_H
#define AIM_CUDA_CONV16_TUG_H

#include "backend/cuda/conv16.h"

/* Adjoints of the sums of an atom, four columns. */
struct sums4 {
    float4 s[4];
};

/* Of four columns, before the radial functions: by the distance, and by the direction. */
struct tug4 {
    float4 d, u[3];
};

static __device__ __forceinline__ void add_product(float4 *s, const float4 &a, const float4 &b)
{
    s->x = fmaf(a.x, b.x, s->x);
    s->y = fmaf(a.y, b.y, s->y);
    s->z = fmaf(a.z, b.z, s->z);
    s->w = fmaf(a.w, b.w, s->w);
}

static __device__ __forceinline__ float dot(const float4 &a, const float4 &b)
{
    return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, __fmul_rn(a.x, b.x))));
}

static __device__ __forceinline__ sums4 load_sums(const float *s, int columns)
{
    sums4 x;
#pragma unroll
    for (int d = 0; d < 4; d++)
        x.s[d] = load4(s + d * columns);
    return x;
}

/* What the sums give back to a neighbour's features, which they see in direction -u. */
static __device__ __forceinline__ float4 give_back(const sums4 &x, const float4 &u)
{
    float4 w = x.s[0];
    add4(&w, x.s[1], -u.x);
    add4(&w, x.s[2], -u.y);
    add4(&w, x.s[3], -u.z);
    return w;
}

/* w: what the sums give back to features a. */
static __device__ __forceinline__ void add_tug(tug4 *t, const float4 &a, const sums4 &x,
                                               const float4 &w)
{
    add_product(&t->d, a, w);
#pragma unroll
    for (int d = 0; d < 3; d++)
        add_product(&t->u[d], a, x.s[d + 1]);
}

/* The four numbers of a tug, summed over four lanes: each lane gets the one of its own place. */
static __device__ __forceinline__ float fold(const tug4 &t, const float4 &gs, const float4 &dgs)
{
    const int odd = threadIdx.x & 1, upper = threadIdx.x & 2;
    const float x0 = dot(dgs, t.d), x1 = dot(gs, t.u[0]), x2 = dot(gs, t.u[1]),
                x3 = dot(gs, t.u[2]);
    const float low = (odd ? x1 : x0) + __shfl_xor_sync(0xffffffffu, odd ? x0 : x1, 1),
                high = (odd ? x3 : x2) + __shfl_xor_sync(0xffffffffu, odd ? x2 : x3, 1);
    return (upper ? high : low) + __shfl_xor_sync(0xffffffffu, upper ? low : high, 2);
}

/* Both tugs of a pair, number `which`: the direction of the reverse one is opposite. */
static __device__ __forceinline__ float join_tugs(float own, float reverse, int which)
{
    return which == 0 ? own + reverse : own - reverse;
}

static __device__ __forceinline__ float4 join_tugs(const float4 &own, const float4 &reverse)
{
    return make_float4(join_tugs(own.x, reverse.x, 0), join_tugs(own.y, reverse.y, 1),
                       join_tugs(own.z, reverse.z, 2), join_tugs(own.w, reverse.w, 3));
}

/* Of the reverse pair. */
static __device__ __forceinline__ float4 turn_round(const float4 &u)
{
    return make_float4(-u.x, -u.y, -u.z, u.w);
}

/* The force of a pair on its atom, in double; p: force, and r (x) force for the strain. */
template <int STRAIN>
static __device__ __forceinline__ void add_force(pull<double> *p, const vec4<float> &u,
                                                 const float4 &g)
{
    const float inv = 1.0f / u.w, dir[3] = {u.x, u.y, u.z}, gu[3] = {g.y, g.z, g.w},
                along = fmaf(u.z, gu[2], fmaf(u.y, gu[1], __fmul_rn(u.x, gu[0]))),
                t = fmaf(along, inv, g.x);
#pragma unroll
    for (int d = 0; d < 3; d++) {
        const float f = fmaf(gu[d], inv, -__fmul_rn(t, dir[d]));
        p->f[d] += (double)f;
        if (STRAIN)
#pragma unroll
            for (int e = 0; e < 3; e++)
                p->w[3 * e + d] += (double)__fmul_rn(__fmul_rn(dir[e], u.w), f);
    }
}

/* Sums of an atom's pulls, force and strain. */
enum { PULLS = 12 };

template <int STRAIN>
static __device__ __forceinline__ void sum_pulls(const pull<double> &p, double sum[PULLS])
{
#pragma unroll
    for (int d = 0; d < 3; d++)
        sum[d] = cu_warp_sum(p.f[d]);
#pragma unroll
    for (int d = 0; d < 9 && STRAIN; d++)
        sum[3 + d] = cu_warp_sum(p.w[d]);
}

/* Adds the sums of a pass to what is there. */
template <int STRAIN>
static __device__ __forceinline__ void add_pulls(double all[PULLS], const double sum[PULLS])
{
#pragma unroll
    for (int d = 0; d < 3; d++)
        all[d] += sum[d];
#pragma unroll
    for (int d = 3; d < PULLS && STRAIN; d++)
        all[d] -= 0.5 * sum[d];
}

/* What is there of atom i, by a lane. */
template <int STRAIN>
static __device__ __forceinline__ void load_pulls(const cu_conv<float> &c, int i, double all[PULLS])
{
#pragma unroll
    for (int d = 0; d < (STRAIN ? PULLS : 3); d++)
        all[d] = d < 3 ? c.grad[3 * (size_t)i + d] : c.virial[9 * (size_t)i + d - 3];
}

template <int STRAIN>
static __device__ __forceinline__ void store_pulls(const cu_conv<float> &c, int i,
                                                   const double all[PULLS])
{
#pragma unroll
    for (int d = 0; d < (STRAIN ? PULLS : 3); d++)
        if (d < 3)
            c.grad[3 * (size_t)i + d] = all[d];
        else
            c.virial[9 * (size_t)i + d - 3] = all[d];
}

template <int STRAIN>
static __device__ __forceinline__ void leave_force(const cu_conv<float> &c, int i,
                                                   const pull<double> &p)
{
    double sum[PULLS], all[PULLS];
    sum_pulls<STRAIN>(p, sum);
    if (threadIdx.x % 32)
        return;
    load_pulls<STRAIN>(c, i, all);
    add_pulls<STRAIN>(all, sum);
    store_pulls<STRAIN>(c, i, all);
}

/* What a pass has left of the n pairs of atom i; a lane, every 32nd pair. */
template <int STRAIN>
static __device__ __forceinline__ void pull_pairs(const cu_conv<float> &c, const float *tug, int i,
                                                  int n, double sum[PULLS])
{
    pull<double> p = {};
#pragma unroll 1
    for (int k = threadIdx.x % 32; k < n; k += 32) {
        const size_t at = (size_t)i * c.capacity + k;
        const float4 own = load4(tug + 4 * at);
        const vec4<float> u = c.u[at];
        const int back = c.back ? c.back[at] : -1;
        add_force<STRAIN>(&p, u,
                          back >= 0 ? join_tugs(own, load4(tug + 4 * (c.zero + (size_t)back))) : own);
    }
    sum_pulls<STRAIN>(p, sum);
}

/* Where the tugs of pass t + 1 are kept. */
static __device__ __forceinline__ const float *kept_tugs(const cu_conv<float> &c, int t)
{
    return c.tugs + c.tugs_pass * t;
}

/* Forces, once the tugs of all pairs are there (conv16_back.cu). */
void cu_conv16_pull(cu_state *s, cudaStream_t stream, const cu_conv<float> *c);

#endif
