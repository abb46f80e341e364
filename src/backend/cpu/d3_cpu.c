/* SPDX-License-Identifier: MIT */
/* d3_cpu.c - pair loops of DFT-D3(BJ) and D3TS: an atom against its row, vectors along the row.
 * Distances in Angstrom, everything else in bohr and hartree.
 *
 * Formulas in src/point/d3_damping.h and cutoff.h. The C6 of a pair is bilinear in the two atoms'
 * normalised reference weights, C6 = sum_b w_b(j) G_b with G_b = sum_a w_a(i) c6[a][b] prepared per
 * atom and element. As the weights add up to one, the first reference needs none: C6 = G_0 + sum
 * w_b (G_b - G_0), one multiply-add per further reference and one for the derivative to the own
 * coordination number; the derivative to the neighbour's is gathered when its turn comes.
 * Reference pairs with a dropped weight are subtracted from numerator and normalisation where they
 * are dropped (aim_d3_drop); there all weights are read. No square root is needed for the damping;
 * one division serves both denominators and 1/d. */
#include "backend/cpu/term_cpu.h"
#include "point/units.h"

/* The counting function is x/(1 + x) with x = exp(-a), a = 16 (1 - rcov/d). From a = 9.25 on (rcov/d
 * below 0.42: all but the first shells), x - x^2 + x^3 - x^4 is it to 1e-16 of its size, without a
 * division. */
static const double DISTANT = 9.25;

AIM_INLINE vreal count_of(vreal inv, double rcov)
{
    const vreal one = vset(1.0), a = vset(AIM_D3_K1) - vset(AIM_D3_K1 * AIM_BOHR * rcov) * inv;
    if (vall(a >= vset(DISTANT))) {
        const vreal x = vexp_short(-a);
        return x * (one - x * (one - x * (one - x)));
    }
    return one / (one + vexp_short(a));
}

double AIM_CPU_NAMED(aim_d3_count)(const aim_row *row, const aim_d3_span *span, int n_spans)
{
    vreal sum = {0};
    for (const aim_d3_span *s = span; s < span + n_spans; s++)
        for (int k = s->begin; k < s->end; k += VL) {
            const pair p = pair_load(row, k);
            sum += vkeep(p.valid, count_of(vrsqrt(p.d2), s->rcov));
        }
    return vsum(sum);
}

AIM_INLINE void count_dsf_rows(const aim_row *row, const aim_d3_span *span, int n_spans,
                               const aim_dsf *dsf, aim_row_sum *sum, int strain)
{
    pair_sum t = {0};
    for (const aim_d3_span *s = span; s < span + n_spans; s++)
        for (int k = s->begin; k < s->end; k += VL) {
            const pair p = pair_load(row, k);
            const vreal inv = vrsqrt(p.d2);
            t.s0 += vkeep(p.valid, count_of(inv, s->rcov));
            pair_dsf(&t, &p, inv, vload(row->prop[0] + k), dsf, strain);
        }
    pair_finish(&t, strain, sum);
}

void AIM_CPU_NAMED(aim_d3_count_dsf)(const aim_row *row, const aim_d3_span *span, int n_spans,
                                     const aim_dsf *dsf, aim_row_sum *sum)
{
    PAIR_STRAIN_SPLIT(row, count_dsf_rows, span, n_spans, dsf, sum);
}

AIM_INLINE void count_grad_rows(const aim_row *row, const aim_d3_span *span, int n_spans, double c,
                                aim_row_sum *sum, int strain)
{
    pair_sum t = {0};
    for (const aim_d3_span *s = span; s < span + n_spans; s++) {
        const vreal slope = vset(AIM_D3_K1 * AIM_BOHR * s->rcov);
        for (int k = s->begin; k < s->end; k += VL) {
            const pair p = pair_load(row, k);
            const vreal inv = vrsqrt(p.d2), count = count_of(inv, s->rcov);
            const vreal cc = (vset(c) + vload(row->prop[0] + k)) * slope;
            pair_add(&t, &p, vkeep(p.valid, cc * (inv * inv * inv) * (count - count * count)),
                     strain);
        }
    }
    pair_finish(&t, strain, sum);
}

void AIM_CPU_NAMED(aim_d3_count_grad)(const aim_row *row, const aim_d3_span *span, int n_spans,
                                      double c, aim_row_sum *sum)
{
    PAIR_STRAIN_SPLIT(row, count_grad_rows, span, n_spans, c, sum);
}

/* damping times switch, and -d/dd of it divided by d (bohr); 0 beyond the range */
AIM_INLINE void damped(const pair *p, vreal s6, vreal c8, vreal r06, vreal r08,
                       const aim_d3_range *range, vreal *v, vreal *f)
{
    const vreal d2 = p->d2 * vset(AIM_BOHR_INV * AIM_BOHR_INV), d4 = d2 * d2, d6 = d4 * d2;
    const vreal a = d6 + r06, b = d4 * d4 + r08;
    const vint in = p->valid & ~(d2 >= vset(range->cut2)); /* NaN stays in */
    vreal damp, slope;
    if (range->inv_width > 0.0) {
        const vreal d = vsqrt(d2), one = vset(1.0), ab = a * b, inv = one / (ab * d),
                    dinv = d * inv;
        const vreal ia = b * dinv, ib = a * dinv, id = ab * inv;
        damp = s6 * ia + c8 * ib;
        slope = vset(6.0) * s6 * d4 * ia * ia + vset(8.0) * c8 * d6 * ib * ib;
        const vreal t = vmin(vmax((d - vset(range->on)) * vset(range->inv_width), vset(0.0)), one),
                    u = one - t;
        const vreal sw = one - t * t * t * (vset(10.0) + t * (vset(6.0) * t - vset(15.0)));
        slope = slope * sw + damp * (vset(30.0 * range->inv_width) * (t * t) * (u * u)) * id;
        damp *= sw;
    } else {
        const vreal inv = vset(1.0) / (a * b), ia = b * inv, ib = a * inv;
        damp = s6 * ia + c8 * ib;
        slope = vset(6.0) * s6 * d4 * ia * ia + vset(8.0) * c8 * d6 * ib * ib;
    }
    *v = vkeep(in, damp);
    *f = vkeep(in, slope);
}

/* C6 and dC6/dCN_i after subtraction of the dropped reference pairs */
AIM_INLINE void drop_weights(const aim_row *row, const aim_d3_block *block, int k, vreal *c6,
                             vreal *dc6)
{
    vreal num = *c6, dnum = *dc6, den = vset(1.0), dden = vset(0.0);
    for (const aim_d3_drop *t = block->drop; t < block->drop + block->n_drop; t++) {
        const vint dropped = vload(row->prop[t->s_prop] + k) < vset(t->limit);
        const vreal w = vkeep(dropped, vload(row->prop[t->w_prop] + k)), x = w * vset(t->w),
                    dx = w * vset(t->dw);
        num -= x * vset(t->c6);
        dnum -= dx * vset(t->c6);
        den -= x;
        dden -= dx;
    }
    const vreal inv = vset(1.0) / den;
    *c6 = num * inv;
    *dc6 = (dnum - *c6 * dden) * inv;
}

/* One block; n_ref > 0 is a constant of the caller, 0 reads it. */
AIM_INLINE void energy_block(const aim_row *row, const aim_d3_block *s, const aim_d3_range *range,
                             int n_ref, int dropped, pair_sum *t, int strain)
{
    const vreal s6 = vset(range->s6), c8 = vset(s->c8), r06 = vset(s->r06), r08 = vset(s->r08);
    const int n = n_ref ? n_ref : s->n_ref, first = dropped ? 0 : 1;
    const double *w[AIM_D3_MAX_REF];
    for (int b = first; b < n; b++)
        w[b] = row->prop[s->ref[b]];
    for (int k = s->begin; k < s->end; k += VL) {
        const pair p = pair_load(row, k);
        vreal c6 = vset(first ? s->g[0] : 0.0), dc6 = vset(first ? s->dg[0] : 0.0), v, f;
        for (int b = first; b < n; b++) {
            const vreal wb = vload(w[b] + k);
            c6 += wb * vset(s->g[b]);
            dc6 += wb * vset(s->dg[b]);
        }
        if (dropped)
            drop_weights(row, s, k, &c6, &dc6);
        damped(&p, s6, c8, r06, r08, range, &v, &f);
        t->e += c6 * v;
        t->s0 += dc6 * v;
        pair_add(t, &p, c6 * f, strain);
    }
}

AIM_INLINE void energy_rows(const aim_row *row, const aim_d3_block *block, int n_blocks,
                            const aim_d3_range *range, aim_row_sum *sum, int strain)
{
    pair_sum t = {0};
    for (const aim_d3_block *s = block; s < block + n_blocks; s++) {
        if (s->n_drop > 0)
            energy_block(row, s, range, 0, 1, &t, strain);
        else if (s->n_ref == 1)
            energy_block(row, s, range, 1, 0, &t, strain);
        else if (s->n_ref == 2)
            energy_block(row, s, range, 2, 0, &t, strain);
        else if (s->n_ref == 3)
            energy_block(row, s, range, 3, 0, &t, strain);
        else
            energy_block(row, s, range, 0, 0, &t, strain);
    }
    pair_finish(&t, strain, sum);
}

void AIM_CPU_NAMED(aim_d3_energy)(const aim_row *row, const aim_d3_block *block, int n_blocks,
                                  const aim_d3_range *range, aim_row_sum *sum)
{
    PAIR_STRAIN_SPLIT(row, energy_rows, block, n_blocks, range, sum);
}

AIM_INLINE void d3ts_row(const aim_row *row, const double own[4], double s8, double a1, double a2,
                         const aim_d3_range *range, aim_row_sum *sum, int strain)
{
    pair_sum t = {0};
    const vreal s6 = vset(range->s6), ci = vset(own[0]), ai = vset(own[1]), iai = vset(own[2]),
                root = vset(own[3]);
    for (int k = 0; k < row->n; k += VL) {
        const pair p = pair_load(row, k);
        const vreal cj = vload(row->prop[0] + k), aj = vload(row->prop[1] + k);
        const vreal iaj = vload(row->prop[2] + k), rr = root * vload(row->prop[3] + k);
        /* q = 3 r4r2_i r4r2_j = 3 rr^2; r0 = a1 sqrt(q) + a2 */
        const vreal q = vset(3.0) * rr * rr, r0 = vset(a1 * 1.73205080756887729353) * rr + vset(a2);
        const vreal r2 = r0 * r0, r4 = r2 * r2;
        vreal v, f;
        damped(&p, s6, vset(s8) * q, r4 * r2, r4 * r4, range, &v, &f);
        const vreal fi = ci * aj * iai, fj = cj * ai * iaj, raw = fi + fj, floor = vset(1e-4);
        const vint free = raw >= floor;
        const vreal inv = vset(1.0) / vselect(free, raw, floor), c6 = vset(2.0) * ci * cj * inv;
        t.e += c6 * v;
        /* d/dC6_i = 2 cj/D (1 - fi/D), d/dalpha_i = 2 ci cj/D^2 (fi - fj)/alpha_i; with the clamp D
         * is a constant */
        t.s0 += v * vset(2.0) * cj * inv * (vset(1.0) - vkeep(free, fi * inv));
        t.s1 += vkeep(free, v * c6 * inv * (fi - fj) * iai);
        pair_add(&t, &p, c6 * f, strain);
    }
    pair_finish(&t, strain, sum);
}

void AIM_CPU_NAMED(aim_d3ts)(const aim_row *row, const double own[4], double s8, double a1,
                             double a2, const aim_d3_range *range, aim_row_sum *sum)
{
    PAIR_STRAIN_SPLIT(row, d3ts_row, own, s8, a1, a2, range, sum);
}
