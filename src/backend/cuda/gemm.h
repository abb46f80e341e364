/* SPDX-License-Identifier: MIT */
/* gemm.h - dense layers on the device: what their kernels have in common. y = act(x W^T + b) and
 * (x W) * slope, with exact GELU.
 *
 * float32: tensor cores with split operands. Every operand is a sum of two halves, x s = hi + lo,
 * s a power of two that brings the largest element of its row to 2^11: together 22 bits and more,
 * elements far below the row's largest keep an absolute accuracy of 2^-36 of it. A product takes
 * three half products with float accumulation, lo*hi, hi*lo, hi*hi; what is dropped, lo*lo, is below
 * 2^-22 (H. Ootomo, R. Yokota, Int. J. High Perf. Comput. Appl. 36, 475 (2022),
 * doi:10.1177/10943420221090256).
 *
 * The matrix units truncate their sums. So every CU_STEP = 16 terms start from zero: the small
 * products come first, where truncation does not matter, then the large ones in one instruction, which
 * truncates once; steps are added in ordinary float. What remains is a bias: of numbers with evenly
 * distributed logarithms, truncation loses the share CU_LOST = 2^-24/(2 ln 2) on average. A network's
 * energy would be off by several times its rounding errors, so forward products get it back, in
 * `add_bias`. All
 * kernels do the same operations for an element, and the order of terms within a step does not matter
 * to the matrix units: a result depends neither on the number of rows nor on the kernel.
 * tests/cuda/test_multiply measures the error: that of float arithmetic in chunks of 32.
 *
 * With `fast` only hi*hi is computed: operands of 11 bits, as TF32 has.
 *
 * Packed weights: [k / 16][column / 8][plane][half][8 columns][8 halves], plane hi or lo: the columns of
 * a tile lie together. A step's 16 terms are permuted so that the elements 4 c .. 4 c + 3
 * of a row of x are what lane c of four feeds to one
 * instruction. */
#ifndef AIM_BACKEND_CUDA_GEMM_H
#define AIM_BACKEND_CUDA_GEMM_H

#include <math.h>

#include "backend/cuda/layers.h"
#include "point/gelu.h"

enum {
    CU_STEP = 16,
    CU_CHAIN = 8,  /* layers in one kernel */
    CU_PIECES = 8, /* per chunk: planes x steps x halves */
    CU_BLOCK = 512 /* bytes of eight columns in a step */
};

/* ---------------------------------------------------------------- epilogue */

/* aim_gelu_f32 with a reciprocal that does not branch, so that elements hide each other's latencies; its
 * last bit is mended by one step of Newton's. exp(-z z/2)/2 is what expf does for it, with the two halves in
 * its constants: 2^f with f between 0 and 1, and the power of two from the lower bits of a sum whose last
 * bit is 1; zero below 2^-126. */
static __device__ __forceinline__ float cu_gelu(float z, float *slope)
{
    const float square = z * z, d = fmaf(0.25f, fabsf(z), 1.0f),
                whole = __fmaf_rd(__saturatef(fmaf(square, -0.5f * 0.00572498003020882606f, 0.5f)),
                                  252.0f, 12582912.0f),
                n = whole - 12583038.0f,
                part = fmaf(square, -0.5f * 1.925963033500011079e-08f,
                            fmaf(square, -0.5f * 1.4426950216293334961f, -n));
    float t, e;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(t) : "f"(d));
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(part));
    t = fmaf(t, fmaf(-d, t, 1.0f), t);
    e *= __uint_as_float(__float_as_uint(whole) << 23);
    const float tail = e * aim_normal_tail_f32(t), cdf = z < 0.0f ? tail : 1.0f - tail;
    *slope = fmaf(z * e, 2.0f * 0.39894228040143267794f, cdf);
    return z * cdf;
}
static __device__ __forceinline__ double cu_gelu(double z, double *slope)
{
    const double cdf = 0.5 * erfc(-z * 0.70710678118654752440),
                 density = 0.39894228040143267794 * exp(-0.5 * z * z);
    *slope = fma(z, density, cdf);
    return z * cdf;
}

#define CU_LOST 4.2995e-8f /* 2^-24/(2 ln 2) */

/* z scale (1 + CU_LOST) + bias, rounded once. scale: a power of two, by which nothing is rounded; lost: CU_LOST
 * times it */
static __device__ __forceinline__ float add_bias(float z, float scale, float lost, float bias)
{
    const float sum = fmaf(z, scale, bias), part = fmaf(-z, scale, sum),
                error = __fadd_rn(fmaf(z, scale, -__fsub_rn(sum, part)), __fsub_rn(bias, part));
    return __fadd_rn(sum, fmaf(z, lost, error));
}
static __device__ __forceinline__ float add_bias(float z, float bias)
{
    return add_bias(z, 1.0f, CU_LOST, bias);
}
static __device__ __forceinline__ double add_bias(double z, double bias)
{
    return z + bias;
}

/* *slope where there is an activation. */
template <int GELU, typename real>
static __device__ __forceinline__ real activate(real z, real *slope)
{
    return GELU ? cu_gelu(z, slope) : z;
}

/* The sum of a product to its value: bias, activation. */
template <typename real>
static __device__ __forceinline__ real activate(real z, real bias, int has_gelu, real *slope)
{
    z = add_bias(z, bias);
    return has_gelu ? cu_gelu(z, slope) : z;
}

template <typename real>
static __device__ __forceinline__ const real *bias_of(const cu_gemm<real> &g, int row)
{
    return g.bias + (g.bias_row ? g.bias_row[row] * g.ldbias : 0);
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

static __device__ __forceinline__ unsigned store4(float *y, float4 z)
{
    *(float4 *)y = z;
    return max(max(cu_bits(z.x), cu_bits(z.y)), max(cu_bits(z.z), cu_bits(z.w)));
}

/* The same for four columns at once; returns the bits of the largest magnitude. bias: of the columns,
 * NULL: by row. Leading dimensions are multiples of four except in updates. */
static __device__ __forceinline__ unsigned finish4(const cu_gemm<float> &g, int row, int col,
                                                   float4 z, const float4 *bias)
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
        const float4 b = bias ? *bias : *(const float4 *)(bias_of(g, row) + col);
        float4 s;
        z.x = activate(z.x, b.x, g.gelu, &s.x);
        z.y = activate(z.y, b.y, g.gelu, &s.y);
        z.z = activate(z.z, b.z, g.gelu, &s.z);
        z.w = activate(z.w, b.w, g.gelu, &s.w);
        if (g.gelu && g.slope)
            *slope = s;
    }
    return store4(g.y + (size_t)row * g.ldy + col, z);
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

/* hi and lo of two numbers, x in the lower half */
static __device__ __forceinline__ void split2(float x, float y, unsigned *hi, unsigned *lo)
{
    const __half2 h = __floats2half2_rn(x, y);
    const float2 back = __half22float2(h);
    const __half2 l = __floats2half2_rn(x - back.x, y - back.y);
    *hi = *(const unsigned *)&h;
    *lo = *(const unsigned *)&l;
}

/* Four neighbouring elements of a row: the two registers that they fill of a step's operand. */
static __device__ __forceinline__ void split4(float4 x, float scale, unsigned hi[2], unsigned lo[2])
{
    split2(x.x * scale, x.y * scale, &hi[0], &lo[0]);
    split2(x.z * scale, x.w * scale, &hi[1], &lo[1]);
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

/* bytes from the start of packed weights to a column in one piece of a chunk */
static __device__ __forceinline__ size_t packed_at(const cu_matrix &m, int chunk, int column,
                                                   int piece)
{
    const size_t step = (size_t)(2 * chunk + piece / 2 % 2);
    return (step * (size_t)(m.n_pad / 8) + column / 8) * CU_BLOCK +
           (piece / 4 * 2 + piece % 2) * 128 + column % 8 * 16;
}

/* columns that have to be computed */
template <typename real> static inline int cu_columns(const cu_gemm<real> *g)
{
    return g->mode == CU_UPDATE ? g->fa + g->ldcharges : g->ldy;
}

/* from a row of y to the next */
template <typename real> static inline int cu_row_of(const cu_gemm<real> *g)
{
    return g->pitch ? g->pitch : g->ldy;
}

/* few.cu: few rows; tile.cu: instructions of a warp, any card; warpgroup.cu: those of four warps, Hopper, where few blocks
 * fill the card, else wide.cu with tiles of so many columns. */
int cu_few_fits(const cu_gemm<float> *g);
void cu_multiply_few(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g);
void cu_few_prepare(void);
void cu_multiply_tiles(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g);
void cu_multiply_warpgroups(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g);
void cu_multiply_wide(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g, int columns);
/* The kth width of tiles that cover no more columns than the weights of g are padded to; 0: no more. */
int cu_wide_columns(const cu_gemm<float> *g, int k);
/* chain.cu: as many of n layers as one kernel takes, none or more than one. */
int cu_multiply_chain(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g, int n, char *room);
/* relay.cu: the same for thousands of rows. */
int cu_multiply_relay(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g, int n,
                      unsigned *counters);
void cu_tiles_prepare(void);
void cu_chain_prepare(void);
void cu_warpgroups_prepare(void);
void cu_wide_prepare(void);
void cu_relay_prepare(void);

#endif
