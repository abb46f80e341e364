/* SPDX-License-Identifier: MIT */
/* conv_ref.c - the AIMNet2 convolution and its adjoints (equations: kernels.def; derivation:
 * docs/math/conv.md).
 *
 * Three kinds of neighbour features share every formula: the embedding of the neighbour's element,
 * features per channel and shift, and plain features per channel. The pair's factor is gs[g] w_d
 * with w_0 = 1 and w_1..3 = u. */
#include "backend/ref/ref.h"

typedef enum feature_kind { EMBED, FULL, PLAIN } feature_kind;

static double feature(const aim_conv_args *a, feature_kind kind, int64_t p, int f, int g)
{
    const size_t j = (size_t)a->j[p], column = (size_t)(kind == PLAIN ? f : f * a->gp + g);
    if (kind == EMBED)
        return (double)a->emb[(size_t)a->species[j] * (size_t)(a->nf * a->gp) + column];
    return (double)a->a[j * a->lda + column];
}

static double factor(const aim_conv_args *a, int64_t p, int d)
{
    return d == 0 ? 1.0 : (double)a->u[4 * p + d - 1];
}

/* Where component d of channel f, shift 0 stands in gs_adj of atom i. */
static size_t adjoint_at(const aim_conv_args *a, int64_t i, int f, int d)
{
    return (((size_t)i * (size_t)a->nf + (size_t)f) * 4 + (size_t)d) * (size_t)a->gp;
}

/* S[f][d][g] of atom i */
static double environment(const aim_conv_args *a, feature_kind kind, int64_t i, int f, int d, int g)
{
    double sum = 0;
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++)
        sum += feature(a, kind, p, f, g) * (double)a->gs[p * a->gp + g] * factor(a, p, d);
    return sum;
}

/* v[f][d][h] and xv[f][h] of atom i; s = S[f][1..3][gp] */
static void project(const aim_conv_args *a, int64_t i, int f, const real *s)
{
    const size_t hp = (size_t)a->hp, gp = (size_t)a->gp;
    real *v = a->v + ((size_t)i * (size_t)a->nf + (size_t)f) * 3 * hp;
    for (size_t h = 0; h < hp; h++) {
        double square = 0;
        for (size_t d = 0; d < 3; d++) {
            double sum = 0;
            for (size_t g = 0; g < gp; g++)
                sum += (double)a->agh[((size_t)f * gp + g) * hp + h] * (double)s[d * gp + g];
            v[d * hp + h] = (real)sum;
            square += (double)v[d * hp + h] * (double)v[d * hp + h];
        }
        if (h < (size_t)a->ncomb)
            a->xv[(size_t)i * a->ldx + (size_t)(f * a->ncomb) + h] = (real)square;
    }
}

static void convolve(const aim_conv_args *a, feature_kind kind, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        for (int f = 0; f < a->nf; f++) {
            for (int g = 0; g < a->gp; g++) {
                a->xs[(size_t)i * a->ldx + (size_t)(f * a->gp + g)] =
                    (real)environment(a, kind, i, f, 0, g);
                for (int d = 1; d < 4; d++)
                    a->scratch[(d - 1) * a->gp + g] = (real)environment(a, kind, i, f, d, g);
                for (int d = 0; a->s && d < 4; d++)
                    a->s[adjoint_at(a, i, f, d) + (size_t)g] =
                        d == 0 ? a->xs[(size_t)i * a->ldx + (size_t)(f * a->gp + g)]
                               : a->scratch[(d - 1) * a->gp + g];
            }
            project(a, i, f, a->scratch);
        }
}

void AIM_REF_FN(conv_embed_fwd)(const aim_conv_args *a, int64_t first, int64_t last)
{
    convolve(a, EMBED, first, last);
}
void AIM_REF_FN(conv_fwd)(const aim_conv_args *a, int64_t first, int64_t last)
{
    convolve(a, FULL, first, last);
}
void AIM_REF_FN(conv_plain_fwd)(const aim_conv_args *a, int64_t first, int64_t last)
{
    convolve(a, PLAIN, first, last);
}

void AIM_REF_FN(conv_project_bwd)(const aim_conv_args *a, int64_t first, int64_t last)
{
    const size_t hp = (size_t)a->hp, gp = (size_t)a->gp;
    for (int64_t i = first; i < last; i++)
        for (int f = 0; f < a->nf; f++) {
            const real *v = a->v + ((size_t)i * (size_t)a->nf + (size_t)f) * 3 * hp;
            const real *gxv = a->gxv + (size_t)i * a->ldgx + (size_t)(f * a->ncomb);
            for (size_t g = 0; g < gp; g++) {
                a->gs_adj[adjoint_at(a, i, f, 0) + g] =
                    a->gxs[(size_t)i * a->ldgx + (size_t)f * gp + g];
                for (int d = 1; d < 4; d++) {
                    double sum = 0;
                    for (size_t h = 0; h < (size_t)a->ncomb; h++)
                        sum += (double)a->agh[((size_t)f * gp + g) * hp + h] * 2.0 *
                               (double)v[(size_t)(d - 1) * hp + h] * (double)gxv[h];
                    a->gs_adj[adjoint_at(a, i, f, d) + g] = (real)sum;
                }
            }
        }
}

/* gr of pair p of atom i. The features depend on r = d u only through gs(d) and u:
 *     dE/dr = u dE/dd + (1 - u u^T)/d dE/du,   dE/dd = sum_g dgs (A_0 + u.A),   dE/du_d = sum_g gs
 *     A_d,   A_d = sum_f a_j gS_d */
static void pair_gradient(const aim_conv_args *a, feature_kind kind, int64_t i, int64_t p)
{
    double gd = 0, gu[3] = {0}, second[4] = {0};
    for (int g = 0; g < a->gp; g++)
        for (int d = 0; d < 4; d++) {
            double sum = 0;
            for (int f = 0; f < a->nf; f++)
                sum += feature(a, kind, p, f, g) *
                       (double)a->gs_adj[adjoint_at(a, i, f, d) + (size_t)g];
            gd += (double)a->dgs[p * a->gp + g] * factor(a, p, d) * sum;
            if (d > 0)
                gu[d - 1] += (double)a->gs[p * a->gp + g] * sum;
            if (a->sums && d > 0)
                second[d - 1] += (double)a->dgs[p * a->gp + g] * sum;
            if (a->sums)
                second[3] += (double)a->ddgs[p * a->gp + g] * factor(a, p, d) * sum;
        }
    for (int d = 0; a->sums && d < 4; d++) {
        a->sums[AIM_PAIR_SUMS * p + d] = (real)(d < 3 ? gu[d] : gd);
        a->sums[AIM_PAIR_SUMS * p + 4 + d] = (real)second[d];
    }
    const real *u = a->u + 4 * p;
    const double along = gu[0] * (double)u[0] + gu[1] * (double)u[1] + gu[2] * (double)u[2],
                 inv = (double)u[3];
    for (int d = 0; d < 3; d++)
        a->gr[3 * p + d] += (real)(gd * (double)u[d] + (gu[d] - along * (double)u[d]) * inv);
}

static void back_to_pairs(const aim_conv_args *a, feature_kind kind, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        for (int64_t p = a->row[i]; p < a->row[i + 1]; p++)
            pair_gradient(a, kind, i, p);
}

void AIM_REF_FN(conv_embed_bwd_pair)(const aim_conv_args *a, int64_t first, int64_t last)
{
    back_to_pairs(a, EMBED, first, last);
}
void AIM_REF_FN(conv_bwd_pair)(const aim_conv_args *a, int64_t first, int64_t last)
{
    back_to_pairs(a, FULL, first, last);
}
void AIM_REF_FN(conv_plain_bwd_pair)(const aim_conv_args *a, int64_t first, int64_t last)
{
    back_to_pairs(a, PLAIN, first, last);
}

/* Atom i is a neighbour of its neighbours j: the opposite pair has the same gs and the opposite u.
 * */
static double feature_gradient(const aim_conv_args *a, int64_t i, int f, int g)
{
    double sum = 0;
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++)
        for (int d = 0; d < 4; d++)
            sum += (double)a->gs[p * a->gp + g] * (d == 0 ? 1.0 : -factor(a, p, d)) *
                   (double)a->gs_adj[adjoint_at(a, a->j[p], f, d) + (size_t)g];
    return sum;
}

void AIM_REF_FN(conv_bwd_feature)(const aim_conv_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        for (int f = 0; f < a->nf; f++)
            for (int g = 0; g < a->gp; g++)
                a->ga[(size_t)i * a->ldga + (size_t)(f * a->gp + g)] +=
                    (real)feature_gradient(a, i, f, g);
}

void AIM_REF_FN(conv_plain_bwd_feature)(const aim_conv_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        for (int f = 0; f < a->nf; f++) {
            double sum = 0;
            for (int g = 0; g < a->gp; g++)
                sum += feature_gradient(a, i, f, g);
            a->ga[(size_t)i * a->ldga + (size_t)f] += (real)sum;
        }
}
