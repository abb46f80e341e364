/* SPDX-License-Identifier: MIT */
/* few.h - dense layers of few rows (few.cu): what their rows are made of and how their elements end. */
#ifndef AIM_BACKEND_CUDA_FEW_H
#define AIM_BACKEND_CUDA_FEW_H

#include "backend/cuda/front.h"
#include "backend/cuda/gemm.h"
#include "backend/cuda/sums.h"

enum {
    FEW_STEPS = 2,
    FEW_PART = 98304 /* most bytes for the sums of steps: every card has them */
};

/* ---------------------------------------------------------------- rows */

/* The row of eight that lane l / 4 has: the sums of a lane's two rows are four apart. */
static __device__ __forceinline__ int own_row(void)
{
    const int n = threadIdx.x % 32 / 4;
    return n / 2 + n % 2 * 4;
}

/* Four neighbouring elements of the lane's rows, in each of the two steps of a chunk. */
template <int R> struct few_rows {
    float4 x[FEW_STEPS][R];
};

template <int R, typename F>
static __device__ __forceinline__ void read_rows(few_rows<R> *rows, int c, int m0, int last, F f)
{
#pragma unroll
    for (int ks = 0; ks < FEW_STEPS; ks++)
#pragma unroll
        for (int r = 0; r < R; r++)
            rows->x[ks][r] = f(min(m0 + r * 8 + own_row(), last),
                               c * CU_CHUNK + ks * CU_STEP + threadIdx.x % 4 * 4);
}

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
    template <int R>
    __device__ __forceinline__ void read(const cu_gemm<float> &g, int c, int m0,
                                         few_rows<R> *to) const
    {
        read_rows(to, c, m0, g.rows - 1, [&](int i, int k) { return row(g, i, k); });
    }
};

/* the adjoint of a head's output (head.cu, head_backward), */
struct head_front {
    static constexpr int MAKES = 1;
    cu_head_out<float> h;
    float4 w[FEW_STEPS]; /* of the first output, early */
    __device__ __forceinline__ float4 weights(int k, int c) const
    {
        return k < h.n_in ? *(const float4 *)(h.w + (size_t)c * h.n_in + k) : float4{};
    }
    __device__ __forceinline__ void prepare(int c)
    {
#pragma unroll
        for (int ks = 0; ks < FEW_STEPS; ks++)
            w[ks] = weights(c * CU_CHUNK + ks * CU_STEP + threadIdx.x % 4 * 4, 0);
    }
    __device__ __forceinline__ float4 row(int i, int k, const float4 &first) const
    {
        const float4 below =
            h.slope_below && k < h.n_in
                ? *(const float4 *)(h.slope_below + (size_t)i * h.ldslope_below + k)
                : make_float4(1.0f, 1.0f, 1.0f, 1.0f);
        const double *own = h.g + (size_t)(h.order ? h.order[i] : i) * h.ldg;
        float4 sum = {};
#pragma unroll 1
        for (int c = 0; c < h.n_out; c++) {
            float a = (float)own[c];
            if (h.gelu)
                a *= h.slope[(size_t)i * h.ldslope + c];
            const float4 w = c ? weights(k, c) : first;
            sum.x = fmaf(a, w.x, sum.x);
            sum.y = fmaf(a, w.y, sum.y);
            sum.z = fmaf(a, w.z, sum.z);
            sum.w = fmaf(a, w.w, sum.w);
        }
        return h.slope_below ? times(sum, below) : sum;
    }
    template <int R>
    __device__ __forceinline__ void read(const cu_gemm<float> &g, int c, int m0,
                                         few_rows<R> *to) const
    {
        read_rows(to, c, m0, g.rows - 1,
                  [&](int i, int k) { return row(i, k, w[k / CU_STEP % FEW_STEPS]); });
    }
};

/* and the adjoint of what a pass has put out (charge.cu, output_adjoint), after charge equilibration's.
 * Features end with a chunk; what is behind them is made by the warp of the next one. */
struct pass_front {
    static constexpr int MAKES = 1;
    cu_pass_front<float> p;
    __device__ __forceinline__ void prepare(int) const {}
    /* What charge_backward takes off the adjoints of channel k; one system of no more than 256 atoms. */
    __device__ __forceinline__ double mean(int n, int k, double capacity) const
    {
        const cu_charges<float> &c = p.charges;
        double sum[1];
        cu_sums_by_warp<1>(
            n,
            [&](int i, double x[1]) {
                const double root = (double)c.y[(size_t)i * 2 * c.nc + c.nc + k];
                x[0] = (double)c.gq[(size_t)i * c.nc + k] * root * root;
            },
            sum);
        return sum[0] / capacity;
    }
    /* Adjoints of raw charges and of their roots, columns behind the features: a lane makes one for each
     * of its rows, the first of four lanes gets them. The blocks of the first columns leave what the
     * charges before get of it. */
    template <int R>
    __device__ __forceinline__ void read_charges(const cu_gemm<float> &g, int m0,
                                                 few_rows<R> *to) const
    {
        const cu_charges<float> &c = p.charges;
        const int j = threadIdx.x % 4, first = threadIdx.x & 28, k = j % p.nc, has = j < 2 * p.nc;
        float x[R], root[R];
#pragma unroll
        for (int r = 0; r < R; r++) {
            const size_t i = min(m0 + r * 8 + own_row(), g.rows - 1);
            x[r] = !has ? 0.0f : p.has_charges ? c.gq[i * c.nc + k] : p.gy[i * 2 * p.nc + j];
            root[r] = p.has_charges ? c.y[i * 2 * c.nc + c.nc + k] : 0.0f;
        }
        if (p.has_charges) {
            const double missing = c.state[2 * k], capacity = c.state[2 * k + 1];
            double off = 0;
#pragma unroll 1
            for (int m = 0; m < p.nc; m++) {
                const double own = mean(g.rows, m, c.state[2 * m + 1]);
                off = m == k ? own : off;
            }
#pragma unroll
            for (int r = 0; r < R; r++) {
                const int i = m0 + r * 8 + own_row();
                const double own = (double)x[r] - off;
                if (j < p.nc && c.gq_old && blockIdx.x == 0 && i < g.rows)
                    c.gq_old[(size_t)i * c.nc + k] += (float)own;
                x[r] = !has ? 0.0f
                            : (float)(j < p.nc ? own
                                               : 2.0 * (double)root[r] * own * missing / capacity);
            }
        }
#pragma unroll
        for (int r = 0; r < R; r++) {
            const size_t i = min(m0 + r * 8 + own_row(), g.rows - 1);
            if (p.slope && has)
                x[r] *= p.slope[i * p.ldslope + p.fa + j];
            float all[4];
#pragma unroll
            for (int m = 0; m < 4; m++)
                all[m] = __shfl_sync(0xffffffffu, x[r], first + m);
            to->x[0][r] = j ? float4{} : make_float4(all[0], all[1], all[2], all[3]);
            to->x[1][r] = float4{};
        }
    }
    template <int R>
    __device__ __forceinline__ void read(const cu_gemm<float> &g, int c, int m0,
                                         few_rows<R> *to) const
    {
        if (c * CU_CHUNK == p.fa) {
            read_charges(g, m0, to);
            return;
        }
        read_rows(to, c, m0, g.rows - 1, [&](int i, int k) {
            const float4 x = *(const float4 *)(p.ga + (size_t)i * p.fa + k);
            return p.slope ? times(x, *(const float4 *)(p.slope + (size_t)i * p.ldslope + k)) : x;
        });
    }
};

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

/* finish with what was read */
static __device__ __forceinline__ float finish_few(const cu_gemm<float> &g, int row, int col,
                                                   float z, const ahead &a)
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

#endif
