/* SPDX-License-Identifier: MIT */
/* mlp.cu - dense layers: packing of weights, products of few rows, products in double, and which kernel
 * takes a product (gemm.h: how they are computed). */
#include "backend/cuda/gemm.h"

/* ---------------------------------------------------------------- packing */

/* the element of a row that stands at place k of its packed form */
static __device__ __forceinline__ int packed_from(int k)
{
    const int l = k % CU_STEP;
    return k - l + (l < 8 ? l / 2 * 4 + l % 2 : (l - 8) / 2 * 4 + 2 + l % 2);
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
    for (int k = threadIdx.x; k < m.k_pad; k += blockDim.x) {
        const int from = packed_from(k), piece = k % CU_CHUNK / 8;
        const float x =
            row < rows && from < depth
                ? (transpose ? w[(size_t)from * n_in + row] : w[(size_t)row * n_in + from]) * scale
                : 0.0f;
        const __half hi = __float2half_rn(x), lo = __float2half_rn(x - __half2float(hi));
        *((__half *)((char *)m.w + packed_at(m, k / CU_CHUNK, row, piece)) + k % 8) = hi;
        *((__half *)((char *)m.w + packed_at(m, k / CU_CHUNK, row, 4 + piece)) + k % 8) = lo;
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

/* ---------------------------------------------------------------- few rows */

enum { FEW_ROWS = 32, FEW_COLUMNS = 8, FEW_WARPS = 24, FEW_CHUNKS = 48, FEW_STEPS = 2 };

/* Sums of the two steps of a chunk for 32 rows x 8 columns. */
template <int FAST>
static __device__ __forceinline__ void few_chunk(const cu_gemm<float> &g, int c, int m0,
                                                 const unsigned w[CU_PIECES], const float scale[4],
                                                 float *part)
{
    const int lane = threadIdx.x % 32;
    float4 x[FEW_STEPS][4];
#pragma unroll
    for (int ks = 0; ks < FEW_STEPS; ks++)
#pragma unroll
        for (int r = 0; r < 4; r++) {
            const int row = min(m0 + r * 8 + lane / 4, g.rows - 1);
            x[ks][r] = *(const float4 *)(g.x + (size_t)row * g.ldx + c * CU_CHUNK + ks * CU_STEP +
                                         lane % 4 * 4);
        }
#pragma unroll
    for (int ks = 0; ks < FEW_STEPS; ks++)
#pragma unroll
        for (int m = 0; m < 2; m++) {
            unsigned ah[4], al[4], h[2], l[2];
#pragma unroll
            for (int half = 0; half < 2; half++) {
                split4(x[ks][2 * m + half], scale[2 * m + half], h, l);
                ah[half] = h[0], ah[half + 2] = h[1], al[half] = l[0], al[half + 2] = l[1];
            }
            float sum[4] = {};
            if (!FAST) {
                mma(sum, al, w[2 * ks], w[2 * ks + 1]);
                mma(sum, ah, w[4 + 2 * ks], w[4 + 2 * ks + 1]);
            }
            mma(sum, ah, w[2 * ks], w[2 * ks + 1]);
            float *to = part + ((c * FEW_STEPS + ks) * FEW_ROWS + m * 16 + lane / 4) * FEW_COLUMNS +
                        lane % 4 * 2;
            *(float2 *)to = make_float2(sum[0], sum[1]);
            *(float2 *)(to + 8 * FEW_COLUMNS) = make_float2(sum[2], sum[3]);
        }
}

/* What the end of an element needs besides its sum, read while the products are formed. */
struct ahead {
    float bias, slope, old;
    unsigned max; /* of the row */
};

static __device__ __forceinline__ ahead read_ahead(const cu_gemm<float> &g, int row, int col,
                                                   float bias)
{
    ahead a = {bias, 1.0f, 0.0f, 0};
    if (row >= g.rows || col >= g.ldy)
        return a;
    a.max = g.xmax[row];
    if (g.mode == CU_BACKWARD) {
        if (g.slope)
            a.slope = g.slope[(size_t)row * g.ldslope + col];
        return a;
    }
    if (g.bias_row)
        a.bias = bias_of(g, row)[col];
    if (g.mode == CU_UPDATE && col < g.fa)
        a.old = g.old[(size_t)(g.old_row ? g.old_row[row] : row) * g.ldold + col];
    return a;
}

/* finish with what was read. */
static __device__ __forceinline__ float finish_few(const cu_gemm<float> &g, int row, int col, float z,
                                                   const ahead &a)
{
    if (col >= g.ldy)
        return 0;
    if (g.mode == CU_BACKWARD) {
        if (g.slope)
            z *= a.slope;
        g.y[(size_t)row * g.ldy + col] = z;
        return z;
    }
    float slope;
    z = activate(z, a.bias, g.gelu, &slope);
    if (g.gelu && g.slope)
        g.slope[(size_t)row * g.ldslope + col] = slope;
    if (g.mode == CU_FORWARD) {
        g.y[(size_t)row * g.ldy + col] = z;
        return z;
    }
    if (col < g.fa)
        g.y[(size_t)row * g.fa + col] = a.old + z;
    else
        g.charges[(size_t)row * g.ldcharges + (col - g.fa)] = z;
    return 0;
}

/* 32 x 8 of the product per block. Warps share the chunks, whose steps meet in shared memory and are
 * added in order: for a handful of atoms this reads the weights with the whole card, and it does so
 * before the rows are there. */
template <int FAST>
__global__ void __launch_bounds__(FEW_WARPS * 32) multiply_few(const cu_gemm<float> g)
{
    extern __shared__ float part[]; /* [chunks][2][32][8] */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, chunks = g.m.k_pad / CU_CHUNK;
    const int m0 = blockIdx.y * FEW_ROWS, n0 = blockIdx.x * FEW_COLUMNS;
    const int r = threadIdx.x / FEW_COLUMNS, col = threadIdx.x % FEW_COLUMNS, row = m0 + r;
    unsigned w[CU_PIECES] = {};
    auto weigh = [&](int c) {
#pragma unroll
        for (int p = 0; p < CU_PIECES / (FAST ? 2 : 1); p++)
            w[p] = *(const unsigned *)((const char *)g.m.w + packed_at(g.m, c, n0 + lane / 4, p) +
                                       lane % 4 * 4);
    };
    if (warp < chunks)
        weigh(warp);
    const float own_scale = g.m.scale[n0 + col],
                own_bias = g.mode != CU_BACKWARD && !g.bias_row && n0 + col < g.ldy
                               ? g.bias[n0 + col]
                               : 0.0f;
    cu_wait();
    ahead own = {};
    if (threadIdx.x < FEW_ROWS * FEW_COLUMNS)
        own = read_ahead(g, row, n0 + col, own_bias);
    float scale[4], inverse;
#pragma unroll
    for (int k = 0; k < 4; k++)
        scale[k] = row_scale(g.xmax[min(m0 + k * 8 + lane / 4, g.rows - 1)], &inverse);
    for (int c = warp; c < chunks; c += (int)blockDim.x / 32) {
        if (c != warp)
            weigh(c);
        few_chunk<FAST>(g, c, m0, w, scale, part);
    }
    __syncthreads();
    if (threadIdx.x >= FEW_ROWS * FEW_COLUMNS)
        return;
    float total = 0.0f;
#pragma unroll 16
    for (int k = 0; k < chunks * FEW_STEPS; k++)
        total += part[(k * FEW_ROWS + r) * FEW_COLUMNS + col];
    unsigned bits = 0;
    if (row < g.rows) {
        row_scale(own.max, &inverse);
        bits = cu_bits(finish_few(g, row, n0 + col, total * inverse * own_scale, own));
    }
    for (int d = 1; d < FEW_COLUMNS; d <<= 1)
        bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, d));
    if (g.ymax && row < g.rows && col == 0)
        atomicMax(g.ymax + row, bits);
}

static void multiply_rows(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    const int chunks = g->m.k_pad / CU_CHUNK;
    const dim3 grid((cu_columns(g) + FEW_COLUMNS - 1) / FEW_COLUMNS,
                    (g->rows + FEW_ROWS - 1) / FEW_ROWS);
    const int bytes = chunks * FEW_STEPS * FEW_ROWS * FEW_COLUMNS * (int)sizeof(float);
    const int warps = chunks < 8 ? 8 : chunks < FEW_WARPS ? chunks : FEW_WARPS;
    cu_launch(s, stream, grid, warps * 32, bytes, g->fast ? multiply_few<1> : multiply_few<0>, *g);
}

/* ---------------------------------------------------------------- double precision */

enum { DBL = 32 };

/* 32 x 32 per block of 16 x 16 threads, 2 x 2 each */
__global__ void __launch_bounds__(256) multiply_double(const cu_gemm<double> g)
{
    cu_wait();
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

void cu_multiply_prepare(cu_state *s)
{
    const int most = FEW_CHUNKS * FEW_STEPS * FEW_ROWS * FEW_COLUMNS * (int)sizeof(float);
    cudaFuncSetAttribute(multiply_few<0>, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    cudaFuncSetAttribute(multiply_few<1>, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    cu_tiles_prepare();
    int device = 0, major = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (major == 9) { /* others have less shared memory than these take */
        cu_warpgroups_prepare();
        cu_wide_prepare();
    }
    cu_check(s, "the shared memory of dense layers");
}

template <> void cu_multiply<float>(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    if (g->rows <= 160 && g->m.k_pad / CU_CHUNK <= FEW_CHUNKS)
        multiply_rows(s, stream, g);
    else if (g->warpgroups)
        cu_multiply_warpgroups(s, stream, g);
    else
        cu_multiply_tiles(s, stream, g);
    cu_check(s, "a dense layer");
}

template <> void cu_multiply<double>(cu_state *s, cudaStream_t stream, const cu_gemm<double> *g)
{
    const dim3 grid((cu_columns(g) + DBL - 1) / DBL, (g->rows + DBL - 1) / DBL);
    cu_launch(s, stream, grid, 256, 0, multiply_double, *g);
    cu_check(s, "a dense layer");
}
