/* SPDX-License-Identifier: MIT */
/* fallback.c - as the reference's registry fallback (calculators/hf_hub.py): the first uploads to
 * Hugging Face have a config.json of the family alone, without model_yaml and other fields of a
 * member. Such a file may hold what finds the member (routing) and metadata that equal the member's;
 * everything else is refused, so that nobody believes in a setting that has no effect. */
#include "model/fallback.h"

#include <string.h>

#include "model/build.h"

int aim_describes_family(const aim_pickle *config)
{
    const aim_ref yaml = aim_pickle_get(config, config->root, "model_yaml");
    return yaml == AIM_NO_REF || aim_pickle_kind_of(config, yaml) == AIM_PICKLE_NONE;
}

static double number(const aim_pickle *p, aim_ref value)
{
    return aim_pickle_kind_of(p, value) == AIM_PICKLE_FLOAT ? aim_pickle_float(p, value)
                                                            : (double)aim_pickle_int(p, value);
}

static int is_number(aim_pickle_kind kind)
{
    return kind == AIM_PICKLE_BOOL || kind == AIM_PICKLE_INT || kind == AIM_PICKLE_FLOAT;
}

/* A value of config.json, which has at most 32 levels, and one of the pickle. */
static int same(const aim_pickle *p, aim_ref x, const aim_pickle *q, aim_ref y)
{
    const aim_pickle_kind kind = aim_pickle_kind_of(p, x), other = aim_pickle_kind_of(q, y);
    if (is_number(kind) && is_number(other))
        return number(p, x) == number(q, y);
    if (kind != other)
        return 0;
    if (kind == AIM_PICKLE_STRING) {
        const aim_slice s = aim_pickle_text(p, x), t = aim_pickle_text(q, y);
        return s.size == t.size && memcmp(s.text, t.text, s.size) == 0;
    }
    if (kind == AIM_PICKLE_NONE)
        return 1;
    if (aim_pickle_count(p, x) != aim_pickle_count(q, y))
        return 0;
    aim_items i = aim_pickle_items(p, x), k = aim_pickle_items(q, y);
    for (; kind == AIM_PICKLE_LIST && i.value != AIM_NO_REF;
         aim_pickle_next(p, &i), aim_pickle_next(q, &k))
        if (!same(p, i.value, q, k.value))
            return 0;
    char key[64];
    for (; kind == AIM_PICKLE_DICT && i.value != AIM_NO_REF; aim_pickle_next(p, &i)) {
        const aim_slice name = aim_pickle_text(p, i.value);
        if (name.size >= sizeof key)
            return 0;
        memcpy(key, name.text, name.size);
        key[name.size] = '\0';
        const aim_ref value = aim_pickle_get(q, y, key);
        aim_pickle_next(p, &i);
        if (value == AIM_NO_REF || !same(p, i.value, q, value))
            return 0;
    }
    return 1;
}

/* What the reference takes an absent field for: False, "none", [] or None. */
static int is_default(const char *name, const aim_pickle *p, aim_ref x)
{
    const aim_pickle_kind kind = aim_pickle_kind_of(p, x);
    if (kind == AIM_PICKLE_BOOL)
        return (strncmp(name, "needs_", 6) == 0 || strncmp(name, "has_", 4) == 0) &&
               aim_pickle_int(p, x) == 0;
    if (strcmp(name, "coulomb_mode") == 0)
        return kind == AIM_PICKLE_STRING && aim_slice_is(aim_pickle_text(p, x), "none");
    if (strcmp(name, "format_version") == 0)
        return kind == AIM_PICKLE_INT && aim_pickle_int(p, x) == 2;
    return kind == AIM_PICKLE_NONE;
}

static aim_status check_config(const aim_content *c, const aim_model_bytes *in)
{
    static const char *const routing[] = {"config_schema_version", "family_name", "member_names",
                                          "ensemble_size"};
    const aim_pickle *p = &c->described;
    char shown[AIM_SHOWN_SIZE];
    for (aim_items it = aim_pickle_items(p, p->root); it.value != AIM_NO_REF;
         aim_pickle_next(p, &it)) {
        const aim_slice name = aim_pickle_text(p, it.value);
        const char *field = aim_metadata_field(name);
        size_t k = 0;
        aim_pickle_next(p, &it);
        while (k < sizeof routing / sizeof *routing && !aim_slice_is(name, routing[k]))
            k++;
        if (k < sizeof routing / sizeof *routing)
            continue;
        if (!field)
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "%s: '%s' has no meaning where the description comes from the registry",
                            in->config_name, aim_shown(shown, name));
        const aim_ref value = aim_pickle_get(c->tree, c->metadata, field);
        if (value == AIM_NO_REF ? !is_default(field, p, it.value)
                                : !same(p, it.value, c->tree, value))
            return AIM_FAIL(AIMNET_ERR_MODEL, "%s: '%s' contradicts %s, which describes this model",
                            in->config_name, field, in->base_name);
    }
    return AIMNET_OK;
}

static aim_status open_base(const aim_alloc *a, const aim_model_bytes *in, aim_content *c)
{
    AIM_TRY(aim_torch_open(a, in->base, in->base_size, &c->torch));
    if (c->torch.is_script)
        return AIM_FAIL(AIMNET_ERR_MODEL, "TorchScript, not a v2 file");
    AIM_TRY(aim_pt_open(a, &c->torch, &c->pt));
    if (c->pt.kind != AIM_PT_MODEL)
        return AIM_FAIL(AIMNET_ERR_MODEL, "not a v2 file");
    return AIMNET_OK;
}

aim_status aim_fallback_read(const aim_alloc *a, const aim_model_bytes *in, aim_content *content)
{
    const aim_status status = open_base(a, in, content);
    if (status != AIMNET_OK)
        return aim_fail_prefix(status, "%s", in->base_name);
    content->tree = &content->torch.pickle;
    content->metadata = content->pt.metadata;
    content->sr_from_yaml = 0;
    return check_config(content, in);
}
