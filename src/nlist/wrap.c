/* SPDX-License-Identifier: MIT */
/* wrap.c - fractional coordinates along the periodic directions brought into 0 <= f < 1 by whole
 * cell vectors.
 *
 * f = x h^-1 with the full cell h, so that in a skewed cell with an open direction the others are
 * cut along the given vectors, as the cell draws them. Open directions whose vector is zero, or
 * depends on the others, get a normal vector instead. Atoms that are inside already keep their
 * exact coordinates; a quotient that rounding has put on the wrong side is corrected in a second
 * step. */
#include "nlist/wrap.h"

#include <math.h>
#include <string.h>
#include "base/vec3.h"
#include "nlist/lattice.h"

static const double MIN_SHAPE = 1e-10; /* volume over the product of the lengths */
static const double MAX_COORDINATE = 1e9, MAX_SHIFT = 1 << 30;

aim_status aim_wrapper_set(aim_wrapper *w, const double cell[9], const int32_t pbc[3])
{
    aim_lattice l;
    AIM_TRY(aim_lattice_set(&l, cell, pbc));
    memcpy(w->cell, cell, sizeof w->cell);
    for (int d = 0; d < 3; d++)
        w->periodic[d] = l.periodic[d];
    const double lengths = aim_norm3(cell) * aim_norm3(cell + 3) * aim_norm3(cell + 6);
    if (!(fabs(aim_det3(cell)) > MIN_SHAPE * lengths))
        for (int d = 0; d < 3; d++)
            if (!l.periodic[d])
                memcpy(w->cell + 3 * d, l.frame + 3 * d, 3 * sizeof *w->cell);
    aim_inverse3(w->cell, w->inverse);
    return AIMNET_OK;
}

aim_status aim_wrapper_move(const aim_wrapper *w, const double x[3], double wrapped[3],
                            int32_t shift[3])
{
    double total[3] = {0.0, 0.0, 0.0}, at[3], f[3], back[3];
    memcpy(at, x, sizeof at);
    for (int d = 0; d < 3; d++)
        if (!(fabs(x[d]) <= MAX_COORDINATE))
            return AIM_FAIL(AIMNET_ERR_SYSTEM,
                            "coordinate %c is %g; it must be a number of at most %g A", "xyz"[d],
                            x[d], MAX_COORDINATE);
    for (int round = 0; round < 2; round++) {
        aim_vecmat3(at, w->inverse, f);
        for (int d = 0; d < 3; d++)
            total[d] += w->periodic[d] ? floor(f[d]) : 0.0;
        aim_vecmat3(total, w->cell, back);
        for (int d = 0; d < 3; d++)
            at[d] = x[d] - back[d];
    }
    for (int d = 0; d < 3; d++) {
        if (!(fabs(total[d]) < MAX_SHIFT))
            return AIM_FAIL(AIMNET_ERR_SYSTEM,
                            "%g cell vectors from the cell along direction %d; at most %g",
                            total[d], d, MAX_SHIFT);
        wrapped[d] = at[d];
        shift[d] = (int32_t)total[d];
    }
    return AIMNET_OK;
}
