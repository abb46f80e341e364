/* SPDX-License-Identifier: MIT */
/* wide.cu - products of thousands of rows with the matrix instructions of four warps. What is computed:
 * gemm.h.
 *
 * A block stays on its processor and takes tiles of 128 rows x N columns. Of one group of four warps two
 * fetch a step's rows piece by piece, and a thread its weights in one bulk copy. Two groups multiply 64
 * rows each, in parts of 64 columns, so that one part's sums are added while the next is multiplied:
 * the registers hold 64 x N totals and two parts' sums, and weights are read once for 128 rows. The next
 * tile's first steps come while a tile ends, and the first factors of a backward tile's ends while it
 * is multiplied. */
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

/* Tiles of the product in the order in which blocks take them: columns of the same rows together. */
struct wide_tiles {
    int columns, count; /* tiles side by side; in all */
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* Place in a pipeline of COUNT stages and the parity of its barriers. */
template <int COUNT> struct wide_place {
    int s = 0;
    unsigned parity = 0;
    __device__ __forceinline__ void next(void)
    {
        if (++s == COUNT)
            s = 0, parity ^= 1;
    }
};

struct wide_barriers {
    unsigned full, empty; /* of stages */
};

/* The thread that fetches weights: one bulk copy for each step. It has nothing to wait for. */
template <int N>
static __device__ __forceinline__ void wide_weigh(const cu_gemm<float> &g, const wide_tiles &tiles,
                                                  unsigned stages, const wide_barriers &bars)
{
    using W = wide<N>;
    const int steps = g.m.k_pad / CU_STEP;
    const unsigned stride = g.m.n_pad / 8 * CU_BLOCK;
    wide_place<W::STAGES> at;
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    unsigned first = 1;
    for (int t = blockIdx.x; t < tiles.count; t += gridDim.x) {
        const char *from = (const char *)g.m.w + t % tiles.columns * (N / 8 * CU_BLOCK);
#pragma unroll 1
        for (int k = 0; k < steps; k++, from += stride) {
            if (!first)
                barrier_wait(bars.empty + 8 * at.s, at.parity ^ 1);
            barrier_expect(bars.full + 8 * at.s, STEP_BYTES * N);
            bulk_copy(stages + at.s * W::BYTES + WIDE_X, from, STEP_BYTES * N,
                      bars.full + 8 * at.s);
            at.next();
            if (at.s == 0)
                first = 0;
        }
    }
}

/* Those that fetch rows, 16 bytes at a time: few, for they take turns with those that multiply. */
template <int N>
static __device__ __forceinline__ void wide_fetch(const cu_gemm<float> &g, const wide_tiles &tiles,
                                                  unsigned stages, const wide_barriers &bars)
{
    using W = wide<N>;
    constexpr int PIECES = WIDE_ROWS * 4 / WIDE_FETCHERS;
    const int tid = threadIdx.x % WIDE_FETCHERS, steps = g.m.k_pad / CU_STEP;
    wide_place<W::STAGES> at;
    cu_wait();
    unsigned first = 1;
    for (int t = blockIdx.x; t < tiles.count; t += gridDim.x) {
        const int m0 = t / tiles.columns * WIDE_ROWS, last = g.rows - 1 - m0;
        const char *x = (const char *)(g.x + (size_t)m0 * g.ldx);
        unsigned piece[PIECES];
#pragma unroll
        for (int l = 0; l < PIECES; l++)
            piece[l] = (min(tid / 4 + l * (WIDE_FETCHERS / 4), last) * g.ldx + tid % 4 * 4) * 4;
#pragma unroll 1
        for (int k = 0; k < steps; k++, x += CU_STEP * 4) {
            const unsigned to = stages + at.s * W::BYTES + tid * 16;
            if (!first)
                barrier_wait(bars.empty + 8 * at.s, at.parity ^ 1);
#pragma unroll
            for (int l = 0; l < PIECES; l++)
                copy_piece(to + l * (WIDE_FETCHERS * 16), x + piece[l]);
            copies_arrive(bars.full + 8 * at.s);
            at.next();
            if (at.s == 0)
                first = 0;
        }
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
static __device__ __forceinline__ void wide_end(const cu_gemm<float> &g, const wide_tiles &tiles,
                                                const float *total, const float scale[2],
                                                float *sums, int t)
{
    constexpr int FULL = N / 128, REST = N % 128;
    /* an update's ends take many registers */
    constexpr int BATCH = MODE == CU_UPDATE && N > 256 ? 2 : 4;
    int tid;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(tid));
    const int lane = tid % 32, warp = tid / 32, n0 = t % tiles.columns * N,
              m0 = t / tiles.columns * WIDE_ROWS + warp * 16;
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

/* The groups that multiply. One part of a step is added while the next is under way; an iteration ends
 * with none under way, or the compiler would let none overlap. The other group fills such gaps. */
template <int N, int MODE, int FAST>
static __device__ __forceinline__ void
wide_multiply(const cu_gemm<float> &g, const wide_tiles &tiles, unsigned stages,
              const unsigned char *shared, float *sums, const wide_barriers &bars)
{
    using W = wide<N>;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, steps = g.m.k_pad / CU_STEP;
    const int from = (warp * 16 + lane / 4) * 64 + lane % 4 * 16;
    wide_place<W::STAGES> at;
    unsigned largest[2];
    auto look = [&](int t) {
        const int row = t / tiles.columns * WIDE_ROWS + warp * 16 + lane / 4;
#pragma unroll
        for (int half = 0; half < 2; half++)
            largest[half] = g.xmax[min(row + half * 8, g.rows - 1)];
    };
    cu_wait();
    look(blockIdx.x);
    for (int t = blockIdx.x; t < tiles.count; t += gridDim.x) {
        float total[N / 2], sum[2][32], scale[2];
        unsigned hi[2][4], lo[2][4];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float inverse;
            scale[half] = row_scale(largest[half], &inverse);
        }
#pragma unroll
        for (int k = 0; k < N / 2; k++)
            total[k] = 0.0f;
        if (MODE == CU_BACKWARD && g.slope)
            end_factors<128>(g, sums + warp * (2 * END_BLOCK),
                             t / tiles.columns * WIDE_ROWS + warp * 16, t % tiles.columns * N,
                             lane);
#pragma unroll 1
        for (int step = 0; step < steps; step += 2) {
            unsigned done = 0;
#pragma unroll
            for (int ks = 0; ks < 2; ks++) {
                const unsigned char *rows = shared + at.s * W::BYTES + from;
                const uint64_t weights = describe(stages + at.s * W::BYTES + WIDE_X);
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
        look(min(t + (int)gridDim.x, tiles.count - 1));
        wide_end<N, MODE>(g, tiles, total, scale, sums, t);
    }
}
#endif

template <int N, int MODE, int FAST>
__global__ void __launch_bounds__(384, 1)
    multiply_wide(const cu_gemm<float> g, const wide_tiles tiles)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    using W = wide<N>;
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ uint64_t bars[2 * W::STAGES];
    const unsigned stages = (unsigned)__cvta_generic_to_shared(shared),
                   full = (unsigned)__cvta_generic_to_shared(bars);
    const wide_barriers b = {full, full + 8 * W::STAGES};
    float *sums = (float *)(shared + W::STAGES * W::BYTES);
    if (threadIdx.x == 0) {
        for (int s = 0; s < W::STAGES; s++) {
            barrier_create(b.full + 8 * s, 1 + WIDE_FETCHERS);
            barrier_create(b.empty + 8 * s, WIDE_WARPS * 32); /* every lane has read its rows */
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x < WIDE_WARPS * 32) {
        registers_up<WIDE_MULTIPLIER>();
        wide_multiply<N, MODE, FAST>(g, tiles, stages, shared, sums, b);
    } else {
        registers_down<WIDE_FETCHER>();
        const int fetcher = threadIdx.x - WIDE_WARPS * 32;
        if (fetcher < WIDE_FETCHERS)
            wide_fetch<N>(g, tiles, stages, b);
        else if (fetcher == WIDE_FETCHERS)
            wide_weigh<N>(g, tiles, stages, b);
    }
#else
    (void)g;
#endif
}

/* FAST: there is code for operands of 11 bits, too. */
template <int N, int MODE, int FAST>
static void launch(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    const int columns = (cu_columns(g) + N - 1) / N, rows = (g->rows + WIDE_ROWS - 1) / WIDE_ROWS;
    const wide_tiles tiles = {columns, columns * rows};
    const int blocks = tiles.count < g->processors ? tiles.count : g->processors;
    cu_launch(s, stream, blocks, 384, wide<N>::SHARED,
              g->fast ? multiply_wide<N, MODE, FAST> : multiply_wide<N, MODE, 0>, *g, tiles);
}

template <int N, int MODE, int FAST> static void prepare(void)
{
    cudaFuncSetAttribute(multiply_wide<N, MODE, 0>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         wide<N>::SHARED);
    cudaFuncSetAttribute(multiply_wide<N, MODE, FAST>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         wide<N>::SHARED);
}

/* Widths of tiles, the widest first: they are the more efficient, but may leave processors idle in the last
 * round. */
struct wide_kernel {
    int mode, columns, fast;
    void (*launch)(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g);
    void (*prepare)(void);
};
template <int N, int MODE, int FAST = 1> static constexpr wide_kernel kernel(void)
{
    return {MODE, N, FAST, launch<N, MODE, FAST>, prepare<N, MODE, FAST>};
}
/* Operands of 11 bits with 224 columns: the registers do not suffice for instructions in flight. */
static const wide_kernel kernels[] = {
    kernel<256, CU_FORWARD>(),     kernel<192, CU_FORWARD>(),  kernel<128, CU_FORWARD>(),
    kernel<264, CU_UPDATE>(),      kernel<128, CU_UPDATE>(),   kernel<256, CU_BACKWARD>(),
    kernel<224, CU_BACKWARD, 0>(), kernel<192, CU_BACKWARD>(), kernel<152, CU_BACKWARD>(),
    kernel<128, CU_BACKWARD>()};
enum { KERNELS = sizeof kernels / sizeof *kernels };

int cu_wide_columns(const cu_gemm<float> *g, int k)
{
    for (const wide_kernel *w = kernels; w < kernels + KERNELS; w++)
        if (w->mode == g->mode && w->fast >= g->fast &&
            cu_round_up(cu_columns(g), w->columns) <= g->m.n_pad && k-- == 0)
            return w->columns;
    return 0;
}

void cu_multiply_wide(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g, int columns)
{
    for (const wide_kernel *w = kernels; w < kernels + KERNELS; w++)
        if (w->mode == g->mode && w->columns == columns)
            w->launch(s, stream, g);
}

void cu_wide_prepare(void)
{
    for (const wide_kernel *w = kernels; w < kernels + KERNELS; w++)
        w->prepare();
}
