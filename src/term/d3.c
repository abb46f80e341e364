/* SPDX-License-Identifier: MIT */
/* d3.c - DFT-D3 with rational damping, two-body   (docs/math/d3.md). Bohr and hartree inside.
 *
 *     CN_i = sum_j 1/(1 + exp(-16 (rcov_ij/d - 1)))            C6_ij = sum_ab W_ab c6_ab / sum_ab
 * W_ab,   W_ab = exp(s_a + s_b) E = -1/2 sum_{i != j} C6_ij (s6/(d^6 + r0^6) + s8 q/(d^8 + r0^8))
 * S(d) with s_a = -4 (CN_i - CN_a)^2 minus its largest value, and W_ab = 0 where s_a + s_b <
 * weight_floor. Three sweeps over all rows: coordination numbers and normalised weights; energy,
 * pair forces and dE/dCN; forces through the coordination numbers.
 *
 * Per atom the weights w_a = exp(s_a)/sum exp(s) make C6 bilinear where no pair of references is
 * dropped. Pairs with s_a + s_b below the floor although both single exponents are above it are
 * found per atom and element from the smallest exponent that occurs (`lowest`), and only those
 * carry a test into the kernel (aim_d3_drop). */
#include <math.h>

#include "point/d3_damping.h"
#include "point/units.h"
#include "term/d3_range.h"
#include "term/rows.h"
#include "term/screened.h"

typedef struct d3 {
    aim_rows rows;
    const aim_d3_table *table;
    const aim_d3_params *params;
    aim_d3_range range;
    int max_ref;                /* references of the elements in the batch */
    double *w[AIM_D3_MAX_REF];  /* [n_slots] normalised weights, 0 where dropped ... */
    double *s[AIM_D3_MAX_REF];  /* ... their exponents ... */
    double *dw[AIM_D3_MAX_REF]; /* ... and d/dCN of the weights */
    double *c;                  /* [n_slots] dE/dCN */
    double *lowest;      /* [n_groups][max_ref] smallest exponent >= floor in the group; INFINITY:
                            reference without weight */
    aim_d3_block *block; /* [workers][max_groups] */
    const aim_dsf
        *dsf; /* not NULL: damped shifted force, summed with the coordination numbers ... */
    aim_term_io coulomb_io; /* ... over the same pairs ... */
    aim_rows coulomb;       /* ... and rows, with sums of its own */
    double *q;              /* [n_slots] */
} d3;

/* sum f r of kernels whose f is in hartree/bohr^2 */
static const double PER_BOHR2 = AIM_BOHR_INV * AIM_BOHR_INV;

static int n_refs(const aim_d3_table *t, int z)
{
    return t->first[z + 1] - t->first[z];
}

static void set_weights(const d3 *c, int z, int64_t slot, double cn)
{
    const aim_d3_table *t = c->table;
    const int n = n_refs(t, z);
    const double *ref = t->cn + t->first[z];
    double s[AIM_D3_MAX_REF], top = -INFINITY, sum = 0.0, dsum = 0.0;
    const int clamped = t->cn_max && cn > t->cn_max[z];
    if (clamped)
        cn = t->cn_max[z];
    for (int a = 0; a < n; a++) {
        s[a] = aim_d3_exponent(cn, ref[a]);
        top = fmax(top, s[a]);
    }
    for (int a = 0; a < n; a++) {
        s[a] -= top;
        const double w = s[a] >= t->weight_floor ? exp(s[a]) : 0.0;
        c->s[a][slot] = s[a];
        c->w[a][slot] = w;
        sum += w;
        dsum += w * -2.0 * AIM_D3_K3 * (cn - ref[a]);
    }
    for (int a = 0; a < n; a++) {
        const double w = c->w[a][slot] / sum;
        c->w[a][slot] = w;
        c->dw[a][slot] = clamped ? 0.0 : w * (-2.0 * AIM_D3_K3 * (cn - ref[a]) - dsum / sum);
    }
}

/* The spans of a piece for the counting kernels. */
static void count_spans(const d3 *c, const aim_rows_piece *p, aim_d3_span *out)
{
    const aim_batch *b = c->rows.io->batch;
    const aim_rows_group *g = c->rows.group + c->rows.first[b->system[p->atom]];
    const double own = c->table->rcov[b->numbers[p->atom]];
    for (int k = 0; k < p->n_spans; k++)
        out[k] = (aim_d3_span){.begin = p->span[k].begin,
                               .end = p->span[k].end,
                               .rcov = own + c->table->rcov[g[p->span[k].group].key]};
}

static void count_atom(void *ctx, int32_t i, int worker)
{
    const d3 *c = ctx;
    double cn = 0.0;
    aim_rows_piece p;
    aim_d3_span span[AIM_ROWS_KEYS];
    for (aim_rows_begin(&c->rows, i, worker, &p); aim_rows_next(&p);) {
        count_spans(c, &p, span);
        cn += c->rows.kernels->d3_count(&p.row, span, p.n_spans);
    }
    set_weights(c, c->rows.io->batch->numbers[i], c->rows.slot[i], cn);
}

static void count_dsf_atom(void *ctx, int32_t i, int worker)
{
    const d3 *c = ctx;
    aim_row_sum total = {0}, sum = {0};
    aim_rows_piece p;
    aim_d3_span span[AIM_ROWS_KEYS];
    for (aim_rows_begin(&c->coulomb, i, worker, &p); aim_rows_next(&p);) {
        count_spans(c, &p, span);
        aim_rows_add_property(&p, c->q, 0);
        c->rows.kernels->d3_count_dsf(&p.row, span, p.n_spans, c->dsf, &sum);
        aim_row_sum_add(&total, &sum);
    }
    set_weights(c, c->rows.io->batch->numbers[i], c->rows.slot[i], total.s[0]);
    aim_coulomb_add(&c->coulomb, i, &total, AIM_COULOMB_K, c->dsf);
}

static void find_lowest(const d3 *c)
{
    for (int g = 0; g < c->rows.n_groups; g++) {
        const aim_rows_group *group = c->rows.group + g;
        double *lowest = c->lowest + (size_t)g * (size_t)c->max_ref;
        for (int b = 0; b < c->max_ref; b++)
            lowest[b] = INFINITY;
        for (int b = 0; b < n_refs(c->table, group->key); b++)
            for (int64_t k = group->begin; k < group->begin + group->count; k++)
                if (c->s[b][k] >= c->table->weight_floor)
                    lowest[b] = fmin(lowest[b], c->s[b][k]);
    }
}

/* One reference of atom i whose weight is not dropped altogether. */
typedef struct own_ref {
    const double *c6; /* [n_refs] of the table */
    double s, w, dw;
} own_ref;

static int own_refs(const d3 *c, int32_t i, own_ref own[AIM_D3_MAX_REF])
{
    const aim_d3_table *t = c->table;
    const int z = c->rows.io->batch->numbers[i];
    const int64_t me = c->rows.slot[i];
    int n = 0;
    for (int a = 0; a < n_refs(t, z); a++)
        if (!(c->s[a][me] < t->weight_floor))
            own[n++] = (own_ref){.c6 = t->c6 + (size_t)(t->first[z] + a) * (size_t)t->n_refs,
                                 .s = c->s[a][me],
                                 .w = c->w[a][me],
                                 .dw = c->dw[a][me]};
    return n;
}

/* What atom i contributes to its interaction with the neighbours of one group of its system. */
static void make_block(const d3 *c, int32_t i, const own_ref *own, int n_own, int k,
                       aim_d3_block *block)
{
    const aim_rows *r = &c->rows;
    const aim_d3_table *t = c->table;
    const int zi = r->io->batch->numbers[i], group = r->first[r->io->batch->system[i]] + k,
              zj = r->group[group].key;
    const double *lowest = c->lowest + (size_t)group * (size_t)c->max_ref;
    block->n_ref = block->n_drop = 0;
    for (int b = 0; b < n_refs(t, zj); b++) {
        if (lowest[b] == INFINITY)
            continue;
        double g = 0.0, dg = 0.0;
        for (const own_ref *a = own; a < own + n_own; a++) {
            const double c6 = a->c6[t->first[zj] + b];
            g += a->w * c6;
            dg += a->dw * c6;
            if (a->s + lowest[b] < t->weight_floor)
                block->drop[block->n_drop++] = (aim_d3_drop){.w_prop = b,
                                                             .s_prop = c->max_ref + b,
                                                             .limit = t->weight_floor - a->s,
                                                             .w = a->w,
                                                             .dw = a->dw,
                                                             .c6 = c6};
        }
        block->ref[block->n_ref] = b;
        block->g[block->n_ref] = g;
        block->dg[block->n_ref++] = dg;
    }
    for (int b = 1; block->n_drop == 0 && b < block->n_ref; b++) {
        block->g[b] -= block->g[0];
        block->dg[b] -= block->dg[0];
    }
    const double ratio = aim_d3_c8_ratio(t->r4r2[zi], t->r4r2[zj]),
                 r0 = aim_d3_radius(ratio, c->params->a1, c->params->a2);
    const double r2 = r0 * r0, r4 = r2 * r2;
    block->c8 = c->params->s8 * ratio;
    block->r06 = r4 * r2;
    block->r08 = r4 * r4;
}

/* The neighbours' weights, of the first reference and their exponents where some are dropped. */
static void add_weights(const d3 *c, aim_rows_piece *p, const aim_rows_span *span,
                        const aim_d3_block *block)
{
    for (int k = block->n_drop ? 0 : 1; k < block->n_ref; k++) {
        const int b = block->ref[k];
        aim_rows_add_span_property(p, c->w[b], b, span);
        if (block->n_drop)
            aim_rows_add_span_property(p, c->s[b], c->max_ref + b, span);
    }
}

static void energy_atom(void *ctx, int32_t i, int worker)
{
    const d3 *c = ctx;
    const aim_rows *r = &c->rows;
    aim_row_sum total = {0}, sum = {0};
    aim_rows_piece p;
    aim_d3_block *block = c->block + (size_t)worker * (size_t)r->max_groups;
    own_ref own[AIM_D3_MAX_REF];
    const int n_own = own_refs(c, i, own);
    aim_rows_begin(r, i, worker, &p);
    for (int k = 0; k < p.n_groups; k++)
        make_block(c, i, own, n_own, k, block + k);
    while (aim_rows_next(&p)) {
        const int first = p.span[0].group, last = p.span[p.n_spans - 1].group;
        for (int k = first; k <= last; k++)
            block[k].begin = block[k].end = 0;
        for (int k = 0; k < p.n_spans; k++) {
            aim_d3_block *own_block = block + p.span[k].group;
            own_block->begin = p.span[k].begin;
            own_block->end = p.span[k].end;
            add_weights(c, &p, p.span + k, own_block);
        }
        r->kernels->d3_energy(&p.row, block + first, last - first + 1, &c->range, &sum);
        aim_row_sum_add(&total, &sum);
    }
    c->c[r->slot[i]] = -total.s[0];
    aim_rows_add(r, i, &total, -0.5 * AIM_HARTREE, -AIM_HARTREE * PER_BOHR2,
                 0.5 * AIM_HARTREE * PER_BOHR2);
}

static void count_grad_atom(void *ctx, int32_t i, int worker)
{
    const d3 *c = ctx;
    const aim_rows *r = &c->rows;
    aim_row_sum total = {0}, sum = {0};
    aim_rows_piece p;
    aim_d3_span span[AIM_ROWS_KEYS];
    for (aim_rows_begin(r, i, worker, &p); aim_rows_next(&p);) {
        aim_rows_add_property(&p, c->c, 0);
        count_spans(c, &p, span);
        r->kernels->d3_count_grad(&p.row, span, p.n_spans, c->c[r->slot[i]], &sum);
        aim_row_sum_add(&total, &sum);
    }
    total.e = 0.0;
    aim_rows_add(r, i, &total, 0.0, AIM_HARTREE, -0.5 * AIM_HARTREE);
}

aim_status aim_d3_check_elements(const aim_term_io *io, const aim_d3_table *table, int *max_ref)
{
    const aim_batch *b = io->batch;
    *max_ref = 0;
    for (int32_t i = 0; i < b->n_atoms; i++) {
        if (!aim_rows_active(io, b->system[i]))
            continue;
        const int z = b->numbers[i];
        if (z < 1 || z >= table->n_elements || n_refs(table, z) == 0)
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "atom %d has the atomic number %d: D3 has reference data for 1 to %d",
                            (int)i, z, table->n_elements - 1);
        if (n_refs(table, z) > AIM_D3_MAX_REF)
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "element %d has %d D3 references: at most %d are supported", z,
                            n_refs(table, z), (int)AIM_D3_MAX_REF);
        if (n_refs(table, z) > *max_ref)
            *max_ref = n_refs(table, z);
    }
    return AIMNET_OK;
}

static void layout(d3 *c, aim_arena *a)
{
    aim_rows_layout(&c->rows, a);
    for (int k = 0; k < c->max_ref; k++) {
        c->w[k] = aim_rows_property(&c->rows, a, "d3.w");
        c->s[k] = aim_rows_property(&c->rows, a, "d3.s");
        c->dw[k] = aim_rows_property(&c->rows, a, "d3.dw");
    }
    c->c = aim_rows_property(&c->rows, a, "d3.c");
    if (c->dsf) {
        const size_t n = (size_t)c->rows.io->batch->n_atoms;
        c->q = aim_rows_property(&c->rows, a, "coulomb.q");
        c->coulomb.e = aim_take0(a, "coulomb.e", n, sizeof(double));
        c->coulomb.w =
            c->coulomb_io.strain ? aim_take0(a, "coulomb.w", 6 * n, sizeof(double)) : NULL;
    }
    c->lowest =
        aim_take(a, "d3.lowest", (size_t)c->rows.n_groups * (size_t)c->max_ref, sizeof *c->lowest);
    c->block = aim_take(a, "d3.block",
                        (size_t)aim_team_size(c->rows.io->team) * (size_t)c->rows.max_groups,
                        sizeof *c->block);
}

static void count_with_dsf(d3 *c)
{
    const aim_rows own = c->coulomb;
    c->coulomb = c->rows;
    c->coulomb.io = &c->coulomb_io;
    c->coulomb.e = own.e;
    c->coulomb.w = own.w;
    aim_coulomb_charges(&c->coulomb, c->q);
    aim_rows_for(&c->coulomb, count_dsf_atom, c);
    aim_rows_reduce(&c->coulomb);
}

static aim_status evaluate(d3 *c, aim_term_io *io)
{
    AIM_TRY(aim_d3_range_make(c->params, &c->range));
    AIM_TRY(aim_d3_check_elements(io, c->table, &c->max_ref));
    if (c->max_ref == 0)
        return AIMNET_OK; /* no active atoms */
    AIM_TRY(aim_rows_plan(&c->rows, io, 1, 2 * c->max_ref));
    aim_arena measure = {0};
    layout(c, &measure);
    AIM_TRY(aim_arena_reserve(io->scratch, io->alloc, measure.used, "D3 workspace"));
    layout(c, io->scratch);
    aim_rows_fill(&c->rows);
    if (c->dsf)
        count_with_dsf(c);
    else
        aim_rows_for(&c->rows, count_atom, c);
    find_lowest(c);
    aim_rows_for(&c->rows, energy_atom, c);
    if (io->grad || io->strain)
        aim_rows_for(&c->rows, count_grad_atom, c);
    aim_rows_reduce(&c->rows);
    return AIMNET_OK;
}

aim_status aim_term_d3(aim_term_io *io, const aim_d3_table *table, const aim_d3_params *params)
{
    d3 c = {.table = table, .params = params};
    return evaluate(&c, io);
}

aim_status aim_term_dsf_d3(aim_term_io *coulomb, double rc, double alpha, aim_term_io *io,
                           const aim_d3_table *table, const aim_d3_params *params)
{
    AIM_TRY(aim_coulomb_check_dsf(rc, alpha));
    const aim_dsf dsf = aim_dsf_make(rc, alpha);
    d3 c = {.table = table, .params = params, .dsf = &dsf, .coulomb_io = *coulomb};
    c.coulomb_io.pairs = io->pairs;
    c.coulomb_io.clusters = io->clusters;
    c.coulomb_io.reach = io->reach;
    return evaluate(&c, io);
}
