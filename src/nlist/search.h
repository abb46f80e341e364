/* SPDX-License-Identifier: MIT */
/* search.h - the inside of aim_nlist: how each system is searched, atoms in search order, groups of
 * home atoms, scratch.
 *
 * slot: position of an atom in search order. A system's slots are the positions of its atoms (the
 * same range of indices), in the order of the batch (all-pairs search) or sorted by grid cell, and
 * by batch index within a cell. group: up to GROUP_ATOMS consecutive slots of one cell whose
 * candidate neighbours are gathered together.
 *
 * place.c fills plans, slots and groups; scan.c counts and writes the rows; reverse.c adds the
 * reverse index; nlist.c joins them. */
#ifndef AIM_NLIST_SEARCH_H
#define AIM_NLIST_SEARCH_H

#include "nlist/clusters.h"
#include "nlist/lattice.h"
#include "nlist/lists.h"

enum { AIM_GROUP_ATOMS = 64, AIM_MAX_REACH = 511 };
#define AIM_NLIST_FARTHEST 1e9 /* Angstrom; distances beyond keep fewer than 6 decimals */
/* cells between an atom and the origin: shifts fit in 32 bits */
#define AIM_NLIST_MOST_SHIFT ((double)(1 << 28))

typedef struct aim_nlist_plan {
    int32_t first, count; /* atoms and slots */
    int grid;             /* 1: sorted into cells; 0: one cell with all atoms */
    aim_lattice lattice;
    double range; /* search radius, Angstrom: cutoff + what rounding can do to a distance */
    double slack; /* that rounding, Angstrom */
    double low[3], scale[3]; /* cell index along d = (fraction_d - low_d) * scale_d */
    int32_t n[3];            /* cells along d */
    int32_t reach[3];        /* cells (periodic: images included) to look at on both sides */
    int64_t n_cells, first_bucket,
        n_buckets; /* n_buckets < n_cells: cells are hashed into buckets */
    int hash_shift;
} aim_nlist_plan;

typedef struct aim_group {
    int32_t system, first, count; /* slots */
} aim_group;

/* Candidate neighbours of one group, in the order of gathering. Positions are relative to the
 * middle of the group. */
typedef struct aim_gathered {
    float *x, *y, *z;
    int32_t *slot;
    int32_t *run;         /* stretch of slots with the same image */
    aim_shift *run_shift; /* of each run; not more runs than candidates */
} aim_gathered;

/* The same, sorted by (j, S). */
typedef struct aim_candidates {
    float *x, *y, *z;
    int32_t *j;       /* batch index */
    aim_shift *shift; /* S = shift + wrap of the home atom */
} aim_candidates;

/* elements behind the last one that may be overwritten (backend/select.h) */
enum { AIM_SELECT_SLACK = 16 };

typedef struct aim_scratch { /* of one worker, for groups with fewer than `capacity` candidates */
    aim_gathered gathered;
    aim_candidates sorted;
    aim_shift *shift; /* of the gathered ones */
    uint64_t *key, *other;
    float *d2;
    int32_t *hit;
    void *block;
    int64_t capacity;
} aim_scratch;

#define AIM_HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

struct aim_nlist {
    aim_alloc alloc;
    /* this build */
    const aim_batch *batch;
    aim_team *team;
    int n_cutoffs, widest;
    double cutoff[AIM_MAX_CUTOFFS], squared[AIM_MAX_CUTOFFS];
    aim_pairs *pairs;       /* [n_cutoffs] */
    aim_clusters *clusters; /* not NULL: candidates are wanted, not pairs */
    int any_periodic, any_grid;
    int32_t n_groups, groups_per_task;
    int64_t max_candidates;
    /* kept memory */
    aim_nlist_plan *plan; /* [n_systems] */
    aim_group *group;     /* [n_atoms] */
    int32_t *atom;        /* [n_atoms] batch index of a slot; grids only */
    double *x, *y, *z;    /* [n_atoms] position of a slot, wrapped into the frame */
    aim_shift *
        wrap; /* [n_atoms] positions as given = x, y, z + wrap cell; where any system is periodic */
    int64_t *cell; /* [n_atoms] grid cell of an atom, later of a slot */
    int64_t *cell_of_atom;
    int32_t *bucket; /* first slot of each bucket, relative to the system's first; n_buckets + 1 per
                        system */
    int64_t *task_candidates;
    int64_t *cursor;
    aim_scratch *scratch; /* [workers] */
    int64_t plan_capacity, group_capacity, slot_capacity, wrap_capacity, grid_capacity,
        bucket_capacity, task_capacity, cursor_capacity;
    int n_scratch;
};

/* Makes room for `need` elements, contents lost. *block and *capacity stay valid on failure. */
AIM_NODISCARD aim_status aim_nlist_reserve(const aim_alloc *alloc, void *block, int64_t *capacity,
                                           int64_t need, size_t size, const char *what);
/* place.c */
AIM_NODISCARD aim_status aim_nlist_place(aim_nlist *nlist, int nb_threshold,
                                         aim_nlist_algorithm algorithm);
/* reverse.c */
AIM_NODISCARD aim_status aim_nlist_reverse(aim_nlist *nlist, const aim_batch *batch,
                                           aim_pairs *pairs, aim_team *team);

/* scan.c, once per instruction set: both passes over one task (a range of groups). count writes the length of
 * each row to row[atom + 1] of every list and notes the largest number of candidates; fill writes
 * the rows. measure and cluster: the same for the candidates of each group. */
typedef struct aim_scan {
    aim_task_fn count, fill, measure, cluster;
} aim_scan;
const aim_scan *aim_scan_base(void);
const aim_scan *aim_scan_avx2(void); /* on x86-64, like the next */
const aim_scan *aim_scan_avx512(void);

/* Half-open range of groups of a task. */
static inline int32_t aim_task_group(const aim_nlist *n, int64_t task)
{
    const int64_t g = task * n->groups_per_task;
    return g < n->n_groups ? (int32_t)g : n->n_groups;
}

/* The squared distance that decides: of the positions as given, in the order of operations of
 * aim_pair_vector. */
static inline double aim_exact_distance2(const aim_batch *b, int32_t i, int32_t j,
                                         const int32_t *shift /* NULL: none */)
{
    const double *xi = b->coord + 3 * (size_t)i, *xj = b->coord + 3 * (size_t)j;
    double r[3];
    for (int d = 0; d < 3; d++)
        r[d] = xj[d] - xi[d];
    if (shift) {
        const double *h = b->cell + 9 * (size_t)b->system[i];
        const double s[3] = {shift[0], shift[1], shift[2]};
        for (int d = 0; d < 3; d++)
            r[d] += s[0] * h[d] + s[1] * h[3 + d] + s[2] * h[6 + d];
    }
    return r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
}

#endif
