/* SPDX-License-Identifier: MIT */
/* args.c - checks a mapping against a table of arguments and stores the values; used for every
 * class of the model description. */
#include "model/args.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/names.h"

enum { MAX_COUNT = 1 << 20, MAX_LEVELS = 16 };

const char *aim_where_text(char out[AIM_WHERE_SIZE], const aim_where *where)
{
    const aim_where *level[MAX_LEVELS];
    int n = 0;
    size_t used = 0;
    for (; where && n < MAX_LEVELS; where = where->up)
        level[n++] = where;
    out[0] = '\0';
    while (n-- > 0 && used < AIM_WHERE_SIZE - 1) {
        const char *dot = used > 0 && level[n]->key ? "." : "";
        char shown[AIM_SHOWN_SIZE];
        const int length =
            level[n]->key
                ? snprintf(out + used, AIM_WHERE_SIZE - used, "%s%s", dot,
                           aim_shown(shown, (aim_slice){level[n]->key, strlen(level[n]->key)}))
                : snprintf(out + used, AIM_WHERE_SIZE - used, "[%d]", level[n]->index);
        used += length > 0 ? (size_t)length : 0;
    }
    return out;
}

static aim_status wrong(const aim_yaml *y, const aim_where *where, int node, const char *expected)
{
    char place[AIM_WHERE_SIZE], shown[AIM_SHOWN_SIZE];
    const aim_yaml_kind kind = aim_yaml_kind_of(y, node);
    const char *text = aim_yaml_text(y, node);
    return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s must be %s, not %s %s",
                    aim_where_text(place, where), expected, aim_yaml_kind_name(kind),
                    aim_shown(shown, (aim_slice){text, strlen(text)}));
}

static aim_status read_count(const aim_yaml *y, const aim_where *where, int node, int *value)
{
    const int64_t n = aim_yaml_kind_of(y, node) == AIM_YAML_INT ? aim_yaml_int(y, node) : 0;
    if (n < 1 || n > MAX_COUNT)
        return wrong(y, where, node, "an integer from 1 to 1048576");
    *value = (int)n;
    return AIMNET_OK;
}

static aim_status read_number(const aim_yaml *y, const aim_where *where, int node,
                              aim_arg_type type, double *value)
{
    const aim_yaml_kind kind = aim_yaml_kind_of(y, node);
    const double v = kind == AIM_YAML_INT || kind == AIM_YAML_FLOAT ? aim_yaml_float(y, node) : NAN;
    if (!isfinite(v))
        return wrong(y, where, node, "a finite number");
    if (type == AIM_ARG_NOT_NEGATIVE && v < 0.0)
        return wrong(y, where, node, "a number that is not negative");
    if (type != AIM_ARG_NOT_NEGATIVE && type != AIM_ARG_FINITE && v <= 0.0)
        return wrong(y, where, node, "a positive number");
    *value = v;
    return AIMNET_OK;
}

static aim_status read_value(const aim_yaml *y, const aim_where *where, int node,
                             const aim_arg *arg)
{
    const aim_yaml_kind kind = aim_yaml_kind_of(y, node);
    char place[AIM_WHERE_SIZE];
    switch (arg->type) {
    case AIM_ARG_COUNT_OR_NULL:
        if (kind == AIM_YAML_NULL || (kind == AIM_YAML_INT && aim_yaml_int(y, node) == 0))
            return AIMNET_OK;
        return read_count(y, where, node, arg->value);
    case AIM_ARG_COUNT:
        return read_count(y, where, node, arg->value);
    case AIM_ARG_BOOL:
        if (kind != AIM_YAML_BOOL)
            return wrong(y, where, node, "true or false");
        *(int *)arg->value = (int)aim_yaml_int(y, node);
        return AIMNET_OK;
    case AIM_ARG_POSITIVE_OR_NULL:
        if (kind == AIM_YAML_NULL)
            return AIMNET_OK;
        return read_number(y, where, node, arg->type, arg->value);
    case AIM_ARG_FINITE:
    case AIM_ARG_NOT_NEGATIVE:
    case AIM_ARG_POSITIVE:
        return read_number(y, where, node, arg->type, arg->value);
    case AIM_ARG_TEXT:
        if (kind != AIM_YAML_TEXT)
            return wrong(y, where, node, "a string");
        *(const char **)arg->value = aim_yaml_text(y, node);
        return AIMNET_OK;
    case AIM_ARG_NODE:
        *(int *)arg->value = node;
        return AIMNET_OK;
    default:
        if (kind == AIM_YAML_NULL)
            return AIMNET_OK;
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s is not supported: %s",
                        aim_where_text(place, where), (const char *)arg->value);
    }
}

static const aim_arg *find(const aim_arg *args, int n_args, const char *name)
{
    for (int i = 0; i < n_args; i++)
        if (strcmp(args[i].name, name) == 0)
            return &args[i];
    return NULL;
}

aim_status aim_args_read(const aim_yaml *y, const aim_where *where, int map, const aim_arg *args,
                         int n_args)
{
    char place[AIM_WHERE_SIZE];
    const int is_map = map != AIM_YAML_NONE && aim_yaml_kind_of(y, map) == AIM_YAML_MAP;
    if (!is_map && map != AIM_YAML_NONE && aim_yaml_kind_of(y, map) != AIM_YAML_NULL)
        return wrong(y, where, map, "a mapping");
    for (int i = 0; i < n_args; i++)
        if (args[i].required && (!is_map || aim_yaml_get(y, map, args[i].name) == AIM_YAML_NONE))
            return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s has no '%s'",
                            aim_where_text(place, where), args[i].name);
    if (!is_map)
        return AIMNET_OK;
    for (aim_yaml_iter it = aim_yaml_begin(y, map); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it)) {
        const aim_where here = {where, aim_yaml_text(y, it.key), 0};
        const aim_arg *arg = find(args, n_args, here.key);
        if (!arg)
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "model_yaml: %s is not an argument that this program knows",
                            aim_where_text(place, &here));
        AIM_TRY(read_value(y, &here, it.value, arg));
    }
    return AIMNET_OK;
}
