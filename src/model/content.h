/* SPDX-License-Identifier: MIT */
/* content.h - what a model file holds, whichever its format: a dictionary of metadata and named
 * tensors. Private to src/model and src/api.
 *
 * The format is recognised by the bytes. Everything that follows (metadata, architecture, weights)
 * reads this struct alone, so that the same model is the same in every format. */
#ifndef AIM_MODEL_CONTENT_H
#define AIM_MODEL_CONTENT_H

#include "base/text.h"
#include "io/pt.h"
#include "io/safetensors.h"
#include "model/model.h"
#include "model/script.h"

typedef enum aim_format {
    AIM_FORMAT_PT,          /* v2 .pt */
    AIM_FORMAT_SAFETENSORS, /* with a config.json */
    AIM_FORMAT_SCRIPT,      /* TorchScript of old releases */
    AIM_FORMAT_CHECKPOINT   /* weights of training, with their YAML */
} aim_format;
const char *
aim_format_name(aim_format format); /* "v2-pt", "safetensors", "torchscript", "checkpoint" */

typedef struct aim_content {
    aim_format format;
    const aim_pickle *tree;
    aim_ref metadata;   /* dictionary in `tree`; values of unknown keys are untrusted */
    aim_tensor *tensor; /* [n_tensors] in file order */
    size_t n_tensors;
    const aim_names *names; /* of the tensors */
    int sr_from_yaml; /* coulomb_sr_rc and coulomb_sr_envelope may come from the YAML's SRCoulomb,
                         and must agree with it */
    /* what the above points into */
    aim_torch torch;
    aim_pt pt;
    aim_safetensors safetensors;
    aim_script script;
    aim_pickle_out checkpoint;
    aim_pickle described; /* metadata that did not come as a pickle ... */
    aim_string text;      /* ... and its strings */
} aim_content;

/* The struct must not be moved afterwards; the bytes must stay. Errors: FORMAT, MODEL, MEMORY; it
 * is empty then. */
AIM_NODISCARD aim_status aim_content_read(const aim_alloc *a, const aim_model_bytes *in,
                                          aim_content *content);
void aim_content_free(aim_content *content, const aim_alloc *a);

#endif
