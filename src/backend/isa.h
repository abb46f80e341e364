/* SPDX-License-Identifier: MIT */
/* isa.h - which instruction set the CPU kernels use on this processor. */
#ifndef AIM_BACKEND_ISA_H
#define AIM_BACKEND_ISA_H

enum { AIM_ISA_REF = -1, AIM_ISA_BASE = 0, AIM_ISA_AVX2 = 1, AIM_ISA_AVX512 = 2 };

/* The widest set that the processor has; AIM_ISA=ref|base|avx2|avx512 in the environment chooses
 * downward. */
int aim_cpu_isa(void);
const char *aim_cpu_isa_name(int isa);

#endif
