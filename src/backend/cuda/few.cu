/* SPDX-License-Identifier: MIT */
/* few.cu - dense layers of few rows (gemm.h: how they are computed), with what stands in front of them
 * and behind them (front.h), in blocks of 32 rows; and which kernel takes them. */
#include "backend/cuda/few.h"

enum {
    FEW_ROWS = 32,
    FEW_COLUMNS = 8,
    FEW_ENDS = FEW_ROWS * FEW_COLUMNS, /* threads that end an element */
    MOST_ROWS = 160
};

/* ---------------------------------------------------------------- products */

/* Sums of the two steps of a chunk for 32 rows x 8 columns. */
template <int FAST>
static __device__ __forceinline__ void few_chunk(const chunk_rows<2> &rows, int c,
                                                 const unsigned w[CU_PIECES], const float scale[4],
                                                 float *part)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int ks = 0; ks < FEW_STEPS; ks++)
#pragma unroll
        for (int m = 0; m < 2; m++) {
            unsigned ah[4], al[4], h[2], l[2];
#pragma unroll
            for (int half = 0; half < 2; half++) {
                split4(rows.x[ks][2 * m + half], scale[2 * m + half], h, l);
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

/* ---------------------------------------------------------------- ends */

/* charge_forward (charge.cu) of one system whose atoms are the rows of a block, by its first warp;
 * y: their columns behind the features. Other warps would add zeros to its sums. */
static __device__ __forceinline__ void equilibrate(const cu_charges<float> &c, int n,
                                                   const float (*y)[FEW_COLUMNS])
{
    const int i = threadIdx.x;
    for (int k = 0; k < c.nc; k++) {
        const double root = i < n ? (double)y[i][c.nc + k] : 0.0;
        double raw = i < n ? (double)y[i][k] : 0.0;
        if (c.q_old && i < n)
            raw += (double)c.q_old[(size_t)i * c.nc + k];
        const double q = cu_warp_sum(raw + 0.0) + 0.0, f = cu_warp_sum(root * root) + 0.0;
        const double target = c.nc == 1
                                  ? c.charge[0]
                                  : 0.5 * (c.charge[0] + (k == 0 ? 1.0 : -1.0) * (c.mult[0] - 1.0)),
                     missing = target - q, capacity = c.epsilon + f;
        if (i == 0) {
            c.state[2 * k] = missing;
            c.state[2 * k + 1] = capacity;
        }
        if (i < n)
            c.q[(size_t)i * c.nc + k] = (float)(raw + root * root * missing / capacity);
    }
}

/* ---------------------------------------------------------------- kernels */

/* 32 x 8 of the product per block. Warps share the chunks, whose steps meet in shared memory and are
 * added in order: for a handful of atoms this reads the weights with the whole card, and it does so
 * before the rows are there. Rows that are made take a chunk for each warp. */
template <int FAST, int CHARGES, typename front>
static __device__ __forceinline__ void multiply_block(const cu_gemm<float> &g, front rows,
                                                      const cu_charges<float> *charges)
{
    extern __shared__ float part[]; /* [chunks][2][32][8] */
    __shared__ unsigned largest[FEW_ROWS];
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
    if (front::MAKES && threadIdx.x < FEW_ROWS)
        largest[threadIdx.x] = 0;
    cu_wait();
    ahead own = {};
    if (threadIdx.x < FEW_ENDS)
        own = read_ahead<front::MAKES>(g, row, n0 + col, own_bias);
    float scale[4], inverse;
    chunk_rows<2> x;
    if (front::MAKES) {
        rows.prepare(g.rows);
        __syncthreads();
        if (warp < chunks) {
            read_chunk(&x, warp, m0, g.rows - 1,
                       [&](int i, int k) { return rows.row(g, i, k); });
            find_largest(x, largest);
        }
        __syncthreads();
        if (threadIdx.x < FEW_ENDS)
            own.max = largest[r];
    }
#pragma unroll
    for (int k = 0; k < 4; k++)
        scale[k] = row_scale(front::MAKES ? largest[k * 8 + lane / 4]
                                          : g.xmax[min(m0 + k * 8 + lane / 4, g.rows - 1)],
                             &inverse);
    for (int c = warp; c < chunks; c += (int)blockDim.x / 32) {
        if (c != warp)
            weigh(c);
        if (!front::MAKES)
            read_chunk(&x, c, m0, g.rows - 1, [&](int i, int k) { return rows.row(g, i, k); });
        few_chunk<FAST>(x, c, w, scale, part);
    }
    __syncthreads();
    if (threadIdx.x >= FEW_ENDS)
        return;
    float total = 0.0f, value = 0.0f;
#pragma unroll 16
    for (int k = 0; k < chunks * FEW_STEPS; k++)
        total += part[(k * FEW_ROWS + r) * FEW_COLUMNS + col];
    unsigned bits = 0;
    if (row < g.rows) {
        row_scale(own.max, &inverse);
        bits = cu_bits(
            finish_few(g, row, n0 + col, total * inverse * own_scale, own, &value));
    }
    if (CHARGES) { /* updates have no largest magnitudes */
        __shared__ float y[FEW_ROWS][FEW_COLUMNS];
        if (n0 != g.fa)
            return;
        y[r][col] = value;
        asm volatile("bar.sync 1, %0;" ::"n"((int)FEW_ENDS) : "memory");
        if (warp == 0)
            equilibrate(*charges, g.rows, y);
    } else {
        for (int d = 1; d < FEW_COLUMNS; d <<= 1)
            bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, d));
        if (g.ymax && row < g.rows && col == 0)
            atomicMax(g.ymax + row, bits);
    }
}

template <int FAST>
__global__ void __launch_bounds__(FEW_WARPS * 32) multiply_few(const cu_gemm<float> g)
{
    multiply_block<FAST, 0>(g, plain_front{}, NULL);
}

template <int FAST>
__global__ void __launch_bounds__(FEW_WARPS * 32)
    multiply_charges(const cu_gemm<float> g, const cu_charges<float> c)
{
    multiply_block<FAST, 1>(g, plain_front{}, &c);
}

template <int FAST>
__global__ void __launch_bounds__(FEW_WARPS * 32)
    multiply_pass(const cu_gemm<float> g, const __grid_constant__ cu_pass_front<float> p)
{
    multiply_block<FAST, 0>(g, pass_front{p, NULL}, NULL);
}

template <int FAST>
__global__ void __launch_bounds__(FEW_WARPS * 32)
    multiply_head(const cu_gemm<float> g, const __grid_constant__ cu_head_out<float> h)
{
    multiply_block<FAST, 0>(g, head_front{h}, NULL);
}

/* ---------------------------------------------------------------- launches */

int cu_few_fits(const cu_gemm<float> *g)
{
    return g->rows <= MOST_ROWS && g->m.k_pad / CU_CHUNK <= FEW_CHUNKS;
}

void cu_few_prepare(void)
{
    cu_few16_prepare();
    const int most = FEW_CHUNKS * FEW_STEPS * FEW_ENDS * (int)sizeof(float);
    const cudaFuncAttribute shared = cudaFuncAttributeMaxDynamicSharedMemorySize;
    cudaFuncSetAttribute(multiply_few<0>, shared, most);
    cudaFuncSetAttribute(multiply_few<1>, shared, most);
    cudaFuncSetAttribute(multiply_charges<0>, shared, most);
    cudaFuncSetAttribute(multiply_charges<1>, shared, most);
    cudaFuncSetAttribute(multiply_pass<0>, shared, most);
    cudaFuncSetAttribute(multiply_pass<1>, shared, most);
    cudaFuncSetAttribute(multiply_head<0>, shared, most);
    cudaFuncSetAttribute(multiply_head<1>, shared, most);
}

template <typename... P, typename... A>
static void launch(cu_state *s, cudaStream_t stream, void (*kernel)(cu_gemm<float>, P...),
                   const cu_gemm<float> *g, const A &...more)
{
    const int chunks = g->m.k_pad / CU_CHUNK;
    const dim3 grid((cu_columns(g) + FEW_COLUMNS - 1) / FEW_COLUMNS,
                    (g->rows + FEW_ROWS - 1) / FEW_ROWS);
    const int bytes = chunks * FEW_STEPS * FEW_ENDS * (int)sizeof(float);
    const int warps = chunks < 8 ? 8 : chunks < FEW_WARPS ? chunks : FEW_WARPS;
    cu_launch(s, stream, grid, warps * 32, bytes, kernel, *g, more...);
}

void cu_multiply_few(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    if (cu_few16_fits(g))
        cu_few16(s, stream, g);
    else
        launch(s, stream, g->fast ? multiply_few<1> : multiply_few<0>, g);
}

/* Whether rows can be made: a chunk for each warp. */
static int makes_rows(const cu_gemm<float> *g)
{
    return cu_few_fits(g) && g->m.k_pad / CU_CHUNK <= FEW_WARPS;
}

/* One system, of which this is all. */
static int alone(const cu_charges<float> *c)
{
    return c->systems == 1 && c->wide == 1;
}

template <typename real>
static void make_rows(cu_state *s, cudaStream_t stream, const cu_gemm<real> *g,
                      const cu_pass_front<real> *p)
{
    cu_output_adjoint(s, stream, g->rows, p->fa, p->nc, p->ga, p->gy, p->slope, p->ldslope,
                      (real *)g->x, g->ldx, (unsigned *)g->xmax);
    cu_multiply(s, stream, g);
}

template <>
void cu_multiply_pass(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                      const cu_pass_front<float> *front)
{
    cu_pass_front<float> p = *front;
    if (p.has_charges && !(makes_rows(g) && alone(&p.charges))) {
        cu_charge_backward(s, stream, &p.charges);
        p.has_charges = 0;
    }
    if (!makes_rows(g) || p.fa % 4) {
        make_rows(s, stream, g, &p);
        return;
    }
    if (cu_few16_fits(g))
        cu_few16_pass(s, stream, g, &p);
    else
        launch(s, stream, g->fast ? multiply_pass<1> : multiply_pass<0>, g, p);
    cu_check(s, "the adjoint of a pass");
}

template <>
void cu_multiply_head(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                      const cu_head_out<float> *head)
{
    if (makes_rows(g) && head->n_in % 4 == 0) {
        if (cu_few16_fits(g))
            cu_few16_head(s, stream, g, head);
        else
            launch(s, stream, g->fast ? multiply_head<1> : multiply_head<0>, g, *head);
        cu_check(s, "the adjoint of a head");
        return;
    }
    cu_head_backward(s, stream, head);
    cu_multiply(s, stream, g);
}

template <>
void cu_multiply_charges(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                         const cu_charges<float> *charges)
{
    if (cu_few_fits(g) && g->rows <= FEW_ROWS && alone(charges) && g->fa % FEW_COLUMNS == 0 &&
        g->ldcharges <= FEW_COLUMNS) {
        launch(s, stream, g->fast ? multiply_charges<1> : multiply_charges<0>, g, *charges);
        cu_check(s, "charge equilibration");
        return;
    }
    cu_multiply(s, stream, g);
    cu_charge_forward(s, stream, charges);
}

template <>
void cu_multiply_pass(cu_state *s, cudaStream_t stream, const cu_gemm<double> *g,
                      const cu_pass_front<double> *p)
{
    if (p->has_charges)
        cu_charge_backward(s, stream, &p->charges);
    make_rows(s, stream, g, p);
}
template <>
void cu_multiply_head(cu_state *s, cudaStream_t stream, const cu_gemm<double> *g,
                      const cu_head_out<double> *head)
{
    cu_head_backward(s, stream, head);
    cu_multiply(s, stream, g);
}
template <>
void cu_multiply_charges(cu_state *s, cudaStream_t stream, const cu_gemm<double> *g,
                         const cu_charges<double> *charges)
{
    cu_multiply(s, stream, g);
    cu_charge_forward(s, stream, charges);
}
