/* SPDX-License-Identifier: MIT */
/* bspline.h - cardinal B-splines on a unit grid, by the recursion of U. Essmann et al., J. Chem.
 * Phys. 103, 8577 (1995), doi:10.1063/1.470117:
 *
 *     M_2(x) = 1 - |x - 1|,    M_n(x) = (x M_{n-1}(x) + (n - x) M_{n-1}(x - 1)) / (n - 1),
 *     M_n'(x) = M_{n-1}(x) - M_{n-1}(x - 1)
 *
 * A point at t (0 <= t < 1) behind a grid point touches n of them: w[j] = M_n(t + n - 1 - j), in
 * ascending order of the grid, and they add up to 1. */
#ifndef AIM_POINT_BSPLINE_H
#define AIM_POINT_BSPLINE_H

#include "point/deriv.h"

enum { AIM_BSPLINE_MAX = 16 };

/* w: order n - 1 -> order n, in place; w has room for n. */
AIM_HD void aim_bspline_raise(double t, int n, double *w)
{
    const double f = 1.0 / (n - 1);
    w[n - 1] = f * t * w[n - 2];
    for (int j = n - 2; j > 0; j--)
        w[j] = f * ((t + n - 1 - j) * w[j - 1] + (1 + j - t) * w[j]);
    w[0] = f * (1.0 - t) * w[0];
}

/* Values and first derivatives to t for order 3 .. AIM_BSPLINE_MAX. */
AIM_HD void aim_bspline(double t, int order, double *w, double *dw)
{
    w[0] = 1.0 - t;
    w[1] = t;
    for (int n = 3; n < order; n++)
        aim_bspline_raise(t, n, w);
    dw[0] = -w[0];
    for (int j = 1; j < order - 1; j++)
        dw[j] = w[j - 1] - w[j];
    dw[order - 1] = w[order - 2];
    aim_bspline_raise(t, order, w);
}

#endif
