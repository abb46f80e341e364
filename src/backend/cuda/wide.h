/* SPDX-License-Identifier: MIT */
/* wide.h - a tile of a product of thousands of rows, 128 rows x N columns: what wide.cu (a product in a launch)
 * and relay.cu (some that follow each other) do with it.
 *
 * Of one group of four warps two fetch a step's rows piece by piece, and a thread its weights in one bulk copy.
 * Two groups multiply 64 rows each, in parts of 64 columns, so that one part's sums are added while the next is
 * multiplied: the registers hold 64 x N totals and two parts' sums, and weights are read once for 128 rows. The
 * next tile's first steps come while a tile ends, and the first factors of a backward tile's ends while it is
 * multiplied. */
#ifndef AIM_BACKEND_CUDA_WIDE_H
#define AIM_BACKEND_CUDA_WIDE_H

#include "backend/cuda/ends.h"

enum {
    WIDE_ROWS = 128,
    WIDE_WARPS = WIDE_ROWS / 16,      /* that multiply */
    WIDE_MULTIPLIER = 232,            /* registers of a thread that multiplies, */
    WIDE_FETCHERS = 64,               /* threads that fetch rows */
    WIDE_FETCHER = 40,                /* of one that fetches: 2 x 232 + 40 = 3 x 168, as launched */
    WIDE_X = WIDE_ROWS * CU_STEP * 4, /* bytes of a step of rows */
    WIDE_ENDS = WIDE_WARPS * 2 * END_BYTES,
    WIDE_ROOM = 232448 - 1024 - WIDE_ENDS /* shared memory for stages */
};

template <int N> struct wide {
    static constexpr int PARTS = (N + 63) / 64;
    static constexpr int FIRST = N - 64 * (PARTS - 1);    /* columns of part 0; others: 64 */
    static constexpr int BYTES = WIDE_X + STEP_BYTES * N; /* of a stage, which is a step */
    static constexpr int STAGES = WIDE_ROOM / BYTES < 8 ? WIDE_ROOM / BYTES : 8;
    static constexpr int SHARED = STAGES * BYTES + WIDE_ENDS;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Place in a pipeline of COUNT stages and the parity of its barriers. */
template <int COUNT> struct wide_place {
    int s = 0;
    unsigned parity = 0, first = 1 /* time here */;
    __device__ __forceinline__ void next(void)
    {
        if (++s == COUNT)
            s = 0, parity ^= 1, first = 0;
    }
};

struct wide_barriers {
    unsigned full, empty; /* of stages */
};

/* Those of COUNT stages, by one thread. */
template <int COUNT> static __device__ __forceinline__ void wide_create(const wide_barriers &b)
{
    for (int s = 0; s < COUNT; s++) {
        barrier_create(b.full + 8 * s, 1 + WIDE_FETCHERS);
        barrier_create(b.empty + 8 * s, WIDE_WARPS * 32); /* every lane has read its rows */
    }
}

/* A tile's weights, by one thread: a bulk copy for each step. Stages of BYTES. */
template <int BYTES, int COUNT>
static __device__ __forceinline__ void wide_weights(const cu_matrix &m, int n0, int columns,
                                                    unsigned stages, const wide_barriers &bars,
                                                    wide_place<COUNT> &at)
{
    const int steps = m.k_pad / CU_STEP;
    const unsigned bytes = STEP_BYTES * columns, stride = m.n_pad / 8 * CU_BLOCK;
    const char *from = (const char *)m.w + n0 / 8 * CU_BLOCK;
#pragma unroll 1
    for (int k = 0; k < steps; k++, from += stride, at.next()) {
        if (!at.first)
            barrier_wait(bars.empty + 8 * at.s, at.parity ^ 1);
        barrier_expect(bars.full + 8 * at.s, bytes);
        bulk_copy(stages + at.s * BYTES + WIDE_X, from, bytes, bars.full + 8 * at.s);
    }
}

/* A tile's rows, 16 bytes at a time, by few threads, for they take turns with those that multiply. */
template <int BYTES, int COUNT>
static __device__ __forceinline__ void wide_rows(const cu_gemm<float> &g, int m0, unsigned stages,
                                                 const wide_barriers &bars, wide_place<COUNT> &at)
{
    constexpr int PIECES = WIDE_ROWS * 4 / WIDE_FETCHERS;
    const int tid = threadIdx.x % WIDE_FETCHERS, steps = g.m.k_pad / CU_STEP,
              last = g.rows - 1 - m0;
    const char *x = (const char *)(g.x + (size_t)m0 * g.ldx);
    unsigned piece[PIECES];
#pragma unroll
    for (int l = 0; l < PIECES; l++)
        piece[l] = (min(tid / 4 + l * (WIDE_FETCHERS / 4), last) * g.ldx + tid % 4 * 4) * 4;
#pragma unroll 1
    for (int k = 0; k < steps; k++, x += CU_STEP * 4, at.next()) {
        const unsigned to = stages + at.s * BYTES + tid * 16;
        if (!at.first)
            barrier_wait(bars.empty + 8 * at.s, at.parity ^ 1);
#pragma unroll
        for (int l = 0; l < PIECES; l++)
            copy_piece(to + l * (WIDE_FETCHERS * 16), x + piece[l]);
        copies_arrive(bars.full + 8 * at.s);
    }
}

/* Of scales, which are powers of two between 2^-126 and 2^126; here and now, or the compiler would multiply
 * all of a tile's sums with them before the first are needed. */
static __device__ __forceinline__ void inverses(const float scale[2], float inverse[2])
{
#pragma unroll
    for (int half = 0; half < 2; half++) {
        unsigned bits = __float_as_uint(scale[half]);
        asm volatile("" : "+r"(bits));
        inverse[half] = __uint_as_float((254u << 23) - bits);
    }
}

/* A tile's sums of one warp become what they are for, 128 columns at a time. Nothing here is kept in
 * registers while the next tile is multiplied, hence the special register. */
template <int N, int MODE>
static __device__ __forceinline__ void wide_end(const cu_gemm<float> &g, int row, int n0,
                                                const float *total, const float scale[2],
                                                float *sums)
{
    constexpr int FULL = N / 128, REST = N % 128;
    /* an update's ends take many registers */
    constexpr int BATCH = MODE == CU_UPDATE && N > 256 ? 2 : 4;
    int tid;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(tid));
    const int lane = tid % 32, warp = tid / 32, m0 = row + warp * 16;
    float *own = sums + warp * (2 * END_BLOCK), inverse[2];
    const bool times = MODE == CU_BACKWARD && g.slope;
#pragma unroll 1
    for (int j = 0; j < FULL; j++) {
        inverses(scale, inverse);
#pragma unroll
        for (int k = 0; k < FULL; k++)
            if (k == j)
                end_stage<128>(own, total + k * 64, inverse, times, lane);
        end_rows<128, MODE, BATCH>(g, own, m0, n0 + j * 128, lane);
        __syncwarp();
        if (times && j + 1 < FULL)
            end_factors<128>(g, own, m0, n0 + (j + 1) * 128, lane);
    }
    if constexpr (REST != 0) {
        if (times)
            end_factors<REST>(g, own, m0, n0 + FULL * 128, lane);
        inverses(scale, inverse);
        end_stage<REST>(own, total + FULL * 64, inverse, times, lane);
        end_rows<REST, MODE, BATCH>(g, own, m0, n0 + FULL * 128, lane);
        __syncwarp();
    }
}

/* The sums of a tile. One part of a step is added while the next is under way; an iteration ends with none under
 * way, or the compiler would let none overlap. The other group fills such gaps. COUNT stages of BYTES. */
template <int N, int FAST, int BYTES, int COUNT>
static __device__ __forceinline__ void wide_sum(float *total, const float scale[2], int steps,
                                                unsigned stages, const unsigned char *shared,
                                                const wide_barriers &bars, wide_place<COUNT> &at)
{
    using W = wide<N>;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int from = (warp * 16 + lane / 4) * 64 + lane % 4 * 16;
    float sum[2][32];
    unsigned hi[2][4], lo[2][4];
#pragma unroll
    for (int k = 0; k < N / 2; k++)
        total[k] = 0.0f;
#pragma unroll 1
    for (int step = 0; step < steps; step += 2) {
        unsigned done = 0;
#pragma unroll
        for (int ks = 0; ks < 2; ks++) {
            const unsigned char *rows = shared + at.s * BYTES + from;
            const uint64_t weights = describe(stages + at.s * BYTES + WIDE_X);
            barrier_wait(bars.full + 8 * at.s, at.parity);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const float4 x = *(const float4 *)(rows + half * (8 * 64));
                unsigned h[2], l[2];
                split4(x, scale[half], h, l);
                hi[ks][half] = h[0], hi[ks][half + 2] = h[1];
                lo[ks][half] = l[0], lo[ks][half + 2] = l[1];
            }
#pragma unroll
            for (int j = 0; j < W::PARTS; j++) {
                const int b = (ks * W::PARTS + j) % 2, before = (j + W::PARTS - 1) % W::PARTS;
                const uint64_t w =
                    weights + (j == 0 ? 0 : (W::FIRST + 64 * (j - 1)) / 8 * (CU_BLOCK >> 4));
                hold<32>(sum[b]);
                asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
                if (j == 0)
                    multiply_step<W::FIRST, FAST>(sum[b], hi[ks], lo[ks], w);
                else
                    multiply_step<64, FAST>(sum[b], hi[ks], lo[ks], w);
                asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                if (ks + j == 0)
                    continue;
                asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
                hold<32>(sum[1 - b]);
                if (ks == 1 && j == 0)
                    barrier_arrive(done);
                const int first = before == 0 ? 0 : (W::FIRST + 64 * (before - 1)) / 2;
#pragma unroll
                for (int k = 0; k < (before == 0 ? W::FIRST / 2 : 32); k++)
                    total[first + k] += sum[1 - b][k];
            }
            done = bars.empty + 8 * at.s;
            at.next();
        }
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
        hold<32>(sum[1]);
        barrier_arrive(done);
        constexpr int LAST = W::PARTS == 1 ? 0 : (N - 64) / 2;
#pragma unroll
        for (int k = 0; k < (W::PARTS == 1 ? N / 2 : 32); k++)
            total[LAST + k] += sum[1][k];
    }
}
#endif

#endif
