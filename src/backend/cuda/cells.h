/* SPDX-License-Identifier: MIT */
/* cells.h - the atoms of crystals sorted into bins.
 *
 * Each system has a grid over its own cell; positions are wrapped into it. Bins follow each other
 * along the first axis, so that a row of bins is one range of sorted atoms (split where the row leaves
 * the cell, or a column: large crystals stand in columns along the third axis, so that what is above and
 * below an atom is near in memory, and in the second-level cache when it is wanted). Atoms of a bin stand by
 * their index: places depend on the own system alone. The whole evaluation of crystals goes by places
 * (neighbours in space are neighbours in memory), and its results leave by `order`. A group is what a block
 * walks the surroundings of (groups.h): the atoms of a bin, or equal parts of one that holds more than the
 * system's groups may; small systems have small groups, so that there are blocks for the whole card. Second
 * derivatives go by atoms. */
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
    int wide[2], across;        /* bins of a column along the first two axes; columns along the first */
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

/* Number of the bin at x, y, z; up to the end of its column the next ones along the first axis follow. */
static __device__ __forceinline__ int cu_bin(const cu_grid &g, int x, int y, int z)
{
    const int left = x / g.wide[0] * g.wide[0], front = y / g.wide[1] * g.wide[1],
              wide = min(g.wide[0], g.n[0] - left), deep = min(g.wide[1], g.n[1] - front);
    return g.base + (front * g.n[0] + left * deep) * g.n[2] + (z * deep + y - front) * wide + x -
           left;
}

/* Where bin b is. */
static __device__ __forceinline__ void cu_bin_at(const cu_grid &g, int b, int at[3])
{
    int k = b - g.base;
    const int front = k / (g.wide[1] * g.n[0] * g.n[2]) * g.wide[1],
              deep = min(g.wide[1], g.n[1] - front);
    k -= front * g.n[0] * g.n[2];
    const int left = k / (g.wide[0] * deep * g.n[2]) * g.wide[0],
              wide = min(g.wide[0], g.n[0] - left);
    k -= left * deep * g.n[2];
    at[0] = left + k % wide;
    at[1] = front + k / wide % deep;
    at[2] = k / wide / deep;
}

/* Part of a row of bins, in one column of one image of the cell: its bins from `first` on, `end` the one behind it. */
struct cu_piece {
    int image, first, end;
};

/* Which piece of its row has bin x of any image; pieces are counted through all images. */
static __device__ __forceinline__ int cu_piece_of(const cu_grid &g, int x)
{
    const int image = cu_floor_div(x, g.n[0]);
    return image * g.across + (x - image * g.n[0]) / g.wide[0];
}

static __device__ __forceinline__ cu_piece cu_find_piece(const cu_grid &g, int k)
{
    const int image = cu_floor_div(k, g.across), zero = image * g.n[0],
              first = (k - image * g.across) * g.wide[0];
    return {image, zero + first, zero + min(first + g.wide[0], g.n[0])};
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
