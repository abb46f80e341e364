/* SPDX-License-Identifier: MIT */
/* radial_cpu.c - the scalar functions of pairs that tangents need, with two derivatives: vectors
 * along the pairs of a chunk.
 *
 * Formulas in src/point/coulomb.h, d3_damping.h and cutoff.h; test_tangent.c holds these to them.
 * With e(d) and its derivatives: f = -e'/d, h = -(e'' + f)/d^2. Elements
 * behind the chunk's last pair are computed from whatever stands there and not read. */
#include "backend/cpu/term_cpu.h"

/* value and two derivatives */
typedef struct vderiv {
    vreal v, d1, d2;
} vderiv;

AIM_INLINE vreal square_of_distance(const aim_tan_chunk *c, int p)
{
    const vreal x = vload(c->r[0] + p), y = vload(c->r[1] + p), z = vload(c->r[2] + p);
    return x * x + y * y + z * z;
}

AIM_INLINE void store_radial(aim_tan_chunk *c, int p, vderiv e, double scale, vreal inv)
{
    const vreal k = vset(scale), f = -(k * e.d1 * inv);
    vstore(c->f + p, f);
    vstore(c->h + p, -((k * e.d2 + f) * (inv * inv)));
    vstore(c->e_ij[0][0] + p, k * e.v);
}

AIM_INLINE vderiv mul(vderiv f, vderiv g)
{
    return (vderiv){f.v * g.v, f.d1 * g.v + f.v * g.d1,
                    f.d2 * g.v + vset(2.0) * f.d1 * g.d1 + f.v * g.d2};
}

AIM_INLINE vderiv inverse(vderiv f)
{
    const vreal v = vset(1.0) / f.v;
    return (vderiv){v, -(f.d1 * v * v), (vset(2.0) * f.d1 * f.d1 * v - f.d2) * v * v};
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

void AIM_CPU_NAMED(aim_tan_coulomb)(aim_tan_chunk *c, const aim_dsf *dsf, double scale)
{
    for (int p = 0; p < c->n; p += VL) {
        const vreal d2 = square_of_distance(c, p), inv = vrsqrt(d2);
        const vderiv simple = {inv, -(inv * inv), vset(2.0) * inv * inv * inv};
        store_radial(c, p, dsf->rc > 0.0 ? dsf_at(d2 * inv, inv, dsf) : simple, scale, inv);
    }
}

/* 1/(1 + exp(-16 (rcov/d - 1))), d in bohr */
AIM_INLINE vderiv count_at(vreal inv, vreal rcov)
{
    const vreal k = vset(AIM_D3_K1) * rcov, a1 = k * inv * inv, a2 = vset(-2.0) * a1 * inv,
                e = vexp_short(vset(AIM_D3_K1) - k * inv);
    return inverse((vderiv){vset(1.0) + e, e * a1, e * (a2 + a1 * a1)});
}

void AIM_CPU_NAMED(aim_tan_count)(aim_tan_chunk *c, double unit, double scale)
{
    const vreal u = vset(unit);
    for (int p = 0; p < c->n; p += VL) {
        const vreal inv = vrsqrt(square_of_distance(c, p));
        vderiv e = count_at(inv * vset(1.0 / unit), vload(c->x + p));
        e.d1 *= u;
        e.d2 *= u * u;
        store_radial(c, p, e, scale, inv);
    }
}

/* s6/(d^6 + r0^6) + s8 q/(d^8 + r0^8) */
AIM_INLINE vderiv damping_at(vreal d, vreal s6, vreal c8, vreal r0)
{
    const vreal d2 = d * d, d4 = d2 * d2, d6 = d4 * d2, r2 = r0 * r0, r4 = r2 * r2;
    const vderiv a = inverse((vderiv){d6 + r4 * r2, vset(6.0) * d4 * d, vset(30.0) * d4}),
                 b = inverse((vderiv){d4 * d4 + r4 * r4, vset(8.0) * d6 * d, vset(56.0) * d6});
    return (vderiv){s6 * a.v + c8 * b.v, s6 * a.d1 + c8 * b.d1, s6 * a.d2 + c8 * b.d2};
}

/* 1 - t^3 (10 - 15 t + 6 t^2) */
AIM_INLINE vderiv switch_at(vreal d, const aim_d3_range *range)
{
    const vreal one = vset(1.0), w = vset(range->inv_width),
                t = vmin(vmax((d - vset(range->on)) * w, vset(0.0)), one), u = one - t;
    return (vderiv){one - t * t * t * (vset(10.0) + t * (vset(6.0) * t - vset(15.0))),
                    vset(-30.0) * w * (t * t) * (u * u), vset(-60.0) * w * w * (t * u) * (u - t)};
}

void AIM_CPU_NAMED(aim_tan_damped)(aim_tan_chunk *c, const aim_d3_range *range, const double bj[3],
                                   double unit, double scale)
{
    const vreal u = vset(unit), s8 = vset(bj[0]), a1 = vset(bj[1]), a2 = vset(bj[2]);
    for (int p = 0; p < c->n; p += VL) {
        const vreal square = square_of_distance(c, p), inv = vrsqrt(square), d = square * inv * u,
                    q = vload(c->x + p);
        vderiv e = damping_at(d, vset(range->s6), s8 * q, a1 * vsqrt(q) + a2);
        if (range->inv_width > 0.0)
            e = mul(e, switch_at(d, range));
        const vint in = ~(d * d >= vset(range->cut2)); /* NaN stays in */
        e.v = vkeep(in, e.v);
        e.d1 = vkeep(in, e.d1 * u);
        e.d2 = vkeep(in, e.d2 * u * u);
        store_radial(c, p, e, scale, inv);
    }
}
