/* SPDX-License-Identifier: MIT */
/* term_kernels.c - chooses the term kernels of an instruction set among those that were built. */
#include "backend/term_kernels.h"

#include "backend/isa.h"

extern const aim_term_kernels aim_term_kernels_base_f64;
#if defined(__x86_64__)
extern const aim_term_kernels aim_term_kernels_avx2_f64, aim_term_kernels_avx512_f64;
#endif

const aim_term_kernels *aim_term_kernels_select(int isa)
{
#if defined(__x86_64__)
    if (isa >= AIM_ISA_AVX512)
        return &aim_term_kernels_avx512_f64;
    if (isa == AIM_ISA_AVX2)
        return &aim_term_kernels_avx2_f64;
#endif
    (void)isa;
    return &aim_term_kernels_base_f64;
}
