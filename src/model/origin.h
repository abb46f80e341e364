/* SPDX-License-Identifier: MIT */
/* origin.h - what a model remembers of its file for inspection; private to src/model and src/api.
 */
#ifndef AIM_MODEL_ORIGIN_H
#define AIM_MODEL_ORIGIN_H

#include "aimnet_model.h"
#include "base/arena.h"
#include "base/text.h"
#include "model/model.h"

typedef enum aim_source { AIM_SOURCE_MEMORY, AIM_SOURCE_BUILTIN, AIM_SOURCE_PATH } aim_source;

struct aim_model_origin {
    aim_source source;
    unsigned char *bytes; /* MEMORY: a copy, for saving */
    char *weights_path;   /* PATH: the file with the weights ... */
    char *config_path;    /* ... and the description beside it, or NULL */
    char *base_path;      /* the v2 file that describes it where config.json does not, or NULL */
    aim_arena weights;
    aimnet_tensor_info *tensor; /* names point into `names` */
    int n_tensors;
    char *names;
    aim_string ignored; /* names of metadata that have no meaning here, each followed by '\n' */
};

/* The model file inside the library. */
extern const unsigned char aim_default_model[], aim_default_model_end[];

AIM_NODISCARD aim_status aim_model_describe(const aim_model *m, aimnet_describe what,
                                            const char *sha256, aim_string *out);

#endif
