/* SPDX-License-Identifier: MIT */
/* script.h - models that old releases of the reference saved as TorchScript (.jpt): their objects
 * read as data. Private to src/model.
 *
 * Such an archive holds a tree of objects with attributes and tensors, and code. The code is never
 * looked at as code: the model is recognised by the classes and attributes of its objects, which
 * must be those of AIMNet2 in aimnet 0.0.1, and then described in the words of a v2 file: a YAML
 * and metadata, beside the tensors under their usual names. Everything else is refused. */
#ifndef AIM_MODEL_SCRIPT_H
#define AIM_MODEL_SCRIPT_H

#include "io/pickle_write.h"
#include "io/torch.h"

typedef struct aim_script {
    aim_tensor *tensor; /* [n_tensors] */
    size_t n_tensors, capacity;
    aim_names names;
    aim_string name_pool;
    aim_string yaml;         /* the architecture, as model_yaml */
    aim_status yaml_status;  /* the first failure while it was written */
    aim_pickle_out metadata; /* a dictionary with model_yaml and the other fields of a v2 file */
    int all_pairs;           /* its long-range parts run over all pairs */
} aim_script;

/* archive: opened, is_script. Errors: FORMAT for a malformed archive, MODEL for another model. */
AIM_NODISCARD aim_status aim_script_read(const aim_alloc *a, aim_torch *archive, aim_script *s);
void aim_script_free(aim_script *s, const aim_alloc *a);

#endif
