/* SPDX-License-Identifier: MIT */
/* table_cpu.c - the kernel table of one instruction set and precision. */
#include "backend/cpu/cpu.h"

#define AIM_STRING_(x) #x
#define AIM_STRING(x)  AIM_STRING_(x)

const aim_kernels AIM_CPU_NAMED(aim_kernels) = {
    .isa = AIM_STRING(AIM_ISA),
    .panel = AIM_PANEL,
    .pack = AIM_KERNEL_FN(pack),
#define KERNEL(name, args) .name = AIM_KERNEL_FN(name),
#include "backend/kernels.def"
#undef KERNEL
};
