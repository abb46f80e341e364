/* SPDX-License-Identifier: MIT */
/* features_ref.c - features of pairs, and pair gradients back to atoms and strain (equations:
 * kernels.def).
 *
 * Pair p of atom i points from i to its neighbour: r = r_j + S cell - r_i, in Angstrom and double.
 * With x = d - s_g
 *
 *     gs  = fc exp(-eta x^2),                     fc  = (cos(pi d/rc) + 1)/2
 *     dgs = (fc' - 2 eta x fc) exp(-eta x^2),     fc' = -pi/(2 rc) sin(pi d/rc)
 *
 * Shifts beyond nshifts are padding: their features are zero. */
#include <math.h>

#include "backend/ref/ref.h"

static const double PI = 3.14159265358979323846;

typedef struct pair_place {
    const double *coord, *cell;
    const int32_t *system;
    const int32_t (*shift)[3]; /* NULL: no periodic system in the batch */
} pair_place;

static void pair_vector(const pair_place *w, int64_t i, int64_t p, int64_t j, double r[3])
{
    const double *cell = w->shift ? w->cell + 9 * (int64_t)w->system[i] : NULL;
    for (int d = 0; d < 3; d++) {
        r[d] = w->coord[3 * j + d] - w->coord[3 * i + d];
        if (cell)
            r[d] += w->shift[p][0] * cell[d] + w->shift[p][1] * cell[3 + d] +
                    w->shift[p][2] * cell[6 + d];
    }
}

static void radial(const aim_pair_features_args *a, int64_t p, double d)
{
    const double fc = 0.5 * (cos(PI * d / a->rc) + 1.0),
                 dfc = -0.5 * PI / a->rc * sin(PI * d / a->rc);
    for (int g = 0; g < a->gp; g++) {
        const double x = d - (double)a->shifts[g], e = g < a->nshifts ? exp(-a->eta * x * x) : 0.0;
        a->gs[p * a->gp + g] = (real)(fc * e);
        if (a->dgs)
            a->dgs[p * a->gp + g] = (real)((dfc - 2.0 * a->eta * x * fc) * e);
    }
}

void AIM_REF_FN(pair_features)(const aim_pair_features_args *a, int64_t first, int64_t last)
{
    const pair_place where = {a->coord, a->cell, a->system, a->shift};
    for (int64_t i = first; i < last; i++)
        for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
            double r[3];
            pair_vector(&where, i, p, a->j[p], r);
            const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
            for (int k = 0; k < 3; k++)
                a->u[4 * p + k] = (real)(r[k] / d);
            a->u[4 * p + 3] = (real)(1.0 / d);
            radial(a, p, d);
        }
}

void AIM_REF_FN(pair_gather)(const aim_gather_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        for (int d = 0; d < 3; d++) {
            double sum = 0;
            for (int64_t p = a->row[i]; p < a->row[i + 1]; p++)
                sum += (double)a->gr[3 * a->reverse[p] + d] - (double)a->gr[3 * p + d];
            a->grad[3 * i + d] += sum;
        }
}

void AIM_REF_FN(pair_strain)(const aim_gather_args *a, int64_t first, int64_t last)
{
    const pair_place where = {a->coord, a->cell, a->system, a->shift};
    for (int64_t s = first; s < last; s++) {
        double sum[9] = {0};
        for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++)
            for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
                double r[3];
                pair_vector(&where, i, p, a->j[p], r);
                for (int x = 0; x < 3; x++)
                    for (int y = 0; y < 3; y++)
                        sum[3 * x + y] += r[x] * (double)a->gr[3 * p + y];
            }
        for (int k = 0; k < 9; k++)
            a->strain[9 * s + k] += sum[k];
    }
}
