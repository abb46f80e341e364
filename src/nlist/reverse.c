/* SPDX-License-Identifier: MIT */
/* reverse.c - for every pair (i, j, S) the index of (j, i, -S).
 *
 * Rows are sorted by neighbour and the list is symmetric, so the opposite pairs of rows 0, 1, 2,
 * ... stand in every row j from left to right: one cursor per row replaces any searching. Several
 * images of one j are opposite to each other in reverse order, since S -> -S turns the
 * lexicographic order round. Each task walks a range of rows with cursors of its own for the atoms
 * of the systems it touches, started by bisection where its range begins inside a system. */
#include "nlist/search.h"

enum { SERIAL_ATOMS = 4096 };

typedef struct reverse_job {
    const aim_batch *b;
    aim_pairs *l;
    int64_t *cursor;
    int64_t n_tasks;
} reverse_job;

typedef struct part {
    int32_t row, end;    /* rows of the task */
    int32_t first, last; /* atoms of the systems of these rows, half open */
} part;

static part part_of(const reverse_job *r, int64_t task)
{
    part p;
    p.row = (int32_t)(r->b->n_atoms * task / r->n_tasks);
    p.end = (int32_t)(r->b->n_atoms * (task + 1) / r->n_tasks);
    p.first = r->b->offset[r->b->system[p.row]];
    p.last = r->b->offset[r->b->system[p.end - 1] + 1];
    return p;
}

/* First pair of row j whose neighbour is not below i. */
static int64_t bisect(const aim_pairs *l, int32_t j, int32_t i)
{
    int64_t low = l->row[j], high = l->row[j + 1];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (l->j[middle] < i)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void reverse_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    const reverse_job *r = ctx;
    const aim_pairs *l = r->l;
    const part p = part_of(r, task);
    int64_t offset = 0;
    for (int64_t t = 0; t < task; t++) {
        const part before = part_of(r, t);
        offset += before.last - before.first;
    }
    int64_t *cursor = r->cursor + offset;
    const int32_t inside =
        r->b->offset[r->b->system[p.row] + 1]; /* end of the system in which the rows begin */
    for (int32_t j = p.first; j < p.last; j++)
        cursor[j - p.first] = p.row > p.first && j < inside ? bisect(l, j, p.row) : l->row[j];
    for (int32_t i = p.row; i < p.end; i++) {
        const int64_t end = l->row[i + 1];
        for (int64_t k = l->row[i], next; k < end; k = next) {
            const int32_t j = l->j[k];
            int64_t *c = &cursor[j - p.first];
            for (next = k + 1; next < end && l->j[next] == j;)
                next++;
            *c += next - k;
            for (int64_t t = k; t < next; t++)
                l->reverse[t] = *c - 1 - (t - k);
        }
    }
}

aim_status aim_nlist_reverse(aim_nlist *nlist, const aim_batch *batch, aim_pairs *pairs,
                             aim_team *team)
{
    reverse_job r = {batch, pairs, NULL, 1};
    if (batch->n_atoms == 0)
        return AIMNET_OK;
    if (batch->n_atoms > SERIAL_ATOMS)
        r.n_tasks = aim_team_size(team);
    int64_t need = 0;
    for (int64_t t = 0; t < r.n_tasks; t++) {
        const part p = part_of(&r, t);
        need += p.last - p.first;
    }
    AIM_TRY(aim_nlist_reserve(&nlist->alloc, &nlist->cursor, &nlist->cursor_capacity, need,
                              sizeof *nlist->cursor, "reverse pair cursors"));
    r.cursor = nlist->cursor;
    aim_parallel_for(team, r.n_tasks, reverse_task, &r);
    return AIMNET_OK;
}
