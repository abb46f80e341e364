/* SPDX-License-Identifier: MIT */
/* results.h - from averages of a batch to the caller's buffers. */
#ifndef AIM_CALC_RESULTS_H
#define AIM_CALC_RESULTS_H

#include "calc/calc.h"

/* Status OK, texts empty, numbers zero. */
void aim_result_clear(aimnet_result *r);
/* The thread's message becomes the structure's. */
void aim_result_fail(aimnet_result *r, aim_status status);
/* Results of system s of the current batch. */
void aim_result_write(const aim_calc *c, const aim_range_plan *range, int32_t s,
                      const aimnet_system *system, aimnet_result *r);
/* Of these, how they were computed. */
void aim_result_method(const aim_calc *c, const aim_range_plan *range, int32_t s, aimnet_result *r);
/* Adds a warning if a force is of a size that occurs in the data of no model. */
#define AIM_ABSURD_FORCE 100.0 /* eV/A */
void aim_warn_of_absurd_forces(aim_team *team, int32_t n_atoms, const double *forces,
                               aimnet_result *r);
/* sum q r and the quadrupole (xx yy zz without their mean, xy, yz, zx) about the origin of
 * coordinates. */
void aim_plain_multipoles(const aim_batch *b, const double *q, double *dipole, double *quadrupole);
/* Further outputs: room for n structures; then the current batch's values of members k = 1, 2, ...,
 * which are averaged. */
AIM_NODISCARD aim_status aim_extras_start(aim_calc *c, int n);
AIM_NODISCARD aim_status aim_extras_keep(aim_calc *c, const aimnet_system *systems,
                                         const aim_member *member, int k);

#endif
