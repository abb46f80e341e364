/* SPDX-License-Identifier: MIT */
/* d3ts.c - pairwise dispersion with atomic C6 and polarisabilities predicted by the model
 * (docs/math/d3ts.md).
 *
 *     C6_ij = 2 C6_i C6_j / max(C6_i alpha_j/alpha_i + C6_j alpha_i/alpha_j, 1e-4)      A.
 * Tkatchenko, M. Scheffler, doi:10.1103/PhysRevLett.102.073005 E = -1/2 sum_{i != j} C6_ij (s6/(d^6
 * + r0^6) + s8 q/(d^8 + r0^8)) S(d)            q, r0, S as in D3 Bohr and hartree inside. The
 * kernel returns the sums over j and their derivatives to the atom's own C6 and alpha; the sums
 * over both orders of a pair make the total derivative of E equal to minus the atom's own sum. */
#include "point/units.h"
#include "term/d3_range.h"
#include "term/rows.h"

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
    aim_row row;
    aim_row_sum sum;
    aim_rows_span span[1];
    double own[N_PROPERTIES];
    for (int k = 0; k < N_PROPERTIES; k++)
        own[k] = c->property[k][me];
    aim_rows_get(&c->rows, i, worker, c->property, N_PROPERTIES, &row, span);
    c->rows.kernels->d3ts(&row, own, p->s8, p->a1, p->a2, &c->range, &sum);
    if (c->gdisp)
        for (int k = 0; k < 2; k++)
            c->gdisp[2 * (size_t)i + (size_t)k] -= AIM_HARTREE * sum.s[k];
    aim_rows_add(&c->rows, i, &sum, -0.5 * AIM_HARTREE, -AIM_HARTREE * AIM_BOHR_INV,
                 0.5 * AIM_HARTREE);
}

static void layout(d3ts *c, aim_arena *a, double *property[N_PROPERTIES])
{
    aim_rows_layout(&c->rows, a);
    for (int k = 0; k < N_PROPERTIES; k++)
        property[k] = aim_rows_property(&c->rows, a, "d3ts.property");
}

aim_status aim_term_d3ts(aim_term_io *io, const aim_d3_params *params, const double *r4r2,
                         int n_r4r2, const double *disp, double *gdisp)
{
    const aim_batch *b = io->batch;
    const int32_t n = b->n_atoms;
    for (int32_t i = 0; i < n; i++)
        if (aim_rows_active(io, b->system[i]) && (b->numbers[i] < 0 || b->numbers[i] >= n_r4r2))
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "atom %d has the atomic number %d: D3TS has parameters up to %d",
                            (int)i, (int)b->numbers[i], n_r4r2 - 1);
    d3ts c = {.params = params, .gdisp = gdisp};
    AIM_TRY(aim_d3_range_make(params, &c.range));
    AIM_TRY(aim_rows_plan(&c.rows, io, 0, N_PROPERTIES, AIM_BOHR_INV));
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
