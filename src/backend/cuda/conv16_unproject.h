/* SPDX-License-Identifier: MIT */
/* conv16_unproject.h - the adjoint of the projection by a warp, for conv16_project.cu and, where molecules
 * stay in shared memory, conv16_molecule.cu. */
#ifndef AIM_CUDA_CONV16_UNPROJECT_H
#define AIM_CUDA_CONV16_UNPROJECT_H

#include "backend/cuda/conv16.h"

enum { W_STRIDE = 3 * HP + 4 };

/* gS of the vectors of nf channels for the lane's four columns from `column` on, of `columns`.
 * w: 2 v gxv; agh: by combinations, so that lanes read whole rows. */
static __device__ __forceinline__ void unproject(const float *w, const float *agh, int columns,
                                                 int column, int ncomb, float4 s[3])
{
    const float *own = w + column / GP * W_STRIDE;
#pragma unroll
    for (int d = 0; d < 3; d++)
        s[d] = float4{};
#pragma unroll
    for (int h = 0; h < HP; h += 4) {
        if (h >= ncomb)
            break;
        float4 a[4];
#pragma unroll
        for (int m = 0; m < 4; m++)
            a[m] = load4(agh + (h + m) * columns + column);
#pragma unroll
        for (int d = 0; d < 3; d++) {
            const float4 y = load4(own + d * HP + h);
            add4(&s[d], a[0], y.x);
            add4(&s[d], a[1], y.y);
            add4(&s[d], a[2], y.z);
            add4(&s[d], a[3], y.w);
        }
    }
}

/* Of what is not read again soon: a hint that it may be the first to leave the second-level cache, where
 * the adjoints of the sums are wanted next. */
static __device__ __forceinline__ float4 load4_once(const float *p)
{
    return __ldcs((const float4 *)p);
}

static __device__ __forceinline__ float4 load_any(const float *x, int aligned)
{
    return aligned ? load4_once(x) : make_float4(x[0], x[1], x[2], x[3]);
}

/* Four of the adjoints gxv of ncomb combinations, from h on; 0 behind the last. */
static __device__ __forceinline__ float4 load_adjoints(const float *gxv, int h, int ncomb,
                                                       int aligned)
{
    if (aligned)
        return load4_once(gxv + h);
    return make_float4(gxv[h], h + 1 < ncomb ? gxv[h + 1] : 0.0f, h + 2 < ncomb ? gxv[h + 2] : 0.0f,
                       h + 3 < ncomb ? gxv[h + 3] : 0.0f);
}

/* The vectors of atom i, and those of its charges. */
static __device__ __forceinline__ const float *vectors(const cu_conv<float> &c, int i)
{
    return c.v + (size_t)i * 3 * NF * cu_vector_row(c.ncomb);
}
static __device__ __forceinline__ const float *charge_vectors(const cu_conv<float> &c, int i)
{
    return c.vq + (size_t)i * 3 * c.nc * cu_vector_row(c.q_ncomb);
}

/* Component d of 2 v gxv, four combinations from h on of channel f. */
static __device__ __forceinline__ void leave_weighed(float *w, int f, int d, int h, const float4 &v,
                                                     const float4 &g)
{
    *(float4 *)(w + f * W_STRIDE + d * HP + h) =
        make_float4(2.0f * v.x * g.x, 2.0f * v.y * g.y, 2.0f * v.z * g.z, 2.0f * v.w * g.w);
}

/* Part k of them, of nf channels. */
static __device__ __forceinline__ void weigh_part(float *w, int k, int nf, int ncomb,
                                                  const float *v, const float *gxv, int aligned)
{
    const int f = k / 12, d = k / 4 % 3, h = k % 4 * 4;
    if (h < ncomb)
        leave_weighed(w, f, d, h, load4_once(v + (d * nf + f) * cu_vector_row(ncomb) + h),
                      load_adjoints(gxv + f * ncomb, h, ncomb, aligned));
}

/* 2 v gxv of the channels first .. last - 1 of nf */
static __device__ __forceinline__ void weigh(float *w, int first, int last, int nf, int ncomb,
                                             const float *v, const float *gxv, int aligned)
{
    const int each = fours(ncomb);
    __syncwarp();
#pragma unroll 2
    for (int k = first * each + threadIdx.x % 32; k < last * each; k += 32) {
        const int f = channel_of(k, each), h = (k - f * each) * 4;
        const float4 g = load_adjoints(gxv + f * ncomb, h, ncomb, aligned);
        float4 own[3];
#pragma unroll
        for (int d = 0; d < 3; d++)
            own[d] = load4_once(v + (d * nf * each + k) * 4);
#pragma unroll
        for (int d = 0; d < 3; d++)
            leave_weighed(w, f, d, h, own[d], g);
    }
    __syncwarp();
}

/* 2 v gxv of atom i's features, channels first .. last - 1. */
static __device__ __forceinline__ void weigh_features(const cu_conv<float> &c, const float *gx,
                                                      float *w, int i, int first, int last)
{
    weigh(w, first, last, NF, c.ncomb, vectors(c, i), gx + c.col.xv, c.ncomb % 4 == 0);
}

/* Adjoints of the sums in the lane's columns of half h. */
static __device__ __forceinline__ void unproject_half(const cu_conv<float> &c, const float *gx,
                                                      const float *w, int h, float4 s[4])
{
    const int column = h * HALF + threadIdx.x % 32 * 4;
    s[0] = load4_once(gx + c.col.xs + column);
    unproject(w, c.agh_h, COLUMNS, column, c.ncomb, s + 1);
}

/* Those of the sums of charges, w: room for their vectors; and the adjoints of the charges as they are. */
static __device__ __forceinline__ void unproject_charges(const cu_conv<float> &c, const float *gx,
                                                         float *w, int i)
{
    const int lane = threadIdx.x % 32, column = lane * 4;
    weigh(w, 0, c.nc, c.nc, c.q_ncomb, charge_vectors(c, i), gx + c.col.qv,
          c.q_ncomb % 4 == 0 && c.col.qv % 4 == 0);
    if (lane < 4 * c.nc) {
        float4 t[4];
        t[0] = load_any(gx + c.col.qs + column, c.col.qs % 4 == 0);
        unproject(w, c.q_agh_h, c.nc * GP, column, c.q_ncomb, t + 1);
#pragma unroll
        for (int d = 0; d < 4; d++)
            *(float4 *)(c.sq_adj + ((size_t)i * 4 + d) * c.nc * GP + column) = t[d];
    }
    if (lane < c.nc)
        c.gq[(size_t)i * c.nc + lane] += gx[c.col.q + lane];
}

/* What atom i's own features get of gx, in the lane's columns of half h, and what later passes have left. */
static __device__ __forceinline__ float4 own_adjoint(const cu_conv<float> &c, const float *gx,
                                                     int i, int h)
{
    const int column = h * HALF + threadIdx.x % 32 * 4;
    float4 own = load4_once(gx + c.col.a + column);
    if (c.ga_later) {
        const float4 later = load4(c.ga_later + (size_t)i * COLUMNS + column);
        own = make_float4(own.x + later.x, own.y + later.y, own.z + later.z, own.w + later.w);
    }
    return own;
}

#endif
