/* SPDX-License-Identifier: MIT */
/* d3ts.h - C6 of a pair from the C6 and polarisabilities of its atoms, with first and second
 * derivatives:
 *
 *     C6_ij = 2 c_i c_j / D,   D = max(c_i a_j/a_i + c_j a_i/a_j, 1e-4)
 *
 * A. Tkatchenko, M. Scheffler, Phys. Rev. Lett. 102, 073005 (2009),
 * doi:10.1103/PhysRevLett.102.073005; the floor of D is the reference implementation's. */
#ifndef AIM_POINT_D3TS_H
#define AIM_POINT_D3TS_H

#include "point/deriv.h"

#define AIM_D3TS_FLOOR 1e-4

typedef struct aim_d3ts_c6 {
    double v;
    double g[4];    /* to c_i, a_i, c_j, a_j */
    double h[4][4]; /* second derivatives in the same order */
} aim_d3ts_c6;

AIM_HD aim_d3ts_c6 aim_d3ts_combine(double ci, double ai, double cj, double aj)
{
    const double x = aj / ai, y = ai / aj, raw = ci * x + cj * y;
    const double on = raw >= AIM_D3TS_FLOOR ? 1.0 : 0.0, d = on > 0.0 ? raw : AIM_D3TS_FLOOR;
    /* D: derivatives of x are -x/ai, 1/ai and so on */
    const double dg[4] = {on * x, on * (cj / aj - ci * x / ai), on * y,
                          on * (ci / ai - cj * y / aj)};
    const double aa = -ci / (ai * ai) - cj / (aj * aj);
    const double dh[4][4] = {{0.0, -x / ai, 0.0, 1.0 / ai},
                             {-x / ai, 2.0 * ci * x / (ai * ai), 1.0 / aj, aa},
                             {0.0, 1.0 / aj, 0.0, -y / aj},
                             {1.0 / ai, aa, -y / aj, 2.0 * cj * y / (aj * aj)}};
    const double ng[4] = {2.0 * cj, 0.0, 2.0 * ci, 0.0};
    aim_d3ts_c6 r;
    r.v = 2.0 * ci * cj / d;
    for (int p = 0; p < 4; p++)
        r.g[p] = (ng[p] - r.v * dg[p]) / d;
    for (int p = 0; p < 4; p++)
        for (int q = 0; q < 4; q++) {
            const double nh = p != q && p % 2 == 0 && q % 2 == 0 ? 2.0 : 0.0;
            r.h[p][q] = (nh - r.g[p] * dg[q] - r.g[q] * dg[p] - r.v * on * dh[p][q]) / d;
        }
    return r;
}

#endif
