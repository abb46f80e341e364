/* SPDX-License-Identifier: MIT */
/* cuda_nlist_api.c - neighbour matrices on a card (aimnet_cuda.h): arguments are checked, frames of
 * the cells found. Positions that cannot be searched are put into words by the host's builder. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "aimnet_cuda.h"
#include "api/cuda_memory.h"
#include "api/nlist_api.h"
#include "base/arena.h"
#include "nlist/lattice.h"
#include "nlist/matrix.h"
#include "nlist/search.h"

struct aimnet_cuda_nlist {
    const aim_device_ops *ops;
    int card;
    aim_alloc alloc;
    aim_arena arena;
    _Alignas(16) unsigned char own[AIM_DEV_LIST_SIZE];
};

/* What describes the systems, on the host. */
typedef struct described {
    aimnet_atoms atoms;
    int32_t *mol_idx, *pbc;
    double *cell;
    aim_dev_list_system *system;
} described;

aimnet_status aimnet_cuda_nlist_create(int card, aimnet_cuda_nlist **list)
{
    aim_dev_error e = {0};
    aimnet_cuda_nlist *l;
    if (!list)
        return AIM_FAIL(AIMNET_ERR_ARG, "list is NULL: expected where to put the list");
    *list = NULL;
    const aim_device_ops *ops = aim_device_load(&e);
    if (!ops)
        return aim_cuda_error(&e);
    const aim_alloc alloc = aim_alloc_default();
    AIM_TRY(aim_new0(&alloc, 1, sizeof *l, "a neighbour list", &l));
    l->ops = ops;
    l->card = card;
    l->alloc = alloc;
    if (ops->list_create(l->own, card, &e)) {
        aim_free(&alloc, l);
        return aim_cuda_error(&e);
    }
    *list = l;
    return AIMNET_OK;
}

void aimnet_cuda_nlist_free(aimnet_cuda_nlist *list)
{
    if (!list)
        return;
    const aim_alloc alloc = list->alloc;
    list->ops->list_free(list->own);
    aim_arena_free(&list->arena, &alloc);
    aim_free(&alloc, list);
}

static int32_t systems_of(const aimnet_atoms *a)
{
    return a->n_systems ? a->n_systems : 1;
}

static aim_status check_sizes(const aimnet_atoms *a, double cutoff, int32_t width)
{
    if (a->n_atoms < 0 || a->n_systems < 0 ||
        2 * (int64_t)a->n_atoms + 8 * (int64_t)a->n_systems > INT_MAX / 4)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%d atoms in %d systems: expected no negative number, and at most %d "
                        "atoms and systems",
                        a->n_atoms, a->n_systems, INT_MAX / 40);
    if ((a->n_cells != 0 && a->n_cells != 1 && a->n_cells != systems_of(a)) ||
        (a->n_pbc != 0 && a->n_pbc != 1 && a->n_pbc != systems_of(a)))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "n_cells is %d and n_pbc %d: expected 0, 1 (shared) or the number of "
                        "systems, %d",
                        a->n_cells, a->n_pbc, systems_of(a));
    if (!(cutoff > 0.0))
        return AIM_FAIL(AIMNET_ERR_ARG, "cutoff %g A: expected a number above 0", cutoff);
    if (width <= 0 || width % 16 != 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "width %d: expected a positive multiple of 16", width);
    return AIMNET_OK;
}

static aim_status check_arrays(const aimnet_cuda_nlist *l, const aimnet_atoms *a, int32_t width,
                               const int32_t *nbmat, const int32_t *shifts,
                               const int32_t *num_neighbors)
{
    const size_t n = (size_t)a->n_atoms, entries = (n + 1) * (size_t)width * sizeof(int32_t);
    AIM_TRY(aim_cuda_check(l->ops, l->card, a->coord, 3 * n * sizeof(double), "coord"));
    AIM_TRY(aim_cuda_check(l->ops, l->card, nbmat, entries, "nbmat"));
    if (shifts)
        AIM_TRY(aim_cuda_check(l->ops, l->card, shifts, 3 * entries, "shifts"));
    return num_neighbors ? aim_cuda_check(l->ops, l->card, num_neighbors, n * sizeof(int32_t),
                                          "num_neighbors")
                         : AIMNET_OK;
}

static void place(const aimnet_atoms *in, aim_arena *arena, described *d)
{
    const size_t systems = (size_t)systems_of(in);
    /* of one system nothing is in mol_idx that is not known */
    d->mol_idx = aim_take(arena, "mol_idx", in->mol_idx && systems > 1 ? (size_t)in->n_atoms : 0,
                          sizeof(int32_t));
    d->pbc = aim_take(arena, "pbc", 3 * (size_t)in->n_pbc, sizeof(int32_t));
    d->cell = aim_take(arena, "cell", 9 * (size_t)in->n_cells, sizeof(double));
    d->system = aim_take0(arena, "systems", systems, sizeof *d->system);
}

static aim_status fetch(const aimnet_cuda_nlist *l, const aimnet_atoms *in, void *stream,
                        described *d)
{
    static const double somewhere;
    const size_t n = (size_t)in->n_atoms;
    d->atoms = *in;
    d->atoms.coord = &somewhere; /* checked already */
    d->atoms.cell = d->cell;
    d->atoms.pbc = d->pbc;
    d->atoms.mol_idx = in->mol_idx && systems_of(in) > 1 ? d->mol_idx : NULL;
    AIM_TRY(aim_cuda_fetch(l->ops, l->card, in->mol_idx, d->atoms.mol_idx ? n * sizeof(int32_t) : 0,
                           "mol_idx", stream, d->mol_idx));
    AIM_TRY(aim_cuda_fetch(l->ops, l->card, in->pbc, 3 * (size_t)in->n_pbc * sizeof(int32_t), "pbc",
                           stream, d->pbc));
    AIM_TRY(aim_cuda_fetch(l->ops, l->card, in->cell, 9 * (size_t)in->n_cells * sizeof(double),
                           "cell", stream, d->cell));
    return aim_atoms_check(&d->atoms);
}

/* Which atoms each system has, and the frame it is searched in. */
static aim_status describe(described *d)
{
    const int32_t systems = systems_of(&d->atoms), n = d->atoms.n_atoms;
    for (int32_t s = 0; s < systems; s++) {
        d->system[s].first = s * (n / systems);
        d->system[s].count = n / systems;
    }
    for (int32_t i = 0; d->atoms.mol_idx && i < n; i++) {
        aim_dev_list_system *y = &d->system[d->atoms.mol_idx[i]];
        if (i == 0 || d->atoms.mol_idx[i] != d->atoms.mol_idx[i - 1])
            *y = (aim_dev_list_system){.first = i};
        y->count++;
    }
    for (int32_t s = 0; s < systems; s++) {
        aim_dev_list_system *y = &d->system[s];
        aim_lattice l;
        int32_t pbc[3];
        double cell[9];
        aim_atoms_cell(&d->atoms, s, cell, pbc);
        const aim_status status = aim_lattice_set(&l, cell, pbc);
        if (status != AIMNET_OK)
            return aim_fail_prefix(status, "system %d", (int)s);
        memcpy(y->frame, l.frame, sizeof y->frame);
        memcpy(y->inverse, l.inverse, sizeof y->inverse);
        memcpy(y->height, l.height, sizeof y->height);
        for (int k = 0; k < 9; k++) {
            y->u[k] = l.u[k];
            y->cell[k] = l.any ? cell[k] : 0.0;
        }
        for (int k = 0; k < 3; k++)
            y->periodic[k] = l.periodic[k];
    }
    return AIMNET_OK;
}

/* The host's builder refuses these positions, and says why. */
static aim_status explain(const aimnet_cuda_nlist *l, const described *d, const double *coord,
                          double cutoff, void *stream)
{
    const size_t count = 3 * (size_t)d->atoms.n_atoms;
    aimnet_nlist *host = NULL;
    double *copy;
    aimnet_atoms atoms = d->atoms;
    AIM_TRY(aim_new(&l->alloc, count, sizeof *copy, "positions", &copy));
    atoms.coord = copy;
    aim_status status =
        aim_cuda_fetch(l->ops, l->card, coord, count * sizeof *copy, "coord", stream, copy);
    if (status == AIMNET_OK)
        status = aimnet_nlist_create(NULL, &host);
    if (status == AIMNET_OK)
        status = aimnet_nlist_count(host, &atoms, cutoff, NULL, NULL);
    aimnet_nlist_free(host);
    aim_free(&l->alloc, copy);
    return status != AIMNET_OK ? status
                               : AIM_FAIL(AIMNET_ERR_SYSTEM, "positions that are not finite or too "
                                                             "far away");
}

aimnet_status aimnet_cuda_nlist_build(aimnet_cuda_nlist *list, const aimnet_atoms *atoms,
                                      double cutoff, int32_t width, int32_t *nbmat, int32_t *shifts,
                                      int32_t *num_neighbors, int32_t *needed, void *stream)
{
    described d = {0};
    aim_arena measure = {0};
    aim_dev_error e = {0};
    if (!list || !atoms)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL", list ? "atoms" : "list");
    AIM_TRY(check_sizes(atoms, cutoff, width));
    AIM_TRY(aim_cuda_can_wait(list->ops, list->card, stream));
    AIM_TRY(check_arrays(list, atoms, width, nbmat, shifts, num_neighbors));
    place(atoms, &measure, &d);
    AIM_TRY(aim_arena_reserve(&list->arena, &list->alloc, measure.used, "systems"));
    place(atoms, &list->arena, &d);
    AIM_TRY(fetch(list, atoms, stream, &d));
    AIM_TRY(describe(&d));
    aim_dev_list what = {.n_atoms = atoms->n_atoms,
                         .n_systems = systems_of(atoms),
                         .width = width,
                         .system = d.system,
                         .coord = atoms->coord,
                         .cutoff = cutoff,
                         .farthest = AIM_NLIST_FARTHEST,
                         .most_shift = AIM_NLIST_MOST_SHIFT,
                         .most_reach = AIM_MAX_REACH,
                         .nbmat = nbmat,
                         .shifts = shifts,
                         .num_neighbors = num_neighbors,
                         .stream = stream};
    if (list->ops->list_build(list->own, &what, &e))
        return aim_cuda_error(&e);
    if (what.found)
        return explain(list, &d, atoms->coord, cutoff, stream);
    if (needed)
        *needed = aim_width_fitting(what.longest);
    return what.longest <= width
               ? AIMNET_OK
               : AIM_FAIL(AIMNET_ERR_OVERFLOW,
                          "an atom has %d neighbours, but rows have room for %d: a width of %d is "
                          "needed",
                          (int)what.longest, (int)width, (int)aim_width_fitting(what.longest));
}
