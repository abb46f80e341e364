/* SPDX-License-Identifier: MIT */
/* deriv.h - a scalar function's value with its first and second derivative, the currency of the
 * headers in this folder.
 *
 * They are the formulas' one readable form: compiled by C and CUDA compilers alike, used directly
 * where a scalar is wanted and by the tests as the specification of the vectorised loops. AIM_HD
 * marks functions that also exist on the device. */
#ifndef AIM_POINT_DERIV_H
#define AIM_POINT_DERIV_H

#include <math.h>

#if defined(__CUDACC__)
#define AIM_HD static __host__ __device__ __forceinline__
#else
#define AIM_HD static inline
#endif

typedef struct aim_deriv {
    double v, d1, d2; /* f, f', f'' */
} aim_deriv;

/* f g */
AIM_HD aim_deriv aim_deriv_mul(aim_deriv f, aim_deriv g)
{
    aim_deriv r;
    r.v = f.v * g.v;
    r.d1 = f.d1 * g.v + f.v * g.d1;
    r.d2 = f.d2 * g.v + 2.0 * f.d1 * g.d1 + f.v * g.d2;
    return r;
}

/* exp(f) */
AIM_HD aim_deriv aim_deriv_exp(aim_deriv f)
{
    aim_deriv r;
    r.v = exp(f.v);
    r.d1 = r.v * f.d1;
    r.d2 = r.v * (f.d2 + f.d1 * f.d1);
    return r;
}

/* 1 / f */
AIM_HD aim_deriv aim_deriv_inverse(aim_deriv f)
{
    aim_deriv r;
    r.v = 1.0 / f.v;
    r.d1 = -f.d1 * r.v * r.v;
    r.d2 = (2.0 * f.d1 * f.d1 * r.v - f.d2) * r.v * r.v;
    return r;
}

#endif
