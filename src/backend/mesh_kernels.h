/* SPDX-License-Identifier: MIT */
/* mesh_kernels.h - what the kernels of particle mesh sums take: Fourier plans, waves and splines.
 *
 * Meshes are stored with the last axis contiguous, complex numbers as separate arrays of real and
 * imaginary parts. A line of a transform is one lane of a vector, so a line's result depends on its
 * numbers alone. */
#ifndef AIM_BACKEND_MESH_KERNELS_H
#define AIM_BACKEND_MESH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "point/bspline.h"

enum {
    AIM_FFT_MAX_FACTORS = 32,
    AIM_MESH_LANES = 8 /* the widest vector: columns are padded to a multiple of it */
};

/* Transform of length n = product of the factors (2, 3, 4, 5):
 *     X_m = sum_r x_r exp(-2 pi i m r / n)
 * Stage f with m = n / (factor[0] ... factor[f]) takes the twiddles exp(-2 pi i p j / (m
 * factor[f])), p < m, 0 < j < factor[f], from cosine and sine (of the negative angle), p outside. */
typedef struct aim_fft_plan {
    int n, n_factors;
    int factor[AIM_FFT_MAX_FACTORS];
    const double *cosine, *sine; /* [n - 1] of all stages one after another */
} aim_fft_plan;

/* One system's waves: mesh indices m, k = m0 b0 + m1 b1 + m2 b2, 1/Angstrom, m folded to -n/2 ..
 * n/2. The mesh holds the half m2 = 0 .. n2/2. */
typedef struct aim_mesh_waves {
    const aim_fft_plan *plan; /* along the first axis */
    size_t stride;            /* from one plane of the mesh to the next */
    int n[3];                 /* mesh */
    double b[9];              /* rows, 2 pi times the reciprocal vectors */
    const double *modulus[3]; /* 1/|spline's transform|^2; 0 where n = 2 m; [2]: [columns] */
    const double *weight;     /* [columns] 1 or 2: waves that this one stands for; 0 in padding */
    double prefactor;         /* 4 pi k_e / V */
    double quarter;           /* 1/(4 alpha^2) */
} aim_mesh_waves;

/* Splines of one point: grid offsets of the first plane's rows and weights of its `order` points
 * per axis, padded with zeros to a multiple of AIM_MESH_LANES. */
typedef struct aim_mesh_tile {
    int order, padded;
    const size_t *plane, *row; /* [order] offsets of planes and of rows within a plane */
    size_t column;             /* of the first point in a row */
    const double *w[3], *dw[3];
} aim_mesh_tile;

#endif
