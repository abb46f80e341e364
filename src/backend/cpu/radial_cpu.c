/* SPDX-License-Identifier: MIT */
/* radial_cpu.c - what tangents need to know of the pairs of a row, whatever the direction: scalar
 * functions with two derivatives, and those to the parameters of the atoms; vectors along the row.
 *
 * Formulas in src/point/coulomb.h, d3_damping.h and cutoff.h; test_tangent.c holds these to them.
 * With e(d) and its derivatives: f = -e'/d, h = -(e'' + f)/d^2. */
#include "backend/cpu/term_cpu.h"
#include "point/units.h"

/* value and two derivatives */
typedef struct vderiv {
    vreal v, d1, d2;
} vderiv;

/* f and h of scale e(d); zeros where there is no pair. */
typedef struct radial {
    vreal v, f, h;
} radial;
AIM_INLINE radial radial_of(const pair *p, vderiv e, double scale, vreal inv)
{
    const vreal k = vset(scale), f = -(k * e.d1 * inv);
    return (radial){vkeep(p->valid, k * e.v), vkeep(p->valid, f),
                    vkeep(p->valid, -((k * e.d2 + f) * (inv * inv)))};
}

AIM_INLINE void store_pair(aim_tan_chunk *c, int k, vreal f, vreal h, vreal f_i, vreal f_j,
                           vreal e_ii, vreal e_ij)
{
    vstore(c->f + k, f);
    vstore(c->h + k, h);
    vstore(c->f_i[0] + k, f_i);
    vstore(c->f_j[0] + k, f_j);
    vstore(c->e_ii[0][0] + k, e_ii);
    vstore(c->e_ij[0][0] + k, e_ij);
}

AIM_INLINE vderiv mul(vderiv f, vderiv g)
{
    return (vderiv){f.v * g.v, f.d1 * g.v + f.v * g.d1,
                    f.d2 * g.v + vset(2.0) * f.d1 * g.d1 + f.v * g.d2};
}

AIM_INLINE vderiv dsf_at(vreal d, vreal inv, const aim_dsf *p)
{
    const vreal a = vset(p->alpha), two = vset(2.0), slope = vset(p->slope),
                x = vmin(a * d, vset(26.0)), gauss = vexp_short(-(x * x)),
                c = verfc(x, gauss) * inv, g = vset(p->gauss) * gauss;
    const vint in = ~(d >= vset(p->rc)); /* NaN stays in */
    return (vderiv){vkeep(in, c - vset(p->shift) + (d - vset(p->rc)) * slope),
                    vkeep(in, slope - (c + g) * inv),
                    vkeep(in, two * ((c + g) * inv * inv + a * a * g))};
}

AIM_INLINE double coulomb_row(const aim_row *row, const aim_dsf *dsf, double k, double own,
                              aim_tan_chunk *c, int damped)
{
    const vreal qi = vset(own), zero = vset(0.0);
    vreal slope = {0};
    for (int n = 0; n < row->n; n += VL) {
        const pair p = pair_load(row, n);
        const vreal inv = vrsqrt(p.d2), qj = vload(row->prop[0] + n);
        const vderiv simple = {inv, -(inv * inv), vset(2.0) * inv * inv * inv};
        const radial r = radial_of(&p, damped ? dsf_at(p.d2 * inv, inv, dsf) : simple, k, inv);
        const vreal f_i = qj * r.f;
        store_pair(c, n, qi * f_i, qi * qj * r.h, f_i, qi * r.f, zero, r.v);
        slope += qj * r.v;
    }
    return vsum(slope);
}

double AIM_CPU_NAMED(aim_tan_coulomb)(const aim_row *row, const aim_dsf *dsf, double k, double q,
                                      aim_tan_chunk *c)
{
    return dsf->rc > 0.0 ? coulomb_row(row, dsf, k, q, c, 1) : coulomb_row(row, dsf, k, q, c, 0);
}

/* c = 1/(1 + exp(-16 (rcov/d - 1))), rcov in bohr, d in Angstrom */
AIM_INLINE vderiv count_at(vreal inv, double rcov)
{
    const vreal k = vset(AIM_D3_K1 * rcov * AIM_BOHR), one = vset(1.0),
                e = vexp_short(vset(AIM_D3_K1) - k * inv), v = one / (one + e),
                slope = -(k * (e * v * v)) * (inv * inv); /* c' = -k/d^2 c (1 - c) */
    return (vderiv){v, slope, slope * (k * inv * inv * (v + v - one) - vset(2.0) * inv)};
}

double AIM_CPU_NAMED(aim_tan_count)(const aim_row *row, double rcov, aim_tan_chunk *c)
{
    vreal sum = {0};
    for (int n = 0; n < row->n; n += VL) {
        const pair p = pair_load(row, n);
        const vreal inv = vrsqrt(p.d2);
        const vderiv e = count_at(inv, rcov);
        vstore(c->f + n, vkeep(p.valid, e.d1 * inv));
        sum += vkeep(p.valid, e.v);
    }
    return vsum(sum);
}

void AIM_CPU_NAMED(aim_tan_count_grad)(const aim_row *row, double rcov, double own,
                                       aim_tan_chunk *c)
{
    const vreal zero = vset(0.0);
    for (int n = 0; n < row->n; n += VL) {
        const pair p = pair_load(row, n);
        const vreal inv = vrsqrt(p.d2), g = vset(own) + vload(row->prop[0] + n);
        const radial r = radial_of(&p, count_at(inv, rcov), 1.0, inv);
        store_pair(c, n, g * r.f, g * r.h, r.f, r.f, zero, zero);
    }
}

/* s6/(d^6 + r0^6) + c8/(d^8 + r0^8) */
AIM_INLINE vderiv damping_at(vreal d, vreal s6, vreal c8, vreal r06, vreal r08)
{
    const vreal d2 = d * d, d4 = d2 * d2, d6 = d4 * d2, one = vset(1.0), two = vset(2.0);
    const vreal a = d6 + r06, b = d4 * d4 + r08, inv = one / (a * b), ia = b * inv, ib = a * inv;
    const vreal a1 = vset(6.0) * d4 * d * ia, b1 = vset(8.0) * d6 * d * ib; /* a'/a, b'/b */
    const vreal u = s6 * ia, w = c8 * ib;
    return (vderiv){u + w, -(u * a1 + w * b1),
                    u * (two * a1 * a1 - vset(30.0) * d4 * ia) +
                        w * (two * b1 * b1 - vset(56.0) * d6 * ib)};
}

/* 1 - t^3 (10 - 15 t + 6 t^2) */
AIM_INLINE vderiv switch_at(vreal d, const aim_d3_range *range)
{
    const vreal one = vset(1.0), w = vset(range->inv_width),
                t = vmin(vmax((d - vset(range->on)) * w, vset(0.0)), one), u = one - t;
    return (vderiv){one - t * t * t * (vset(10.0) + t * (vset(6.0) * t - vset(15.0))),
                    vset(-30.0) * w * (t * t) * (u * u), vset(-60.0) * w * w * (t * u) * (u - t)};
}

AIM_INLINE radial damped_at(const pair *p, const aim_d3_tan_block *s, const aim_d3_range *range)
{
    const vreal u = vset(AIM_BOHR_INV), inv = vrsqrt(p->d2), d = p->d2 * inv * u;
    vderiv e = damping_at(d, vset(range->s6), vset(s->c8), vset(s->r06), vset(s->r08));
    if (range->inv_width > 0.0)
        e = mul(e, switch_at(d, range));
    const vint in = ~(d * d >= vset(range->cut2)); /* NaN stays in */
    e.v = vkeep(in, e.v);
    e.d1 = vkeep(in, e.d1 * u);
    e.d2 = vkeep(in, e.d2 * u * u);
    return radial_of(p, e, -AIM_HARTREE, inv);
}

/* n_ref is a constant of the caller, 0 reads it. */
AIM_INLINE double damped_row(const aim_row *row, const aim_d3_tan_block *s,
                             const aim_d3_range *range, aim_tan_chunk *c, int n_ref)
{
    vreal slope = {0};
    for (int n = 0; n < row->n; n += VL) {
        const pair p = pair_load(row, n);
        vreal c6 = vset(s->g[0][0]), i = vset(s->g[0][1]), ii = vset(s->g[0][2]), j = {0}, ij = {0};
        for (int b = 1; b < (n_ref ? n_ref : s->n_ref); b++) {
            const vreal w = vload(row->prop[2 * b - 2] + n), dw = vload(row->prop[2 * b - 1] + n),
                        g = vset(s->g[b][0] - s->g[0][0]), dg = vset(s->g[b][1] - s->g[0][1]);
            c6 += w * g;
            i += w * dg;
            ii += w * vset(s->g[b][2] - s->g[0][2]);
            j += dw * g;
            ij += dw * dg;
        }
        const radial r = damped_at(&p, s, range);
        store_pair(c, n, c6 * r.f, c6 * r.h, i * r.f, j * r.f, ii * r.v, ij * r.v);
        slope += i * r.v;
    }
    return vsum(slope);
}

double AIM_CPU_NAMED(aim_tan_damped)(const aim_row *row, const aim_d3_tan_block *block,
                                     const aim_d3_range *range, aim_tan_chunk *c)
{
    if (block->n_ref == 1)
        return damped_row(row, block, range, c, 1);
    if (block->n_ref == 2)
        return damped_row(row, block, range, c, 2);
    return damped_row(row, block, range, c, 0);
}
