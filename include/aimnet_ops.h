/* SPDX-License-Identifier: MIT */
/* aimnet_ops.h - the sparse convolution of AIMNet2, conv_sv_2d_sp, as an operator with first and
 * second derivatives.
 *
 *     out[i][a][g][d] = sum over m of x[idx[i][m]][a][g] * f[i][m][g][d],      d = 0 .. 3
 *
 * for N atoms with M neighbour slots each, A channels and G radial shifts. x are the atoms'
 * features, f the factors of the pairs (in the network: Gaussians times 1, ux, uy, uz). All arrays
 * are dense, the last index runs fastest:
 *
 *     idx [N][M]       int32 neighbour of each slot; N or more is padding, anywhere in the row
 *     x   [N+1][A][G]  row N is the padding row: it is never read, and its gradient is zero
 *     f   [N][M][G][4] not read in padding slots, where the gradient is zero
 *     out [N][A][G][4]
 *
 * With E any function of out and g_t = dE/dt, backward gives
 *
 *     g_x[j][a][g]    = sum over (i, m) with idx[i][m] = j, in this order, and over d
 *                       of g_out[i][a][g][d] f[i][m][g][d]
 *     g_f[i][m][g][d] = sum over a of x[idx[i][m]][a][g] g_out[i][a][g][d]
 *
 * and double backward the gradient of S = sum v_x g_x + sum v_f g_f for given v_x and v_f (in
 * torch: the gradients of the gradients):
 *
 *     d_out = dS/dg_out = conv(v_x, f) + conv(x, v_f)
 *     d_x   = dS/dx     = g_x with v_f instead of f
 *     d_f   = dS/df     = g_f with v_x instead of x
 *
 * In use:
 *
 *     aimnet_conv_sv_2d_sp *op;                       (once per neighbour matrix:)
 *     aimnet_conv_sv_2d_sp_create(idx, N, M, 0, NULL, &op);
 *     aimnet_conv_sv_2d_sp_forward_f32(op, A, G, x, f, out);
 *     aimnet_conv_sv_2d_sp_backward_f32(op, A, G, x, f, g_out, g_x, g_f);
 *     aimnet_conv_sv_2d_sp_free(op);
 *
 * Results are the same bits for any number of threads: every element is one sum in a fixed order,
 * nothing is accumulated atomically. Only create allocates. Outputs must not overlap inputs or each
 * other. An operator is used by one thread at a time; different ones are independent.
 */
#ifndef AIMNET_OPS_H
#define AIMNET_OPS_H

#include "aimnet.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct aimnet_conv_sv_2d_sp aimnet_conv_sv_2d_sp;

/* Prepares the lists of a neighbour matrix in both directions; idx is not referenced afterwards.
 * n_atoms and n_neighbors may be 0. threads: 0 for one per available processor. allocator: NULL for
 * malloc and free. Holds 20 bytes per used slot and 16 per atom. Errors: ARG (a negative index or
 * size, named; too many threads), MEMORY. *op is NULL on failure. */
AIMNET_API aimnet_status aimnet_conv_sv_2d_sp_create(const int32_t *idx, int32_t n_atoms,
                                                     int32_t n_neighbors, int threads,
                                                     const aimnet_allocator *allocator,
                                                     aimnet_conv_sv_2d_sp **op);
/* NULL is fine. */
AIMNET_API void aimnet_conv_sv_2d_sp_free(aimnet_conv_sv_2d_sp *op);

/* All of the following: ARG if an array that is needed is NULL, if n_channels (A) or n_shifts (G)
 * is negative, or if an array would not fit into the address space. Nothing is written then. */

/* out = conv(x, f). */
AIMNET_API aimnet_status aimnet_conv_sv_2d_sp_forward_f32(aimnet_conv_sv_2d_sp *op, int n_channels,
                                                          int n_shifts, const float *x,
                                                          const float *f, float *out);
AIMNET_API aimnet_status aimnet_conv_sv_2d_sp_forward_f64(aimnet_conv_sv_2d_sp *op, int n_channels,
                                                          int n_shifts, const double *x,
                                                          const double *f, double *out);

/* g_x [N + 1][A][G] and g_f [N][M][G][4] of g_out [N][A][G][4]; either may be NULL: not wanted. x
 * is needed for g_f, f for g_x. */
AIMNET_API aimnet_status aimnet_conv_sv_2d_sp_backward_f32(aimnet_conv_sv_2d_sp *op, int n_channels,
                                                           int n_shifts, const float *x,
                                                           const float *f, const float *g_out,
                                                           float *g_x, float *g_f);
AIMNET_API aimnet_status aimnet_conv_sv_2d_sp_backward_f64(aimnet_conv_sv_2d_sp *op, int n_channels,
                                                           int n_shifts, const double *x,
                                                           const double *f, const double *g_out,
                                                           double *g_x, double *g_f);

/* The gradient of S with respect to g_out, x and f; v_x [N + 1][A][G] (row N is not read) and v_f
 * [N][M][G][4] may be NULL: zero. Each of the outputs d_out [N][A][G][4], d_x [N + 1][A][G], d_f
 * [N][M][G][4] may be NULL: not wanted. Needed are, where not zero: f and x for d_out, g_out for
 * d_x and d_f. */
AIMNET_API aimnet_status aimnet_conv_sv_2d_sp_double_backward_f32(
    aimnet_conv_sv_2d_sp *op, int n_channels, int n_shifts, const float *x, const float *f,
    const float *g_out, const float *v_x, const float *v_f, float *d_out, float *d_x, float *d_f);
AIMNET_API aimnet_status aimnet_conv_sv_2d_sp_double_backward_f64(
    aimnet_conv_sv_2d_sp *op, int n_channels, int n_shifts, const double *x, const double *f,
    const double *g_out, const double *v_x, const double *v_f, double *d_out, double *d_x,
    double *d_f);

#ifdef __cplusplus
}
#endif
#endif
