/* SPDX-License-Identifier: MIT */
/* simd.h - short vectors of `real` in the width of the instruction set that this object is compiled
 * for.
 *
 * GCC/clang vector extensions instead of intrinsics: one body serves SSE2, AVX2, AVX-512, NEON and
 * both precisions. AIM_ISA (base, avx2, avx512) comes from the build and only names the symbols;
 * the width follows from the compiler's target. Multiply-add pairs are contracted by
 * -ffp-contract=fast, the same way in every function of an object, so results depend on the ISA but
 * on nothing else. */
#ifndef AIM_BACKEND_CPU_SIMD_H
#define AIM_BACKEND_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#include "backend/real.h"
#include "base/attr.h"

#if defined(__AVX512F__)
#define AIM_VBYTES 64
#elif defined(__AVX2__)
#define AIM_VBYTES 32
#else
#define AIM_VBYTES 16
#endif

#define AIM_PASTE3_(a, b, c) a##_##b##c
#define AIM_PASTE3(a, b, c)  AIM_PASTE3_(a, b, c)
#if AIM_REAL_DOUBLE
#define AIM_CPU_NAMED(name) AIM_PASTE3(name, AIM_ISA, _f64)
#else
#define AIM_CPU_NAMED(name) AIM_PASTE3(name, AIM_ISA, _f32)
#endif

#if AIM_REAL_DOUBLE
typedef int64_t vint_lane;
#else
typedef int32_t vint_lane;
#endif
typedef real vreal __attribute__((vector_size(AIM_VBYTES)));
typedef vint_lane vint __attribute__((vector_size(AIM_VBYTES)));
typedef real vreal_u __attribute__((vector_size(AIM_VBYTES), aligned(sizeof(real)), may_alias));

enum { VL = AIM_VBYTES / (int)sizeof(real) };

AIM_INLINE vreal vload(const real *p)
{
    return *(const vreal_u *)p;
}
AIM_INLINE void vstore(real *p, vreal v)
{
    *(vreal_u *)p = v;
}
AIM_INLINE vreal vset(real x)
{
    return x - (vreal){0};
}
AIM_INLINE vreal vselect(vint mask, vreal a, vreal b)
{
    return (vreal)(((vint)a & mask) | ((vint)b & ~mask));
}
/* Sum of the lanes as a balanced tree: lane i with lane i + VL/2 first. The order is part of the
 * numerics. */
AIM_INLINE real vsum(vreal v)
{
    real lane[VL];
    memcpy(lane, &v, sizeof v);
    for (int half = VL / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

/* out[k] = vsum(v[k]) for four vectors at once, by transposition: the same tree as vsum. */
#if AIM_VBYTES > 16 || !AIM_REAL_DOUBLE /* at least four lanes */
typedef real vquad __attribute__((vector_size(4 * sizeof(real))));
typedef real vquad_u
    __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));
AIM_INLINE vquad fold_to_quad(vreal v)
{
#if AIM_VBYTES == 64 && !AIM_REAL_DOUBLE
    typedef real voct __attribute__((vector_size(8 * sizeof(real))));
    const voct o = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    return __builtin_shufflevector(o, o, 0, 1, 2, 3) + __builtin_shufflevector(o, o, 4, 5, 6, 7);
#elif (AIM_VBYTES == 64 && AIM_REAL_DOUBLE) || (AIM_VBYTES == 32 && !AIM_REAL_DOUBLE)
    return __builtin_shufflevector(v, v, 0, 1, 2, 3) + __builtin_shufflevector(v, v, 4, 5, 6, 7);
#else
    return v;
#endif
}
AIM_INLINE void vsum4(const vreal v[4], real out[4])
{
    const vquad a = fold_to_quad(v[0]), b = fold_to_quad(v[1]), c = fold_to_quad(v[2]),
                d = fold_to_quad(v[3]);
    const vquad x =
        __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
    const vquad y =
        __builtin_shufflevector(c, d, 0, 1, 4, 5) + __builtin_shufflevector(c, d, 2, 3, 6, 7);
    *(vquad_u *)out =
        __builtin_shufflevector(x, y, 0, 2, 4, 6) + __builtin_shufflevector(x, y, 1, 3, 5, 7);
}
#else
AIM_INLINE void vsum4(const vreal v[4], real out[4])
{
    for (int k = 0; k < 4; k++)
        out[k] = vsum(v[k]);
}
#endif

#endif
