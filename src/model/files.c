/* SPDX-License-Identifier: MIT */
/* files.c - from a path to the bytes of weights and description.
 *
 * Only names that the user gave, or fixed names beside them, are opened: nothing that a file
 * contains is ever a path. */
#include "model/files.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "io/bytes.h"
#include "io/safetensors.h"

/* "<folder of path>/<name>", or with `stem` given "<path without its last stem characters><name>".
 */
static aim_status beside(const aim_alloc *a, const char *path, size_t stem, const char *name,
                         char **out)
{
    const char *slash = strrchr(path, '/');
    const size_t head = stem > 0 ? strlen(path) - stem : slash ? (size_t)(slash - path) + 1 : 0;
    const size_t size = head + strlen(name) + 1;
    AIM_TRY(aim_new(a, size, 1, "a path", out));
    memcpy(*out, path, head);
    memcpy(*out + head, name, size - head);
    return AIMNET_OK;
}

static aim_status inside(const aim_alloc *a, const char *folder, const char *name, char **out)
{
    const size_t n = strlen(folder), size = n + strlen(name) + 2;
    AIM_TRY(aim_new(a, size, 1, "a path", out));
    snprintf(*out, size, "%s%s%s", folder, n > 0 && folder[n - 1] == '/' ? "" : "/", name);
    return AIMNET_OK;
}

/* The description beside a safetensors file: NAME.json, else config.json, else none. */
static aim_status find_config(const aim_alloc *a, aim_model_files *f)
{
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(f->weights), stem = sizeof suffix - 1;
    if (n > stem && aim_equal_nocase(f->weights + n - stem, suffix)) {
        AIM_TRY(beside(a, f->weights, stem, ".json", &f->config));
        if (aim_path_exists(f->config))
            return AIMNET_OK;
        aim_free(a, f->config);
        f->config = NULL;
    }
    AIM_TRY(beside(a, f->weights, 0, "config.json", &f->config));
    if (!aim_path_exists(f->config)) {
        aim_free(a, f->config);
        f->config = NULL;
    }
    return AIMNET_OK;
}

static aim_status choose(const aim_alloc *a, const char *path, const char *config, int member,
                         aim_model_files *f)
{
    char name[48];
    if (config)
        AIM_TRY(aim_strdup(a, config, &f->config));
    if (!aim_path_is_directory(path))
        return aim_strdup(a, path, &f->weights);
    snprintf(name, sizeof name, "ensemble_%d.safetensors", member);
    AIM_TRY(inside(a, path, name, &f->weights));
    return config ? AIMNET_OK : inside(a, path, "config.json", &f->config);
}

static aim_status read_all(const aim_alloc *a, const char *path, const char *config, int member,
                           aim_model_files *f)
{
    AIM_TRY(choose(a, path, config, member, f));
    AIM_TRY(aim_bytes_read(a, f->weights, &f->weights_bytes, &f->in.size));
    f->in.bytes = f->weights_bytes;
    if (!f->config && aim_safetensors_probe(f->in.bytes, f->in.size))
        AIM_TRY(find_config(a, f));
    if (!f->config)
        return AIMNET_OK;
    AIM_TRY(aim_bytes_read(a, f->config, &f->config_bytes, &f->in.config_size));
    f->in.config = f->config_bytes;
    f->in.config_name = f->config;
    return AIMNET_OK;
}

aim_status aim_model_files_read(const aim_alloc *a, const char *path, const char *config,
                                int member, aim_model_files *files)
{
    *files = (aim_model_files){0};
    const aim_status status = read_all(a, path, config, member, files);
    if (status != AIMNET_OK)
        aim_model_files_free(files, a);
    return status;
}

aim_status aim_model_files_add_base(const aim_alloc *a, const char *path, aim_model_files *files)
{
    AIM_TRY(aim_strdup(a, path, &files->base));
    AIM_TRY(aim_bytes_read(a, path, &files->base_bytes, &files->in.base_size));
    files->in.base = files->base_bytes;
    files->in.base_name = files->base;
    return AIMNET_OK;
}

void aim_model_files_free(aim_model_files *files, const aim_alloc *a)
{
    aim_free(a, files->base);
    aim_free(a, files->base_bytes);
    aim_free(a, files->weights);
    aim_free(a, files->config);
    aim_free(a, files->weights_bytes);
    aim_free(a, files->config_bytes);
    *files = (aim_model_files){0};
}
