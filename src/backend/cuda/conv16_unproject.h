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

/* Part k of 2 v gxv, four combinations of a component of a channel. */
static __device__ __forceinline__ void weigh_part(float *w, int k, int ncomb, const float *v,
                                                  const float *gxv, int aligned)
{
    const int f = k / 12, d = k / 4 % 3, h = k % 4 * 4;
    if (h >= ncomb)
        return;
    const float4 own = load4_once(v + (f * 3 + d) * HP + h),
                 g = load_adjoints(gxv + f * ncomb, h, ncomb, aligned);
    *(float4 *)(w + f * W_STRIDE + d * HP + h) =
        make_float4(2.0f * own.x * g.x, 2.0f * own.y * g.y, 2.0f * own.z * g.z, 2.0f * own.w * g.w);
}

/* 2 v gxv of the channels first .. last - 1 */
static __device__ __forceinline__ void weigh(float *w, int first, int last, int ncomb,
                                             const float *v, const float *gxv, int aligned)
{
    __syncwarp();
#pragma unroll 6
    for (int k = first * 12 + threadIdx.x % 32; k < last * 12; k += 32)
        weigh_part(w, k, ncomb, v, gxv, aligned);
    __syncwarp();
}

/* 2 v gxv of atom i's features, channels first .. last - 1. */
static __device__ __forceinline__ void weigh_features(const cu_conv<float> &c, const float *gx,
                                                      float *w, int i, int first, int last)
{
    weigh(w, first, last, c.ncomb, c.v + (size_t)i * NF * 3 * HP, gx + c.col.xv,
          c.ncomb % 4 == 0 && c.col.xv % 4 == 0);
}

/* Adjoints of the sums in the lane's columns of half h. */
static __device__ __forceinline__ void unproject_half(const cu_conv<float> &c, const float *gx,
                                                      const float *w, int h, float4 s[4])
{
    const int column = h * HALF + threadIdx.x % 32 * 4;
    s[0] = load_any(gx + c.col.xs + column, c.col.xs % 4 == 0);
    unproject(w, c.agh_h, COLUMNS, column, c.ncomb, s + 1);
}

/* Those of the sums of charges, w: room for their vectors; and the adjoints of the charges as they are. */
static __device__ __forceinline__ void unproject_charges(const cu_conv<float> &c, const float *gx,
                                                         float *w, int i)
{
    const int lane = threadIdx.x % 32, column = lane * 4;
    weigh(w, 0, c.nc, c.q_ncomb, c.vq + (size_t)i * c.nc * 3 * HP, gx + c.col.qv,
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
    float4 own = load_any(gx + c.col.a + column, c.col.a % 4 == 0);
    if (c.ga_later) {
        const float4 later = load4(c.ga_later + (size_t)i * COLUMNS + column);
        own = make_float4(own.x + later.x, own.y + later.y, own.z + later.z, own.w + later.w);
    }
    return own;
}

#endif
