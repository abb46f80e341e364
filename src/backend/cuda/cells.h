/* SPDX-License-Identifier: MIT */
/* cells.h - the atoms of crystals sorted into bins.
 *
 * Each system has a grid over its own cell; positions are wrapped into it. Bins follow each other
 * along the first axis, so that a row of bins is one range of sorted atoms (split where the row
 * leaves the cell). Atoms of a bin stand by their index: places depend on the own system alone. The
 * whole evaluation of crystals goes by places (neighbours in space are neighbours in memory), and
 * its results leave by `order`. A group is what a block walks the surroundings of (groups.h): the
 * atoms of a bin, or equal parts of one that holds more than the system's groups may; small systems
 * have small groups, so that there are blocks for the whole card. Second derivatives go by atoms. */
#ifndef AIM_BACKEND_CUDA_CELLS_H
#define AIM_BACKEND_CUDA_CELLS_H

enum {
    CU_GROUP = 24,      /* atoms of a group at most, */
    CU_GROUP_STEP = 800 /* and one for so many atoms of the system, in steps of four */
};

/* Grid of one system. */
typedef struct cu_grid {
    double cell[9], inverse[9]; /* rows of the cell; r inverse = fractional */
    double height[3];           /* distance of opposite faces */
    int n[3], base, right;      /* bins per axis, first bin; right: all angles are */
    int group;                  /* atoms of a group at most */
} cu_grid;

typedef struct cu_group {
    int bin, system, first, n; /* places first .. first + n - 1 */
} cu_group;

typedef struct cu_cells {
    const cu_grid *grid;     /* [systems]; NULL: no crystals in this batch */
    int n, bins, groups;     /* groups: no more than there are */
    int *bin;                /* [n] of each atom */
    int *start, *raw, *fill; /* [bins + 1], [n] unsorted, [bins] */
    int *most;               /* [bins] atoms of a group at most */
    int *group_start;        /* [bins + 1] */
    cu_group *group;         /* [groups] */
    int *order;              /* [n] atom of each sorted place */
    double *pos;             /* [n][3] wrapped, sorted */
    double *axis;            /* [3][n] the same, axis by axis */
    const int *atom_kind;    /* [n] kind of each atom, */
    int *kind;               /* [n] and sorted */
    double *wrapped;         /* [n][3] wrapped, by atom */
    /* a part of them: places first .. end - 1, the group where they begin; NULL: the first of all */
    int first, end;
    const int *part;
} cu_cells;

#if defined(__CUDACC__)
static __device__ __forceinline__ int cu_floor_div(int a, int n)
{
    return a >= 0 ? a / n : -((n - 1 - a) / n);
}
#endif

/* Atoms of a group at most, of a system of n. */
static inline int cu_group_size(int n)
{
    const int size = n / CU_GROUP_STEP / 4 * 4;
    return size < 4 ? 4 : size > CU_GROUP ? CU_GROUP : size;
}

/* Blocks for the groups of a part, which they take in turns: nobody knows how many these are, and a block without one
 * takes a nanosecond and a half of the card. Of all: for each a block. */
static inline int cu_part_groups(const cu_cells *c)
{
    enum { ATOMS = 8 }; /* of a group, or fewer than it has */
    const int some = (c->end - c->first + ATOMS - 1) / ATOMS;
    return c->part && some < c->groups ? some : c->groups;
}

#endif
