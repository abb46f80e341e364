/* SPDX-License-Identifier: MIT */
/* open.c - the kernel table for this processor, in one precision (compiled twice). */
#include "backend/isa.h"
#include "backend/kernels.h"

extern const aim_kernels AIM_NAMED(aim_kernels_ref);
extern const aim_kernels AIM_NAMED(aim_kernels_base);
#if defined(__x86_64__)
extern const aim_kernels AIM_NAMED(aim_kernels_avx2);
extern const aim_kernels AIM_NAMED(aim_kernels_avx512);
#endif

const aim_kernels *AIM_NAMED(aim_kernels_open)(int isa)
{
    switch (isa) {
    case AIM_ISA_REF:
        return &AIM_NAMED(aim_kernels_ref);
#if defined(__x86_64__)
    case AIM_ISA_AVX2:
        return &AIM_NAMED(aim_kernels_avx2);
    case AIM_ISA_AVX512:
        return &AIM_NAMED(aim_kernels_avx512);
#endif
    default:
        return &AIM_NAMED(aim_kernels_base);
    }
}
