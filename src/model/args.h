/* SPDX-License-Identifier: MIT */
/* args.h - constructor arguments out of a YAML mapping, by a table: every key known, every value of
 * its type, or a message with the path.
 *
 *     int n = 64; double rc = 4.6;
 *     const aim_arg args[] = {{"num_types", AIM_ARG_COUNT, &n, 0}, {"rc", AIM_ARG_POSITIVE, &rc,
 * 0}}; AIM_TRY(aim_args_read(y, where, map, args, 2));      // absent optional keys leave the value
 * as it is */
#ifndef AIM_MODEL_ARGS_H
#define AIM_MODEL_ARGS_H

#include "model/yaml.h"

/* A place in the YAML: a chain on the caller's stack, printed as "kwargs.outputs.atomic_sum". */
typedef struct aim_where {
    const struct aim_where *up;
    const char *key; /* or NULL: the number below */
    int index;
} aim_where;
enum { AIM_WHERE_SIZE = 160 };
const char *aim_where_text(char out[AIM_WHERE_SIZE], const aim_where *where);

typedef enum aim_arg_type {
    AIM_ARG_COUNT,         /* int, 1 .. 2^20 */
    AIM_ARG_COUNT_OR_NULL, /* the same; null, 0 or absent leave the value */
    AIM_ARG_BOOL,          /* int 0 or 1 */
    AIM_ARG_FINITE,        /* double */
    AIM_ARG_NOT_NEGATIVE,  /* double, finite */
    AIM_ARG_POSITIVE,      /* double, finite */
    AIM_ARG_POSITIVE_OR_NULL,
    AIM_ARG_TEXT,   /* const char *, of the YAML's pool */
    AIM_ARG_NODE,   /* int: any node */
    AIM_ARG_REFUSED /* value: const char *, the reason; null is accepted */
} aim_arg_type;

typedef struct aim_arg {
    const char *name;
    aim_arg_type type;
    void *value;
    int required;
} aim_arg;

/* map: a MAP or null node (no arguments), or AIM_YAML_NONE. Errors: MODEL. */
AIM_NODISCARD aim_status aim_args_read(const aim_yaml *y, const aim_where *where, int map,
                                       const aim_arg *args, int n_args);

#endif
