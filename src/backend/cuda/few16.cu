/* SPDX-License-Identifier: MIT */
/* few16.cu - dense layers of up to 32 rows in blocks of 16. A block reads its rows at 64 bytes per cycle
 * from when they are there, and that is most of its time: so they are few, asked for before all else,
 * and have twice the columns where there would be more blocks than processors. Sums and ends are those
 * of few.cu. */
#include "backend/cuda/few.h"

/* What a block has of a product, and a thread to end each element. */
template <int N> struct few {
    static constexpr int ROWS = 16, COLUMNS = 8 * N, ENDS = ROWS * COLUMNS;
    static constexpr int PITCH = N == 1 ? 8 : 8 * N + 8; /* of rows of sums, for the banks */
    static constexpr int STEP = ROWS * PITCH;            /* sums of a step */
};

/* ---------------------------------------------------------------- products */

/* Sums of the two steps of a chunk. */
template <int N, int FAST>
static __device__ __forceinline__ void few_chunk(const chunk_rows<1> &rows, int c,
                                                 const unsigned w[N][CU_PIECES],
                                                 const float scale[2], float *part)
{
    using B = few<N>;
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int ks = 0; ks < FEW_STEPS; ks++)
#pragma unroll
        for (int m = 0; m < 1; m++) {
            unsigned ah[4], al[4], h[2], l[2];
#pragma unroll
            for (int half = 0; half < 2; half++) {
                split4(rows.x[ks][2 * m + half], scale[2 * m + half], h, l);
                ah[half] = h[0], ah[half + 2] = h[1], al[half] = l[0], al[half + 2] = l[1];
            }
#pragma unroll
            for (int n = 0; n < N; n++) {
                float sum[4] = {};
                if (!FAST) {
                    mma(sum, al, w[n][2 * ks], w[n][2 * ks + 1]);
                    mma(sum, ah, w[n][4 + 2 * ks], w[n][4 + 2 * ks + 1]);
                }
                mma(sum, ah, w[n][2 * ks], w[n][2 * ks + 1]);
                float *to = part + (c * FEW_STEPS + ks) * B::STEP + (m * 16 + lane / 4) * B::PITCH +
                            n * 8 + lane % 4 * 2;
                *(float2 *)to = make_float2(sum[0], sum[1]);
                *(float2 *)(to + 8 * B::PITCH) = make_float2(sum[2], sum[3]);
            }
        }
}

/* ---------------------------------------------------------------- kernels */

/* Warps share the chunks, whose steps meet in shared memory and are added in order: for a handful of
 * atoms this reads the weights with the whole card, and it does so before the rows are there. Rows that
 * are made take a chunk for each warp. */
template <int N, int FAST, typename front>
static __device__ __forceinline__ void multiply_block(const cu_gemm<float> &g, front rows)
{
    using B = few<N>;
    extern __shared__ float part[]; /* [chunks][2][ROWS][PITCH] */
    __shared__ unsigned largest[B::ROWS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, chunks = g.m.k_pad / CU_CHUNK;
    const int m0 = blockIdx.y * B::ROWS, n0 = blockIdx.x * B::COLUMNS;
    const int r = threadIdx.x / B::COLUMNS, col = threadIdx.x % B::COLUMNS, row = m0 + r;
    unsigned w[N][CU_PIECES] = {};
    auto weigh = [&](int c) {
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int p = 0; p < CU_PIECES / (FAST ? 2 : 1); p++)
                w[n][p] = *(const unsigned *)((const char *)g.m.w +
                                              packed_at(g.m, c, n0 + n * 8 + lane / 4, p) +
                                              lane % 4 * 4);
    };
    if (warp < chunks)
        weigh(warp);
    const float own_scale = g.m.scale[n0 + col],
                own_bias = g.mode != CU_BACKWARD && !g.bias_row && n0 + col < g.ldy
                               ? g.bias[n0 + col]
                               : 0.0f;
    if (front::MAKES && threadIdx.x < B::ROWS)
        largest[threadIdx.x] = 0;
    cu_wait();
    float scale[2], inverse;
    chunk_rows<1> x;
    auto read = [&](int c) {
        read_chunk(&x, c, m0, g.rows - 1, [&](int i, int k) { return rows.row(g, i, k); });
    };
    if (front::MAKES) {
        rows.prepare(g.rows);
        __syncthreads();
    }
    if (warp < chunks)
        read(warp);
    unsigned bits[2];
    if (!front::MAKES)
#pragma unroll
        for (int k = 0; k < 2; k++)
            bits[k] = g.xmax[min(m0 + k * 8 + lane / 4, g.rows - 1)];
    ahead own = {};
    if (threadIdx.x < B::ENDS)
        own = read_ahead<front::MAKES>(g, row, n0 + col, own_bias);
    if (front::MAKES) {
        if (warp < chunks)
            find_largest(x, largest);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < 2; k++)
            bits[k] = largest[k * 8 + lane / 4];
        if (threadIdx.x < B::ENDS)
            own.max = largest[r];
    }
#pragma unroll
    for (int k = 0; k < 2; k++)
        scale[k] = row_scale(bits[k], &inverse);
    for (int c = warp; c < chunks; c += (int)blockDim.x / 32) {
        if (c != warp) {
            weigh(c);
            read(c);
        }
        few_chunk<N, FAST>(x, c, w, scale, part);
    }
    __syncthreads();
    if (threadIdx.x >= B::ENDS)
        return;
    float total = 0.0f, value = 0.0f; /* an update's, which nobody wants here */
#pragma unroll 16
    for (int k = 0; k < chunks * FEW_STEPS; k++)
        total += part[k * B::STEP + r * B::PITCH + col];
    unsigned own_bits = 0;
    if (row < g.rows) {
        row_scale(own.max, &inverse);
        own_bits = cu_bits(
            finish_few(g, row, n0 + col, total * inverse * own_scale, own, &value));
    }
    for (int d = 1; d < 8; d <<= 1)
        own_bits = max(own_bits, __shfl_xor_sync(0xffffffffu, own_bits, d));
    if (g.ymax && row < g.rows && col % 8 == 0)
        atomicMax(g.ymax + row, own_bits);
}

#define KERNEL __global__ void __launch_bounds__(FEW_WARPS * 32)

template <int N, int FAST> KERNEL multiply16(const cu_gemm<float> g)
{
    multiply_block<N, FAST>(g, plain_front{});
}

template <int N, int FAST>
KERNEL multiply16_pass(const cu_gemm<float> g, const __grid_constant__ cu_pass_front<float> p)
{
    multiply_block<N, FAST>(g, pass_front{p, NULL});
}

template <int N, int FAST>
KERNEL multiply16_head(const cu_gemm<float> g, const __grid_constant__ cu_head_out<float> h)
{
    multiply_block<N, FAST>(g, head_front{h});
}

/* ---------------------------------------------------------------- launches */

static int count_blocks(const cu_gemm<float> *g, int columns)
{
    return (g->rows + 15) / 16 * ((cu_columns(g) + columns - 1) / columns);
}

/* Eights of columns of a block. */
static int eights(const cu_gemm<float> *g)
{
    return count_blocks(g, 8) <= g->processors ? 1 : 2;
}

int cu_few16_fits(const cu_gemm<float> *g)
{
    return g->rows <= 32 && count_blocks(g, 16) <= g->processors &&
           g->m.k_pad / CU_STEP * few<2>::STEP * (int)sizeof(float) <= FEW_PART;
}

template <typename... P, typename... A>
static void launch(cu_state *s, cudaStream_t stream, void (*kernel)(cu_gemm<float>, P...),
                   const cu_gemm<float> *g, const A &...more)
{
    const int n = eights(g), chunks = g->m.k_pad / CU_CHUNK,
              step = n == 1 ? few<1>::STEP : few<2>::STEP,
              warps = chunks < 8 ? 8 : chunks < FEW_WARPS ? chunks : FEW_WARPS;
    cu_launch(s, stream, dim3((cu_columns(g) + 8 * n - 1) / (8 * n), (g->rows + 15) / 16),
              warps * 32, chunks * FEW_STEPS * step * sizeof(float), kernel, *g, more...);
}

#define CHOOSE(kernel)                                                                             \
    (eights(g) == 1 ? g->fast ? kernel<1, 1> : kernel<1, 0> : g->fast ? kernel<2, 1> : kernel<2, 0>)

void cu_few16(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    launch(s, stream, CHOOSE(multiply16), g);
}
void cu_few16_pass(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                   const cu_pass_front<float> *p)
{
    launch(s, stream, CHOOSE(multiply16_pass), g, *p);
}
void cu_few16_head(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                   const cu_head_out<float> *h)
{
    launch(s, stream, CHOOSE(multiply16_head), g, *h);
}

template <typename... P> static void allow(void (*kernel)(cu_gemm<float>, P...))
{
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, FEW_PART);
}

#define ALLOW(kernel) allow(kernel<1, 0>), allow(kernel<1, 1>), allow(kernel<2, 0>), allow(kernel<2, 1>)

void cu_few16_prepare(void)
{
    ALLOW(multiply16);
    ALLOW(multiply16_pass);
    ALLOW(multiply16_head);
}
