/* SPDX-License-Identifier: MIT */
/* atoms.c - from the three public layouts, (N,3), (B,N,3) and flat with mol_idx, to the one batch
 * layout.
 *
 * mol_idx must ascend without gaps: an unsorted or skipped index would silently make other systems
 * than the caller means. Called by the public neighbour list functions and aimnet_wrap. */
#include "nlist/atoms.h"

#include <string.h>
#include "nlist/search.h"

static int32_t systems_of(const aimnet_atoms *in)
{
    return in->n_systems == 0 ? 1 : in->n_systems;
}

static aim_status check_index(const aimnet_atoms *in)
{
    const int32_t n_systems = systems_of(in);
    int32_t before = -1;
    for (int32_t a = 0; a < in->n_atoms; a++) {
        const int32_t s = in->mol_idx[a];
        if (s < 0 || (s != before && s != before + 1))
            return AIM_FAIL(
                AIMNET_ERR_ARG,
                "mol_idx[%d] is %d where %d%s was expected: systems are numbered 0, 1, ... in "
                "ascending order without gaps",
                a, s, before < 0 ? 0 : before, before < 0 ? "" : " or the next number");
        before = s;
    }
    if (before + 1 != n_systems)
        return AIM_FAIL(AIMNET_ERR_ARG, "mol_idx numbers %d systems, but n_systems is %d",
                        before + 1, n_systems);
    return AIMNET_OK;
}

static aim_status check_count(const char *name, int32_t n, int32_t n_systems, const void *array)
{
    if (n != 0 && n != 1 && n != n_systems)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s is %d; it must be 0, 1 (shared) or the number of systems, %d", name, n,
                        n_systems);
    if (n != 0 && !array)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s is %d, but the array is NULL", name, n);
    return AIMNET_OK;
}

aim_status aim_atoms_check(const aimnet_atoms *in)
{
    if (!in)
        return AIM_FAIL(AIMNET_ERR_ARG, "atoms is NULL: expected the systems to search");
    const int32_t n_systems = systems_of(in);
    if (in->n_atoms < 0 || in->n_systems < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "%d atoms in %d systems; both must be at least 0",
                        in->n_atoms, in->n_systems);
    if (in->n_atoms > 0 && !in->coord)
        return AIM_FAIL(AIMNET_ERR_ARG, "coord is NULL for %d atoms", in->n_atoms);
    AIM_TRY(check_count("n_cells", in->n_cells, n_systems, in->cell));
    AIM_TRY(check_count("n_pbc", in->n_pbc, n_systems, in->pbc));
    if (in->mol_idx)
        return check_index(in);
    if (in->n_atoms % n_systems != 0)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%d atoms do not divide into %d systems of equal size; give mol_idx",
                        in->n_atoms, n_systems);
    return AIMNET_OK;
}

void aim_atoms_cell(const aimnet_atoms *in, int32_t s, double cell[9], int32_t pbc[3])
{
    const int32_t c = in->n_cells == 1 ? 0 : s, p = in->n_pbc == 1 ? 0 : s;
    int any = 0;
    for (int k = 0; k < 9; k++) {
        cell[k] = in->n_cells ? in->cell[9 * (size_t)c + (size_t)k] : 0.0;
        any |= cell[k] != 0.0;
    }
    for (int d = 0; d < 3; d++)
        pbc[d] = any && (!in->n_pbc || in->pbc[3 * (size_t)p + (size_t)d] != 0);
}

static aim_status reserve(aim_atoms *a, const aim_alloc *alloc, int64_t n_atoms, int64_t n_systems)
{
    AIM_TRY(aim_nlist_reserve(alloc, &a->system, &a->atom_capacity, n_atoms, sizeof *a->system,
                              "systems of atoms"));
    int64_t offset = a->system_capacity, cell = offset, pbc = offset;
    if (n_systems + 1 <= a->system_capacity)
        return AIMNET_OK;
    a->system_capacity = 0;
    AIM_TRY(aim_nlist_reserve(alloc, &a->offset, &offset, n_systems + 1, sizeof *a->offset,
                              "offsets of systems"));
    AIM_TRY(aim_nlist_reserve(alloc, &a->cell, &cell, n_systems + 1, 9 * sizeof *a->cell,
                              "cells of systems"));
    AIM_TRY(aim_nlist_reserve(alloc, &a->pbc, &pbc, n_systems + 1, 3 * sizeof *a->pbc,
                              "periodicity of systems"));
    a->system_capacity = n_systems + 1;
    return AIMNET_OK;
}

aim_status aim_atoms_set(aim_atoms *atoms, const aim_alloc *alloc, const aimnet_atoms *in)
{
    AIM_TRY(aim_atoms_check(in));
    const int32_t n = in->n_atoms, n_systems = systems_of(in), size = n / n_systems;
    AIM_TRY(reserve(atoms, alloc, n, n_systems));
    memset(atoms->offset, 0, ((size_t)n_systems + 1) * sizeof *atoms->offset);
    for (int32_t a = 0; a < n; a++) {
        const int32_t s = in->mol_idx ? in->mol_idx[a] : a / size;
        atoms->system[a] = s;
        atoms->offset[s + 1] = a + 1;
    }
    for (int32_t s = 0; s < n_systems; s++)
        aim_atoms_cell(in, s, atoms->cell + 9 * (size_t)s, atoms->pbc + 3 * (size_t)s);
    atoms->batch = (aim_batch){.n_atoms = n,
                               .n_systems = n_systems,
                               .offset = atoms->offset,
                               .system = atoms->system,
                               .coord = in->coord,
                               .cell = atoms->cell,
                               .pbc = atoms->pbc};
    return AIMNET_OK;
}

void aim_atoms_free(aim_atoms *atoms, const aim_alloc *alloc)
{
    aim_free(alloc, atoms->offset);
    aim_free(alloc, atoms->system);
    aim_free(alloc, atoms->cell);
    aim_free(alloc, atoms->pbc);
    memset(atoms, 0, sizeof *atoms);
}
