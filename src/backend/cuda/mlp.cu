/* SPDX-License-Identifier: MIT */
/* mlp.cu - dense layers: y = act(x W^T + b) and (x W) * slope, with exact GELU.
 *
 * float32: tensor cores with split operands. Every operand is a sum of two halves, x s = hi + lo,
 * s a power of two that brings the largest element of its row to 2^11: together 22 bits and more,
 * elements far below the row's largest keep an absolute accuracy of 2^-36 of it. A product takes
 * three half products with float accumulation, lo*hi + hi*lo + hi*hi; what is dropped, lo*lo, is below 2^-22
 * (H. Ootomo, R. Yokota, Int. J. High Perf. Comput. Appl. 36, 475 (2022),
 * doi:10.1177/10943420221090256). The matrix units add with truncation. So sums start
 * from zero every CU_CHUNK = 32 terms, the small products have an accumulator of their own, and both
 * are added in ordinary float, chunk after chunk. All tilings do the same operations for an element:
 * a result does not depend on the number of rows. tests/cuda/test_multiply measures the error: that
 * of float arithmetic with the same chunks.
 *
 * float64: plain loops, same order for every tiling. */
#include <math.h>

#include "backend/cuda/cuda.h"
#include "point/gelu.h"

/* ---------------------------------------------------------------- epilogue */

static __device__ __forceinline__ float gelu(float z, float *slope)
{
    return aim_gelu_f32(z, slope);
}
static __device__ __forceinline__ double gelu(double z, double *slope)
{
    const double cdf = 0.5 * erfc(-z * 0.70710678118654752440),
                 density = 0.39894228040143267794 * exp(-0.5 * z * z);
    *slope = fma(z, density, cdf);
    return z * cdf;
}

/* The sum of a product to its value: bias, activation; *slope where there is one. */
template <typename real>
static __device__ __forceinline__ real activate(real z, real bias, int has_gelu, real *slope)
{
    z += bias;
    return has_gelu ? gelu(z, slope) : z;
}

template <typename real>
static __device__ __forceinline__ const real *bias_of(const cu_gemm<real> &g, int row)
{
    return g.bias + (g.bias_row ? (size_t)g.bias_row[row] * g.ldbias : 0);
}

/* Everything that happens to one element of the product; returns what was written. */
template <typename real>
static __device__ __forceinline__ real finish(const cu_gemm<real> &g, int row, int col, real z)
{
    if (col >= g.ldy)
        return 0;
    if (g.mode == CU_BACKWARD) {
        if (g.slope)
            z *= g.slope[(size_t)row * g.ldslope + col];
        g.y[(size_t)row * g.ldy + col] = z;
        return z;
    }
    real slope;
    z = activate(z, bias_of(g, row)[col], g.gelu, &slope);
    if (g.gelu && g.slope)
        g.slope[(size_t)row * g.ldslope + col] = slope;
    if (g.mode == CU_FORWARD) {
        g.y[(size_t)row * g.ldy + col] = z;
        return z;
    }
    if (col < g.fa) {
        const size_t from = g.old_row ? (size_t)g.old_row[row] : (size_t)row;
        g.y[(size_t)row * g.fa + col] = g.old[from * g.ldold + col] + z;
    } else {
        g.charges[(size_t)row * g.ldcharges + (col - g.fa)] = z;
    }
    return 0;
}

/* The same for four columns at once; returns the bits of the largest magnitude. Leading dimensions
 * are multiples of four except in updates. */
static __device__ __forceinline__ unsigned finish4(const cu_gemm<float> &g, int row, int col,
                                                   float4 z)
{
    if (col >= g.ldy)
        return 0;
    if (g.mode == CU_UPDATE) {
        finish(g, row, col, z.x);
        finish(g, row, col + 1, z.y);
        finish(g, row, col + 2, z.z);
        finish(g, row, col + 3, z.w);
        return 0;
    }
    float4 *slope = (float4 *)(g.slope + (size_t)row * g.ldslope + col);
    if (g.mode == CU_BACKWARD) {
        if (g.slope) {
            const float4 s = *slope;
            z = make_float4(z.x * s.x, z.y * s.y, z.z * s.z, z.w * s.w);
        }
    } else {
        const float4 b = *(const float4 *)(bias_of(g, row) + col);
        float4 s;
        z.x = activate(z.x, b.x, g.gelu, &s.x);
        z.y = activate(z.y, b.y, g.gelu, &s.y);
        z.z = activate(z.z, b.z, g.gelu, &s.z);
        z.w = activate(z.w, b.w, g.gelu, &s.w);
        if (g.gelu && g.slope)
            *slope = s;
    }
    *(float4 *)(g.y + (size_t)row * g.ldy + col) = z;
    return max(max(cu_bits(z.x), cu_bits(z.y)), max(cu_bits(z.z), cu_bits(z.w)));
}

/* ---------------------------------------------------------------- scaling and splitting */

/* power of two that brings the magnitude with these bits to [2^11, 2^12), and its inverse */
static __device__ __forceinline__ float row_scale(unsigned bits, float *inverse)
{
    int e = 265 - (int)(bits >> 23);
    e = bits < 0x00800000u ? 127 : max(1, min(e, 253));
    *inverse = __uint_as_float((unsigned)(254 - e) << 23);
    return __uint_as_float((unsigned)e << 23);
}

static __device__ __forceinline__ void split(float x, __half *hi, __half *lo)
{
    *hi = __float2half_rn(x);
    *lo = __float2half_rn(x - __half2float(*hi));
}

static __device__ __forceinline__ unsigned pair_of(__half a, __half b)
{
    return (unsigned)__half_as_ushort(a) | (unsigned)__half_as_ushort(b) << 16;
}

static __device__ __forceinline__ void split2(float x, float y, unsigned *hi, unsigned *lo)
{
    __half xh, xl, yh, yl;
    split(x, &xh, &xl);
    split(y, &yh, &yl);
    *hi = pair_of(xh, yh);
    *lo = pair_of(xl, yl);
}

/* d += a b, m16n8k16 */
static __device__ __forceinline__ void mma(float d[4], const unsigned a[4], unsigned b0,
                                           unsigned b1)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
        "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* adds the 32 terms of a chunk */
static __device__ __forceinline__ float add_chunk(float total, float large, float small)
{
    return __fadd_rn(total, __fadd_rn(large, small));
}

/* One row of packed weights per block. */
__global__ void pack_half(const float *w, int n_out, int n_in, int transpose, cu_matrix m)
{
    __shared__ unsigned largest[8];
    const int row = blockIdx.x, rows = transpose ? n_in : n_out, depth = transpose ? n_out : n_in;
    unsigned bits = 0;
    for (int k = threadIdx.x; row < rows && k < depth; k += blockDim.x)
        bits =
            max(bits, cu_bits(transpose ? w[(size_t)k * n_in + row] : w[(size_t)row * n_in + k]));
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (threadIdx.x % 32 == 0)
        largest[threadIdx.x / 32] = bits;
    __syncthreads();
    for (int k = 0; k < (int)blockDim.x / 32; k++)
        bits = max(bits, largest[k]);
    float inverse;
    const float scale = row_scale(bits, &inverse);
    if (threadIdx.x == 0)
        m.scale[row] = inverse;
    __half *out = (__half *)m.w + (size_t)row * m.k_pad * 2;
    for (int k = threadIdx.x; k < m.k_pad; k += blockDim.x) {
        const float x =
            row < rows && k < depth
                ? (transpose ? w[(size_t)k * n_in + row] : w[(size_t)row * n_in + k]) * scale
                : 0.0f;
        __half hi, lo;
        split(x, &hi, &lo);
        out[k / CU_CHUNK * (2 * CU_CHUNK) + k % CU_CHUNK] = hi;
        out[k / CU_CHUNK * (2 * CU_CHUNK) + CU_CHUNK + k % CU_CHUNK] = lo;
    }
}

__global__ void pack_double(const double *w, int n_out, int n_in, int transpose, cu_matrix m)
{
    const int row = blockIdx.x, rows = transpose ? n_in : n_out, depth = transpose ? n_out : n_in;
    double *out = (double *)m.w + (size_t)row * m.k_pad;
    for (int k = threadIdx.x; k < m.k_pad; k += blockDim.x)
        out[k] = row < rows && k < depth
                     ? (transpose ? w[(size_t)k * n_in + row] : w[(size_t)row * n_in + k])
                     : 0.0;
}

void cu_pack(cu_state *s, cudaStream_t stream, int is_double, const void *w, int n_out, int n_in,
             int transpose, const cu_matrix *m)
{
    if (is_double)
        pack_double<<<m->n_pad, 256, 0, stream>>>((const double *)w, n_out, n_in, transpose, *m);
    else
        pack_half<<<m->n_pad, 256, 0, stream>>>((const float *)w, n_out, n_in, transpose, *m);
    cu_check(s, "packing weights");
}

/* ---------------------------------------------------------------- tiles for many rows */

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
template <int BM, int BN, int WR, int WC, int BLOCKS>
__global__ void __launch_bounds__(WR *WC * 32, BLOCKS) multiply_tile(const cu_gemm<float> g)
{
    constexpr int THREADS = WR * WC * 32, MT = BM / WR / 16, NT = BN / WC / 8;
    constexpr int LOADS = BM * 8 / THREADS, COPIES = BN * 8 / THREADS;
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
            uint2 hi, lo;
            split2(next[l].x * scale[l], next[l].y * scale[l], &hi.x, &lo.x);
            split2(next[l].z * scale[l], next[l].w * scale[l], &hi.y, &lo.y);
            unsigned char *to = shared + stage * BM * 128;
            *(uint2 *)(to + piece(row, c / 2) + c % 2 * 8) = hi;
            *(uint2 *)(to + piece(row, 4 + c / 2) + c % 2 * 8) = lo;
        }
    };
    auto weigh = [&](int c) {
        if (c < chunks)
#pragma unroll
            for (int l = 0; l < COPIES; l++) {
                const int row = tid / 8 + l * (THREADS / 8), p = tid % 8;
                copy16(b_at + c % 3 * BN * 128 + piece(row, p),
                       weights + ((size_t)(n0 + row) * chunks + c) * 128 + p * 16);
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
            for (int n = 0; n < NT; n += 2) {
                float large[2][4] = {}, small[2][4] = {};
#pragma unroll
                for (int ks = 0; ks < 2; ks++) {
#pragma unroll
                    for (int t = 0; t < 2; t++)
                        mma(small[t], al[ks], bh[ks][n + t][0], bh[ks][n + t][1]);
#pragma unroll
                    for (int t = 0; t < 2; t++)
                        mma(large[t], ah[ks], bh[ks][n + t][0], bh[ks][n + t][1]);
#pragma unroll
                    for (int t = 0; t < 2; t++)
                        mma(small[t], ah[ks], bl[ks][n + t][0], bl[ks][n + t][1]);
                }
#pragma unroll
                for (int t = 0; t < 2; t++)
#pragma unroll
                    for (int k = 0; k < 4; k++)
                        total[m][n + t][k] =
                            add_chunk(total[m][n + t][k], large[t][k], small[t][k]);
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
                                       z.z * inverse * columns.z, z.w * inverse * columns.w));
        }
#pragma unroll
        for (int d = 1; d < LANES; d <<= 1)
            bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, d));
        if (g.ymax && row < g.rows && tid % LANES == 0)
            atomicMax(g.ymax + row, bits);
    }
}

/* ---------------------------------------------------------------- few rows */

enum { FEW_ROWS = 32, FEW_COLUMNS = 8, FEW_WARPS = 24, FEW_CHUNKS = 64 };

/* 32 x 8 of the product per block. Warps share the chunks, whose sums meet in shared memory and are
 * added in order: for a handful of atoms this reads the weights with the whole card. */
__global__ void __launch_bounds__(FEW_WARPS * 32) multiply_few(const cu_gemm<float> g)
{
    extern __shared__ float part[]; /* [chunks][32][8] */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, chunks = g.m.k_pad / CU_CHUNK;
    const int m0 = blockIdx.y * FEW_ROWS, n0 = blockIdx.x * FEW_COLUMNS;
    float scale[4];
#pragma unroll
    for (int r = 0; r < 4; r++) {
        const int row = m0 + r * 8 + lane / 4;
        float inverse;
        scale[r] = row < g.rows ? row_scale(g.xmax[row], &inverse) : 1.0f;
    }
    for (int c = warp; c < chunks; c += (int)blockDim.x / 32) {
        const unsigned *w =
            (const unsigned *)g.m.w + ((size_t)(n0 + lane / 4) * chunks + c) * 32 + lane % 4;
        unsigned bh[4], bl[4];
        float2 x[4][4];
#pragma unroll
        for (int k = 0; k < 4; k++) {
            bh[k] = w[4 * k];
            bl[k] = w[16 + 4 * k];
        }
#pragma unroll
        for (int r = 0; r < 4; r++) {
            const int row = m0 + r * 8 + lane / 4;
#pragma unroll
            for (int k = 0; k < 4; k++)
                x[r][k] = row < g.rows ? *(const float2 *)(g.x + (size_t)row * g.ldx +
                                                           c * CU_CHUNK + k * 8 + lane % 4 * 2)
                                       : make_float2(0, 0);
        }
#pragma unroll
        for (int m = 0; m < 2; m++) {
            float large[4] = {}, small[4] = {};
#pragma unroll
            for (int ks = 0; ks < 2; ks++) {
                unsigned ah[4], al[4];
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    const int r = 2 * m + k % 2, kk = 2 * ks + k / 2;
                    split2(x[r][kk].x * scale[r], x[r][kk].y * scale[r], &ah[k], &al[k]);
                }
                mma(small, al, bh[2 * ks], bh[2 * ks + 1]);
                mma(large, ah, bh[2 * ks], bh[2 * ks + 1]);
                mma(small, ah, bl[2 * ks], bl[2 * ks + 1]);
            }
#pragma unroll
            for (int half = 0; half < 2; half++)
                *(float2 *)(part + (c * FEW_ROWS + m * 16 + half * 8 + lane / 4) * FEW_COLUMNS +
                            lane % 4 * 2) =
                    make_float2(__fadd_rn(large[2 * half], small[2 * half]),
                                __fadd_rn(large[2 * half + 1], small[2 * half + 1]));
        }
    }
    __syncthreads();
    if (threadIdx.x >= FEW_ROWS * FEW_COLUMNS)
        return;
    const int r = threadIdx.x / FEW_COLUMNS, col = threadIdx.x % FEW_COLUMNS, row = m0 + r;
    float total = 0.0f;
    for (int c = 0; c < chunks; c++)
        total += part[(c * FEW_ROWS + r) * FEW_COLUMNS + col];
    unsigned bits = 0;
    if (row < g.rows) {
        float inverse;
        row_scale(g.xmax[row], &inverse);
        bits = cu_bits(finish(g, row, n0 + col, total * inverse * g.m.scale[n0 + col]));
    }
    for (int d = 1; d < FEW_COLUMNS; d <<= 1)
        bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, d));
    if (g.ymax && row < g.rows && col == 0)
        atomicMax(g.ymax + row, bits);
}

/* ---------------------------------------------------------------- double precision */

enum { DBL = 32 };

/* 32 x 32 per block of 16 x 16 threads, 2 x 2 each */
__global__ void __launch_bounds__(256) multiply_double(const cu_gemm<double> g)
{
    __shared__ double xs[DBL][DBL + 1], ws[DBL][DBL + 1];
    const int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    const int m0 = blockIdx.y * DBL, n0 = blockIdx.x * DBL;
    double sum[2][2] = {};
    for (int k0 = 0; k0 < g.m.k_pad; k0 += DBL) {
        for (int t = threadIdx.x; t < DBL * DBL; t += 256) {
            const int r = t / DBL, k = t % DBL, row = m0 + r;
            xs[r][k] = row < g.rows ? g.x[(size_t)row * g.ldx + k0 + k] : 0.0;
            ws[r][k] = ((const double *)g.m.w)[(size_t)(n0 + r) * g.m.k_pad + k0 + k];
        }
        __syncthreads();
        for (int k = 0; k < DBL; k++)
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int j = 0; j < 2; j++)
                    sum[i][j] = fma(xs[ty + 16 * i][k], ws[tx + 16 * j][k], sum[i][j]);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 2; j++)
            if (m0 + ty + 16 * i < g.rows)
                finish(g, m0 + ty + 16 * i, n0 + tx + 16 * j, sum[i][j]);
}

/* ---------------------------------------------------------------- launches */

/* columns that have to be computed */
template <typename real> static int columns(const cu_gemm<real> *g)
{
    return g->mode == CU_UPDATE ? g->fa + g->ldcharges : g->ldy;
}

template <int BM, int BN, int WR, int WC, int BLOCKS>
static void launch_tile(cudaStream_t stream, const cu_gemm<float> *g)
{
    constexpr int bytes = (2 * BM + 3 * BN) * 128;
    const dim3 grid((columns(g) + BN - 1) / BN, (g->rows + BM - 1) / BM);
    multiply_tile<BM, BN, WR, WC, BLOCKS><<<grid, WR * WC * 32, bytes, stream>>>(*g);
}

void cu_multiply_prepare(cu_state *s)
{
    cudaFuncSetAttribute(multiply_tile<64, 64, 2, 2, 3>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, (2 * 64 + 3 * 64) * 128);
    cudaFuncSetAttribute(multiply_tile<64, 128, 1, 4, 3>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, (2 * 64 + 3 * 128) * 128);
    cu_check(s, "the shared memory of dense layers");
}

template <> void cu_multiply<float>(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    const int chunks = g->m.k_pad / CU_CHUNK, wide = (columns(g) + 127) / 128;
    if (g->rows <= 160 && chunks <= 48) {
        const dim3 grid((columns(g) + FEW_COLUMNS - 1) / FEW_COLUMNS,
                        (g->rows + FEW_ROWS - 1) / FEW_ROWS);
        const int bytes = chunks * FEW_ROWS * FEW_COLUMNS * (int)sizeof(float);
        const int warps = chunks < 8 ? 8 : chunks < FEW_WARPS ? chunks : FEW_WARPS;
        multiply_few<<<grid, warps * 32, bytes, stream>>>(*g);
    } else if ((g->rows + 63) / 64 * wide < 300) {
        launch_tile<64, 64, 2, 2, 3>(stream, g);
    } else {
        launch_tile<64, 128, 1, 4, 3>(stream, g);
    }
    cu_check(s, "a dense layer");
}

template <> void cu_multiply<double>(cu_state *s, cudaStream_t stream, const cu_gemm<double> *g)
{
    const dim3 grid((columns(g) + DBL - 1) / DBL, (g->rows + DBL - 1) / DBL);
    multiply_double<<<grid, 256, 0, stream>>>(*g);
    cu_check(s, "a dense layer");
}

/* ---------------------------------------------------------------- ends of heads */

/* One warp per element; the sum is in double, it carries an atom's whole energy. */
template <typename real> __global__ void head_forward(const cu_head_out<real> h)
{
    const int item = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (item >= h.rows * h.n_out)
        return;
    const int row = item / h.n_out, c = item % h.n_out;
    double sum = 0;
    for (int k = lane; k < h.n_in; k += 32)
        sum += (double)h.x[(size_t)row * h.ldx + k] * (double)h.w[(size_t)c * h.n_in + k];
    sum = cu_warp_sum(sum) + (double)h.bias[c];
    if (lane)
        return;
    if (h.gelu) {
        double slope;
        sum = (double)(real)gelu(sum, &slope);
        if (h.slope)
            h.slope[(size_t)row * h.ldslope + c] = (real)slope;
    }
    h.out[item] = sum;
}

/* One warp per row. */
template <typename real> __global__ void head_backward(const cu_head_out<real> h)
{
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= h.rows)
        return;
    unsigned bits = 0;
    for (int k = lane; k < h.ldgx; k += 32) {
        real sum = 0;
        for (int c = 0; c < h.n_out && k < h.n_in; c++) {
            real g = (real)h.g[(size_t)row * h.n_out + c];
            if (h.gelu)
                g *= h.slope[(size_t)row * h.ldslope + c];
            sum += g * h.w[(size_t)c * h.n_in + k];
        }
        if (h.slope_below)
            sum *= h.slope_below[(size_t)row * h.ldslope_below + k];
        h.gx[(size_t)row * h.ldgx + k] = sum;
        bits = max(bits, cu_bits(sum));
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (lane == 0 && h.gxmax)
        h.gxmax[row] = bits;
}

template <typename real>
void cu_head_forward(cu_state *s, cudaStream_t stream, const cu_head_out<real> *h)
{
    head_forward<<<(h->rows * h->n_out + 7) / 8, 256, 0, stream>>>(*h);
    cu_check(s, "the end of a head");
}
template <typename real>
void cu_head_backward(cu_state *s, cudaStream_t stream, const cu_head_out<real> *h)
{
    head_backward<<<(h->rows + 7) / 8, 256, 0, stream>>>(*h);
    cu_check(s, "the adjoint of a head");
}

template <typename real> struct parts {
    real *part[AIM_DEV_HEADS];
};

template <typename real>
__global__ void combine(int rows, int ld, int n, const parts<real> p, const real *slope,
                        int ldslope, real *y, unsigned *ymax)
{
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows)
        return;
    unsigned bits = 0;
    for (int k = lane; k < ld; k += 32) {
        real sum = 0;
        for (int h = 0; h < n; h++)
            sum += p.part[h][(size_t)row * ld + k];
        if (slope)
            sum *= slope[(size_t)row * ldslope + k];
        y[(size_t)row * ld + k] = sum;
        bits = max(bits, cu_bits(sum));
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (lane == 0 && ymax)
        ymax[row] = bits;
}

template <typename real>
void cu_combine(cu_state *s, cudaStream_t stream, int rows, int ld, int n, real *const *part,
                const real *slope, int ldslope, real *y, unsigned *ymax)
{
    parts<real> p;
    for (int k = 0; k < n; k++)
        p.part[k] = part[k];
    combine<<<(rows + 7) / 8, 256, 0, stream>>>(rows, ld, n, p, slope, ldslope, y, ymax);
    cu_check(s, "the sum of the heads' adjoints");
}

template void cu_head_forward(cu_state *, cudaStream_t, const cu_head_out<float> *);
template void cu_head_forward(cu_state *, cudaStream_t, const cu_head_out<double> *);
template void cu_head_backward(cu_state *, cudaStream_t, const cu_head_out<float> *);
template void cu_head_backward(cu_state *, cudaStream_t, const cu_head_out<double> *);
template void cu_combine(cu_state *, cudaStream_t, int, int, int, float *const *, const float *,
                         int, float *, unsigned *);
template void cu_combine(cu_state *, cudaStream_t, int, int, int, double *const *, const double *,
                         int, double *, unsigned *);
