/* SPDX-License-Identifier: MIT */
/* batch.c - from the caller's structures to one flat batch: padding atoms dropped, everything
 * copied once. */
#include <string.h>

#include "calc/calc.h"

static void place(aim_flat *f, aim_arena *arena, size_t n_atoms, size_t n_systems)
{
    aim_batch *b = &f->batch;
    b->offset = aim_take(arena, "offset", n_systems + 1, sizeof *b->offset);
    b->system = aim_take(arena, "system", n_atoms, sizeof *b->system);
    b->numbers = aim_take(arena, "numbers", n_atoms, sizeof *b->numbers);
    b->origin = aim_take(arena, "origin", n_atoms, sizeof *b->origin);
    b->coord = aim_take(arena, "coord", 3 * n_atoms, sizeof *b->coord);
    b->cell = aim_take(arena, "cell", 9 * n_systems, sizeof *b->cell);
    b->pbc = aim_take(arena, "pbc", 3 * n_systems, sizeof *b->pbc);
    b->charge = aim_take(arena, "charge", n_systems, sizeof *b->charge);
    b->mult = aim_take(arena, "mult", n_systems, sizeof *b->mult);
    f->index = aim_take(arena, "index", n_systems, sizeof *f->index);
}

/* The batch's arrays are const for everybody else; here they are filled. */
static void fill_system(aim_flat *f, const aimnet_system *s, int32_t k, int padded, int32_t *atom)
{
    aim_batch *b = &f->batch;
    int32_t *system = (int32_t *)b->system, *numbers = (int32_t *)b->numbers,
            *origin = (int32_t *)b->origin, *pbc = (int32_t *)b->pbc;
    double *coord = (double *)b->coord, *cell = (double *)b->cell;
    ((int32_t *)b->offset)[k] = *atom;
    ((double *)b->charge)[k] = s->charge;
    ((double *)b->mult)[k] = s->mult == 0 ? 1.0 : s->mult;
    const int periodic = s->cell && (s->pbc[0] || s->pbc[1] || s->pbc[2]);
    for (int d = 0; d < 9; d++)
        cell[9 * k + d] = periodic ? s->cell[d] : 0.0;
    for (int d = 0; d < 3; d++)
        pbc[3 * k + d] = periodic && s->pbc[d];
    if (!padded && s->coord) {
        const int32_t n = s->n_atoms, first = *atom;
        memcpy(numbers + first, s->numbers, (size_t)n * sizeof *numbers);
        memcpy(coord + 3 * (size_t)first, s->coord, 3 * (size_t)n * sizeof *coord);
        for (int32_t i = 0; i < n; i++) {
            system[first + i] = k;
            origin[first + i] = i;
        }
        *atom = first + n;
        return;
    }
    for (int32_t i = 0; i < s->n_atoms; i++) {
        if (s->numbers[i] == 0)
            continue;
        const int32_t a = (*atom)++;
        system[a] = k;
        numbers[a] = s->numbers[i];
        origin[a] = i;
        for (int d = 0; d < 3 && s->coord; d++) /* else they are on the device */
            coord[3 * a + d] = s->coord[3 * i + d];
    }
}

aim_status aim_flatten(aim_calc *c, const aimnet_system *systems, const int32_t *index, int32_t n)
{
    aim_flat *f = &c->flat;
    size_t n_atoms = 0, n_places = 0;
    for (int32_t k = 0; k < n; k++) {
        n_places += (size_t)systems[index[k]].n_atoms;
        for (int32_t i = 0; i < systems[index[k]].n_atoms; i++)
            n_atoms += systems[index[k]].numbers[i] != 0;
    }
    if (n_atoms > INT32_MAX / 4)
        return AIM_FAIL(AIMNET_ERR_ARG, "a batch of %zu atoms is too large: at most %d", n_atoms,
                        INT32_MAX / 4);
    aim_arena measure = {0};
    place(f, &measure, n_atoms, (size_t)n);
    AIM_TRY(aim_arena_reserve(&f->arena, &c->alloc, measure.used, "batch"));
    place(f, &f->arena, n_atoms, (size_t)n);
    int32_t atom = 0;
    f->lists = n == 1 ? systems[index[0]].lists : NULL;
    for (int32_t k = 0; k < n; k++) {
        f->index[k] = index[k];
        fill_system(f, &systems[index[k]], k, n_places > n_atoms, &atom);
    }
    ((int32_t *)f->batch.offset)[n] = atom;
    f->batch.n_atoms = atom;
    f->batch.n_systems = n;
    return AIMNET_OK;
}

int aim_is_periodic(const aimnet_system *s)
{
    return s->cell && (s->pbc[0] || s->pbc[1] || s->pbc[2]);
}

aim_status aim_run_reserve(aim_calc *c, int32_t n)
{
    if ((size_t)n <= c->index_capacity)
        return AIMNET_OK;
    AIM_TRY(aim_grow(&c->alloc, 0, (size_t)n, sizeof *c->index, "batch index", &c->index));
    c->index_capacity = (size_t)n;
    return AIMNET_OK;
}

int32_t aim_run_length(const aim_calc *c, const aimnet_system *systems, int32_t first, int32_t n,
                       int64_t most)
{
    const int64_t limit = c->options.batch_atoms > 0 ? c->options.batch_atoms : most;
    int64_t atoms = systems[first].n_atoms;
    int32_t k = 1;
    while (first + k < n && !systems[first].lists && !systems[first + k].lists &&
           aim_is_periodic(&systems[first + k]) == aim_is_periodic(&systems[first]) &&
           (atoms += systems[first + k].n_atoms) <= limit)
        k++;
    return k;
}

aim_status aim_run_open(aim_calc *c, const aimnet_system *systems, int32_t first, int32_t n)
{
    for (int32_t k = 0; k < n; k++)
        c->index[k] = first + k;
    AIM_TRY(aim_flatten(c, systems, c->index, n));
    const int alone = n == 1 && first == 0;
    if (aim_device_sweeps_batch(c) && (alone || !aim_batch_periodic(&c->flat.batch, 0)))
        return AIMNET_OK;
    AIM_TRY(aim_calc_pairs(c, AIM_FOR_NETWORK, c->member[0].model->cutoff, 1, &c->pairs));
    for (int32_t s = 0; aim_batch_periodic(&c->flat.batch, 0) && s < n; s++) {
        const aim_status status = aim_check_images(&c->flat.batch, &c->pairs, s);
        if (status != AIMNET_OK)
            return alone ? status : aim_fail_prefix(status, "structure %d", (int)(first + s));
    }
    return AIMNET_OK;
}
