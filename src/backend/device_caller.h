/* SPDX-License-Identifier: MIT */
/* device_caller.h - the part of the seam (device.h) for arrays of the caller that are memory of the
 * device: evaluations between such arrays, neighbour lists, and what a pointer points to. */
#ifndef AIM_BACKEND_DEVICE_CALLER_H
#define AIM_BACKEND_DEVICE_CALLER_H

#include <stddef.h>
#include <stdint.h>

enum { AIM_DEV_STEPS = 8, AIM_DEV_LIST_SIZE = 128 };

/* What is added on the way from a head to an energy. */
typedef enum aim_dev_step_kind {
    AIM_DEV_STEP_TABLE, /* of every atom, or the sum over all: table[Z] */
    AIM_DEV_STEP_SR,    /* energies of the job's terms */
    AIM_DEV_STEP_COULOMB,
    AIM_DEV_STEP_D3,
    AIM_DEV_STEP_REPULSION /* of an atom or a system */
} aim_dev_step_kind;
typedef struct aim_dev_step {
    aim_dev_step_kind kind;
    const double *table;
} aim_dev_step;

/* Where positions of an evaluation come from and results go to. The energy of a system is
 *     sum over atoms of ((head + atom_step[0]) + ...), then system_step in order, then Coulomb and
 *     D3 where they are not among the steps,
 * every sum atom after atom: the order of calc/program.c. */
typedef struct aim_dev_caller {
    /* arrays of the caller on the device, by the caller's numbers; results NULL: not wanted */
    const double *coord;
    const float *coord_single; /* instead of coord */
    double *energy, *forces, *charges, *spin, *stress;
    void *stream; /* everything in it comes first */
    /* host arrays */
    const int32_t *atom;  /* [n_atoms] the caller's number of each atom of the batch */
    const int32_t *index; /* [n_systems] and of each system */
    const double *volume; /* [n_systems] with stress */
    int member;           /* 1, 2, ... of an ensemble: results are the mean of so many */
    double farthest;      /* components beyond are not positions */
    int head, n_atom_steps, n_system_steps;
    aim_dev_step atom_step[AIM_DEV_STEPS], system_step[AIM_DEV_STEPS];
    int add_coulomb, add_sr, add_d3; /* terms outside; the short-range part belongs to Coulomb */
    int found; /* out: something that only the host can put into words; results are not valid */
} aim_dev_caller;

/* What a pointer is. */
typedef struct aim_dev_memory {
    int on_card; /* of a card, or managed */
    int card;
    size_t bytes; /* from there to the end of its allocation; 0: not known */
} aim_dev_memory;

/* One system of a neighbour list: cell as given, and the frame of nlist/lattice.h. */
typedef struct aim_dev_list_system {
    double cell[9], frame[9], inverse[9], height[3];
    int32_t u[9], periodic[3];
    int32_t first, count; /* atoms */
} aim_dev_list_system;

/* A neighbour matrix in the form of aimnet_nlist.h; arrays without "host" are on the device. */
typedef struct aim_dev_list {
    int32_t n_atoms, n_systems, width;
    const aim_dev_list_system *system; /* host */
    const double *coord;
    double cutoff, farthest, most_shift;
    int most_reach;
    int32_t *nbmat, *shifts, *num_neighbors; /* the last two may be NULL */
    void *stream;
    int32_t longest; /* out */
    int found;       /* out: positions or cells that the host's builder puts into words */
} aim_dev_list;

#endif
