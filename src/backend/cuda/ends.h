/* SPDX-License-Identifier: MIT */
/* ends.h - what becomes of the sums of 16 rows that stand in shared memory: the ends of warpgroup.cu and
 * wide.h. By one warp, in whole lines of memory.
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

/* Eight neighbouring columns, the nth eight of a block, from a matrix instruction's registers: times the
 * inverses of its two rows' scales, and with what stands there. */
template <int TIMES>
static __device__ __forceinline__ void end_stage(float *block, const float *total,
                                                 const float inverse[2], int n, int lane)
{
    const int r = lane / 4, piece = n * 2 + lane % 4 / 2;
    float *to = block + r * 64 + ((piece ^ r % 4 * 2) << 2) + lane % 2 * 2;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float2 sum = make_float2(total[half * 2], total[half * 2 + 1]);
        if (TIMES) {
            const float2 factor = *(float2 *)(to + half * (8 * 64));
            sum = make_float2(sum.x * factor.x, sum.y * factor.y);
        }
        *(float2 *)(to + half * (8 * 64)) =
            make_float2(sum.x * inverse[half], sum.y * inverse[half]);
    }
}

/* COLUMNS from the registers of one warp; times: with their factors. */
template <int COLUMNS>
static __device__ __forceinline__ void end_stage(float *blocks, const float *total,
                                                 const float inverse[2], bool times, int lane)
{
    if (times) {
        copies_wait();
        __syncwarp();
#pragma unroll
        for (int i = 0; i < COLUMNS / 8; i++)
            end_stage<1>(blocks + i / 8 * END_BLOCK, total + i * 4, inverse, i % 8, lane);
    } else {
#pragma unroll
        for (int i = 0; i < COLUMNS / 8; i++)
            end_stage<0>(blocks + i / 8 * END_BLOCK, total + i * 4, inverse, i % 8, lane);
    }
    __syncwarp();
}

/* How the lanes of a warp share 16 rows x COLUMNS: four columns each, ROWS rows in a turn. */
template <int COLUMNS> struct end_share {
    static constexpr int LANES = COLUMNS > 64   ? 32
                                 : COLUMNS > 32 ? 16
                                 : COLUMNS > 8  ? 8
                                                : 2,
                         ROWS = 32 / LANES, TURNS = 16 / ROWS;
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

/* Where four sums of row r stand; these. */
static __device__ __forceinline__ const float *end_sum(const float *blocks, int r, int at)
{
    return blocks + at / 16 * END_BLOCK + r * 64 + ((at % 16 ^ r % 4 * 2) << 2);
}
static __device__ __forceinline__ float4 end_sums(const float *blocks, int r, int at)
{
    return *(const float4 *)end_sum(blocks, r, at);
}

/* Bits of the largest magnitude of four. */
static __device__ __forceinline__ unsigned end_bits(float4 z)
{
    return __float_as_uint(fmaxf(fmaxf(fabsf(z.x), fabsf(z.y)), fmaxf(fabsf(z.z), fabsf(z.w))));
}

/* The largest magnitude of a row, from the lanes that share it: kept by the lane whose turn it was. */
template <int LANES>
static __device__ __forceinline__ void end_largest(unsigned *own, int turn, int lane, unsigned bits)
{
    if (LANES == 32) {
        bits = __reduce_max_sync(0xffffffffu, bits);
    } else {
#pragma unroll
        for (int d = 1; d < LANES; d <<= 1)
            bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, d));
    }
    if (lane % LANES == turn)
        *own = bits;
}
template <int COLUMNS>
static __device__ __forceinline__ void end_report(const cu_gemm<float> &g, int m0, int lane,
                                                  unsigned own)
{
    using S = end_share<COLUMNS>;
    const int turn = lane % S::LANES, row = m0 + lane / S::LANES + turn * S::ROWS;
    static_assert(S::TURNS <= S::LANES || COLUMNS == 8, "a lane for each turn");
    raise_if(g.ymax && turn < S::TURNS && row < g.rows, g.ymax + row, own);
}

/* The old features of an update. */
static __device__ __forceinline__ float4 end_old(const cu_gemm<float> &g, int row, int col)
{
    const size_t from = g.old_row ? (size_t)g.old_row[row] : (size_t)row;
    return *(const float4 *)(g.old + from * g.ldold + col);
}

/* UPDATE: of features. Rows of y are g.pitch apart, those of features g.fa. */
template <int COLUMNS, int BATCH, int GELU, int UPDATE>
static __device__ __forceinline__ void end_forward(const cu_gemm<float> &g, const float *blocks,
                                                   int m0, int col0, int lane)
{
    using S = end_share<COLUMNS>;
    const int at = lane % S::LANES, col = col0 + at * 4, first = m0 + lane / S::LANES,
              ldy = UPDATE ? g.fa : g.ldy, pitch = UPDATE ? g.fa : g.pitch;
    const bool inside = at * 4 < COLUMNS && (UPDATE ? col + 3 : col) < ldy;
    const float4 c = inside ? *(const float4 *)(g.m.scale + col) : float4{},
                 lost = make_float4(c.x * CU_LOST, c.y * CU_LOST, c.z * CU_LOST, c.w * CU_LOST);
    float4 bias[BATCH];
#pragma unroll
    for (int k = 0; k < BATCH; k++)
        bias[k] = inside && !g.bias_row ? *(const float4 *)(g.bias + col) : float4{};
    float *y = g.y + (size_t)first * pitch + col, *slope = g.slope + (size_t)first * g.ldslope + col;
    unsigned largest = 0;
#pragma unroll 1
    for (int turn = 0; turn < S::TURNS; turn += BATCH) {
        float4 z[BATCH], own[BATCH], old[BATCH];
        if (UPDATE)
#pragma unroll
            for (int k = 0; k < BATCH; k++)
                old[k] = inside ? end_old(g, min(first + (turn + k) * S::ROWS, g.rows - 1), col)
                                : float4{};
        if (g.bias_row && inside)
#pragma unroll
            for (int k = 0; k < BATCH; k++)
                bias[k] =
                    *(const float4 *)(bias_of(g, min(first + (turn + k) * S::ROWS, g.rows - 1)) +
                                      col);
#pragma unroll
        for (int k = 0; k < BATCH; k++)
            z[k] = end_sums(blocks, first - m0 + (turn + k) * S::ROWS, at);
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            z[k].x = activate<GELU>(add_bias(z[k].x, c.x, lost.x, bias[k].x), &own[k].x);
            z[k].y = activate<GELU>(add_bias(z[k].y, c.y, lost.y, bias[k].y), &own[k].y);
            z[k].z = activate<GELU>(add_bias(z[k].z, c.z, lost.z, bias[k].z), &own[k].z);
            z[k].w = activate<GELU>(add_bias(z[k].w, c.w, lost.w, bias[k].w), &own[k].w);
            if (UPDATE) /* the activation is rounded first, as elsewhere */
                z[k] = make_float4(__fadd_rn(old[k].x, z[k].x), __fadd_rn(old[k].y, z[k].y),
                                   __fadd_rn(old[k].z, z[k].z), __fadd_rn(old[k].w, z[k].w));
        }
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            const bool real = inside && first + (turn + k) * S::ROWS < g.rows;
            store4_if(real, y, z[k]);
            if (GELU)
                store4_if(real && g.slope, slope, own[k]);
            if (!UPDATE)
                end_largest<S::LANES>(&largest, turn + k, lane, inside ? end_bits(z[k]) : 0);
            y += S::ROWS * pitch;
            slope += S::ROWS * g.ldslope;
        }
    }
    if (!UPDATE)
        end_report<COLUMNS>(g, m0, lane, largest);
}

/* Of sums that are multiplied with g.slope; rows of y are g.pitch apart. */
template <int COLUMNS, int BATCH>
static __device__ __forceinline__ void end_backward(const cu_gemm<float> &g, const float *blocks,
                                                    int m0, int col0, int lane)
{
    using S = end_share<COLUMNS>;
    const int at = lane % S::LANES, col = col0 + at * 4, first = lane / S::LANES;
    const bool inside = at * 4 < COLUMNS && col < g.ldy;
    const float4 columns = inside ? *(const float4 *)(g.m.scale + col) : float4{};
    float *y = g.y + (size_t)(m0 + first) * g.pitch + col;
    unsigned largest = 0;
#pragma unroll 1
    for (int turn = 0; turn < S::TURNS; turn += BATCH) {
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            float4 z = end_sums(blocks, first + (turn + k) * S::ROWS, at);
            z.x *= columns.x;
            z.y *= columns.y;
            z.z *= columns.z;
            z.w *= columns.w;
            store4_if(inside && m0 + first + (turn + k) * S::ROWS < g.rows, y, z);
            end_largest<S::LANES>(&largest, turn + k, lane, inside ? end_bits(z) : 0);
            y += S::ROWS * g.pitch;
        }
    }
    end_report<COLUMNS>(g, m0, lane, largest);
}

/* Updates of charges, an element at a time. */
template <int COLUMNS>
static __device__ __forceinline__ void end_charges(const cu_gemm<float> &g, const float *blocks,
                                                   int m0, int col0, int lane)
{
    using S = end_share<COLUMNS>;
    const int at = lane % S::LANES, col = col0 + at * 4, first = lane / S::LANES;
    if (at * 4 >= COLUMNS || col + 3 < g.fa || col >= g.ldy)
        return;
    const float4 c = *(const float4 *)(g.m.scale + col);
#pragma unroll 1
    for (int r = first; r < 16 && m0 + r < g.rows; r += S::ROWS) {
        const float4 z = end_sums(blocks, r, at);
        finish(g, m0 + r, col, z.x * c.x);
        finish(g, m0 + r, col + 1, z.y * c.y);
        finish(g, m0 + r, col + 2, z.z * c.z);
        finish(g, m0 + r, col + 3, z.w * c.w);
    }
}

template <int COLUMNS, int MODE, int BATCH>
static __device__ __forceinline__ void end_rows(const cu_gemm<float> &g, const float *blocks,
                                                int m0, int col0, int lane)
{
    constexpr int TURNS = end_share<COLUMNS>::TURNS, MOST = BATCH < TURNS ? BATCH : TURNS;
    constexpr int UPDATE = MODE == CU_UPDATE;
    if (UPDATE && col0 + COLUMNS > g.fa)
        end_charges<COLUMNS>(g, blocks, m0, col0, lane);
    if (MODE == CU_BACKWARD)
        end_backward<COLUMNS, MOST>(g, blocks, m0, col0, lane);
    else if (UPDATE && col0 + 3 >= g.fa)
        return;
    else if (g.gelu)
        end_forward<COLUMNS, MOST, 1, UPDATE>(g, blocks, m0, col0, lane);
    else
        end_forward<COLUMNS, MOST, 0, UPDATE>(g, blocks, m0, col0, lane);
}
#endif

#endif
