/* SPDX-License-Identifier: MIT */
/* mlp.cu - dense layers: packing of weights, products in double, and which kernel takes a product
 * (gemm.h: how they are computed). */
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
    cu_few_prepare();
    cu_tiles_prepare();
    int device = 0, major = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (major == 9) { /* others have less shared memory than these take */
        cu_warpgroups_prepare();
        cu_wide_prepare();
        cu_chain_prepare();
        cu_relay_prepare();
    }
    cu_check(s, "the shared memory of dense layers");
}

template <> void cu_multiply<float>(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    if (cu_few_fits(g))
        cu_multiply_few(s, stream, g);
    else if (g->warpgroups)
        cu_multiply_warpgroups(s, stream, g);
    else
        cu_multiply_tiles(s, stream, g);
    cu_check(s, "a dense layer");
}

template <>
void cu_multiply_all<float>(cu_state *s, cudaStream_t stream, cu_layers<float> *layers, char *room,
                            unsigned *counters)
{
    for (int l = 0; l < layers->n;) {
        int taken = cu_multiply_chain(s, stream, layers->g + l, layers->n - l, room);
        if (!taken && l == 0) /* counters are good for one launch */
            taken = cu_multiply_relay(s, stream, layers->g, layers->n, counters);
        if (!taken)
            cu_multiply(s, stream, &layers->g[l]);
        l += taken ? taken : 1;
    }
    layers->n = 0;
    cu_check(s, "layers");
}

template <> void cu_multiply<double>(cu_state *s, cudaStream_t stream, const cu_gemm<double> *g)
{
    const dim3 grid((cu_columns(g) + DBL - 1) / DBL, (g->rows + DBL - 1) / DBL);
    cu_launch(s, stream, grid, 256, 0, multiply_double, *g);
    cu_check(s, "a dense layer");
}

template <>
void cu_multiply_all<double>(cu_state *s, cudaStream_t stream, cu_layers<double> *layers, char *,
                             unsigned *)
{
    for (int l = 0; l < layers->n; l++)
        cu_multiply(s, stream, &layers->g[l]);
    layers->n = 0;
}
