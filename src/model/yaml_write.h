/* SPDX-License-Identifier: MIT */
/* yaml_write.h - a tree of YAML as text in block style, as PyYAML dumps it. Private to src/model. */
#ifndef AIM_MODEL_YAML_WRITE_H
#define AIM_MODEL_YAML_WRITE_H

#include "base/text.h"
#include "model/yaml.h"

enum { AIM_YAML_SKIPS = 16 };

/* What is changed on the way. */
typedef struct aim_yaml_edit {
    int skip[AIM_YAML_SKIPS]; /* values whose entries are left out */
    int n_skips;
    int append_to;      /* a mapping, or AIM_YAML_NONE ... */
    const char *append; /* ... and lines added at its end, indented from the mapping's column */
} aim_yaml_edit;

AIM_NODISCARD aim_status aim_yaml_write(const aim_alloc *a, const aim_yaml *y,
                                        const aim_yaml_edit *edit, aim_string *out);

#endif
