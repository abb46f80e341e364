/* SPDX-License-Identifier: MIT */
/* row_gather.h - from a stretch of a pair list to structure-of-arrays rows (term_kernels.h). */
#ifndef AIM_BACKEND_ROW_GATHER_H
#define AIM_BACKEND_ROW_GATHER_H

#include <stddef.h>
#include <stdint.h>

/* The pairs of one atom. Neighbours are sorted into groups by their slot: group g owns the slots
 * group[g] .. group[g + 1] - 1. */
typedef struct aim_row_pairs {
    int64_t n;
    const int32_t *j;          /* [n] */
    const int32_t (*shift)[3]; /* [n], or NULL */
    const double *coord;       /* [atoms][3] */
    const int64_t *slot;       /* [atoms] */
    const double *origin;      /* [3] */
    const double *cell;        /* [9] */
    double unit;               /* r = unit (r_j + shift cell - origin) */
    double reach2;             /* only pairs with a smaller squared distance, before `unit` */
    int n_groups;
    const int64_t *group; /* [n_groups + 1] */
} aim_row_pairs;

/* Where the row goes: columns of `stride` elements per group, room for n rounded up to 8 and 8 more
 * in each. id holds the slots. */
typedef struct aim_row_columns {
    double *x, *y, *z;
    int64_t *id, *real;
    size_t stride;
} aim_row_columns;

#endif
