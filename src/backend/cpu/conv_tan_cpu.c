/* SPDX-License-Identifier: MIT */
/* conv_tan_cpu.c - tangents of the convolution and of its adjoints (equations: kernels.def;
 * docs/math/tangents.md).
 *
 * A row is one atom in one direction. Rows of a direction stand together, so that the features and
 * adjoints of the neighbours, which every row gathers, are those of one direction and stay in the
 * cache. Each tangent is the primal kernel on tangent features plus a part for pairs that move;
 * pairs that stand still are skipped, which for the rows of a dense Hessian (one atom moves) are
 * nearly all. What a pair contributes through its own motion to the adjoint needs only the eight
 * sums that the primal pass stored. */
#include "backend/cpu/conv_row.h"

typedef struct place {
    int64_t base, i;    /* first row of the direction; the atom */
    int64_t begin, end; /* its pairs */
    const real *tu;     /* of the direction */
} place;

static place place_of(const aim_conv_tan_args *a, int64_t row)
{
    const int64_t dir = row / a->n_atoms, i = row % a->n_atoms;
    return (place){dir * a->n_atoms, i, a->of.row[i], a->of.row[i + 1],
                   a->tu + 4 * dir * a->of.row[a->n_atoms]};
}

AIM_INLINE int moves(const real *tu)
{
    return (tu[0] != 0) | (tu[1] != 0) | (tu[2] != 0) | (tu[3] != 0);
}

/* tw[d][g] of pair p, sign -1 for the reversed pair */
AIM_INLINE void weigh_moved(const aim_conv_args *of, int64_t p, const real *tu, real sign, real *tw)
{
    const int gp = of->gp;
    for (int g = 0; g < gp; g += VL) {
        const vreal gs = vload(of->gs + p * gp + g),
                    radial = vload(of->dgs + p * gp + g) * vset(tu[3]);
        vstore(tw + g, radial);
        for (int d = 0; d < 3; d++)
            vstore(tw + (d + 1) * gp + g,
                   radial * vset(sign * of->u[4 * p + d]) + gs * vset(sign * tu[d]));
    }
}

/* tw of the pairs that move, one after the other; returns where they end */
static real *weigh_moved_row(const aim_conv_args *of, place w, real sign, real *tw)
{
    for (int64_t p = w.begin; p < w.end; p++)
        if (moves(w.tu + 4 * p)) {
            weigh_moved(of, p, w.tu + 4 * p, sign, tw);
            tw += 4 * of->gp;
        }
    return tw;
}

/* txs, tv and txv of one row from tS[f][4][gp] */
static void project(const aim_conv_tan_args *a, int64_t row, int64_t i, const real *s)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp, hp = of->hp;
    real *xs = a->txs + (size_t)row * a->ldtx, *xv = a->txv + (size_t)row * a->ldtx;
    const real *v = of->v + (size_t)i * (size_t)(3 * of->nf * hp);
    real *tv = a->tv + (size_t)row * (size_t)(3 * of->nf * hp);
    for (int f = 0; f < of->nf; f++, s += 4 * gp, v += 3 * hp, tv += 3 * hp) {
        memcpy(xs + f * gp, s, (size_t)gp * sizeof *xs);
        project_vectors(gp, hp, of->agh + (size_t)f * (size_t)gp * (size_t)hp, s, tv);
        for (int h = 0; h < of->ncomb; h++)
            xv[f * of->ncomb + h] =
                R(2.0) * (v[h] * tv[h] + v[hp + h] * tv[hp + h] + v[2 * hp + h] * tv[2 * hp + h]);
    }
}

/* acc[0 .. n)[4] += features at row j of `x` times the weights w; moved_only: w has those pairs */
AIM_INLINE void gather_rows(const aim_conv_args *of, place at, const real *x, size_t ld, int f0,
                            int n, int g, const real *w, int moved_only, vreal acc[RF][4])
{
    const int gp = of->gp;
    for (int64_t p = at.begin; p < at.end; p++) {
        if (moved_only && !moves(at.tu + 4 * p))
            continue;
        const real *xj = x + (size_t)of->j[p] * ld + f0 * gp + g;
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            const vreal wd = vload(w + d * gp + g);
#pragma GCC unroll 4
            for (int f = 0; f < n; f++)
                acc[f][d] += vload(xj + f * gp) * wd;
        }
        w += 4 * gp;
    }
}

AIM_INLINE void environment(const aim_conv_tan_args *a, place at, int f0, int n, const real *w,
                            const real *tw, int moved, real *s)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp;
    for (int g = 0; g < gp; g += VL) {
        vreal acc[RF][4] = {{{0}}};
        gather_rows(of, at, a->ta + (size_t)at.base * a->ldta, a->ldta, f0, n, g, w, 0, acc);
        if (moved)
            gather_rows(of, at, of->a, of->lda, f0, n, g, tw, 1, acc);
        for (int f = 0; f < n; f++)
            for (int d = 0; d < 4; d++)
                vstore(s + ((size_t)(f0 + f) * 4 + (size_t)d) * (size_t)gp + g, acc[f][d]);
    }
}

/* Where tS of a row is formed: where it is kept, or in scratch. */
static real *environment_of(const aim_conv_tan_args *a, int64_t row, real *scratch)
{
    return a->ts ? a->ts + (size_t)row * (size_t)(4 * a->of.nf * a->of.gp) : scratch;
}

void AIM_KERNEL_FN(conv_fwd_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    for (int64_t row = first; row < last; row++) {
        const place at = place_of(a, row);
        real *w = of->scratch, *tw = w + (at.end - at.begin) * 4 * of->gp;
        weigh_row(of, at.i, R(1.0), w);
        real *end = weigh_moved_row(of, at, R(1.0), tw), *s = environment_of(a, row, end);
        int f = 0;
        for (; f + RF <= of->nf; f += RF)
            environment(a, at, f, RF, w, tw, end > tw, s);
        for (; f < of->nf; f++)
            environment(a, at, f, 1, w, tw, end > tw, s);
        project(a, row, at.i, s);
    }
}

void AIM_KERNEL_FN(conv_plain_fwd_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp;
    for (int64_t row = first; row < last; row++) {
        const place at = place_of(a, row);
        real *w = of->scratch, *tw = w + (at.end - at.begin) * 4 * gp;
        weigh_row(of, at.i, R(1.0), w);
        real *end = weigh_moved_row(of, at, R(1.0), tw), *s = environment_of(a, row, end);
        for (int f = 0; f < of->nf; f++)
            for (int g = 0; g < gp; g += VL) {
                vreal acc[4] = {{0}};
                const real *wm = w, *twm = tw;
                for (int64_t p = at.begin; p < at.end; p++, wm += 4 * gp) {
                    const vreal x = vset(a->ta[(size_t)(at.base + of->j[p]) * a->ldta + (size_t)f]);
                    for (int d = 0; d < 4; d++)
                        acc[d] += x * vload(wm + d * gp + g);
                }
                for (int64_t p = at.begin; end > tw && p < at.end; p++) {
                    if (!moves(at.tu + 4 * p))
                        continue;
                    const vreal x = vset(of->a[(size_t)of->j[p] * of->lda + (size_t)f]);
                    for (int d = 0; d < 4; d++)
                        acc[d] += x * vload(twm + d * gp + g);
                    twm += 4 * gp;
                }
                for (int d = 0; d < 4; d++)
                    vstore(s + ((size_t)f * 4 + (size_t)d) * (size_t)gp + g, acc[d]);
            }
        project(a, row, at.i, s);
    }
}

/* t[z] += tangents of the factors of moving neighbours of element z; marks the elements */
static void sum_moved_by_species(const aim_conv_args *of, place at, real *t, real *tw,
                                 unsigned char *present)
{
    const int gp = of->gp;
    memset(t, 0, (size_t)(of->n_species * 4 * gp) * sizeof *t);
    memset(present, 0, (size_t)of->n_species);
    for (int64_t p = at.begin; p < at.end; p++) {
        if (!moves(at.tu + 4 * p))
            continue;
        const int32_t z = of->species[of->j[p]];
        real *tz = t + (size_t)z * 4 * (size_t)gp;
        present[z] = 1;
        weigh_moved(of, p, at.tu + 4 * p, R(1.0), tw);
        for (int k = 0; k < 4 * gp; k += VL)
            vstore(tz + k, vload(tz + k) + vload(tw + k));
    }
}

void AIM_KERNEL_FN(conv_embed_fwd_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp, row_size = of->nf * gp;
    unsigned char present[128];
    for (int64_t row = first; row < last; row++) {
        const place at = place_of(a, row);
        real *t = of->scratch, *tw = t + of->n_species * 4 * gp,
             *s = environment_of(a, row, tw + 4 * gp);
        sum_moved_by_species(of, at, t, tw, present);
        memset(s, 0, (size_t)(4 * row_size) * sizeof *s);
        for (int z = 0; z < of->n_species; z++) {
            if (!present[z])
                continue;
            const real *tz = t + z * 4 * gp, *emb = of->emb + (size_t)z * (size_t)row_size;
            for (int f = 0; f < of->nf; f++)
                for (int g = 0; g < gp; g += VL) {
                    const vreal e = vload(emb + f * gp + g);
                    for (int d = 0; d < 4; d++) {
                        real *sd = s + (f * 4 + d) * gp + g;
                        vstore(sd, vload(sd) + e * vload(tz + d * gp + g));
                    }
                }
        }
        project(a, row, at.i, s);
    }
}

void AIM_KERNEL_FN(conv_project_bwd_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp, hp = of->hp;
    for (int64_t row = first; row < last; row++) {
        const size_t i = (size_t)(row % a->n_atoms), vectors = (size_t)(3 * of->nf * hp);
        const real *gxv = of->gxv + i * of->ldgx, *tgxs = a->tgxs + (size_t)row * a->ldtgx,
                   *tgxv = a->tgxv + (size_t)row * a->ldtgx;
        const real *v = of->v + i * vectors, *tv = a->tv + (size_t)row * vectors;
        real *out = a->tgs_adj + (size_t)row * (size_t)(4 * of->nf * gp);
        for (int f = 0; f < of->nf; f++, v += 3 * hp, tv += 3 * hp, out += 4 * gp) {
            memcpy(out, tgxs + f * gp, (size_t)gp * sizeof *out);
            const real *agh_t = of->agh_t + (size_t)f * (size_t)hp * (size_t)gp;
            for (int g = 0; g < gp; g += WIDE * VL) {
                vreal acc[3][WIDE] = {{{0}}};
                for (int h = 0; h < of->ncomb; h++) {
                    const real gx = R(2.0) * gxv[f * of->ncomb + h],
                               tgx = R(2.0) * tgxv[f * of->ncomb + h];
#pragma GCC unroll 3
                    for (int d = 0; d < 3; d++) {
                        const vreal x = vset(gx * tv[d * hp + h] + tgx * v[d * hp + h]);
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

/* tgr += the pair's tangent from tA[4][gp], its motion and the stored sums: with b_d = sum gs A_d
 * and c = sum dgs (A_0 + u.A),  gr = u (c - b.u/d) + b/d. */
AIM_INLINE void finish_pair(const aim_conv_args *of, int64_t p, const real *tA, const real *tu,
                            real *tgr)
{
    const real *u = of->u + 4 * p, *s = of->sums + AIM_PAIR_SUMS * p;
    const real inv = u[3], td = tu[3];
    real t[4], bu = 0, tbu = 0;
    pair_parts(of, p, tA, t);
    t[3] += s[7] * td;
    for (int d = 0; d < 3; d++) {
        t[d] += s[4 + d] * td;
        t[3] += s[4 + d] * tu[d];
        bu += s[d] * u[d];
        tbu += t[d] * u[d] + s[d] * tu[d];
    }
    const real radial = s[3] - bu * inv, tradial = t[3] - (tbu - bu * td * inv) * inv;
    for (int d = 0; d < 3; d++)
        tgr[d] += tu[d] * radial + u[d] * tradial + (t[d] - s[d] * td * inv) * inv;
}

/* tA[k][4][g..g+VL) of n (1 or 2) neighbours: sum_f ta_j gS + a_j tgS */
AIM_INLINE void contract_tangents(const aim_conv_args *of, const real *s, const real *ts,
                                  const real *const x[2], const real *const tx[2], int n, int g,
                                  real *A)
{
    const int gp = of->gp;
    vreal acc[2][4] = {{{0}}};
    for (int f = 0; f < of->nf; f++) {
        vreal xf[2], tf[2];
        for (int k = 0; k < n; k++) {
            xf[k] = vload(x[k] + f * gp + g);
            tf[k] = vload(tx[k] + f * gp + g);
        }
#pragma GCC unroll 4
        for (int d = 0; d < 4; d++) {
            const vreal sd = vload(s + (f * 4 + d) * gp + g), td = vload(ts + (f * 4 + d) * gp + g);
            for (int k = 0; k < n; k++) {
                acc[k][d] += tf[k] * sd;
                acc[k][d] += xf[k] * td;
            }
        }
    }
    for (int k = 0; k < n; k++)
        for (int d = 0; d < 4; d++)
            vstore(A + (4 * k + d) * gp + g, acc[k][d]);
}

static real *direction_tgr(const aim_conv_tan_args *a, place at)
{
    return a->tgr + 3 * (at.base / a->n_atoms) * a->of.row[a->n_atoms];
}

void AIM_KERNEL_FN(conv_bwd_pair_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp;
    const size_t width = (size_t)(4 * of->nf * gp);
    for (int64_t row = first; row < last; row++) {
        const place at = place_of(a, row);
        const real *s = of->gs_adj + (size_t)at.i * width, *ts = a->tgs_adj + (size_t)row * width;
        real *A = of->scratch, *tgr = direction_tgr(a, at);
        for (int64_t p = at.begin; p < at.end; p += 2) {
            const int n = p + 1 < at.end ? 2 : 1;
            const real *x[2] = {NULL, NULL}, *tx[2] = {NULL, NULL};
            for (int k = 0; k < n; k++) {
                x[k] = of->a + (size_t)of->j[p + k] * of->lda;
                tx[k] = a->ta + (size_t)(at.base + of->j[p + k]) * a->ldta;
            }
            for (int g = 0; g < gp; g += VL) {
                if (n == 2)
                    contract_tangents(of, s, ts, x, tx, 2, g, A);
                else
                    contract_tangents(of, s, ts, x, tx, 1, g, A);
            }
            for (int k = 0; k < n; k++)
                finish_pair(of, p + k, A + 4 * k * gp, at.tu + 4 * (p + k), tgr + 3 * (p + k));
        }
    }
}

void AIM_KERNEL_FN(conv_plain_bwd_pair_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp;
    const size_t width = (size_t)(4 * of->nf * gp);
    for (int64_t row = first; row < last; row++) {
        const place at = place_of(a, row);
        const real *s = of->gs_adj + (size_t)at.i * width, *ts = a->tgs_adj + (size_t)row * width;
        real *A = of->scratch, *tgr = direction_tgr(a, at);
        for (int64_t p = at.begin; p < at.end; p++) {
            const real *x = of->a + (size_t)of->j[p] * of->lda,
                       *tx = a->ta + (size_t)(at.base + of->j[p]) * a->ldta;
            for (int k = 0; k < 4 * gp; k += VL) {
                vreal acc = {0};
                for (int f = 0; f < of->nf; f++) {
                    acc += vset(tx[f]) * vload(s + f * 4 * gp + k);
                    acc += vset(x[f]) * vload(ts + f * 4 * gp + k);
                }
                vstore(A + k, acc);
            }
            finish_pair(of, p, A, at.tu + 4 * p, tgr + 3 * p);
        }
    }
}

void AIM_KERNEL_FN(conv_embed_bwd_pair_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp, row_size = of->nf * gp;
    unsigned char present[128];
    for (int64_t row = first; row < last; row++) {
        const place at = place_of(a, row);
        const real *ts = a->tgs_adj + (size_t)row * (size_t)(4 * row_size);
        real *tgr = direction_tgr(a, at);
        mark_species(of, at.i, present);
        for (int z = 0; z < of->n_species; z++) {
            if (!present[z])
                continue;
            const real *x[2] = {of->emb + (size_t)z * (size_t)row_size, NULL};
            for (int g = 0; g < gp; g += VL)
                contract_features(of, ts, x, 1, g, of->scratch + z * 4 * gp);
        }
        for (int64_t p = at.begin; p < at.end; p++)
            finish_pair(of, p, of->scratch + of->species[of->j[p]] * 4 * gp, at.tu + 4 * p,
                        tgr + 3 * p);
    }
}

enum { FEATURE_BLOCK = 8 };

/* acc[0 .. n) += sum_d w_d s_j[f0 + f][d] over the row's pairs; moved_only: w has those that move
 * */
AIM_INLINE void gather_adjoints(const aim_conv_args *of, place at, const real *s, int f0, int n,
                                int g, const real *w, int moved_only, vreal acc[FEATURE_BLOCK])
{
    const int gp = of->gp;
    const size_t stride = (size_t)(4 * of->nf * gp);
    for (int64_t p = at.begin; p < at.end; p++) {
        if (moved_only && !moves(at.tu + 4 * p))
            continue;
        const real *sj = s + (size_t)of->j[p] * stride + f0 * 4 * gp + g;
        const vreal w0 = vload(w + g), w1 = vload(w + gp + g), w2 = vload(w + 2 * gp + g),
                    w3 = vload(w + 3 * gp + g);
#pragma GCC unroll 8
        for (int f = 0; f < n; f++, sj += 4 * gp) {
            acc[f] += w0 * vload(sj);
            acc[f] += w1 * vload(sj + gp);
            acc[f] += w2 * vload(sj + 2 * gp);
            acc[f] += w3 * vload(sj + 3 * gp);
        }
        w += 4 * gp;
    }
}

AIM_INLINE void feature_adjoints(const aim_conv_tan_args *a, place at, int f0, int n, const real *w,
                                 const real *tw, int moved, real *tga)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp;
    const real *ts = a->tgs_adj + (size_t)at.base * (size_t)(4 * of->nf * gp);
    for (int g = 0; g < gp; g += VL) {
        vreal acc[FEATURE_BLOCK];
        for (int f = 0; f < n; f++)
            acc[f] = vload(tga + (f0 + f) * gp + g);
        gather_adjoints(of, at, ts, f0, n, g, w, 0, acc);
        if (moved)
            gather_adjoints(of, at, of->gs_adj, f0, n, g, tw, 1, acc);
        for (int f = 0; f < n; f++)
            vstore(tga + (f0 + f) * gp + g, acc[f]);
    }
}

void AIM_KERNEL_FN(conv_bwd_feature_tan)(const aim_conv_tan_args *a, int64_t first, int64_t last)
{
    const aim_conv_args *of = &a->of;
    for (int64_t row = first; row < last; row++) {
        const place at = place_of(a, row);
        real *w = of->scratch, *tw = w + (at.end - at.begin) * 4 * of->gp,
             *tga = a->tga + (size_t)row * a->ldtga;
        weigh_row(of, at.i, R(-1.0), w);
        const int moved = weigh_moved_row(of, at, R(-1.0), tw) > tw;
        int f = 0;
        for (; f + FEATURE_BLOCK <= of->nf; f += FEATURE_BLOCK)
            feature_adjoints(a, at, f, FEATURE_BLOCK, w, tw, moved, tga);
        for (; f < of->nf; f++)
            feature_adjoints(a, at, f, 1, w, tw, moved, tga);
    }
}

void AIM_KERNEL_FN(conv_plain_bwd_feature_tan)(const aim_conv_tan_args *a, int64_t first,
                                               int64_t last)
{
    const aim_conv_args *of = &a->of;
    const int gp = of->gp;
    const size_t stride = (size_t)(4 * of->nf * gp);
    for (int64_t row = first; row < last; row++) {
        const place at = place_of(a, row);
        const real *ts = a->tgs_adj + (size_t)at.base * stride;
        real *w = of->scratch, *tw = w + (at.end - at.begin) * 4 * gp;
        weigh_row(of, at.i, R(-1.0), w);
        weigh_moved_row(of, at, R(-1.0), tw);
        for (int f = 0; f < of->nf; f++) {
            const size_t channel = (size_t)(f * 4 * gp);
            const real *wm = w, *twm = tw;
            vreal acc = {0};
            for (int64_t p = at.begin; p < at.end; p++, wm += 4 * gp) {
                const size_t sj = (size_t)of->j[p] * stride + channel;
                const int moved = moves(at.tu + 4 * p);
                for (int k = 0; k < 4 * gp; k += VL) {
                    acc += vload(wm + k) * vload(ts + sj + (size_t)k);
                    if (moved)
                        acc += vload(twm + k) * vload(of->gs_adj + sj + (size_t)k);
                }
                twm += moved ? 4 * gp : 0;
            }
            a->tga[(size_t)row * a->ldtga + (size_t)f] += vsum(acc);
        }
    }
}

void AIM_KERNEL_FN(conv_agh_tan)(const aim_agh_tan_args *a, int64_t first, int64_t last)
{
    const size_t hp = (size_t)a->hp, gp = (size_t)a->gp, nf = (size_t)a->nf, nc = (size_t)a->ncomb;
    for (size_t f = (size_t)first; f < (size_t)last; f++)
        for (size_t i = 0; i < (size_t)a->n; i++)
            for (size_t d = 0; d < 3; d++) {
                const real *v = a->v + ((i * nf + f) * 3 + d) * hp,
                           *tv = a->tv + ((i * nf + f) * 3 + d) * hp,
                           *s = a->s + ((i * nf + f) * 4 + d + 1) * gp,
                           *ts = a->ts + ((i * nf + f) * 4 + d + 1) * gp,
                           *gx = a->gxv + (i * nf + f) * nc, *tgx = a->tgxv + (i * nf + f) * nc;
                double *out = a->gagh + f * gp * hp;
                for (size_t h = 0; h < nc; h++) {
                    const double gv = 2.0 * (double)v[h] * (double)gx[h],
                                 tgv = 2.0 * ((double)tv[h] * (double)gx[h] +
                                              (double)v[h] * (double)tgx[h]);
                    for (size_t g = 0; g < gp; g++)
                        out[g * hp + h] += tgv * (double)s[g] + gv * (double)ts[g];
                }
            }
}
