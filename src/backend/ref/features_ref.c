/* SPDX-License-Identifier: MIT */
/* features_ref.c - features of pairs, and pair gradients back to atoms and strain (equations:
 * kernels.def).
 *
 * Pair p of atom i points from i to its neighbour: r = r_j + S cell - r_i, in Angstrom and double.
 * With x = d - s_g
 *
 *     gs  = fc exp(-eta x^2),                     fc  = (cos(pi d/rc) + 1)/2
 *     dgs = (fc' - 2 eta x fc) exp(-eta x^2),     fc' = -pi/(2 rc) sin(pi d/rc)
 *     ddgs = (fc'' - 4 eta x fc' + (4 eta^2 x^2 - 2 eta) fc) exp(-eta x^2),  fc'' = -(pi/rc)^2/2
 *     cos(pi d/rc)
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
                 dfc = -0.5 * PI / a->rc * sin(PI * d / a->rc),
                 ddfc = -0.5 * PI * PI / (a->rc * a->rc) * cos(PI * d / a->rc), eta = a->eta;
    for (int g = 0; g < a->gp; g++) {
        const double x = d - (double)a->shifts[g], e = g < a->nshifts ? exp(-a->eta * x * x) : 0.0;
        a->gs[p * a->gp + g] = (real)(fc * e);
        if (a->dgs)
            a->dgs[p * a->gp + g] = (real)((dfc - 2.0 * a->eta * x * fc) * e);
        if (a->ddgs)
            a->ddgs[p * a->gp + g] =
                (real)((ddfc - 4.0 * eta * x * dfc + (4.0 * eta * eta * x * x - 2.0 * eta) * fc) *
                       e);
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

/* tr = tx_j - tx_i + r W of pair p of atom i in one direction; w: of the atom's system. */
static void moved_vector(const double *tx, const double *w, int64_t i, int64_t j, const double r[3],
                         double tr[3])
{
    for (int d = 0; d < 3; d++) {
        tr[d] = tx ? tx[3 * j + d] - tx[3 * i + d] : 0.0;
        for (int e = 0; w && e < 3; e++)
            tr[d] += r[e] * w[3 * e + d];
    }
}

void AIM_REF_FN(pair_features_tan)(const aim_pair_tan_args *a, int64_t first, int64_t last)
{
    const pair_place where = {a->coord, a->cell, a->system, a->shift};
    const int64_t n_pairs = a->row[a->n_atoms];
    for (int64_t row = first; row < last; row++) {
        const int64_t dir = row / a->n_atoms, i = row % a->n_atoms;
        const double *tx = a->tx ? a->tx + 3 * dir * a->n_atoms : NULL,
                     *w = a->w ? a->w + 9 * (dir * a->n_systems + a->system[i]) : NULL;
        for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
            double r[3], tr[3];
            pair_vector(&where, i, p, a->j[p], r);
            moved_vector(tx, w, i, a->j[p], r, tr);
            const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]),
                         td = (r[0] * tr[0] + r[1] * tr[1] + r[2] * tr[2]) / d;
            real *tu = a->tu + 4 * (dir * n_pairs + p);
            for (int k = 0; k < 3; k++)
                tu[k] = (real)((tr[k] - r[k] * td / d) / d);
            tu[3] = (real)td;
        }
    }
}

void AIM_REF_FN(pair_gather_tan)(const aim_gather_tan_args *a, int64_t first, int64_t last)
{
    const int64_t n_pairs = a->of.row[a->n_atoms];
    for (int64_t row = first; row < last; row++) {
        const int64_t i = row % a->n_atoms;
        const real *tgr = a->tgr + 3 * (row / a->n_atoms) * n_pairs;
        for (int d = 0; d < 3; d++) {
            double sum = 0;
            for (int64_t p = a->of.row[i]; p < a->of.row[i + 1]; p++)
                sum += (double)tgr[3 * a->of.reverse[p] + d] - (double)tgr[3 * p + d];
            a->tgrad[3 * row + d] += sum;
        }
    }
}

void AIM_REF_FN(pair_strain_tan)(const aim_gather_tan_args *a, int64_t first, int64_t last)
{
    const aim_gather_args *of = &a->of;
    const pair_place where = {of->coord, of->cell, of->system, of->shift};
    for (int64_t row = first; row < last; row++) {
        const int64_t dir = row / a->n_systems, s = row % a->n_systems;
        const real *tgr = a->tgr + 3 * dir * of->row[a->n_atoms];
        const double *tx = a->tx ? a->tx + 3 * dir * a->n_atoms : NULL,
                     *w = a->w ? a->w + 9 * row : NULL;
        double sum[9] = {0};
        for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++)
            for (int64_t p = of->row[i]; p < of->row[i + 1]; p++) {
                double r[3], tr[3];
                pair_vector(&where, i, p, of->j[p], r);
                moved_vector(tx, w, i, of->j[p], r, tr);
                for (int x = 0; x < 3; x++)
                    for (int y = 0; y < 3; y++)
                        sum[3 * x + y] +=
                            tr[x] * (double)of->gr[3 * p + y] + r[x] * (double)tgr[3 * p + y];
            }
        for (int k = 0; k < 9; k++)
            a->tstrain[9 * row + k] += sum[k];
    }
}
