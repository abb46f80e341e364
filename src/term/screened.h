/* SPDX-License-Identifier: MIT */
/* screened.h - what the pair sums of electrostatics and their tangents share: checks, and the
 * real-space part of Ewald sums, which is the DSF loop with parameters per system. */
#ifndef AIM_TERM_SCREENED_H
#define AIM_TERM_SCREENED_H

#include "point/coulomb.h"
#include "term/tangent.h"

/* erfc(a d)/d within the real-space cutoff, nothing shifted, self = -a/sqrt(pi); a and cutoff of
 * this system. */
aim_dsf aim_ewald_screening(const aim_batch *batch, int32_t system, double accuracy);
/* k_e [1/2 sum q_i q_j erfc(a d)/d - a/sqrt(pi) sum q^2] */
AIM_NODISCARD aim_status aim_term_coulomb_screened(aim_term_io *io, double accuracy);
AIM_NODISCARD aim_status aim_term_coulomb_screened_tan(aim_term_io *io, const aim_term_tan *tan,
                                                       double accuracy);
/* Tangent of the neutralising background of system s, -pi k_e Q^2/(2 V alpha^2). */
void aim_term_background_tan(const aim_term_io *io, const aim_term_tan *tan, int32_t s,
                             double alpha);

AIM_NODISCARD aim_status aim_coulomb_check_sr(double rc);
AIM_NODISCARD aim_status aim_coulomb_check_dsf(double rc, double alpha);

#endif
