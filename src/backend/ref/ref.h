/* SPDX-License-Identifier: MIT */
/* ref.h - the reference kernels: the executable specification of kernels.def, one function per line
 * of that file.
 *
 * Naive serial loops that are meant to be read beside the equations. Sums and functions are
 * evaluated in double and rounded once to `real`, so that in single precision a reference result is
 * the exact one of its inputs and a tuned kernel can be judged by it. AIM_ISA=ref runs the whole
 * program on them; tests/kernel compares every other table with this one. */
#ifndef AIM_BACKEND_REF_REF_H
#define AIM_BACKEND_REF_REF_H

#include "backend/kernels.h"

#define AIM_REF_FN(name) AIM_NAMED(aim_kernel_##name##_ref)

#define KERNEL(name, args) void AIM_REF_FN(name)(const args *, int64_t first, int64_t last);
#include "backend/kernels.def"
#undef KERNEL
void AIM_REF_FN(pack)(const real *w, size_t k_stride, size_t c_stride, int n_k, int n_c, real *out);
extern const aim_kernels AIM_NAMED(aim_kernels_ref);

#endif
