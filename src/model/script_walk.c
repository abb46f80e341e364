/* SPDX-License-Identifier: MIT */
/* script_walk.c - the tree of objects in a TorchScript archive: by name and type, nothing taken for
 * granted.
 *
 * Objects may be shared or contain themselves in a hostile file; readers descend by the names of a
 * known tree, so the depth is theirs. */
#include "model/script_walk.h"

#include <stdio.h>
#include <string.h>

aim_status aim_script_refuse(const aim_script_object *o, const char *what)
{
    char shown[AIM_SHOWN_SIZE];
    const char *path = o->path[0] ? o->path : "the model";
    return AIM_FAIL(
        AIMNET_ERR_MODEL,
        "a TorchScript archive that is not an AIMNet2 model of aimnet 0.0.1: %s: %s (it "
        "is read as data; code in it is never run)",
        aim_shown(shown, (aim_slice){path, strlen(path)}), what);
}

/* ---------------------------------------------------------------- objects */

/* "__torch__.torch.nn.modules.linear.___torch_mangle_3\nLinear" -> "torch.nn.modules.linear.Linear"
 */
static int read_class(aim_slice global, char out[AIM_SCRIPT_CLASS])
{
    static const char prefix[] = "__torch__.", mangle[] = "___torch_mangle_";
    size_t n = 0;
    for (size_t at = sizeof prefix - 1; at < global.size;) {
        size_t end = at;
        while (end < global.size && global.text[end] != '.' && global.text[end] != '\n')
            end++;
        if (!aim_slice_starts(aim_slice_from(global, at), mangle)) {
            if (n + (end - at) + 2 > AIM_SCRIPT_CLASS)
                return 0;
            if (n > 0)
                out[n++] = '.';
            memcpy(out + n, global.text + at, end - at);
            n += end - at;
        }
        at = end + 1;
    }
    out[n] = '\0';
    return n > 0;
}

static int is_own(aim_slice name)
{
    return aim_slice_is(name, "training") || aim_slice_is(name, "_is_full_backward_hook");
}

int aim_script_next(const aim_script_walk *w, aim_items *it, char name[AIM_SCRIPT_CLASS])
{
    while (it->value != AIM_NO_REF) {
        const aim_slice key = aim_pickle_text(w->pickle, it->value);
        aim_pickle_next(w->pickle, it);
        aim_pickle_next(w->pickle, it);
        if (is_own(key))
            continue;
        snprintf(name, AIM_SCRIPT_CLASS, "%.*s", (int)(key.size < 90 ? key.size : 90), key.text);
        return 1;
    }
    return 0;
}

/* Position of a word in a list separated by blanks, -1 if it is not there. */
static int find_word(const char *list, aim_slice word)
{
    for (int i = 0;; i++) {
        const size_t n = strcspn(list, " ?");
        if (n == word.size && memcmp(list, word.text, n) == 0)
            return i;
        list += strcspn(list, " ");
        if (*list++ == '\0')
            return -1;
    }
}

aim_status aim_script_check(const aim_script_walk *w, const aim_script_object *o,
                            const char *attributes)
{
    const aim_pickle *p = w->pickle;
    unsigned seen = 0, wanted = 0;
    char what[AIM_SHOWN_SIZE + 64], shown[AIM_SHOWN_SIZE];
    for (aim_items it = aim_pickle_items(p, o->attributes); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        const aim_slice key = aim_pickle_text(p, it.value);
        const int k = find_word(attributes, key);
        aim_pickle_next(p, &it);
        if (is_own(key))
            continue;
        snprintf(what, sizeof what, "attribute '%s' is unknown or occurs twice",
                 aim_shown(shown, key));
        if (k < 0 || (seen & 1u << k) != 0)
            return aim_script_refuse(o, what);
        seen |= 1u << k;
    }
    int k = 0;
    for (const char *c = attributes; *c; k++) {
        const size_t n = strcspn(c, " ");
        if (c[n - 1] != '?')
            wanted |= 1u << k;
        c += n + (c[n] == ' ');
    }
    return (seen & wanted) == wanted ? AIMNET_OK : aim_script_refuse(o, "an attribute is missing");
}

static aim_status open_object(const aim_script_walk *w, aim_ref value, aim_script_object *o)
{
    const aim_pickle *p = w->pickle;
    if (value == AIM_NO_REF || aim_pickle_kind_of(p, value) != AIM_PICKLE_OBJECT ||
        aim_pickle_count(p, value) != 2)
        return aim_script_refuse(o, "no object with attributes");
    o->attributes = aim_pickle_item(p, value, 1);
    if (!read_class(aim_pickle_text(p, aim_pickle_item(p, value, 0)), o->class_name))
        return aim_script_refuse(o, "the name of its class is too long");
    return AIMNET_OK;
}

aim_status aim_script_child(const aim_script_walk *w, const aim_script_object *up, const char *name,
                            const char *class_name, const char *attributes,
                            aim_script_object *child)
{
    char what[AIM_SCRIPT_CLASS + AIM_SHOWN_SIZE + 64], shown[AIM_SHOWN_SIZE];
    aim_script_object o = {.attributes = AIM_NO_REF};
    if (!up) {
        AIM_TRY(open_object(w, w->pickle->root, &o));
    } else {
        snprintf(o.path, sizeof o.path, "%.60s%s%.90s", up->path, up->path[0] ? "." : "", name);
        AIM_TRY(open_object(w, aim_pickle_get(w->pickle, up->attributes, name), &o));
    }
    snprintf(what, sizeof what, "its class is '%s' instead of '%s'",
             aim_shown(shown, (aim_slice){o.class_name, strlen(o.class_name)}),
             class_name ? class_name : "");
    *child = o;
    if (class_name && strcmp(o.class_name, class_name) != 0)
        return aim_script_refuse(child, what);
    return attributes ? aim_script_check(w, child, attributes) : AIMNET_OK;
}

/* ---------------------------------------------------------------- attributes */

static aim_status find(const aim_script_walk *w, const aim_script_object *o, const char *name,
                       aim_pickle_kind kind, aim_ref *value)
{
    char what[AIM_SCRIPT_CLASS + 64];
    *value = aim_pickle_get(w->pickle, o->attributes, name);
    if (*value != AIM_NO_REF && aim_pickle_kind_of(w->pickle, *value) == kind)
        return AIMNET_OK;
    snprintf(what, sizeof what, "attribute '%s' is not %s", name, aim_pickle_kind_name(kind));
    return aim_script_refuse(o, what);
}

aim_status aim_script_int(const aim_script_walk *w, const aim_script_object *o, const char *name,
                          int64_t *value)
{
    aim_ref ref = AIM_NO_REF;
    AIM_TRY(find(w, o, name, AIM_PICKLE_INT, &ref));
    *value = aim_pickle_int(w->pickle, ref);
    return AIMNET_OK;
}

aim_status aim_script_bool(const aim_script_walk *w, const aim_script_object *o, const char *name,
                           int *value)
{
    aim_ref ref = AIM_NO_REF;
    AIM_TRY(find(w, o, name, AIM_PICKLE_BOOL, &ref));
    *value = aim_pickle_int(w->pickle, ref) != 0;
    return AIMNET_OK;
}

aim_status aim_script_float(const aim_script_walk *w, const aim_script_object *o, const char *name,
                            double *value)
{
    aim_ref ref = AIM_NO_REF;
    AIM_TRY(find(w, o, name, AIM_PICKLE_FLOAT, &ref));
    *value = aim_pickle_float(w->pickle, ref);
    return AIMNET_OK;
}

static int is_word(aim_slice s)
{
    for (size_t i = 0; i < s.size; i++)
        if (!((s.text[i] >= 'a' && s.text[i] <= 'z') || (s.text[i] >= 'A' && s.text[i] <= 'Z') ||
              (s.text[i] >= '0' && s.text[i] <= '9') || s.text[i] == '_'))
            return 0;
    return s.size > 0 && s.size < AIM_SCRIPT_CLASS;
}

aim_status aim_script_word(const aim_script_walk *w, const aim_script_object *o, const char *name,
                           char value[AIM_SCRIPT_CLASS])
{
    aim_ref ref = AIM_NO_REF;
    AIM_TRY(find(w, o, name, AIM_PICKLE_STRING, &ref));
    const aim_slice text = aim_pickle_text(w->pickle, ref);
    if (!is_word(text))
        return aim_script_refuse(o, "a key has other characters than letters, digits and '_'");
    memcpy(value, text.text, text.size);
    value[text.size] = '\0';
    return AIMNET_OK;
}

aim_status aim_script_tensor(const aim_script_walk *w, const aim_script_object *o, const char *name,
                             aim_tensor *tensor)
{
    aim_script *s = w->out;
    aim_ref ref = AIM_NO_REF;
    AIM_TRY(find(w, o, name, AIM_PICKLE_TENSOR, &ref));
    if (s->n_tensors == s->capacity) {
        const size_t grown = s->capacity ? 2 * s->capacity : 64;
        AIM_TRY(aim_grow(w->alloc, s->capacity, grown, sizeof *s->tensor, "list of tensors",
                         &s->tensor));
        s->capacity = grown;
    }
    aim_tensor t = {.name.size = strlen(o->path) + 1 + strlen(name)};
    AIM_TRY(aim_string_printf(&s->name_pool, w->alloc, "%s.%s", o->path, name));
    const aim_status status = aim_torch_tensor(w->archive, ref, &t);
    if (status != AIMNET_OK)
        return aim_fail_prefix(status, "tensor '%s.%s'", o->path, name);
    s->tensor[s->n_tensors++] = t; /* its name is set when the pool does not move any more */
    if (tensor)
        *tensor = t;
    return AIMNET_OK;
}

aim_status aim_script_scalar(const aim_script_walk *w, const aim_script_object *o, const char *name,
                             double *value)
{
    aim_tensor t;
    AIM_TRY(aim_script_tensor(w, o, name, &t));
    if (t.count != 1)
        return aim_script_refuse(o, "a tensor that must hold one number holds another count");
    return aim_tensor_to_double(&t, value);
}

/* ---------------------------------------------------------------- networks */

static aim_status read_linear(const aim_script_walk *w, const aim_script_object *up,
                              const char *name, aim_script_mlp *mlp)
{
    aim_script_object o;
    aim_tensor weight;
    AIM_TRY(aim_script_child(w, up, name, "torch.nn.modules.linear.Linear", "weight bias", &o));
    AIM_TRY(aim_script_tensor(w, &o, "weight", &weight));
    const aim_ref bias = aim_pickle_get(w->pickle, o.attributes, "bias");
    const int has_bias = aim_pickle_kind_of(w->pickle, bias) != AIM_PICKLE_NONE;
    if (has_bias)
        AIM_TRY(aim_script_tensor(w, &o, "bias", NULL));
    if (weight.ndim != 2 || mlp->n_layers == AIM_SCRIPT_LAYERS ||
        (mlp->n_layers > 0 && has_bias != mlp->bias))
        return aim_script_refuse(&o, "layers of different kinds, or too many");
    if (mlp->n_layers == 0)
        mlp->n_in = weight.shape[1];
    mlp->bias = has_bias;
    mlp->width[mlp->n_layers++] = weight.shape[0];
    return AIMNET_OK;
}

aim_status aim_script_read_mlp(const aim_script_walk *w, const aim_script_object *up,
                               const char *name, aim_script_mlp *mlp)
{
    aim_script_object o, gelu;
    char child[AIM_SCRIPT_CLASS], expected[16];
    int i = 0;
    *mlp = (aim_script_mlp){0};
    AIM_TRY(aim_script_child(w, up, name, "torch.nn.modules.container.Sequential", NULL, &o));
    for (aim_items it = aim_pickle_items(w->pickle, o.attributes); aim_script_next(w, &it, child);
         i++) {
        snprintf(expected, sizeof expected, "%d", i);
        if (strcmp(child, expected) != 0)
            return aim_script_refuse(&o, "layers are not numbered from 0");
        if (i % 2 == 0)
            AIM_TRY(read_linear(w, &o, child, mlp));
        else
            AIM_TRY(aim_script_child(w, &o, child, "torch.nn.modules.activation.GELU", "?", &gelu));
    }
    if (i == 0)
        return aim_script_refuse(&o, "it has no layers");
    mlp->last_linear = i % 2 == 1;
    return AIMNET_OK;
}
