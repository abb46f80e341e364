/* SPDX-License-Identifier: MIT */
/* program_tan.c - program.c and the external terms, differentiated: from tangents of charges and
 * heads to those of their adjoints.
 *
 * What adds to the energy linearly (sums, shifts) has nothing to say: its adjoint is constant.
 * Left are the terms, each with its own tangent, and the dispersion parameters p = p0 exp(y),
 * whose adjoint gy = gp p has the tangent tgp p + gp p ty. In a loss every system's energy has a
 * weight w (`seed`): it adds w times the first-order adjoint to each of these. */
#include <math.h>
#include <string.h>

#include "calc/tangent.h"

/* Per-atom slots between the network and a term or a sum. */
static int matters(const aim_member *member, int s)
{
    const aim_model *m = member->model;
    return s >= AIM_SLOT_FIRST_FREE && m->slot[s].kind == AIM_VALUE_ATOM && member->live[s];
}

void aim_tangents_layout(const aim_member *member, const aim_batch *b, int n_dir, int strain,
                         aim_arena *arena, aim_tangents *t)
{
    const aim_model *m = member->model;
    const size_t rows = (size_t)n_dir * (size_t)b->n_atoms,
                 systems = (size_t)n_dir * (size_t)b->n_systems;
    *t = (aim_tangents){.n_dir = n_dir};
    for (int s = AIM_SLOT_FIRST_FREE; s < m->n_slots; s++) {
        if (!matters(member, s))
            continue;
        const size_t count = rows * (size_t)m->slot[s].width;
        t->tslot[s] = aim_take(arena, "tslot", count, sizeof(double));
        t->tadjoint[s] = aim_take(arena, "tadjoint", count, sizeof(double));
    }
    t->tq = aim_take(arena, "tq", rows, sizeof(double));
    t->tspin = aim_take(arena, "tspin", rows, sizeof(double));
    t->tgq = aim_take(arena, "tgq", rows, sizeof(double));
    t->tgspin = aim_take(arena, "tgspin", rows, sizeof(double));
    t->tgrad = aim_take(arena, "tgrad", 3 * rows, sizeof(double));
    t->tstrain = strain ? aim_take(arena, "tstrain", 9 * systems, sizeof(double)) : NULL;
}

static aim_term_tan term_tan(const aim_tangents *t)
{
    return (aim_term_tan){
        .n_dir = t->n_dir, .tx = t->tx, .w = t->w, .tgrad = t->tgrad, .tstrain = t->tstrain};
}

static void use_charges(aim_term_tan *tan, const aim_tangents *t, int slot)
{
    tan->tq = slot == AIM_SLOT_SPIN_CHARGES ? t->tspin : t->tq;
    tan->tgq = slot == AIM_SLOT_SPIN_CHARGES ? t->tgspin : t->tgq;
}

static void disp_param(const aim_values *v, const aim_output *o, const aim_batch *b,
                       const aim_tangents *t)
{
    const size_t n = 2 * (size_t)b->n_atoms;
    const double *in = v->slot[o->in], *out = v->slot[o->out];
    for (size_t k = 0; k < (size_t)t->n_dir; k++)
        for (size_t i = 0; i < n; i++)
            t->tslot[o->out][k * n + i] =
                fabs(in[i]) <= 4.0 ? out[i] * t->tslot[o->in][k * n + i] : 0.0;
}

static aim_status run_term(aim_calc *c, const aim_output *o, const aim_range_plan *range,
                           const aim_tangents *t)
{
    const aim_values *v = &c->values;
    const aim_range_list near_list = aim_calc_near(c);
    aim_term_io near = aim_calc_term_io(c, &near_list, NULL, 0),
                far = aim_calc_term_io(c, &range->d3, NULL, 0);
    aim_term_tan tan = term_tan(t);
    const aim_d3_params p = aim_program_d3_params(o);
    if (o->in >= 0 && o->in < AIM_SLOT_FIRST_FREE) {
        near.q = v->slot[o->in];
        use_charges(&tan, t, o->in);
    }
    switch (o->kind) {
    case AIM_OUT_SRCOULOMB:
        return aim_term_coulomb_sr_tan(&near, &tan, o->rc, o->envelope, -1.0);
    case AIM_OUT_LRCOULOMB: {
        const aim_range_plan own = aim_program_own_range(c, o, range);
        AIM_TRY(aim_calc_coulomb_tan(c, &own, near.q, &tan));
        return o->subtract_sr ? aim_term_coulomb_sr_tan(&near, &tan, o->rc, o->envelope, -1.0)
                              : AIMNET_OK;
    }
    case AIM_OUT_SRREP:
        return aim_term_srrep_tan(&near, &tan, o->table, o->n_table, o->rc, o->envelope);
    case AIM_OUT_D3TS:
        return aim_term_d3ts_tan(&far, &tan, &p, o->table, o->n_table, v->slot[o->in],
                                 t->tslot[o->in], t->tadjoint[o->in]);
    case AIM_OUT_DFTD3: {
        const aim_d3_table table = aim_program_d3_table(c, o);
        return aim_term_d3_tan(&far, &tan, &table, &p);
    }
    default:
        return AIMNET_OK;
    }
}

static aim_status external_terms(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                                 const aim_tangents *t)
{
    aim_term_tan tan = term_tan(t);
    if (member->dispersion) {
        aim_term_io io = aim_calc_term_io(c, &range->d3, NULL, 0);
        AIM_TRY(aim_term_d3_tan(&io, &tan, c->d3_table, &member->d3));
    }
    if (!member->coulomb)
        return AIMNET_OK;
    use_charges(&tan, t, AIM_SLOT_CHARGES);
    AIM_TRY(aim_calc_coulomb_tan(c, range, c->values.q, &tan));
    if (!member->subtract_sr)
        return AIMNET_OK;
    const aim_range_list near = aim_calc_near(c);
    aim_term_io io = aim_calc_term_io(c, &near, NULL, 0);
    io.q = c->values.q;
    return aim_term_coulomb_sr_tan(&io, &tan, member->sr_rc, member->sr_envelope, -1.0);
}

/* Seeds of a loss: its own on the charges, and every system's weight times the first-order
 * adjoints. */
static void seed_charges(const aim_calc *c, const aim_tangents *t)
{
    const aim_batch *b = &c->flat.batch;
    const aim_values *v = &c->values;
    const size_t n = (size_t)b->n_atoms;
    for (size_t r = 0; r < (size_t)t->n_dir * n; r++) {
        const double w = t->seed ? t->seed[b->system[r % n]] : 0.0;
        t->tgq[r] += w * v->gq[r % n] + (t->charge_seed ? t->charge_seed[r] : 0.0);
        t->tgspin[r] += w * v->gspin[r % n] + (t->spin_seed ? t->spin_seed[r] : 0.0);
    }
}

aim_status aim_program_tangent(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                               const aim_tangents *t)
{
    const aim_model *m = member->model;
    for (int k = 0; k < m->n_outputs; k++) {
        const aim_output *o = &m->output[k];
        if (!member->live[o->out])
            continue;
        if (o->kind == AIM_OUT_DISP_PARAM)
            disp_param(&c->values, o, &c->flat.batch, t);
        else
            AIM_TRY(run_term(c, o, range, t));
    }
    AIM_TRY(external_terms(c, member, range, t));
    seed_charges(c, t);
    return AIMNET_OK;
}

static double seed_of(const aim_batch *b, const aim_tangents *t, size_t i)
{
    return t->seed ? t->seed[b->system[i]] : 0.0;
}

void aim_program_tangent_backward(const aim_calc *c, const aim_member *member,
                                  const aim_tangents *t)
{
    const aim_model *m = member->model;
    const aim_batch *b = &c->flat.batch;
    for (int k = m->n_outputs - 1; k >= 0; k--) {
        const aim_output *o = &m->output[k];
        const int from = o->in >= AIM_SLOT_FIRST_FREE ? o->in : o->base;
        if (!member->live[o->out] || from < AIM_SLOT_FIRST_FREE || !t->tadjoint[from])
            continue;
        const size_t width = (size_t)m->slot[from].width, atoms = (size_t)b->n_atoms;
        const double *later = t->tadjoint[o->out], *in = c->values.slot[o->in >= 0 ? o->in : from],
                     *out = c->values.slot[o->out], *g = c->values.adjoint[o->out];
        size_t r = 0;
        for (size_t row = 0, i = 0; row < (size_t)t->n_dir * atoms; row++, i++) {
            i = i == atoms ? 0 : i;
            const double seed = seed_of(b, t, i);
            for (size_t e = i * width; e < (i + 1) * width; e++, r++) {
                double *tg = t->tadjoint[from] + r;
                if (o->kind == AIM_OUT_ATOMIC_SUM)
                    *tg += seed;
                else if (o->kind == AIM_OUT_DISP_PARAM)
                    *tg += fabs(in[e]) <= 4.0
                               ? (later[r] + seed * g[e]) * out[e] + g[e] * t->tslot[o->out][r]
                               : 0.0;
                else if (later)
                    *tg += later[r];
            }
        }
    }
}
