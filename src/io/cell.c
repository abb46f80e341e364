/* SPDX-License-Identifier: MIT */
/* cell.c - cell vectors from lengths and angles, and back.
 *
 * The orientation is that of the wwPDB format and of the CIF dictionary's default: a along x, c*
 * along z. Right angles give exact zeros, so that an orthorhombic cell is diagonal. */
#include "io/cell.h"

#include <math.h>
#include <string.h>

#include "base/vec3.h"

#define DEGREE (3.14159265358979323846 / 180.0)

static double cosine(double degrees)
{
    return degrees == 90.0 ? 0.0 : cos(degrees * DEGREE);
}

int aim_cell_from_parameters(const double p[6], double cell[9])
{
    for (int i = 0; i < 3; i++)
        if (!isfinite(p[i]) || !(p[i] > 0.0) || !(p[3 + i] > 0.0 && p[3 + i] < 180.0))
            return 0;
    const double ca = cosine(p[3]), cb = cosine(p[4]), cc = cosine(p[5]);
    const double sc = sqrt(1.0 - cc * cc), y = (ca - cb * cc) / sc;
    const double z2 = 1.0 - cb * cb - y * y;
    if (!(sc > 1e-6) || !(z2 > 1e-12))
        return 0;
    const double vectors[9] = {p[0], 0.0,       0.0,      p[1] * cc,      p[1] * sc,
                               0.0,  p[2] * cb, p[2] * y, p[2] * sqrt(z2)};
    memcpy(cell, vectors, sizeof vectors);
    return 1;
}

void aim_cell_parameters(const double cell[9], double p[6])
{
    for (int i = 0; i < 3; i++) {
        const double *u = cell + (size_t)(3 * ((i + 1) % 3)),
                     *v = cell + (size_t)(3 * ((i + 2) % 3));
        double w[3];
        aim_cross3(u, v, w);
        p[i] = aim_norm3(cell + (size_t)(3 * i));
        p[3 + i] = atan2(aim_norm3(w), aim_dot3(u, v)) / DEGREE;
    }
}
