/* SPDX-License-Identifier: MIT */
/* cuda_calc_api.c - evaluations between arrays on a card (aimnet_cuda.h): arguments are checked, what
 * describes the structures is brought to the host. */
#include <limits.h>
#include <string.h>

#include "aimnet_cuda.h"
#include "api/cuda_memory.h"
#include "calc/resident.h"
#include "nlist/atoms.h"

/* What describes the structures, on the host. */
typedef struct described {
    int32_t *numbers, *mol_idx, *pbc, *first;
    double *charge, *mult, *cell, *own_cell;
    aim_resident call;
} described;

static int32_t systems_of(const aimnet_cuda_systems *in)
{
    return in->atoms.n_systems ? in->atoms.n_systems : 1;
}

static void place(const aimnet_cuda_systems *in, aim_arena *arena, described *d)
{
    const size_t n = (size_t)in->atoms.n_atoms, systems = (size_t)systems_of(in);
    d->numbers = aim_take(arena, "numbers", n, sizeof(int32_t));
    d->mol_idx = aim_take(arena, "mol_idx", in->atoms.mol_idx ? n : 0, sizeof(int32_t));
    d->pbc = aim_take(arena, "pbc", 3 * (size_t)in->atoms.n_pbc, sizeof(int32_t));
    d->cell = aim_take(arena, "cell", 9 * (size_t)in->atoms.n_cells, sizeof(double));
    d->own_cell = aim_take(arena, "cells", 9 * systems, sizeof(double));
    d->charge = aim_take(arena, "charge", in->charge ? systems : 0, sizeof(double));
    d->mult = aim_take(arena, "mult", in->mult ? systems : 0, sizeof(double));
    d->first = aim_take(arena, "first", systems + 1, sizeof(int32_t));
    d->call.atom = aim_take(arena, "atom", n, sizeof(int32_t));
    d->call.volume = aim_take(arena, "volume", systems, sizeof(double));
    d->call.systems = aim_take0(arena, "systems", systems, sizeof(aimnet_system));
    d->call.results = aim_take0(arena, "results", systems, sizeof(aimnet_result));
}

static aim_status check_sizes(const aimnet_cuda_systems *in)
{
    const aimnet_atoms *a = &in->atoms;
    if (a->n_atoms < 0 || a->n_systems < 0 || a->n_atoms > INT_MAX / 4 ||
        a->n_systems > INT_MAX / 16)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%d atoms in %d systems: expected numbers from 0 to %d and %d", a->n_atoms,
                        a->n_systems, INT_MAX / 4, INT_MAX / 16);
    if ((a->n_cells != 0 && a->n_cells != 1 && a->n_cells != systems_of(in)) ||
        (a->n_pbc != 0 && a->n_pbc != 1 && a->n_pbc != systems_of(in)))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "n_cells is %d and n_pbc %d: expected 0, 1 (shared) or the number of "
                        "systems, %d",
                        a->n_cells, a->n_pbc, systems_of(in));
    if (in->coord_single && a->coord)
        return AIM_FAIL(AIMNET_ERR_ARG, "coord and coord_single: expected one of the two");
    return AIMNET_OK;
}

static aim_status check_arrays(const aim_calc *c, const aimnet_cuda_systems *in,
                               const aimnet_cuda_results *out)
{
    const size_t n = (size_t)in->atoms.n_atoms, systems = (size_t)systems_of(in), real = 8;
    const struct {
        const char *name;
        const void *array;
        size_t bytes;
        int needed;
    } of[] = {{"coord", in->atoms.coord, 3 * n * real, !in->coord_single},
              {"coord_single", in->coord_single, 3 * n * sizeof(float), 0},
              {"energy", out->energy, systems * real, 0},
              {"forces", out->forces, 3 * n * real, 0},
              {"charges", out->charges, n * real, 0},
              {"spin_charges", out->spin_charges, n * real, 0},
              {"stress", out->stress, 9 * systems * real, 0}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++)
        if (of[k].array || of[k].needed)
            AIM_TRY(aim_cuda_check(c->device.ops, c->device.index, of[k].array, of[k].bytes,
                                   of[k].name));
    return AIMNET_OK;
}

static aim_status fetch(const aim_calc *c, const aimnet_cuda_systems *in, void *stream,
                        const described *d)
{
    const size_t n = (size_t)in->atoms.n_atoms, systems = (size_t)systems_of(in);
    const struct {
        const char *name;
        const void *array;
        void *to;
        size_t bytes;
    } of[] = {
        {"numbers", in->numbers, d->numbers, n * sizeof(int32_t)},
        {"mol_idx", in->atoms.mol_idx, d->mol_idx, in->atoms.mol_idx ? n * sizeof(int32_t) : 0},
        {"pbc", in->atoms.pbc, d->pbc, 3 * (size_t)in->atoms.n_pbc * sizeof(int32_t)},
        {"cell", in->atoms.cell, d->cell, 9 * (size_t)in->atoms.n_cells * sizeof(double)},
        {"charge", in->charge, d->charge, in->charge ? systems * sizeof(double) : 0},
        {"mult", in->mult, d->mult, in->mult ? systems * sizeof(double) : 0}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++)
        AIM_TRY(aim_cuda_fetch(c->device.ops, c->device.index, of[k].array, of[k].bytes, of[k].name,
                               stream, of[k].to));
    return AIMNET_OK;
}

/* Structures for the calculator from what is now on the host. */
static aim_status describe(const aimnet_cuda_systems *in, described *d)
{
    static const double somewhere;
    aimnet_atoms atoms = in->atoms;
    const int32_t systems = systems_of(in), n = atoms.n_atoms;
    atoms.coord = &somewhere; /* checked already, never read */
    atoms.mol_idx = atoms.mol_idx ? d->mol_idx : NULL;
    atoms.cell = d->cell;
    atoms.pbc = d->pbc;
    AIM_TRY(aim_atoms_check(&atoms));
    for (int32_t s = 0; s <= systems && !atoms.mol_idx; s++)
        d->first[s] = s * (n / systems);
    for (int32_t i = 0; atoms.mol_idx && i < n; i++)
        if (i == 0 || atoms.mol_idx[i] != atoms.mol_idx[i - 1])
            d->first[atoms.mol_idx[i]] = i;
    d->first[systems] = n;
    for (int32_t s = 0; s < systems; s++) {
        double *cell = d->own_cell + 9 * (size_t)s;
        int32_t pbc[3];
        aim_atoms_cell(&atoms, s, cell, pbc);
        const int has_cell = pbc[0] || pbc[1] || pbc[2];
        d->call.systems[s] = (aimnet_system){.n_atoms = d->first[s + 1] - d->first[s],
                                             .numbers = d->numbers + d->first[s],
                                             .cell = has_cell ? cell : NULL,
                                             .pbc = {pbc[0], pbc[1], pbc[2]},
                                             .charge = in->charge ? d->charge[s] : 0.0,
                                             .mult = in->mult ? d->mult[s] : 0.0};
    }
    return AIMNET_OK;
}

static void report(const aim_resident *r, aimnet_result *info)
{
    for (int32_t s = 0; info && s < r->n_systems; s++) {
        const aimnet_result *from = &r->results[s];
        info[s].status = from->status;
        info[s].coulomb_method = from->coulomb_method;
        info[s].coulomb = from->coulomb;
        info[s].has_coulomb = from->has_coulomb;
        info[s].has_dispersion = from->has_dispersion;
        memcpy(info[s].message, from->message, sizeof info[s].message);
        memcpy(info[s].warnings, from->warnings, sizeof info[s].warnings);
    }
}

aimnet_status aimnet_cuda_eval(aimnet_calc *calc, const aimnet_cuda_systems *systems,
                               const aimnet_cuda_results *results, void *stream)
{
    described d = {0};
    aim_arena measure = {0};
    if (!calc || !systems || !results)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is NULL",
                        !calc      ? "calc"
                        : !systems ? "systems"
                                   : "results");
    if (!calc->device.ops)
        return AIM_FAIL(AIMNET_ERR_ARG, "the calculator computes on the CPU: create it with the "
                                        "device cuda");
    AIM_TRY(check_sizes(systems));
    AIM_TRY(aim_cuda_can_wait(calc->device.ops, calc->device.index, stream));
    AIM_TRY(check_arrays(calc, systems, results));
    place(systems, &measure, &d);
    AIM_TRY(aim_arena_reserve(&calc->resident_arena, &calc->alloc, measure.used, "structures"));
    place(systems, &calc->resident_arena, &d);
    AIM_TRY(fetch(calc, systems, stream, &d));
    AIM_TRY(describe(systems, &d));
    d.call.n_atoms = systems->atoms.n_atoms;
    d.call.n_systems = systems_of(systems);
    d.call.first = d.first;
    d.call.caller = (aim_dev_caller){.coord = systems->atoms.coord,
                                     .coord_single = systems->coord_single,
                                     .energy = results->energy,
                                     .forces = results->forces,
                                     .charges = results->charges,
                                     .spin = results->spin_charges,
                                     .stress = results->stress,
                                     .stream = stream};
    const aim_status status = aim_resident_run(calc, &d.call);
    if (status == AIMNET_OK || status == AIMNET_ERR_SOME_FAILED)
        report(&d.call, results->info);
    return status;
}
