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
/* Of the current batch, 0: molecules, 1: crystals in three directions, also by closed cells, -1: others */
int aim_device_crystals(const aim_calc *c);
/* device_terms.c: fills member->embedded */
void aim_device_learn(aim_member *member);
/* Of terms that the device computes: the slot with D3TS' parameters, -1: none; the output with D3 of
 * its own tables, NULL: none. */
int aim_device_predicted(const aim_member *member);
const aim_output *aim_device_d3(const aim_member *member);
/* Whether the Coulomb energy is a lattice sum; and its waves are not too many for a card. */
int aim_device_waves(const aim_calc *c, const aim_member *member);
int aim_device_fits_meshes(const aim_calc *c, const aim_member *member);
/* The terms of a member that the device takes as a whole; then the waves of lattice sums, which stand
 * until c->scratch is used again. */
AIM_NODISCARD aim_status aim_device_set_waves(aim_calc *c, const aim_member *member,
                                              aim_dev_job *job);
void aim_device_set_terms(const aim_calc *c, const aim_member *member, const aim_range_plan *range,
                          aim_dev_job *job);
/* ahead: as in aim_wishes */
AIM_NODISCARD aim_status aim_device_evaluate(aim_calc *c, const aim_member *member,
                                             const aim_tangents *ahead, aim_dev_job *job);
/* Says which atoms overlap. */
AIM_NODISCARD aim_status aim_device_overlap(aim_calc *c, const aim_member *member);

#endif
