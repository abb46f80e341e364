/* SPDX-License-Identifier: MIT */
/* hub.c - config.json and ensemble_<K>.safetensors of a repository, by the address
 *     https://huggingface.co/<owner>/<name>/resolve/<revision>/<file>
 * (HF_ENDPOINT replaces the host, HF_TOKEN opens private repositories, as in the hub's own client).
 *
 * No digest is known beforehand. The hub names the SHA-256 of a large file in its answer; that is
 * compared, and the digest is pinned beside the file, so that a later change of the cache is found.
 * Owner, name and revision were checked when the name was read: letters, digits, '.', '_', '-'. */
#include "fetch/hub.h"

#include <stdlib.h>
#include <string.h>

#include "io/bytes.h"
#include "io/json_tree.h"
#include "model/fallback.h"

static const char DEFAULT_ENDPOINT[] = "https://huggingface.co";
enum { MAX_CONFIG = 4 << 20 };

static void revision_of(const aim_model_name *n, const char *revision, const char **text, int *size)
{
    *text = n->revision ? n->revision : revision ? revision : "main";
    *size = n->revision ? (int)n->revision_size : (int)strlen(*text);
}

/* Slashes in owner/name and in revisions become "--". */
static aim_status append_flat(aim_string *s, const aim_alloc *a, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        AIM_TRY(text[i] == '/' ? aim_string_append(s, a, "--", 2)
                               : aim_string_append(s, a, text + i, 1));
    return AIMNET_OK;
}

aim_status aim_hub_folder(const aim_alloc *a, const aim_model_name *n, const char *revision,
                          aim_string *folder)
{
    const char *text;
    int size;
    revision_of(n, revision, &text, &size);
    AIM_TRY(aim_cache_dir(a, folder));
    AIM_TRY(aim_string_printf(folder, a, "/huggingface/"));
    AIM_TRY(append_flat(folder, a, n->text, n->size));
    AIM_TRY(aim_string_append(folder, a, "@", 1));
    return append_flat(folder, a, text, (size_t)size);
}

aim_status aim_hub_url(const aim_alloc *a, const aim_model_name *n, const char *revision,
                       const char *file, aim_string *url)
{
    const char *endpoint = getenv("HF_ENDPOINT"), *text;
    int size;
    revision_of(n, revision, &text, &size);
    if (!endpoint || !endpoint[0])
        endpoint = DEFAULT_ENDPOINT;
    if (strncmp(endpoint, "https://", 8) != 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "HF_ENDPOINT is '%s': it must begin with https://",
                        endpoint);
    const size_t end = strlen(endpoint);
    return aim_string_printf(url, a, "%.*s/%.*s/resolve/%.*s/%s",
                             (int)(end - (endpoint[end - 1] == '/')), endpoint, (int)n->size,
                             n->text, size, text, file);
}

/* One file into folder, unless it is there and as it was pinned. */
static aim_status fetch_file(const aim_fetch *f, const aim_model_name *n, const char *folder,
                             const char *file, int64_t most, aim_string *path, aim_string *url)
{
    char pin[65], seen[65];
    path->size = url->size = 0;
    AIM_TRY(aim_string_printf(path, f->alloc, "%s/%s", folder, file));
    AIM_TRY(aim_hub_url(f->alloc, n, f->revision, file, url));
    AIM_TRY(aim_pin_read(f->alloc, path->data, pin));
    if (pin[0] && aim_path_exists(path->data)) {
        AIM_TRY(aim_file_sha256(path->data, seen));
        if (strcmp(seen, pin) == 0)
            return AIMNET_OK;
    }
    aim_download d = {.url = url->data,
                      .target = path->data,
                      .what = file,
                      .sha256 = "",
                      .token = f->token,
                      .max_bytes = most,
                      .retries = f->retries,
                      .wait_seconds = f->wait_seconds,
                      .stall_seconds = f->stall_seconds,
                      .progress = f->progress,
                      .user = f->user};
    AIM_TRY(aim_download_run(f->alloc, &d));
    return aim_pin_write(f->alloc, path->data, d.digest);
}

aim_status aim_hub_fetch(const aim_fetch *f, const aim_model_name *n, int member,
                         const char *folder)
{
    aim_string path = {0}, url = {0}, file = {0};
    aim_status status = aim_cache_make(folder);
    if (status == AIMNET_OK)
        status = fetch_file(f, n, folder, "config.json", MAX_CONFIG, &path, &url);
    if (status == AIMNET_OK && member >= 0)
        status = aim_string_printf(&file, f->alloc, "ensemble_%d.safetensors", member);
    if (status == AIMNET_OK && member >= 0)
        status = fetch_file(f, n, folder, file.data, f->max_bytes, &path, &url);
    aim_string_free(&file, f->alloc);
    aim_string_free(&url, f->alloc);
    aim_string_free(&path, f->alloc);
    return status;
}

static aim_status read_promised(const aim_alloc *a, aim_slice text, const char *path, int *count)
{
    aim_pickle tree;
    aim_string bytes = {0};
    AIM_TRY(aim_json_tree(a, text, path, &tree, &bytes));
    const aim_ref size = aim_pickle_get(&tree, tree.root, "ensemble_size");
    const aim_ref names = aim_pickle_get(&tree, tree.root, "member_names");
    int64_t n = 1;
    if (size != AIM_NO_REF && aim_pickle_kind_of(&tree, size) == AIM_PICKLE_INT)
        n = aim_pickle_int(&tree, size);
    else if (names != AIM_NO_REF && aim_pickle_kind_of(&tree, names) == AIM_PICKLE_LIST)
        n = (int64_t)aim_pickle_count(&tree, names);
    aim_pickle_free(&tree, a);
    aim_string_free(&bytes, a);
    if (n < 1 || n > AIM_MAX_MEMBERS)
        return AIM_FAIL(AIMNET_ERR_MODEL, "%s: an ensemble of %lld members; 1 to %d are read", path,
                        (long long)n, AIM_MAX_MEMBERS);
    *count = (int)n;
    return AIMNET_OK;
}

aim_status aim_hub_promised(const aim_alloc *a, const char *folder, int *count)
{
    aim_string path = {0};
    unsigned char *bytes = NULL;
    size_t size = 0;
    aim_status status = aim_string_printf(&path, a, "%s/config.json", folder);
    if (status == AIMNET_OK)
        status = aim_bytes_read(a, path.data, &bytes, &size);
    if (status == AIMNET_OK)
        status = read_promised(a, (aim_slice){(const char *)bytes, size}, path.data, count);
    aim_free(a, bytes);
    aim_string_free(&path, a);
    return status;
}

/* ---------------------------------------------------------------- who describes a member */

/* Repositories have "aimnet2-" in front of the family's name. */
static int family_of(const aim_registry *reg, aim_slice name)
{
    static const char prefix[] = "aimnet2-";
    const aim_slice bare =
        aim_slice_starts(name, prefix) ? aim_slice_from(name, sizeof prefix - 1) : name;
    for (int i = 0; i < reg->n_families; i++)
        if (aim_slice_is(name, reg->family[i].name) || aim_slice_is(bare, reg->family[i].name))
            return i;
    return -1;
}

static aim_status find_by_family(const aim_registry *reg, aim_slice family, const char *name,
                                 int member, int *model)
{
    char shown[AIM_SHOWN_SIZE];
    const int found = family_of(reg, family);
    for (int i = 0; i < reg->n_models && found >= 0; i++)
        if (reg->model[i].family == found && reg->model[i].member == member)
            *model = i;
    if (*model >= 0)
        return AIMNET_OK;
    if (found >= 0)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "%s: the family %s has the members 0 to %d in the registry, not %d", name,
                        reg->family[found].name, reg->family[found].n_members - 1, member);
    return AIM_FAIL(AIMNET_ERR_MODEL,
                    "%s has no 'model_yaml' and no 'member_names', and '%s' is no family of the "
                    "registry: it needs a complete config.json",
                    name, aim_shown(shown, family));
}

static aim_status find_by_names(const aim_registry *reg, const aim_pickle *tree, aim_ref names,
                                const char *name, int member, int *model)
{
    char shown[AIM_SHOWN_SIZE];
    const size_t n =
        aim_pickle_kind_of(tree, names) == AIM_PICKLE_LIST ? aim_pickle_count(tree, names) : 0;
    size_t texts = 0;
    for (size_t i = 0; i < n && i < AIM_MAX_MEMBERS; i++)
        texts += aim_pickle_kind_of(tree, aim_pickle_item(tree, names, i)) == AIM_PICKLE_STRING;
    if (n == 0 || texts != n)
        return AIM_FAIL(AIMNET_ERR_MODEL, "%s: 'member_names' must be a list of 1 to %d names",
                        name, AIM_MAX_MEMBERS);
    if ((size_t)member >= n)
        return AIM_FAIL(AIMNET_ERR_MODEL, "%s: 'member_names' has %zu names; there is no member %d",
                        name, n, member);
    const aim_slice wanted = aim_pickle_text(tree, aim_pickle_item(tree, names, (size_t)member));
    *model = aim_registry_find(reg, wanted.text, wanted.size);
    if (*model >= 0)
        return AIMNET_OK;
    return AIM_FAIL(
        AIMNET_ERR_MODEL,
        "%s has no 'model_yaml', and its member '%s' is not in the registry: it needs a "
        "complete config.json",
        name, aim_shown(shown, wanted));
}

static aim_status find_describer(const aim_registry *reg, const aim_pickle *tree, const char *name,
                                 aim_slice repository, int member, int *model)
{
    if (!aim_describes_family(tree))
        return AIMNET_OK;
    const aim_ref names = aim_pickle_get(tree, tree->root, "member_names");
    if (names != AIM_NO_REF)
        return find_by_names(reg, tree, names, name, member, model);
    const aim_ref family = aim_pickle_get(tree, tree->root, "family_name");
    if (family != AIM_NO_REF && aim_pickle_kind_of(tree, family) == AIM_PICKLE_STRING &&
        aim_pickle_text(tree, family).size > 0)
        repository = aim_pickle_text(tree, family);
    return find_by_family(reg, repository, name, member, model);
}

aim_status aim_hub_describer(const aim_alloc *a, const aim_registry *reg, aim_slice text,
                             const char *name, aim_slice repository, int member, int *model)
{
    aim_pickle tree;
    aim_string bytes = {0};
    *model = -1;
    AIM_TRY(aim_json_tree(a, text, name, &tree, &bytes));
    const aim_status status = find_describer(reg, &tree, name, repository, member, model);
    aim_pickle_free(&tree, a);
    aim_string_free(&bytes, a);
    return status;
}
