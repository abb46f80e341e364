/* SPDX-License-Identifier: MIT */
/* warpgroup.cu - products of many rows with the matrix instructions of four warps (wgmma; compute
 * capability 9.0). What is computed: gemm.h.
 *
 * A block is one group of four warps with 64 rows. Rows go from memory into registers two chunks ahead,
 * where they are scaled and split: the instructions take them from there. A step of packed weights lies
 * in memory as it is needed in shared memory, so that bulk copies bring it. Blocks that share a
 * processor multiply in turns. For many rows wide.cu is faster. */
#include "backend/cuda/ends.h"

enum { STAGES = 4, AHEAD = 2 }; /* chunks of weights in shared memory, and under way */

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Brings the weights of chunk c; by the first warp, two chunks after the groups began with what lay
 * there. */
template <int N>
static __device__ __forceinline__ void fetch_weights(const cu_gemm<float> &g, unsigned stages,
                                                     unsigned full, unsigned empty, int n0, int c)
{
    const int s = c % STAGES;
    if (c >= g.m.k_pad / CU_CHUNK)
        return;
    if (c >= STAGES)
        barrier_wait(empty + 8 * s, (c / STAGES - 1) & 1);
    if (threadIdx.x == 0) {
        barrier_expect(full + 8 * s, 2 * STEP_BYTES * N);
#pragma unroll
        for (int ks = 0; ks < 2; ks++)
            bulk_copy(stages + (2 * s + ks) * STEP_BYTES * N,
                      (const char *)g.m.w + packed_at(g.m, c, n0, 2 * ks), STEP_BYTES * N,
                      full + 8 * s);
    }
    __syncwarp();
}

/* 64 rows from m0 on. */
template <int N, int MODE, int FAST>
static __device__ __forceinline__ void multiply_group(const cu_gemm<float> &g, unsigned stages,
                                                      unsigned full, unsigned empty, int m0, int n0,
                                                      float *staging)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, chunks = g.m.k_pad / CU_CHUNK;
    constexpr int BLOCKS = (N + 63) / 64;
    const int own = m0 + warp * 16;
    const float *x[2];
    float scale[2], inverse[2], total[N / 2], sum[N / 2];
    float4 next[2][2][2]; /* chunks, steps, rows */
#pragma unroll
    for (int half = 0; half < 2; half++)
        x[half] = g.x + (size_t)min(own + half * 8 + lane / 4, g.rows - 1) * g.ldx + lane % 4 * 4;
    auto load = [&](int b, int c) {
        if (c < chunks)
#pragma unroll
            for (int ks = 0; ks < 2; ks++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                    next[b][ks][half] = *(const float4 *)(x[half] + c * CU_CHUNK + ks * CU_STEP);
    };
    load(0, 0);
    load(1, 1);
    float *sums = staging + warp * BLOCKS * END_BLOCK;
    const bool times = MODE == CU_BACKWARD && g.slope;
    if (times)
        end_factors<N>(g, sums, own, n0, lane);
#pragma unroll
    for (int half = 0; half < 2; half++)
        scale[half] = row_scale(g.xmax[min(own + half * 8 + lane / 4, g.rows - 1)], &inverse[half]);
#pragma unroll
    for (int k = 0; k < N / 2; k++)
        total[k] = 0.0f;
    for (int c0 = 0; c0 < chunks; c0 += 2)
#pragma unroll
        for (int b = 0; b < 2; b++) {
            const int c = c0 + b, s = c % STAGES;
            if (c >= chunks)
                break;
            if (threadIdx.x < 32)
                fetch_weights<N>(g, stages, full, empty, n0, c + AHEAD);
            barrier_wait(full + 8 * s, (c / STAGES) & 1);
#pragma unroll
            for (int ks = 0; ks < 2; ks++) {
                unsigned hi[4], lo[4];
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    unsigned h[2], l[2];
                    split4(next[b][ks][half], scale[half], h, l);
                    hi[half] = h[0], hi[half + 2] = h[1], lo[half] = l[0], lo[half + 2] = l[1];
                }
                const unsigned at = stages + (2 * s + ks) * STEP_BYTES * N;
                hold<N / 2>(sum);
                asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
                if (!FAST) {
                    multiply_add<N>(sum, lo, describe(at), 0);
                    multiply_add<N>(sum, hi, describe(at + CU_BLOCK / 2), 1);
                }
                multiply_add<N>(sum, hi, describe(at), FAST ? 0 : 1);
                asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                if (ks == 1)
                    load(b, c + 2);
                asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
                hold<N / 2>(sum);
#pragma unroll
                for (int k = 0; k < N / 2; k++)
                    total[k] += sum[k];
            }
            if (lane == 0)
                barrier_arrive(empty + 8 * s);
            __syncwarp();
        }
    end_stage<N>(sums, total, inverse, times, lane);
    end_rows<N, MODE, MODE == CU_BACKWARD ? 4 : 2>(g, sums, own, n0, lane);
}
#endif

template <int N, int MODE, int FAST>
__global__ void __launch_bounds__(128, N == 64 ? 3 : 2) multiply_warpgroups(const cu_gemm<float> g)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ uint64_t bars[2 * STAGES];
    const unsigned stages = (unsigned)__cvta_generic_to_shared(shared),
                   full = (unsigned)__cvta_generic_to_shared(bars), empty = full + 8 * STAGES;
    const int n0 = blockIdx.x * N;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_create(full + 8 * s, 1);
            barrier_create(empty + 8 * s, 4);
        }
        barriers_created();
    }
    __syncthreads();
    if (threadIdx.x < 32)
        for (int c = 0; c < AHEAD; c++)
            fetch_weights<N>(g, stages, full, empty, n0, c);
    cu_wait();
    multiply_group<N, MODE, FAST>(g, stages, full, empty, blockIdx.y * 64, n0,
                                  (float *)(shared + STAGES * 2 * STEP_BYTES * N));
#else
    (void)g;
#endif
}

template <int N> static constexpr int shared_bytes(void)
{
    return STAGES * 2 * STEP_BYTES * N + 64 * ((N + 63) / 64 * 64) * 4;
}

template <int N, int MODE>
static void launch_mode(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    const dim3 grid((cu_columns(g) + N - 1) / N, (g->rows + 63) / 64);
    cu_gemm<float> own = *g;
    own.pitch = cu_row_of(g);
    cu_launch(s, stream, grid, 128, shared_bytes<N>(),
              g->fast ? multiply_warpgroups<N, MODE, 1> : multiply_warpgroups<N, MODE, 0>, own);
}

template <int N> static void launch(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    if (g->mode == CU_FORWARD)
        launch_mode<N, CU_FORWARD>(s, stream, g);
    else if (g->mode == CU_UPDATE)
        launch_mode<N, CU_UPDATE>(s, stream, g);
    else
        launch_mode<N, CU_BACKWARD>(s, stream, g);
}

/* Columns of a tile, and how many blocks of them share a processor. */
static const struct {
    int n, blocks;
} tiles[] = {{128, 2}, {96, 2}, {64, 3}};

/* Clock cycles that a product takes: rounds over the card times steps, bound by the matrix units or by
 * latency, and what follows them. Fitted to an H100. */
static double small_cycles(const cu_gemm<float> *g, int n, int share)
{
    const double blocks = ceil((double)cu_columns(g) / n) * ceil((double)g->rows / 64),
                 each = ceil(blocks / g->processors), /* blocks of one processor in all */
        rounds = ceil(each / share), together = each < share ? each : share,
                 units = together * 3.0 * n;
    return rounds * (g->m.k_pad / CU_CHUNK * (units > 600.0 ? 1.95 * units : 1170.0) +
                     together * n * 49.0 + 3900.0);
}
static double wide_cycles(const cu_gemm<float> *g, int n)
{
    const int columns = (cu_columns(g) + n - 1) / n;
    return ceil(columns * ceil((double)g->rows / 128) / g->processors) *
           (g->m.k_pad / CU_STEP * (210.0 + 3.83 * n) + 50.0 * n + 3000.0);
}

void cu_multiply_warpgroups(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    int columns = 0, wide = 0;
    double least = INFINITY;
    for (int k = 0; k < (int)(sizeof tiles / sizeof *tiles); k++) {
        const double cycles = small_cycles(g, tiles[k].n, tiles[k].blocks);
        if (cycles < least)
            least = cycles, columns = tiles[k].n;
    }
    for (int k = 0, n; (n = cu_wide_columns(g, k)) != 0; k++) {
        const double cycles = wide_cycles(g, n);
        if (cycles < least)
            least = cycles, columns = n, wide = 1;
    }
    if (wide)
        cu_multiply_wide(s, stream, g, columns);
    else if (columns == 128)
        launch<128>(s, stream, g);
    else if (columns == 96)
        launch<96>(s, stream, g);
    else
        launch<64>(s, stream, g);
}

template <int N, int FAST> static void prepare(void)
{
    cudaFuncSetAttribute(multiply_warpgroups<N, CU_FORWARD, FAST>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes<N>());
    cudaFuncSetAttribute(multiply_warpgroups<N, CU_UPDATE, FAST>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes<N>());
    cudaFuncSetAttribute(multiply_warpgroups<N, CU_BACKWARD, FAST>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes<N>());
}

void cu_warpgroups_prepare(void)
{
    prepare<128, 0>();
    prepare<128, 1>();
    prepare<96, 0>();
    prepare<96, 1>();
    prepare<64, 0>();
    prepare<64, 1>();
}

int cu_have_warpgroups(void)
{
#if defined(AIM_CUDA_90A)
    return 1;
#else
    return 0;
#endif
}
