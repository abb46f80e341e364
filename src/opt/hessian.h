/* SPDX-License-Identifier: MIT */
/* hessian.h - the model Hessian (backend/opt/model.h) on the host, factorised for solving: where
 * L-BFGS starts from. */
#ifndef AIM_OPT_HESSIAN_H
#define AIM_OPT_HESSIAN_H

#include "backend/opt/variables.h"

/* Fills h [n_var][n_var] (row-major, n_var = v->n_var) with the model Hessian at v's current point
 * and replaces its lower triangle by the Cholesky factor. */
void aim_model_hessian(const aim_variables *v, double *h);
/* a . b; always added up in the same order */
double aim_long_dot(const double *a, const double *b, size_t n);
/* Replaces the lower triangle of h [n][n], positive definite, by its Cholesky factor. */
void aim_cholesky(double *h, int n);
/* x = H^-1 x with the factor from above. */
void aim_cholesky_solve(const double *factor, int n, double *x);

#endif
