/* SPDX-License-Identifier: MIT */
/* skin.h - a Verlet list: searched with cutoff + skin, then filtered to the cutoff until it may
 * have missed a pair. */
#ifndef AIM_NLIST_SKIN_H
#define AIM_NLIST_SKIN_H

#include "nlist/lists.h"

typedef struct aim_skin {
    double cutoff, skin; /* Angstrom, set by the owner */
    int nb_threshold, want_reverse;
    aim_nlist_algorithm algorithm;
    int64_t searches;
    aim_pairs wide,
        list; /* of cutoff + skin at the last search; of the cutoff at the last update */
    /* the batch at the last search; n_systems < 0: none yet */
    int32_t n_atoms, n_systems;
    int32_t *offset, *pbc;
    double *coord, *cell;
    int64_t atom_capacity, system_capacity;
} aim_skin;

void aim_skin_init(aim_skin *skin, double cutoff, double width);
void aim_skin_free(aim_skin *skin, const aim_alloc *alloc);
/* Whether a pair within the cutoff might be missing in `wide`. */
int aim_skin_outdated(const aim_skin *skin, const aim_batch *batch);
/* Brings skin->list up to date; *searched (or NULL) tells whether by a search. */
AIM_NODISCARD aim_status aim_skin_update(aim_skin *skin, const aim_alloc *alloc, aim_nlist *nlist,
                                         const aim_batch *batch, aim_team *team, int *searched);

#endif
