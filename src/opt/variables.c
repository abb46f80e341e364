/* SPDX-License-Identifier: MIT */
/* variables.c - positions and cell as one vector of variables, and back.
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
 * doi:10.1103/PhysRevB.59.235) but for the rotations and the scale of F. Used by job.c. */
#include "opt/variables.h"

#include <math.h>
#include <string.h>

#include "base/vec3.h"

static const double MAX_STRAIN = 0.04;     /* per step and component */
static const double AXIS_TOLERANCE = 1e-6; /* Angstrom: a vector along a Cartesian axis */

static void add_basis(aim_variables *v, int a, int b, double value)
{
    double *m = v->basis[v->n_strains];
    m[3 * a + b] = m[3 * b + a] = value;
}

static void choose_basis(aim_variables *v, const aimnet_opt_options *o)
{
    if (o->cell == AIMNET_OPT_CELL_ISOTROPIC) {
        for (int a = 0; a < 3; a++)
            if (v->free_axis[a])
                add_basis(v, a, a, 1.0);
        v->n_strains = 1;
        return;
    }
    for (int a = 0; a < 3; a++)
        for (int b = a; b < 3; b++)
            if (v->free_axis[a] && v->free_axis[b]) {
                add_basis(v, a, b, a == b ? 1.0 : sqrt(0.5));
                v->n_strains++;
            }
}

/* A direction without periodicity must not be strained. */
static aim_status check_axes(const aim_variables *v, const aimnet_system *s)
{
    int n_free = 0;
    for (int d = 0; d < 3; d++)
        n_free += v->free_axis[d];
    if (n_free == 0)
        return AIM_FAIL(AIMNET_ERR_SYSTEM, "all three axes are fixed: nothing of the cell is free");
    for (int k = 0; k < 3; k++) {
        if (s->pbc[k])
            continue;
        for (int d = 0; d < 3; d++)
            if (v->free_axis[d] && fabs(s->cell[3 * k + d]) > AXIS_TOLERANCE)
                return AIM_FAIL(AIMNET_ERR_SYSTEM,
                                "the structure is not periodic along cell vector %c: fix the "
                                "Cartesian axes along which that vector points",
                                "abc"[k]);
    }
    return AIMNET_OK;
}

aim_status aim_variables_init(aim_variables *v, const aimnet_system *s, const aimnet_opt_options *o)
{
    memset(v, 0, sizeof *v);
    const int periodic = s->cell && (s->pbc[0] || s->pbc[1] || s->pbc[2]);
    v->n_atoms = s->n_atoms;
    v->has_cell = s->cell != NULL;
    v->pressure = o->pressure;
    v->scale = sqrt((double)s->n_atoms);
    for (int d = 0; d < 3; d++) {
        v->periodic[d] = periodic && s->pbc[d];
        v->free_axis[d] = !o->fixed_axes[d];
        v->f[4 * d] = 1.0;
    }
    if (s->cell)
        memcpy(v->cell0, s->cell, sizeof v->cell0);
    memcpy(v->cell, v->cell0, sizeof v->cell);
    if (o->cell != AIMNET_OPT_CELL_FIXED) {
        if (!periodic)
            return AIM_FAIL(AIMNET_ERR_SYSTEM,
                            "the cell cannot be relaxed: the structure is not periodic");
        AIM_TRY(check_axes(v, s));
        choose_basis(v, o);
    }
    v->n_var = 3 * v->n_atoms + v->n_strains;
    return AIMNET_OK;
}

void aim_variables_layout(aim_variables *v, aim_arena *arena)
{
    const size_t n = (size_t)v->n_atoms;
    v->numbers = aim_take(arena, "numbers", n, sizeof *v->numbers);
    v->frozen = aim_take(arena, "frozen", n, sizeof *v->frozen);
    v->value = aim_take(arena, "value", (size_t)v->n_var, sizeof *v->value);
    v->x = aim_take(arena, "x", 3 * n, sizeof *v->x);
}

void aim_variables_load(aim_variables *v, const aimnet_system *s, const uint8_t *frozen)
{
    const size_t n = (size_t)v->n_atoms;
    memcpy(v->numbers, s->numbers, n * sizeof *v->numbers);
    for (size_t i = 0; i < n; i++)
        v->frozen[i] = frozen && frozen[i];
    memset(v->value, 0, (size_t)v->n_var * sizeof *v->value);
    memcpy(v->value, s->coord, 3 * n * sizeof *v->value);
    memcpy(v->x, s->coord, 3 * n * sizeof *v->x);
}

void aim_variables_place(aim_variables *v)
{
    const size_t n = (size_t)v->n_atoms;
    if (v->n_strains == 0) {
        memcpy(v->x, v->value, 3 * n * sizeof *v->x);
        return;
    }
    for (int m = 0; m < 9; m++) {
        double f = m % 4 == 0 ? 1.0 : 0.0;
        for (int k = 0; k < v->n_strains; k++)
            f += v->value[3 * n + (size_t)k] / v->scale * v->basis[k][m];
        v->f[m] = f;
    }
    for (size_t i = 0; i < n; i++)
        aim_vecmat3(v->value + 3 * i, v->f, v->x + 3 * i);
    for (int k = 0; k < 3; k++)
        aim_vecmat3(v->cell0 + 3 * k, v->f, v->cell + 3 * k);
}

double aim_variables_volume(const aim_variables *v)
{
    return v->has_cell ? fabs(aim_det3(v->cell)) : 0.0;
}

void aim_variables_gradient(const aim_variables *v, const double *forces, const double *stress,
                            double *gradient)
{
    const size_t n = (size_t)v->n_atoms;
    for (size_t i = 0; i < n; i++) {
        double *g = gradient + 3 * i;
        for (int d = 0; d < 3; d++)
            g[d] = v->frozen[i] ? 0.0 : -aim_dot3(forces + 3 * i, v->f + 3 * d);
    }
    if (v->n_strains == 0)
        return;
    double inverse[9], g[9];
    aim_inverse3(v->f, inverse);
    const double volume = aim_variables_volume(v);
    for (int c = 0; c < 3; c++)
        for (int b = 0; b < 3; b++) {
            g[3 * c + b] = v->pressure * inverse[3 * b + c];
            for (int a = 0; a < 3; a++)
                g[3 * c + b] += inverse[3 * a + c] * stress[3 * a + b];
        }
    for (int k = 0; k < v->n_strains; k++) {
        double sum = 0.0;
        for (int m = 0; m < 9; m++)
            sum += v->basis[k][m] * g[m];
        gradient[3 * n + (size_t)k] = volume * sum / v->scale;
    }
}

double aim_variables_fmax(const aim_variables *v, const double *forces)
{
    double largest = 0.0;
    for (int32_t i = 0; i < v->n_atoms; i++) {
        const double norm = v->frozen[i] ? 0.0 : aim_norm3(forces + 3 * (size_t)i);
        largest = norm > largest ? norm : largest;
    }
    return largest;
}

double aim_variables_smax(const aim_variables *v, const double *stress)
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

double aim_variables_limit(const aim_variables *v, const double *step, double max_move,
                           double *move)
{
    double largest = 0.0, factor = 1.0;
    for (int32_t i = 0; i < v->n_atoms; i++) {
        const double norm = aim_norm3(step + 3 * (size_t)i);
        largest = norm > largest ? norm : largest;
    }
    if (largest > max_move)
        factor = max_move / largest;
    for (int k = 0; k < v->n_strains; k++) {
        const double strain = fabs(step[3 * (size_t)v->n_atoms + (size_t)k]) / v->scale;
        if (strain * factor > MAX_STRAIN)
            factor = MAX_STRAIN / strain;
    }
    *move = largest * factor;
    return factor;
}
