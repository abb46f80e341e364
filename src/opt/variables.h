/* SPDX-License-Identifier: MIT */
/* variables.h - what an optimiser sees of a structure: a vector of variables and the gradient of
 * the enthalpy with respect to them. */
#ifndef AIM_OPT_VARIABLES_H
#define AIM_OPT_VARIABLES_H

#include "aimnet_opt.h"
#include "base/arena.h"

enum { AIM_OPT_MAX_STRAINS = 6 };

/* x = x0 F, cell = cell0 F, F = 1 + sum_k u_k / scale B_k with symmetric basis matrices B_k. The
 * variables are x0 (3 n_atoms, frozen atoms included but without gradient) and u. */
typedef struct aim_variables {
    int32_t n_atoms;
    int n_strains; /* number of u */
    int n_var;     /* 3 n_atoms + n_strains */
    int free_axis[3];
    double basis[AIM_OPT_MAX_STRAINS][9];
    double scale;    /* Angstrom: makes u a length */
    double pressure; /* eV/A^3 */
    int periodic[3];
    int has_cell;
    double cell0[9], cell[9], f[9];
    int32_t *numbers;
    uint8_t *frozen;
    double *value; /* [n_var] x0 and u of the point that x and cell belong to */
    double *x;     /* [n_atoms][3] Angstrom */
} aim_variables;

/* Sets everything but the arrays. Errors: SYSTEM. */
AIM_NODISCARD aim_status aim_variables_init(aim_variables *v, const aimnet_system *system,
                                            const aimnet_opt_options *options);
void aim_variables_layout(aim_variables *v, aim_arena *arena);
/* Copies the structure into the arrays. */
void aim_variables_load(aim_variables *v, const aimnet_system *system, const uint8_t *frozen);

/* x and cell of the variables in v->value. */
void aim_variables_place(aim_variables *v);
/* Gradient [n_var] of the enthalpy at the placed point; stress may be NULL without strains. */
void aim_variables_gradient(const aim_variables *v, const double *forces, const double *stress,
                            double *gradient);
double aim_variables_volume(const aim_variables *v); /* A^3; 0 without a cell */
/* Largest force on a free atom; largest component of stress + pressure that may relax. */
double aim_variables_fmax(const aim_variables *v, const double *forces);
double aim_variables_smax(const aim_variables *v, const double *stress);
/* The factor (at most 1) by which a step of the variables is shortened so that no atom moves
 * further than max_move and no strain exceeds its limit. *move is the resulting largest
 * displacement. */
double aim_variables_limit(const aim_variables *v, const double *step, double max_move,
                           double *move);

#endif
