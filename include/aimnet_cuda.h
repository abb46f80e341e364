/* SPDX-License-Identifier: MIT */
/* aimnet_cuda.h - NVIDIA GPUs: which there are, and the sparse convolution for programs whose arrays
 * are on one already.
 *
 * Nothing of CUDA is needed to build or to link: libaimnet_cuda.so is loaded by the first call.
 * Without it, without a driver or without a card every function here gives DEVICE, and
 * aimnet_last_error() says in a sentence which of them is missing. */
#ifndef AIMNET_CUDA_H
#define AIMNET_CUDA_H

#include "aimnet.h"

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

/* The operator of aimnet_ops.h, conv_sv_2d_sp, on a card: same formulas, shapes and rules, but every
 * array (idx too) is memory of that card, and the work is put into the caller's stream (a
 * cudaStream_t; NULL: the default stream), which orders it with everything else there. Nothing but
 * create waits. Elements are sums in a fixed order, float in _f32 and double in _f64: the same bits at
 * every call. Addresses of factors and of results with a last index of 4 are multiples of 16 bytes
 * (32 in _f64), as allocations are. The card that is current for the thread stays current. */
typedef struct aimnet_cuda_conv aimnet_cuda_conv;

/* Lists of the neighbour matrix in both directions; holds 8 bytes per slot on the card. idx has to
 * stay as it is as long as the operator. Waits until `stream` is done. Errors: ARG (a negative index
 * or size), MEMORY, DEVICE. *op is NULL on failure. */
AIMNET_API aimnet_status aimnet_cuda_conv_create(int card, const int32_t *idx, int32_t n_atoms,
                                                 int32_t n_neighbors, void *stream,
                                                 aimnet_cuda_conv **op);
/* NULL is fine. Work with the operator has to be done. */
AIMNET_API void aimnet_cuda_conv_free(aimnet_cuda_conv *op);

/* All of the following: ARG if a needed array is NULL or a size negative; DEVICE. Of v_x and v_f one
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
