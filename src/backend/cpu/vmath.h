/* SPDX-License-Identifier: MIT */
/* vmath.h - vector exponential and the tail of the normal distribution, in both precisions.
 *
 * exp(x): x = n ln2 + r, |r| <= ln2/2 in two-part arithmetic, Taylor polynomial of degree 7 (float,
 * 5e-9 truncation) or 13 (double, 5e-18), scaled by 2^n through the exponent bits. Below EXP_MIN
 * the result is 0 (float: e^-60 = 9e-27, so that no denormal numbers arise in later products;
 * nothing above rounding is lost relative to 1). normal_tail(z), z >= 0: 1 - Phi(z) = exp(-z^2/2)
 * w(t)/2, t = 1/(1 + p z); w by tools/fit_gelu.py, relative error 4.4e-8 / 6e-16. */
#ifndef AIM_BACKEND_CPU_VMATH_H
#define AIM_BACKEND_CPU_VMATH_H

#include "backend/cpu/simd.h"

#if AIM_REAL_DOUBLE
#define EXP_MIN      (-708.0)
#define EXP_MAGIC    6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer */
#define EXP_BIAS     1023
#define EXP_MANTISSA 52
#define LN2_HI       6.93147180369123816490e-01
#define LN2_LO       1.90821492927058770002e-10
#define TAIL_P       0.2
static const double EXP_TAYLOR[] = {1.0 / 6227020800.0,
                                    1.0 / 479001600.0,
                                    1.0 / 39916800.0,
                                    1.0 / 3628800.0,
                                    1.0 / 362880.0,
                                    1.0 / 40320.0,
                                    1.0 / 5040.0,
                                    1.0 / 720.0,
                                    1.0 / 120.0,
                                    1.0 / 24.0,
                                    1.0 / 6.0,
                                    0.5,
                                    1.0,
                                    1.0};
static const double TAIL_W[] = {
    -0.0011075894169459289315, 0.01396502953974442074,    -0.079636519985767102906,
    0.27105692915774384248,    -0.6130501802142104657,    0.97565526931695445827,
    -1.1398996374077626806,    1.0176328521708792321,     -0.71052665300953911771,
    0.38421948980871994368,    -0.17139746339112917628,   0.061227721201005661213,
    -0.0021010214544367447583, 0.033629435594531114126,   0.050704826307112219407,
    0.07523789055413398726,    0.099569445139168218182,   0.12204485173563790323,
    0.14042766385860721609,    0.15319383618161616032,    0.1595769121533226264,
    0.15957691216061426876,    -3.8939440843720013864e-17};
#else
#define EXP_MIN      (-60.0f)
#define EXP_MAGIC    12582912.0f /* 1.5 * 2^23 */
#define EXP_BIAS     127
#define EXP_MANTISSA 23
#define LN2_HI       0.693359375f
#define LN2_LO       (-2.12194440e-4f)
#define TAIL_P       0.25f
static const float EXP_TAYLOR[] = {1.0f / 5040.0f, 1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f,
                                   1.0f / 6.0f,    0.5f,          1.0f,          1.0f};
static const float TAIL_W[] = {
    0.039794749292508273722f,  -0.16236188344877285962f,   0.19142862811571505761f,
    -0.062612923782955528357f, 0.12615150564420777729f,    0.11873098630536737866f,
    0.16295271974696912562f,   0.18697552599733853789f,    0.19946947307574800268f,
    0.1994712295883420319f,    -4.0852426046797870763e-10f};
#endif

AIM_INLINE vreal vexp(vreal x)
{
    const vint low = x < vset(EXP_MIN);
    x = vselect(low, vset(EXP_MIN), x);
    const vreal magic = vset(EXP_MAGIC), shifted = x * vset(R(1.4426950408889634)) + magic;
    const vreal n = shifted - magic;
    const vreal r = (x - n * vset(LN2_HI)) - n * vset(LN2_LO);
    vreal p = vset(EXP_TAYLOR[0]);
    for (int k = 1; k < (int)(sizeof EXP_TAYLOR / sizeof *EXP_TAYLOR); k++)
        p = p * r + vset(EXP_TAYLOR[k]);
    const vint exponent = __builtin_convertvector(n, vint) + EXP_BIAS;
    const vreal scale = (vreal)(exponent << EXP_MANTISSA);
    return vselect(low, vset(R(0.0)), p * scale);
}

/* (1 - Phi(z)), given z >= 0 and e = exp(-z^2/2) */
AIM_INLINE vreal vnormal_tail(vreal z, vreal e)
{
    const vreal t = vset(R(1.0)) / (vset(R(1.0)) + vset(TAIL_P) * z);
    vreal w = vset(TAIL_W[0]);
    for (int k = 1; k < (int)(sizeof TAIL_W / sizeof *TAIL_W); k++)
        w = w * t + vset(TAIL_W[k]);
    return vset(R(0.5)) * e * w;
}

/* Exact GELU z Phi(z) and its derivatives Phi(z) + z phi(z) and (2 - z^2) phi(z) (Hendrycks and
 * Gimpel, arXiv:1606.08415). */
AIM_INLINE vreal vgelu(vreal z, vreal *slope, vreal *curve)
{
    const vint negative = z < vset(R(0.0));
    const vreal a = vselect(negative, -z, z);
    const vreal e = vexp(vset(R(-0.5)) * z * z);
    const vreal tail = vnormal_tail(a, e);
    const vreal cdf = vselect(negative, tail, vset(R(1.0)) - tail);
    *slope = cdf + z * e * vset(R(0.39894228040143267794));
    *curve = (vset(R(2.0)) - z * z) * (e * vset(R(0.39894228040143267794)));
    return z * cdf;
}

#endif
