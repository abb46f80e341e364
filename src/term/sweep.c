/* SPDX-License-Identifier: MIT */
/* sweep.c - directional derivatives of sums over pairs (sweep.h, docs/math/tangents.md).
 *
 * With f = -e'/d, h = f'/d, r = r_j - r_i, tr = tx_j - tx_i + r W, a = r tr, and e(d, p_i, p_j):
 *
 *     dE/dr_i = sum_j f r          tangent:  sum (h a + f_i tp_i + f_j tp_j) r + f tr
 *     dE/dp_i = sum_j de/dp_i      tangent:  sum -f_i a + e_ii tp_i + e_ij tp_j
 *     dE/dstrain = -1/2 sum f r r  tangent:  the product rule again
 *     tangent of E = -1/2 sum f a + sum_i tp_i dE/dp_i
 *
 * The functions of a chunk of pairs are found once for all directions; each direction then gathers
 * the tangents of the neighbours, as the energy gathers their properties. The vectors of all of it
 * run along the pairs, so that one direction uses them as well as many. Each atom is written by one
 * task, directions do not meet, systems are added atom by atom. */
#include "term/sweep.h"

#include <string.h>

enum { DIRECTIONS_PER_PAIR = 8 }; /* cost about what a pair's functions cost */
_Static_assert((int)AIM_TAN_PAIRS == (int)AIM_ROWS_PIECE, "a piece of a row is a chunk");

aim_status aim_sweep_plan(aim_sweep *s, aim_term_io *io, const aim_term_tan *tan, int n_params,
                          int n_props, int by_number)
{
    if (tan->n_dir < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "%d directions: the number cannot be negative", tan->n_dir);
    *s = (aim_sweep){.io = io, .tan = tan, .n_rows = 3 + n_params};
    AIM_TRY(aim_rows_plan(&s->rows, io, by_number, n_props > s->n_rows ? n_props : s->n_rows));
    s->rows.n_pairs *= 1 + tan->n_dir / DIRECTIONS_PER_PAIR;
    s->n_sums = tan->w || tan->tstrain ? AIM_TAN_SUMS : AIM_TAN_STRAIN;
    return AIMNET_OK;
}

void aim_sweep_layout(aim_sweep *s, aim_arena *a)
{
    const size_t n = (size_t)s->io->batch->n_atoms, dir = (size_t)s->tan->n_dir;
    aim_rows_layout(&s->rows, a);
    s->t = aim_take(a, "sweep.t", dir * (size_t)s->rows.n_slots, (size_t)s->n_rows * sizeof *s->t);
    s->sum = aim_take(a, "sweep.sum", dir * n, (size_t)s->n_sums * sizeof *s->sum);
    s->slope = aim_take(a, "sweep.slope", n, AIM_TAN_PARAMS * sizeof *s->slope);
    s->pair = aim_take(a, "sweep.pair", (size_t)aim_team_size(s->io->team), sizeof *s->pair);
}

static double *input_row(const aim_sweep *s, int dir, int row)
{
    const size_t at = (size_t)dir * (size_t)s->n_rows + (size_t)row;
    return s->t + at * (size_t)s->rows.n_slots;
}

static void set_row(aim_sweep *s, int dir, int row, const double *values, size_t stride)
{
    double *t = input_row(s, dir, row);
    for (int32_t i = 0; i < s->io->batch->n_atoms; i++)
        if (s->rows.slot[i] >= 0)
            t[s->rows.slot[i]] = values[(size_t)i * stride];
}

void aim_sweep_set(aim_sweep *s, int dir, int k, const double *values, size_t stride)
{
    set_row(s, dir, 3 + k, values, stride);
}

void aim_sweep_load(aim_sweep *s)
{
    const aim_term_tan *tan = s->tan;
    const size_t n = (size_t)s->io->batch->n_atoms;
    aim_rows_fill(&s->rows);
    memset(s->t, 0,
           (size_t)tan->n_dir * (size_t)s->n_rows * (size_t)s->rows.n_slots * sizeof *s->t);
    for (int d = 0; tan->tx && d < tan->n_dir; d++)
        for (int x = 0; x < 3; x++)
            set_row(s, d, x, tan->tx + 3 * (size_t)d * n + (size_t)x, 3);
}

typedef struct visit {
    aim_sweep *sweep;
    aim_sweep_fill fill;
    const void *ctx;
    int n_params;
} visit;

void aim_sweep_property(aim_sweep_chunk *c, const double *property, int k)
{
    aim_rows_add_span_property(c->piece, property, k, c->span);
    c->row.prop[k] = c->piece->row.prop[k] + c->offset;
}

/* One direction of a chunk whose functions are filled. */
static void add_direction(const visit *v, aim_sweep_chunk *chunk, int d)
{
    const aim_sweep *s = v->sweep;
    const aim_batch *b = s->io->batch;
    const size_t i = (size_t)chunk->atom, n = (size_t)b->n_atoms;
    const int n_rows = v->n_params < 0 ? 3 : 3 + v->n_params;
    aim_tan_direction t = {.n_params = v->n_params,
                           .warp = s->tan->w ? s->tan->w + 9 * ((size_t)d * (size_t)b->n_systems +
                                                                (size_t)b->system[i])
                                             : NULL,
                           .strain = s->n_sums == AIM_TAN_SUMS};
    for (int k = 0; k < n_rows; k++) {
        const double *row = input_row(s, d, k);
        t.own[k] = row[s->rows.slot[i]];
        aim_sweep_property(chunk, row, k);
    }
    s->rows.kernels->pair_tan(&chunk->row, chunk->pair, &t,
                              s->sum + ((size_t)d * n + i) * (size_t)s->n_sums);
}

static void visit_span(const visit *v, aim_rows_piece *piece, const aim_rows_span *span)
{
    aim_sweep *s = v->sweep;
    const int32_t i = piece->atom;
    const aim_rows_group *g = s->rows.group + s->rows.first[s->io->batch->system[i]];
    aim_sweep_chunk chunk = {.row = piece->row,
                             .atom = i,
                             .group = (int)(g - s->rows.group) + span->group,
                             .first_slot = s->rows.inside ? 0 : g->begin,
                             .pair = s->pair + piece->worker,
                             .piece = piece,
                             .span = span};
    for (int at = span->begin; at < span->end; at += AIM_TAN_PAIRS) {
        chunk.offset = at;
        chunk.row.x = piece->row.x + at;
        chunk.row.y = piece->row.y + at;
        chunk.row.z = piece->row.z + at;
        chunk.row.id = piece->row.id + at;
        chunk.row.real = piece->row.real + at;
        chunk.row.n = span->end - at < AIM_TAN_PAIRS ? span->end - at : AIM_TAN_PAIRS;
        v->fill(v->ctx, &chunk, s->slope + AIM_TAN_PARAMS * (size_t)i);
        for (int d = 0; d < s->tan->n_dir; d++)
            add_direction(v, &chunk, d);
    }
}

static void visit_atom(void *ctx, int32_t i, int worker)
{
    const visit *v = ctx;
    aim_rows_piece p;
    for (aim_rows_begin(&v->sweep->rows, i, worker, &p); aim_rows_next(&p);)
        for (int k = 0; k < p.n_spans; k++)
            visit_span(v, &p, p.span + k);
}

void aim_sweep_run(aim_sweep *s, int n_params, aim_sweep_fill fill, const void *ctx)
{
    const size_t n = (size_t)s->io->batch->n_atoms;
    memset(s->sum, 0, (size_t)s->tan->n_dir * n * (size_t)s->n_sums * sizeof *s->sum);
    memset(s->slope, 0, n * AIM_TAN_PARAMS * sizeof *s->slope);
    visit v = {.sweep = s, .fill = fill, .ctx = ctx, .n_params = n_params};
    aim_rows_for(&s->rows, visit_atom, &v);
}

void aim_sweep_add_energy(const aim_sweep *s, int n_params)
{
    const aim_batch *b = s->io->batch;
    for (int d = 0; s->tan->tenergy && d < s->tan->n_dir; d++)
        for (int32_t m = 0; m < b->n_systems; m++) {
            double te = 0.0;
            for (int32_t i = b->offset[m]; aim_rows_active(s->io, m) && i < b->offset[m + 1]; i++) {
                te -= 0.5 * aim_sweep_sum(s, d, i, AIM_TAN_SLOPE);
                for (int k = 0; k < n_params; k++)
                    te += aim_sweep_input(s, d, i, 3 + k) * s->slope[AIM_TAN_PARAMS * i + k];
            }
            s->tan->tenergy[(size_t)d * (size_t)b->n_systems + (size_t)m] += te;
        }
}

static void add_strain(const aim_sweep *s, int d, int32_t m)
{
    static const int place[9] = {0, 3, 4, 3, 1, 5, 4, 5, 2};
    const aim_batch *b = s->io->batch;
    double w[6] = {0}, *out = s->tan->tstrain + 9 * ((size_t)d * (size_t)b->n_systems + (size_t)m);
    for (int32_t i = b->offset[m]; i < b->offset[m + 1]; i++)
        for (int x = 0; x < 6; x++)
            w[x] -= 0.5 * aim_sweep_sum(s, d, i, AIM_TAN_STRAIN + x);
    for (int x = 0; x < 9; x++)
        out[x] += w[place[x]];
}

void aim_sweep_add_grad(const aim_sweep *s)
{
    const aim_batch *b = s->io->batch;
    const size_t n = (size_t)b->n_atoms;
    for (int d = 0; d < s->tan->n_dir; d++) {
        for (int32_t i = 0; s->tan->tgrad && i < b->n_atoms; i++)
            for (int x = 0; aim_rows_active(s->io, b->system[i]) && x < 3; x++)
                s->tan->tgrad[3 * ((size_t)d * n + (size_t)i) + (size_t)x] +=
                    aim_sweep_sum(s, d, i, AIM_TAN_GRAD + x);
        for (int32_t m = 0; s->tan->tstrain && m < b->n_systems; m++)
            if (aim_rows_active(s->io, m))
                add_strain(s, d, m);
    }
}
