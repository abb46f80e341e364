/* SPDX-License-Identifier: MIT */
/* ewald.h - the reciprocal half of an Ewald sum of one system, shared by the energy (ewald.c) and
 * its tangent (ewald_tan.c).
 *
 *     aim_ewald_begin(&e, io, system, params);  layout (measure, place) with aim_ewald_layout;
 *     aim_ewald_structure(&e): phases, rods, structure factors S and A = exp(-k^2/4a^2)/k^2. */
#ifndef AIM_TERM_EWALD_H
#define AIM_TERM_EWALD_H

#include "term/term.h"

typedef struct aim_wave_box {
    double inverse[9]; /* of the cell: f = x inverse */
    int m[3];          /* largest index per axis */
    double k_cutoff, alpha, volume;
} aim_wave_box;

typedef struct aim_ewald {
    aim_term_io *io;
    const aim_term_kernels *kernels;
    aim_wave_box box;
    int32_t first, n; /* atoms of the system */
    aim_ewald_phases phases;
    double *re, *im, *q; /* phases and charges of the system */
    aim_ewald_rod *rod;
    int64_t n_rods, n_waves; /* waves: padded, with A = 0 in the padding */
    double *sre, *sim, *a;
} aim_ewald;

void aim_ewald_begin(aim_ewald *e, aim_term_io *io, int32_t system, aim_ewald_params params);
void aim_ewald_layout(aim_ewald *e, aim_arena *arena);
/* Refuses a cell with more waves than the box holds, and a measured layout that overflowed. */
AIM_NODISCARD aim_status aim_ewald_reserve(const aim_ewald *ewald, const aim_arena *measured);
void aim_ewald_structure(aim_ewald *e);
/* k = 2 pi inverse m */
void aim_wave_vector(const aim_wave_box *b, double m1, double m2, double m3, double k[3]);
aim_ewald_params aim_ewald_of_system(const aim_batch *b, int32_t system, double accuracy);
AIM_NODISCARD aim_status aim_ewald_check(double accuracy);

#endif
