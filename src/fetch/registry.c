/* SPDX-License-Identifier: MIT */
/* registry.c - reads the registry by the YAML reader of model descriptions, whose limits (no tags,
 * no duplicate keys, bounded nodes and depth) hold here, too.
 *
 * The family of a model is what its entry says, never guessed from its name; members count in the
 * order of the file. An alias must not hide a model and must lead to one. */
#include "fetch/registry.h"

#include <math.h>
#include <string.h>

extern const char aim_registry_yaml[], aim_registry_yaml_end[];

enum { MAX_FILE = 120, MAX_URL = 500, DIGITS = 64 };

static int is_plain(const char *text, const char *more)
{
    for (; *text; text++) {
        const char c = *text;
        const int letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && !strchr(more, c))
            return 0;
    }
    return 1;
}

int aim_is_digest(const char *text)
{
    return strlen(text) == DIGITS && strspn(text, "0123456789abcdef") == DIGITS;
}

static aim_status wrong(const char *where, const char *what)
{
    return AIM_FAIL(AIMNET_ERR_MODEL, "registry: %s: %s", where, what);
}

/* The text of map[key]; "" where it is missing and need not be there. */
static aim_status text_of(const aim_yaml *y, int map, const char *where, const char *key,
                          int needed, const char **text)
{
    const int node = aim_yaml_get(y, map, key);
    *text = "";
    if (node == AIM_YAML_NONE && !needed)
        return AIMNET_OK;
    if (node == AIM_YAML_NONE || aim_yaml_kind_of(y, node) != AIM_YAML_TEXT)
        return AIM_FAIL(AIMNET_ERR_MODEL, "registry: %s: '%s' must be a text", where, key);
    *text = aim_yaml_text(y, node);
    return AIMNET_OK;
}

/* The mapping root[key] and its number of entries, at most `most`. */
static aim_status section(const aim_yaml *y, const char *key, int most, int *map, int *count)
{
    if (aim_yaml_kind_of(y, y->root) != AIM_YAML_MAP)
        return wrong("the document", "must be a mapping");
    *map = aim_yaml_get(y, y->root, key);
    if (*map == AIM_YAML_NONE || aim_yaml_kind_of(y, *map) != AIM_YAML_MAP)
        return wrong(key, "must be a mapping");
    *count = aim_yaml_count(y, *map);
    return *count <= most ? AIMNET_OK : wrong(key, "has too many entries");
}

/* ---------------------------------------------------------------- families */

static aim_status read_d3(const aim_yaml *y, int map, aim_registry_family *f)
{
    static const char *const keys[4] = {"s6", "s8", "a1", "a2"};
    const int node = aim_yaml_get(y, map, "posthoc_d3_params");
    if (node == AIM_YAML_NONE)
        return AIMNET_OK;
    if (aim_yaml_kind_of(y, node) != AIM_YAML_MAP)
        return wrong(f->name, "posthoc_d3_params must be a mapping");
    for (int i = 0; i < 4; i++) {
        const int value = aim_yaml_get(y, node, keys[i]);
        const aim_yaml_kind kind =
            value == AIM_YAML_NONE ? AIM_YAML_NULL : aim_yaml_kind_of(y, value);
        if (kind != AIM_YAML_INT && kind != AIM_YAML_FLOAT)
            return wrong(f->name, "posthoc_d3_params needs the numbers s6, s8, a1 and a2");
        f->d3[i] = aim_yaml_float(y, value);
        if (!isfinite(f->d3[i]) || f->d3[i] < 0.0)
            return wrong(f->name, "posthoc_d3_params must be finite and not negative");
    }
    f->has_d3 = 1;
    return AIMNET_OK;
}

static aim_status read_family(const aim_yaml *y, int key, int map, aim_registry_family *f)
{
    *f = (aim_registry_family){.name = aim_yaml_text(y, key), .supports_charged = -1};
    if (aim_yaml_kind_of(y, map) != AIM_YAML_MAP)
        return wrong(f->name, "a family must be a mapping");
    AIM_TRY(text_of(y, map, f->name, "about", 1, &f->about));
    const int charged = aim_yaml_get(y, map, "supports_charged_systems");
    if (charged != AIM_YAML_NONE && aim_yaml_kind_of(y, charged) != AIM_YAML_BOOL)
        return wrong(f->name, "supports_charged_systems must be true or false");
    if (charged != AIM_YAML_NONE)
        f->supports_charged = (int)aim_yaml_int(y, charged);
    return read_d3(y, map, f);
}

static aim_status read_families(const aim_alloc *a, aim_registry *reg)
{
    const aim_yaml *y = &reg->yaml;
    int map, n;
    AIM_TRY(section(y, "families", AIM_REGISTRY_FAMILIES, &map, &n));
    AIM_TRY(aim_new0(a, (size_t)n, sizeof *reg->family, "registry", &reg->family));
    for (aim_yaml_iter it = aim_yaml_begin(y, map); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it))
        AIM_TRY(read_family(y, it.key, it.value, &reg->family[reg->n_families++]));
    return AIMNET_OK;
}

int aim_registry_find_family(const aim_registry *reg, const char *name)
{
    for (int i = 0; i < reg->n_families; i++)
        if (strcmp(reg->family[i].name, name) == 0)
            return i;
    return -1;
}

/* ---------------------------------------------------------------- models */

static aim_status check_model(const aim_registry *reg, const aim_registry_model *m)
{
    const size_t file = strlen(m->file), url = strlen(m->url);
    if (m->name[0] == '\0' || !is_plain(m->name, "._-"))
        return wrong(m->name, "a name consists of letters, digits, '.', '_' and '-'");
    if (file == 0 || file > MAX_FILE || m->file[0] == '.' || !is_plain(m->file, "._-"))
        return wrong(m->name, "'file' must be a plain file name");
    if (url > MAX_URL || strncmp(m->url, "https://", 8) != 0 || !is_plain(m->url + 8, "._-/~%") ||
        m->url[8] == '/')
        return wrong(m->name, "'url' must be a plain https address");
    if (m->sha256[0] != '\0' && !aim_is_digest(m->sha256))
        return wrong(m->name, "'sha256' must have 64 lower-case hexadecimal digits");
    for (const aim_registry_model *other = reg->model; other < m; other++)
        if (strcmp(other->file, m->file) == 0)
            return wrong(m->name, "another model has the same 'file'");
    return AIMNET_OK;
}

static aim_status read_model(aim_registry *reg, int key, int map, aim_registry_model *m)
{
    const aim_yaml *y = &reg->yaml;
    const char *family;
    m->name = aim_yaml_text(y, key);
    if (aim_yaml_kind_of(y, map) != AIM_YAML_MAP)
        return wrong(m->name, "a model must be a mapping");
    AIM_TRY(text_of(y, map, m->name, "family", 1, &family));
    AIM_TRY(text_of(y, map, m->name, "file", 1, &m->file));
    AIM_TRY(text_of(y, map, m->name, "url", 1, &m->url));
    AIM_TRY(text_of(y, map, m->name, "sha256", 0, &m->sha256));
    AIM_TRY(check_model(reg, m));
    m->family = aim_registry_find_family(reg, family);
    if (m->family < 0)
        return wrong(m->name, "its family is not listed");
    m->member = reg->family[m->family].n_members++;
    return AIMNET_OK;
}

static aim_status read_models(const aim_alloc *a, aim_registry *reg)
{
    const aim_yaml *y = &reg->yaml;
    int map, n;
    AIM_TRY(section(y, "models", AIM_REGISTRY_MODELS, &map, &n));
    AIM_TRY(aim_new0(a, (size_t)n, sizeof *reg->model, "registry", &reg->model));
    for (aim_yaml_iter it = aim_yaml_begin(y, map); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it)) {
        AIM_TRY(read_model(reg, it.key, it.value, &reg->model[reg->n_models]));
        reg->n_models++;
    }
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- aliases */

static int find_model(const aim_registry *reg, const char *name, size_t size)
{
    for (int i = 0; i < reg->n_models; i++)
        if (strlen(reg->model[i].name) == size && memcmp(reg->model[i].name, name, size) == 0)
            return i;
    return -1;
}

static aim_status read_aliases(const aim_alloc *a, aim_registry *reg)
{
    const aim_yaml *y = &reg->yaml;
    int map, n;
    AIM_TRY(section(y, "aliases", AIM_REGISTRY_ALIASES, &map, &n));
    AIM_TRY(aim_new0(a, (size_t)n, sizeof *reg->alias, "registry", &reg->alias));
    for (aim_yaml_iter it = aim_yaml_begin(y, map); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it)) {
        const char *name = aim_yaml_text(y, it.key), *target;
        if (name[0] == '\0' || !is_plain(name, "._-") || find_model(reg, name, strlen(name)) >= 0)
            return wrong(name, "an alias must be a plain name that no model has");
        if (aim_yaml_kind_of(y, it.value) != AIM_YAML_TEXT)
            return wrong(name, "an alias stands for the name of a model");
        target = aim_yaml_text(y, it.value);
        const int model = find_model(reg, target, strlen(target));
        if (model < 0)
            return wrong(name, "stands for a model that is not listed");
        reg->alias[reg->n_aliases++] = (aim_registry_alias){name, model};
    }
    return AIMNET_OK;
}

int aim_registry_find(const aim_registry *reg, const char *name, size_t size)
{
    for (int i = 0; i < reg->n_aliases; i++)
        if (strlen(reg->alias[i].name) == size && memcmp(reg->alias[i].name, name, size) == 0)
            return reg->alias[i].model;
    return find_model(reg, name, size);
}

int aim_registry_member(const aim_registry *reg, int model, int k)
{
    for (int i = 0; i < reg->n_models; i++)
        if (reg->model[i].family == reg->model[model].family && reg->model[i].member == k)
            return i;
    return -1;
}

/* ---------------------------------------------------------------- the whole */

static aim_status read_all(const aim_alloc *a, const char *text, size_t size, aim_registry *reg)
{
    const aim_status status = aim_yaml_parse(a, text, size, &reg->yaml);
    if (status != AIMNET_OK)
        return aim_fail_prefix(status, "registry");
    AIM_TRY(read_families(a, reg));
    AIM_TRY(read_models(a, reg));
    return read_aliases(a, reg);
}

aim_status aim_registry_parse(const aim_alloc *a, const char *text, size_t size, aim_registry *reg)
{
    *reg = (aim_registry){0};
    const aim_status status = read_all(a, text, size, reg);
    if (status != AIMNET_OK)
        aim_registry_free(reg, a);
    return status;
}

aim_status aim_registry_builtin(const aim_alloc *a, aim_registry *reg)
{
    return aim_registry_parse(a, aim_registry_yaml,
                              (size_t)(aim_registry_yaml_end - aim_registry_yaml), reg);
}

void aim_registry_free(aim_registry *reg, const aim_alloc *a)
{
    aim_free(a, reg->family);
    aim_free(a, reg->model);
    aim_free(a, reg->alias);
    aim_yaml_free(&reg->yaml, a);
    *reg = (aim_registry){0};
}
