/* SPDX-License-Identifier: MIT */
/* fallback.h - the description of a v2 file for safetensors whose config.json names a family and
 * leaves the architecture to the registry. For content.c and src/fetch, which finds that file. */
#ifndef AIM_MODEL_FALLBACK_H
#define AIM_MODEL_FALLBACK_H

#include "model/content.h"

/* Whether a config.json leaves the architecture to the registry: no model_yaml, or null. */
int aim_describes_family(const aim_pickle *config);

/* content: its `described` is the config.json. Opens in->base and makes its metadata those of the
 * content, whose tensors stay. Errors: FORMAT, MODEL (what config.json says must agree), MEMORY. */
AIM_NODISCARD aim_status aim_fallback_read(const aim_alloc *a, const aim_model_bytes *in,
                                           aim_content *content);

#endif
