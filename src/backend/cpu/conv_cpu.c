/* SPDX-License-Identifier: MIT */
/* conv_cpu.c - the AIMNet2 convolution and its backward passes (equations: kernels.def;
 * docs/math/conv.md).
 *
 * Every kernel gathers: atom i reads its neighbours and writes only its own rows, so nothing is
 * atomic and sums run in list order. The pair features factorise, g[g][d] = gs[g] w_d with w_0 = 1
 * and w_d = u_d, which is used everywhere:
 *   forward    S[f][d] += a_j[f] * (gs w_d): the products gs w_d of a row are formed once, then RF
 *              features x 4 components stay in registers while the neighbours stream by;
 *   pass 0     a_j depends on the element alone: neighbours are summed per element first, then
 *              multiplied by the embedding, without gathering features at all;
 *   pair bwd   A_d[g] = sum_f a_j[f][g] gS[f][d][g];  dE/dgs = A_0 + sum u_d A_d,
 *              dE/du_d = sum_g gs A_d[g]; two neighbours share the loads of gS;
 *   features   ga_i[f] = sum_j gs (gS_j[f][0] - sum_d u_d gS_j[f][d]): the pair (j, i) has the same
 *              gs and the opposite u. */
#include "backend/cpu/conv_row.h"

/* Where S of atom i is formed: where it is kept, or in scratch. */
static real *environment_of(const aim_conv_args *a, int64_t i, real *scratch)
{
    return a->s ? a->s + (size_t)i * (size_t)(4 * a->nf * a->gp) : scratch;
}

/* xs, v and xv of one atom from S[f][4][gp] */
static void project(const aim_conv_args *a, int64_t i, const real *s)
{
    const int gp = a->gp, hp = a->hp;
    real *xs = a->xs + (size_t)i * a->ldx, *xv = a->xv + (size_t)i * a->ldx;
    real *v = a->v + (size_t)i * (size_t)(3 * a->nf * hp);
    for (int f = 0; f < a->nf; f++, s += 4 * gp, v += 3 * hp) {
        memcpy(xs + f * gp, s, (size_t)gp * sizeof *xs);
        project_vectors(gp, hp, a->agh + (size_t)f * (size_t)gp * (size_t)hp, s, v);
        for (int h = 0; h < a->ncomb; h++)
            xv[f * a->ncomb + h] =
                v[h] * v[h] + v[hp + h] * v[hp + h] + v[2 * hp + h] * v[2 * hp + h];
    }
}

/* S[f0 .. f0+RF)[d][g .. g+VL) over the neighbours of a row */
AIM_INLINE void accumulate_features(const aim_conv_args *a, int64_t i, int f0, int g, const real *w,
                                    real *s)
{
    const int gp = a->gp;
    vreal acc[RF][4] = {{{0}}};
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++, w += 4 * gp) {
        const real *aj = a->a + (size_t)a->j[p] * a->lda + f0 * gp + g;
        vreal x[RF];
#pragma GCC unroll 4
        for (int f = 0; f < RF; f++)
            x[f] = vload(aj + f * gp);
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            const vreal wd = vload(w + d * gp + g);
#pragma GCC unroll 4
            for (int f = 0; f < RF; f++)
                acc[f][d] += x[f] * wd;
        }
    }
    for (int f = 0; f < RF; f++)
        for (int d = 0; d < 4; d++)
            vstore(s + ((size_t)(f0 + f) * 4 + (size_t)d) * (size_t)gp + g, acc[f][d]);
}

AIM_INLINE void accumulate_feature(const aim_conv_args *a, int64_t i, int f, int g, const real *w,
                                   real *s)
{
    const int gp = a->gp;
    vreal acc[4] = {{0}};
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++, w += 4 * gp) {
        const vreal x = vload(a->a + (size_t)a->j[p] * a->lda + f * gp + g);
        for (int d = 0; d < 4; d++)
            acc[d] += x * vload(w + d * gp + g);
    }
    for (int d = 0; d < 4; d++)
        vstore(s + ((size_t)f * 4 + (size_t)d) * (size_t)gp + g, acc[d]);
}

void AIM_KERNEL_FN(conv_fwd)(const aim_conv_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        real *w = a->scratch,
             *s = environment_of(a, i, w + (a->row[i + 1] - a->row[i]) * 4 * a->gp);
        weigh_row(a, i, R(1.0), w);
        for (int g = 0; g < a->gp; g += VL) {
            int f = 0;
            for (; f + RF <= a->nf; f += RF)
                accumulate_features(a, i, f, g, w, s);
            for (; f < a->nf; f++)
                accumulate_feature(a, i, f, g, w, s);
        }
        project(a, i, s);
    }
}

void AIM_KERNEL_FN(conv_plain_fwd)(const aim_conv_args *a, int64_t first, int64_t last)
{
    const int gp = a->gp;
    for (int64_t i = first; i < last; i++) {
        real *w = a->scratch, *s = environment_of(a, i, w + (a->row[i + 1] - a->row[i]) * 4 * gp);
        weigh_row(a, i, R(1.0), w);
        for (int f = 0; f < a->nf; f++)
            for (int g = 0; g < gp; g += VL) {
                vreal acc[4] = {{0}};
                const real *wm = w;
                for (int64_t p = a->row[i]; p < a->row[i + 1]; p++, wm += 4 * gp) {
                    const vreal x = vset(a->a[(size_t)a->j[p] * a->lda + (size_t)f]);
                    for (int d = 0; d < 4; d++)
                        acc[d] += x * vload(wm + d * gp + g);
                }
                for (int d = 0; d < 4; d++)
                    vstore(s + ((size_t)f * 4 + (size_t)d) * (size_t)gp + g, acc[d]);
            }
        project(a, i, s);
    }
}

/* t[z][d][g] = sum of gs w_d over the neighbours of element z; present[z] tells which were met */
static void sum_by_species(const aim_conv_args *a, int64_t i, real *t)
{
    const int gp = a->gp;
    memset(t, 0, (size_t)(a->n_species * 4 * gp) * sizeof *t);
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
        real *tz = t + (size_t)a->species[a->j[p]] * 4 * (size_t)gp;
        for (int g = 0; g < gp; g += VL) {
            const vreal gs = vload(a->gs + p * gp + g);
            vstore(tz + g, vload(tz + g) + gs);
            for (int d = 0; d < 3; d++)
                vstore(tz + (d + 1) * gp + g,
                       vload(tz + (d + 1) * gp + g) + gs * vset(a->u[4 * p + d]));
        }
    }
}

void AIM_KERNEL_FN(conv_embed_fwd)(const aim_conv_args *a, int64_t first, int64_t last)
{
    const int gp = a->gp, row = a->nf * gp;
    unsigned char present[128];
    for (int64_t i = first; i < last; i++) {
        real *t = a->scratch, *s = environment_of(a, i, t + a->n_species * 4 * gp);
        sum_by_species(a, i, t);
        mark_species(a, i, present);
        memset(s, 0, (size_t)(4 * row) * sizeof *s);
        for (int z = 0; z < a->n_species; z++) {
            if (!present[z])
                continue;
            const real *tz = t + z * 4 * gp, *emb = a->emb + (size_t)z * (size_t)row;
            for (int f = 0; f < a->nf; f++)
                for (int g = 0; g < gp; g += VL) {
                    const vreal e = vload(emb + f * gp + g);
                    for (int d = 0; d < 4; d++) {
                        real *sd = s + (f * 4 + d) * gp + g;
                        vstore(sd, vload(sd) + e * vload(tz + d * gp + g));
                    }
                }
        }
        project(a, i, s);
    }
}

void AIM_KERNEL_FN(conv_project_bwd)(const aim_conv_args *a, int64_t first, int64_t last)
{
    const int gp = a->gp, hp = a->hp;
    for (int64_t i = first; i < last; i++) {
        const real *gxs = a->gxs + (size_t)i * a->ldgx, *gxv = a->gxv + (size_t)i * a->ldgx;
        const real *v = a->v + (size_t)i * (size_t)(3 * a->nf * hp);
        real *out = a->gs_adj + (size_t)i * (size_t)(4 * a->nf * gp);
        for (int f = 0; f < a->nf; f++, v += 3 * hp, out += 4 * gp) {
            memcpy(out, gxs + f * gp, (size_t)gp * sizeof *out);
            const real *agh_t = a->agh_t + (size_t)f * (size_t)hp * (size_t)gp;
            for (int g = 0; g < gp; g += WIDE * VL) {
                vreal acc[3][WIDE] = {{{0}}};
                for (int h = 0; h < a->ncomb; h++) {
                    const real twice = R(2.0) * gxv[f * a->ncomb + h];
#pragma GCC unroll 3
                    for (int d = 0; d < 3; d++) {
                        const vreal x = vset(twice * v[d * hp + h]);
#pragma GCC unroll 4
                        for (int k = 0; k < WIDE; k++)
                            acc[d][k] += vload(agh_t + h * gp + g + k * VL) * x;
                    }
                }
                for (int d = 0; d < 3; d++)
                    for (int k = 0; k < WIDE; k++)
                        vstore(out + (d + 1) * gp + g + k * VL, acc[d][k]);
            }
        }
    }
}

/* sums[p], from A and the sums b of pair_parts */
static void store_sums(const aim_conv_args *a, int64_t p, const real *A, const real b[4])
{
    const int gp = a->gp;
    const real *u = a->u + 4 * p;
    vreal part[4] = {{0}};
    for (int g = 0; g < gp; g += VL) {
        const vreal dgs = vload(a->dgs + p * gp + g);
        vreal through = vload(A + g);
        for (int d = 0; d < 3; d++) {
            const vreal ad = vload(A + (d + 1) * gp + g);
            part[d] += dgs * ad;
            through += vset(u[d]) * ad;
        }
        part[3] += through * vload(a->ddgs + p * gp + g);
    }
    real *sums = a->sums + AIM_PAIR_SUMS * p;
    memcpy(sums, b, 4 * sizeof *sums);
    vsum4(part, sums + 4);
}

/* gr[p] += gradient through gs and u, from A[4][gp] */
AIM_INLINE void finish_pair(const aim_conv_args *a, int64_t p, const real *A)
{
    const real *u = a->u + 4 * p;
    real b[4];
    pair_parts(a, p, A, b);
    const real radial = b[3] - (b[0] * u[0] + b[1] * u[1] + b[2] * u[2]) * u[3];
    for (int d = 0; d < 3; d++)
        a->gr[3 * p + d] += radial * u[d] + b[d] * u[3];
    if (a->sums)
        store_sums(a, p, A, b);
}

void AIM_KERNEL_FN(conv_bwd_pair)(const aim_conv_args *a, int64_t first, int64_t last)
{
    const int gp = a->gp;
    for (int64_t i = first; i < last; i++) {
        const real *s = a->gs_adj + (size_t)i * (size_t)(4 * a->nf * gp);
        real *A = a->scratch;
        int64_t p = a->row[i];
        for (; p + 1 < a->row[i + 1]; p += 2) {
            const real *x[2] = {a->a + (size_t)a->j[p] * a->lda,
                                a->a + (size_t)a->j[p + 1] * a->lda};
            for (int g = 0; g < gp; g += VL)
                contract_features(a, s, x, 2, g, A);
            finish_pair(a, p, A);
            finish_pair(a, p + 1, A + 4 * gp);
        }
        if (p < a->row[i + 1]) {
            const real *x[2] = {a->a + (size_t)a->j[p] * a->lda, NULL};
            for (int g = 0; g < gp; g += VL)
                contract_features(a, s, x, 1, g, A);
            finish_pair(a, p, A);
        }
    }
}

void AIM_KERNEL_FN(conv_plain_bwd_pair)(const aim_conv_args *a, int64_t first, int64_t last)
{
    const int gp = a->gp;
    for (int64_t i = first; i < last; i++) {
        const real *s = a->gs_adj + (size_t)i * (size_t)(4 * a->nf * gp);
        for (int64_t p = a->row[i]; p < a->row[i + 1]; p++) {
            const real *x = a->a + (size_t)a->j[p] * a->lda;
            real *A = a->scratch;
            for (int k = 0; k < 4 * gp; k += VL) {
                vreal acc = {0};
                for (int f = 0; f < a->nf; f++)
                    acc += vset(x[f]) * vload(s + f * 4 * gp + k);
                vstore(A + k, acc);
            }
            finish_pair(a, p, A);
        }
    }
}

void AIM_KERNEL_FN(conv_embed_bwd_pair)(const aim_conv_args *a, int64_t first, int64_t last)
{
    const int gp = a->gp, row = a->nf * gp;
    unsigned char present[128];
    for (int64_t i = first; i < last; i++) {
        const real *s = a->gs_adj + (size_t)i * (size_t)(4 * row);
        mark_species(a, i, present);
        for (int z = 0; z < a->n_species; z++) {
            if (!present[z])
                continue;
            const real *x[2] = {a->emb + (size_t)z * (size_t)row, NULL};
            for (int g = 0; g < gp; g += VL)
                contract_features(a, s, x, 1, g, a->scratch + z * 4 * gp);
        }
        for (int64_t p = a->row[i]; p < a->row[i + 1]; p++)
            finish_pair(a, p, a->scratch + a->species[a->j[p]] * 4 * gp);
    }
}

enum { FEATURE_BLOCK = 8 };

/* ga[f0 .. f0+n)[g .. g+VL) of atom i; w holds gs and -gs u_d */
AIM_INLINE void gather_features(const aim_conv_args *a, int64_t i, int f0, int n, int g,
                                const real *w, real *ga)
{
    const int gp = a->gp;
    const size_t stride = (size_t)(4 * a->nf * gp);
    vreal acc[FEATURE_BLOCK];
    for (int f = 0; f < n; f++)
        acc[f] = vload(ga + (f0 + f) * gp + g);
    for (int64_t p = a->row[i]; p < a->row[i + 1]; p++, w += 4 * gp) {
        const real *s = a->gs_adj + (size_t)a->j[p] * stride + f0 * 4 * gp + g;
        const vreal w0 = vload(w + g), w1 = vload(w + gp + g), w2 = vload(w + 2 * gp + g),
                    w3 = vload(w + 3 * gp + g);
#pragma GCC unroll 8
        for (int f = 0; f < n; f++, s += 4 * gp) {
            acc[f] += w0 * vload(s);
            acc[f] += w1 * vload(s + gp);
            acc[f] += w2 * vload(s + 2 * gp);
            acc[f] += w3 * vload(s + 3 * gp);
        }
    }
    for (int f = 0; f < n; f++)
        vstore(ga + (f0 + f) * gp + g, acc[f]);
}

void AIM_KERNEL_FN(conv_bwd_feature)(const aim_conv_args *a, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++) {
        real *w = a->scratch, *ga = a->ga + (size_t)i * a->ldga;
        weigh_row(a, i, R(-1.0), w);
        for (int g = 0; g < a->gp; g += VL) {
            int f = 0;
            for (; f + FEATURE_BLOCK <= a->nf; f += FEATURE_BLOCK)
                gather_features(a, i, f, FEATURE_BLOCK, g, w, ga);
            for (; f < a->nf; f++)
                gather_features(a, i, f, 1, g, w, ga);
        }
    }
}

void AIM_KERNEL_FN(conv_plain_bwd_feature)(const aim_conv_args *a, int64_t first, int64_t last)
{
    const int gp = a->gp;
    for (int64_t i = first; i < last; i++) {
        real *w = a->scratch;
        weigh_row(a, i, R(-1.0), w);
        for (int f = 0; f < a->nf; f++) {
            vreal acc = {0};
            const real *wm = w;
            for (int64_t p = a->row[i]; p < a->row[i + 1]; p++, wm += 4 * gp) {
                const real *s =
                    a->gs_adj + ((size_t)a->j[p] * (size_t)a->nf + (size_t)f) * (size_t)(4 * gp);
                for (int k = 0; k < 4 * gp; k += VL)
                    acc += vload(wm + k) * vload(s + k);
            }
            a->ga[(size_t)i * a->ldga + (size_t)f] += vsum(acc);
        }
    }
}
