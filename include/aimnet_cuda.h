/* SPDX-License-Identifier: MIT */
/* aimnet_cuda.h - NVIDIA GPUs: which there are; evaluations, neighbour lists and the sparse
 * convolution for programs whose arrays are on one already.
 *
 * Nothing of CUDA is needed to build or to link: libaimnet_cuda.so is loaded by the first call.
 * Without it, without a driver or without a card every function here gives DEVICE, and
 * aimnet_last_error() says in a sentence which of them is missing. Calls leave the thread with the
 * card (or the context of the driver) that it had current, or with none, those of calculators too. */
#ifndef AIMNET_CUDA_H
#define AIMNET_CUDA_H

#include "aimnet.h"
#include "aimnet_nlist.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aimnet_cuda_card {
    char name[128];
    int major, minor;    /* compute capability; calculators take cards from 8.0 on */
    int driver, runtime; /* newest CUDA of the driver, CUDA of the module: 1000 major + 10 minor */
    size_t memory, available; /* bytes, and those that are free */
} aimnet_cuda_card;

/* Number of cards. Errors: ARG, DEVICE (none, or why they cannot be used; *n is 0). */
AIMNET_API aimnet_status aimnet_cuda_count(int *n);
/* Card `index`, counted from 0 as in the device "cuda:N". Errors: ARG, DEVICE. */
AIMNET_API aimnet_status aimnet_cuda_get_card(int index, aimnet_cuda_card *card);

/* ---------------------------------------------------------------- memory of a card */

/* For programs that do not use CUDA themselves; arrays may come from anywhere else as well. Errors:
 * ARG, MEMORY, DEVICE. *block is NULL on failure. */
AIMNET_API aimnet_status aimnet_cuda_alloc(int card, size_t bytes, void **block);
/* NULL is fine. */
AIMNET_API void aimnet_cuda_free(int card, void *block);
/* Copies between arrays of the host and of cards, in `stream` of this card (a cudaStream_t; NULL: the
 * default stream); returns when it is done. */
AIMNET_API aimnet_status aimnet_cuda_copy(int card, void *to, const void *from, size_t bytes,
                                          void *stream);

/* ---------------------------------------------------------------- evaluations */

/* Structures as in aimnet_nlist.h: any number in flat arrays, of equal size or with mol_idx. A cell
 * that is all zero is none. Borrowed for the duration of the call.
 *
 * atoms.coord (or coord_single instead) is memory of the calculator's card. Each of the other arrays
 * may be memory of the host or of a card; the latter are copied to the host first, which waits for
 * the stream once for each: what does not change is better kept on the host. */
typedef struct aimnet_cuda_systems {
    aimnet_atoms atoms;
    const float *coord_single; /* [n_atoms][3]: positions in single precision, or NULL */
    const int32_t *numbers;    /* [n_atoms] atomic numbers; 0 is padding, with zero results */
    const double *charge;      /* [n_systems] or NULL: 0 */
    const double *mult;        /* [n_systems] or NULL: 1 */
} aimnet_cuda_systems;

/* Results: arrays of the caller, memory of the calculator's card; NULL: not wanted. They must not
 * overlap each other or the positions. */
typedef struct aimnet_cuda_results {
    double *energy;       /* [n_systems] */
    double *forces;       /* [n_atoms][3] */
    double *charges;      /* [n_atoms] */
    double *spin_charges; /* [n_atoms]; models with two charge channels, untouched otherwise */
    double *stress;       /* [n_systems][3][3]; every system periodic */
    /* memory of the host, [n_systems], or NULL: status, message, warnings, has_* and coulomb* of every
     * structure are written; its other members are neither read nor written */
    aimnet_result *info;
} aimnet_cuda_results;

/* aimnet_calc_eval between arrays on the card: the same checks, batches and results, to the bit (of
 * ensembles the means). The work begins after everything in `stream` (a cudaStream_t of that card;
 * NULL: the default stream); the call returns when the results are there, since only then it is known
 * that all structures were sound. Positions and results stay on the card, unless the model has
 * outputs that a card does not compute, a structure is a slab or a wire, or something is wrong; the
 * call then goes by way of the host, with the same results. Of a structure that failed the entries
 * are undefined; those of the others are valid. After the first call of its size no memory is taken.
 * Errors: as aimnet_calc_eval; ARG also for an array that is not memory of the card, or too short,
 * for a calculator without a GPU, and for a stream that is being captured. */
AIMNET_API aimnet_status aimnet_cuda_eval(aimnet_calc *calc, const aimnet_cuda_systems *systems,
                                          const aimnet_cuda_results *results, void *stream);

/* ---------------------------------------------------------------- neighbour lists */

/* Neighbour matrices (aimnet_nlist.h) of atoms on a card; the object owns the workspace, which grows
 * and is kept: about 120 bytes per atom. */
typedef struct aimnet_cuda_nlist aimnet_cuda_nlist;

/* Errors: ARG, MEMORY, DEVICE. *list is NULL on failure. */
AIMNET_API aimnet_status aimnet_cuda_nlist_create(int card, aimnet_cuda_nlist **list);
AIMNET_API void aimnet_cuda_nlist_free(aimnet_cuda_nlist *list);

/* The matrix that aimnet_nlist_matrix gives on the host, entry by entry, for any cells and any
 * number of systems:
 *     nbmat[n_atoms + 1][width]        neighbours of atom i in order, then n_atoms; the last row is all
 *                                      padding
 *     shifts[n_atoms + 1][width][3]    0 in the padding; NULL: not wanted
 *     num_neighbors[n_atoms]           or NULL
 * These and atoms->coord are memory of the card; mol_idx, cell and pbc may be memory of the host or of
 * a card (see aimnet_cuda_systems). The work is put into `stream`; the call waits for it to learn
 * whether the rows were long enough. width: a positive multiple of 16. needed (host, or NULL): the
 * smallest width that suffices. Errors: ARG, SYSTEM, MEMORY, DEVICE; OVERFLOW, with *needed, if a row
 * is too short: the matrix is not to be used then. */
AIMNET_API aimnet_status aimnet_cuda_nlist_build(aimnet_cuda_nlist *list, const aimnet_atoms *atoms,
                                                 double cutoff, int32_t width, int32_t *nbmat,
                                                 int32_t *shifts, int32_t *num_neighbors,
                                                 int32_t *needed, void *stream);

/* ---------------------------------------------------------------- sparse convolution */

/* The operator of aimnet_ops.h, conv_sv_2d_sp, on a card: same formulas, shapes and rules, but every
 * array (idx too) is memory of that card, and the work is put into the caller's stream (a
 * cudaStream_t; NULL: the default stream), which orders it with everything else there. Nothing but
 * create waits. Elements are sums in a fixed order, float in _f32 and double in _f64: the same bits at
 * every call. Addresses of factors and of results with a last index of 4 are multiples of 16 bytes
 * (32 in _f64), as allocations are. */
typedef struct aimnet_cuda_conv aimnet_cuda_conv;

/* Lists of the neighbour matrix in both directions; holds 8 bytes per slot on the card. idx has to
 * stay as it is as long as the operator. Waits until `stream` is done. Errors: ARG (a negative index
 * or size), MEMORY, DEVICE. *op is NULL on failure. */
AIMNET_API aimnet_status aimnet_cuda_conv_create(int card, const int32_t *idx, int32_t n_atoms,
                                                 int32_t n_neighbors, void *stream,
                                                 aimnet_cuda_conv **op);
/* NULL is fine. Work with the operator has to be done. */
AIMNET_API void aimnet_cuda_conv_free(aimnet_cuda_conv *op);

/* All of the following: ARG if a needed array is NULL, not memory of the card or too short, or a size
 * negative; DEVICE. Of v_x and v_f one
 * may be NULL, zero, where it is not the only thing that an output depends on. */
AIMNET_API aimnet_status aimnet_cuda_conv_forward_f32(aimnet_cuda_conv *op, int n_channels,
                                                      int n_shifts, const float *x, const float *f,
                                                      float *out, void *stream);
AIMNET_API aimnet_status aimnet_cuda_conv_forward_f64(aimnet_cuda_conv *op, int n_channels,
                                                      int n_shifts, const double *x,
                                                      const double *f, double *out, void *stream);
AIMNET_API aimnet_status aimnet_cuda_conv_backward_f32(aimnet_cuda_conv *op, int n_channels,
                                                       int n_shifts, const float *x, const float *f,
                                                       const float *g_out, float *g_x, float *g_f,
                                                       void *stream);
AIMNET_API aimnet_status aimnet_cuda_conv_backward_f64(aimnet_cuda_conv *op, int n_channels,
                                                       int n_shifts, const double *x,
                                                       const double *f, const double *g_out,
                                                       double *g_x, double *g_f, void *stream);
AIMNET_API aimnet_status aimnet_cuda_conv_double_backward_f32(aimnet_cuda_conv *op, int n_channels,
                                                              int n_shifts, const float *x,
                                                              const float *f, const float *g_out,
                                                              const float *v_x, const float *v_f,
                                                              float *d_out, float *d_x, float *d_f,
                                                              void *stream);
AIMNET_API aimnet_status aimnet_cuda_conv_double_backward_f64(aimnet_cuda_conv *op, int n_channels,
                                                              int n_shifts, const double *x,
                                                              const double *f, const double *g_out,
                                                              const double *v_x, const double *v_f,
                                                              double *d_out, double *d_x,
                                                              double *d_f, void *stream);

#ifdef __cplusplus
}
#endif
#endif
