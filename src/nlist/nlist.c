/* SPDX-License-Identifier: MIT */
/* nlist.c - builds the neighbour lists of a batch: plan and sort (place.c), count and fill
 * (scan.c), reverse index (reverse.c).
 *
 * The rows are counted first and written second, so that a list is stored once, in memory of
 * exactly its size: no buffers of workers to join, no guessed row length, and nothing to truncate.
 * Memory is O(atoms + pairs), time O(atoms + pairs) for any shape of system. Loops are shared with
 * the team only where the batch is large enough to pay for waking it. docs/math/neighbours.md. */
#include "nlist/search.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include "backend/isa.h"
#include "nlist/lists.h"

enum { SERIAL_ATOMS = 512, ATOMS_PER_TASK = 128 };

/* ---------------------------------------------------------------- memory */

aim_status aim_nlist_create(const aim_alloc *alloc, aim_nlist **nlist)
{
    AIM_TRY(aim_new0(alloc, 1, sizeof **nlist, "a neighbour list builder", nlist));
    (*nlist)->alloc = *alloc;
    return AIMNET_OK;
}

static void free_scratch(aim_nlist *n)
{
    for (int k = 0; k < n->n_scratch; k++)
        aim_free(&n->alloc, n->scratch[k].block);
    aim_free(&n->alloc, n->scratch);
    n->scratch = NULL;
    n->n_scratch = 0;
}

void aim_nlist_free(aim_nlist *n)
{
    if (!n)
        return;
    const aim_alloc alloc = n->alloc;
    free_scratch(n);
    void *blocks[] = {n->plan,
                      n->group,
                      n->atom,
                      n->x,
                      n->y,
                      n->z,
                      n->wrap,
                      n->cell,
                      n->cell_of_atom,
                      n->bucket,
                      n->task_candidates,
                      n->cursor};
    for (size_t k = 0; k < sizeof blocks / sizeof *blocks; k++)
        aim_free(&alloc, blocks[k]);
    aim_free(&alloc, n);
}

void aim_pairs_free(aim_pairs *pairs, const aim_alloc *alloc)
{
    if (!pairs)
        return;
    aim_free(alloc, pairs->row);
    aim_free(alloc, pairs->j);
    aim_free(alloc, pairs->shift);
    aim_free(alloc, pairs->reverse);
    memset(pairs, 0, sizeof *pairs);
}

size_t aim_pairs_bytes(const aim_pairs *l)
{
    return (size_t)l->pair_capacity * sizeof(int32_t) +
           (size_t)l->shift_capacity * sizeof(aim_shift) +
           (size_t)l->reverse_capacity * sizeof(int64_t) +
           (size_t)l->atom_capacity * sizeof(int64_t);
}

/* Room for a worker's candidates: every array in one block. */
static aim_status reserve_candidates(const aim_alloc *alloc, aim_scratch *s, int64_t need)
{
    if (need <= s->capacity)
        return AIMNET_OK;
    const size_t n = ((size_t)(need + need / 8) + 15) / 16 * 16;
    const size_t slot = 2 * sizeof(uint64_t) + 6 * sizeof(float) + 3 * sizeof(aim_shift) +
                        3 * sizeof(int32_t) + 2 * 4;
    aim_free(alloc, s->block);
    s->capacity = 0;
    AIM_TRY(aim_new(alloc, n, slot, "neighbour candidates", &s->block));
    s->key = s->block;
    s->other = s->key + n;
    float *f = (float *)(void *)(s->other + n);
    s->gathered.x = f;
    s->gathered.y = f + n;
    s->gathered.z = f + 2 * n;
    s->sorted.x = f + 3 * n;
    s->sorted.y = f + 4 * n;
    s->sorted.z = f + 5 * n;
    s->d2 = f + 6 * n;
    int32_t *i = (int32_t *)(void *)(f + 7 * n);
    s->gathered.slot = i;
    s->gathered.run = i + n;
    s->sorted.j = i + 2 * n;
    s->hit = i + 3 * n;
    s->gathered.run_shift = (aim_shift *)(void *)(i + 4 * n);
    s->sorted.shift = s->gathered.run_shift + n;
    s->shift = s->sorted.shift + n;
    s->capacity = (int64_t)n;
    return AIMNET_OK;
}

static aim_status reserve_scratch(aim_nlist *n, int workers)
{
    if (workers > n->n_scratch) {
        free_scratch(n);
        AIM_TRY(aim_new0(&n->alloc, (size_t)workers, sizeof *n->scratch, "neighbour search scratch",
                         &n->scratch));
        n->n_scratch = workers;
    }
    if (n->max_candidates > INT32_MAX / 2)
        return AIM_FAIL(AIMNET_ERR_MEMORY,
                        "an atom has more than %d candidate neighbours; use a smaller cutoff",
                        INT32_MAX / 2);
    for (int k = 0; k < workers; k++)
        AIM_TRY(
            reserve_candidates(&n->alloc, n->scratch + k, n->max_candidates + AIM_SELECT_SLACK));
    return AIMNET_OK;
}

static aim_status reserve_part(const aim_alloc *alloc, void *block, int64_t *capacity, int64_t need,
                               size_t size, const char *what)
{
    /* lists grow with some room, so that the fluctuating lists of a trajectory soon stop asking for
     * memory */
    if (need < *capacity)
        return AIMNET_OK;
    return aim_nlist_reserve(alloc, block, capacity, need + need / 16 + 1, size, what);
}

aim_status aim_pairs_reserve(aim_pairs *l, const aim_alloc *alloc, int64_t n_atoms, int64_t n_pairs,
                             int want_shift, int want_reverse)
{
    l->n_atoms = 0;
    l->n_pairs = 0;
    if (!want_shift && l->shift) {
        aim_free(alloc, l->shift);
        l->shift = NULL;
        l->shift_capacity = 0;
    }
    if (!want_reverse && l->reverse) {
        aim_free(alloc, l->reverse);
        l->reverse = NULL;
        l->reverse_capacity = 0;
    }
    AIM_TRY(aim_nlist_reserve(alloc, &l->row, &l->atom_capacity, n_atoms + 1, sizeof *l->row,
                              "neighbour rows"));
    AIM_TRY(
        reserve_part(alloc, &l->j, &l->pair_capacity, n_pairs, sizeof *l->j, "neighbour indices"));
    if (want_shift)
        AIM_TRY(reserve_part(alloc, &l->shift, &l->shift_capacity, n_pairs, sizeof *l->shift,
                             "neighbour shifts"));
    if (want_reverse)
        AIM_TRY(reserve_part(alloc, &l->reverse, &l->reverse_capacity, n_pairs, sizeof *l->reverse,
                             "reverse pairs"));
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- building */

static const aim_scan *choose_scan(void)
{
#ifdef AIM_NLIST_X86
    if (aim_cpu_isa() >= AIM_ISA_AVX512)
        return aim_scan_avx512();
    if (aim_cpu_isa() == AIM_ISA_AVX2)
        return aim_scan_avx2();
#endif
    return aim_scan_base();
}

static aim_status take_request(aim_nlist *n, const aim_batch *batch, const aim_nlist_request *q,
                               aim_team *team, aim_pairs *pairs)
{
    if (q->n_cutoffs < 1 || q->n_cutoffs > AIM_MAX_CUTOFFS)
        return AIM_FAIL(AIMNET_ERR_ARG, "%d cutoffs; 1 to %d lists can be built at once",
                        q->n_cutoffs, AIM_MAX_CUTOFFS);
    n->n_cutoffs = q->n_cutoffs;
    n->widest = 0;
    for (int c = 0; c < q->n_cutoffs; c++) {
        if (!(q->cutoffs[c] > 0.0))
            return AIM_FAIL(AIMNET_ERR_ARG, "cutoff %g A must be > 0", q->cutoffs[c]);
        n->cutoff[c] = q->cutoffs[c];
        n->squared[c] = q->cutoffs[c] * q->cutoffs[c];
        if (n->cutoff[c] > n->cutoff[n->widest])
            n->widest = c;
    }
    n->batch = batch;
    n->pairs = pairs;
    n->clusters = NULL;
    n->team = batch->n_atoms < SERIAL_ATOMS ? NULL : team;
    return AIMNET_OK;
}

/* Groups of home atoms, shared out among tasks. */
static aim_status place(aim_nlist *n, const aim_nlist_request *q, int64_t *n_tasks)
{
    AIM_TRY(aim_nlist_place(n, q->nb_threshold, q->algorithm));
    n->groups_per_task =
        (int32_t)((int64_t)n->n_groups * ATOMS_PER_TASK / (n->batch->n_atoms + 1)) + 1;
    *n_tasks = (n->n_groups + n->groups_per_task - 1) / n->groups_per_task;
    return AIMNET_OK;
}

/* The first pass: row[] of every list. */
static aim_status count_rows(aim_nlist *n, const aim_nlist_request *q, const aim_scan *scan,
                             int64_t *n_tasks)
{
    const aim_batch *b = n->batch;
    AIM_TRY(place(n, q, n_tasks));
    AIM_TRY(aim_nlist_reserve(&n->alloc, &n->task_candidates, &n->task_capacity, *n_tasks,
                              sizeof *n->task_candidates, "search tasks"));
    for (int c = 0; c < n->n_cutoffs; c++)
        AIM_TRY(aim_nlist_reserve(&n->alloc, &n->pairs[c].row, &n->pairs[c].atom_capacity,
                                  b->n_atoms + 1, sizeof *n->pairs[c].row, "neighbour rows"));
    aim_parallel_for(n->team, *n_tasks, scan->count, n);
    n->max_candidates = 0;
    for (int64_t t = 0; t < *n_tasks; t++)
        if (n->task_candidates[t] > n->max_candidates)
            n->max_candidates = n->task_candidates[t];
    for (int c = 0; c < n->n_cutoffs; c++) {
        int64_t *row = n->pairs[c].row;
        row[0] = 0;
        for (int32_t a = 0; a < b->n_atoms; a++)
            row[a + 1] += row[a];
    }
    return AIMNET_OK;
}

static aim_status build(aim_nlist *n, const aim_nlist_request *q)
{
    const aim_scan *scan = choose_scan();
    int64_t n_tasks;
    AIM_TRY(count_rows(n, q, scan, &n_tasks));
    const int32_t n_atoms = n->batch->n_atoms;
    for (int c = 0; c < n->n_cutoffs; c++)
        AIM_TRY(aim_pairs_reserve(n->pairs + c, &n->alloc, n_atoms, n->pairs[c].row[n_atoms],
                                  n->any_periodic, q->want_reverse));
    AIM_TRY(reserve_scratch(n, aim_team_size(n->team)));
    aim_parallel_for(n->team, n_tasks, scan->fill, n);
    for (int c = 0; c < n->n_cutoffs; c++) {
        aim_pairs *l = n->pairs + c;
        l->n_atoms = n_atoms;
        l->n_pairs = l->row[n_atoms];
        if (q->want_reverse)
            AIM_TRY(aim_nlist_reverse(n, n->batch, l, n->team));
    }
    return AIMNET_OK;
}

/* An empty list is a valid list of no atoms, whatever a failed call has left in the arrays. */
static aim_status finish(aim_status status, aim_pairs *pairs, int n)
{
    for (int c = 0; status != AIMNET_OK && c < n; c++)
        pairs[c].n_atoms = 0, pairs[c].n_pairs = 0;
    return status;
}

aim_status aim_nlist_build_many(aim_nlist *nlist, const aim_batch *batch,
                                const aim_nlist_request *request, aim_team *team, aim_pairs *pairs)
{
    AIM_TRY(take_request(nlist, batch, request, team, pairs));
    return finish(build(nlist, request), pairs, request->n_cutoffs);
}

aim_status aim_nlist_count(aim_nlist *nlist, const aim_batch *batch,
                           const aim_nlist_request *request, aim_team *team, aim_pairs *pairs)
{
    int64_t n_tasks;
    AIM_TRY(take_request(nlist, batch, request, team, pairs));
    AIM_TRY(finish(count_rows(nlist, request, choose_scan(), &n_tasks), pairs, request->n_cutoffs));
    for (int c = 0; c < request->n_cutoffs; c++) {
        pairs[c].n_atoms = batch->n_atoms;
        pairs[c].n_pairs = pairs[c].row[batch->n_atoms];
    }
    return AIMNET_OK;
}

aim_status aim_nlist_build(aim_nlist *nlist, const aim_batch *batch, double cutoff,
                           int nb_threshold, int want_reverse, aim_team *team, aim_pairs *pairs)
{
    const aim_nlist_request q = {1, &cutoff, nb_threshold, AIM_ANY, want_reverse};
    return aim_nlist_build_many(nlist, batch, &q, team, pairs);
}

/* ---------------------------------------------------------------- clusters */

void aim_clusters_free(aim_clusters *clusters, const aim_alloc *alloc)
{
    if (!clusters)
        return;
    aim_free(alloc, clusters->cluster);
    aim_free(alloc, clusters->home);
    aim_free(alloc, clusters->j);
    aim_free(alloc, clusters->shift);
    memset(clusters, 0, sizeof *clusters);
}

size_t aim_clusters_bytes(const aim_clusters *l)
{
    return (size_t)l->entry_capacity * sizeof(int32_t) +
           (size_t)l->shift_capacity * sizeof(aim_shift) +
           (size_t)l->cluster_capacity * sizeof(aim_cluster) +
           (size_t)l->home_capacity * sizeof(int32_t);
}

static aim_status reserve_clusters(aim_nlist *n, aim_clusters *c)
{
    const aim_batch *b = n->batch;
    AIM_TRY(aim_nlist_reserve(&n->alloc, &c->cluster, &c->cluster_capacity, n->n_groups,
                              sizeof *c->cluster, "clusters"));
    AIM_TRY(aim_nlist_reserve(&n->alloc, &c->home, &c->home_capacity, b->n_atoms, sizeof *c->home,
                              "home atoms of clusters"));
    for (int32_t g = 0; g < n->n_groups; g++)
        c->cluster[g] = (aim_cluster){.system = n->group[g].system,
                                      .first_home = n->group[g].first,
                                      .n_home = n->group[g].count};
    for (int32_t a = 0; a < b->n_atoms; a++)
        c->home[a] = n->plan[b->system[a]].grid ? n->atom[a] : a;
    c->n_clusters = n->n_groups;
    return AIMNET_OK;
}

static aim_status build_clusters(aim_nlist *n, const aim_nlist_request *q, aim_clusters *c)
{
    const aim_scan *scan = choose_scan();
    int64_t n_tasks;
    AIM_TRY(place(n, q, &n_tasks));
    AIM_TRY(reserve_clusters(n, c));
    aim_parallel_for(n->team, n_tasks, scan->measure, n);
    for (int32_t g = 0; g < c->n_clusters; g++) {
        c->cluster[g].first_entry = c->n_entries;
        c->n_entries += c->cluster[g].n_entries;
        if (c->cluster[g].n_entries > c->longest)
            c->longest = c->cluster[g].n_entries;
    }
    AIM_TRY(reserve_part(&n->alloc, &c->j, &c->entry_capacity, c->n_entries, sizeof *c->j,
                         "entries of clusters"));
    if (n->any_periodic)
        AIM_TRY(reserve_part(&n->alloc, &c->shift, &c->shift_capacity, c->n_entries,
                             sizeof *c->shift, "shifts of clusters"));
    n->max_candidates = c->longest;
    AIM_TRY(reserve_scratch(n, aim_team_size(n->team)));
    aim_parallel_for(n->team, n_tasks, scan->cluster, n);
    return AIMNET_OK;
}

aim_status aim_clusters_build(aim_nlist *n, const aim_batch *batch, double cutoff, aim_team *team,
                              aim_clusters *c)
{
    const aim_nlist_request q = {1, &cutoff, 0, AIM_ANY, 0};
    c->cutoff = cutoff;
    c->n_clusters = 0;
    c->n_entries = c->longest = 0;
    AIM_TRY(take_request(n, batch, &q, team, NULL));
    n->clusters = c;
    const aim_status status = build_clusters(n, &q, c);
    if (status != AIMNET_OK)
        c->n_clusters = 0, c->n_entries = 0;
    return status;
}
