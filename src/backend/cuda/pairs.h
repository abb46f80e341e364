/* SPDX-License-Identifier: MIT */
/* pairs.h - the pairs of L-BFGS for a block of threads (backend/opt/steps.h). The two-loop recursion is
 * a chain of inner products with whole vectors, two for each pair, every one a wait of all threads. What
 * it computes follows from products of pairs, P_ab = s_a . y_b (a no younger than b), which change by
 * one column when a pair is learnt: with ages as indices
 *
 *     P alpha = S q,    q -= Y alpha,    q = H0 q,    P^T delta = diag(P) alpha - Y q,    q += S delta,
 *
 * P being lower triangular (R. H. Byrd, J. Nocedal and R. B. Schnabel, Math. Program. 63 (1994) 129,
 * doi:10.1007/BF01582063). All products of a kind are formed at once, each by a warp, and both systems
 * are solved in panels. */
#ifndef AIM_BACKEND_CUDA_PAIRS_H
#define AIM_BACKEND_CUDA_PAIRS_H

#include "backend/cuda/crew.h"

/* Pairs by age; their vectors and products lie in slots. */
struct crew_ages {
    double *product;
    int memory, newest;
    __device__ crew_ages(const aim_path *p, const aim_path_state *now)
        : product(p->product), memory(p->options.memory), newest(now->newest)
    {
    }
    __device__ size_t slot(int age) const
    {
        return (size_t)(newest - age + (age > newest ? memory : 0));
    }
    __device__ double operator()(int r, int c) const { return product[slot(r) * memory + slot(c)]; }
};

/* Rows [row, row + 32) and columns [column, column + 32) of the lower triangle of P; 0 beyond. */
static __device__ void crew_load_products(const crew_ages &of, int n, int row, int column,
                                          crew_tile t)
{
    for (int k = threadIdx.x; k < CREW_PANEL * CREW_PANEL; k += blockDim.x) {
        const int r = row + k / CREW_PANEL, c = column + k % CREW_PANEL;
        t[k / CREW_PANEL][k % CREW_PANEL] = r < n && c <= r ? of(r, c) : 0.0;
    }
}

/* x of a panel from what is left of it, by the first warp: T y = x, or T^T y = x. */
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

/* x = P^-1 x: a panel's x leaves all rows below. One panel is enough for the usual 32 pairs. */
static __device__ void crew_solve_lower(const crew_ages &of, int n, double *x)
{
    crew_tile &t = crew_scratch(0);
    for (int from = 0; from < n; from += CREW_PANEL) {
        const int width = min(CREW_PANEL, n - from);
        __syncthreads();
        crew_load_products(of, n, from, from, t);
        __syncthreads();
        crew_solve_tile(t, width, 0, x + from);
        __syncthreads();
        for (int r = from + width + threadIdx.x; r < n; r += blockDim.x)
            for (int c = from; c < from + width; c++)
                x[r] -= of(r, c) * x[c];
    }
    __syncthreads();
}

/* x = P^-T x: a panel's x leaves all those before. */
static __device__ void crew_solve_upper(const crew_ages &of, int n, double *x)
{
    crew_tile &t = crew_scratch(0);
    for (int from = (n - 1) / CREW_PANEL * CREW_PANEL; from >= 0; from -= CREW_PANEL) {
        const int width = min(CREW_PANEL, n - from);
        __syncthreads();
        crew_load_products(of, n, from, from, t);
        __syncthreads();
        crew_solve_tile(t, width, 1, x + from);
        __syncthreads();
        for (int c = threadIdx.x; c < from; c += blockDim.x)
            for (int r = from; r < from + width; r++)
                x[c] -= of(r, c) * x[r];
    }
    __syncthreads();
}

/* then(age, v . x) for the vectors v of all pairs: a warp takes four, one lane of it calls. */
template <typename F>
static __device__ __forceinline__ void crew_dots(const crew_ages &of, int n_pairs, const double *v,
                                                 const double *x, size_t n, F then)
{
    enum { EACH = 4 };
    const int lane = threadIdx.x % 32, first = EACH * (threadIdx.x / 32),
              step = EACH * (blockDim.x / 32);
    for (int age = first; age < n_pairs; age += step) {
        const double *row[EACH];
        double sum[EACH] = {};
#pragma unroll
        for (int k = 0; k < EACH; k++)
            row[k] = v + of.slot(min(age + k, n_pairs - 1)) * n;
        for (size_t i = lane; i < n; i += 32)
#pragma unroll
            for (int k = 0; k < EACH; k++)
                sum[k] += row[k][i] * x[i];
#pragma unroll
        for (int d = 16; d > 0; d >>= 1)
#pragma unroll
            for (int k = 0; k < EACH; k++)
                sum[k] += __shfl_xor_sync(0xffffffffu, sum[k], d);
#pragma unroll
        for (int k = 0; k < EACH; k++)
            if (lane == k && age + k < n_pairs)
                then(age + k, sum[k]);
    }
    __syncthreads();
}

/* x += sign sum over the pairs of their vectors v, times c by age. */
static __device__ __forceinline__ void crew_combine(const crew_ages &of, int n_pairs, double sign,
                                                    const double *v, const double *c, double *x,
                                                    size_t n)
{
    for (size_t i = crew_rank(); i < n; i += crew_size()) {
        double sum = 0;
#pragma unroll 8
        for (int age = 0; age < n_pairs; age++)
            sum += c[age] * v[of.slot(age) * n + i];
        x[i] += sign * sum;
    }
    __syncthreads();
}

static __device__ __noinline__ void crew_learn_pair(aim_path *p, const aim_path_state *now)
{
    const size_t n = (size_t)p->v.n_var;
    const crew_ages of(p, now);
    crew_dots(of, now->n_pairs, p->s, p->y + of.slot(0) * n, n,
              [&](int age, double sy) { of.product[of.slot(age) * of.memory + of.slot(0)] = sy; });
}

static __device__ __noinline__ void crew_pairs_before(aim_path *p, const aim_path_state *now,
                                                      double *q)
{
    const size_t n = (size_t)p->v.n_var;
    const crew_ages of(p, now);
    double *alpha = p->alpha;
    crew_dots(of, now->n_pairs, p->s, q, n, [&](int age, double sq) { alpha[age] = sq; });
    crew_solve_lower(of, now->n_pairs, alpha);
    crew_combine(of, now->n_pairs, -1.0, p->y, alpha, q, n);
}

static __device__ __noinline__ void crew_pairs_after(aim_path *p, const aim_path_state *now,
                                                     double *q)
{
    const size_t n = (size_t)p->v.n_var;
    const crew_ages of(p, now);
    double *alpha = p->alpha;
    crew_dots(of, now->n_pairs, p->y, q, n,
              [&](int age, double yq) { alpha[age] = of(age, age) * alpha[age] - yq; });
    crew_solve_upper(of, now->n_pairs, alpha);
    crew_combine(of, now->n_pairs, 1.0, p->s, alpha, q, n);
}

#endif
