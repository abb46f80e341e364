/* SPDX-License-Identifier: MIT */
/* cache.c - the folder of downloaded models.
 *
 * Clearing never takes a folder's whole content: a cache set to somebody's home directory must cost
 * nothing but models. Only names that this library gives are removed: the files of the registry and,
 * in folders named like repositories, config.json and ensemble_<K>.safetensors, with their pins and
 * unfinished downloads. */
#define _XOPEN_SOURCE     700
#define _FILE_OFFSET_BITS 64
#include "fetch/cache.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/platform.h"
#include "io/bytes.h"
#include "io/outfile.h"
#include "model/sha256.h"

enum { CHUNK = 1 << 16 };

aim_status aim_cache_dir(const aim_alloc *a, aim_string *path)
{
    const char *own = getenv("AIMNET_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME") ? getenv("HOME") : getenv("USERPROFILE");
    if (own && own[0])
        return aim_string_printf(path, a, "%s", own);
    if (xdg && xdg[0] == '/') /* the XDG specification: relative paths are to be ignored */
        return aim_string_printf(path, a, "%s/aimnet", xdg);
    if (home && home[0])
        return aim_string_printf(path, a, "%s/.cache/aimnet", home);
    return AIM_FAIL(AIMNET_ERR_FILE, "no folder for models: set AIMNET_CACHE_DIR (neither it nor "
                                     "XDG_CACHE_HOME nor HOME is set)");
}

aim_status aim_cache_make(const char *folder)
{
    char path[4096];
    const size_t size = strlen(folder);
    if (size >= sizeof path)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: the path is too long", folder);
    for (size_t i = 1; i <= size; i++) {
        if (folder[i] != '/' && folder[i] != '\0')
            continue;
        memcpy(path, folder, i);
        path[i] = '\0';
        if (aim_os_make_folder(path) != 0 && errno != EEXIST && !aim_path_is_directory(path))
            return AIM_FAIL(AIMNET_ERR_FILE,
                            "%s: the folder cannot be created: %s; AIMNET_CACHE_DIR chooses "
                            "another place",
                            path, strerror(errno));
    }
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- digests */

aim_status aim_file_sha256(const char *path, char hex[65])
{
    unsigned char chunk[CHUNK];
    aim_sha256_stream s = aim_sha256_begin();
    FILE *file = fopen(path, "rb");
    if (!file)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: cannot open it: %s", path, strerror(errno));
    setvbuf(file, NULL, _IONBF, 0);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
        aim_sha256_add(&s, chunk, n);
    const int failed = ferror(file) != 0;
    fclose(file);
    if (failed)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: cannot read it: %s", path, strerror(errno));
    aim_sha256_end(&s, hex);
    return AIMNET_OK;
}

aim_status aim_pin_read(const aim_alloc *a, const char *path, char hex[65])
{
    aim_string name = {0};
    char line[80] = "";
    hex[0] = '\0';
    AIM_TRY(aim_string_printf(&name, a, "%s.sha256", path));
    FILE *file = fopen(name.data, "rb");
    const size_t n = file ? fread(line, 1, 65, file) : 0;
    const int there = file != NULL;
    if (file)
        fclose(file);
    aim_status status = AIMNET_OK;
    const int good = n == 65 && line[64] == ' ';
    line[64] = '\0';
    if (there && (!good || !aim_is_digest(line)))
        status = AIM_FAIL(AIMNET_ERR_FORMAT, "%s: does not begin with a SHA-256 digest", name.data);
    else if (there)
        memcpy(hex, line, 65);
    aim_string_free(&name, a);
    return status;
}

static aim_status write_pin(const aim_alloc *a, const char *path, const char *hex, aim_string *s,
                            aim_outfile *out)
{
    const char *slash = strrchr(path, '/');
    AIM_TRY(aim_string_printf(s, a, "%s.sha256", path));
    AIM_TRY(aim_outfile_open(out, a, s->data));
    s->size = 0;
    AIM_TRY(aim_string_printf(s, a, "%s  %s\n", hex, slash ? slash + 1 : path));
    AIM_TRY(aim_outfile_write(out, s->data, s->size));
    return aim_outfile_commit(out);
}

aim_status aim_pin_write(const aim_alloc *a, const char *path, const char *hex)
{
    aim_string s = {0};
    aim_outfile out = {.fd = -1};
    const aim_status status = write_pin(a, path, hex, &s, &out);
    if (out.path)
        aim_outfile_close(&out);
    aim_string_free(&s, a);
    return status;
}

/* ---------------------------------------------------------------- clearing */

typedef struct sweep {
    const aim_alloc *alloc;
    aim_string path;
    int dry_run;
    aim_cache_each each;
    void *user;
    aim_status status;
} sweep;

/* Removes folder/name and its companions where they exist. */
static aim_status remove_file(sweep *s, const char *folder, const char *name)
{
    static const char *const companions[] = {"", ".sha256", ".part"};
    for (size_t i = 0; i < sizeof companions / sizeof *companions; i++) {
        struct stat info;
        s->path.size = 0;
        AIM_TRY(aim_string_printf(&s->path, s->alloc, "%s/%s%s", folder, name, companions[i]));
        if (lstat(s->path.data, &info) != 0 || S_ISDIR(info.st_mode))
            continue;
        if (!s->dry_run && unlink(s->path.data) != 0) {
            if (s->status == AIMNET_OK)
                s->status = AIM_FAIL(AIMNET_ERR_FILE, "%s: cannot remove it: %s", s->path.data,
                                     strerror(errno));
        } else if (s->each) {
            s->each(s->user, s->path.data);
        }
    }
    return AIMNET_OK;
}

static int is_weights(const char *name)
{
    int k = 0, end = 0;
    return sscanf(name, "ensemble_%3d.safetensors%n", &k, &end) == 1 && end > 0 && k >= 0;
}

/* A folder of a repository: its files, then itself if nothing else is in it. */
static aim_status remove_repository(sweep *s, const char *folder)
{
    char name[64];
    AIM_TRY(remove_file(s, folder, "config.json"));
    DIR *dir = opendir(folder);
    if (!dir)
        return AIMNET_OK;
    aim_status status = AIMNET_OK;
    int seen[1000] = {0};
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int k = 0;
        if (is_weights(entry->d_name) && sscanf(entry->d_name, "ensemble_%3d", &k) == 1)
            seen[k] = 1;
    }
    closedir(dir);
    for (int k = 0; k < 1000 && status == AIMNET_OK; k++) {
        snprintf(name, sizeof name, "ensemble_%d.safetensors", k);
        if (seen[k])
            status = remove_file(s, folder, name);
    }
    if (!s->dry_run)
        (void)rmdir(folder); /* stays if it holds something of others */
    return status;
}

static aim_status remove_repositories(sweep *s, const char *cache)
{
    aim_string hub = {0}, folder = {0};
    aim_status status = aim_string_printf(&hub, s->alloc, "%s/huggingface", cache);
    DIR *dir = status == AIMNET_OK ? opendir(hub.data) : NULL;
    for (const struct dirent *entry;
         dir && status == AIMNET_OK && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || !strstr(entry->d_name, "--") || !strchr(entry->d_name, '@'))
            continue;
        folder.size = 0;
        status = aim_string_printf(&folder, s->alloc, "%s/%s", hub.data, entry->d_name);
        if (status == AIMNET_OK)
            status = remove_repository(s, folder.data);
    }
    if (dir)
        closedir(dir);
    if (dir && !s->dry_run)
        (void)rmdir(hub.data);
    aim_string_free(&folder, s->alloc);
    aim_string_free(&hub, s->alloc);
    return status;
}

aim_status aim_cache_clear(const aim_alloc *a, const aim_registry *reg, int dry_run,
                           aim_cache_each each, void *user)
{
    sweep s = {.alloc = a, .dry_run = dry_run, .each = each, .user = user};
    aim_string cache = {0};
    aim_status status = aim_cache_dir(a, &cache);
    for (int i = 0; i < reg->n_models && status == AIMNET_OK; i++)
        status = remove_file(&s, cache.data, reg->model[i].file);
    if (status == AIMNET_OK)
        status = remove_repositories(&s, cache.data);
    aim_string_free(&s.path, a);
    aim_string_free(&cache, a);
    return status == AIMNET_OK ? s.status : status;
}
