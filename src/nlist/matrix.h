/* SPDX-License-Identifier: MIT */
/* matrix.h - neighbour matrices: padded rows of one width, written from a list, and read from a
 * caller. */
#ifndef AIM_NLIST_MATRIX_H
#define AIM_NLIST_MATRIX_H

#include "nlist/lists.h"

/* Length of the longest row. */
int32_t aim_pairs_longest(const aim_pairs *pairs);
/* nbmat[n_atoms + 1][width] padded with n_atoms, shifts[n_atoms + 1][width][3] or NULL,
 * count[n_atoms] or NULL. Errors: OVERFLOW, nothing written. */
AIM_NODISCARD aim_status aim_matrix_write(const aim_pairs *pairs, int32_t width, int32_t *nbmat,
                                          int32_t *shifts, int32_t *count);

/* A matrix of the caller: nbmat[n_rows][width], shifts[n_rows][width][3] or NULL; n_rows = n_atoms
 * or n_atoms + 1. */
typedef struct aim_matrix {
    int32_t n_rows, width;
    const int32_t *nbmat, *shifts;
} aim_matrix;
/* Checks the matrix (rules: aimnet_nlist_check) and makes the list of its pairs with distances
 * below the cutoff (INFINITY: all of them), sorted. name: of the matrix in messages, for example
 * "nbmat_lr". Errors: ARG with the first violation, MEMORY. */
AIM_NODISCARD aim_status aim_pairs_from_matrix(aim_nlist *nlist, const aim_batch *batch,
                                               const aim_matrix *matrix, const char *name,
                                               double cutoff, int want_reverse, aim_team *team,
                                               aim_pairs *pairs);
/* ARG naming the first pair of `all` that `pairs` lacks; both are lists of the same batch. */
AIM_NODISCARD aim_status aim_pairs_cover(const aim_pairs *pairs, const aim_pairs *all,
                                         const char *name);

/* Widths of the adaptive list: multiples of 16. */
/* the smallest width for rows of up to `longest` */
int32_t aim_width_fitting(int32_t longest);
int32_t aim_width_start(double density, double cutoff);
int32_t aim_width_grow(int32_t width);
int32_t aim_width_settle(int32_t width, int32_t longest);

#endif
