/* SPDX-License-Identifier: MIT */
/* ends.h - what becomes of the sums of 16 rows that stand in shared memory: the ends of warpgroup.cu and
 * wide.cu. By one warp, in whole lines of memory.
 *
 * Sums stand in blocks of 16 rows x 64 columns, whose pieces of 16 bytes are permuted by the row: neither
 * those who write them as the matrix instructions leave them nor those who read rows collide.
 * Factors of backward products are brought there before the sums: loaded when sums are there, they
 * would be waited for a few rows at a time. Nothing branches: so the elements of a batch hide each
 * other's latencies. */
#ifndef AIM_BACKEND_CUDA_ENDS_H
#define AIM_BACKEND_CUDA_ENDS_H

#include "backend/cuda/warpgroup.h"

enum { END_BLOCK = 16 * 64 /* sums */, END_BYTES = END_BLOCK * 4 };

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Eight neighbouring columns, the nth eight of a block, from a matrix instruction's registers. */
static __device__ __forceinline__ void end_stage(float *block, const float *total, int n, int lane)
{
    const int r = lane / 4, piece = n * 2 + lane % 4 / 2;
    float *to = block + r * 64 + ((piece ^ r % 4 * 2) << 2) + lane % 2 * 2;
    *(float2 *)to = make_float2(total[0], total[1]);
    *(float2 *)(to + 8 * 64) = make_float2(total[2], total[3]);
}

/* The same, multiplied with what stands there. */
static __device__ __forceinline__ void end_stage_times(float *block, const float *total, int n,
                                                       int lane)
{
    const int r = lane / 4, piece = n * 2 + lane % 4 / 2;
    float *to = block + r * 64 + ((piece ^ r % 4 * 2) << 2) + lane % 2 * 2;
    const float2 upper = *(float2 *)to, lower = *(float2 *)(to + 8 * 64);
    *(float2 *)to = make_float2(total[0] * upper.x, total[1] * upper.y);
    *(float2 *)(to + 8 * 64) = make_float2(total[2] * lower.x, total[3] * lower.y);
}

/* COLUMNS from the registers of one warp; times: with their factors. */
template <int COLUMNS>
static __device__ __forceinline__ void end_stage(float *blocks, const float *total, bool times,
                                                 int lane)
{
    if (times) {
        copies_wait();
        __syncwarp();
#pragma unroll
        for (int i = 0; i < COLUMNS / 8; i++)
            end_stage_times(blocks + i / 8 * END_BLOCK, total + i * 4, i % 8, lane);
    } else {
#pragma unroll
        for (int i = 0; i < COLUMNS / 8; i++)
            end_stage(blocks + i / 8 * END_BLOCK, total + i * 4, i % 8, lane);
    }
    __syncwarp();
}

/* How the lanes of a warp share 16 rows x COLUMNS: four columns each, ROWS rows in a turn. */
template <int COLUMNS> struct end_share {
    static constexpr int LANES = COLUMNS > 64 ? 32 : COLUMNS / 4, ROWS = 32 / LANES,
                         TURNS = 16 / ROWS;
};

/* What the sums of columns from col0 on are to be multiplied with, on its way to where they will
 * stand. */
template <int COLUMNS>
static __device__ __forceinline__ void end_factors(const cu_gemm<float> &g, float *blocks, int m0,
                                                   int col0, int lane)
{
    using S = end_share<COLUMNS>;
    const int at = lane % S::LANES, first = lane / S::LANES, col = col0 + at * 4;
    const unsigned to = (unsigned)__cvta_generic_to_shared(blocks + at / 16 * END_BLOCK);
    if (at * 4 < COLUMNS && col < g.ldy)
#pragma unroll
        for (int k = 0; k < S::TURNS; k++) {
            const int r = first + k * S::ROWS;
            copy_piece(to + r * 256 + ((at % 16 ^ r % 4 * 2) << 4),
                       g.slope + (size_t)min(m0 + r, g.rows - 1) * g.ldslope + col);
        }
}

/* Four sums of row r. */
static __device__ __forceinline__ float4 end_sums(const float *blocks, int r, int at)
{
    return *(const float4 *)(blocks + at / 16 * END_BLOCK + r * 64 + ((at % 16 ^ r % 4 * 2) << 2));
}

static __device__ __forceinline__ unsigned end_bits(float4 z)
{
    return max(max(cu_bits(z.x), cu_bits(z.y)), max(cu_bits(z.z), cu_bits(z.w)));
}

/* The largest magnitude of a row, from the lanes that share it. */
template <int LANES>
static __device__ __forceinline__ void end_report(unsigned *ymax, int row, int rows, int lane,
                                                  unsigned bits)
{
    if (!ymax)
        return;
    if (LANES == 32) {
        bits = __reduce_max_sync(0xffffffffu, bits);
    } else {
#pragma unroll
        for (int d = 1; d < LANES; d <<= 1)
            bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, d));
    }
    raise_if(lane % LANES == 0 && row < rows, ymax + row, bits);
}

/* inverse: of the scale of row lane % 16, everywhere below. */
template <int COLUMNS, int BATCH, int GELU>
static __device__ __forceinline__ void end_forward(const cu_gemm<float> &g, const float *blocks,
                                                   float inverse, int m0, int col0, int lane)
{
    using S = end_share<COLUMNS>;
    const int at = lane % S::LANES, col = col0 + at * 4, first = lane / S::LANES;
    const bool inside = at * 4 < COLUMNS && col < g.ldy;
    const float4 columns = inside ? *(const float4 *)(g.m.scale + col) : float4{};
    float4 bias[BATCH];
#pragma unroll
    for (int k = 0; k < BATCH; k++)
        bias[k] = inside && !g.bias_row ? *(const float4 *)(g.bias + col) : float4{};
    float *y = g.y + (size_t)(m0 + first) * g.ldy + col,
          *slope = g.slope + (size_t)(m0 + first) * g.ldslope + col;
#pragma unroll 1
    for (int turn = 0; turn < S::TURNS; turn += BATCH) {
        float4 z[BATCH], own[BATCH];
        if (g.bias_row && inside)
#pragma unroll
            for (int k = 0; k < BATCH; k++)
                bias[k] = *(
                    const float4 *)(bias_of(g, min(m0 + first + (turn + k) * S::ROWS, g.rows - 1)) +
                                    col);
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            const int r = first + (turn + k) * S::ROWS;
            const float scale = __shfl_sync(0xffffffffu, inverse, r);
            z[k] = end_sums(blocks, r, at);
            z[k].x = activate(z[k].x * scale * columns.x, bias[k].x, GELU, &own[k].x);
            z[k].y = activate(z[k].y * scale * columns.y, bias[k].y, GELU, &own[k].y);
            z[k].z = activate(z[k].z * scale * columns.z, bias[k].z, GELU, &own[k].z);
            z[k].w = activate(z[k].w * scale * columns.w, bias[k].w, GELU, &own[k].w);
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            const int row = m0 + first + (turn + k) * S::ROWS;
            const bool real = inside && row < g.rows;
            store4_if(real, y, z[k]);
            if (GELU)
                store4_if(real && g.slope, slope, own[k]);
            end_report<S::LANES>(g.ymax, row, g.rows, lane, real ? end_bits(z[k]) : 0);
            y += S::ROWS * g.ldy;
            slope += S::ROWS * g.ldslope;
        }
    }
}

/* Of sums that are multiplied with g.slope. */
template <int COLUMNS, int BATCH>
static __device__ __forceinline__ void end_backward(const cu_gemm<float> &g, const float *blocks,
                                                    float inverse, int m0, int col0, int lane)
{
    using S = end_share<COLUMNS>;
    const int at = lane % S::LANES, col = col0 + at * 4, first = lane / S::LANES;
    const bool inside = at * 4 < COLUMNS && col < g.ldy;
    const float4 columns = inside ? *(const float4 *)(g.m.scale + col) : float4{};
    float *y = g.y + (size_t)(m0 + first) * g.ldy + col;
#pragma unroll 1
    for (int turn = 0; turn < S::TURNS; turn += BATCH) {
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            const int r = first + (turn + k) * S::ROWS, row = m0 + r;
            const float scale = __shfl_sync(0xffffffffu, inverse, r);
            const bool real = inside && row < g.rows;
            float4 z = end_sums(blocks, r, at);
            z.x = z.x * scale * columns.x;
            z.y = z.y * scale * columns.y;
            z.z = z.z * scale * columns.z;
            z.w = z.w * scale * columns.w;
            store4_if(real, y, z);
            end_report<S::LANES>(g.ymax, row, g.rows, lane, real ? end_bits(z) : 0);
            y += S::ROWS * g.ldy;
        }
    }
}

template <int COLUMNS, int BATCH>
static __device__ __forceinline__ void end_update(const cu_gemm<float> &g, const float *blocks,
                                                  float inverse, int m0, int col0, int lane)
{
    using S = end_share<COLUMNS>;
    const int at = lane % S::LANES, col = col0 + at * 4, first = lane / S::LANES;
    const bool inside = at * 4 < COLUMNS && col < g.ldy, features = inside && col + 3 < g.fa;
    const float4 columns = inside ? *(const float4 *)(g.m.scale + col) : float4{},
                 bias = features && !g.bias_row ? *(const float4 *)(g.bias + col) : float4{};
#pragma unroll 1
    for (int turn = 0; turn < S::TURNS; turn += BATCH) {
        float4 old[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            const int row = min(m0 + first + (turn + k) * S::ROWS, g.rows - 1);
            const size_t from = g.old_row ? (size_t)g.old_row[row] : (size_t)row;
            old[k] = features ? *(const float4 *)(g.old + from * g.ldold + col) : float4{};
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            const int r = first + (turn + k) * S::ROWS;
            const float scale = __shfl_sync(0xffffffffu, inverse, r);
            const float4 z = end_sums(blocks, r, at);
            if (inside && m0 + r < g.rows)
                update4(g, m0 + r, col,
                        make_float4(z.x * scale * columns.x, z.y * scale * columns.y,
                                    z.z * scale * columns.z, z.w * scale * columns.w),
                        bias, old[k]);
        }
    }
}

template <int COLUMNS, int MODE, int BATCH>
static __device__ __forceinline__ void end_rows(const cu_gemm<float> &g, const float *blocks,
                                                float inverse, int m0, int col0, int lane)
{
    constexpr int TURNS = end_share<COLUMNS>::TURNS, MOST = BATCH < TURNS ? BATCH : TURNS;
    if (MODE == CU_BACKWARD)
        end_backward<COLUMNS, MOST>(g, blocks, inverse, m0, col0, lane);
    else if (MODE == CU_UPDATE)
        end_update<COLUMNS, MOST>(g, blocks, inverse, m0, col0, lane);
    else if (g.gelu)
        end_forward<COLUMNS, MOST, 1>(g, blocks, inverse, m0, col0, lane);
    else
        end_forward<COLUMNS, MOST, 0>(g, blocks, inverse, m0, col0, lane);
}
#endif

#endif
