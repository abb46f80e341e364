/* SPDX-License-Identifier: MIT */
/* fetch.c - names to places.
 *
 * Loading a model never uses the network: what is missing is named with its address, its digest and
 * the place where it belongs, so that a machine without network is served by copying one file. What
 * is in the cache is compared with its digest whenever it is loaded (8 ms for 9 MB). */
#include "fetch/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "fetch/hub.h"
#include "io/bytes.h"

void aim_place_free(aim_place *p, const aim_alloc *a)
{
    aim_string_free(&p->path, a);
}

/* The address with AIMNET_MIRROR instead of "https://host". */
static aim_status mirrored(const aim_alloc *a, const char *url, aim_string *out)
{
    const char *mirror = getenv("AIMNET_MIRROR");
    if (!mirror || !mirror[0])
        return aim_string_printf(out, a, "%s", url);
    if (strncmp(mirror, "https://", 8) != 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "AIMNET_MIRROR is '%s': it must begin with https://",
                        mirror);
    const char *path = strchr(url + 8, '/');
    const size_t n = strlen(mirror);
    return aim_string_printf(out, a, "%.*s%s", (int)(n - (mirror[n - 1] == '/')), mirror,
                             path ? path : "/");
}

static aim_status only_one(const aim_model_name *n)
{
    if (n->member != AIM_MEMBER_ALL)
        return AIMNET_OK;
    return AIM_FAIL(AIMNET_ERR_ARG,
                    "%s: an ensemble where one model is expected: %.*s:0 is its first member",
                    n->text, (int)n->size, n->text);
}

/* ---------------------------------------------------------------- registry */

/* Number in the registry of the model that is meant. */
static aim_status choose_member(const aim_registry *reg, const aim_model_name *n, int member,
                                int *model)
{
    AIM_TRY(only_one(n));
    const aim_registry_family *family = &reg->family[reg->model[n->model].family];
    const int k = n->member >= 0 ? n->member : member;
    *model = n->member >= 0 || member > 0 ? aim_registry_member(reg, n->model, k) : n->model;
    if (*model < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s: the family %s has the members 0 to %d, not %d",
                        n->text, family->name, family->n_members - 1, k);
    return AIMNET_OK;
}

/* Path and expected digest of a model of the registry. */
static aim_status place_model(const aim_alloc *a, const aim_registry *reg, int model, aim_place *p)
{
    const aim_registry_model *m = &reg->model[model];
    AIM_TRY(aim_cache_dir(a, &p->path));
    AIM_TRY(aim_string_printf(&p->path, a, "/%s", m->file));
    p->family = m->family;
    if (m->sha256[0] == '\0')
        return aim_pin_read(a, p->path.data, p->digest);
    memcpy(p->digest, m->sha256, sizeof p->digest);
    return AIMNET_OK;
}

static aim_status missing_model(const aim_alloc *a, const aim_registry_model *m, const char *text,
                                const char *path)
{
    aim_string url = {0};
    aim_status status = mirrored(a, m->url, &url);
    if (status == AIMNET_OK && m->sha256[0])
        status = AIM_FAIL(AIMNET_ERR_FILE,
                          "%s: the model %s is not in the cache: run 'aimnet download %s', or "
                          "fetch %s (SHA-256 %s) and save it as %s",
                          text, m->name, text, url.data, m->sha256, path);
    else if (status == AIMNET_OK)
        status = AIM_FAIL(AIMNET_ERR_FILE,
                          "%s: the model %s is not in the cache: run 'aimnet download "
                          "--allow-unverified %s' (no digest was published), which fetches %s and "
                          "saves it as %s",
                          text, m->name, text, url.data, path);
    aim_string_free(&url, a);
    return status;
}

/* text: how the user calls it. */
static aim_status find_listed(const aim_alloc *a, const aim_registry *reg, int model,
                              const char *text, aim_place *p)
{
    AIM_TRY(place_model(a, reg, model, p));
    const aim_registry_model *m = &reg->model[model];
    if (!aim_path_exists(p->path.data))
        return missing_model(a, m, text, p->path.data);
    if (p->digest[0] == '\0')
        return AIM_FAIL(AIMNET_ERR_FILE,
                        "%s: no digest was published for this model, and none is pinned: 'aimnet "
                        "download --allow-unverified %s' pins the one of this file; "
                        "or give the file by its path",
                        p->path.data, m->name);
    return AIMNET_OK;
}

static aim_status find_model(const aim_alloc *a, const aim_registry *reg, const aim_model_name *n,
                             int member, aim_place *p)
{
    int model;
    AIM_TRY(choose_member(reg, n, member, &model));
    return find_listed(a, reg, model, n->text, p);
}

static aim_status download_model(const aim_fetch *f, const aim_registry_model *m, aim_place *p)
{
    aim_string text = {0};
    aim_status status = aim_cache_dir(f->alloc, &text);
    if (status == AIMNET_OK)
        status = aim_cache_make(text.data);
    text.size = 0;
    if (status == AIMNET_OK)
        status = mirrored(f->alloc, m->url, &text);
    aim_download d = {.url = text.data,
                      .target = p->path.data,
                      .what = m->name,
                      .sha256 = p->digest,
                      .max_bytes = f->max_bytes,
                      .retries = f->retries,
                      .wait_seconds = f->wait_seconds,
                      .stall_seconds = f->stall_seconds,
                      .progress = f->progress,
                      .user = f->user};
    if (status == AIMNET_OK)
        status = aim_download_run(f->alloc, &d);
    if (status == AIMNET_ERR_UNSUPPORTED)
        status = AIM_FAIL(status, "%s; or fetch %s and save it as %s", aimnet_last_error(), d.url,
                          d.target);
    if (status == AIMNET_OK && p->digest[0] == '\0') {
        memcpy(p->digest, d.digest, sizeof p->digest);
        status = aim_pin_write(f->alloc, p->path.data, p->digest);
    }
    aim_string_free(&text, f->alloc);
    return status;
}

static aim_status fetch_listed(const aim_fetch *f, int model, aim_place *p)
{
    char seen[65];
    AIM_TRY(place_model(f->alloc, f->reg, model, p));
    const aim_registry_model *m = &f->reg->model[model];
    if (p->digest[0] == '\0' && !f->allow_unverified)
        return AIM_FAIL(AIMNET_ERR_FILE,
                        "%s: no digest was published for this model; with --allow-unverified it is "
                        "downloaded as it is, and its digest pinned",
                        m->name);
    if (aim_path_exists(p->path.data)) {
        AIM_TRY(aim_file_sha256(p->path.data, seen));
        if (strcmp(seen, p->digest) == 0)
            return AIMNET_OK;
        if (p->digest[0] == '\0') {
            memcpy(p->digest, seen, sizeof seen);
            return aim_pin_write(f->alloc, p->path.data, seen);
        }
    }
    return download_model(f, m, p);
}

static aim_status fetch_model(const aim_fetch *f, const aim_model_name *n, aim_place *p)
{
    int model;
    AIM_TRY(choose_member(f->reg, n, 0, &model));
    return fetch_listed(f, model, p);
}

/* ---------------------------------------------------------------- repositories */

static aim_status find_repository(const aim_alloc *a, const aim_model_name *n, int member,
                                  aim_place *p)
{
    aim_string url = {0}, file = {0};
    AIM_TRY(only_one(n));
    p->member = n->member >= 0 ? n->member : member;
    AIM_TRY(aim_hub_folder(a, n, NULL, &p->path));
    aim_status status =
        aim_string_printf(&file, a, "%s/ensemble_%d.safetensors", p->path.data, p->member);
    if (status == AIMNET_OK && aim_path_exists(file.data)) {
        status = aim_pin_read(a, file.data, p->digest);
    } else if (status == AIMNET_OK) {
        status = aim_hub_url(a, n, NULL, "config.json", &url);
        if (status == AIMNET_OK)
            status = AIM_FAIL(AIMNET_ERR_FILE,
                              "%s: neither a file nor a registered model, and the repository is "
                              "not in the cache: run 'aimnet download %s', or fetch %s and "
                              "ensemble_%d.safetensors from there and save them in %s",
                              n->text, n->text, url.data, p->member, p->path.data);
    }
    aim_string_free(&file, a);
    aim_string_free(&url, a);
    return status;
}

/* What a repository or folder is called: "name" of owner/name, or the last part of the path. */
static aim_slice repository_name(const aim_model_name *n)
{
    aim_slice name = {n->text, n->size};
    while (name.size > 1 && name.text[name.size - 1] == '/')
        name.size--;
    for (size_t i = name.size; i > 0; i--)
        if (name.text[i - 1] == '/')
            return aim_slice_from(name, i);
    return name;
}

static aim_status find_describer(const aim_alloc *a, const aim_registry *reg,
                                 const aim_model_name *n, int member, aim_slice text,
                                 const char *config_name, aim_place *base)
{
    int model;
    AIM_TRY(aim_hub_describer(a, reg, text, config_name, repository_name(n), member, &model));
    if (model < 0)
        return AIMNET_OK;
    const aim_status status = find_listed(a, reg, model, reg->model[model].name, base);
    return status == AIMNET_OK
               ? status
               : aim_fail_prefix(status, "%s has no 'model_yaml' and needs a model of the registry",
                                 config_name);
}

aim_status aim_place_describer(const aim_alloc *a, const aim_registry *reg, const aim_model_name *n,
                               const aim_place *place, aim_slice text, const char *config_name,
                               aim_place *base)
{
    *base = (aim_place){.family = -1};
    const aim_status status = find_describer(a, reg, n, place->member, text, config_name, base);
    if (status != AIMNET_OK)
        aim_place_free(base, a);
    return status;
}

/* Also downloads the model of the registry that a repository's config.json leaves the description
 * of its member to. */
static aim_status fetch_describer(const aim_fetch *f, const aim_model_name *n, const aim_place *p)
{
    aim_string path = {0};
    aim_place base = {.family = -1};
    unsigned char *bytes = NULL;
    size_t size = 0;
    int model = -1;
    aim_status status = aim_string_printf(&path, f->alloc, "%s/config.json", p->path.data);
    if (status == AIMNET_OK)
        status = aim_bytes_read(f->alloc, path.data, &bytes, &size);
    if (status == AIMNET_OK)
        status = aim_hub_describer(f->alloc, f->reg, (aim_slice){(const char *)bytes, size},
                                   path.data, repository_name(n), p->member, &model);
    if (status == AIMNET_OK && model >= 0)
        status = fetch_listed(f, model, &base);
    aim_place_free(&base, f->alloc);
    aim_free(f->alloc, bytes);
    aim_string_free(&path, f->alloc);
    return status;
}

/* ---------------------------------------------------------------- all kinds */

static aim_status find_path(const aim_alloc *a, const aim_registry *reg, const aim_model_name *n,
                            int member, aim_place *p)
{
    AIM_TRY(only_one(n));
    p->member = n->member >= 0 ? n->member : member;
    AIM_TRY(aim_string_append(&p->path, a, n->text, n->size));
    if (strstr(n->text, "://"))
        return AIM_FAIL(AIMNET_ERR_FILE,
                        "%s: an address, which is not opened: download the file and give its path",
                        n->text);
    if (p->member > 0 && aim_path_exists(p->path.data) && !aim_path_is_directory(p->path.data))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "%s: a file is one model: it has no member %d (a directory of "
                        "ensemble_N.safetensors has)",
                        n->text, p->member);
    if (aim_path_exists(p->path.data) || strpbrk(n->text, "/."))
        return AIMNET_OK;
    const char *like = aim_name_suggestion(reg, n->text);
    return AIM_FAIL(AIMNET_ERR_FILE, "%s: neither a file nor a registered model%s%s%s",
                    n->text[0] ? n->text : "''",
                    like ? ": did you mean '" : " ('aimnet download --list' shows them)",
                    like ? like : "", like ? "'?" : "");
}

static aim_status find_any(const aim_alloc *a, const aim_registry *reg, const aim_model_name *n,
                           int member, aim_place *p)
{
    switch (n->kind) {
    case AIM_NAME_REGISTRY:
        return find_model(a, reg, n, member, p);
    case AIM_NAME_HUB:
        return find_repository(a, n, member, p);
    case AIM_NAME_BUILTIN:
    case AIM_NAME_PATH:
        break;
    }
    return find_path(a, reg, n, member, p);
}

aim_status aim_place_find(const aim_alloc *a, const aim_registry *reg, const aim_model_name *n,
                          int member, aim_place *p)
{
    *p = (aim_place){.family = -1};
    const aim_status status = find_any(a, reg, n, member, p);
    if (status != AIMNET_OK)
        aim_place_free(p, a);
    return status;
}

static aim_status fetch_any(const aim_fetch *f, const aim_model_name *n, aim_place *p)
{
    if (n->kind == AIM_NAME_REGISTRY)
        return fetch_model(f, n, p);
    if (n->kind != AIM_NAME_HUB) {
        AIM_TRY(find_path(f->alloc, f->reg, n, 0, p));
        return aim_path_exists(p->path.data)
                   ? AIMNET_OK
                   : AIM_FAIL(AIMNET_ERR_FILE,
                              "%s: neither a file, nor a registered model, nor OWNER/NAME",
                              n->text);
    }
    AIM_TRY(only_one(n));
    p->member = n->member >= 0 ? n->member : 0;
    AIM_TRY(aim_hub_folder(f->alloc, n, f->revision, &p->path));
    AIM_TRY(aim_hub_fetch(f, n, p->member, p->path.data));
    return fetch_describer(f, n, p);
}

aim_status aim_place_fetch(const aim_fetch *f, const aim_model_name *n, aim_place *p)
{
    *p = (aim_place){.family = -1};
    const aim_status status = fetch_any(f, n, p);
    if (status != AIMNET_OK)
        aim_place_free(p, f->alloc);
    return status;
}

/* ---------------------------------------------------------------- ensembles */

/* Members of a folder, from ensemble_0 up to the first that is missing. */
static aim_status count_files(const aim_alloc *a, const char *folder, int *count)
{
    aim_string path = {0};
    aim_status status = AIMNET_OK;
    for (*count = 0; status == AIMNET_OK && *count < AIM_MAX_MEMBERS; ++*count) {
        path.size = 0;
        status = aim_string_printf(&path, a, "%s/ensemble_%d.safetensors", folder, *count);
        if (status == AIMNET_OK && !aim_path_exists(path.data))
            break;
    }
    aim_string_free(&path, a);
    if (status == AIMNET_OK && *count == 0)
        return AIM_FAIL(AIMNET_ERR_FILE, "%s: has no ensemble_0.safetensors", folder);
    return status;
}

aim_status aim_count_members(const aim_alloc *a, const aim_registry *reg, const aim_fetch *f,
                             const aim_model_name *n, int *count)
{
    aim_string folder = {0};
    *count = 1;
    if (n->member != AIM_MEMBER_ALL)
        return AIMNET_OK;
    if (n->kind == AIM_NAME_REGISTRY) {
        *count = reg->family[reg->model[n->model].family].n_members;
        return AIMNET_OK;
    }
    aim_status status = n->kind == AIM_NAME_HUB
                            ? aim_hub_folder(a, n, f ? f->revision : NULL, &folder)
                            : aim_string_append(&folder, a, n->text, n->size);
    if (status == AIMNET_OK && n->kind == AIM_NAME_HUB && f) {
        status = aim_hub_fetch(f, n, -1, folder.data);
        if (status == AIMNET_OK)
            status = aim_hub_promised(a, folder.data, count);
    } else if (status == AIMNET_OK) {
        status = count_files(a, folder.data, count);
    }
    aim_string_free(&folder, a);
    return status;
}

/* ---------------------------------------------------------------- families */

static aim_status rename_family(aim_model *m, const char *name)
{
    char *copy;
    AIM_TRY(aim_strdup(&m->alloc, name, &copy));
    aim_free(&m->alloc, m->family);
    m->family = copy;
    return AIMNET_OK;
}

aim_status aim_family_apply(const aim_registry *reg, int family, aim_model *m)
{
    if (family >= 0 && m->family[0] && strcmp(reg->family[family].name, m->family) != 0)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "%s: the file says that it belongs to the family %s, the registry lists it "
                        "under %s: their energies are not comparable",
                        m->name, m->family, reg->family[family].name);
    const int i = family >= 0 ? family : aim_registry_find_family(reg, m->family);
    if (i < 0)
        return AIMNET_OK;
    const aim_registry_family *f = &reg->family[i];
    if (!m->family[0])
        AIM_TRY(rename_family(m, f->name));
    if (f->supports_charged >= 0 && m->supports_charged >= 0 &&
        f->supports_charged != m->supports_charged)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "%s: the file says that it is %sfor charged systems, which contradicts its "
                        "family %s",
                        m->name, m->supports_charged ? "" : "not ", f->name);
    if (f->supports_charged >= 0)
        m->supports_charged = f->supports_charged;
    if (f->has_d3 && !m->has_embedded_d3ts) {
        m->needs_dispersion = 1;
        if (!m->has_d3_params) {
            m->has_d3_params = 1;
            m->d3_s6 = f->d3[0];
            m->d3_s8 = f->d3[1];
            m->d3_a1 = f->d3[2];
            m->d3_a2 = f->d3[3];
        }
    }
    return AIMNET_OK;
}
