/* SPDX-License-Identifier: MIT */
/* resident.h - evaluations between arrays of the caller on the calculator's device. */
#ifndef AIM_CALC_RESIDENT_H
#define AIM_CALC_RESIDENT_H

#include "calc/calc.h"

typedef struct aim_resident {
    int32_t n_atoms, n_systems;
    aimnet_system *systems; /* host arrays; coord NULL */
    const int32_t *first;   /* [n_systems] first atom of each */
    const double
        *extent; /* [n_systems][3] of slabs and wires, as backend/opt/open.h; NULL: not known */
    aimnet_result *results; /* for statuses, messages, methods */
    int32_t *atom;          /* [n_atoms] room for the batch's */
    double *volume;         /* [n_systems] the same */
    int member;             /* of the ensemble, evaluated so far */
    aim_dev_caller caller;  /* positions, results and stream are set by the caller */
} aim_resident;

/* Like aim_calc_run. What the device does not compute as a whole, and whatever goes wrong, is
 * computed by way of the host, with the same results. */
AIM_NODISCARD aim_status aim_resident_run(aim_calc *c, aim_resident *r);
/* For eval.c and device.c: the current batch; the next member's job. */
void aim_resident_batch(aim_calc *c);
AIM_NODISCARD aim_status aim_resident_job(aim_calc *c, const aim_member *member, aim_dev_job *job);

#endif
