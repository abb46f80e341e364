/* SPDX-License-Identifier: MIT */
/* fetch_api.c - the public functions on published models, downloads and the cache: argument checks
 * in front of src/fetch. */
#include <stdlib.h>
#include <string.h>

#include "aimnet_model.h"
#include "fetch/fetch.h"

struct aimnet_registry {
    aim_alloc alloc;
    aim_registry tables;
};

aimnet_status aimnet_registry_open(const aimnet_allocator *allocator, aimnet_registry **registry)
{
    aim_alloc a;
    if (!registry)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_registry_open: registry is NULL");
    *registry = NULL;
    AIM_TRY(aim_alloc_from(allocator, &a));
    AIM_TRY(aim_new0(&a, 1, sizeof **registry, "the registry", registry));
    (*registry)->alloc = a;
    const aim_status status = aim_registry_builtin(&a, &(*registry)->tables);
    if (status != AIMNET_OK) {
        aim_free(&a, *registry);
        *registry = NULL;
    }
    return status;
}

void aimnet_registry_close(aimnet_registry *registry)
{
    if (!registry)
        return;
    const aim_alloc a = registry->alloc;
    aim_registry_free(&registry->tables, &a);
    aim_free(&a, registry);
}

int aimnet_registry_count(const aimnet_registry *registry)
{
    return registry ? registry->tables.n_models : 0;
}

aimnet_status aimnet_registry_get(const aimnet_registry *registry, int index,
                                  aimnet_registry_entry *entry)
{
    const int n = aimnet_registry_count(registry);
    if (!registry || !entry || index < 0 || index >= n)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "aimnet_registry_get: index %d of %d models, or a NULL argument", index, n);
    const aim_registry_model *m = &registry->tables.model[index];
    const aim_registry_family *f = &registry->tables.family[m->family];
    *entry = (aimnet_registry_entry){.name = m->name,
                                     .family = f->name,
                                     .about = f->about,
                                     .member = m->member,
                                     .file = m->file,
                                     .url = m->url,
                                     .sha256 = m->sha256};
    return AIMNET_OK;
}

int aimnet_registry_find(const aimnet_registry *registry, const char *name)
{
    return registry && name ? aim_registry_find(&registry->tables, name, strlen(name)) : -1;
}

const char *aimnet_registry_alias(const aimnet_registry *registry, int index, int *entry)
{
    if (!registry || index < 0 || index >= registry->tables.n_aliases)
        return NULL;
    if (entry)
        *entry = registry->tables.alias[index].model;
    return registry->tables.alias[index].name;
}

/* ---------------------------------------------------------------- names to places */

aimnet_fetch_options aimnet_fetch_options_default(void)
{
    return (aimnet_fetch_options){.struct_size = sizeof(aimnet_fetch_options),
                                  .max_bytes = (int64_t)256 << 20,
                                  .retries = 3,
                                  .retry_seconds = 1.0,
                                  .stall_seconds = 30.0};
}

/* A revision in the options obeys the rules of one in a name: no part begins with a dot. */
static int is_revision(const char *text)
{
    const char *const allowed =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
    const size_t n = strlen(text);
    return n > 0 && n <= 96 && strspn(text, allowed) == n && text[0] != '.' && text[0] != '/' &&
           text[n - 1] != '/' && !strstr(text, "/.") && !strstr(text, "//");
}

static aim_status fill(const char *function, const aimnet_fetch_options *options, aim_fetch *f)
{
    aimnet_fetch_options o = aimnet_fetch_options_default();
    if (options && (options->struct_size == 0 || options->struct_size > sizeof o))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s: options of %zu bytes: fill them with aimnet_fetch_options_default "
                        "first",
                        function, options->struct_size);
    if (options)
        memcpy(&o, options, options->struct_size);
    if (o.max_bytes < 1 || o.retries < 0 || !(o.retry_seconds >= 0.0) || !(o.stall_seconds >= 1.0))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s: max_bytes %lld, retries %d, retry_seconds %g, stall_seconds %g: "
                        "expected at least 1, 0, 0 and 1",
                        function, (long long)o.max_bytes, o.retries, o.retry_seconds,
                        o.stall_seconds);
    if (o.revision && !is_revision(o.revision))
        return AIM_FAIL(AIMNET_ERR_ARG, "%s: '%s' is not the name of a revision", function,
                        o.revision);
    const char *token = getenv("HF_TOKEN");
    f->allow_unverified = o.allow_unverified;
    f->token = o.token ? o.token : token && token[0] ? token : NULL;
    f->revision = o.revision;
    f->max_bytes = o.max_bytes;
    f->retries = o.retries;
    f->wait_seconds = o.retry_seconds;
    f->stall_seconds = o.stall_seconds;
    f->progress = o.progress;
    f->user = o.user;
    return AIMNET_OK;
}

static aim_status copy_path(const aim_string *from, char *path, size_t path_size)
{
    if (!path)
        return AIMNET_OK;
    if (from->size >= path_size)
        return AIM_FAIL(AIMNET_ERR_OVERFLOW, "a path of %zu bytes does not fit into %zu",
                        from->size + 1, path_size);
    memcpy(path, from->data, from->size + 1);
    return AIMNET_OK;
}

/* f: NULL to look only. */
static aim_status place_of(const aim_alloc *a, const aim_registry *reg, const char *name,
                           const aim_fetch *f, char *path, size_t path_size)
{
    const aim_model_name n = aim_model_name_of(reg, name);
    aim_place place;
    if (n.kind == AIM_NAME_BUILTIN)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "'default' is built into the library: there is no file of it");
    AIM_TRY(f ? aim_place_fetch(f, &n, &place) : aim_place_find(a, reg, &n, 0, &place));
    const aim_status status = copy_path(&place.path, path, path_size);
    aim_place_free(&place, a);
    return status;
}

aimnet_status aimnet_model_fetch(const char *name, const aimnet_fetch_options *options, char *path,
                                 size_t path_size)
{
    const aim_alloc a = aim_alloc_default();
    aim_registry reg;
    aim_fetch f = {.alloc = &a, .reg = &reg};
    if (!name)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_fetch: name is NULL");
    AIM_TRY(fill("aimnet_model_fetch", options, &f));
    AIM_TRY(aim_registry_builtin(&a, &reg));
    const aim_status status = place_of(&a, &reg, name, &f, path, path_size);
    aim_registry_free(&reg, &a);
    return status;
}

aimnet_status aimnet_model_locate(const char *name, char *path, size_t path_size)
{
    const aim_alloc a = aim_alloc_default();
    aim_registry reg;
    if (!name)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_locate: name is NULL");
    AIM_TRY(aim_registry_builtin(&a, &reg));
    const aim_status status = place_of(&a, &reg, name, NULL, path, path_size);
    aim_registry_free(&reg, &a);
    return status;
}

aimnet_status aimnet_model_members(const char *name, const aimnet_fetch_options *options,
                                   int *count)
{
    const aim_alloc a = aim_alloc_default();
    aim_registry reg;
    aim_fetch f = {.alloc = &a, .reg = &reg};
    if (!name || !count)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_members: %s is NULL",
                        name ? "count" : "name");
    *count = 0;
    AIM_TRY(fill("aimnet_model_members", options, &f));
    AIM_TRY(aim_registry_builtin(&a, &reg));
    const aim_model_name n = aim_model_name_of(&reg, name);
    const aim_status status = aim_count_members(&a, &reg, options ? &f : NULL, &n, count);
    aim_registry_free(&reg, &a);
    return status;
}

/* ---------------------------------------------------------------- cache */

aimnet_status aimnet_cache_dir(char *path, size_t path_size)
{
    const aim_alloc a = aim_alloc_default();
    aim_string text = {0};
    if (!path)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_cache_dir: path is NULL");
    aim_status status = aim_cache_dir(&a, &text);
    if (status == AIMNET_OK)
        status = copy_path(&text, path, path_size);
    aim_string_free(&text, &a);
    return status;
}

aimnet_status aimnet_cache_clear(int dry_run, void (*each)(void *user, const char *path),
                                 void *user)
{
    const aim_alloc a = aim_alloc_default();
    aim_registry reg;
    AIM_TRY(aim_registry_builtin(&a, &reg));
    const aim_status status = aim_cache_clear(&a, &reg, dry_run, each, user);
    aim_registry_free(&reg, &a);
    return status;
}
