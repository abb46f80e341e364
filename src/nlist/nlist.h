/* SPDX-License-Identifier: MIT */
/* nlist.h - full neighbour lists of a batch: every ordered pair (i, j, S) with |r_j + S cell - r_i|
 * < cutoff, i != j or S != 0.
 *
 * Invariants (checked by aim_pairs_check in tests): rows ascend in i; a row is sorted by (j, Sx,
 * Sy, Sz); (i, j, S) is present exactly when (j, i, -S) is; pairs never join two systems.
 * `reverse[p]` is the index of that opposite pair. Distances are computed in double from the
 * positions as given, so a system's row does not depend on the rest of the batch nor on the
 * algorithm. */
#ifndef AIM_NLIST_NLIST_H
#define AIM_NLIST_NLIST_H

#include "base/threads.h"
#include "data/batch.h"

typedef int32_t aim_shift[3];

typedef struct aim_pairs {
    int32_t n_atoms;
    int64_t n_pairs;
    int64_t *row; /* [n_atoms + 1] first pair of each atom */
    int32_t *j;   /* [n_pairs] batch index of the neighbour */
    /* [n_pairs] cell shifts of the neighbour; NULL when no system of the batch is periodic */
    aim_shift *shift;
    int64_t *reverse; /* [n_pairs] NULL unless asked for */
    int64_t atom_capacity, pair_capacity, shift_capacity,
        reverse_capacity; /* allocated elements: reused by later builds */
} aim_pairs;

typedef struct aim_nlist aim_nlist; /* builder: scratch memory that is reused between builds */

AIM_NODISCARD aim_status aim_nlist_create(const aim_alloc *alloc, aim_nlist **nlist);
void aim_nlist_free(aim_nlist *nlist);
/* Builds the list of one cutoff (Angstrom). After the first call at a size no memory is allocated.
 * nb_threshold: systems without periodicity of up to this many atoms use the all-pairs search.
 * Results are identical for every algorithm and number of threads. */
AIM_NODISCARD aim_status aim_nlist_build(aim_nlist *nlist, const aim_batch *batch, double cutoff,
                                         int nb_threshold, int want_reverse, aim_team *team,
                                         aim_pairs *pairs);
void aim_pairs_free(aim_pairs *pairs, const aim_alloc *alloc);
size_t aim_pairs_bytes(const aim_pairs *pairs); /* allocated */

/* r_j + S cell - r_i of pair p of atom i. */
static inline void aim_pair_vector(const aim_batch *b, const aim_pairs *l, int32_t i, int64_t p,
                                   double r[3])
{
    const double *xi = b->coord + 3 * (size_t)i, *xj = b->coord + 3 * (size_t)l->j[p];
    for (int d = 0; d < 3; d++)
        r[d] = xj[d] - xi[d];
    if (l->shift) {
        const double *h = b->cell + 9 * (size_t)b->system[i];
        const double s[3] = {l->shift[p][0], l->shift[p][1], l->shift[p][2]};
        for (int d = 0; d < 3; d++)
            r[d] += s[0] * h[d] + s[1] * h[3 + d] + s[2] * h[6 + d];
    }
}

#endif
