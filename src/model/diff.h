/* SPDX-License-Identifier: MIT */
/* diff.h - what two model files say differently. Private to src/model and src/api. */
#ifndef AIM_MODEL_DIFF_H
#define AIM_MODEL_DIFF_H

#include "model/content.h"

/* Appends one line per difference, see aimnet_model_diff; nothing if there is none. */
AIM_NODISCARD aim_status aim_content_diff(const aim_alloc *a, const aim_content *x,
                                          const aim_content *y, aim_string *out);

#endif
