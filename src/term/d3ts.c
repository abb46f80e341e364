/* SPDX-License-Identifier: MIT */
/* d3ts.c - pairwise dispersion with atomic C6 and polarisabilities predicted by the model
 * (docs/math/d3ts.md).
 *
 *     C6_ij = 2 C6_i C6_j / max(C6_i alpha_j/alpha_i + C6_j alpha_i/alpha_j, 1e-4)      A.
 * Tkatchenko, M. Scheffler, doi:10.1103/PhysRevLett.102.073005 E = -1/2 sum_{i != j} C6_ij (s6/(d^6
 * + r0^6) + s8 q/(d^8 + r0^8)) S(d)            q, r0, S as in D3 Bohr and hartree inside. The
 * kernel returns the sums over j and their derivatives to the atom's own C6 and alpha; the sums
 * over both orders of a pair make the total derivative of E equal to minus the atom's own sum. */
#include "point/d3ts.h"
#include "point/units.h"
#include "term/d3_range.h"
#include "term/rows.h"
#include "term/sweep.h"

enum { C6, ALPHA, INV_ALPHA, ROOT, N_PROPERTIES }; /* ROOT: sqrt of r4r2 */

typedef struct d3ts {
    aim_rows rows;
    const double *property[N_PROPERTIES];
    const aim_d3_params *params;
    aim_d3_range range;
    double *gdisp;
} d3ts;

static void d3ts_atom(void *ctx, int32_t i, int worker)
{
    const d3ts *c = ctx;
    const aim_d3_params *p = c->params;
    const int64_t me = c->rows.slot[i];
    aim_row_sum total = {0}, sum = {0};
    aim_rows_piece piece;
    double own[N_PROPERTIES];
    for (int k = 0; k < N_PROPERTIES; k++)
        own[k] = c->property[k][me];
    for (aim_rows_begin(&c->rows, i, worker, &piece); aim_rows_next(&piece);) {
        for (int k = 0; k < N_PROPERTIES; k++)
            aim_rows_add_property(&piece, c->property[k], k);
        c->rows.kernels->d3ts(&piece.row, own, p->s8, p->a1, p->a2, &c->range, &sum);
        aim_row_sum_add(&total, &sum);
    }
    if (c->gdisp)
        for (int k = 0; k < 2; k++)
            c->gdisp[2 * (size_t)i + (size_t)k] -= AIM_HARTREE * total.s[k];
    const double per_bohr2 = AIM_BOHR_INV * AIM_BOHR_INV; /* f is in hartree/bohr^2 */
    aim_rows_add(&c->rows, i, &total, -0.5 * AIM_HARTREE, -AIM_HARTREE * per_bohr2,
                 0.5 * AIM_HARTREE * per_bohr2);
}

static void layout(d3ts *c, aim_arena *a, double *property[N_PROPERTIES])
{
    aim_rows_layout(&c->rows, a);
    for (int k = 0; k < N_PROPERTIES; k++)
        property[k] = aim_rows_property(&c->rows, a, "d3ts.property");
}

static aim_status check(const aim_term_io *io, int n_r4r2)
{
    const aim_batch *b = io->batch;
    for (int32_t i = 0; i < b->n_atoms; i++)
        if (aim_rows_active(io, b->system[i]) && (b->numbers[i] < 0 || b->numbers[i] >= n_r4r2))
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "atom %d has the atomic number %d: D3TS has parameters up to %d",
                            (int)i, (int)b->numbers[i], n_r4r2 - 1);
    return AIMNET_OK;
}

aim_status aim_term_d3ts(aim_term_io *io, const aim_d3_params *params, const double *r4r2,
                         int n_r4r2, const double *disp, double *gdisp)
{
    const aim_batch *b = io->batch;
    const int32_t n = b->n_atoms;
    AIM_TRY(check(io, n_r4r2));
    d3ts c = {.params = params, .gdisp = gdisp};
    AIM_TRY(aim_d3_range_make(params, &c.range));
    AIM_TRY(aim_rows_plan(&c.rows, io, 0, N_PROPERTIES));
    aim_arena measure = {0};
    double *property[N_PROPERTIES];
    layout(&c, &measure, property);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "D3TS workspace"));
    layout(&c, io->scratch, property);
    aim_rows_fill(&c.rows);
    for (int32_t i = 0; i < n; i++) {
        const int64_t k = c.rows.slot[i];
        if (k < 0)
            continue;
        property[C6][k] = disp[2 * (size_t)i];
        property[ALPHA][k] = disp[2 * (size_t)i + 1];
        property[INV_ALPHA][k] = 1.0 / disp[2 * (size_t)i + 1];
        property[ROOT][k] = sqrt(r4r2[b->numbers[i]]);
    }
    for (int k = 0; k < N_PROPERTIES; k++)
        c.property[k] = property[k];
    aim_rows_for(&c.rows, d3ts_atom, &c);
    aim_rows_reduce(&c.rows);
    return AIMNET_OK;
}

typedef struct d3ts_tan {
    aim_sweep sweep;
    double *property[3]; /* C6, alpha, r4r2 by slot */
    const aim_d3_params *params;
    aim_d3_range range;
} d3ts_tan;

static void fill(const void *ctx, aim_sweep_chunk *chunk, double slope[AIM_TAN_PARAMS])
{
    const d3ts_tan *c = ctx;
    const aim_row *row = &chunk->row;
    aim_tan_chunk *pair = chunk->pair;
    const int64_t me = c->sweep.rows.slot[chunk->atom];
    const double inverse2 = AIM_BOHR_INV * AIM_BOHR_INV;
    double own[3];
    for (int k = 0; k < 3; k++) {
        own[k] = c->property[k][me];
        aim_sweep_property(chunk, c->property[k], k);
    }
    for (int p = 0; p < row->n; p++) {
        const double d = aim_sweep_distance(row, p);
        aim_sweep_none(pair, p);
        if (d == 0.0)
            continue;
        const double ratio = aim_d3_c8_ratio(own[2], row->prop[2][p]);
        const aim_deriv e = aim_d3_damped(d * AIM_BOHR_INV, &c->range, c->params, ratio);
        const aim_deriv in_angstrom = {e.v, e.d1 * AIM_BOHR_INV, e.d2 * inverse2};
        const aim_d3ts_c6 c6 = aim_d3ts_combine(own[0], own[1], row->prop[0][p], row->prop[1][p]);
        aim_sweep_radial(pair, p, d, in_angstrom, -AIM_HARTREE);
        const double f = pair->f[p], v = -AIM_HARTREE * e.v;
        pair->f[p] *= c6.v;
        pair->h[p] *= c6.v;
        for (int k = 0; k < 2; k++) {
            slope[k] += v * c6.g[k];
            pair->f_i[k][p] = f * c6.g[k];
            pair->f_j[k][p] = f * c6.g[2 + k];
            for (int m = 0; m < 2; m++) {
                pair->e_ii[k][m][p] = v * c6.h[k][m];
                pair->e_ij[k][m][p] = v * c6.h[k][2 + m];
            }
        }
    }
}

static void layout_tan(d3ts_tan *c, aim_arena *a)
{
    aim_sweep_layout(&c->sweep, a);
    for (int k = 0; k < 3; k++)
        c->property[k] = aim_rows_property(&c->sweep.rows, a, "d3ts.property");
}

aim_status aim_term_d3ts_tan(aim_term_io *io, const aim_term_tan *tan, const aim_d3_params *params,
                             const double *r4r2, int n_r4r2, const double *disp,
                             const double *tdisp, double *tgdisp)
{
    AIM_TRY(check(io, n_r4r2));
    d3ts_tan c = {.params = params};
    aim_sweep *s = &c.sweep;
    AIM_TRY(aim_d3_range_make(params, &c.range));
    AIM_TRY(aim_sweep_plan(s, io, tan, 2, 3, 0));
    aim_arena measure = {0};
    layout_tan(&c, &measure);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "D3TS workspace"));
    layout_tan(&c, io->scratch);
    aim_sweep_load(s);
    const size_t n = (size_t)io->batch->n_atoms;
    for (size_t i = 0; i < n; i++) {
        const int64_t slot = s->rows.slot[i];
        for (size_t k = 0; k < 2 && slot >= 0; k++)
            c.property[k][slot] = disp[2 * i + k];
        if (slot >= 0)
            c.property[2][slot] = r4r2[io->batch->numbers[i]];
    }
    for (int d = 0; tdisp && d < tan->n_dir; d++)
        for (int k = 0; k < 2; k++)
            aim_sweep_set(s, d, k, tdisp + 2 * (size_t)d * n + k, 2);
    aim_sweep_run(s, 2, fill, &c);
    for (int d = 0; tgdisp && d < tan->n_dir; d++)
        for (size_t i = 0; i < n; i++)
            for (int k = 0; k < 2; k++)
                tgdisp[2 * ((size_t)d * n + i) + (size_t)k] +=
                    aim_sweep_sum(s, d, (int32_t)i, AIM_TAN_PARAM + k);
    aim_sweep_add_energy(s, 2);
    aim_sweep_add_grad(s);
    return AIMNET_OK;
}
