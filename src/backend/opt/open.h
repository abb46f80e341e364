/* SPDX-License-Identifier: MIT */
/* open.h - directions in which slabs and wires are not periodic: their normals, and how far the atoms
 * reach along them. Cells for a device are closed by that (calc/close.c); of a path on a card only the
 * card knows the positions. For crews (crew.h). */
#ifndef AIM_BACKEND_OPT_OPEN_H
#define AIM_BACKEND_OPT_OPEN_H

#include <stdint.h>

#include "backend/opt/crew.h"
#include "base/vec3.h"

/* v = a x b / |a x b|; 0: they are parallel */
AIM_CREW int aim_unit_normal(const double *a, const double *b, double *v)
{
    aim_cross3(a, b, v);
    const double length = aim_norm3(v);
    for (int d = 0; d < 3; d++)
        v[d] /= length;
    return length > 1e-9 * aim_norm3(a) * aim_norm3(b);
}

/* Of a cell that is periodic along one or two of its vectors: replaces the others by unit vectors that
 * are normal to these and to each other; 0: impossible. */
AIM_CREW int aim_open_normals(const int32_t pbc[3], double h[9])
{
    if (pbc[0] + pbc[1] + pbc[2] == 2) {
        const int open = !pbc[0] ? 0 : !pbc[1] ? 1 : 2;
        return aim_unit_normal(h + 3 * ((open + 1) % 3), h + 3 * ((open + 2) % 3), h + 3 * open);
    }
    const int axis = pbc[0] ? 0 : pbc[1] ? 1 : 2;
    const double *u = h + 3 * axis;
    double *v = h + 3 * ((axis + 1) % 3), *w = h + 3 * ((axis + 2) % 3), e[3] = {0.0, 0.0, 0.0};
    const int first = fabs(u[0]) < fabs(u[1]) ? 0 : 1;
    e[fabs(u[2]) < fabs(u[first]) ? 2 : first] = 1.0;
    return aim_unit_normal(u, e, v) && aim_unit_normal(u, v, w);
}

/* From the first to the last of n atoms along v. */
AIM_CREW double aim_extent(const double *x, size_t n, const double *v)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = crew_rank(); i < n; i += crew_size()) {
        const double at = aim_dot3(x + 3 * i, v);
        low = fmin(low, at);
        high = fmax(high, at);
    }
    return crew_max(high) + crew_max(-low);
}

/* Along every normal of a slab or wire; else 0. */
AIM_CREW void aim_open_extents(const int32_t pbc[3], const double cell[9], const double *x,
                               size_t n, double extent[3])
{
    const int periodic = pbc[0] + pbc[1] + pbc[2];
    double h[9];
    for (int k = 0; k < 9; k++)
        h[k] = cell[k];
    const int open = (periodic == 1 || periodic == 2) && aim_open_normals(pbc, h);
    for (int k = 0; k < 3; k++)
        extent[k] = open && !pbc[k] ? aim_extent(x, n, h + 3 * k) : 0.0;
}

#endif
