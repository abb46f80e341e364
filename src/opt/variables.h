/* SPDX-License-Identifier: MIT */
/* variables.h - what an optimiser sees of a structure (backend/opt/variables.h): how it is set up. */
#ifndef AIM_OPT_VARIABLES_H
#define AIM_OPT_VARIABLES_H

#include "aimnet_opt.h"
#include "backend/opt/variables.h"
#include "base/status.h"

/* Sets everything but the arrays. Errors: SYSTEM. */
AIM_NODISCARD aim_status aim_variables_init(aim_variables *v, const aimnet_system *system,
                                            const aimnet_opt_options *options);
/* Copies the structure into the arrays. */
void aim_variables_load(aim_variables *v, const aimnet_system *system, const uint8_t *frozen);

#endif
