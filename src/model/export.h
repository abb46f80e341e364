/* SPDX-License-Identifier: MIT */
/* export.h - weights and the YAML of their training become a v2 model file. Private to src/model and
 * src/api. */
#ifndef AIM_MODEL_EXPORT_H
#define AIM_MODEL_EXPORT_H

#include "aimnet_model.h"
#include "base/status.h"

/* Errors: ARG, FILE, FORMAT, MODEL, MEMORY. */
AIM_NODISCARD aim_status aim_model_export(const aimnet_allocator *a, const aimnet_export_options *o,
                                          const char *path);

#endif
