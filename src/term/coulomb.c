/* SPDX-License-Identifier: MIT */
/* coulomb.c - electrostatics of point charges: plain, short-range with an envelope, and damped
 * shifted force.
 *
 *     E = k_e/2 sum_{i != j} q_i q_j f(d_ij)      (docs/math/coulomb.md)
 * The kernels return the potential phi_i = sum_j q_j f(d_ij), so that E = 1/2 sum k_e q_i phi_i and
 * dE/dq_i = k_e phi_i. DSF adds k_e q_i^2 self to every atom. Calls: calc for external modules, and
 * the model's outputs SRCoulomb and LRCoulomb. */
#include "point/coulomb.h"
#include "term/rows.h"
#include "term/screened.h"

typedef struct coulomb {
    aim_rows rows;
    const double *q;    /* [n_slots] */
    double k;           /* factor * k_e */
    const aim_dsf *dsf; /* not NULL: damped shifted force */
    double
        ewald_accuracy; /* > 0: real-space and self part of Ewald sums, parameters of each system */
    double sr_rc;       /* > 0: short range */
    aim_envelope envelope;
} coulomb;

static void coulomb_atom(void *ctx, int32_t i, int worker)
{
    const coulomb *c = ctx;
    const aim_term_io *io = c->rows.io;
    aim_row row;
    aim_row_sum sum;
    aim_rows_span span[1];
    const aim_dsf *dsf = c->dsf;
    aim_dsf own;
    if (c->ewald_accuracy > 0.0) {
        own = aim_ewald_screening(io->batch, io->batch->system[i], c->ewald_accuracy);
        dsf = &own;
    }
    aim_rows_get(&c->rows, i, worker, &c->q, 1, &row, span);
    if (dsf)
        c->rows.kernels->coulomb_dsf(&row, dsf, &sum);
    else if (c->sr_rc > 0.0)
        c->rows.kernels->coulomb_sr(&row, c->sr_rc, c->envelope, &sum);
    else
        c->rows.kernels->coulomb_simple(&row, &sum);
    const double kq = c->k * io->q[i];
    double phi = sum.e;
    if (dsf) {
        phi += 2.0 * dsf->self * io->q[i];
        sum.e = phi;
    }
    if (io->gq)
        io->gq[i] += c->k * phi;
    aim_rows_add(&c->rows, i, &sum, 0.5 * kq, kq, -0.5 * kq);
}

static void layout(coulomb *c, aim_arena *a, double **q)
{
    aim_rows_layout(&c->rows, a);
    *q = aim_rows_property(&c->rows, a, "coulomb.q");
}

static aim_status evaluate(coulomb *c, aim_term_io *io)
{
    AIM_TRY(aim_rows_plan(&c->rows, io, 0, 1, 1.0));
    aim_arena measure = {0};
    double *q;
    layout(c, &measure, &q);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "Coulomb workspace"));
    layout(c, io->scratch, &q);
    aim_rows_fill(&c->rows);
    for (int32_t i = 0; i < io->batch->n_atoms; i++)
        if (c->rows.slot[i] >= 0)
            q[c->rows.slot[i]] = io->q[i];
    c->q = q;
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

aim_status aim_term_coulomb_screened(aim_term_io *io, double accuracy)
{
    coulomb c = {.k = AIM_COULOMB_K, .ewald_accuracy = accuracy};
    return evaluate(&c, io);
}
