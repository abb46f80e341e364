/* SPDX-License-Identifier: MIT */
/* save.h - writes the parts of a model as files. Private to src/model and src/api. */
#ifndef AIM_MODEL_SAVE_H
#define AIM_MODEL_SAVE_H

#include "aimnet_model.h"
#include "io/pt_write.h"
#include "model/content.h"

/* PT: path, or "-" for standard output. SAFETENSORS: path is a directory (it exists, or ends in a
 * slash and is made), which gets config.json and ensemble_<member>.safetensors, or a file
 * NAME.safetensors, beside which NAME.json is written. Every file appears complete or not at all.
 * Errors: FILE, MEMORY, MODEL, ARG. */
AIM_NODISCARD aim_status aim_model_write(const aim_alloc *a, const aim_model_parts *parts,
                                         const char *path, aimnet_file_format format, int member);

/* Metadata of a model that left radius and envelope of the short-range Coulomb part to its YAML, with
 * both, as .pt files need them. The text of the tree is in `out`; both are the caller's. Errors: MODEL,
 * MEMORY. */
AIM_NODISCARD aim_status aim_metadata_complete(const aim_model *model, const aim_content *content,
                                               aim_pickle_out *out, aim_pickle *tree);

#endif
