/* SPDX-License-Identifier: MIT */
/* nlist_api.h - what the public neighbour list objects share: options, team, builder, the caller's
 * atoms as a batch. */
#ifndef AIM_API_NLIST_API_H
#define AIM_API_NLIST_API_H

#include "aimnet_nlist.h"
#include "nlist/atoms.h"
#include "nlist/lists.h"

typedef struct aim_lister {
    aim_alloc alloc;
    aimnet_nlist_options options;
    aim_team *team;
    aim_nlist *nlist;
    aim_atoms atoms;
} aim_lister;

/* Checks the options and gives the allocator they ask for. */
AIM_NODISCARD aim_status aim_lister_alloc(const aimnet_nlist_options *options, aim_alloc *alloc);
/* Fills a cleared lister. */
AIM_NODISCARD aim_status aim_lister_create(aim_lister *lister, const aimnet_nlist_options *options);
void aim_lister_free(aim_lister *lister);
aim_nlist_request aim_lister_request(const aim_lister *lister, const double *cutoffs,
                                     int n_cutoffs);
aimnet_pairs aim_pairs_view(const aim_pairs *list, double cutoff);

#endif
