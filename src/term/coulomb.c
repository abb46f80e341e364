/* SPDX-License-Identifier: MIT */
/* coulomb.c - electrostatics of point charges: plain, short-range with an envelope, and damped
 * shifted force.
 *
 *     E = k_e/2 sum_{i != j} q_i q_j f(d_ij)      (docs/math/coulomb.md)
 * The kernels return the potential phi_i = sum_j q_j f(d_ij), so that E = 1/2 sum k_e q_i phi_i and
 * dE/dq_i = k_e phi_i. DSF adds k_e q_i^2 self to every atom. Calls: calc for external modules, and
 * the model's outputs SRCoulomb and LRCoulomb. */
#include "base/vec3.h"
#include "point/coulomb.h"
#include "term/rows.h"
#include "term/screened.h"

typedef struct coulomb {
    aim_rows rows;
    const double *q;    /* [n_slots] */
    double k;           /* factor * k_e */
    const aim_dsf *dsf; /* not NULL: damped shifted force */
    aim_dsf *own;       /* not NULL: [n_systems] real-space and self part of Ewald sums */
    double *reach;      /* [n_systems] their cutoffs */
    aim_splitting_fn splitting;
    double accuracy;
    double sr_rc; /* > 0: short range */
    aim_envelope envelope;
} coulomb;

void aim_coulomb_add(const aim_rows *rows, int32_t i, aim_row_sum *sum, double k,
                     const aim_dsf *dsf)
{
    const aim_term_io *io = rows->io;
    const double kq = k * io->q[i];
    if (dsf)
        sum->e += 2.0 * dsf->self * io->q[i];
    if (io->gq)
        io->gq[i] += k * sum->e;
    aim_rows_add(rows, i, sum, 0.5 * kq, kq, -0.5 * kq);
}

void aim_coulomb_charges(const aim_rows *rows, double *q)
{
    for (int32_t i = 0; i < rows->io->batch->n_atoms; i++)
        if (rows->slot[i] >= 0)
            q[rows->slot[i]] = rows->io->q[i];
}

static void coulomb_atom(void *ctx, int32_t i, int worker)
{
    const coulomb *c = ctx;
    const aim_term_io *io = c->rows.io;
    const aim_term_kernels *kernels = c->rows.kernels;
    const aim_dsf *dsf = c->own ? c->own + io->batch->system[i] : c->dsf;
    aim_row_sum total = {0}, sum = {0};
    aim_rows_piece p;
    for (aim_rows_begin(&c->rows, i, worker, &p); aim_rows_next(&p);) {
        aim_rows_add_property(&p, c->q, 0);
        if (dsf)
            kernels->coulomb_dsf(&p.row, dsf, &sum);
        else if (c->sr_rc > 0.0)
            kernels->coulomb_sr(&p.row, c->sr_rc, c->envelope, &sum);
        else
            kernels->coulomb_simple(&p.row, &sum);
        aim_row_sum_add(&total, &sum);
    }
    aim_coulomb_add(&c->rows, i, &total, c->k, dsf);
}

static void layout(coulomb *c, aim_arena *a, double **q)
{
    aim_rows_layout(&c->rows, a);
    *q = aim_rows_property(&c->rows, a, "coulomb.q");
    const size_t systems = c->splitting ? (size_t)c->rows.io->batch->n_systems : 0;
    c->own = c->splitting ? aim_take(a, "coulomb.own", systems, sizeof *c->own) : NULL;
    c->reach = c->splitting ? aim_take(a, "coulomb.reach", systems, sizeof *c->reach) : NULL;
}

static aim_status evaluate(coulomb *c, aim_term_io *io)
{
    AIM_TRY(aim_rows_plan(&c->rows, io, 0, 1));
    aim_arena measure = {0};
    double *q;
    layout(c, &measure, &q);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "Coulomb workspace"));
    layout(c, io->scratch, &q);
    aim_rows_fill(&c->rows);
    aim_coulomb_charges(&c->rows, q);
    c->q = q;
    for (int32_t s = 0; c->own && s < io->batch->n_systems; s++)
        if (aim_rows_active(io, s)) {
            c->own[s] = aim_screening(c->splitting(io->batch, s, c->accuracy));
            c->reach[s] = c->own[s].rc;
        }
    c->rows.reach = c->reach;
    aim_rows_for(&c->rows, coulomb_atom, c);
    aim_rows_reduce(&c->rows);
    return AIMNET_OK;
}

aim_status aim_term_coulomb_simple(aim_term_io *io, double factor)
{
    coulomb c = {.k = factor * AIM_COULOMB_K};
    return evaluate(&c, io);
}

aim_status aim_coulomb_check_sr(double rc)
{
    if (!(rc > 0.0 && isfinite(rc)))
        return AIM_FAIL(
            AIMNET_ERR_ARG,
            "the cutoff of the short-range Coulomb energy is %g: it must be a positive length", rc);
    return AIMNET_OK;
}

aim_status aim_coulomb_check_dsf(double rc, double alpha)
{
    if (!(rc > 0.0 && isfinite(rc)))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "the cutoff of the DSF Coulomb energy is %g: it must be a positive length",
                        rc);
    if (!(alpha >= 0.0 && isfinite(alpha)))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "the damping of the DSF Coulomb energy is %g: it must not be negative",
                        alpha);
    return AIMNET_OK;
}

aim_status aim_term_coulomb_sr(aim_term_io *io, double rc, aim_envelope envelope, double factor)
{
    AIM_TRY(aim_coulomb_check_sr(rc));
    coulomb c = {.k = factor * AIM_COULOMB_K, .sr_rc = rc, .envelope = envelope};
    return evaluate(&c, io);
}

aim_status aim_term_coulomb_dsf(aim_term_io *io, double rc, double alpha)
{
    AIM_TRY(aim_coulomb_check_dsf(rc, alpha));
    const aim_dsf dsf = aim_dsf_make(rc, alpha);
    coulomb c = {.k = AIM_COULOMB_K, .dsf = &dsf};
    return evaluate(&c, io);
}

aim_dsf aim_screening(aim_splitting p)
{
    return (aim_dsf){.alpha = p.alpha,
                     .rc = p.real_cutoff,
                     .gauss = 2.0 * p.alpha / AIM_SQRT_PI,
                     .self = -p.alpha / AIM_SQRT_PI};
}

aim_status aim_term_coulomb_screened(aim_term_io *io, aim_splitting_fn splitting, double accuracy)
{
    coulomb c = {.k = AIM_COULOMB_K, .splitting = splitting, .accuracy = accuracy};
    return evaluate(&c, io);
}

void aim_term_background(const aim_term_io *io, int32_t s, double alpha)
{
    const aim_batch *b = io->batch;
    double charge = 0;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        charge += io->q[i];
    const double c = -AIM_PI * AIM_COULOMB_K /
                     (fabs(aim_det3(b->cell + 9 * (size_t)s)) * alpha * alpha),
                 energy = 0.5 * c * charge * charge;
    if (io->energy)
        io->energy[s] += energy;
    for (int32_t i = b->offset[s]; io->gq && i < b->offset[s + 1]; i++)
        io->gq[i] += c * charge;
    for (int x = 0; io->strain && x < 9; x += 4)
        io->strain[9 * (size_t)s + (size_t)x] -= energy;
}
