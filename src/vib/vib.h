/* SPDX-License-Identifier: MIT */
/* vib.h - the analysis of a Hessian and what follows from it. Functions trust their arguments;
 * api/vib_api.c has checked them. */
#ifndef AIM_VIB_VIB_H
#define AIM_VIB_VIB_H

#include "aimnet_vib.h"
#include "base/alloc.h"
#include "calc/calc.h"

/* CODATA 2018 (e, h, k, N_A and c are exact) */
#define AIM_SI_E       1.602176634e-19   /* C */
#define AIM_SI_H       6.62607015e-34    /* J s */
#define AIM_SI_K       1.380649e-23      /* J/K */
#define AIM_SI_NA      6.02214076e23     /* 1/mol */
#define AIM_SI_C       299792458.0       /* m/s */
#define AIM_SI_AMU     1.66053906660e-27 /* kg */
#define AIM_SI_EPSILON 8.8541878128e-12  /* F/m */
#define AIM_SI_PI      3.14159265358979323846

struct aimnet_vib {
    aim_alloc alloc;
    aimnet_vib_modes modes;
    double *block; /* of all arrays */
};

/* masses are given */
AIM_NODISCARD aim_status aim_vib_analyze(const aim_alloc *alloc, const aimnet_vib_input *input,
                                         aimnet_vib **vib);
void aim_vib_free(aimnet_vib *vib);
void aim_vib_thermo(const aimnet_vib_modes *modes, const aimnet_thermo_options *options,
                    aimnet_thermo *thermo);
AIM_NODISCARD aim_status aim_vib_analytic(aim_calc *calc, const aimnet_system *system,
                                          double *hessian, double *dipole_gradient);
void aim_vib_symmetrise(size_t n, double *hessian);
AIM_NODISCARD aim_status aim_vib_differences(aim_calc *calc, const aimnet_system *system,
                                             double step, double *hessian, double *dipole_gradient);

#endif
