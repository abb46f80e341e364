/* SPDX-License-Identifier: MIT */
/* rows_walk.c - the rows of the pair terms, atom by atom and piece by piece (see rows.h).
 *
 * Tasks are runs of CHUNK consecutive atoms, or clusters; where these are few for the team, PART
 * home atoms of a cluster, although several workers may then gather its entries. Small inputs are not
 * handed to the team at all.
 *
 * Distances of lists and clusters are those of wrapped positions, d^2 < (1 - 1e-12) reach^2: pairs
 * at the cutoff itself, which crystals have, are left out whatever the rounding.
 *
 * Pieces are filled group after group; a group begins on a whole vector of AIM_MESH_LANES, and a
 * piece is full at AIM_ROWS_PIECE elements. Filtering takes whole vectors and may find a few more:
 * they wait behind the piece and open the next one. */
#include <math.h>
#include <string.h>

#include "term/rows.h"

enum { CHUNK = 8, PART = 16, CLUSTERS_PER_WORKER = 8, SERIAL_PAIRS = 1500, LANES = AIM_MESH_LANES };
static const double INSIDE = 1.0 - 1e-12;

static int64_t round_up(int64_t n, int width)
{
    return (n + width - 1) / width * width;
}

/* The first slot of each group of a system, and where the last group ends. */
static int group_slots(const aim_rows *r, int32_t system, int64_t begin[AIM_ROWS_KEYS + 1])
{
    const aim_rows_group *g = r->group + r->first[system];
    const int n = r->first[system + 1] - r->first[system];
    for (int k = 0; k < n; k++)
        begin[k] = g[k].begin;
    begin[n] = g[n - 1].begin + g[n - 1].count;
    return n;
}

/* ---------------------------------------------------------------- tiles */

static double *tile_position(const aim_rows *r, int worker)
{
    return r->tile_position + (size_t)worker * 3 * r->tile_size;
}

static int64_t *tile_id(const aim_rows *r, int worker)
{
    return r->tile_id + (size_t)worker * r->tile_size;
}

static aim_row_pairs entries_of(const aim_rows *r, const aim_cluster *c)
{
    static const double zero[3] = {0.0, 0.0, 0.0};
    const aim_clusters *l = r->io->clusters;
    return (aim_row_pairs){.n = c->n_entries,
                           .j = l->j + c->first_entry,
                           .shift =
                               l->shift ? (const int32_t(*)[3])l->shift + c->first_entry : NULL,
                           .coord = r->inside,
                           .slot = r->slot,
                           .origin = zero,
                           .cell = r->io->batch->cell + 9 * (size_t)c->system,
                           .reach2 = INFINITY};
}

/* Gathers the entries of a cluster, unless the worker has them. */
static void load_tile(const aim_rows *r, int32_t cluster, int worker)
{
    const aim_cluster *c = r->io->clusters->cluster + cluster;
    aim_rows_tile *t = r->tile + worker;
    int64_t slot[AIM_ROWS_KEYS + 1];
    if (t->cluster == cluster)
        return;
    t->cluster = cluster;
    aim_row_pairs entries = entries_of(r, c);
    entries.n_groups = group_slots(r, c->system, slot);
    entries.group = slot;
    for (int k = 0; k < entries.n_groups; k++) {
        t->begin[k] = k * r->capacity;
        t->count[k] = 0;
    }
    double *x = tile_position(r, worker);
    const aim_row_columns to = {.x = x,
                                .y = x + r->tile_size,
                                .z = x + 2 * r->tile_size,
                                .id = tile_id(r, worker),
                                .begin = t->begin};
    r->kernels->row_gather(&entries, &to, t->count);
    for (int g = 0; g < entries.n_groups; g++)
        for (int64_t k = t->begin[g] + t->count[g]; k % LANES; k++) {
            to.x[k] = to.y[k] = to.z[k] = INFINITY;
            to.id[k] = 0;
        }
}

/* ---------------------------------------------------------------- loops */

typedef struct loop {
    const aim_rows *rows;
    aim_rows_fn fn;
    void *ctx;
    int32_t part; /* home atoms of a task */
} loop;

static void chunk_task(void *ctx, int64_t task, int worker)
{
    const loop *l = ctx;
    const int64_t n = l->rows->io->batch->n_atoms, begin = task * CHUNK,
                  end = begin + CHUNK < n ? begin + CHUNK : n;
    for (int64_t i = begin; i < end; i++)
        if (l->rows->slot[i] >= 0)
            l->fn(l->ctx, (int32_t)i, worker);
}

static void cluster_task(void *ctx, int64_t task, int worker)
{
    const loop *l = ctx;
    const int32_t parts = AIM_CLUSTER_HOMES / l->part, cluster = (int32_t)(task / parts),
                  begin = (int32_t)(task % parts) * l->part;
    const aim_cluster *c = l->rows->io->clusters->cluster + cluster;
    const int32_t *home = l->rows->io->clusters->home + c->first_home,
                  end = begin + l->part < c->n_home ? begin + l->part : c->n_home;
    if (begin >= end || l->rows->slot[home[begin]] < 0)
        return;
    load_tile(l->rows, cluster, worker);
    for (int32_t k = begin; k < end; k++)
        l->fn(l->ctx, home[k], worker);
}

void aim_rows_for(const aim_rows *r, aim_rows_fn fn, void *ctx)
{
    loop l = {.rows = r, .fn = fn, .ctx = ctx};
    aim_team *team = r->n_pairs < SERIAL_PAIRS ? NULL : r->io->team;
    if (r->tile) {
        const int64_t clusters = r->io->clusters->n_clusters;
        l.part = clusters < CLUSTERS_PER_WORKER * (int64_t)aim_team_size(team) ? PART
                                                                               : AIM_CLUSTER_HOMES;
        aim_parallel_for(team, clusters * (AIM_CLUSTER_HOMES / l.part), cluster_task, &l);
    } else {
        aim_parallel_for(team, ((int64_t)r->io->batch->n_atoms + CHUNK - 1) / CHUNK, chunk_task,
                         &l);
    }
}

/* ---------------------------------------------------------------- beginning a row */

static double reach2_of(const aim_rows *r, int32_t system)
{
    const double reach = r->reach ? r->reach[system] : r->io->reach;
    return reach > 0.0 ? INSIDE * reach * reach : INFINITY;
}

/* The worker's scratch. */
static aim_row_columns columns_of(const aim_rows *r, int worker, const int64_t *begin)
{
    const size_t size = r->row_size, first = (size_t)worker * size;
    double *x = r->scratch + first * (3 + (size_t)r->n_props);
    return (aim_row_columns){.x = x,
                             .y = x + size,
                             .z = x + 2 * size,
                             .id = r->scratch_id + first,
                             .real = r->scratch_real + first,
                             .begin = begin};
}

static void gather_row(aim_rows_piece *p)
{
    const aim_rows *r = p->rows;
    const aim_batch *b = r->io->batch;
    const aim_pairs *l = r->io->pairs;
    const int32_t i = p->atom, s = b->system[i];
    int64_t slot[AIM_ROWS_KEYS + 1];
    group_slots(r, s, slot);
    for (int k = 0; k < p->n_groups; k++) {
        p->begin[k] = k * r->capacity;
        p->count[k] = 0;
    }
    const aim_row_pairs pairs = {.n = l->row[i + 1] - l->row[i],
                                 .j = l->j + l->row[i],
                                 .shift =
                                     l->shift ? (const int32_t(*)[3])l->shift + l->row[i] : NULL,
                                 .wrap = r->any_wrap ? (const int32_t(*)[3])r->wrap : NULL,
                                 .own_wrap = r->wrap[i],
                                 .coord = r->inside,
                                 .slot = r->slot,
                                 .origin = r->inside + 3 * (size_t)i,
                                 .cell = b->cell + 9 * (size_t)s,
                                 .reach2 = reach2_of(r, s),
                                 .n_groups = p->n_groups,
                                 .group = slot};
    r->kernels->row_gather(&pairs, &p->columns, p->count);
}

/* The sieve for the group that comes next. */
static void open_group(aim_rows_piece *p)
{
    const aim_rows *r = p->rows;
    const aim_rows_tile *t = r->tile + p->worker;
    const double *x = tile_position(r, p->worker);
    p->sieve.x = x;
    p->sieve.y = x + r->tile_size;
    p->sieve.z = x + 2 * r->tile_size;
    p->sieve.id = tile_id(r, p->worker);
    p->sieve.next = p->group < p->n_groups ? t->begin[p->group] : 0;
    p->sieve.end = p->group < p->n_groups ? t->begin[p->group] + t->count[p->group] : 0;
}

static void begin_all_pairs(aim_rows_piece *p)
{
    const aim_rows *r = p->rows;
    const int64_t begin = r->group[r->first[r->io->batch->system[p->atom]]].begin,
                  me = r->slot[p->atom];
    p->row.x = r->x + begin;
    p->row.y = r->y + begin;
    p->row.z = r->z + begin;
    p->row.id = r->id + begin;
    p->row.real = r->real + begin;
    p->row.origin[0] = r->x[me];
    p->row.origin[1] = r->y[me];
    p->row.origin[2] = r->z[me];
    p->row.self = me - begin;
}

void aim_rows_begin(const aim_rows *r, int32_t i, int worker, aim_rows_piece *p)
{
    const int32_t s = r->io->batch->system[i];
    p->rows = r;
    p->atom = i;
    p->worker = worker;
    p->n_groups = r->first[s + 1] - r->first[s];
    p->group = 0;
    p->seen = p->carry = 0;
    p->row.strain = r->w != NULL;
    if (!r->inside) {
        begin_all_pairs(p);
        return;
    }
    p->columns = columns_of(r, worker, p->begin);
    p->row.origin[0] = p->row.origin[1] = p->row.origin[2] = 0.0;
    p->row.self = -1;
    if (r->tile) {
        p->sieve.reach2 = reach2_of(r, s);
        memcpy(p->sieve.origin, r->inside + 3 * (size_t)i, sizeof p->sieve.origin);
        open_group(p);
    } else {
        gather_row(p);
    }
}

/* ---------------------------------------------------------------- pieces */

/* The whole row. */
static int next_all_pairs(aim_rows_piece *p)
{
    const aim_rows *r = p->rows;
    const aim_rows_group *g = r->group + r->first[r->io->batch->system[p->atom]];
    if (p->group == p->n_groups)
        return 0;
    for (; p->group < p->n_groups; p->group++) {
        const aim_rows_group *own = g + p->group;
        aim_rows_span *span = p->span + p->group;
        span->group = p->group;
        span->begin = (int)(own->begin - g->begin);
        span->end = span->begin + (int)round_up(own->count, r->kernels->width);
    }
    p->n_spans = p->n_groups;
    p->row.n = p->span[p->n_spans - 1].end;
    return 1;
}

/* A span of n neighbours from element `begin` of the columns on. */
static void add_span(aim_rows_piece *p, int64_t begin, int64_t n)
{
    const aim_row_columns *to = &p->columns;
    const int64_t end = begin + round_up(n, p->rows->kernels->width);
    p->span[p->n_spans++] =
        (aim_rows_span){.begin = (int)begin, .end = (int)end, .group = p->group, .n = (int)n};
    for (int64_t k = begin; k < begin + n; k++)
        to->real[k] = -1;
    for (int64_t k = begin + n; k < end; k++) {
        to->x[k] = to->y[k] = to->z[k] = 0.0;
        to->id[k] = to->real[k] = 0;
    }
}

/* Moves what the last piece left over to the front. */
static int64_t take_carry(aim_rows_piece *p)
{
    const aim_row_columns *to = &p->columns;
    const int64_t n = p->carry;
    for (int64_t k = 0; k < n; k++) {
        to->x[k] = to->x[AIM_ROWS_PIECE + k];
        to->y[k] = to->y[AIM_ROWS_PIECE + k];
        to->z[k] = to->z[AIM_ROWS_PIECE + k];
        to->id[k] = to->id[AIM_ROWS_PIECE + k];
    }
    p->carry = 0;
    return n;
}

static void fill_from_tile(aim_rows_piece *p)
{
    int64_t begin = 0, n = take_carry(p);
    while (p->group < p->n_groups && begin < AIM_ROWS_PIECE) {
        n = p->rows->kernels->row_filter(&p->sieve, &p->columns, n, AIM_ROWS_PIECE);
        const int64_t end = n < AIM_ROWS_PIECE ? n : AIM_ROWS_PIECE;
        if (end > begin)
            add_span(p, begin, end - begin);
        p->carry = n - end;
        begin = n = round_up(end, LANES);
        if (p->sieve.next >= p->sieve.end && p->carry == 0) {
            p->group++;
            open_group(p);
        }
    }
    p->row.x = p->columns.x;
    p->row.y = p->columns.y;
    p->row.z = p->columns.z;
    p->row.id = p->columns.id;
    p->row.real = p->columns.real;
}

/* The same stretch of a gathered row, where it stands; elements count from the first span on. */
static void fill_from_row(aim_rows_piece *p)
{
    int64_t filled = 0;
    while (p->group < p->n_groups && filled < AIM_ROWS_PIECE) {
        const int64_t left = p->count[p->group] - p->seen,
                      n = left < AIM_ROWS_PIECE - filled ? left : AIM_ROWS_PIECE - filled;
        if (n > 0)
            add_span(p, p->begin[p->group] + p->seen, n);
        filled += round_up(n, LANES);
        p->seen += n;
        if (p->seen == p->count[p->group]) {
            p->group++;
            p->seen = 0;
        }
    }
    const int64_t base = p->n_spans ? p->span[0].begin : 0;
    for (int k = 0; k < p->n_spans; k++) {
        p->span[k].begin -= (int)base;
        p->span[k].end -= (int)base;
    }
    p->row.x = p->columns.x + base;
    p->row.y = p->columns.y + base;
    p->row.z = p->columns.z + base;
    p->row.id = p->columns.id + base;
    p->row.real = p->columns.real + base;
}

int aim_rows_next(aim_rows_piece *p)
{
    const aim_rows *r = p->rows;
    if (!r->inside)
        return next_all_pairs(p);
    p->n_spans = 0;
    if (r->tile)
        fill_from_tile(p);
    else
        fill_from_row(p);
    if (p->n_spans == 0)
        return 0;
    p->row.n = p->span[p->n_spans - 1].end;
    const size_t base = (size_t)(p->row.x - p->columns.x);
    for (int c = 0; c < r->n_props; c++)
        p->row.prop[c] = p->columns.x + (3 + (size_t)c) * r->row_size + base;
    return 1;
}

/* ---------------------------------------------------------------- properties */

void aim_rows_add_span_property(aim_rows_piece *p, const double *property, int k,
                                const aim_rows_span *span)
{
    const aim_rows *r = p->rows;
    if (!r->inside) {
        p->row.prop[k] = property + r->group[r->first[r->io->batch->system[p->atom]]].begin;
        return;
    }
    const int64_t at = (p->row.x - p->columns.x) + span->begin;
    r->kernels->row_property(property, p->columns.id + at, span->n,
                             p->columns.x + (3 + (size_t)k) * r->row_size + at);
}

void aim_rows_add_property(aim_rows_piece *p, const double *property, int k)
{
    for (int s = 0; s < p->n_spans; s++)
        aim_rows_add_span_property(p, property, k, p->span + s);
}
