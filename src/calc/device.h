/* SPDX-License-Identifier: MIT */
/* device.h - what the two files about compute devices share. */
#ifndef AIM_CALC_DEVICE_H
#define AIM_CALC_DEVICE_H

#include "calc/tangent.h"

AIM_NODISCARD aim_status aim_device_error(const aim_dev_error *e);
/* Whether outputs and terms of all models are known to the device. */
int aim_device_knows_models(const aim_calc *c);
/* The current batch with its values and adjoints, without list and terms. */
aim_dev_job aim_device_job(aim_calc *c, const aim_member *member, aim_wishes want);
void aim_device_give_list(const aim_calc *c, aim_dev_job *job);
/* Coulomb and D3 of a member that the device takes as a whole, but for the waves of lattice sums. */
void aim_device_set_terms(const aim_calc *c, const aim_member *member, const aim_range_plan *range,
                          aim_dev_job *job);
AIM_NODISCARD aim_status aim_device_evaluate(aim_calc *c, const aim_member *member,
                                             aim_dev_job *job);
/* Says which atoms overlap. */
AIM_NODISCARD aim_status aim_device_overlap(aim_calc *c, const aim_member *member);

#endif
