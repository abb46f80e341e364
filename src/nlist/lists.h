/* SPDX-License-Identifier: MIT */
/* lists.h - further operations on neighbour lists: several cutoffs at once, counting, checking,
 * conversion. */
#ifndef AIM_NLIST_LISTS_H
#define AIM_NLIST_LISTS_H

#include "nlist/nlist.h"

enum { AIM_MAX_CUTOFFS = 8 };
typedef enum aim_nlist_algorithm {
    AIM_ANY = 0,
    AIM_ALL_PAIRS = 1,
    AIM_CELL_LIST = 2
} aim_nlist_algorithm;

typedef struct aim_nlist_request {
    int n_cutoffs; /* 1 .. AIM_MAX_CUTOFFS */
    const double
        *cutoffs;     /* Angstrom, > 0; INFINITY: all pairs (systems without periodicity only) */
    int nb_threshold; /* see aim_nlist_build */
    aim_nlist_algorithm algorithm;
    int want_reverse;
} aim_nlist_request;

/* Lists of several cutoffs from one search: pairs[n_cutoffs], each what aim_nlist_build gives. On
 * failure all of them are empty. */
AIM_NODISCARD aim_status aim_nlist_build_many(aim_nlist *nlist, const aim_batch *batch,
                                              const aim_nlist_request *request, aim_team *team,
                                              aim_pairs *pairs);
/* Only counts: row[n_atoms + 1] of each list is filled, pairs[c].n_pairs is its length, no pair is
 * stored. */
AIM_NODISCARD aim_status aim_nlist_count(aim_nlist *nlist, const aim_batch *batch,
                                         const aim_nlist_request *request, aim_team *team,
                                         aim_pairs *pairs);
/* Makes room in `pairs` for a list of n_pairs; contents lost. shift and reverse are released when
 * not wanted. */
AIM_NODISCARD aim_status aim_pairs_reserve(aim_pairs *pairs, const aim_alloc *alloc,
                                           int64_t n_atoms, int64_t n_pairs, int want_shift,
                                           int want_reverse);
/* Index of (i, j, S) in row i of a sorted list, or -1. */
int64_t aim_pairs_find(const aim_pairs *pairs, int32_t i, int32_t j, const int32_t *s);
/* ERR_INTERNAL with the first violated invariant of nlist.h: offsets, indices, order, systems,
 * opposite pairs, shifts only along periodic directions, distances below the cutoff (INFINITY:
 * any). That no pair is missing is not checked here. */
AIM_NODISCARD aim_status aim_pairs_check(const aim_pairs *pairs, const aim_batch *batch,
                                         double cutoff);

#endif
