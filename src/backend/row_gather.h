/* SPDX-License-Identifier: MIT */
/* row_gather.h - from a stretch of a pair list, or from a tile of candidates, to structure-of-arrays
 * rows (term_kernels.h).
 *
 * Both compute r = (x_j + S cell) - origin and d^2 in the same order of operations, so that a
 * row has the same bits whichever way it was made. */
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
    const int32_t (*wrap)[3];  /* [atoms], or NULL: S = shift + wrap_j - own_wrap, else S = shift */
    const int32_t *own_wrap;   /* [3] */
    const double *coord;       /* [atoms][3] */
    const int64_t *slot;       /* [atoms] */
    const double *origin;      /* [3] */
    const double *cell;        /* [9] */
    double reach2;             /* only pairs with a smaller squared distance */
    int n_groups;
    const int64_t *group; /* [n_groups + 1] */
} aim_row_pairs;

/* Where a row goes: group g begins at element begin[g] of the columns and has room for what may
 * come, rounded up to 8, and 8 more. id holds the slots. */
typedef struct aim_row_columns {
    double *x, *y, *z;
    int64_t *id, *real;
    const int64_t *begin; /* [n_groups] */
} aim_row_columns;

/* Candidates of one group that are still to be looked at. They stand in whole vectors of 8: behind
 * the last one, positions are infinite. */
typedef struct aim_row_sieve {
    const double *x, *y, *z; /* x_j + S cell */
    const int64_t *id;       /* slots */
    int64_t next, end;
    double origin[3], reach2;
} aim_row_sieve;

#endif
