/* SPDX-License-Identifier: MIT */
/* vec3.h - 3-vectors and 3x3 matrices (row vectors: cell[3*i + d] is component d of vector i). */
#ifndef AIM_BASE_VEC3_H
#define AIM_BASE_VEC3_H

#include <math.h>

#if defined(__CUDACC__)
#define AIM_VEC3 static __host__ __device__ __forceinline__
#else
#define AIM_VEC3 static inline
#endif

AIM_VEC3 double aim_dot3(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
AIM_VEC3 void aim_cross3(const double a[3], const double b[3], double c[3])
{
    c[0] = a[1] * b[2] - a[2] * b[1];
    c[1] = a[2] * b[0] - a[0] * b[2];
    c[2] = a[0] * b[1] - a[1] * b[0];
}
AIM_VEC3 double aim_norm3(const double a[3])
{
    return sqrt(aim_dot3(a, a));
}
AIM_VEC3 double aim_det3(const double m[9])
{
    double c[3];
    aim_cross3(m + 3, m + 6, c);
    return aim_dot3(m, c);
}
/* inv = m^-1 for det != 0; returns det. Fractional coordinates of a row vector x are x inv. */
AIM_VEC3 double aim_inverse3(const double m[9], double inv[9])
{
    const double det = aim_det3(m), f = 1.0 / det;
    inv[0] = (m[4] * m[8] - m[5] * m[7]) * f;
    inv[1] = (m[2] * m[7] - m[1] * m[8]) * f;
    inv[2] = (m[1] * m[5] - m[2] * m[4]) * f;
    inv[3] = (m[5] * m[6] - m[3] * m[8]) * f;
    inv[4] = (m[0] * m[8] - m[2] * m[6]) * f;
    inv[5] = (m[2] * m[3] - m[0] * m[5]) * f;
    inv[6] = (m[3] * m[7] - m[4] * m[6]) * f;
    inv[7] = (m[1] * m[6] - m[0] * m[7]) * f;
    inv[8] = (m[0] * m[4] - m[1] * m[3]) * f;
    return det;
}
/* y = x m (row vector times matrix) */
AIM_VEC3 void aim_vecmat3(const double x[3], const double m[9], double y[3])
{
    for (int d = 0; d < 3; d++)
        y[d] = x[0] * m[d] + x[1] * m[3 + d] + x[2] * m[6 + d];
}

#endif
