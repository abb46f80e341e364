/* SPDX-License-Identifier: MIT */
/* chain_ends.h - ends of rows of layers in one kernel (chain.cu): factors, biases, activations, what others than the
 * next layer read. */
#ifndef AIM_CUDA_CHAIN_ENDS_H
#define AIM_CUDA_CHAIN_ENDS_H

#include "backend/cuda/chain.h"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
/* Of the thread's elements, in the order of their sums, read before the products: slopes of the layer
 * below, or features that are updated. */
template <int N, int MODE>
static __device__ __forceinline__ void read_ahead(const cu_gemm<float> &g, const chain_self &me,
                                                  int col0, float *ahead)
{
#pragma unroll
    for (int k = 0; k < N / 4; k++) {
        const int col = col0 + k / 2 * 8, row = min(me.row + k % 2 * 8, g.rows - 1);
        const float *from = NULL;
        if (MODE == CU_BACKWARD && g.slope && col < g.ldy)
            from = g.slope + (size_t)row * g.ldslope + col;
        if (MODE == CU_UPDATE && col < g.fa)
            from = g.old + (size_t)(g.old_row ? g.old_row[row] : row) * g.ldold + col;
        const float2 v = from ? *(const float2 *)from : make_float2(1, 1);
        ahead[2 * k] = v.x, ahead[2 * k + 1] = v.y;
    }
}

/* Eights of columns that are ended at once. */
template <int N> constexpr int EIGHTS = N % 24 == 0 ? 3 : N % 16 == 0 ? 2 : 1;

/* Their elements, at a place that is known only when it runs, of an array in registers. */
template <int N> static __device__ __forceinline__ void pick(float *to, const float *from, int turn)
{
    constexpr int COUNT = 4 * EIGHTS<N>;
#pragma unroll
    for (int k = 0; k < N / 2 / COUNT; k++)
        if (k == turn)
#pragma unroll
            for (int i = 0; i < COUNT; i++)
                to[i] = from[k * COUNT + i];
}
template <int N> static __device__ __forceinline__ void put(float *to, const float *from, int turn)
{
    constexpr int COUNT = 4 * EIGHTS<N>;
#pragma unroll
    for (int k = 0; k < N / 2 / COUNT; k++)
        if (k == turn)
#pragma unroll
            for (int i = 0; i < COUNT; i++)
                to[k * COUNT + i] = from[i];
}

static __device__ __forceinline__ void store2_if(bool yes, float *to, float x, float y)
{
    asm volatile(
        "{.reg .pred p; setp.ne.s32 p, %0, 0; @p st.global.v2.f32 [%1], {%2, %3};}" ::"r"((int)yes),
        "l"(to), "f"(x), "f"(y)
        : "memory");
}

/* Two neighbouring columns of a row, as far as others than the next layer read them. */
template <int MODE>
static __device__ __forceinline__ void chain_store(const cu_gemm<float> &g, bool real, int row,
                                                   int col, const float *z, const float *old)
{
    if (MODE == CU_UPDATE) {
        const bool feature = col < g.fa;
        float *to = feature ? g.y + (size_t)row * g.fa + col
                            : g.charges + (size_t)row * g.ldcharges + (col - g.fa);
        store2_if(real, to, feature ? old[0] + z[0] : z[0], feature ? old[1] + z[1] : z[1]);
    } else {
        store2_if(real && !g.inner, g.y + (size_t)row * g.ldy + col, z[0], z[1]);
    }
}

/* Biases of a layer's first columns: one row of them, or each row its own. */
template <int COUNT>
static __device__ __forceinline__ void read_biases(const cu_gemm<float> &g, const float *biases,
                                                   int row, int col, float *bias)
{
    if (g.bias_row) {
#pragma unroll
        for (int k = 0; k < COUNT; k += 2) {
            const float *from = bias_of(g, min(row + k / 2 % 2 * 8, g.rows - 1));
            const float2 b = *(const float2 *)(from + min(col + k / 4 * 8, g.ldy - 2));
            bias[k] = b.x, bias[k + 1] = b.y;
        }
    } else {
#pragma unroll
        for (int k = 0; k < COUNT; k += 2) {
            const float2 b = *(const float2 *)(biases + k / 4 * 8);
            bias[k] = b.x, bias[k + 1] = b.y;
        }
    }
}

/* Sums of the layers forward become values, some columns after the other in a loop that fits the
 * instruction cache, and without branches between elements. factors, biases: of col0 and so on. */
template <int N, int MODE, int GELU>
static __device__ __forceinline__ void end_forward(const cu_gemm<float> &g, const chain_self &me,
                                                   int col0, const float *factors, int biases,
                                                   const float *old, float *total, unsigned bits[2])
{
    constexpr int COUNT = 4 * EIGHTS<N>;
#pragma unroll 1
    for (int turn = 0; turn < N / 2 / COUNT; turn++) {
        float z[COUNT], slope[COUNT], bias[COUNT], before[COUNT];
        const int col1 = col0 + turn * (COUNT * 2);
        pick<N>(z, total, turn);
        if (MODE == CU_UPDATE)
            pick<N>(before, old, turn);
        read_biases<COUNT>(g, factors + biases + turn * (COUNT * 2), me.row, col1, bias);
#pragma unroll
        for (int k = 0; k < COUNT; k++) {
            const float factor = factors[turn * (COUNT * 2) + k / 4 * 8 + k % 2];
            z[k] = activate(z[k] * me.inverse[k / 2 % 2] * factor, bias[k], GELU, &slope[k]);
        }
#pragma unroll
        for (int k = 0; k < COUNT; k += 2) {
            const int half = k / 2 % 2, col = col1 + k / 4 * 8, row = me.row + half * 8;
            const bool inside = col < g.ldy, real = inside && row < g.rows;
            if (GELU)
                store2_if(real && g.slope, g.slope + (size_t)row * g.ldslope + col, slope[k],
                          slope[k + 1]);
            chain_store<MODE>(g, real, row, col, z + k, before + k);
            z[k] = inside ? z[k] : 0.0f;
            z[k + 1] = inside ? z[k + 1] : 0.0f;
            bits[half] = max(bits[half], max(cu_bits(z[k]), cu_bits(z[k + 1])));
        }
        put<N>(total, z, turn);
    }
}

template <int N>
static __device__ __forceinline__ void
end_backward(const cu_gemm<float> &g, const chain_self &me, int col0, const float *factors,
             const float *slope, float *total, unsigned bits[2])
{
#pragma unroll
    for (int k = 0; k < N / 2; k += 2) {
        const int half = k / 2 % 2, col = col0 + k / 4 * 8, row = me.row + half * 8;
        const float2 factor = *(const float2 *)(factors + k / 4 * 8);
        total[k] = total[k] * me.inverse[half] * factor.x * slope[k];
        total[k + 1] = total[k + 1] * me.inverse[half] * factor.y * slope[k + 1];
        const bool inside = col < g.ldy;
        chain_store<CU_BACKWARD>(g, inside && row < g.rows, row, col, total + k, NULL);
        total[k] = inside ? total[k] : 0.0f;
        total[k + 1] = inside ? total[k + 1] : 0.0f;
        bits[half] = max(bits[half], max(cu_bits(total[k]), cu_bits(total[k + 1])));
    }
}

template <int N, int MODE>
static __device__ __forceinline__ void chain_end(const chain_args &c, int l, const chain_self &me,
                                                 int n0, int col0, const float *ahead, float *total,
                                                 unsigned bits[2])
{
    const cu_gemm<float> &g = c.g[l];
    const float *factors = (const float *)(me.ends + c.ends[l]) + (col0 - n0);
    if (MODE == CU_BACKWARD)
        end_backward<N>(g, me, col0, factors, ahead, total, bits);
    else if (g.gelu)
        end_forward<N, MODE, 1>(g, me, col0, factors, c.width[l], ahead, total, bits);
    else
        end_forward<N, MODE, 0>(g, me, col0, factors, c.width[l], ahead, total, bits);
#pragma unroll
    for (int half = 0; half < 2; half++)
#pragma unroll
        for (int d = 1; d < 4; d <<= 1)
            bits[half] = max(bits[half], __shfl_xor_sync(0xffffffffu, bits[half], d));
    if (MODE != CU_UPDATE && !g.inner && g.ymax && me.lane % 4 == 0)
#pragma unroll
        for (int half = 0; half < 2; half++)
            raise_if(me.row + half * 8 < g.rows, g.ymax + me.row + half * 8, bits[half]);
}
#endif

#endif
