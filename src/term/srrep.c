/* SPDX-License-Identifier: MIT */
/* srrep.c - short-range repulsion of GFN1 type: E = sum_{i != j} b_i b_j exp(-a_i a_j d^1.5) fc(d)
 * / d   (docs/math/srrep.md).
 *
 * a (Angstrom^-0.75) and b (sqrt(eV Angstrom)) are the columns of the model's embedding; the factor
 * 1/2 of a double sum is inside b. The tangent has no parameters per atom: a and b are fixed. */
#include "point/cutoff.h"
#include "point/repulsion.h"
#include "term/rows.h"
#include "term/sweep.h"

typedef struct srrep {
    aim_rows rows;
    const double *property[2]; /* a, b by slot */
    double rc;
    aim_envelope envelope;
} srrep;

static void srrep_atom(void *ctx, int32_t i, int worker)
{
    const srrep *c = ctx;
    const int64_t me = c->rows.slot[i];
    aim_row_sum total = {0}, sum = {0};
    aim_rows_piece p;
    for (aim_rows_begin(&c->rows, i, worker, &p); aim_rows_next(&p);) {
        for (int k = 0; k < 2; k++)
            aim_rows_add_property(&p, c->property[k], k);
        c->rows.kernels->srrep(&p.row, c->property[0][me], c->rc, c->envelope, &sum);
        aim_row_sum_add(&total, &sum);
    }
    const double b = c->property[1][me];
    aim_rows_add(&c->rows, i, &total, b, 2.0 * b, -b);
}

static void layout(srrep *c, aim_arena *a, double *property[2])
{
    aim_rows_layout(&c->rows, a);
    property[0] = aim_rows_property(&c->rows, a, "srrep.a");
    property[1] = aim_rows_property(&c->rows, a, "srrep.b");
}

static aim_status check(const aim_term_io *io, int n_params, double rc, aim_envelope envelope)
{
    if (envelope != AIM_ENVELOPE_NONE && !(rc > 0.0 && isfinite(rc)))
        return AIM_FAIL(
            AIMNET_ERR_ARG,
            "the cutoff of the short-range repulsion is %g: it must be a positive length", rc);
    const aim_batch *b = io->batch;
    for (int32_t i = 0; i < b->n_atoms; i++)
        if (aim_rows_active(io, b->system[i]) && (b->numbers[i] < 0 || b->numbers[i] >= n_params))
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "atom %d has the atomic number %d: the short-range repulsion has "
                            "parameters up to %d",
                            (int)i, (int)b->numbers[i], n_params - 1);
    return AIMNET_OK;
}

aim_status aim_term_srrep(aim_term_io *io, const double *params, int n_params, double rc,
                          aim_envelope envelope, double *e_atom)
{
    AIM_TRY(check(io, n_params, rc, envelope));
    srrep c = {.rc = rc, .envelope = envelope};
    AIM_TRY(aim_rows_plan(&c.rows, io, 0, 2));
    aim_arena measure = {0};
    double *property[2];
    layout(&c, &measure, property);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "repulsion workspace"));
    layout(&c, io->scratch, property);
    aim_rows_fill(&c.rows);
    for (int32_t i = 0; i < io->batch->n_atoms; i++)
        for (int k = 0; k < 2 && c.rows.slot[i] >= 0; k++)
            property[k][c.rows.slot[i]] = params[2 * io->batch->numbers[i] + k];
    c.property[0] = property[0];
    c.property[1] = property[1];
    aim_rows_for(&c.rows, srrep_atom, &c);
    for (int32_t i = 0; e_atom && i < io->batch->n_atoms; i++)
        e_atom[i] += c.rows.e[i];
    aim_rows_reduce(&c.rows);
    return AIMNET_OK;
}

typedef struct srrep_tan {
    aim_sweep sweep;
    double *property[2]; /* a, b by slot */
    double rc;
    aim_envelope envelope;
} srrep_tan;

static void fill(const void *ctx, aim_sweep_chunk *chunk, double slope[AIM_TAN_PARAMS])
{
    const srrep_tan *c = ctx;
    const aim_row *row = &chunk->row;
    const int64_t me = c->sweep.rows.slot[chunk->atom];
    const double a = c->property[0][me], b = c->property[1][me];
    (void)slope;
    for (int k = 0; k < 2; k++)
        aim_sweep_property(chunk, c->property[k], k);
    for (int p = 0; p < row->n; p++) {
        const double d = aim_sweep_distance(row, p);
        aim_sweep_none(chunk->pair, p);
        if (d == 0.0)
            continue;
        const aim_deriv e = aim_deriv_mul(aim_repulsion_gfn1(d, a * row->prop[0][p]),
                                          aim_cutoff_envelope(d, c->rc, c->envelope));
        aim_sweep_radial(chunk->pair, p, d, e, 2.0 * b * row->prop[1][p]);
    }
}

static void layout_tan(srrep_tan *c, aim_arena *a)
{
    aim_sweep_layout(&c->sweep, a);
    for (int k = 0; k < 2; k++)
        c->property[k] = aim_rows_property(&c->sweep.rows, a, "srrep.property");
}

aim_status aim_term_srrep_tan(aim_term_io *io, const aim_term_tan *tan, const double *params,
                              int n_params, double rc, aim_envelope envelope)
{
    AIM_TRY(check(io, n_params, rc, envelope));
    srrep_tan c = {.rc = rc, .envelope = envelope};
    AIM_TRY(aim_sweep_plan(&c.sweep, io, tan, 0, 2, 0));
    aim_arena measure = {0};
    layout_tan(&c, &measure);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "repulsion workspace"));
    layout_tan(&c, io->scratch);
    aim_sweep_load(&c.sweep);
    for (int32_t i = 0; i < io->batch->n_atoms; i++)
        for (int k = 0; k < 2 && c.sweep.rows.slot[i] >= 0; k++)
            c.property[k][c.sweep.rows.slot[i]] = params[2 * io->batch->numbers[i] + k];
    aim_sweep_run(&c.sweep, 0, fill, &c);
    aim_sweep_add_energy(&c.sweep, 0);
    aim_sweep_add_grad(&c.sweep);
    return AIMNET_OK;
}
