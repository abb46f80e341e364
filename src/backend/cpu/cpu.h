/* SPDX-License-Identifier: MIT */
/* cpu.h - the kernels of one instruction set and precision: aim_kernel_<name>_<isa>_f32|_f64,
 * collected in table_cpu.c. */
#ifndef AIM_BACKEND_CPU_CPU_H
#define AIM_BACKEND_CPU_CPU_H

#include "backend/kernels.h"
#include "backend/cpu/simd.h"

enum { AIM_PANEL = 2 * VL }; /* output columns that one tile of the matrix kernel covers */

#define AIM_KERNEL_FN(name) AIM_CPU_NAMED(aim_kernel_##name)

#define KERNEL(name, args) void AIM_KERNEL_FN(name)(const args *, int64_t first, int64_t last);
#include "backend/kernels.def"
#undef KERNEL
void AIM_KERNEL_FN(pack)(const real *w, size_t k_stride, size_t c_stride, int n_k, int n_c,
                         real *out);
extern const aim_kernels AIM_CPU_NAMED(aim_kernels);

#endif
