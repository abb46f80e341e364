/* SPDX-License-Identifier: MIT */
/* variables.c - which variables a structure has; what follows from them is in
 * backend/opt/variables.h. Used by job.c. */
#include "opt/variables.h"

#include <math.h>
#include <string.h>

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
