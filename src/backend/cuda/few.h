/* SPDX-License-Identifier: MIT */
/* few.h - dense layers of few rows: what their rows are made of and how their elements end, for blocks of
 * 32 rows (few.cu) and of 16 (few16.cu). */
#ifndef AIM_BACKEND_CUDA_FEW_H
#define AIM_BACKEND_CUDA_FEW_H

#include "backend/cuda/front.h"
#include "backend/cuda/gemm.h"

enum {
    FEW_WARPS = 24,
    FEW_CHUNKS = 48,
    FEW_STEPS = 2,
    FEW_PART = 98304 /* most bytes for the sums of steps: every card has them */
};

/* ---------------------------------------------------------------- rows */

static __device__ __forceinline__ float4 times(float4 a, float4 b)
{
    return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w);
}

/* What a product's rows are made of: memory, */
struct plain_front {
    static constexpr int MAKES = 0;
    __device__ __forceinline__ void prepare(int) const {}
    __device__ __forceinline__ float4 row(const cu_gemm<float> &g, int row, int k) const
    {
        return *(const float4 *)(g.x + (size_t)row * g.ldx + k);
    }
};

/* the adjoint of a head's output (head.cu, head_backward), */
struct head_front {
    static constexpr int MAKES = 1;
    cu_head_out<float> h;
    __device__ __forceinline__ void prepare(int) const {}
    __device__ __forceinline__ float4 row(const cu_gemm<float> &, int row, int k) const
    {
        const double *own = h.g + (size_t)(h.order ? h.order[row] : row) * h.ldg;
        float4 sum = {};
        for (int c = 0; c < h.n_out && k < h.n_in; c++) {
            float a = (float)own[c];
            if (h.gelu)
                a *= h.slope[(size_t)row * h.ldslope + c];
            const float4 w = *(const float4 *)(h.w + (size_t)c * h.n_in + k);
            sum.x = fmaf(a, w.x, sum.x);
            sum.y = fmaf(a, w.y, sum.y);
            sum.z = fmaf(a, w.z, sum.z);
            sum.w = fmaf(a, w.w, sum.w);
        }
        if (h.slope_below)
            sum = times(sum, *(const float4 *)(h.slope_below + (size_t)row * h.ldslope_below + k));
        return sum;
    }
};

/* and the adjoint of what a pass has put out (charge.cu, output_adjoint), after charge equilibration's. */
struct pass_front {
    static constexpr int MAKES = 1;
    cu_pass_front<float> p;
    double *mean; /* shared: [channels] of the charges' adjoints */
    __device__ __forceinline__ double weighted(int i, int k) const
    {
        const cu_charges<float> &c = p.charges;
        const double root = (double)c.y[(size_t)i * 2 * c.nc + c.nc + k];
        return (double)c.gq[(size_t)i * c.nc + k] * root * root;
    }
    /* The sums of charge_backward over one system of no more than 256 atoms, and what it adds to the
     * adjoints of the charges before. By all threads, at least 256. */
    __device__ __forceinline__ void prepare(int n)
    {
        __shared__ double part[2][8], means[2];
        const cu_charges<float> &c = p.charges;
        mean = means;
        if (!p.has_charges)
            return;
        const int tid = threadIdx.x;
        for (int k = 0; k < c.nc && tid < 256; k++) {
            const double x = cu_warp_sum(tid < n ? 0.0 + weighted(tid, k) : 0.0);
            if (tid % 32 == 0)
                part[k][tid / 32] = x;
        }
        __syncthreads();
        if (tid < c.nc) {
            double sum = part[tid][0];
            for (int w = 1; w < 8; w++)
                sum += part[tid][w];
            means[tid] = (0.0 + sum) / c.state[2 * tid + 1];
        }
        __syncthreads();
        if (blockIdx.x || blockIdx.y || tid >= n || !c.gq_old)
            return;
        for (int k = 0; k < c.nc; k++)
            c.gq_old[(size_t)tid * c.nc + k] +=
                (float)((double)c.gq[(size_t)tid * c.nc + k] - means[k]);
    }
    /* adjoint of raw charge or of its root, column j behind the features */
    __device__ __forceinline__ float charge(int i, int j) const
    {
        if (!p.has_charges)
            return p.gy[(size_t)i * 2 * p.nc + j];
        const cu_charges<float> &c = p.charges;
        const int k = j % c.nc;
        const double g = (double)c.gq[(size_t)i * c.nc + k] - mean[k];
        if (j < c.nc)
            return (float)g;
        const double missing = c.state[2 * k], capacity = c.state[2 * k + 1],
                     root = (double)c.y[(size_t)i * 2 * c.nc + c.nc + k];
        return (float)(2.0 * root * g * missing / capacity);
    }
    __device__ __forceinline__ float behind(int i, int k) const
    {
        if (k >= p.fa + 2 * p.nc)
            return 0.0f;
        const float x = charge(i, k - p.fa);
        return p.slope ? x * p.slope[(size_t)i * p.ldslope + k] : x;
    }
    __device__ __forceinline__ float4 row(const cu_gemm<float> &, int i, int k) const
    {
        if (k >= p.fa)
            return make_float4(behind(i, k), behind(i, k + 1), behind(i, k + 2), behind(i, k + 3));
        const float4 x = *(const float4 *)(p.ga + (size_t)i * p.fa + k);
        return p.slope ? times(x, *(const float4 *)(p.slope + (size_t)i * p.ldslope + k)) : x;
    }
};

/* Four neighbouring elements of rows 8 r + lane / 4 in each of the two steps of a chunk. */
template <int M> struct chunk_rows {
    float4 x[FEW_STEPS][2 * M];
};

template <int M, typename F>
static __device__ __forceinline__ void read_chunk(chunk_rows<M> *rows, int c, int m0, int last, F f)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int ks = 0; ks < FEW_STEPS; ks++)
#pragma unroll
        for (int r = 0; r < 2 * M; r++)
            rows->x[ks][r] =
                f(min(m0 + r * 8 + lane / 4, last), c * CU_CHUNK + ks * CU_STEP + lane % 4 * 4);
}

/* The largest magnitude of each row, from the chunks that the warps have. */
template <int M>
static __device__ __forceinline__ void find_largest(const chunk_rows<M> &rows, unsigned *largest)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int r = 0; r < 2 * M; r++) {
        unsigned bits = 0;
#pragma unroll
        for (int ks = 0; ks < FEW_STEPS; ks++) {
            const float4 v = rows.x[ks][r];
            bits = max(bits, max(max(cu_bits(v.x), cu_bits(v.y)), max(cu_bits(v.z), cu_bits(v.w))));
        }
        bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, 1));
        bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, 2));
        if (lane % 4 == 0)
            atomicMax(largest + r * 8 + lane / 4, bits);
    }
}

/* ---------------------------------------------------------------- ends */

/* What the end of an element needs besides its sum, read while the products are formed. */
struct ahead {
    float bias, slope, old;
    unsigned max; /* of the row */
};

template <int MADE>
static __device__ __forceinline__ ahead read_ahead(const cu_gemm<float> &g, int row, int col,
                                                   float bias)
{
    ahead a = {bias, 1.0f, 0.0f, 0};
    if (row >= g.rows || col >= g.ldy)
        return a;
    if (!MADE)
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

/* finish with what was read; *value: also of an update's charges. */
static __device__ __forceinline__ float finish_few(const cu_gemm<float> &g, int row, int col,
                                                   float z, const ahead &a, float *value)
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
    *value = z;
    if (col < g.fa)
        g.y[(size_t)row * g.fa + col] = a.old + z;
    else
        g.charges[(size_t)row * g.ldcharges + (col - g.fa)] = z;
    return 0;
}

/* ---------------------------------------------------------------- few16.cu */

/* Whether up to 32 rows can go in blocks of 16. */
int cu_few16_fits(const cu_gemm<float> *g);
void cu_few16(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g);
void cu_few16_pass(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                   const cu_pass_front<float> *p);
void cu_few16_head(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                   const cu_head_out<float> *h);
void cu_few16_prepare(void);

#endif
