/* SPDX-License-Identifier: MIT */
/* clusters.h - neighbours of groups of nearby atoms, for sums over long ranges.
 *
 * A cluster is a group of home atoms with all atoms and images that may be within the cutoff of any
 * of them. Whoever sums over pairs takes the distances of each home atom to the cluster's entries
 * and leaves out what is too far: about half of them, for a tenth of the memory of a list of pairs,
 * because the entries serve all home atoms.
 *
 * Entries refer to wrapped positions: with w_i = x_i - (wrap of i) cell (aim_lattice_wrap), the
 * vector of home atom i and entry (j, S) is w_j + S cell - w_i. They are sorted by (j, S), so a row
 * that is filtered from them has the order of a pair list; the home atom itself is among them. What
 * is left after filtering depends on the system alone, not on the clusters. */
#ifndef AIM_NLIST_CLUSTERS_H
#define AIM_NLIST_CLUSTERS_H

#include "nlist/nlist.h"

typedef struct aim_cluster {
    int32_t system, first_home, n_home; /* at most AIM_CLUSTER_HOMES */
    int64_t first_entry, n_entries;
} aim_cluster;

enum { AIM_CLUSTER_HOMES = 64 };

typedef struct aim_clusters {
    double cutoff; /* Angstrom */
    int32_t n_clusters;
    int64_t n_entries, longest; /* of all clusters, of one */
    aim_cluster *cluster;       /* [n_clusters] */
    int32_t *home;              /* [n_atoms] batch index, cluster after cluster */
    int32_t *j;                 /* [n_entries] batch index */
    aim_shift *shift;           /* [n_entries] NULL when no system of the batch is periodic */
    int64_t cluster_capacity, home_capacity, entry_capacity,
        shift_capacity; /* allocated elements: reused by later builds */
} aim_clusters;

/* Every atom is home in one cluster. After the first call at a size no memory is allocated. */
AIM_NODISCARD aim_status aim_clusters_build(aim_nlist *nlist, const aim_batch *batch, double cutoff,
                                            aim_team *team, aim_clusters *clusters);
void aim_clusters_free(aim_clusters *clusters, const aim_alloc *alloc);
size_t aim_clusters_bytes(const aim_clusters *clusters); /* allocated */

#endif
