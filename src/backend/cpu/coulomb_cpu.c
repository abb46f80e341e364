/* SPDX-License-Identifier: MIT */
/* coulomb_cpu.c - pair loops of electrostatics and repulsion: an atom against its row, vectors
 * along the row.
 *
 * Each loop needs the pair energy per charge, v, and f = -v'(d)/d; formulas in src/point/coulomb.h,
 * cutoff.h and repulsion.h. Envelopes are zero from rc on; the exponential one from d/rc = 0.9993,
 * where it underflows. */
#include "backend/cpu/term_cpu.h"

AIM_INLINE void simple_row(const aim_row *row, aim_row_sum *sum, int strain)
{
    pair_sum s = {0};
    for (int k = 0; k < row->n; k += VL) {
        const pair p = pair_load(row, k);
        const vreal inv = vrsqrt(p.d2);
        const vreal v = vkeep(p.valid, vload(row->prop[0] + k) * inv);
        s.e += v;
        pair_add(&s, &p, vkeep(p.valid, v * inv * inv), strain);
    }
    pair_finish(&s, strain, sum);
}

void AIM_CPU_NAMED(aim_coulomb_simple)(const aim_row *row, aim_row_sum *sum)
{
    PAIR_STRAIN_SPLIT(row, simple_row, sum);
}

AIM_INLINE void dsf_row(const aim_row *row, const aim_dsf *dsf, aim_row_sum *sum, int strain)
{
    pair_sum s = {0};
    for (int k = 0; k < row->n; k += VL) {
        const pair p = pair_load(row, k);
        pair_dsf(&s, &p, vrsqrt(p.d2), vload(row->prop[0] + k), dsf, strain);
    }
    pair_finish(&s, strain, sum);
}

void AIM_CPU_NAMED(aim_coulomb_dsf)(const aim_row *row, const aim_dsf *dsf, aim_row_sum *sum)
{
    PAIR_STRAIN_SPLIT(row, dsf_row, dsf, sum);
}

/* fc and -fc'/d; 0 where d >= rc */
AIM_INLINE void envelope_at(vreal d2, vreal d, vreal inv, double rc, aim_envelope envelope,
                            vreal *fc, vreal *slope)
{
    const vreal one = vset(1.0), inv_rc = vset(1.0 / rc);
    if (envelope == AIM_ENVELOPE_EXP) {
        const vreal u = one - d2 * inv_rc * inv_rc;
        const vint in = ~(u <= vset(1.0 / 700.0)); /* NaN stays in */
        const vreal iu = one / vselect(in, u, one);
        *fc = vkeep(in, vexp_pair(one - iu));
        *slope = *fc * vset(2.0) * inv_rc * inv_rc * iu * iu;
    } else if (envelope == AIM_ENVELOPE_COSINE) {
        const vint in = ~(d >= vset(rc));
        vreal c, s;
        vcossinpi(vkeep(in, d * inv_rc), &c, &s);
        *fc = vkeep(in, vset(0.5) + vset(0.5) * c);
        *slope = vkeep(in, vset(0.5 * AIM_PI) * inv_rc * s * inv);
    } else {
        *fc = one;
        *slope = vset(0.0);
    }
}

AIM_INLINE void sr_row(const aim_row *row, double rc, aim_envelope envelope, aim_row_sum *sum,
                       int strain)
{
    pair_sum s = {0};
    for (int k = 0; k < row->n; k += VL) {
        const pair p = pair_load(row, k);
        const vreal inv = vrsqrt(p.d2), d = p.d2 * inv;
        vreal fc, slope;
        envelope_at(p.d2, d, inv, rc, envelope, &fc, &slope);
        const vreal v = vload(row->prop[0] + k) * inv;
        s.e += vkeep(p.valid, v * fc);
        pair_add(&s, &p, vkeep(p.valid, v * (fc * inv * inv + slope)), strain);
    }
    pair_finish(&s, strain, sum);
}

void AIM_CPU_NAMED(aim_coulomb_sr)(const aim_row *row, double rc, aim_envelope envelope,
                                   aim_row_sum *sum)
{
    if (envelope == AIM_ENVELOPE_EXP)
        PAIR_STRAIN_SPLIT(row, sr_row, rc, AIM_ENVELOPE_EXP, sum);
    else if (envelope == AIM_ENVELOPE_COSINE)
        PAIR_STRAIN_SPLIT(row, sr_row, rc, AIM_ENVELOPE_COSINE, sum);
    else
        PAIR_STRAIN_SPLIT(row, sr_row, rc, AIM_ENVELOPE_NONE, sum);
}

AIM_INLINE void srrep_row(const aim_row *row, double repa, double rc, aim_envelope envelope,
                          aim_row_sum *sum, int strain)
{
    pair_sum s = {0};
    for (int k = 0; k < row->n; k += VL) {
        const pair p = pair_load(row, k);
        const vreal inv = vrsqrt(p.d2), d = p.d2 * inv,
                    alpha = vset(repa) * vload(row->prop[0] + k);
        vreal fc, slope;
        envelope_at(p.d2, d, inv, rc, envelope, &fc, &slope);
        const vreal root = d * vrsqrt(d),
                    v = vload(row->prop[1] + k) * vexp_pair(-(alpha * d * root)) * inv;
        s.e += vkeep(p.valid, v * fc);
        pair_add(&s, &p, vkeep(p.valid, v * ((inv + vset(1.5) * alpha * root) * inv * fc + slope)),
                 strain);
    }
    pair_finish(&s, strain, sum);
}

void AIM_CPU_NAMED(aim_srrep)(const aim_row *row, double repa, double rc, aim_envelope envelope,
                              aim_row_sum *sum)
{
    if (envelope == AIM_ENVELOPE_EXP)
        PAIR_STRAIN_SPLIT(row, srrep_row, repa, rc, AIM_ENVELOPE_EXP, sum);
    else if (envelope == AIM_ENVELOPE_COSINE)
        PAIR_STRAIN_SPLIT(row, srrep_row, repa, rc, AIM_ENVELOPE_COSINE, sum);
    else
        PAIR_STRAIN_SPLIT(row, srrep_row, repa, rc, AIM_ENVELOPE_NONE, sum);
}
