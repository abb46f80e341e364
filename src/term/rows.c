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
    const int64_t padding = (int64_t)r->max_groups * r->kernels->width;
    if (longest > INT32_MAX - padding)
        return AIM_FAIL(AIMNET_ERR_UNSUPPORTED,
                        "an atom has %lld neighbours: reduce the long-range cutoff",
                        (long long)longest);
    r->capacity = longest + padding;
    return AIMNET_OK;
}

void aim_rows_layout(aim_rows *r, aim_arena *a)
{
    const size_t n = (size_t)r->io->batch->n_atoms, slots = (size_t)r->n_slots,
                 cap = (size_t)r->capacity;
    r->first = aim_take(a, "rows.first", (size_t)r->io->batch->n_systems + 1, sizeof *r->first);
    r->group = aim_take(a, "rows.group", (size_t)r->n_groups, sizeof *r->group);
    r->local_group = aim_take(a, "rows.local_group", n, sizeof *r->local_group);
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

/* Groups of a system, and for each key its group (local) and first slot. */
static void fill_groups(aim_rows *r, int32_t s, int64_t *slots, int32_t local[AIM_ROWS_KEYS],
                        int64_t next[AIM_ROWS_KEYS])
{
    int32_t count[AIM_ROWS_KEYS], n = r->first[s];
    histogram(r, s, count);
    for (int key = 0; key < AIM_ROWS_KEYS; key++)
        if (count[key]) {
            local[key] = n - r->first[s];
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
        int32_t local[AIM_ROWS_KEYS];
        int64_t next[AIM_ROWS_KEYS];
        const int64_t begin = slots;
        const int active = aim_rows_active(r->io, s);
        r->first[s + 1] = r->first[s];
        if (active)
            fill_groups(r, s, &slots, local, next);
        for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
            const int key = key_of(r, i);
            r->slot[i] = active ? next[key]++ : -1;
            r->local_group[i] = active ? local[key] : 0;
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

static int row_of_all(const aim_rows *r, int32_t i, const double *const *property, int n_props,
                      aim_row *row, aim_rows_span *span)
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
    for (int k = 0; k < n_props; k++)
        row->prop[k] = property[k] + begin;
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

/* Where each group of the row goes: spans of the groups that occur, and the next free element of
 * each. */
static int plan_row(const aim_rows *r, int32_t i, int n_groups, int next[AIM_ROWS_KEYS],
                    aim_rows_span *span)
{
    const aim_pairs *l = r->io->pairs;
    int count[AIM_ROWS_KEYS] = {0}, n = 0, end = 0;
    if (n_groups == 1)
        count[0] = (int)(l->row[i + 1] - l->row[i]);
    else
        for (int64_t p = l->row[i]; p < l->row[i + 1]; p++)
            count[r->local_group[l->j[p]]]++;
    for (int g = 0; g < n_groups; g++)
        if (count[g]) {
            next[g] = end;
            span[n] = (aim_rows_span){
                .begin = end, .end = end + (int)round_up(count[g], r->kernels->width), .group = g};
            end = span[n++].end;
        }
    return n;
}

static void clear_row_end(double *const *column, int n_columns, int64_t *id, int64_t *real,
                          int begin, int end)
{
    for (int k = begin; k < end; k++) {
        id[k] = real[k] = 0;
        for (int c = 0; c < n_columns; c++)
            column[c][k] = 0.0;
    }
}

static int row_of_list(const aim_rows *r, int32_t i, int worker, const double *const *property,
                       int n_props, aim_row *row, aim_rows_span *span)
{
    const aim_batch *b = r->io->batch;
    const aim_pairs *l = r->io->pairs;
    const int32_t s = b->system[i];
    int next[AIM_ROWS_KEYS] = {0};
    const int n_spans = plan_row(r, i, r->first[s + 1] - r->first[s], next, span);
    double *column[3 + AIM_ROW_PROPS];
    for (int c = 0; c < 3 + n_props; c++)
        column[c] = r->scratch +
                    ((size_t)worker * (3 + (size_t)r->n_props) + (size_t)c) * (size_t)r->capacity;
    int64_t *id = r->scratch_id + (size_t)worker * (size_t)r->capacity;
    int64_t *real = r->scratch_real + (size_t)worker * (size_t)r->capacity;
    for (int64_t p = l->row[i]; p < l->row[i + 1]; p++) {
        const int32_t j = l->j[p];
        const int k = next[r->local_group[j]]++;
        double d[3];
        aim_pair_vector(b, l, i, p, d);
        if (r->reach && !(aim_dot3(d, d) < r->reach[s] * r->reach[s])) {
            next[r->local_group[j]]--;
            continue;
        }
        for (int c = 0; c < 3; c++)
            column[c][k] = d[c] * r->unit;
        for (int c = 0; c < n_props; c++)
            column[3 + c][k] = property[c][r->slot[j]];
        id[k] = 0;
        real[k] = -1;
    }
    for (int t = 0; t < n_spans; t++) {
        if (r->reach) /* fewer than planned: the span may end earlier */
            span[t].end = span[t].begin +
                          (int)round_up(next[span[t].group] - span[t].begin, r->kernels->width);
        clear_row_end(column, 3 + n_props, id, real, next[span[t].group], span[t].end);
    }
    row->x = column[0];
    row->y = column[1];
    row->z = column[2];
    row->id = id;
    row->real = real;
    for (int c = 0; c < n_props; c++)
        row->prop[c] = column[3 + c];
    row->origin[0] = row->origin[1] = row->origin[2] = 0.0;
    row->self = -1;
    row->n = n_spans ? span[n_spans - 1].end : 0;
    return n_spans;
}

int aim_rows_get(const aim_rows *r, int32_t i, int worker, const double *const *property,
                 int n_props, aim_row *row, aim_rows_span *span)
{
    row->strain = r->w != NULL;
    return r->io->pairs ? row_of_list(r, i, worker, property, n_props, row, span)
                        : row_of_all(r, i, property, n_props, row, span);
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
