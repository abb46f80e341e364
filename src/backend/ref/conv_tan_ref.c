/* SPDX-License-Identifier: MIT */
/* conv_tan_ref.c - tangents of the convolution and of its adjoints (equations: kernels.def;
 * derivation: docs/math/tangents.md).
 *
 * Row r = dir n + i. A pair moves by tu = (t ux, t uy, t uz, td), so that its factor g_d = gs w_d
 * has the tangent
 *
 *     t g_0 = dgs td,      t g_d = dgs td u_d + gs t u_d. */
#include "backend/ref/ref.h"

typedef enum feature_kind { EMBED, FULL, PLAIN } feature_kind;

typedef struct place {
    int64_t base, i; /* first row of the direction; the atom */
    const real *tu;  /* of the direction */
} place;

static place place_of(const aim_conv_tan_args *a, int64_t row)
{
    const int64_t dir = row / a->n_atoms;
    return (place){dir * a->n_atoms, row % a->n_atoms,
                   a->tu ? a->tu + 4 * dir * a->of.row[a->n_atoms] : NULL};
}

static size_t column(const aim_conv_tan_args *a, feature_kind kind, int f, int g)
{
    return (size_t)(kind == PLAIN ? f : f * a->of.gp + g);
}

static double feature(const aim_conv_tan_args *a, feature_kind kind, int64_t p, int f, int g)
{
    const size_t j = (size_t)a->of.j[p], c = column(a, kind, f, g);
    if (kind == EMBED)
        return (double)a->of.emb[(size_t)a->of.species[j] * (size_t)(a->of.nf * a->of.gp) + c];
    return (double)a->of.a[j * a->of.lda + c];
}

static double feature_tan(const aim_conv_tan_args *a, feature_kind kind, place w, int64_t p, int f,
                          int g)
{
    if (kind == EMBED)
        return 0.0;
    return (double)a->ta[(size_t)(w.base + a->of.j[p]) * a->ldta + column(a, kind, f, g)];
}

/* g_d; sign -1: of the reversed pair */
static double weight(const aim_conv_tan_args *a, int64_t p, int d, int g, double sign)
{
    return (double)a->of.gs[p * a->of.gp + g] *
           (d == 0 ? 1.0 : sign * (double)a->of.u[4 * p + d - 1]);
}

static double weight_tan(const aim_conv_tan_args *a, place w, int64_t p, int d, int g, double sign)
{
    const double radial = (double)a->of.dgs[p * a->of.gp + g] * (double)w.tu[4 * p + 3];
    if (d == 0)
        return radial;
    return sign * (radial * (double)a->of.u[4 * p + d - 1] +
                   (double)a->of.gs[p * a->of.gp + g] * (double)w.tu[4 * p + d - 1]);
}

/* where component d of channel f, shift 0 stands in [rows][F][4][gp] */
static size_t at(const aim_conv_tan_args *a, int64_t row, int f, int d)
{
    return (((size_t)row * (size_t)a->of.nf + (size_t)f) * 4 + (size_t)d) * (size_t)a->of.gp;
}

static double environment(const aim_conv_tan_args *a, feature_kind kind, place w, int f, int d,
                          int g)
{
    double sum = 0;
    for (int64_t p = a->of.row[w.i]; p < a->of.row[w.i + 1]; p++)
        sum += feature_tan(a, kind, w, p, f, g) * weight(a, p, d, g, 1.0) +
               feature(a, kind, p, f, g) * weight_tan(a, w, p, d, g, 1.0);
    return sum;
}

static void project(const aim_conv_tan_args *a, int64_t row, int f, const real *ts)
{
    const size_t hp = (size_t)a->of.hp, gp = (size_t)a->of.gp, nf = (size_t)a->of.nf;
    const real *v = a->of.v + ((size_t)(row % a->n_atoms) * nf + (size_t)f) * 3 * hp;
    real *tv = a->tv + ((size_t)row * nf + (size_t)f) * 3 * hp;
    for (size_t h = 0; h < hp; h++) {
        double twice = 0;
        for (size_t d = 0; d < 3; d++) {
            double sum = 0;
            for (size_t g = 0; g < gp; g++)
                sum += (double)a->of.agh[((size_t)f * gp + g) * hp + h] * (double)ts[d * gp + g];
            tv[d * hp + h] = (real)sum;
            twice += 2.0 * (double)v[d * hp + h] * (double)tv[d * hp + h];
        }
        if (h < (size_t)a->of.ncomb)
            a->txv[(size_t)row * a->ldtx + (size_t)(f * a->of.ncomb) + h] = (real)twice;
    }
}

static void convolve(const aim_conv_tan_args *a, feature_kind kind, int64_t first, int64_t last)
{
    const int gp = a->of.gp;
    for (int64_t row = first; row < last; row++) {
        const place w = place_of(a, row);
        for (int f = 0; f < a->of.nf; f++) {
            for (int g = 0; g < gp; g++)
                for (int d = 0; d < 4; d++) {
                    const real s = (real)environment(a, kind, w, f, d, g);
                    if (d == 0)
                        a->txs[(size_t)row * a->ldtx + (size_t)(f * gp + g)] = s;
                    else
                        a->of.scratch[(d - 1) * gp + g] = s;
                    if (a->ts)
                        a->ts[at(a, row, f, d) + (size_t)g] = s;
                }
            project(a, row, f, a->of.scratch);
        }
    }
}

void AIM_REF_FN(conv_embed_fwd_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    convolve(a, EMBED, first, last);
}
void AIM_REF_FN(conv_fwd_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    convolve(a, FULL, first, last);
}
void AIM_REF_FN(conv_plain_fwd_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    convolve(a, PLAIN, first, last);
}

void AIM_REF_FN(conv_project_bwd_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    const size_t hp = (size_t)of->hp, gp = (size_t)of->gp, nf = (size_t)of->nf;
    for (int64_t row = first; row < last; row++)
        for (int f = 0; f < of->nf; f++) {
            const size_t i = (size_t)(row % a->n_atoms);
            const real *v = of->v + (i * nf + (size_t)f) * 3 * hp,
                       *tv = a->tv + ((size_t)row * nf + (size_t)f) * 3 * hp,
                       *gxv = of->gxv + i * of->ldgx + (size_t)(f * of->ncomb),
                       *tgxv = a->tgxv + (size_t)row * a->ldtgx + (size_t)(f * of->ncomb);
            for (size_t g = 0; g < gp; g++) {
                a->tgs_adj[at(a, row, f, 0) + g] =
                    a->tgxs[(size_t)row * a->ldtgx + (size_t)f * gp + g];
                for (int d = 0; d < 3; d++) {
                    double sum = 0;
                    for (size_t h = 0; h < (size_t)of->ncomb; h++)
                        sum += (double)of->agh[((size_t)f * gp + g) * hp + h] * 2.0 *
                               ((double)tv[(size_t)d * hp + h] * (double)gxv[h] +
                                (double)v[(size_t)d * hp + h] * (double)tgxv[h]);
                    a->tgs_adj[at(a, row, f, d + 1) + g] = (real)sum;
                }
            }
        }
}

/* With b_d = sum gs A_d and c = sum dgs (A_0 + u.A) of the pair (its stored sums), gr = u (c -
 * b.u/d) + b/d; the tangents of b and c have a part from tA and one from the pair's motion. */
static void pair_tangent(const aim_conv_tan_args *a, feature_kind kind, int64_t row, place w,
                         int64_t p)
{
    const aim_conv_args *of = &a->of;
    double tc = 0, tb[3] = {0};
    for (int g = 0; g < of->gp; g++)
        for (int d = 0; d < 4; d++) {
            double sum = 0;
            for (int f = 0; f < of->nf; f++)
                sum += feature_tan(a, kind, w, p, f, g) *
                           (double)of->gs_adj[at(a, w.i, f, d) + (size_t)g] +
                       feature(a, kind, p, f, g) * (double)a->tgs_adj[at(a, row, f, d) + (size_t)g];
            tc += (double)of->dgs[p * of->gp + g] * (d == 0 ? 1.0 : (double)of->u[4 * p + d - 1]) *
                  sum;
            if (d > 0)
                tb[d - 1] += (double)of->gs[p * of->gp + g] * sum;
        }
    const real *u = of->u + 4 * p, *tu = w.tu + 4 * p, *s = of->sums + AIM_PAIR_SUMS * p;
    const double inv = (double)u[3], td = (double)tu[3];
    double bu = 0, tbu = 0;
    tc += (double)s[7] * td;
    for (int d = 0; d < 3; d++) {
        tb[d] += (double)s[4 + d] * td;
        tc += (double)s[4 + d] * (double)tu[d];
        bu += (double)s[d] * (double)u[d];
        tbu += tb[d] * (double)u[d] + (double)s[d] * (double)tu[d];
    }
    const double radial = (double)s[3] - bu * inv, tradial = tc - tbu * inv + bu * td * inv * inv;
    real *tgr = a->tgr + 3 * (w.base / a->n_atoms * of->row[a->n_atoms] + p);
    for (int d = 0; d < 3; d++)
        tgr[d] += (real)((double)tu[d] * radial + (double)u[d] * tradial + tb[d] * inv -
                         (double)s[d] * td * inv * inv);
}

static void back_to_pairs(const aim_conv_tan_args *a, feature_kind kind, int64_t first,
                          int64_t last)
{
    for (int64_t row = first; row < last; row++) {
        const place w = place_of(a, row);
        for (int64_t p = a->of.row[w.i]; p < a->of.row[w.i + 1]; p++)
            pair_tangent(a, kind, row, w, p);
    }
}

void AIM_REF_FN(conv_embed_bwd_pair_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    back_to_pairs(a, EMBED, first, last);
}
void AIM_REF_FN(conv_bwd_pair_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    back_to_pairs(a, FULL, first, last);
}
void AIM_REF_FN(conv_plain_bwd_pair_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    back_to_pairs(a, PLAIN, first, last);
}

static double feature_gradient(const aim_conv_tan_args *a, place w, int f, int g)
{
    double sum = 0;
    for (int64_t p = a->of.row[w.i]; p < a->of.row[w.i + 1]; p++)
        for (int d = 0; d < 4; d++)
            sum += weight(a, p, d, g, -1.0) *
                       (double)a->tgs_adj[at(a, w.base + a->of.j[p], f, d) + (size_t)g] +
                   weight_tan(a, w, p, d, g, -1.0) *
                       (double)a->of.gs_adj[at(a, a->of.j[p], f, d) + (size_t)g];
    return sum;
}

void AIM_REF_FN(conv_bwd_feature_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    for (int64_t row = first; row < last; row++)
        for (int f = 0; f < a->of.nf; f++)
            for (int g = 0; g < a->of.gp; g++)
                a->tga[(size_t)row * a->ldtga + (size_t)(f * a->of.gp + g)] +=
                    (real)feature_gradient(a, place_of(a, row), f, g);
}

void AIM_REF_FN(conv_plain_bwd_feature_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    for (int64_t row = first; row < last; row++)
        for (int f = 0; f < a->of.nf; f++) {
            double sum = 0;
            for (int g = 0; g < a->of.gp; g++)
                sum += feature_gradient(a, place_of(a, row), f, g);
            a->tga[(size_t)row * a->ldtga + (size_t)f] += (real)sum;
        }
}

void AIM_REF_FN(conv_agh_tan)(const aim_agh_tan_args *a, int64_t first, int64_t last)
{
    const size_t hp = (size_t)a->hp, gp = (size_t)a->gp, nf = (size_t)a->nf, nc = (size_t)a->ncomb;
    for (size_t f = (size_t)first; f < (size_t)last; f++)
        for (size_t g = 0; g < gp; g++)
            for (size_t h = 0; h < nc; h++) {
                double sum = 0;
                for (size_t i = 0; i < (size_t)a->n; i++)
                    for (size_t d = 0; d < 3; d++) {
                        const size_t v = ((i * nf + f) * 3 + d) * hp + h,
                                     s = ((i * nf + f) * 4 + d + 1) * gp + g,
                                     x = (i * nf + f) * nc + h;
                        sum += 2.0 *
                                   ((double)a->tv[v] * (double)a->gxv[x] +
                                    (double)a->v[v] * (double)a->tgxv[x]) *
                                   (double)a->s[s] +
                               2.0 * (double)a->v[v] * (double)a->gxv[x] * (double)a->ts[s];
                    }
                a->gagh[(f * gp + g) * hp + h] += sum;
            }
}
