/* SPDX-License-Identifier: MIT */
/* matrix.h - inside the neighbour matrices of callers: bins.cu sorts atoms into bins, matrix.cu
 * searches them. */
#ifndef AIM_BACKEND_CUDA_MATRIX_H
#define AIM_BACKEND_CUDA_MATRIX_H

#include "backend/cuda/module.h"

/* One system on the card: how it is searched. */
typedef struct list_plan {
    unsigned long long low[3], high[3], largest; /* order_bits of fractions; bits of |component| */
    double start[3], scale[3];                   /* bin along d = (fraction - start) scale */
    double reach2;                               /* squared cutoff */
    /* squared distances of positions in float: above, certainly outside; up to, certainly inside */
    float proposed2, certain2;
    double width[3], range; /* of a bin, of the search: Angstrom */
    int n[3], reach[3];
    int right, plain; /* the frame's angles are right; images of the frame are those of the cell */
    int once;         /* no atom is in a row twice */
} list_plan;

/* Arrays of one build, in the object's block. */
typedef struct list_work {
    int n, systems, width, most_reach;
    double cutoff, farthest, most_shift;
    const double *coord;
    aim_dev_list_system *system;
    list_plan *plan;
    double *fraction;              /* [n][3] in the frame, wrapped */
    float *inside;                 /* [n][3] the same as positions */
    int *wrap;                     /* [n][3] x = wrapped + wrap frame */
    int *bin, *start, *fill, *sum; /* [n], [bins + 1], [bins], [blocks of the scan] */
    int *order, *home;             /* [n] atom at a place, and its system */
    float *pos;                    /* [3][n] by place, wrapped */
    int *report;
    int bins, *nbmat, *shifts, *num_neighbors;
} list_work;

/* Bins of a system begin here: at most two per atom and eight. */
static __device__ __forceinline__ int first_bin(const list_work &w, int s)
{
    return 2 * w.system[s].first + 8 * s;
}

/* bins.cu: extents, grids, bins, and the order of atoms in them. */
void cu_list_bins(const list_work *w, cudaStream_t stream);

/* Blocks of the scan over bins. */
enum { CU_SCAN = 1024 };

#endif
