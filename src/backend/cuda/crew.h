/* SPDX-License-Identifier: MIT */
/* crew.h - a block of threads as the crew of backend/opt/crew.h, and the linear algebra of one
 * structure in one block: a Cholesky factorisation in panels of 32 columns, and solving with it panel
 * by panel. Blocks have a size that depends on the structure alone, so that sums do too. */
#ifndef AIM_BACKEND_CUDA_CREW_H
#define AIM_BACKEND_CUDA_CREW_H

#include "backend/opt/moves.h"

enum { CREW_PANEL = 32, CREW_WARPS = 32 };
/* of crew_update: threads of one tile, entries of a thread along both sides, most tiles at a time */
enum { CREW_GROUP = 64, CREW_SIDE = 8, CREW_EACH = CREW_PANEL / CREW_SIDE, CREW_GROUPS = 4 };

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

/* ---------------------------------------------------------------- factor and solve
 *
 * The factor is kept with its diagonal tiles T inverted, so that solving is made of products: below the
 * diagonal of such a tile stands T^-1, above it the transpose. */

typedef double crew_tile[CREW_PANEL][CREW_PANEL + 1];

/* Of the block, for whoever needs one: 0 and, in crew_update, one more for each of its groups. */
static __device__ __forceinline__ crew_tile &crew_scratch(int k)
{
    __shared__ crew_tile t[1 + CREW_GROUPS];
    return t[k];
}

/* Rows [row, row + 32) and columns [column, column + 32) of h, by threads of which this one is `rank`
 * of `size`, a divisor of 1024; of the unit matrix beyond n. Here and below loads are not conditional,
 * or each would wait for the one before. */
static __device__ void crew_load(const double *h, int n, int row, int column, crew_tile t, int rank,
                                 int size)
{
    enum { EACH = 4 };
    for (int base = rank; base < CREW_PANEL * CREW_PANEL; base += EACH * size) {
        double x[EACH];
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int k = base + i * size, r = row + k / CREW_PANEL, c = column + k % CREW_PANEL;
            x[i] = h[(size_t)min(r, n - 1) * n + min(c, n - 1)];
        }
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const int k = base + i * size, r = row + k / CREW_PANEL, c = column + k % CREW_PANEL;
            if (k < CREW_PANEL * CREW_PANEL)
                t[k / CREW_PANEL][k % CREW_PANEL] = r < n && c < n ? x[i] : r == c;
        }
    }
}

/* A tile becomes the inverse of its factor, by one warp: lane r factorises row r, lane c inverts
 * column c. */
static __device__ __noinline__ void crew_invert_tile(crew_tile t)
{
    __shared__ double inverse[CREW_PANEL];
    const int lane = threadIdx.x;
    double a[CREW_PANEL];
#pragma unroll
    for (int c = 0; c < CREW_PANEL; c++)
        a[c] = t[lane][c];
#pragma unroll
    for (int c = 0; c < CREW_PANEL; c++) {
        if (lane == c)
            inverse[c] = rsqrt(a[c]);
        __syncwarp();
        a[c] = lane < c ? 0.0 : a[c] * inverse[c];
        t[lane][c] = a[c];
        __syncwarp();
#pragma unroll
        for (int m = c + 1; m < CREW_PANEL; m++)
            a[m] -= a[c] * t[m][c];
    }
#pragma unroll
    for (int r = 0; r < CREW_PANEL; r++) {
        double sum[2] = {};
#pragma unroll
        for (int m = 0; m < r; m++)
            sum[m % 2] += t[r][m] * a[m];
        a[r] = ((r == lane) - (sum[0] + sum[1])) * inverse[r];
    }
    __syncwarp();
#pragma unroll
    for (int r = 0; r < CREW_PANEL; r++)
        t[r][lane] = a[r];
}

/* A row's entries in a panel become those of the factor. */
static __device__ void crew_factor_row(double *row, const crew_tile inverse)
{
    double a[CREW_PANEL];
#pragma unroll
    for (int c = 0; c < CREW_PANEL; c++)
        a[c] = row[c];
#pragma unroll
    for (int c = 0; c < CREW_PANEL; c++) {
        double sum[2] = {};
#pragma unroll
        for (int m = 0; m <= c; m++)
            sum[m % 2] += a[m] * inverse[c][m];
        row[c] = sum[0] + sum[1];
    }
}

/* h[i][j] -= sum over the columns of a panel, for one tile, whose rows of the panel are in a and b. */
static __device__ void crew_update_tile(double *h, int n, int row, int column, const crew_tile a,
                                        const crew_tile b)
{
    const int rank = threadIdx.x % CREW_GROUP, r = rank / CREW_SIDE, m = rank % CREW_SIDE;
    double sum[CREW_EACH][CREW_EACH] = {};
#pragma unroll 4
    for (int c = 0; c < CREW_PANEL; c++) {
        double left[CREW_EACH], right[CREW_EACH];
#pragma unroll
        for (int i = 0; i < CREW_EACH; i++) {
            left[i] = a[r + i * CREW_SIDE][c];
            right[i] = b[m + i * CREW_SIDE][c];
        }
#pragma unroll
        for (int i = 0; i < CREW_EACH; i++)
#pragma unroll
            for (int j = 0; j < CREW_EACH; j++)
                sum[i][j] += left[i] * right[j];
    }
#pragma unroll
    for (int i = 0; i < CREW_EACH; i++) {
        const int to = row + r + i * CREW_SIDE;
        double *h_to = h + (size_t)min(to, n - 1) * n;
#pragma unroll
        for (int j = 0; j < CREW_EACH; j++)
            sum[i][j] = h_to[min(column + m + j * CREW_SIDE, n - 1)] - sum[i][j];
#pragma unroll
        for (int j = 0; j < CREW_EACH; j++)
            if (to < n && column + m + j * CREW_SIDE <= to)
                h_to[column + m + j * CREW_SIDE] = sum[i][j];
    }
}

/* All tiles below and right of a panel: a group of threads each, those of a row at the same time. */
static __device__ void crew_update(double *h, int n, int from, int first)
{
    const int groups = min((int)blockDim.x / CREW_GROUP, (int)CREW_GROUPS),
              group = threadIdx.x / CREW_GROUP, rank = threadIdx.x % CREW_GROUP;
    crew_tile &a = crew_scratch(0), &b = crew_scratch(1 + min(group, groups - 1));
    for (int row = first; row < n; row += CREW_PANEL) {
        __syncthreads();
        crew_load(h, n, row, from, a, threadIdx.x, blockDim.x);
        for (int base = first; base <= row; base += groups * CREW_PANEL) {
            const int column = base + group * CREW_PANEL, mine = group < groups && column <= row;
            __syncthreads();
            if (mine)
                crew_load(h, n, column, from, b, rank, CREW_GROUP);
            __syncthreads();
            if (mine)
                crew_update_tile(h, n, row, column, a, b);
        }
    }
    __syncthreads();
}

static __device__ __noinline__ void crew_factor(double *h, int n)
{
    crew_tile &t = crew_scratch(0);
    for (int from = 0; from < n; from += CREW_PANEL) {
        const int first = from + CREW_PANEL;
        __syncthreads();
        crew_load(h, n, from, from, t, threadIdx.x, blockDim.x);
        __syncthreads();
        if (threadIdx.x < CREW_PANEL)
            crew_invert_tile(t);
        __syncthreads();
        for (int k = threadIdx.x; k < CREW_PANEL * CREW_PANEL; k += blockDim.x) {
            const int r = k / CREW_PANEL, c = k % CREW_PANEL;
            if (from + max(r, c) < n)
                h[(size_t)(from + r) * n + from + c] = r < c ? t[c][r] : t[r][c];
        }
        for (int r = first + threadIdx.x; r < n; r += blockDim.x)
            crew_factor_row(h + (size_t)r * n + from, t);
        __syncthreads();
        if (first < n)
            crew_update(h, n, from, first);
    }
}

/* Of the symmetric tile at `from`: row or column `lane`, cut off at its diagonal. */
static __device__ void crew_half_row(const double *l, int n, int from, int upper, double *half)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int k = 0; k < CREW_PANEL; k++)
        half[k] = l[(size_t)min(from + k, n - 1) * n + min(from + lane, n - 1)];
#pragma unroll
    for (int k = 0; k < CREW_PANEL; k++)
        half[k] = from + max(k, lane) < n && (upper ? k >= lane : k <= lane) ? half[k] : 0.0;
}

/* The product of such a row with what the lanes of the warp have. */
static __device__ double crew_half_dot(const double *half, double x)
{
    double sum[4] = {};
#pragma unroll
    for (int k = 0; k < CREW_PANEL; k++)
        sum[k % 4] += half[k] * __shfl_sync(0xffffffffu, x, k);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Rows below a panel lose their products with its x: each warp takes eight at a time. */
static __device__ void crew_leave_rows(const double *l, int n, int from, double *x)
{
    enum { EACH = 8 };
    const int lane = threadIdx.x % 32, first = from + CREW_PANEL + EACH * (threadIdx.x / 32);
    const double solved = from + lane < n ? x[from + lane] : 0.0;
    for (int r = first; r < n; r += EACH * (blockDim.x / 32)) {
        double sum[EACH];
#pragma unroll
        for (int k = 0; k < EACH; k++)
            sum[k] = l[(size_t)min(r + k, n - 1) * n + from + lane] * solved;
#pragma unroll
        for (int d = 16; d > 0; d >>= 1)
#pragma unroll
            for (int k = 0; k < EACH; k++)
                sum[k] += __shfl_xor_sync(0xffffffffu, sum[k], d);
#pragma unroll
        for (int k = 0; k < EACH; k++)
            if (lane == k && r + k < n)
                x[r + k] -= sum[k];
    }
}

/* Forward: a panel's x leaves all rows below. Backward: a panel's x gathers from all rows below it,
 * every warp a share of the rows, added up in the order of the warps. */
static __device__ __noinline__ void crew_solve(const double *l, int n, double *x)
{
    crew_tile &part = crew_scratch(0); /* as many warps as a tile has rows, at most */
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    double half[CREW_PANEL];
    if (warp == 0)
        crew_half_row(l, n, 0, 0, half);
    for (int from = 0; from < n; from += CREW_PANEL) {
        __syncthreads();
        if (warp == 0) {
            const double y = crew_half_dot(half, from + lane < n ? x[from + lane] : 0.0);
            if (from + lane < n)
                x[from + lane] = y;
        }
        __syncthreads();
        if (warp == 0 && from + CREW_PANEL < n) /* on its way meanwhile */
            crew_half_row(l, n, from + CREW_PANEL, 0, half);
        crew_leave_rows(l, n, from, x);
    }
    for (int from = (n - 1) / CREW_PANEL * CREW_PANEL; from >= 0; from -= CREW_PANEL) {
        double sum = 0;
        if (warp == 0)
            crew_half_row(l, n, from, 1, half);
        __syncthreads();
#pragma unroll 8
        for (int r = from + CREW_PANEL + warp; r < n; r += warps)
            sum += l[(size_t)r * n + from + lane] * x[r];
        part[warp][lane] = sum;
        __syncthreads();
        if (warp == 0) {
            double y = from + lane < n ? x[from + lane] : 0.0;
            for (int w = 0; w < warps; w++)
                y -= part[w][lane];
            y = crew_half_dot(half, y);
            if (from + lane < n)
                x[from + lane] = y;
        }
    }
    __syncthreads();
}

#endif
