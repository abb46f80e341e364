/* SPDX-License-Identifier: MIT */
/* features_cpu.c - radial features and unit vectors of pairs, and the way back from pair gradients
 * to atoms.
 *
 * Vectors and distances are formed in double from the positions as given; the cutoff fc(d) =
 * (cos(pi d/rc) + 1)/2 and its derivative are polynomials in double (Taylor series of sin and cos
 * of pi y, |y| <= 1/2, truncated below 1e-17); Gaussians are one vector exponential per VL shifts,
 * in the working precision. */
#include <math.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/vmath.h"

static const double PI = 3.14159265358979323846;

/* sin(x) and cos(x) for |x| <= pi/2 */
static void sin_cos(double x, double *s, double *c)
{
    const double y = x * x;
    double a = -1.0 / 25852016738884976640000.0,
           b = 1.0 / 1124000727777607680000.0; /* 1/23!, 1/22! */
    static const double odd[] = {1.0 / 51090942171709440000.0,
                                 -1.0 / 121645100408832000.0,
                                 1.0 / 355687428096000.0,
                                 -1.0 / 1307674368000.0,
                                 1.0 / 6227020800.0,
                                 -1.0 / 39916800.0,
                                 1.0 / 362880.0,
                                 -1.0 / 5040.0,
                                 1.0 / 120.0,
                                 -1.0 / 6.0,
                                 1.0};
    static const double even[] = {-1.0 / 2432902008176640000.0,
                                  1.0 / 6402373705728000.0,
                                  -1.0 / 20922789888000.0,
                                  1.0 / 87178291200.0,
                                  -1.0 / 479001600.0,
                                  1.0 / 3628800.0,
                                  -1.0 / 40320.0,
                                  1.0 / 720.0,
                                  -1.0 / 24.0,
                                  0.5,
                                  -1.0};
    b = -b;
    for (int k = 0; k < 11; k++) {
        a = a * y + odd[k];
        b = b * y - even[k];
    }
    *s = a * x;
    *c = b;
}

/* r_j + S cell - r_i */
static inline void pair_vector(const double *coord, const double *cell, const int32_t *system,
                               const int32_t (*shift)[3], int64_t i, int64_t p, int64_t j,
                               double r[3])
{
    for (int d = 0; d < 3; d++)
        r[d] = coord[3 * j + d] - coord[3 * i + d];
    if (shift) {
        const double *h = cell + 9 * (size_t)system[i];
        for (int d = 0; d < 3; d++)
            r[d] += shift[p][0] * h[d] + shift[p][1] * h[3 + d] + shift[p][2] * h[6 + d];
    }
}

void AIM_KERNEL_FN(pair_features)(const aim_pair_features_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
            double r[3], s, c;
            pair_vector(a->coord, a->cell, a->system, a->shift, i, p, a->j[p], r);
            const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), inv = 1.0 / d;
            sin_cos(PI * (d / a->rc - 0.5), &s, &c); /* cos(pi d/rc) = -s, sin(pi d/rc) = c */
            const real fc = (real)(0.5 - 0.5 * s), dfc = (real)(-0.5 * PI / a->rc * c);
            const real ddfc = (real)(0.5 * PI * PI / (a->rc * a->rc) * s);
            real *u = a->u + 4 * p;
            for (int k = 0; k < 3; k++)
                u[k] = (real)(r[k] * inv);
            u[3] = (real)inv;
            const vreal dist = vset((real)d), eta = vset((real)a->eta);
            for (int g = 0; g < a->gp; g += VL) {
                const vreal x = dist - vload(a->shifts + g), e = vexp(-eta * x * x);
                vstore(a->gs + p * a->gp + g, e * vset(fc));
                if (a->dgs)
                    vstore(a->dgs + p * a->gp + g,
                           e * (vset(dfc) - vset(R(2.0)) * eta * x * vset(fc)));
                if (a->ddgs) {
                    const vreal y = vset(R(2.0)) * eta * x;
                    vstore(a->ddgs + p * a->gp + g, e * (vset(ddfc) - vset(R(2.0)) * y * vset(dfc) +
                                                         (y * y - vset(R(2.0)) * eta) * vset(fc)));
                }
            }
            for (int g = a->nshifts; g < a->gp; g++) {
                a->gs[p * a->gp + g] = 0;
                if (a->dgs)
                    a->dgs[p * a->gp + g] = 0;
                if (a->ddgs)
                    a->ddgs[p * a->gp + g] = 0;
            }
        }
}

void AIM_KERNEL_FN(pair_gather)(const aim_gather_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        double g[3] = {0, 0, 0};
        for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
            const real *out = a->gr + 3 * p, *in = a->gr + 3 * a->reverse[p];
            for (int d = 0; d < 3; d++)
                g[d] += (double)in[d] - (double)out[d];
        }
        for (int d = 0; d < 3; d++)
            a->grad[3 * i + d] += g[d];
    }
}

void AIM_KERNEL_FN(pair_strain)(const aim_gather_args *a, int64_t first, int64_t last)
{
    for (int64_t s = first; s < last; s++) {
        double sum[9] = {0};
        for (int64_t i = a->offset[s]; i < a->offset[s + 1]; i++)
            for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
                double r[3];
                pair_vector(a->coord, a->cell, a->system, a->shift, i, p, a->j[p], r);
                for (int x = 0; x < 9; x++)
                    sum[x] += r[x / 3] * (double)a->gr[3 * p + x % 3];
            }
        for (int x = 0; x < 9; x++)
            a->strain[9 * s + x] += sum[x];
    }
}

/* tr = tx_j - tx_i + r W; tx of the direction, w of direction and system, NULL: zero */
static inline void moved_vector(const double *tx, const double *w, int64_t i, int64_t j,
                                const double r[3], double tr[3])
{
    for (int d = 0; d < 3; d++) {
        tr[d] = tx ? tx[3 * j + d] - tx[3 * i + d] : 0.0;
        if (w)
            tr[d] += r[0] * w[d] + r[1] * w[3 + d] + r[2] * w[6 + d];
    }
}

void AIM_KERNEL_FN(pair_features_tan)(const aim_pair_tan_args *a, int64_t first, int64_t last)
{
    const int64_t n_pairs = a->row[a->n_atoms];
    for (int64_t row = first; row < last; row++) {
        const int64_t dir = row / a->n_atoms, i = row % a->n_atoms;
        const double *tx = a->tx ? a->tx + 3 * dir * a->n_atoms : NULL,
                     *w = a->w ? a->w + 9 * (dir * a->n_systems + a->system[i]) : NULL;
        real *tu = a->tu + 4 * (dir * n_pairs + a->row[i]);
        for (int64_t p = a->row[i]; p < a->row[i + 1]; p++, tu += 4) {
            double r[3], tr[3];
            pair_vector(a->coord, a->cell, a->system, a->shift, i, p, a->j[p], r);
            moved_vector(tx, w, i, a->j[p], r, tr);
            const double square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], inv = 1.0 / sqrt(square),
                         td = (r[0] * tr[0] + r[1] * tr[1] + r[2] * tr[2]) * inv;
            for (int k = 0; k < 3; k++)
                tu[k] = (real)((tr[k] - r[k] * (td * inv)) * inv);
            tu[3] = (real)td;
        }
    }
}

void AIM_KERNEL_FN(pair_gather_tan)(const aim_gather_tan_args *a, int64_t first, int64_t last)
{
    const int64_t n_pairs = a->of.row[a->n_atoms];
    for (int64_t row = first; row < last; row++) {
        const int64_t i = row % a->n_atoms;
        const real *tgr = a->tgr + 3 * (row / a->n_atoms) * n_pairs;
        double g[3] = {0, 0, 0};
        for (int64_t p = a->of.row[i]; p < a->of.row[i + 1]; p++)
            for (int d = 0; d < 3; d++)
                g[d] += (double)tgr[3 * a->of.reverse[p] + d] - (double)tgr[3 * p + d];
        for (int d = 0; d < 3; d++)
            a->tgrad[3 * row + d] += g[d];
    }
}

void AIM_KERNEL_FN(pair_strain_tan)(const aim_gather_tan_args *a, int64_t first, int64_t last)
{
    const aim_gather_args *of = &a->of;
    for (int64_t row = first; row < last; row++) {
        const int64_t dir = row / a->n_systems, s = row % a->n_systems;
        const real *tgr = a->tgr + 3 * dir * of->row[a->n_atoms];
        const double *tx = a->tx ? a->tx + 3 * dir * a->n_atoms : NULL,
                     *w = a->w ? a->w + 9 * row : NULL;
        double sum[9] = {0};
        for (int64_t i = of->offset[s]; i < of->offset[s + 1]; i++)
            for (int64_t p = of->row[i]; p < of->row[i + 1]; p++) {
                double r[3], tr[3];
                pair_vector(of->coord, of->cell, of->system, of->shift, i, p, of->j[p], r);
                moved_vector(tx, w, i, of->j[p], r, tr);
                for (int x = 0; x < 9; x++)
                    sum[x] += tr[x / 3] * (double)of->gr[3 * p + x % 3] +
                              r[x / 3] * (double)tgr[3 * p + x % 3];
            }
        for (int x = 0; x < 9; x++)
            a->tstrain[9 * row + x] += sum[x];
    }
}
