/* SPDX-License-Identifier: MIT */
/* files.h - which files a model is read from, and their bytes. Private to src/model and src/api. */
#ifndef AIM_MODEL_FILES_H
#define AIM_MODEL_FILES_H

#include "model/model.h"

typedef struct aim_model_files {
    char *weights, *config; /* paths; config is NULL where there is none */
    char *base;             /* the file that describes the weights; NULL: config does */
    aim_model_bytes in;     /* what they hold */
    unsigned char *weights_bytes, *config_bytes, *base_bytes;
} aim_model_files;

/* path: a file, or a directory in the layout of Hugging Face, of which ensemble_<member> is read.
 * config: the description that belongs to the weights, or NULL: config.json of the directory; for a
 * file NAME.safetensors, NAME.json or config.json beside it. Errors: FILE, MEMORY. */
AIM_NODISCARD aim_status aim_model_files_read(const aim_alloc *a, const char *path,
                                              const char *config, int member,
                                              aim_model_files *files);
/* Adds a v2 file whose description is used where config.json has none. Errors: FILE, MEMORY; what
 * was read before stays. */
AIM_NODISCARD aim_status aim_model_files_add_base(const aim_alloc *a, const char *path,
                                                  aim_model_files *files);
void aim_model_files_free(aim_model_files *files, const aim_alloc *a);

#endif
