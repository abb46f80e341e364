/* SPDX-License-Identifier: MIT */
/* tangent_cpu.c - directional derivatives of pair sums, one atom against a chunk of its neighbours:
 * vectors along the directions.
 *
 * What belongs to a pair alone (distance, f, h, ...) comes prepared in the chunk and is broadcast; a
 * direction is a lane. So a pair costs about 20 multiply-adds per vector of directions whatever the
 * physics behind it, sums add neighbours in their order, and a lane does not know its siblings.
 * Lanes beyond the last direction compute with zeros. */
#include "backend/cpu/term_cpu.h"

enum { W = AIM_TAN_WIDTH };

typedef struct lanes { /* one vector of directions of one atom */
    vreal x, y, z, p[AIM_TAN_PARAMS];
} lanes;

AIM_INLINE lanes load_lanes(const double *t, int n_params)
{
    lanes l = {.x = vload(t), .y = vload(t + W), .z = vload(t + 2 * W)};
    for (int k = 0; k < n_params; k++)
        l.p[k] = vload(t + (3 + k) * W);
    return l;
}

/* tr = tx_j - tx_i + r W */
AIM_INLINE lanes relative(const lanes *own, lanes l, const vreal r[3], const double *warp)
{
    l.x -= own->x;
    l.y -= own->y;
    l.z -= own->z;
    for (int a = 0; warp && a < 3; a++) {
        l.x += r[a] * vload(warp + (3 * a) * W);
        l.y += r[a] * vload(warp + (3 * a + 1) * W);
        l.z += r[a] * vload(warp + (3 * a + 2) * W);
    }
    return l;
}

AIM_INLINE void add_strain(vreal *s, const vreal r[3], const lanes *l, vreal tf, vreal f)
{
    const vreal t[3] = {l->x, l->y, l->z};
    for (int k = 0; k < 3; k++) {
        s[AIM_TAN_STRAIN + k] += (tf * r[k] + vset(2.0) * f * t[k]) * r[k];
        const int a = k == 2, b = k == 0 ? 1 : 2; /* xy xz yz */
        s[AIM_TAN_STRAIN + 3 + k] += tf * r[a] * r[b] + f * (t[a] * r[b] + r[a] * t[b]);
    }
}

AIM_INLINE void add_pair(vreal *s, const aim_tan_chunk *c, int p, const lanes *own, lanes l,
                         const double *warp, int n_params, int strain)
{
    const vreal r[3] = {vset(c->r[0][p]), vset(c->r[1][p]), vset(c->r[2][p])}, f = vset(c->f[p]);
    l = relative(own, l, r, warp);
    const vreal a = r[0] * l.x + r[1] * l.y + r[2] * l.z;
    vreal tf = vset(c->h[p]) * a;
    for (int k = 0; k < n_params; k++) {
        tf += vset(c->f_i[k][p]) * own->p[k] + vset(c->f_j[k][p]) * l.p[k];
        vreal tg = -(vset(c->f_i[k][p]) * a);
        for (int m = 0; m < n_params; m++)
            tg += vset(c->e_ii[k][m][p]) * own->p[m] + vset(c->e_ij[k][m][p]) * l.p[m];
        s[AIM_TAN_PARAM + k] += tg;
    }
    s[AIM_TAN_SLOPE] += f * a;
    s[AIM_TAN_GRAD] += tf * r[0] + f * l.x;
    s[AIM_TAN_GRAD + 1] += tf * r[1] + f * l.y;
    s[AIM_TAN_GRAD + 2] += tf * r[2] + f * l.z;
    if (strain)
        add_strain(s, r, &l, tf, f);
}

AIM_INLINE void add_chunk(const aim_tan_chunk *c, const aim_tan_block *b, int32_t atom, double *sum,
                          const double *warp, int n_params, int strain)
{
    enum { MAX_ROWS = AIM_TAN_SUMS };
    const int n_sums = strain ? MAX_ROWS : AIM_TAN_STRAIN;
    const size_t stride = (size_t)b->n_rows * W;
    for (int v = 0; v < b->n_dir; v += VL) {
        const lanes own = load_lanes(b->t + (size_t)atom * stride + v, n_params);
        vreal s[MAX_ROWS];
        for (int k = 0; k < n_sums; k++)
            s[k] = vload(sum + k * W + v);
        for (int p = 0; p < c->n; p++) {
            const lanes l = load_lanes(b->t + (size_t)c->j[p] * stride + v, n_params);
            add_pair(s, c, p, &own, l, warp ? warp + v : NULL, n_params, strain);
        }
        for (int k = 0; k < n_sums; k++)
            vstore(sum + k * W + v, s[k]);
    }
}

/* The switches become constants of the inlined loop. */
AIM_INLINE void add_by_params(const aim_tan_chunk *c, const aim_tan_block *b, int32_t atom,
                              double *sum, const double *warp, int strain)
{
    if (c->n_params == 0)
        add_chunk(c, b, atom, sum, warp, 0, strain);
    else if (c->n_params == 1)
        add_chunk(c, b, atom, sum, warp, 1, strain);
    else
        add_chunk(c, b, atom, sum, warp, 2, strain);
}

void AIM_CPU_NAMED(aim_pair_tan)(const aim_tan_chunk *chunk, const aim_tan_block *block,
                                 int32_t atom, int want_strain, double *sum)
{
    if (want_strain)
        add_by_params(chunk, block, atom, sum, block->warp, 1);
    else
        add_by_params(chunk, block, atom, sum, NULL, 0);
}
