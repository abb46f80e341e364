/* SPDX-License-Identifier: MIT */
/* coulomb_tan.c - directional derivatives of the pair sums of electrostatics (docs/math/tangents.md).
 *
 * A pair's energy is k q_i q_j v(d), so its parameter is the charge: f = k q_i q_j f0(d),
 * f_i = k q_j f0, e_ij = k v. The self term k_e q_i^2 self of DSF and Ewald adds 2 k_e self tq_i to
 * the tangent of dE/dq_i. */
#include "base/vec3.h"
#include "point/coulomb.h"
#include "point/cutoff.h"
#include "term/screened.h"
#include "term/sweep.h"

typedef struct coulomb_tan {
    aim_sweep sweep;
    double *q;          /* [n_slots] */
    double k;           /* factor * k_e */
    const aim_dsf *dsf; /* not NULL: damped shifted force */
    aim_dsf *own;       /* not NULL: [n_systems] real-space and self part of Ewald sums */
    double *reach;      /* [n_systems] their cutoffs */
    aim_splitting_fn splitting;
    double accuracy;
    double sr_rc;
    aim_envelope envelope;
} coulomb_tan;

/* Of atom i's system for Ewald sums; {0} without damping. */
static aim_dsf damping(const coulomb_tan *c, int32_t i)
{
    if (c->own)
        return c->own[c->sweep.io->batch->system[i]];
    const aim_dsf none = {0};
    return c->dsf ? *c->dsf : none;
}

/* 1/d times the envelope: the few pairs within the network's reach */
static double short_range(const coulomb_tan *c, const aim_row *row, double q, aim_tan_chunk *pair)
{
    double slope = 0.0;
    for (int p = 0; p < row->n; p++) {
        const double d = aim_sweep_distance(row, p), qj = row->prop[0][p];
        aim_sweep_none(pair, p);
        if (d == 0.0)
            continue;
        const aim_deriv v =
            aim_deriv_mul(aim_coulomb_simple(d), aim_cutoff_envelope(d, c->sr_rc, c->envelope));
        aim_sweep_radial(pair, p, d, v, c->k);
        pair->f_i[0][p] = qj * pair->f[p];
        pair->f_j[0][p] = q * pair->f[p];
        pair->f[p] *= q * qj;
        pair->h[p] *= q * qj;
        pair->e_ij[0][0][p] = c->k * v.v;
        slope += c->k * v.v * qj;
    }
    return slope;
}

static void fill(const void *ctx, aim_sweep_chunk *chunk, double slope[AIM_TAN_PARAMS])
{
    const coulomb_tan *c = ctx;
    const double q = c->sweep.io->q[chunk->atom];
    const aim_dsf dsf = damping(c, chunk->atom);
    aim_sweep_property(chunk, c->q, 0);
    slope[0] += c->sr_rc > 0.0
                    ? short_range(c, &chunk->row, q, chunk->pair)
                    : c->sweep.rows.kernels->tan_coulomb(&chunk->row, &dsf, c->k, q, chunk->pair);
}

static void add_charges(const coulomb_tan *c)
{
    const aim_sweep *s = &c->sweep;
    const aim_term_tan *tan = s->tan;
    const aim_batch *b = s->io->batch;
    for (int32_t i = 0; i < b->n_atoms; i++) {
        if (!aim_rows_active(s->io, b->system[i]))
            continue;
        const double self = 2.0 * c->k * damping(c, i).self;
        s->slope[AIM_TAN_PARAMS * (size_t)i] += self * s->io->q[i];
        for (int d = 0; tan->tgq && d < tan->n_dir; d++)
            tan->tgq[(size_t)d * (size_t)b->n_atoms + (size_t)i] +=
                aim_sweep_sum(s, d, i, AIM_TAN_PARAM) + self * aim_sweep_input(s, d, i, 3);
    }
}

static void layout(coulomb_tan *c, aim_arena *a)
{
    const size_t systems = (size_t)c->sweep.io->batch->n_systems;
    aim_sweep_layout(&c->sweep, a);
    c->q = aim_rows_property(&c->sweep.rows, a, "coulomb.q");
    c->own = c->splitting ? aim_take(a, "coulomb.own", systems, sizeof *c->own) : NULL;
    c->reach = c->splitting ? aim_take(a, "coulomb.reach", systems, sizeof *c->reach) : NULL;
}

static aim_status evaluate(coulomb_tan *c, aim_term_io *io, const aim_term_tan *tan)
{
    aim_sweep *s = &c->sweep;
    AIM_TRY(aim_sweep_plan(s, io, tan, 1, 1, 0));
    aim_arena measure = {0};
    layout(c, &measure);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "Coulomb workspace"));
    layout(c, io->scratch);
    for (int32_t k = 0; c->own && k < io->batch->n_systems; k++)
        if (aim_rows_active(io, k)) {
            c->own[k] = aim_screening(c->splitting(io->batch, k, c->accuracy));
            c->reach[k] = c->own[k].rc;
        }
    s->rows.reach = c->reach;
    aim_sweep_load(s);
    aim_coulomb_charges(&s->rows, c->q);
    for (int d = 0; tan->tq && d < tan->n_dir; d++)
        aim_sweep_set(s, d, 0, tan->tq + (size_t)d * (size_t)io->batch->n_atoms, 1);
    aim_sweep_run(s, 1, fill, c);
    add_charges(c);
    aim_sweep_add_energy(s, 1);
    aim_sweep_add_grad(s);
    return AIMNET_OK;
}

aim_status aim_term_coulomb_simple_tan(aim_term_io *io, const aim_term_tan *tan, double factor)
{
    coulomb_tan c = {.k = factor * AIM_COULOMB_K};
    return evaluate(&c, io, tan);
}

aim_status aim_term_coulomb_sr_tan(aim_term_io *io, const aim_term_tan *tan, double rc,
                                   aim_envelope envelope, double factor)
{
    AIM_TRY(aim_coulomb_check_sr(rc));
    coulomb_tan c = {.k = factor * AIM_COULOMB_K, .sr_rc = rc, .envelope = envelope};
    return evaluate(&c, io, tan);
}

aim_status aim_term_coulomb_dsf_tan(aim_term_io *io, const aim_term_tan *tan, double rc,
                                    double alpha)
{
    AIM_TRY(aim_coulomb_check_dsf(rc, alpha));
    const aim_dsf dsf = aim_dsf_make(rc, alpha);
    coulomb_tan c = {.k = AIM_COULOMB_K, .dsf = &dsf};
    return evaluate(&c, io, tan);
}

aim_status aim_term_coulomb_screened_tan(aim_term_io *io, const aim_term_tan *tan,
                                         aim_splitting_fn splitting, double accuracy)
{
    coulomb_tan c = {.k = AIM_COULOMB_K, .splitting = splitting, .accuracy = accuracy};
    return evaluate(&c, io, tan);
}

void aim_term_background_tan(const aim_term_io *io, const aim_term_tan *tan, int32_t s,
                             double alpha)
{
    const aim_batch *b = io->batch;
    const double c =
        -AIM_PI * AIM_COULOMB_K / (fabs(aim_det3(b->cell + 9 * (size_t)s)) * alpha * alpha);
    double charge = 0.0;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        charge += io->q[i];
    for (int d = 0; d < tan->n_dir; d++) {
        const size_t at = (size_t)d * (size_t)b->n_systems + (size_t)s;
        const double *w = tan->w ? tan->w + 9 * at : NULL, trace = w ? w[0] + w[4] + w[8] : 0.0;
        const size_t first = (size_t)d * (size_t)b->n_atoms;
        double tcharge = 0.0;
        for (int32_t i = b->offset[s]; tan->tq && i < b->offset[s + 1]; i++)
            tcharge += tan->tq[first + (size_t)i];
        const double te = c * charge * (tcharge - 0.5 * trace * charge);
        if (tan->tenergy)
            tan->tenergy[at] += te;
        for (int32_t i = b->offset[s]; tan->tgq && i < b->offset[s + 1]; i++)
            tan->tgq[first + (size_t)i] += c * (tcharge - trace * charge);
        for (size_t x = 0; tan->tstrain && x < 9; x += 4)
            tan->tstrain[9 * at + x] -= te;
    }
}
