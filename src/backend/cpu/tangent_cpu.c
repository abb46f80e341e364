/* SPDX-License-Identifier: MIT */
/* tangent_cpu.c - directional derivatives of pair sums, one atom against a row of its neighbours and
 * one direction: vectors along the row.
 *
 * What belongs to a pair alone (f, h, ...) comes prepared in the chunk, so a direction costs about 30
 * multiply-adds per vector of pairs whatever the physics behind it. */
#include "backend/cpu/term_cpu.h"

/* tr = tx_j - tx_i + r W */
AIM_INLINE void relative(const pair *p, const aim_row *row, int k, const aim_tan_direction *t,
                         int warp, vreal tr[3])
{
    for (int x = 0; x < 3; x++)
        tr[x] = vload(row->prop[x] + k) - vset(t->own[x]);
    for (int x = 0; warp && x < 3; x++)
        tr[x] +=
            p->x * vset(t->warp[x]) + p->y * vset(t->warp[3 + x]) + p->z * vset(t->warp[6 + x]);
}

AIM_INLINE void add_strain(vreal *s, const pair *p, const vreal t[3], vreal tf, vreal f)
{
    const vreal r[3] = {p->x, p->y, p->z};
    for (int k = 0; k < 3; k++) {
        s[AIM_TAN_STRAIN + k] += (tf * r[k] + vset(2.0) * f * t[k]) * r[k];
        const int a = k == 2, b = k == 0 ? 1 : 2; /* xy xz yz */
        s[AIM_TAN_STRAIN + 3 + k] += tf * r[a] * r[b] + f * (t[a] * r[b] + r[a] * t[b]);
    }
}

AIM_INLINE void add_row(const aim_row *row, const aim_tan_chunk *c, const aim_tan_direction *d,
                        double *sum, int n_params, int strain, int warp)
{
    vreal s[AIM_TAN_SUMS] = {{0}}, tp[AIM_TAN_PARAMS], tr[3];
    for (int k = 0; k < row->n; k += VL) {
        const pair p = pair_load(row, k);
        const vreal f = vload(c->f + k);
        relative(&p, row, k, d, warp, tr);
        const vreal a = p.x * tr[0] + p.y * tr[1] + p.z * tr[2];
        vreal tf = vload(c->h + k) * a;
        for (int m = 0; m < n_params; m++)
            tp[m] = vload(row->prop[3 + m] + k);
        for (int m = 0; m < n_params; m++) {
            const vreal fi = vload(c->f_i[m] + k);
            tf += fi * vset(d->own[3 + m]) + vload(c->f_j[m] + k) * tp[m];
            vreal tg = -(fi * a);
            for (int o = 0; o < n_params; o++)
                tg += vload(c->e_ii[m][o] + k) * vset(d->own[3 + o]) +
                      vload(c->e_ij[m][o] + k) * tp[o];
            s[AIM_TAN_PARAM + m] += tg;
        }
        s[AIM_TAN_SLOPE] += f * a;
        s[AIM_TAN_GRAD] += tf * p.x + f * tr[0];
        s[AIM_TAN_GRAD + 1] += tf * p.y + f * tr[1];
        s[AIM_TAN_GRAD + 2] += tf * p.z + f * tr[2];
        if (strain)
            add_strain(s, &p, tr, tf, f);
    }
    double out[4];
    vsum4(s, out);
    for (int k = 0; k < AIM_TAN_PARAM; k++)
        sum[k] += out[k];
    for (int m = 0; m < n_params; m++)
        sum[AIM_TAN_PARAM + m] += vsum(s[AIM_TAN_PARAM + m]);
    for (int k = AIM_TAN_STRAIN; strain && k < AIM_TAN_SUMS; k++)
        sum[k] += vsum(s[k]);
}

AIM_INLINE void add_slope(const aim_row *row, const aim_tan_chunk *c, const aim_tan_direction *d,
                          double *sum, int warp)
{
    vreal s = {0}, tr[3];
    for (int k = 0; k < row->n; k += VL) {
        const pair p = pair_load(row, k);
        relative(&p, row, k, d, warp, tr);
        s += vload(c->f + k) * (p.x * tr[0] + p.y * tr[1] + p.z * tr[2]);
    }
    sum[AIM_TAN_SLOPE] += vsum(s);
}

/* The switches become constants of the inlined loops. */
AIM_INLINE void add_by_params(const aim_row *row, const aim_tan_chunk *c,
                              const aim_tan_direction *d, double *sum, int strain, int warp)
{
    if (d->n_params < 0)
        add_slope(row, c, d, sum, warp);
    else if (d->n_params == 0)
        add_row(row, c, d, sum, 0, strain, warp);
    else if (d->n_params == 1)
        add_row(row, c, d, sum, 1, strain, warp);
    else
        add_row(row, c, d, sum, 2, strain, warp);
}

void AIM_CPU_NAMED(aim_pair_tan)(const aim_row *row, const aim_tan_chunk *chunk,
                                 const aim_tan_direction *direction, double *sum)
{
    if (direction->warp && direction->strain)
        add_by_params(row, chunk, direction, sum, 1, 1);
    else if (direction->warp)
        add_by_params(row, chunk, direction, sum, 0, 1);
    else if (direction->strain)
        add_by_params(row, chunk, direction, sum, 1, 0);
    else
        add_by_params(row, chunk, direction, sum, 0, 0);
}
