/* SPDX-License-Identifier: MIT */
/* screened.h - what the sums of electrostatics and their tangents share: checks, the real-space
 * part of Ewald and PME sums, which is the DSF loop with parameters per system, and the background
 * of charged cells. */
#ifndef AIM_TERM_SCREENED_H
#define AIM_TERM_SCREENED_H

#include "point/coulomb.h"
#include "term/rows.h"
#include "term/tangent.h"

/* Splitting of one system: 1/A, A. */
typedef struct aim_splitting {
    double alpha, real_cutoff;
} aim_splitting;
typedef aim_splitting (*aim_splitting_fn)(const aim_batch *batch, int32_t system, double accuracy);
aim_splitting aim_ewald_splitting(const aim_batch *batch, int32_t system, double accuracy);
aim_splitting aim_pme_splitting(const aim_batch *batch, int32_t system, double accuracy);
/* Adds what a kernel found for atom i with the factor k = factor * k_e; dsf: its self term, or
 * NULL. */
void aim_coulomb_add(const aim_rows *rows, int32_t i, aim_row_sum *sum, double k,
                     const aim_dsf *dsf);
/* The charges by slot. */
void aim_coulomb_charges(const aim_rows *rows, double *q);
/* erfc(a d)/d within the real-space cutoff, nothing shifted, self = -a/sqrt(pi) */
aim_dsf aim_screening(aim_splitting splitting);

/* k_e [1/2 sum q_i q_j erfc(a d)/d - a/sqrt(pi) sum q^2], a and cutoff of each system. */
AIM_NODISCARD aim_status aim_term_coulomb_screened(aim_term_io *io, aim_splitting_fn splitting,
                                                   double accuracy);
AIM_NODISCARD aim_status aim_term_coulomb_screened_tan(aim_term_io *io, const aim_term_tan *tan,
                                                       aim_splitting_fn splitting, double accuracy);
/* Uniform background of system s that neutralises its charge: -pi k_e Q^2 / (2 V a^2), with all
 * derivatives, and its tangent. */
void aim_term_background(const aim_term_io *io, int32_t s, double alpha);
void aim_term_background_tan(const aim_term_io *io, const aim_term_tan *tan, int32_t s,
                             double alpha);

AIM_NODISCARD aim_status aim_coulomb_check_sr(double rc);
AIM_NODISCARD aim_status aim_coulomb_check_dsf(double rc, double alpha);

#endif
