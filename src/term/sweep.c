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
 * The scalar functions of a pair come from point/ and are computed once for all directions, which
 * is where the time of many directions would go; the rest is one kernel for all terms, with the
 * directions in its vector lanes. Neighbours are taken from the list, or are the system's other
 * atoms, in ascending order. Each atom is written by one task; systems are added atom by atom. */
#include "term/sweep.h"

#include <string.h>

#include "backend/isa.h"

enum { ATOMS_PER_TASK = 8, SERIAL_PAIRS = 1500, W = AIM_TAN_WIDTH };

static int is_active(const aim_sweep *s, int32_t system)
{
    return !s->io->active || s->io->active[system];
}

aim_status aim_sweep_plan(aim_sweep *s, aim_term_io *io, const aim_term_tan *tan, int n_params)
{
    if (tan->n_dir < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "%d directions: the number cannot be negative", tan->n_dir);
    *s = (aim_sweep){.io = io, .tan = tan, .n_rows = 3 + n_params};
    s->kernels = io->kernels ? io->kernels : aim_term_kernels_select(aim_cpu_isa());
    s->n_blocks = tan->n_dir / W + (tan->n_dir % W != 0);
    s->n_sums = tan->w || tan->tstrain ? AIM_TAN_SUMS : AIM_TAN_STRAIN;
    const aim_batch *b = io->batch;
    for (int32_t m = 0; m < b->n_systems; m++) {
        const int32_t first = b->offset[m], end = b->offset[m + 1];
        if (is_active(s, m))
            s->n_pairs += io->pairs ? io->pairs->row[end] - io->pairs->row[first]
                                    : (int64_t)(end - first) * (end - first);
    }
    return AIMNET_OK;
}

void aim_sweep_layout(aim_sweep *s, aim_arena *a)
{
    const size_t n = (size_t)s->io->batch->n_atoms, systems = (size_t)s->io->batch->n_systems;
    const size_t lanes = (size_t)s->n_blocks * W;
    s->t = aim_take(a, "sweep.t", lanes * n, (size_t)s->n_rows * sizeof *s->t);
    s->sum = aim_take(a, "sweep.sum", lanes * n, (size_t)s->n_sums * sizeof *s->sum);
    s->slope = aim_take(a, "sweep.slope", n, AIM_TAN_PARAMS * sizeof *s->slope);
    s->warp = s->tan->w ? aim_take(a, "sweep.warp", lanes * systems, 9 * sizeof *s->warp) : NULL;
    s->chunk = aim_take(a, "sweep.chunk", (size_t)aim_team_size(s->io->team), sizeof *s->chunk);
}

void aim_sweep_load(aim_sweep *s)
{
    const aim_term_tan *tan = s->tan;
    const size_t n = (size_t)s->io->batch->n_atoms, systems = (size_t)s->io->batch->n_systems,
                 lanes = (size_t)s->n_blocks * W;
    memset(s->t, 0, lanes * n * (size_t)s->n_rows * sizeof *s->t);
    for (int d = 0; tan->tx && d < tan->n_dir; d++)
        for (size_t i = 0; i < n; i++)
            for (int x = 0; x < 3; x++)
                *aim_sweep_input(s, d, (int32_t)i, x) =
                    tan->tx[3 * ((size_t)d * n + i) + (size_t)x];
    if (!s->warp)
        return;
    memset(s->warp, 0, lanes * systems * 9 * sizeof *s->warp);
    for (int d = 0; d < tan->n_dir; d++)
        for (size_t m = 0; m < systems; m++)
            for (size_t x = 0; x < 9; x++)
                s->warp[(((size_t)d / W * systems + m) * 9 + x) * W + (size_t)d % W] =
                    tan->w[9 * ((size_t)d * systems + m) + x];
}

typedef struct visit {
    aim_sweep *sweep;
    aim_sweep_fill fill;
    const void *ctx;
    int n_params;
} visit;

/* The pairs collected so far, into the sums of every block of directions. */
static void flush(const visit *v, int32_t i, aim_tan_chunk *chunk)
{
    const aim_sweep *s = v->sweep;
    const aim_batch *b = s->io->batch;
    const size_t n = (size_t)b->n_atoms, systems = (size_t)b->n_systems;
    if (chunk->n == 0)
        return;
    v->fill(v->ctx, i, chunk, s->slope + AIM_TAN_PARAMS * (size_t)i);
    for (int k = 0; k < s->n_blocks; k++) {
        const size_t block = (size_t)k, rows = (size_t)s->n_rows, sums = (size_t)s->n_sums;
        const int left = s->tan->n_dir - k * W;
        const aim_tan_block view = {
            .t = s->t + block * n * rows * W,
            .n_rows = s->n_rows,
            .n_dir = left < W ? left : W,
            .warp = s->warp ? s->warp + (block * systems + (size_t)b->system[i]) * 9 * W : NULL};
        s->kernels->pair_tan(chunk, &view, i, s->n_sums == AIM_TAN_SUMS,
                             s->sum + (block * n + (size_t)i) * sums * W);
    }
    chunk->n = 0;
}

static void add_neighbour(const visit *v, int32_t i, int32_t j, const double r[3],
                          aim_tan_chunk *chunk)
{
    chunk->j[chunk->n] = j;
    for (int x = 0; x < 3; x++)
        chunk->r[x][chunk->n] = r[x];
    if (++chunk->n == AIM_TAN_PAIRS)
        flush(v, i, chunk);
}

static void visit_atom(const visit *v, int32_t i, aim_tan_chunk *chunk)
{
    const aim_batch *b = v->sweep->io->batch;
    const aim_pairs *l = v->sweep->io->pairs;
    const int32_t s = b->system[i];
    double r[3];
    chunk->n = 0;
    chunk->n_params = v->n_params;
    for (int64_t p = l ? l->row[i] : 0; l && p < l->row[i + 1]; p++) {
        aim_pair_vector(b, l, i, p, r);
        add_neighbour(v, i, l->j[p], r, chunk);
    }
    for (int32_t j = b->offset[s]; !l && j < b->offset[s + 1]; j++) {
        for (int x = 0; x < 3; x++)
            r[x] = b->coord[3 * (size_t)j + (size_t)x] - b->coord[3 * (size_t)i + (size_t)x];
        if (j != i)
            add_neighbour(v, i, j, r, chunk);
    }
    flush(v, i, chunk);
}

static void visit_task(void *ctx, int64_t task, int worker)
{
    const visit *v = ctx;
    const int64_t n = v->sweep->io->batch->n_atoms, begin = task * ATOMS_PER_TASK,
                  end = begin + ATOMS_PER_TASK < n ? begin + ATOMS_PER_TASK : n;
    for (int64_t i = begin; i < end; i++)
        if (is_active(v->sweep, v->sweep->io->batch->system[i]))
            visit_atom(v, (int32_t)i, v->sweep->chunk + worker);
}

void aim_sweep_run(aim_sweep *s, int n_params, aim_sweep_fill fill, const void *ctx)
{
    const size_t n = (size_t)s->io->batch->n_atoms;
    memset(s->sum, 0, (size_t)s->n_blocks * W * n * (size_t)s->n_sums * sizeof *s->sum);
    memset(s->slope, 0, n * AIM_TAN_PARAMS * sizeof *s->slope);
    visit v = {.sweep = s, .fill = fill, .ctx = ctx, .n_params = n_params};
    aim_team *team = s->n_pairs * (1 + s->n_blocks) < SERIAL_PAIRS ? NULL : s->io->team;
    aim_parallel_for(team, ((int64_t)n + ATOMS_PER_TASK - 1) / ATOMS_PER_TASK, visit_task, &v);
}

void aim_sweep_add_energy(const aim_sweep *s, int n_params)
{
    const aim_batch *b = s->io->batch;
    for (int d = 0; s->tan->tenergy && d < s->tan->n_dir; d++)
        for (int32_t m = 0; m < b->n_systems; m++) {
            double te = 0.0;
            for (int32_t i = b->offset[m]; is_active(s, m) && i < b->offset[m + 1]; i++) {
                te -= 0.5 * aim_sweep_sum(s, d, i, AIM_TAN_SLOPE);
                for (int k = 0; k < n_params; k++)
                    te += *aim_sweep_input(s, d, i, 3 + k) * s->slope[AIM_TAN_PARAMS * i + k];
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
            for (int x = 0; is_active(s, b->system[i]) && x < 3; x++)
                s->tan->tgrad[3 * ((size_t)d * n + (size_t)i) + (size_t)x] +=
                    aim_sweep_sum(s, d, i, AIM_TAN_GRAD + x);
        for (int32_t m = 0; s->tan->tstrain && m < b->n_systems; m++)
            if (is_active(s, m))
                add_strain(s, d, m);
    }
}
