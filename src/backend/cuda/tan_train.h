/* SPDX-License-Identifier: MIT */
/* tan_train.h - products of inputs and adjoints summed over atoms, of many layers at once: what the
 * gradient by the weights is made of (tan_train.cu), the kernel for Hopper (tan_weights.cu), combinations (tan_combine.cu).
 *
 * Slices of atoms depend on their number alone; each leaves its sums in an array of its own. */
#ifndef AIM_CUDA_TAN_TRAIN_H
#define AIM_CUDA_TAN_TRAIN_H

#include "backend/cuda/tangent.h"

enum { CU_PRODUCTS = 30 /* in one launch: arguments of kernels have 4 kB */, CU_WEIGHT_CHUNK = 32 };

/* [n_out][n_in] sums over rows of tgz x + gz tx; max: as in cu_acts. */
template <typename real> struct cu_product {
    int n_out, n_in, ldx, ldz;
    const real *x, *tx, *gz, *tgz;
    const unsigned *xmax, *txmax, *gzmax, *tgzmax;
    size_t out;          /* where they begin in a slice */
    int tiles_in, first; /* tiles side by side; tiles of those before */
};

template <typename real> struct cu_products {
    int count, tiles, rows, slices;
    size_t size; /* of a slice */
    real *part;  /* [slices][size] */
    cu_product<real> of[CU_PRODUCTS];
};

/* Rows of a slice: whole chunks. */
static __device__ __forceinline__ void cu_slice(int rows, int slices, int slice, int *from,
                                                int *end)
{
    const int each =
        ((rows + slices - 1) / slices + CU_WEIGHT_CHUNK - 1) / CU_WEIGHT_CHUNK * CU_WEIGHT_CHUNK;
    *from = min(slice * each, rows);
    *end = min(*from + each, rows);
}

enum { CU_OUTPUTS = 32, CU_SUMMERS = 8 }; /* sums of a block, warps that share each */

static inline int cu_slices_of(int rows, int each, int most)
{
    const int n = (rows + each - 1) / each;
    return n < 1 ? 1 : n > most ? most : n;
}

/* tan_combine.cu: of both kinds of features, one after the other, to `out`. */
template <typename real>
void cu_combine(cudaStream_t stream, const cu_net *net, const cu_kept<real> *k,
                const cu_tans<real> *t, double *out);

/* tan_weights.cu, for cards with the instructions of four warps */
void cu_weights_wide(cudaStream_t stream, int processors, cu_products<float> *p);
void cu_weights_prepare(void);

#endif
