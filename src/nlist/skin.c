/* SPDX-License-Identifier: MIT */
/* skin.c - Verlet lists with rebuild detection.
 *
 * Let every pair be r = x_j - x_i + S h (h the cell, rows), known at the last search (index 0) if
 * |r_0| < rc + skin. With E = h_0^-1 h - 1 and x_i = x_i0 (1 + E) + u_i a pair is now r = r_0 (1 +
 * E) + u_j - u_i, so that one outside then is now at least (rc + skin) (1 - |E|) - 2 max |u| away,
 * for any S. The list is kept while that is >= rc, and less a little for rounding. h_0 is the frame
 * of lattice.h, so directions that are not periodic need no cell vector. The filter takes the
 * distances of the positions as given, and keeps the order: the result is bit for bit that of a
 * search. */
#include "nlist/skin.h"

#include <math.h>
#include <string.h>
#include "base/vec3.h"
#include "nlist/search.h"

enum { ROWS_PER_TASK = 256, SERIAL_PAIRS = 20000 };

void aim_skin_init(aim_skin *skin, double cutoff, double width)
{
    memset(skin, 0, sizeof *skin);
    skin->cutoff = cutoff;
    skin->skin = width;
    skin->nb_threshold = 120;
    skin->n_systems = -1;
}

void aim_skin_free(aim_skin *skin, const aim_alloc *alloc)
{
    aim_pairs_free(&skin->wide, alloc);
    aim_pairs_free(&skin->list, alloc);
    aim_free(alloc, skin->offset);
    aim_free(alloc, skin->pbc);
    aim_free(alloc, skin->coord);
    aim_free(alloc, skin->cell);
    aim_skin_init(skin, skin->cutoff, skin->skin);
}

/* ---------------------------------------------------------------- detection */

/* E = h_0^-1 h - 1 of system s in Cartesian space, identity where the cell is unchanged; returns 0
 * if it cannot be told. */
static int deformation(const aim_skin *k, const aim_batch *b, int32_t s, double e[9])
{
    const double *old = k->cell + 9 * (size_t)s, *new = b->cell + 9 * (size_t)s;
    const int32_t *pbc = b->pbc + 3 * (size_t)s;
    int changed = 0;
    memset(e, 0, 9 * sizeof *e);
    for (int d = 0; d < 3; d++)
        changed |= pbc[d] && memcmp(old + 3 * d, new + 3 * d, 3 * sizeof *old) != 0;
    if (!changed)
        return 1;
    aim_lattice l;
    if (aim_lattice_set(&l, old, pbc) != AIMNET_OK)
        return 0;
    double now[9];
    for (int d = 0; d < 3; d++) {
        const double u[3] = {l.u[3 * d], l.u[3 * d + 1], l.u[3 * d + 2]};
        if (l.periodic[d])
            aim_vecmat3(u, new, now + 3 * d);
        else
            memcpy(now + 3 * d, l.frame + 3 * d, 3 * sizeof *now);
    }
    for (int d = 0; d < 3; d++) {
        aim_vecmat3(l.inverse + 3 * d, now, e + 3 * d);
        e[3 * d + d] -= 1.0;
    }
    return 1;
}

static int system_outdated(const aim_skin *k, const aim_batch *b, int32_t s)
{
    double e[9], norm2 = 0.0, largest2 = 0.0, reach = 0.0;
    int lost = 0; /* a coordinate that is not a number */
    if (!deformation(k, b, s, e))
        return 1;
    for (int d = 0; d < 9; d++)
        norm2 += e[d] * e[d];
    for (int32_t a = b->offset[s]; a < b->offset[s + 1]; a++) {
        const double *x0 = k->coord + 3 * (size_t)a, *x = b->coord + 3 * (size_t)a;
        double u[3], u2 = 0.0;
        aim_vecmat3(x0, e, u);
        for (int d = 0; d < 3; d++) {
            u[d] = x[d] - x0[d] - u[d];
            u2 += u[d] * u[d];
            reach = fmax(reach, fabs(x[d]));
        }
        lost |= !(u2 < INFINITY);
        largest2 = fmax(largest2, u2);
    }
    const double rounding = 1e-13 * (reach + k->cutoff);
    return lost || !((k->cutoff + k->skin) * (1.0 - sqrt(norm2)) - 2.0 * sqrt(largest2) >=
                     k->cutoff + rounding);
}

int aim_skin_outdated(const aim_skin *skin, const aim_batch *b)
{
    if (skin->n_systems != b->n_systems || skin->n_atoms != b->n_atoms)
        return 1;
    const size_t n_systems = (size_t)b->n_systems;
    if (memcmp(skin->offset, b->offset, (n_systems + 1) * sizeof *b->offset) != 0 ||
        memcmp(skin->pbc, b->pbc, 3 * n_systems * sizeof *b->pbc) != 0)
        return 1;
    for (int32_t s = 0; s < b->n_systems; s++)
        if (system_outdated(skin, b, s))
            return 1;
    return 0;
}

/* ---------------------------------------------------------------- search and filter */

static aim_status remember(aim_skin *k, const aim_alloc *alloc, const aim_batch *b)
{
    const size_t n = (size_t)b->n_atoms, m = (size_t)b->n_systems;
    int64_t offset = k->system_capacity, pbc = offset, cell = offset;
    AIM_TRY(aim_nlist_reserve(alloc, &k->coord, &k->atom_capacity, b->n_atoms, 3 * sizeof *k->coord,
                              "positions of a skin list"));
    if (b->n_systems + 1 > k->system_capacity) {
        k->system_capacity = 0;
        AIM_TRY(aim_nlist_reserve(alloc, &k->offset, &offset, b->n_systems + 1, sizeof *k->offset,
                                  "offsets of a skin list"));
        AIM_TRY(aim_nlist_reserve(alloc, &k->pbc, &pbc, b->n_systems + 1, 3 * sizeof *k->pbc,
                                  "periodicity of a skin list"));
        AIM_TRY(aim_nlist_reserve(alloc, &k->cell, &cell, b->n_systems + 1, 9 * sizeof *k->cell,
                                  "cells of a skin list"));
        k->system_capacity = b->n_systems + 1;
    }
    if (n)
        memcpy(k->coord, b->coord, 3 * n * sizeof *k->coord);
    memcpy(k->offset, b->offset, (m + 1) * sizeof *k->offset);
    memcpy(k->pbc, b->pbc, 3 * m * sizeof *k->pbc);
    memcpy(k->cell, b->cell, 9 * m * sizeof *k->cell);
    k->n_atoms = b->n_atoms;
    k->n_systems = b->n_systems;
    return AIMNET_OK;
}

static aim_status search(aim_skin *k, const aim_alloc *alloc, aim_nlist *nlist, const aim_batch *b,
                         aim_team *team)
{
    const double reach = k->cutoff + k->skin;
    const aim_nlist_request q = {1, &reach, k->nb_threshold, k->algorithm, 0};
    k->n_systems = -1;
    AIM_TRY(aim_nlist_build_many(nlist, b, &q, team, &k->wide));
    AIM_TRY(remember(k, alloc, b));
    k->searches++;
    return AIMNET_OK;
}

typedef struct filter {
    const aim_batch *b;
    const aim_pairs *from;
    aim_pairs *to;
    double cutoff2;
    int write;
} filter;

/* Counts the pairs of the rows of a task, or writes them. */
static void filter_rows(void *ctx, int64_t task, int worker)
{
    (void)worker;
    const filter *f = ctx;
    const int64_t end =
        (task + 1) * ROWS_PER_TASK < f->b->n_atoms ? (task + 1) * ROWS_PER_TASK : f->b->n_atoms;
    for (int32_t i = (int32_t)(task * ROWS_PER_TASK); i < end; i++) {
        int64_t out = f->write ? f->to->row[i] : 0;
        for (int64_t p = f->from->row[i]; p < f->from->row[i + 1]; p++) {
            const int32_t j = f->from->j[p], *s = f->from->shift ? f->from->shift[p] : NULL;
            if (!(aim_exact_distance2(f->b, i, j, s) < f->cutoff2))
                continue;
            if (f->write) {
                f->to->j[out] = j;
                if (s)
                    memcpy(f->to->shift[out], s, sizeof f->to->shift[out]);
            }
            out++;
        }
        if (!f->write)
            f->to->row[i + 1] = out;
    }
}

static aim_status filter_list(aim_skin *k, const aim_alloc *alloc, aim_nlist *nlist,
                              const aim_batch *b, aim_team *team)
{
    const int64_t n_tasks = (b->n_atoms + ROWS_PER_TASK - 1) / ROWS_PER_TASK;
    filter f = {b, &k->wide, &k->list, k->cutoff * k->cutoff, 0};
    team = k->wide.n_pairs < SERIAL_PAIRS ? NULL : team;
    AIM_TRY(aim_nlist_reserve(alloc, &k->list.row, &k->list.atom_capacity, b->n_atoms + 1,
                              sizeof *k->list.row, "neighbour rows"));
    aim_parallel_for(team, n_tasks, filter_rows, &f);
    k->list.row[0] = 0;
    for (int32_t i = 0; i < b->n_atoms; i++)
        k->list.row[i + 1] += k->list.row[i];
    const int64_t n_pairs = k->list.row[b->n_atoms];
    AIM_TRY(aim_pairs_reserve(&k->list, alloc, b->n_atoms, n_pairs, k->wide.shift != NULL,
                              k->want_reverse));
    f.write = 1;
    aim_parallel_for(team, n_tasks, filter_rows, &f);
    k->list.n_atoms = b->n_atoms;
    k->list.n_pairs = n_pairs;
    return k->want_reverse ? aim_nlist_reverse(nlist, b, &k->list, team) : AIMNET_OK;
}

aim_status aim_skin_update(aim_skin *skin, const aim_alloc *alloc, aim_nlist *nlist,
                           const aim_batch *batch, aim_team *team, int *searched)
{
    const int outdated = aim_skin_outdated(skin, batch);
    if (searched)
        *searched = outdated;
    skin->list.n_atoms = 0;
    skin->list.n_pairs = 0;
    if (outdated)
        AIM_TRY(search(skin, alloc, nlist, batch, team));
    return filter_list(skin, alloc, nlist, batch, team);
}
