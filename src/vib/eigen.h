/* SPDX-License-Identifier: MIT */
/* eigen.h - eigenvalues and eigenvectors of real symmetric matrices. */
#ifndef AIM_VIB_EIGEN_H
#define AIM_VIB_EIGEN_H

#include "base/alloc.h"

/* a: [n][n] symmetric; becomes the eigenvectors, one per row, in ascending order of their values.
 * Errors: MEMORY, UNSUPPORTED (no LAPACK on this machine), INTERNAL. */
AIM_NODISCARD aim_status aim_eigen_symmetric(const aim_alloc *alloc, int n, double *a,
                                             double *values);
/* The same for a 3 x 3 matrix, without LAPACK. */
void aim_eigen3(const double a[9], double values[3], double vectors[9]);

#endif
