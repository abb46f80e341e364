/* SPDX-License-Identifier: MIT */
/* average.h - ensemble statistics of one batch. */
#ifndef AIM_CALC_AVERAGE_H
#define AIM_CALC_AVERAGE_H

#include "calc/calc.h"

size_t aim_average_bytes(size_t n_atoms, size_t n_systems, int members);
/* Sizes and clears the sums for a batch. */
AIM_NODISCARD aim_status aim_average_start(aim_average *a, const aim_alloc *alloc,
                                           const aim_batch *b, int members);
/* Adds member k = 1, 2, ...: its values (of an only member, what belongs to atoms is not copied: `a`
 * points to it), energies of the network [systems], dipoles [systems][3],
 * quadrupoles [systems][6], the gradient by the strain [systems][9]; NULL: nobody wants them. */
void aim_average_add(aim_average *a, const aim_batch *b, const aim_values *v, const double *network,
                     const double *dipole, const double *quadrupole, const double *strain, int k);

#endif
