/* SPDX-License-Identifier: MIT */
/* crew.h - a block of threads as the crew of backend/opt/crew.h, and the linear algebra of one
 * structure in one block: a Cholesky factorisation in panels of 32 columns, and solving with it panel
 * by panel. Blocks have a size that depends on the structure alone, so that sums do too. */
#ifndef AIM_BACKEND_CUDA_CREW_H
#define AIM_BACKEND_CUDA_CREW_H

#include "backend/opt/moves.h"

enum { CREW_PANEL = 32, CREW_HALF = CREW_PANEL / 2, CREW_WARPS = 32 };

static __device__ __forceinline__ size_t crew_rank(void)
{
    return threadIdx.x;
}
static __device__ __forceinline__ size_t crew_size(void)
{
    return blockDim.x;
}
static __device__ __forceinline__ void crew_sync(void)
{
    __syncthreads();
}

struct crew_add {
    __device__ double operator()(double a, double b) const { return a + b; }
};
struct crew_larger {
    __device__ double operator()(double a, double b) const { return b > a ? b : a; }
};

/* Over all threads, in one order, the same in all of them. */
template <typename F> static __device__ __noinline__ double crew_reduce(double x, F join)
{
    __shared__ double part[CREW_WARPS];
    for (int d = 16; d > 0; d >>= 1)
        x = join(x, __shfl_xor_sync(0xffffffffu, x, d));
    __syncthreads(); /* the sum before has been read */
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = x;
    __syncthreads();
    x = part[0];
    for (unsigned w = 1; w < blockDim.x / 32; w++)
        x = join(x, part[w]);
    return x;
}

static __device__ __forceinline__ double crew_sum(double x)
{
    return crew_reduce(x, crew_add());
}
static __device__ __forceinline__ double crew_max(double x)
{
    return crew_reduce(x, crew_larger());
}

static __device__ double crew_dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = crew_rank(); i < n; i += crew_size())
        sum += a[i] * b[i];
    return crew_sum(sum);
}

/* ---------------------------------------------------------------- factor and solve */

typedef double crew_tile[CREW_PANEL][CREW_PANEL + 1];

/* Rows [row, row + 32) and columns [column, column + 32) of h; 0 beyond n. */
static __device__ void crew_load(const double *h, int n, int row, int column, crew_tile t)
{
    for (int k = threadIdx.x; k < CREW_PANEL * CREW_PANEL; k += blockDim.x) {
        const int r = row + k / CREW_PANEL, c = column + k % CREW_PANEL;
        t[k / CREW_PANEL][k % CREW_PANEL] = r < n && c < n ? h[(size_t)r * n + c] : 0.0;
    }
}

/* The tile on the diagonal becomes its factor. */
static __device__ void crew_factor_tile(crew_tile t, int width)
{
    for (int c = 0; c < width; c++) {
        __syncthreads();
        const double pivot = sqrt(t[c][c]);
        __syncthreads();
        for (int r = c + threadIdx.x; r < width; r += blockDim.x)
            t[r][c] = r == c ? pivot : t[r][c] / pivot;
        __syncthreads();
        for (int k = threadIdx.x; k < width * width; k += blockDim.x) {
            const int r = k / width, m = k % width;
            if (m > c && r >= m)
                t[r][m] -= t[r][c] * t[m][c];
        }
    }
    __syncthreads();
}

/* h[i][j] -= sum over the panel's columns of L[i][c] L[j][c], for all tiles below and right of it. */
static __device__ void crew_update(double *h, int n, int from, int first)
{
    __shared__ crew_tile a, b;
    for (int row = first; row < n; row += CREW_PANEL) {
        __syncthreads();
        crew_load(h, n, row, from, a);
        for (int column = first; column <= row; column += CREW_PANEL) {
            __syncthreads();
            crew_load(h, n, column, from, b);
            __syncthreads();
            for (int k = threadIdx.x; k < CREW_HALF * CREW_HALF; k += blockDim.x) {
                const int r = k / CREW_HALF, m = k % CREW_HALF;
                double sum[2][2] = {};
                for (int c = 0; c < CREW_PANEL; c++)
                    for (int i = 0; i < 4; i++)
                        sum[i / 2][i % 2] +=
                            a[r + i / 2 * CREW_HALF][c] * b[m + i % 2 * CREW_HALF][c];
                for (int i = 0; i < 4; i++) {
                    const int to = row + r + i / 2 * CREW_HALF, at = column + m + i % 2 * CREW_HALF;
                    if (to < n && at <= to)
                        h[(size_t)to * n + at] -= sum[i / 2][i % 2];
                }
            }
        }
    }
    __syncthreads();
}

static __device__ __noinline__ void crew_factor(double *h, int n)
{
    __shared__ crew_tile t;
    for (int from = 0; from < n; from += CREW_PANEL) {
        const int width = min(CREW_PANEL, n - from), first = from + width;
        __syncthreads();
        crew_load(h, n, from, from, t);
        crew_factor_tile(t, width);
        for (int k = threadIdx.x; k < width * width; k += blockDim.x)
            if (k % width <= k / width)
                h[(size_t)(from + k / width) * n + from + k % width] = t[k / width][k % width];
        for (int r = first + threadIdx.x; r < n; r += blockDim.x) {
            double *row = h + (size_t)r * n + from;
            for (int c = 0; c < width; c++) {
                double rest = row[c];
                for (int m = 0; m < c; m++)
                    rest -= row[m] * t[c][m];
                row[c] = rest / t[c][c];
            }
        }
        __syncthreads();
        if (first < n)
            crew_update(h, n, from, first);
    }
}

/* x of a panel from what is left of it, by the first warp: L y = x, or L^T y = x. */
static __device__ void crew_solve_tile(const crew_tile t, int width, int transposed, double *x)
{
    const int lane = threadIdx.x;
    if (lane >= 32)
        return;
    const double inverse = lane < width ? 1.0 / t[lane][lane] : 0.0;
    double mine = lane < width ? x[lane] : 0.0;
    for (int k = 0; k < width; k++) {
        const int c = transposed ? width - 1 - k : k;
        const double solved = __shfl_sync(0xffffffffu, mine * inverse, c);
        if (lane == c)
            mine = solved;
        else if (transposed ? lane < c : lane > c && lane < width)
            mine -= (transposed ? t[c][lane] : t[lane][c]) * solved;
    }
    if (lane < width)
        x[lane] = mine;
}

/* Forward: a panel's x leaves all rows below. Backward: a panel's x gathers from all rows below it,
 * every warp a share of the rows, added up in the order of the warps. */
static __device__ __noinline__ void crew_solve(const double *l, int n, double *x)
{
    __shared__ crew_tile t;
    __shared__ double part[CREW_WARPS][CREW_PANEL];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    for (int from = 0; from < n; from += CREW_PANEL) {
        const int width = min(CREW_PANEL, n - from);
        __syncthreads();
        crew_load(l, n, from, from, t);
        __syncthreads();
        crew_solve_tile(t, width, 0, x + from);
        if (threadIdx.x < (unsigned)width)
            part[0][lane] = x[from + lane];
        __syncthreads();
        for (int r = from + width + threadIdx.x; r < n; r += blockDim.x) {
            const double *row = l + (size_t)r * n + from;
            double sum[4] = {};
#pragma unroll
            for (int c = 0; c < CREW_PANEL; c++)
                sum[c % 4] += row[c] * part[0][c];
            x[r] -= (sum[0] + sum[1]) + (sum[2] + sum[3]);
        }
    }
    for (int from = (n - 1) / CREW_PANEL * CREW_PANEL; from >= 0; from -= CREW_PANEL) {
        const int width = min(CREW_PANEL, n - from);
        double sum = 0;
        __syncthreads();
        crew_load(l, n, from, from, t);
        for (int r = from + width + warp; r < n; r += warps)
            sum += l[(size_t)r * n + from + lane] * x[r];
        part[warp][lane] = sum;
        __syncthreads();
        for (int w = 0; warp == 0 && lane < width && w < warps; w++)
            x[from + lane] -= part[w][lane];
        __syncwarp();
        crew_solve_tile(t, width, 1, x + from);
    }
    __syncthreads();
}

/* ---------------------------------------------------------------- the model Hessian */

/* The place of this thread's numbers among those of all: the sum of what threads before have. */
static __device__ int crew_before(int mine, int *all)
{
    __shared__ int part[CREW_WARPS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int sum = mine;
    for (int d = 1; d < 32; d <<= 1) {
        const int other = __shfl_up_sync(0xffffffffu, sum, d);
        sum += lane >= d ? other : 0;
    }
    __syncthreads();
    if (lane == 31)
        part[warp] = sum;
    __syncthreads();
    int before = 0;
    *all = 0;
    for (int w = 0; w < (int)blockDim.x / 32; w++) {
        before += w < warp ? part[w] : 0;
        *all += part[w];
    }
    return before + sum - mine;
}

/* This thread's rows get their shares of the terms, in the order of these. */
static __device__ void crew_add_terms(const aim_variables *v, double *h, const aim_term *term,
                                      int n)
{
    const int first = 3 * v->n_atoms;
    for (int r = threadIdx.x; r < v->n_var; r += blockDim.x) {
        double *row = h + (size_t)r * v->n_var;
        for (int k = 0; k < n; k++) {
            const aim_term *t = term + k;
            if (r >= first)
                aim_term_add(t, v, t->strain[r - first], row);
            for (int a = 0; r < first && a < t->n_atoms; a++)
                if (t->atom[a] == r / 3)
                    aim_term_add(t, v, t->b[a][r % 3], row);
        }
    }
}

/* Threads count the terms of an atom each, then write them to their places, as many at a time as
 * there is room for. */
static __device__ __noinline__ void crew_model(const aim_variables *v, double *h, aim_term *store,
                                               int capacity)
{
    for (int base = 0; base < v->n_atoms; base += blockDim.x) {
        const int i = base + threadIdx.x;
        aim_terms t;
        int all;
        t.v = v;
        t.h = NULL;
        t.store = store;
        t.n = t.first = t.last = 0;
        if (i < v->n_atoms)
            aim_model_atom(&t, i);
        const int own = t.n, before = crew_before(own, &all);
        for (int from = 0; from < all; from += capacity) {
            const int count = min(capacity, all - from);
            __syncthreads();
            t.n = before;
            t.first = from;
            t.last = from + count;
            if (own > 0 && before < t.last && before + own > from)
                aim_model_atom(&t, i);
            __syncthreads();
            crew_add_terms(v, h, store, count);
        }
        __syncthreads();
    }
}

#endif
