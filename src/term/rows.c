/* SPDX-License-Identifier: MIT */
/* rows.c - slots, rows and sums of the pair terms (see rows.h).
 *
 * Slots and groups come from a counting sort per system. Each atom is written by one task
 * (rows_walk.c), and the sums over a system run serially over its atoms, so nothing depends on the
 * team. */
#include "term/rows.h"

#include <math.h>
#include <string.h>

#include "backend/isa.h"
#include "base/vec3.h"
#include "nlist/lattice.h"

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
    if (r->io->clusters)
        return AIMNET_OK;
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

aim_status aim_rows_plan(aim_rows *r, aim_term_io *io, int by_number, int n_props)
{
    *r = (aim_rows){.io = io, .by_number = by_number, .n_props = n_props};
    r->kernels = io->kernels ? io->kernels : aim_term_kernels_select(aim_cpu_isa());
    int64_t longest = 0;
    for (int32_t s = 0; s < io->batch->n_systems; s++)
        if (aim_rows_active(r->io, s))
            AIM_TRY(plan_system(r, s, &longest));
    const aim_clusters *l = io->clusters;
    for (int32_t c = 0; l && c < l->n_clusters; c++)
        if (aim_rows_active(r->io, l->cluster[c].system)) {
            r->n_pairs += l->cluster[c].n_home * l->cluster[c].n_entries;
            longest = l->longest;
        }
    const size_t groups = (size_t)(r->max_groups > 0 ? r->max_groups : 1);
    r->capacity = round_up(longest, AIM_MESH_LANES) + 2 * AIM_MESH_LANES;
    r->tile_size = (size_t)r->capacity * groups;
    r->row_size = l ? AIM_ROWS_PIECE + 2 * AIM_MESH_LANES : r->tile_size;
    if (r->tile_size > INT32_MAX)
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
    const size_t workers = (size_t)aim_team_size(r->io->team);
    if (r->io->pairs || r->io->clusters) {
        r->inside = aim_take(a, "rows.inside", 3 * n, sizeof *r->inside);
        r->wrap = aim_take(a, "rows.wrap", n, sizeof *r->wrap);
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
    if (r->io->clusters) {
        r->tile = aim_take(a, "rows.tile", workers, sizeof *r->tile);
        r->tile_position =
            aim_take(a, "rows.tile_position", workers * 3 * r->tile_size, sizeof *r->tile_position);
        r->tile_id = aim_take(a, "rows.tile_id", workers * r->tile_size, sizeof *r->tile_id);
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
        r->x[k] = xi[0] - origin[0];
        r->y[k] = xi[1] - origin[1];
        r->z[k] = xi[2] - origin[2];
        r->id[k] = k - begin;
        r->real[k] = -1;
    }
}

/* Wrapped positions, as the search has them. */
static void wrap_system(aim_rows *r, int32_t s)
{
    const aim_batch *b = r->io->batch;
    aim_lattice l;
    const int wrapped =
        aim_lattice_set(&l, b->cell + 9 * (size_t)s, b->pbc + 3 * (size_t)s) == AIMNET_OK && l.any;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
        double w[3] = {0.0, 0.0, 0.0}, fraction[3];
        memcpy(r->inside + 3 * (size_t)i, b->coord + 3 * (size_t)i, 3 * sizeof(double));
        if (wrapped)
            aim_lattice_wrap(&l, b->coord + 3 * (size_t)i, w, r->inside + 3 * (size_t)i, fraction);
        for (int e = 0; e < 3; e++) {
            r->wrap[i][e] = (int32_t)(w[0] * l.u[e] + w[1] * l.u[3 + e] + w[2] * l.u[6 + e]);
            r->any_wrap |= r->wrap[i][e] != 0;
        }
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
        if (active && r->inside)
            wrap_system(r, s);
        else if (active)
            fill_positions(r, s, begin, slots);
    }
    for (int k = 0; r->tile && k < aim_team_size(r->io->team); k++)
        r->tile[k].cluster = -1;
}

double *aim_rows_property(const aim_rows *r, aim_arena *a, const char *name)
{
    double *p = aim_take(a, name, (size_t)r->n_slots, sizeof *p);
    if (p)
        memset(p, 0, (size_t)r->n_slots * sizeof *p);
    return p;
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
