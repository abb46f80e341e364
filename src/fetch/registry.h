/* SPDX-License-Identifier: MIT */
/* registry.h - the published models: data/registry.yaml as tables.
 *
 * Everything that ends up in a path, an address or a message is checked here once: files are plain
 * names, addresses begin with https://, digests have 64 lower-case digits. */
#ifndef AIM_FETCH_REGISTRY_H
#define AIM_FETCH_REGISTRY_H

#include "model/yaml.h"

enum { AIM_REGISTRY_MODELS = 512, AIM_REGISTRY_ALIASES = 1024, AIM_REGISTRY_FAMILIES = 64 };

typedef struct aim_registry_model {
    const char *name, *file, *url;
    const char *sha256; /* "": none was published */
    int family;
    int member; /* number within the family */
} aim_registry_model;

typedef struct aim_registry_family {
    const char *name, *about;
    int n_members;
    int supports_charged; /* 1, 0, or -1: not said */
    int has_d3;
    double d3[4]; /* s6, s8, a1, a2 */
} aim_registry_family;

typedef struct aim_registry_alias {
    const char *name;
    int model;
} aim_registry_alias;

typedef struct aim_registry {
    aim_yaml yaml; /* holds all texts */
    aim_registry_family *family;
    aim_registry_model *model;
    aim_registry_alias *alias;
    int n_families, n_models, n_aliases;
} aim_registry;

/* Errors: MODEL, MEMORY; it is empty then. */
AIM_NODISCARD aim_status aim_registry_parse(const aim_alloc *a, const char *text, size_t size,
                                            aim_registry *reg);
/* The one that is built in. */
AIM_NODISCARD aim_status aim_registry_builtin(const aim_alloc *a, aim_registry *reg);
void aim_registry_free(aim_registry *reg, const aim_alloc *a);

/* Number of the model of that name or alias (size bytes), or -1. */
int aim_registry_find(const aim_registry *reg, const char *name, size_t size);
/* Member k of a model's family, or -1. */
int aim_registry_member(const aim_registry *reg, int model, int k);
int aim_registry_find_family(const aim_registry *reg, const char *name); /* or -1 */

/* Whether text is 64 lower-case hexadecimal digits. */
int aim_is_digest(const char *text);

#endif
