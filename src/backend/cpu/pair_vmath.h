/* SPDX-License-Identifier: MIT */
/* pair_vmath.h - vector functions of the pair loops, double precision: square root, exponential,
 * erfc, and sin/cos of pi t.
 *
 * exp: x = n ln2 + r in two-part arithmetic; n is taken from the low bits of x/ln2 + 1.5 2^52,
 * which needs no conversion instruction (AVX2 has none for 64-bit integers); e^r = 1 + r + r^2 q(r)
 * with q of degree 9 interpolated at Chebyshev nodes on |r| <= 0.34658, truncation 1.6e-17,
 * evaluated by halves because the loops are bound by the length of their dependency chains.
 * Arguments below -700 give e^-700 = 1e-304; above 700 are the caller's mistake. Relative error
 * 2e-16 (tests/unit/test_point.c). erfc uses the fit of vmath.h: erfc(x) = 2 normal_tail(x sqrt2).
 */
#ifndef AIM_BACKEND_CPU_PAIR_VMATH_H
#define AIM_BACKEND_CPU_PAIR_VMATH_H

#include "backend/cpu/vmath.h"

#include <math.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

AIM_INLINE vreal vsqrt(vreal x)
{
#if defined(__AVX512F__)
    return (vreal)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX__)
    return (vreal)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE2__)
    return (vreal)_mm_sqrt_pd((__m128d)x);
#else
    for (int k = 0; k < VL; k++)
        x[k] = sqrt(x[k]);
    return x;
#endif
}

typedef int64_t vint_u
    __attribute__((vector_size(AIM_VBYTES), aligned(sizeof(int64_t)), may_alias));

/* Every lane of a mask is set. */
AIM_INLINE int vall(vint mask)
{
#if defined(__AVX512F__)
    return _mm512_movepi64_mask((__m512i)mask) == 0xff;
#elif defined(__AVX__)
    return _mm256_movemask_pd((__m256d)mask) == 0xf;
#elif defined(__SSE2__)
    return _mm_movemask_pd((__m128d)mask) == 0x3;
#else
    for (int k = 0; k < VL; k++)
        if (!mask[k])
            return 0;
    return 1;
#endif
}
/* a where mask, else 0 */
AIM_INLINE vreal vkeep(vint mask, vreal a)
{
    return (vreal)((vint)a & mask);
}
/* x, but at least (at most) the bound; NaN stays NaN */
AIM_INLINE vreal vmax(vreal x, vreal bound)
{
#if defined(__AVX512F__)
    return (vreal)_mm512_max_pd((__m512d)bound, (__m512d)x);
#elif defined(__AVX__)
    return (vreal)_mm256_max_pd((__m256d)bound, (__m256d)x);
#elif defined(__SSE2__)
    return (vreal)_mm_max_pd((__m128d)bound, (__m128d)x);
#else
    return vselect(x < bound, bound, x);
#endif
}
AIM_INLINE vreal vmin(vreal x, vreal bound)
{
    return -vmax(-x, -bound);
}

/* 1/sqrt(x) for normal x. Narrow vectors take the hardware's square root and division: fewer
 * operations in flight than an estimate with Newton steps, which was slower. With 512 bits the
 * divider is the bottleneck: estimate of 14 bits, a step of third and one of second order. */
AIM_INLINE vreal vrsqrt(vreal x)
{
#if defined(__AVX512F__)
    vreal y = (vreal)_mm512_rsqrt14_pd((__m512d)x);
    const vreal h = vset(1.0) - (x * y) * y;
    y += (y * h) * (vset(0.5) + vset(0.375) * h);
    const vreal g = vset(1.0) - (x * y) * y;
    return y + (vset(0.5) * y) * g;
#else
    return vset(1.0) / vsqrt(x);
#endif
}

/* 2^n e^r, where n is in the low bits of `shifted` */
AIM_INLINE vreal exp_assemble(vreal shifted, vreal r)
{
    const vreal r2 = r * r, r4 = r2 * r2;
    const vreal a = vset(0.5000000000000001021279) + vset(0.1666666666666666745209) * r;
    const vreal b = vset(0.04166666666662415561081) + vset(0.008333333333330063965614) * r;
    const vreal c = vset(0.001388888891719986210558) + vset(0.0001984126986304296231165) * r;
    const vreal d = vset(0.00002480152131748408400636) + vset(0.000002755726847655369617539) * r;
    const vreal e = vset(2.762007820380639333501e-7) + vset(2.510037761960637103634e-8) * r;
    const vreal q = (a + b * r2) + r4 * ((c + d * r2) + r4 * e);
    const vreal p = vset(1.0) + (r + r2 * q);
    return (vreal)((vint)p + ((vint)shifted << EXP_MANTISSA));
}

AIM_INLINE vreal vexp_pair(vreal x)
{
    x = vmax(x, vset(-700.0));
    const vreal magic = vset(EXP_MAGIC), shifted = x * vset(1.4426950408889634) + magic,
                n = shifted - magic;
    return exp_assemble(shifted, (x - n * vset(LN2_HI)) - n * vset(LN2_LO));
}

/* The same with ln2 in one part: the relative error grows as 1.2e-16 |x| (3e-17 |x| with fused
 * multiply-add). */
AIM_INLINE vreal vexp_short(vreal x)
{
    x = vmax(x, vset(-700.0));
    const vreal magic = vset(EXP_MAGIC), shifted = x * vset(1.4426950408889634) + magic,
                n = shifted - magic;
    return exp_assemble(shifted, x - n * vset(0.69314718055994530942));
}

/* erfc(x) for x >= 0, given e = exp(-x^2): the fit of vmath.h as four polynomials in t^4. */
AIM_INLINE vreal verfc(vreal x, vreal e)
{
    enum { N = sizeof TAIL_W / sizeof *TAIL_W };
    const vreal t = vset(1.0) / (vset(1.0) + vset(TAIL_P * 1.41421356237309504880) * x), t2 = t * t,
                t4 = t2 * t2;
    vreal part[4] = {{0}, {0}, {0}, {0}}; /* part[j]: powers j, j + 4, ... */
#pragma GCC unroll 32
    for (int power = N - 1; power >= 0; power--)
        part[power % 4] = part[power % 4] * t4 + vset(TAIL_W[N - 1 - power]);
    return e * ((part[0] + part[1] * t) + t2 * (part[2] + part[3] * t));
}

/* cos and sin of pi t, 0 <= t <= 1: -sin and cos of pi (t - 1/2), Taylor series to 1e-17 */
AIM_INLINE void vcossinpi(vreal t, vreal *c, vreal *s)
{
    static const double sine[] = {1.0 / 51090942171709440000.0,
                                  -1.0 / 121645100408832000.0,
                                  1.0 / 355687428096000.0,
                                  -1.0 / 1307674368000.0,
                                  1.0 / 6227020800.0,
                                  -1.0 / 39916800.0,
                                  1.0 / 362880.0,
                                  -1.0 / 5040.0,
                                  1.0 / 120.0,
                                  -1.0 / 6.0,
                                  1.0};
    static const double cosine[] = {-1.0 / 1124000727777607680000.0,
                                    1.0 / 2432902008176640000.0,
                                    -1.0 / 6402373705728000.0,
                                    1.0 / 20922789888000.0,
                                    -1.0 / 87178291200.0,
                                    1.0 / 479001600.0,
                                    -1.0 / 3628800.0,
                                    1.0 / 40320.0,
                                    -1.0 / 720.0,
                                    1.0 / 24.0,
                                    -0.5,
                                    1.0};
    const vreal u = (t - vset(0.5)) * vset(3.14159265358979323846), u2 = u * u;
    vreal a = vset(sine[0]), b = vset(cosine[0]);
    for (int k = 1; k < (int)(sizeof sine / sizeof *sine); k++)
        a = a * u2 + vset(sine[k]);
    for (int k = 1; k < (int)(sizeof cosine / sizeof *cosine); k++)
        b = b * u2 + vset(cosine[k]);
    *c = -(a * u);
    *s = b;
}

#endif
