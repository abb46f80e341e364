/* SPDX-License-Identifier: MIT */
/* batch.h - the one batch layout: flat atoms plus offsets. A single structure is a batch of one.
 *
 * Padding atoms (number 0) of the caller's systems are not in the batch: `origin` maps batch atoms
 * back to the caller's. */
#ifndef AIM_DATA_BATCH_H
#define AIM_DATA_BATCH_H

#include "base/alloc.h"

typedef struct aim_batch {
    int32_t n_atoms; /* of all systems */
    int32_t n_systems;
    const int32_t *offset;  /* [n_systems + 1] first atom of each system */
    const int32_t *system;  /* [n_atoms] system of each atom */
    const int32_t *numbers; /* [n_atoms] 1.. */
    const double *coord;    /* [n_atoms][3] Angstrom, as given (never wrapped) */
    const double *cell;     /* [n_systems][9] row vectors; all zero for a system without a cell */
    const int32_t *pbc;     /* [n_systems][3] 0 or 1; all 0 without a cell */
    const double *charge;   /* [n_systems] total charge */
    const double *mult;     /* [n_systems] multiplicity */
    const int32_t *origin;  /* [n_atoms] index of the atom within its caller's system */
} aim_batch;

static inline int aim_batch_periodic(const aim_batch *b, int32_t s)
{
    return b->pbc[3 * s] || b->pbc[3 * s + 1] || b->pbc[3 * s + 2];
}

#endif
