/* SPDX-License-Identifier: MIT */
/* conv_plan.h - the object behind aimnet_conv_sv_2d_sp: a neighbour matrix as compact lists in both
 * directions, and a team of threads. */
#ifndef AIM_API_CONV_PLAN_H
#define AIM_API_CONV_PLAN_H

#include "aimnet_ops.h"
#include "base/alloc.h"
#include "base/threads.h"

struct aimnet_conv_sv_2d_sp {
    aim_alloc alloc;
    aim_team *team;
    int32_t n_atoms, n_slots;
    int64_t n_entries;
    int64_t *row, *reverse_row; /* [n_atoms + 1] */
    int64_t *slot, *reverse;    /* [n_entries] i * n_slots + m, in list order and by neighbour */
    int32_t *j;                 /* [n_entries] */
};

#endif
