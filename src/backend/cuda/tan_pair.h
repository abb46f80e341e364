/* SPDX-License-Identifier: MIT */
/* tan_pair.h - radial functions with two derivatives, and how a pair moves along a direction:
 * tr = tx_j - tx_i + r W, td = u.tr, tu = (tr - u td)/d. */
#ifndef AIM_BACKEND_CUDA_TAN_PAIR_H
#define AIM_BACKEND_CUDA_TAN_PAIR_H

#include "backend/cuda/tangent.h"

/* exp(-eta (d - s)^2) fc(d) and its derivatives */
template <typename real> struct radial {
    real v, d1, d2;
};
static __device__ __forceinline__ void wave(float x, float *s, float *c)
{
    sincospif(x, s, c);
}
static __device__ __forceinline__ void wave(double x, double *s, double *c)
{
    sincospi(x, s, c);
}
template <typename real>
static __device__ __forceinline__ radial<real> radial_of(const cu_conv<real> &c, int g, real d)
{
    if (g >= c.nshifts)
        return radial<real>{0, 0, 0};
    const real pi = (real)3.14159265358979323846, k = pi / c.rc;
    real s, cosine;
    wave(d / c.rc, &s, &cosine);
    const real f = (real)0.5 * (cosine + (real)1), f1 = (real)-0.5 * k * s,
               f2 = (real)-0.5 * k * k * cosine, x = d - c.shifts[g], e = exp(-c.eta * x * x),
               l = (real)-2 * c.eta * x;
    return radial<real>{e * f, e * (f1 + l * f),
                        e * (f2 + (real)2 * l * f1 + (l * l - (real)2 * c.eta) * f)};
}

/* u and its tangent (tu, td) */
template <typename real>
static __device__ __forceinline__ vec4<real> pair_tangent(const cu_conv_tan<real> &c, int dir,
                                                          int i, int j, const vec4<real> &u)
{
    const double *tx = c.tx_atom + 3 * (size_t)dir * c.of.n;
    real t[3];
#pragma unroll
    for (int d = 0; d < 3; d++)
        t[d] = (real)(tx[3 * (size_t)j + d] - tx[3 * (size_t)i + d]);
    if (c.w) {
        const double *w = c.w + 9 * ((size_t)dir * c.systems + c.system[i]);
        for (int d = 0; d < 3; d++)
            t[d] += u.w * (u.x * (real)w[d] + u.y * (real)w[3 + d] + u.z * (real)w[6 + d]);
    }
    const real td = u.x * t[0] + u.y * t[1] + u.z * t[2], inv = (real)1 / u.w;
    return vec4<real>{(t[0] - u.x * td) * inv, (t[1] - u.y * td) * inv, (t[2] - u.z * td) * inv,
                      td};
}

#endif
