/* SPDX-License-Identifier: MIT */
/* rows.c - slots, rows and sums of the pair terms (see rows.h).
 *
 * Slots and groups come from a counting sort per system. Tasks are runs of CHUNK consecutive atoms;
 * each atom is written by one task, and the sums over a system run serially over its atoms, so
 * nothing depends on the team. Small inputs are not handed to the team at all. */
#include "term/rows.h"

#include <string.h>

#include "backend/isa.h"
#include "base/vec3.h"

enum { CHUNK = 8, SERIAL_PAIRS = 1500 };

static int64_t round_up(int64_t n, int width)
{
    return (n + width - 1) / width * width;
}

static int key_of(const aim_rows *r, int32_t atom)
{
    return r->by_number ? r->io->batch->numbers[atom] : 0;
}

static void histogram(const aim_rows *r, int32_t s, int32_t count[AIM_ROWS_KEYS])
{
    const aim_batch *b = r->io->batch;
    memset(count, 0, AIM_ROWS_KEYS * sizeof *count);
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        count[key_of(r, i)]++;
}

static aim_status plan_system(aim_rows *r, int32_t s, int64_t *longest)
{
    const aim_batch *b = r->io->batch;
    const int32_t n = b->offset[s + 1] - b->offset[s];
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        if (key_of(r, i) < 0 || key_of(r, i) >= AIM_ROWS_KEYS)
            return AIM_FAIL(
                AIMNET_ERR_ARG,
                "atom %d of system %d has the atomic number %d: the long-range terms know 1 to %d",
                (int)(i - b->offset[s]), (int)s, (int)b->numbers[i], AIM_ROWS_KEYS - 1);
    int32_t count[AIM_ROWS_KEYS];
    histogram(r, s, count);
    int groups = 0;
    for (int key = 0; key < AIM_ROWS_KEYS; key++)
        if (count[key]) {
            groups++;
            r->n_slots += round_up(count[key], r->kernels->width);
        }
    r->n_groups += groups;
    if (groups > r->max_groups)
        r->max_groups = groups;
    if (!r->io->pairs) {
        r->n_pairs += (int64_t)n * n;
        return AIMNET_OK;
    }
    const int64_t *row = r->io->pairs->row;
    r->n_pairs += row[b->offset[s + 1]] - row[b->offset[s]];
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        if (row[i + 1] - row[i] > *longest)
            *longest = row[i + 1] - row[i];
    return AIMNET_OK;
}

aim_status aim_rows_plan(aim_rows *r, aim_term_io *io, int by_number, int n_props, double unit)
{
    *r = (aim_rows){.io = io, .by_number = by_number, .n_props = n_props, .unit = unit};
    r->kernels = io->kernels ? io->kernels : aim_term_kernels_select(aim_cpu_isa());
    int64_t longest = 0;
    for (int32_t s = 0; s < io->batch->n_systems; s++)
        if (aim_rows_active(r->io, s))
            AIM_TRY(plan_system(r, s, &longest));
    r->capacity = round_up(longest, AIM_MESH_LANES) + 2 * AIM_MESH_LANES;
    r->row_size = (size_t)r->capacity * (size_t)(r->max_groups > 0 ? r->max_groups : 1);
    if (r->row_size > INT32_MAX)
        return AIM_FAIL(AIMNET_ERR_UNSUPPORTED,
                        "an atom has %lld neighbours: reduce the long-range cutoff",
                        (long long)longest);
    return AIMNET_OK;
}

void aim_rows_layout(aim_rows *r, aim_arena *a)
{
    const size_t n = (size_t)r->io->batch->n_atoms, slots = (size_t)r->n_slots, cap = r->row_size;
    r->first = aim_take(a, "rows.first", (size_t)r->io->batch->n_systems + 1, sizeof *r->first);
    r->group = aim_take(a, "rows.group", (size_t)r->n_groups, sizeof *r->group);
    r->slot = aim_take(a, "rows.slot", n, sizeof *r->slot);
    r->e = aim_take(a, "rows.e", n, sizeof *r->e);
    r->w = r->io->strain ? aim_take(a, "rows.w", 6 * n, sizeof *r->w) : NULL;
    if (r->io->pairs) {
        const size_t workers = (size_t)aim_team_size(r->io->team);
        r->scratch = aim_take(a, "rows.scratch", workers * (3 + (size_t)r->n_props) * cap,
                              sizeof *r->scratch);
        r->scratch_id = aim_take(a, "rows.scratch_id", workers * cap, sizeof *r->scratch_id);
        r->scratch_real = aim_take(a, "rows.scratch_real", workers * cap, sizeof *r->scratch_real);
    } else {
        r->x = aim_take(a, "rows.x", slots, sizeof *r->x);
        r->y = aim_take(a, "rows.y", slots, sizeof *r->y);
        r->z = aim_take(a, "rows.z", slots, sizeof *r->z);
        r->id = aim_take(a, "rows.id", slots, sizeof *r->id);
        r->real = aim_take(a, "rows.real", slots, sizeof *r->real);
    }
}

/* Groups of a system, and for each key its first slot. */
static void fill_groups(aim_rows *r, int32_t s, int64_t *slots, int64_t next[AIM_ROWS_KEYS])
{
    int32_t count[AIM_ROWS_KEYS], n = r->first[s];
    histogram(r, s, count);
    for (int key = 0; key < AIM_ROWS_KEYS; key++)
        if (count[key]) {
            next[key] = *slots;
            r->group[n++] = (aim_rows_group){.key = key, .count = count[key], .begin = *slots};
            *slots += round_up(count[key], r->kernels->width);
        }
    r->first[s + 1] = n;
}

static void fill_positions(aim_rows *r, int32_t s, int64_t begin, int64_t end)
{
    const aim_batch *b = r->io->batch;
    const double *origin = b->coord + 3 * (size_t)b->offset[s];
    const size_t size = (size_t)(end - begin) * sizeof(double);
    memset(r->x + begin, 0, size);
    memset(r->y + begin, 0, size);
    memset(r->z + begin, 0, size);
    memset(r->id + begin, -1, size);
    memset(r->real + begin, 0, size);
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
        const int64_t k = r->slot[i];
        const double *xi = b->coord + 3 * (size_t)i;
        r->x[k] = (xi[0] - origin[0]) * r->unit;
        r->y[k] = (xi[1] - origin[1]) * r->unit;
        r->z[k] = (xi[2] - origin[2]) * r->unit;
        r->id[k] = k - begin;
        r->real[k] = -1;
    }
}

void aim_rows_fill(aim_rows *r)
{
    const aim_batch *b = r->io->batch;
    int64_t slots = 0;
    r->first[0] = 0;
    memset(r->e, 0, (size_t)b->n_atoms * sizeof *r->e);
    if (r->w)
        memset(r->w, 0, 6 * (size_t)b->n_atoms * sizeof *r->w);
    for (int32_t s = 0; s < b->n_systems; s++) {
        int64_t next[AIM_ROWS_KEYS];
        const int64_t begin = slots;
        const int active = aim_rows_active(r->io, s);
        r->first[s + 1] = r->first[s];
        if (active)
            fill_groups(r, s, &slots, next);
        for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
            const int key = key_of(r, i);
            r->slot[i] = active ? next[key]++ : -1;
        }
        if (active && !r->io->pairs)
            fill_positions(r, s, begin, slots);
    }
}

double *aim_rows_property(const aim_rows *r, aim_arena *a, const char *name)
{
    double *p = aim_take(a, name, (size_t)r->n_slots, sizeof *p);
    if (p)
        memset(p, 0, (size_t)r->n_slots * sizeof *p);
    return p;
}

typedef struct loop {
    const aim_rows *rows;
    aim_rows_fn fn;
    void *ctx;
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

void aim_rows_for(const aim_rows *r, aim_rows_fn fn, void *ctx)
{
    loop l = {.rows = r, .fn = fn, .ctx = ctx};
    aim_team *team = r->n_pairs < SERIAL_PAIRS ? NULL : r->io->team;
    aim_parallel_for(team, ((int64_t)r->io->batch->n_atoms + CHUNK - 1) / CHUNK, chunk_task, &l);
}

static int row_of_all(const aim_rows *r, int32_t i, aim_row *row, aim_rows_span *span)
{
    const int32_t s = r->io->batch->system[i];
    const aim_rows_group *g = r->group + r->first[s];
    const int n_groups = r->first[s + 1] - r->first[s];
    const int64_t begin = g->begin, me = r->slot[i];
    row->x = r->x + begin;
    row->y = r->y + begin;
    row->z = r->z + begin;
    row->id = r->id + begin;
    row->real = r->real + begin;
    row->origin[0] = r->x[me];
    row->origin[1] = r->y[me];
    row->origin[2] = r->z[me];
    row->self = me - begin;
    for (int k = 0; k < n_groups; k++) {
        span[k].group = k;
        span[k].begin = (int)(g[k].begin - begin);
        span[k].end = span[k].begin + (int)round_up(g[k].count, r->kernels->width);
    }
    row->n = span[n_groups - 1].end;
    return n_groups;
}

/* The groups' regions of the worker's scratch; a group's first slot is where the one before it ends. */
static aim_row_columns columns_of(const aim_rows *r, int worker)
{
    const size_t size = r->row_size, first = (size_t)worker * size;
    double *x = r->scratch + first * (3 + (size_t)r->n_props);
    return (aim_row_columns){.x = x,
                             .y = x + size,
                             .z = x + 2 * size,
                             .id = r->scratch_id + first,
                             .real = r->scratch_real + first,
                             .stride = (size_t)r->capacity};
}

/* Ends a group's region in whole vectors. */
static void end_group(const aim_rows *r, const aim_row_columns *to, aim_rows_span *span,
                      int64_t count)
{
    const size_t begin = (size_t)span->group * to->stride;
    span->begin = (int)begin;
    span->n = (int)count;
    span->end = (int)(begin + (size_t)round_up(count, r->kernels->width));
    for (int64_t k = 0; k < count; k++)
        to->real[begin + (size_t)k] = -1;
    for (size_t k = begin + (size_t)count; k < (size_t)span->end; k++) {
        to->x[k] = to->y[k] = to->z[k] = 0.0;
        to->id[k] = to->real[k] = 0;
    }
}

static int row_of_list(const aim_rows *r, int32_t i, int worker, aim_row *row, aim_rows_span *span)
{
    const aim_batch *b = r->io->batch;
    const aim_pairs *l = r->io->pairs;
    const int32_t s = b->system[i];
    const aim_rows_group *g = r->group + r->first[s];
    const int n_groups = r->first[s + 1] - r->first[s];
    int64_t begin[AIM_ROWS_KEYS + 1], count[AIM_ROWS_KEYS] = {0};
    for (int k = 0; k < n_groups; k++)
        begin[k] = g[k].begin;
    begin[n_groups] = g[n_groups - 1].begin + g[n_groups - 1].count;
    const aim_row_pairs pairs = {.n = l->row[i + 1] - l->row[i],
                                 .j = l->j + l->row[i],
                                 .shift =
                                     l->shift ? (const int32_t(*)[3])l->shift + l->row[i] : NULL,
                                 .coord = b->coord,
                                 .slot = r->slot,
                                 .origin = b->coord + 3 * (size_t)i,
                                 .cell = b->cell + 9 * (size_t)s,
                                 .unit = r->unit,
                                 .reach2 = r->reach ? r->reach[s] * r->reach[s] : INFINITY,
                                 .n_groups = n_groups,
                                 .group = begin};
    const aim_row_columns to = columns_of(r, worker);
    r->kernels->row_gather(&pairs, &to, count);
    int n = 0;
    for (int k = 0; k < n_groups; k++)
        if (count[k]) {
            span[n] = (aim_rows_span){.group = k};
            end_group(r, &to, &span[n++], count[k]);
        }
    row->x = to.x;
    row->y = to.y;
    row->z = to.z;
    row->id = to.id;
    row->real = to.real;
    for (int c = 0; c < r->n_props; c++)
        row->prop[c] = to.x + (3 + (size_t)c) * r->row_size;
    row->origin[0] = row->origin[1] = row->origin[2] = 0.0;
    row->self = -1;
    row->n = n ? span[n - 1].end : 0;
    return n;
}

int aim_rows_get_bare(const aim_rows *r, int32_t i, int worker, aim_row *row, aim_rows_span *span)
{
    row->strain = r->w != NULL;
    return r->io->pairs ? row_of_list(r, i, worker, row, span) : row_of_all(r, i, row, span);
}

void aim_rows_add_property(const aim_rows *r, int32_t i, int worker, const double *property, int k,
                           const aim_rows_span *span, aim_row *row)
{
    if (!r->io->pairs) {
        row->prop[k] = property + r->group[r->first[r->io->batch->system[i]]].begin;
        return;
    }
    const aim_row_columns to = columns_of(r, worker);
    r->kernels->row_property(property, to.id + span->begin, span->n,
                             to.x + (3 + (size_t)k) * r->row_size + span->begin);
}

int aim_rows_get(const aim_rows *r, int32_t i, int worker, const double *const *property,
                 int n_props, aim_row *row, aim_rows_span *span)
{
    const int n = aim_rows_get_bare(r, i, worker, row, span);
    for (int s = 0; s < n; s++)
        for (int k = 0; k < n_props; k++)
            aim_rows_add_property(r, i, worker, property[k], k, &span[s], row);
    return n;
}

void aim_rows_add(const aim_rows *r, int32_t i, const aim_row_sum *sum, double fe, double fg,
                  double fw)
{
    r->e[i] += fe * sum->e;
    if (r->io->grad)
        for (int d = 0; d < 3; d++)
            r->io->grad[3 * (size_t)i + (size_t)d] += fg * sum->g[d];
    if (r->w)
        for (int d = 0; d < 6; d++)
            r->w[6 * (size_t)i + (size_t)d] += fw * sum->w[d];
}

void aim_rows_reduce(const aim_rows *r)
{
    static const int place[9] = {0, 3, 4, 3, 1, 5, 4, 5, 2}; /* of [a][b] in xx yy zz xy xz yz */
    const aim_batch *b = r->io->batch;
    for (int32_t s = 0; s < b->n_systems; s++) {
        if (!aim_rows_active(r->io, s))
            continue;
        double e = 0.0, w[6] = {0};
        for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
            e += r->e[i];
            for (int d = 0; r->w && d < 6; d++)
                w[d] += r->w[6 * (size_t)i + (size_t)d];
        }
        if (r->io->energy)
            r->io->energy[s] += e;
        for (int k = 0; r->io->strain && k < 9; k++)
            r->io->strain[9 * (size_t)s + (size_t)k] += w[place[k]];
    }
}
