/* SPDX-License-Identifier: MIT */
/* variables.h - positions and cell of a structure as one vector of variables, and back; for crews
 * (crew.h).
 *
 * With x = x0 F and cell = cell0 F (row vectors), the strain e that takes x to x (1 + e) changes F
 * by F e. From dE = V sum_ab sigma_ab e_ab follows
 *
 *     dE/dx0_i = -f_i F^T,     dE/dF = V F^-T sigma,     d(pV)/dF = p V F^-T.
 *
 * F stays symmetric: six numbers reach every shape of a cell, and the rotations, which cost no
 * energy, are left out. A symmetric positive F with a vanishing projection has a vanishing stress
 * (F^-1 sigma + sigma F^-1 = 0 has no other solution). The variables are those of ASE's
 * UnitCellFilter (E. B. Tadmor et al., Phys. Rev. B 59 (1999) 235,
 * doi:10.1103/PhysRevB.59.235) but for the rotations and the scale of F. */
#ifndef AIM_BACKEND_OPT_VARIABLES_H
#define AIM_BACKEND_OPT_VARIABLES_H

#include "backend/opt/crew.h"
#include "backend/opt/path.h"
#include "base/vec3.h"

/* of a strain, per step and component */
#define AIM_OPT_MAX_STRAIN 0.04

/* x and cell of the variables in v->value. */
AIM_CREW void aim_variables_place(aim_variables *v)
{
    const size_t n = (size_t)v->n_atoms;
    crew_sync();
    if (v->n_strains == 0) {
        for (size_t i = crew_rank(); i < 3 * n; i += crew_size())
            v->x[i] = v->value[i];
        crew_sync();
        return;
    }
    for (size_t m = crew_rank(); m < 9; m += crew_size()) {
        double f = m % 4 == 0 ? 1.0 : 0.0;
        for (int k = 0; k < v->n_strains; k++)
            f += v->value[3 * n + (size_t)k] / v->scale * v->basis[k][m];
        v->f[m] = f;
    }
    crew_sync();
    for (size_t i = crew_rank(); i < n; i += crew_size())
        aim_vecmat3(v->value + 3 * i, v->f, v->x + 3 * i);
    for (size_t k = crew_rank(); k < 3; k += crew_size())
        aim_vecmat3(v->cell0 + 3 * k, v->f, v->cell + 3 * k);
    crew_sync();
}

/* A^3; 0 without a cell */
AIM_CREW double aim_variables_volume(const aim_variables *v)
{
    return v->has_cell ? fabs(aim_det3(v->cell)) : 0.0;
}

/* Gradient [n_var] of the enthalpy at the placed point; stress may be NULL without strains. */
AIM_CREW void aim_variables_gradient(const aim_variables *v, const double *forces,
                                     const double *stress, double *gradient)
{
    const size_t n = (size_t)v->n_atoms;
    for (size_t i = crew_rank(); i < n; i += crew_size())
        for (int d = 0; d < 3; d++)
            gradient[3 * i + (size_t)d] =
                v->frozen[i] ? 0.0 : -aim_dot3(forces + 3 * i, v->f + 3 * d);
    if (v->n_strains > 0) {
        double inverse[9], g[9];
        aim_inverse3(v->f, inverse);
        const double volume = aim_variables_volume(v);
        for (int c = 0; c < 3; c++)
            for (int b = 0; b < 3; b++) {
                g[3 * c + b] = v->pressure * inverse[3 * b + c];
                for (int a = 0; a < 3; a++)
                    g[3 * c + b] += inverse[3 * a + c] * stress[3 * a + b];
            }
        for (size_t k = crew_rank(); k < (size_t)v->n_strains; k += crew_size()) {
            double sum = 0.0;
            for (int m = 0; m < 9; m++)
                sum += v->basis[k][m] * g[m];
            gradient[3 * n + k] = volume * sum / v->scale;
        }
    }
    crew_sync();
}

/* Largest force on a free atom. */
AIM_CREW double aim_variables_fmax(const aim_variables *v, const double *forces)
{
    double largest = 0.0;
    for (size_t i = crew_rank(); i < (size_t)v->n_atoms; i += crew_size()) {
        const double norm = v->frozen[i] ? 0.0 : aim_norm3(forces + 3 * i);
        largest = norm > largest ? norm : largest;
    }
    return crew_max(largest);
}

/* Largest component of stress + pressure that may relax. */
AIM_CREW double aim_variables_smax(const aim_variables *v, const double *stress)
{
    double largest = 0.0;
    for (int k = 0; k < v->n_strains; k++) {
        double sum = 0.0, norm = 0.0;
        for (int m = 0; m < 9; m++) {
            sum += v->basis[k][m] * (stress[m] + (m % 4 == 0 ? v->pressure : 0.0));
            norm += fabs(v->basis[k][m]);
        }
        largest = fabs(sum) / norm > largest ? fabs(sum) / norm : largest;
    }
    return largest;
}

/* The factor (at most 1) by which a step of the variables is shortened so that no atom moves
 * further than max_move and no strain exceeds its limit. *move is the resulting largest
 * displacement. */
AIM_CREW double aim_variables_limit(const aim_variables *v, const double *step, double max_move,
                                    double *move)
{
    double largest = 0.0, factor = 1.0;
    crew_sync();
    for (size_t i = crew_rank(); i < (size_t)v->n_atoms; i += crew_size()) {
        const double norm = aim_norm3(step + 3 * i);
        largest = norm > largest ? norm : largest;
    }
    largest = crew_max(largest);
    if (largest > max_move)
        factor = max_move / largest;
    for (int k = 0; k < v->n_strains; k++) {
        const double strain = fabs(step[3 * (size_t)v->n_atoms + (size_t)k]) / v->scale;
        if (strain * factor > AIM_OPT_MAX_STRAIN)
            factor = AIM_OPT_MAX_STRAIN / strain;
    }
    *move = largest * factor;
    return factor;
}

#endif
