/* SPDX-License-Identifier: MIT */
/* pair.h - what the pair kernels of the terms share: vectors of distances, masks, and the sums over
 * a row. */
#ifndef AIM_BACKEND_CPU_PAIR_H
#define AIM_BACKEND_CPU_PAIR_H

#include "backend/cpu/pair_vmath.h"
#include "backend/term_kernels.h"
#include "point/d3_damping.h"

typedef struct pair {
    vreal x, y, z; /* r_j - r_i */
    vreal d2;      /* 0 for the atom itself, finite in padding: results are masked, not operands */
    vint valid;
} pair;

typedef struct pair_sum {
    vreal e, gx, gy, gz;
    vreal xx, yy, zz, xy, xz, yz;
    vreal s0, s1;
} pair_sum;

AIM_INLINE pair pair_load(const aim_row *row, int k)
{
    pair p;
    p.x = vload(row->x + k) - vset(row->origin[0]);
    p.y = vload(row->y + k) - vset(row->origin[1]);
    p.z = vload(row->z + k) - vset(row->origin[2]);
    const vint id = *(const vint_u *)(row->id + k), real = *(const vint_u *)(row->real + k);
    p.valid = real & ~(id == row->self);
    p.d2 = p.x * p.x + p.y * p.y + p.z * p.z;
    return p;
}

/* g += f r, w += f r r */
AIM_INLINE void pair_add(pair_sum *s, const pair *p, vreal f, int strain)
{
    const vreal fx = f * p->x, fy = f * p->y, fz = f * p->z;
    s->gx += fx;
    s->gy += fy;
    s->gz += fz;
    if (strain) {
        s->xx += fx * p->x;
        s->yy += fy * p->y;
        s->zz += fz * p->z;
        s->xy += fx * p->y;
        s->xz += fx * p->z;
        s->yz += fy * p->z;
    }
}

/* Potential and gradient of the damped shifted force of charges q; inv = 1/d. */
AIM_INLINE void pair_dsf(pair_sum *s, const pair *p, vreal inv, vreal q, const aim_dsf *dsf,
                         int strain)
{
    const vreal rc = vset(dsf->rc), slope = vset(dsf->slope), d = p->d2 * inv,
                x = vmin(vset(dsf->alpha) * d, vset(26.0)), e = vexp_short(-(x * x)),
                c = verfc(x, e) * inv;
    const vint in = p->valid & ~(d >= rc); /* NaN stays in */
    s->e += vkeep(in, q * (c - vset(dsf->shift) + (d - rc) * slope));
    pair_add(s, p, vkeep(in, q * ((c + vset(dsf->gauss) * e) * inv - slope) * inv), strain);
}

AIM_INLINE void pair_finish(const pair_sum *s, int strain, aim_row_sum *sum)
{
    const vreal first[4] = {s->e, s->gx, s->gy, s->gz};
    double out[4];
    vsum4(first, out);
    sum->e = out[0];
    sum->g[0] = out[1];
    sum->g[1] = out[2];
    sum->g[2] = out[3];
    sum->s[0] = vsum(s->s0);
    sum->s[1] = vsum(s->s1);
    if (strain) {
        sum->w[0] = vsum(s->xx);
        sum->w[1] = vsum(s->yy);
        sum->w[2] = vsum(s->zz);
        sum->w[3] = vsum(s->xy);
        sum->w[4] = vsum(s->xz);
        sum->w[5] = vsum(s->yz);
    }
}

/* Calls body(row, ..., strain) with a constant last argument, so that the loop without strain
 * carries none of its sums. */
#define PAIR_STRAIN_SPLIT(row, body, ...)                                                          \
    do {                                                                                           \
        if ((row)->strain)                                                                         \
            body((row), __VA_ARGS__, 1);                                                           \
        else                                                                                       \
            body((row), __VA_ARGS__, 0);                                                           \
    } while (0)

#endif
