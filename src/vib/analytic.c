/* SPDX-License-Identifier: MIT */
/* analytic.c - the Hessian column by column as products with unit directions, many at a time; the
 * derivative of the charge dipole comes with them. */
#include <string.h>

#include "calc/tangent.h"
#include "vib/vib.h"

enum { DIRECTIONS = 48 };

/* Columns first .. first + n_columns - 1. v is cleared here. */
static aim_status do_columns(aim_calc *c, const aimnet_system *s, size_t first, size_t n_columns,
                             double *v, double *hessian, double *dipole_gradient)
{
    const size_t n = 3 * (size_t)s->n_atoms;
    memset(v, 0, n * n_columns * sizeof *v);
    for (size_t k = 0; k < n_columns; k++)
        v[k * n + first + k] = 1.0;
    const aimnet_hvp job = {.n_directions = (int)n_columns,
                            .v = v,
                            .hv = hessian + first * n,
                            .dipole = dipole_gradient ? dipole_gradient + 3 * first : NULL};
    return aim_hvp(c, s, 1, &job);
}

aim_status aim_vib_analytic(aim_calc *c, const aimnet_system *s, double *hessian,
                            double *dipole_gradient)
{
    const size_t n = 3 * (size_t)s->n_atoms;
    double *v = NULL;
    AIM_TRY(aim_new(&c->alloc, n * DIRECTIONS, sizeof *v, "directions", &v));
    aim_status status = AIMNET_OK;
    for (size_t first = 0; status == AIMNET_OK && first < n; first += DIRECTIONS)
        status = do_columns(c, s, first, n - first < DIRECTIONS ? n - first : DIRECTIONS, v,
                            hessian, dipole_gradient);
    aim_free(&c->alloc, v);
    if (status == AIMNET_OK)
        aim_vib_symmetrise(n, hessian);
    return status;
}
