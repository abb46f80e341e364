/* SPDX-License-Identifier: MIT */
/* wrap.h - moving atoms into the cell. */
#ifndef AIM_NLIST_WRAP_H
#define AIM_NLIST_WRAP_H

#include "base/status.h"

typedef struct aim_wrapper {
    double cell[9], inverse[9]; /* vectors of directions that are not periodic completed where they
                                   are zero or dependent */
    int periodic[3];
} aim_wrapper;

/* Errors: SYSTEM for singular cells. */
AIM_NODISCARD aim_status aim_wrapper_set(aim_wrapper *w, const double cell[9],
                                         const int32_t pbc[3]);
/* x = wrapped + shift cell. Errors: SYSTEM for coordinates that are not finite or too far away. */
AIM_NODISCARD aim_status aim_wrapper_move(const aim_wrapper *w, const double x[3],
                                          double wrapped[3], int32_t shift[3]);

#endif
