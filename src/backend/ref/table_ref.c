/* SPDX-License-Identifier: MIT */
/* table_ref.c - the table of the reference kernels in one precision (compiled twice). Panels are
 * one column wide: nothing is padded. */
#include "backend/ref/ref.h"

const aim_kernels AIM_NAMED(aim_kernels_ref) = {
    .isa = "ref",
    .panel = 1,
    .pack = AIM_REF_FN(pack),
#define KERNEL(name, args) .name = AIM_REF_FN(name),
#include "backend/kernels.def"
#undef KERNEL
};
