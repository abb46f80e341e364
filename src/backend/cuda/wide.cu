/* SPDX-License-Identifier: MIT */
/* wide.cu - products of thousands of rows with the matrix instructions of four warps. What is computed:
 * gemm.h; how a tile of 128 rows x N columns is: wide.h. A block stays on its processor and takes tiles of one
 * width, as many blocks apart as there are. */
#include "backend/cuda/wide.h"

/* Tiles of the product in the order in which blocks take them: columns of the same rows together. */
struct wide_tiles {
    int columns, count; /* tiles side by side; in all */
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/* The thread that fetches weights. It has nothing to wait for. */
template <int N>
static __device__ __forceinline__ void wide_weigh(const cu_gemm<float> &g, const wide_tiles &tiles,
                                                  unsigned stages, const wide_barriers &bars)
{
    wide_place<wide<N>::STAGES> at;
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    for (int t = blockIdx.x; t < tiles.count; t += gridDim.x)
        wide_weights<wide<N>::BYTES>(g.m, t % tiles.columns * N, N, stages, bars, at);
}

/* Those that fetch rows. */
template <int N>
static __device__ __forceinline__ void wide_fetch(const cu_gemm<float> &g, const wide_tiles &tiles,
                                                  unsigned stages, const wide_barriers &bars)
{
    wide_place<wide<N>::STAGES> at;
    cu_wait();
    for (int t = blockIdx.x; t < tiles.count; t += gridDim.x)
        wide_rows<wide<N>::BYTES>(g, t / tiles.columns * WIDE_ROWS, stages, bars, at);
}

/* The groups that multiply. */
template <int N, int MODE, int FAST>
static __device__ __forceinline__ void
wide_multiply(const cu_gemm<float> &g, const wide_tiles &tiles, unsigned stages,
              const unsigned char *shared, float *sums, const wide_barriers &bars)
{
    using W = wide<N>;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, steps = g.m.k_pad / CU_STEP;
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
        float total[N / 2], scale[2];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float inverse;
            scale[half] = row_scale(largest[half], &inverse);
        }
        if (MODE == CU_BACKWARD && g.slope)
            end_factors<128>(g, sums + warp * (2 * END_BLOCK),
                             t / tiles.columns * WIDE_ROWS + warp * 16, t % tiles.columns * N,
                             lane);
        wide_sum<N, FAST, W::BYTES>(total, scale, steps, stages, shared, bars, at);
        look(min(t + (int)gridDim.x, tiles.count - 1));
        wide_end<N, MODE>(g, t / tiles.columns * WIDE_ROWS, t % tiles.columns * N, total, scale,
                          sums);
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
        wide_create<W::STAGES>(b);
        barriers_created();
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
    cu_gemm<float> own = *g;
    own.pitch = cu_row_of(g);
    cu_launch(s, stream, blocks, 384, wide<N>::SHARED,
              g->fast ? multiply_wide<N, MODE, FAST> : multiply_wide<N, MODE, 0>, own, tiles);
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
