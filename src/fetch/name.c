/* SPDX-License-Identifier: MIT */
/* name.c - the meaning of a model's name, in the order of the reference: explicit paths, registry,
 * existing files, repositories.
 *
 * Names of the registry come before files of the same name, so that a script means the same in
 * every folder. "models/x.pt" has the form of a repository, too: words that end like a model file
 * are paths, whether or not the file exists, so that a typing error is not looked up elsewhere. */
#include "fetch/name.h"

#include <string.h>

#include "base/text.h"
#include "io/bytes.h"

enum { MAX_PATH = 4096, MAX_PART = 96, MAX_DISTANCE = 3 };

static int is_explicit(const char *text)
{
    return text[0] == '/' || strncmp(text, "./", 2) == 0 || strncmp(text, "../", 3) == 0 ||
           strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
}

/* Splits off ":all" or ":K". Returns the size of what stands in front. */
static size_t split_member(const char *text, int *member)
{
    const char *colon = strrchr(text, ':');
    int64_t k;
    *member = AIM_MEMBER_NONE;
    if (!colon || colon == text)
        return strlen(text);
    if (strcmp(colon + 1, "all") == 0)
        *member = AIM_MEMBER_ALL;
    else if (aim_parse_int64(colon + 1, strlen(colon + 1), &k) && colon[1] >= '0' &&
             colon[1] <= '9' && k < AIM_MAX_MEMBERS)
        *member = (int)k;
    else
        return strlen(text);
    return (size_t)(colon - text);
}

/* Letters, digits, '.', '_', '-', not beginning with a dot; returns how many. */
static size_t part(const char *text, size_t size)
{
    size_t n = 0;
    while (n < size && ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= 'A' && text[n] <= 'Z') ||
                        (text[n] >= '0' && text[n] <= '9') || text[n] == '_' || text[n] == '-' ||
                        (text[n] == '.' && n > 0)))
        n++;
    return n <= MAX_PART ? n : 0;
}

static int ends_like_a_file(const char *text, size_t size)
{
    static const char *const endings[] = {".pt", ".pth", ".jpt", ".safetensors", ".ckpt", ".json"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        if (size > n && memcmp(text + size - n, endings[i], n) == 0)
            return 1;
    }
    return 0;
}

/* owner/name[@revision], the revision of parts between slashes */
static int parse_hub(aim_model_name *n, size_t size)
{
    const char *text = n->text;
    const size_t owner = part(text, size);
    if (owner == 0 || owner == size || text[owner] != '/' || ends_like_a_file(text, size))
        return 0;
    const size_t name = part(text + owner + 1, size - owner - 1);
    size_t at = owner + 1 + name;
    if (name == 0)
        return 0;
    n->size = at;
    if (at == size)
        return 1;
    if (text[at] != '@')
        return 0;
    n->revision = text + at + 1;
    n->revision_size = size - at - 1;
    while (at < size) { /* at '@' or '/' */
        const size_t more = part(text + at + 1, size - at - 1);
        if (more == 0)
            return 0;
        at += 1 + more;
        if (at < size && text[at] != '/')
            return 0;
    }
    return n->revision_size <= MAX_PART;
}

static int exists(const char *text, size_t size)
{
    char path[MAX_PATH];
    if (size >= sizeof path)
        return 0;
    memcpy(path, text, size);
    path[size] = '\0';
    return aim_path_exists(path);
}

static aim_model_name path_name(const char *text)
{
    aim_model_name n = {.kind = AIM_NAME_PATH, .text = text, .size = strlen(text)};
    n.member = AIM_MEMBER_NONE;
    return n;
}

aim_model_name aim_model_name_of(const aim_registry *reg, const char *text)
{
    int member;
    const size_t size = split_member(text, &member);
    aim_model_name n = {.text = text, .size = size, .member = member, .model = -1};
    const aim_model_name split_path = {
        .kind = AIM_NAME_PATH, .text = text, .size = size, .member = member, .model = -1};
    if (strcmp(text, "default") == 0)
        return n; /* AIM_NAME_BUILTIN */
    if (is_explicit(text))
        return exists(text, size) && !aim_path_exists(text) ? split_path : path_name(text);
    n.kind = AIM_NAME_REGISTRY;
    n.model = aim_registry_find(reg, text, size);
    if (n.model >= 0)
        return n;
    if (aim_path_exists(text))
        return path_name(text);
    if (exists(text, size))
        return split_path;
    n.kind = AIM_NAME_HUB;
    return parse_hub(&n, size) ? n : path_name(text);
}

/* ---------------------------------------------------------------- suggestions */

/* Edit distance, at most MAX_PART characters each. */
static int distance(const char *a, const char *b)
{
    int row[MAX_PART + 1];
    const int n = (int)strlen(a), m = (int)strlen(b);
    if (n > MAX_PART || m > MAX_PART)
        return MAX_PART;
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            const int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            if (change < row[j])
                row[j] = change;
        }
    }
    return row[m];
}

static void consider(const char *text, const char *name, int *best, const char **found)
{
    const int d = distance(text, name);
    if (d < *best) {
        *best = d;
        *found = name;
    }
}

const char *aim_name_suggestion(const aim_registry *reg, const char *text)
{
    const char *found = NULL;
    int best = MAX_DISTANCE + 1;
    for (int i = 0; i < reg->n_aliases; i++)
        consider(text, reg->alias[i].name, &best, &found);
    for (int i = 0; i < reg->n_models; i++)
        consider(text, reg->model[i].name, &best, &found);
    return found;
}
