/* SPDX-License-Identifier: MIT */
/* crew.h - who moves one structure: one thread of the host, or one block of threads of a CUDA card.
 * What stands in this folder is written once for both, for members of a crew:
 *
 *     for (size_t i = crew_rank(); i < n; i += crew_size()) ...    // a share of the elements
 *     crew_sync();                                                  // before others' are read
 *     const double x = crew_sum(mine);                              // the same for every member
 *
 * Scalars are computed by every member, from the same numbers; arrays have elements of one owner. A
 * sum's order depends on the structure alone.
 *
 * Besides, a crew has (host: opt/hessian.c; card: backend/cuda/crew.h)
 *     crew_dot     a . b
 *     crew_factor  replaces the lower triangle of a positive definite matrix by its Cholesky factor
 *     crew_solve   x = (L L^T)^-1 x
 *     crew_model   fills h with the terms of model.h */
#ifndef AIM_BACKEND_OPT_CREW_H
#define AIM_BACKEND_OPT_CREW_H

#include <stddef.h>

#if defined(__CUDACC__)
#define AIM_CREW static __device__

static __device__ size_t crew_rank(void);
static __device__ size_t crew_size(void);
static __device__ void crew_sync(void);
static __device__ double crew_sum(double x);
static __device__ double crew_max(double x);
static __device__ double crew_dot(const double *a, const double *b, size_t n);
static __device__ void crew_factor(double *h, int n);
static __device__ void crew_solve(const double *factor, int n, double *x);
#else
#define AIM_CREW static inline

double aim_long_dot(const double *a, const double *b, size_t n);
void aim_cholesky(double *h, int n);
void aim_cholesky_solve(const double *factor, int n, double *x);

AIM_CREW size_t crew_rank(void)
{
    return 0;
}
AIM_CREW size_t crew_size(void)
{
    return 1;
}
AIM_CREW void crew_sync(void) {}
AIM_CREW double crew_sum(double x)
{
    return x;
}
AIM_CREW double crew_max(double x)
{
    return x;
}
AIM_CREW double crew_dot(const double *a, const double *b, size_t n)
{
    return aim_long_dot(a, b, n);
}
AIM_CREW void crew_factor(double *h, int n)
{
    aim_cholesky(h, n);
}
AIM_CREW void crew_solve(const double *factor, int n, double *x)
{
    aim_cholesky_solve(factor, n, x);
}
#endif

#endif
