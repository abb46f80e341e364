/* SPDX-License-Identifier: MIT */
/* term_table_cpu.c - the term kernels of one instruction set as one constant table. */
#include "backend/cpu/term_cpu.h"

#define AIM_STRING_(x) #x
#define AIM_STRING(x)  AIM_STRING_(x)

extern const aim_term_kernels AIM_CPU_NAMED(aim_term_kernels);
const aim_term_kernels AIM_CPU_NAMED(aim_term_kernels) = {
    .isa = AIM_STRING(AIM_ISA),
    .width = VL,
    .coulomb_simple = AIM_CPU_NAMED(aim_coulomb_simple),
    .coulomb_dsf = AIM_CPU_NAMED(aim_coulomb_dsf),
    .coulomb_sr = AIM_CPU_NAMED(aim_coulomb_sr),
    .srrep = AIM_CPU_NAMED(aim_srrep),
    .d3_count = AIM_CPU_NAMED(aim_d3_count),
    .d3_count_dsf = AIM_CPU_NAMED(aim_d3_count_dsf),
    .d3_energy = AIM_CPU_NAMED(aim_d3_energy),
    .d3_count_grad = AIM_CPU_NAMED(aim_d3_count_grad),
    .d3ts = AIM_CPU_NAMED(aim_d3ts),
    .ewald_structure = AIM_CPU_NAMED(aim_ewald_structure),
    .ewald_potential = AIM_CPU_NAMED(aim_ewald_potential),
    .ewald_structure_tan = AIM_CPU_NAMED(aim_ewald_structure_tan),
    .ewald_curvature = AIM_CPU_NAMED(aim_ewald_curvature),
    .pair_tan = AIM_CPU_NAMED(aim_pair_tan),
    .tan_coulomb = AIM_CPU_NAMED(aim_tan_coulomb),
    .tan_count = AIM_CPU_NAMED(aim_tan_count),
    .tan_count_grad = AIM_CPU_NAMED(aim_tan_count_grad),
    .tan_damped = AIM_CPU_NAMED(aim_tan_damped),
    .row_gather = AIM_CPU_NAMED(aim_row_gather),
    .row_filter = AIM_CPU_NAMED(aim_row_filter),
    .row_property = AIM_CPU_NAMED(aim_row_property),
    .mesh_splines = AIM_CPU_NAMED(aim_mesh_splines),
    .mesh_spread = AIM_CPU_NAMED(aim_mesh_spread),
    .mesh_interpolate = AIM_CPU_NAMED(aim_mesh_interpolate),
    .fft_rows = AIM_CPU_NAMED(aim_fft_rows),
    .fft_rows_inverse = AIM_CPU_NAMED(aim_fft_rows_inverse),
    .fft_columns = AIM_CPU_NAMED(aim_fft_columns),
    .mesh_convolve = AIM_CPU_NAMED(aim_mesh_convolve),
};
