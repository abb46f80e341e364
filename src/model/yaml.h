/* SPDX-License-Identifier: MIT */
/* yaml.h - the YAML of model descriptions as a tree of plain data, read by libyaml with limits.
 *
 * One document of mappings, lists and scalars. Scalars are what PyYAML's safe loader makes of the
 * forms that it writes itself (decimal integers, floats with a point, booleans, null, strings);
 * octal, sexagesimal, underscored numbers and dates stay strings, so that a reader that expects a
 * number refuses them. Refused: tags, merge keys, duplicate keys, keys that are not strings,
 * aliases inside their own anchor, depth above 32, more than 8192 nodes, more than 256 KiB. An
 * alias is a second reference to the same node: bombs do not unfold. */
#ifndef AIM_MODEL_YAML_H
#define AIM_MODEL_YAML_H

#include "base/alloc.h"

typedef enum aim_yaml_kind {
    AIM_YAML_NULL,
    AIM_YAML_BOOL,
    AIM_YAML_INT,
    AIM_YAML_FLOAT,
    AIM_YAML_TEXT,
    AIM_YAML_LIST,
    AIM_YAML_MAP
} aim_yaml_kind;

enum { AIM_YAML_NONE = -1 }; /* no such node */

typedef struct aim_yaml {
    struct aim_yaml_node *node;
    struct aim_yaml_item *item;
    char *pool; /* texts of scalars, NUL-terminated */
    size_t n_nodes, n_items, pool_size;
    int root;
} aim_yaml;

/* Errors: MODEL with line and column, MEMORY. */
AIM_NODISCARD aim_status aim_yaml_parse(const aim_alloc *a, const char *text, size_t size,
                                        aim_yaml *yaml);
/* The same, where keys may be integers too (tables of atomic energies). */
AIM_NODISCARD aim_status aim_yaml_parse_table(const aim_alloc *a, const char *text, size_t size,
                                              aim_yaml *yaml);
void aim_yaml_free(aim_yaml *yaml, const aim_alloc *a);

aim_yaml_kind aim_yaml_kind_of(const aim_yaml *y, int node);
const char *aim_yaml_kind_name(aim_yaml_kind kind);
const char *aim_yaml_text(const aim_yaml *y, int node); /* any scalar, as written */
int64_t aim_yaml_int(const aim_yaml *y, int node);      /* INT, BOOL */
double aim_yaml_float(const aim_yaml *y, int node);     /* INT, FLOAT */
int aim_yaml_count(const aim_yaml *y, int node);        /* entries of a LIST or MAP */

/* for (aim_yaml_iter it = aim_yaml_begin(y, map); it.value != AIM_YAML_NONE; aim_yaml_step(y, &it))
 */
typedef struct aim_yaml_iter {
    int key; /* MAP: its node; LIST: AIM_YAML_NONE */
    int value;
    int item;
} aim_yaml_iter;
aim_yaml_iter aim_yaml_begin(const aim_yaml *y, int node);
void aim_yaml_step(const aim_yaml *y, aim_yaml_iter *it);
/* The value of a key, or AIM_YAML_NONE. */
int aim_yaml_get(const aim_yaml *y, int map, const char *key);

#endif
