/* SPDX-License-Identifier: MIT */
/* json_tree.c - JSON tokens, transcribed to a pickle and read back by pickle.c.
 *
 * The detour buys the limits of that reader (nodes by bytes) and one kind of tree. Keys of all open
 * objects stand on a stack, the innermost object's on top, and a new key is compared with those of
 * its object. */
#include "io/json_tree.h"

#include <string.h>

#include "io/json.h"

enum { MAX_TEXT = 1 << 22, MAX_KEYS = 512 };

typedef struct transcript {
    aim_json json;
    aim_pickle_out out;
    size_t *keys; /* offsets in out.bytes of the keys of open objects, at their lengths */
    size_t n_keys, capacity;
    size_t first[AIM_JSON_DEPTH]; /* the first key of each level's object */
} transcript;

static size_t read_length(const transcript *t, size_t at)
{
    const unsigned char *p = (const unsigned char *)t->out.bytes.data + at;
    return (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
}

/* Puts the current KEY or TEXT; escapes only shorten it, so the length is corrected afterwards. */
static aim_status put_string(transcript *t)
{
    aim_put_slice(&t->out, t->json.value);
    AIM_TRY(t->out.status);
    if (!t->json.escaped)
        return AIMNET_OK;
    aim_string *s = &t->out.bytes;
    char *text = s->data + s->size - t->json.value.size;
    const size_t n = aim_json_unescape(&t->json, text);
    for (int i = 0; i < 4; i++)
        text[i - 4] = (char)(n >> (8 * i) & 0xff);
    s->size -= t->json.value.size - n;
    return AIMNET_OK;
}

static aim_status put_key(transcript *t)
{
    const size_t first = t->first[t->json.depth - 1], at = t->out.bytes.size + 1;
    if (t->n_keys - first == MAX_KEYS)
        return aim_json_wrong(&t->json, "an object has more than 512 keys");
    AIM_TRY(put_string(t));
    const char *const data = t->out.bytes.data;
    const size_t size = read_length(t, at);
    for (size_t i = first; i < t->n_keys; i++)
        if (read_length(t, t->keys[i]) == size &&
            memcmp(data + t->keys[i] + 4, data + at + 4, size) == 0)
            return aim_json_wrong(&t->json, "a key occurs twice in the same object");
    if (t->n_keys == t->capacity) {
        const size_t grown = t->capacity ? 2 * t->capacity : 64;
        AIM_TRY(aim_grow(t->out.alloc, t->capacity, grown, sizeof *t->keys, "JSON keys", &t->keys));
        t->capacity = grown;
    }
    t->keys[t->n_keys++] = at;
    return AIMNET_OK;
}

static aim_status put_token(transcript *t)
{
    aim_pickle_out *out = &t->out;
    switch (t->json.kind) {
    case AIM_JSON_OBJECT:
        t->first[t->json.depth - 1] = t->n_keys;
        aim_put_open(out, AIM_PICKLE_DICT);
        break;
    case AIM_JSON_OBJECT_END:
        t->n_keys = t->first[t->json.depth];
        aim_put_close(out, AIM_PICKLE_DICT);
        break;
    case AIM_JSON_LIST:
        aim_put_open(out, AIM_PICKLE_LIST);
        break;
    case AIM_JSON_LIST_END:
        aim_put_close(out, AIM_PICKLE_LIST);
        break;
    case AIM_JSON_KEY:
        return put_key(t);
    case AIM_JSON_TEXT:
        return put_string(t);
    case AIM_JSON_INT:
        aim_put_int(out, t->json.i);
        break;
    case AIM_JSON_REAL:
        aim_put_float(out, t->json.f);
        break;
    case AIM_JSON_BOOL:
        aim_put_bool(out, t->json.i != 0);
        break;
    default:
        aim_put_none(out);
    }
    return out->status;
}

static aim_status transcribe(transcript *t)
{
    aim_put_begin(&t->out);
    AIM_TRY(aim_json_next(&t->json));
    if (t->json.kind != AIM_JSON_OBJECT)
        return aim_json_wrong(&t->json, "the document must be an object");
    while (t->json.kind != AIM_JSON_END) {
        AIM_TRY(put_token(t));
        AIM_TRY(aim_json_next(&t->json));
    }
    return aim_put_end(&t->out);
}

aim_status aim_json_tree(const aim_alloc *a, aim_slice text, const char *name, aim_pickle *tree,
                         aim_string *bytes)
{
    transcript t = {.json = aim_json_of(text, name), .out.alloc = a};
    *tree = (aim_pickle){.root = AIM_NO_REF};
    *bytes = (aim_string){0};
    if (text.size > MAX_TEXT)
        return AIM_FAIL(AIMNET_ERR_FORMAT, "%s has %zu bytes; no model needs more than %d", name,
                        text.size, MAX_TEXT);
    aim_status status = transcribe(&t);
    aim_free(a, t.keys);
    if (status == AIMNET_OK)
        status =
            aim_pickle_parse(a, (const unsigned char *)t.out.bytes.data, t.out.bytes.size, tree);
    if (status == AIMNET_OK)
        *bytes = t.out.bytes;
    else
        aim_string_free(&t.out.bytes, a);
    return status;
}
