/* SPDX-License-Identifier: MIT */
/* device_path.h - the part of the seam (device.h) for optimisations on a card: paths
 * (backend/opt/path.h) whose arrays are memory of the card, moved there all at once. */
#ifndef AIM_BACKEND_DEVICE_PATH_H
#define AIM_BACKEND_DEVICE_PATH_H

#include "backend/opt/path.h"

enum { AIM_DEV_PATHS_SIZE = 128 };

/* One path, its variables, and its first atom in the arrays of the evaluation. */
typedef struct aim_dev_move {
    aim_path *path; /* memory of the card */
    int32_t n_var, first;
    int32_t good; /* its evaluation succeeded */
} aim_dev_move;

/* What a move leaves, besides the path on the card. */
typedef struct aim_dev_moved {
    aim_path_state now;
    /* of the point to be evaluated: cell, and how far a slab or wire reaches (backend/opt/open.h) */
    double next_cell[9], next_extent[3];
    double cell[9], stress[9]; /* of the current point */
} aim_dev_moved;

typedef struct aim_dev_moves {
    int n;
    int32_t n_atoms;
    aim_dev_move *move; /* [n] host, written by the caller into memory of `room` */
    /* arrays of the evaluation, memory of the card: [n_atoms][3], [n], [n_atoms][3], [n_atoms],
     * [n][9] (NULL: cells are fixed) */
    double *coord;
    const double *energy, *forces, *charges, *stress;
    /* host, out, of `room`: [n]; and of a path that has ended 7 n_atoms numbers from 7 first on:
     * coordinates, forces and charges of its current point */
    const aim_dev_moved *moved;
    const double *ended;
} aim_dev_moves;

#endif
