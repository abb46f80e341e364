/* SPDX-License-Identifier: MIT */
/* atoms.h - the caller's flat arrays (aimnet_atoms) as a batch, with memory that is reused. */
#ifndef AIM_NLIST_ATOMS_H
#define AIM_NLIST_ATOMS_H

#include "aimnet_nlist.h"
#include "data/batch.h"

typedef struct aim_atoms {
    aim_batch batch; /* numbers, charge, mult and origin are NULL; coord is the caller's */
    int32_t *offset, *system, *pbc;
    double *cell;
    int64_t atom_capacity, system_capacity;
} aim_atoms;

/* Checks `in` and fills the batch. An all-zero cell means no cell. Errors: ARG, MEMORY. */
AIM_NODISCARD aim_status aim_atoms_set(aim_atoms *atoms, const aim_alloc *alloc,
                                       const aimnet_atoms *in);
void aim_atoms_free(aim_atoms *atoms, const aim_alloc *alloc);
/* Cell and periodicity of system s as the arrays give them, defaults applied. Nothing is allocated;
 * `in` has been checked. */
void aim_atoms_cell(const aimnet_atoms *in, int32_t s, double cell[9], int32_t pbc[3]);
/* The checks of aim_atoms_set alone. */
AIM_NODISCARD aim_status aim_atoms_check(const aimnet_atoms *in);

#endif
