/* SPDX-License-Identifier: MIT */
/* tile.cu - products of many rows with the matrix instructions of a warp, for cards without those of
 * four warps (warpgroup.cu). */
#include "backend/cuda/gemm.h"

/* Rows of 128 bytes, hi and lo of one chunk: eight pieces of 16 bytes, permuted by the row so that
 * eight rows' pieces lie in different banks. */
static __device__ __forceinline__ int piece(int row, int c)
{
    return row * 128 + ((c ^ (row & 7)) << 4);
}

static __device__ __forceinline__ void load4(unsigned r[4], unsigned address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

static __device__ __forceinline__ void copy16(unsigned to, const void *from)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from));
}

/* Row that a thread fetches: the four rows of a warp lie so that their stores do not collide. */
static __device__ __forceinline__ int fetched_row(int tid)
{
    const int w = tid / 32, q = tid / 8 % 4;
    return w / 2 * 8 + w % 2 * 2 + q % 2 + q / 2 * 4;
}

/* BM x BN of the product per block; WR x WC warps. Weights stand in three stages, filled
 * asynchronously; rows of x pass through registers, where they are scaled and split, into two. */
template <int BM, int BN, int WR, int WC, int BLOCKS, int FAST>
__global__ void __launch_bounds__(WR *WC * 32, BLOCKS) multiply_tile(const cu_gemm<float> g)
{
    constexpr int THREADS = WR * WC * 32, MT = BM / WR / 16, NT = BN / WC / 8;
    constexpr int LOADS = BM * 8 / THREADS, COPIES = BN * 8 / THREADS;
    cu_wait();
    extern __shared__ __align__(128) unsigned char shared[];
    const unsigned base = (unsigned)__cvta_generic_to_shared(shared);
    const unsigned a_at = base, b_at = base + 2 * BM * 128;
    const int tid = threadIdx.x, lane = tid % 32, warp = tid / 32;
    const int m0 = blockIdx.y * BM, n0 = blockIdx.x * BN, chunks = g.m.k_pad / CU_CHUNK;
    const int wm = warp / WC * (BM / WR), wn = warp % WC * (BN / WC);
    const unsigned char *weights = (const unsigned char *)g.m.w;
    float4 next[LOADS];
    float scale[LOADS];
#pragma unroll
    for (int l = 0; l < LOADS; l++) {
        const int row = m0 + fetched_row(tid) + l * (THREADS / 8);
        float inverse;
        scale[l] = row < g.rows ? row_scale(g.xmax[row], &inverse) : 1.0f;
    }
    auto fetch = [&](int c) {
#pragma unroll
        for (int l = 0; l < LOADS; l++) {
            const int row = m0 + fetched_row(tid) + l * (THREADS / 8);
            next[l] =
                row < g.rows
                    ? *(const float4 *)(g.x + (size_t)row * g.ldx + c * CU_CHUNK + tid % 8 * 4)
                    : make_float4(0, 0, 0, 0);
        }
    };
    auto store = [&](int stage) {
#pragma unroll
        for (int l = 0; l < LOADS; l++) {
            const int row = fetched_row(tid) + l * (THREADS / 8), c = tid % 8;
            unsigned hi[2], lo[2];
            split4(next[l], scale[l], hi, lo);
            unsigned char *to = shared + stage * BM * 128 + c % 4 * 4;
#pragma unroll
            for (int half = 0; half < 2; half++) {
                *(unsigned *)(to + piece(row, c / 4 * 2 + half)) = hi[half];
                *(unsigned *)(to + piece(row, 4 + c / 4 * 2 + half)) = lo[half];
            }
        }
    };
    auto weigh = [&](int c) {
        if (c < chunks)
#pragma unroll
            for (int l = 0; l < COPIES; l++) {
                const int p = tid / 8 % 8, row = tid % 8 + tid / 64 * 8 + l * (THREADS / 8);
                copy16(b_at + c % 3 * BN * 128 + piece(row, p),
                       weights + packed_at(g.m, c, n0 + row, p));
            }
        asm volatile("cp.async.commit_group;");
    };
    float total[MT][NT][4];
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < NT; n++)
#pragma unroll
            for (int k = 0; k < 4; k++)
                total[m][n][k] = 0.0f;
    weigh(0);
    weigh(1);
    fetch(0);
    store(0);
    for (int c = 0; c < chunks; c++) {
        asm volatile("cp.async.wait_group 1;");
        __syncthreads();
        weigh(c + 2);
        if (c + 1 < chunks)
            fetch(c + 1);
        const unsigned a_stage = a_at + c % 2 * BM * 128, b_stage = b_at + c % 3 * BN * 128;
        unsigned bh[2][NT][2], bl[2][NT][2];
#pragma unroll
        for (int ks = 0; ks < 2; ks++)
#pragma unroll
            for (int n = 0; n < NT; n += 2) {
                const int row = wn + n * 8 + lane % 8 + lane / 16 * 8, p = ks * 2 + lane / 8 % 2;
                unsigned r[4];
                load4(r, b_stage + piece(row, p));
                bh[ks][n][0] = r[0], bh[ks][n][1] = r[1];
                bh[ks][n + 1][0] = r[2], bh[ks][n + 1][1] = r[3];
                load4(r, b_stage + piece(row, 4 + p));
                bl[ks][n][0] = r[0], bl[ks][n][1] = r[1];
                bl[ks][n + 1][0] = r[2], bl[ks][n + 1][1] = r[3];
            }
#pragma unroll
        for (int m = 0; m < MT; m++) {
            unsigned ah[2][4], al[2][4];
#pragma unroll
            for (int ks = 0; ks < 2; ks++) {
                const int row = wm + m * 16 + lane % 16, p = ks * 2 + lane / 16;
                load4(ah[ks], a_stage + piece(row, p));
                load4(al[ks], a_stage + piece(row, 4 + p));
            }
#pragma unroll
            for (int n = 0; n < NT; n += 2)
#pragma unroll
                for (int ks = 0; ks < 2; ks++) {
                    float sum[2][4] = {};
#pragma unroll
                    for (int t = 0; t < 2 && !FAST; t++)
                        mma(sum[t], al[ks], bh[ks][n + t][0], bh[ks][n + t][1]);
#pragma unroll
                    for (int t = 0; t < 2 && !FAST; t++)
                        mma(sum[t], ah[ks], bl[ks][n + t][0], bl[ks][n + t][1]);
#pragma unroll
                    for (int t = 0; t < 2; t++)
                        mma(sum[t], ah[ks], bh[ks][n + t][0], bh[ks][n + t][1]);
#pragma unroll
                    for (int t = 0; t < 2; t++)
#pragma unroll
                        for (int k = 0; k < 4; k++)
                            total[m][n + t][k] += sum[t][k];
                }
        }
        if (c + 1 < chunks)
            store((c + 1) % 2);
    }
    /* sums go through shared memory, so that rows leave as whole lines */
    constexpr int LD = BN + 8;
    float *sum = (float *)shared;
    __syncthreads();
#pragma unroll
    for (int m = 0; m < MT; m++)
#pragma unroll
        for (int n = 0; n < NT; n++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                *(float2 *)(sum + (wm + m * 16 + half * 8 + lane / 4) * LD + wn + n * 8 +
                            lane % 4 * 2) =
                    make_float2(total[m][n][2 * half], total[m][n][2 * half + 1]);
    __syncthreads();
    constexpr int LANES = BN / 4; /* of one row */
    const int col = tid % LANES * 4;
    const float4 columns = *(const float4 *)(g.m.scale + n0 + col);
#pragma unroll 1
    for (int r = tid / LANES; r < BM; r += THREADS / LANES) {
        const int row = m0 + r;
        unsigned bits = 0;
        if (row < g.rows) {
            float inverse;
            row_scale(g.xmax[row], &inverse);
            const float4 z = *(const float4 *)(sum + r * LD + col);
            bits = finish4(g, row, n0 + col,
                           make_float4(z.x * inverse * columns.x, z.y * inverse * columns.y,
                                       z.z * inverse * columns.z, z.w * inverse * columns.w),
                           NULL);
        }
#pragma unroll
        for (int d = 1; d < LANES; d <<= 1)
            bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, d));
        if (g.ymax && row < g.rows && tid % LANES == 0)
            atomicMax(g.ymax + row, bits);
    }
}

template <int BM, int BN, int WR, int WC, int FAST>
static void launch(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    const dim3 grid((cu_columns(g) + BN - 1) / BN, (g->rows + BM - 1) / BM);
    cu_launch(s, stream, grid, WR * WC * 32, (2 * BM + 3 * BN) * 128,
              multiply_tile<BM, BN, WR, WC, 3, FAST>, *g);
}

template <int FAST> static void multiply(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    if ((g->rows + 63) / 64 * ((cu_columns(g) + 127) / 128) < 300)
        launch<64, 64, 2, 2, FAST>(s, stream, g);
    else
        launch<64, 128, 1, 4, FAST>(s, stream, g);
}

void cu_multiply_tiles(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    if (g->fast)
        multiply<1>(s, stream, g);
    else
        multiply<0>(s, stream, g);
}

template <int FAST> static void prepare(void)
{
    cudaFuncSetAttribute(multiply_tile<64, 64, 2, 2, 3, FAST>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, (2 * 64 + 3 * 64) * 128);
    cudaFuncSetAttribute(multiply_tile<64, 128, 1, 4, 3, FAST>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, (2 * 64 + 3 * 128) * 128);
}

void cu_tiles_prepare(void)
{
    prepare<0>();
    prepare<1>();
}
