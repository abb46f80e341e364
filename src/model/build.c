/* SPDX-License-Identifier: MIT */
/* build.c - the bytes of a model file to an immutable model: open, metadata, architecture, weights,
 * checks.
 *
 * Two blocks of the size of the file exist at the peak: the file's bytes, which the caller holds,
 * and the weights. Everything else is small and bounded by limits on the description. A failure at
 * any point frees what was made and leaves the message of that point. */
#include <stdio.h>
#include <string.h>

#include "model/build.h"
#include "model/origin.h"

static aim_status keep_tensors(aim_builder *b)
{
    struct aim_model_origin *o = b->origin;
    size_t size = 0;
    for (size_t i = 0; i < b->file.n_tensors; i++)
        size += b->file.tensor[i].name.size + 1;
    AIM_TRY(aim_new(&b->m->alloc, size, 1, "tensor names", &o->names));
    AIM_TRY(aim_new0(&b->m->alloc, b->file.n_tensors, sizeof *o->tensor, "list of tensors",
                     &o->tensor));
    char *p = o->names;
    for (size_t i = 0; i < b->file.n_tensors; i++) {
        const aim_tensor *t = &b->file.tensor[i];
        aimnet_tensor_info *info = &o->tensor[o->n_tensors++];
        memcpy(p, t->name.text, t->name.size);
        p[t->name.size] = '\0';
        *info = (aimnet_tensor_info){.name = p,
                                     .dtype = aim_dtype_name(t->dtype),
                                     .ndim = t->ndim,
                                     .bytes = t->count * (int64_t)aim_dtype_size(t->dtype),
                                     .used = b->used[i]};
        memcpy(info->shape, t->shape, sizeof info->shape);
        p += t->name.size + 1;
    }
    return AIMNET_OK;
}

static aim_status check_radii(const aim_model *m)
{
    for (int i = 0; i < m->n_outputs; i++) {
        const aim_output *out = &m->output[i];
        const int has_radius = out->kind == AIM_OUT_SRCOULOMB || out->kind == AIM_OUT_SRREP ||
                               out->kind == AIM_OUT_LRCOULOMB;
        if (has_radius && out->rc <= 0.0)
            return AIM_FAIL(AIMNET_ERR_MODEL, "tensor 'outputs.%s.rc' (%g) must be positive",
                            out->name, out->rc);
    }
    return AIMNET_OK;
}

static aim_status build(aim_builder *b)
{
    aim_model *m = b->m;
    const aim_alloc *a = &m->alloc;
    snprintf(m->format, sizeof m->format, "%s", aim_format_name(b->file.format));
    m->all_pairs = b->file.script.all_pairs;
    AIM_TRY(aim_metadata_read(b));
    AIM_TRY(aim_new0(a, b->file.n_tensors, 1, "list of tensors", &b->used));
    AIM_TRY(aim_yaml_parse(a, m->yaml, strlen(m->yaml), &b->yaml));
    AIM_TRY(aim_network_read(b));
    AIM_TRY(aim_metadata_check(b));
    AIM_TRY(aim_bind_finish(b));
    AIM_TRY(aim_network_check(b));
    AIM_TRY(check_radii(m));
    return keep_tensors(b);
}

/* in: what to read into b->file; NULL: that is filled. */
static aim_status build_named(aim_builder *b, const aim_alloc *a, const aim_model_bytes *in,
                              const char *name, aim_model **model)
{
    *model = NULL;
    AIM_TRY(aim_new0(a, 1, sizeof *b->m, "model", &b->m));
    aim_model *m = b->m;
    m->alloc = *a;
    m->file_size = in ? in->size : 0;
    m->n_embed = AIM_EMBED_ROWS;
    aim_status status = aim_new0(a, 1, sizeof *b->origin, "model", &b->origin);
    m->origin = b->origin;
    if (status == AIMNET_OK)
        status = aim_strdup(a, name, &m->name);
    if (status == AIMNET_OK && in)
        status = aim_content_read(a, in, &b->file);
    if (status == AIMNET_OK)
        status = build(b);
    aim_free(a, b->binding);
    aim_free(a, b->used);
    aim_yaml_free(&b->yaml, a);
    if (in)
        aim_content_free(&b->file, a);
    if (status == AIMNET_OK) {
        *model = m;
        return AIMNET_OK;
    }
    aim_model_free(m);
    return aim_fail_prefix(status, "%s", name);
}

aim_status aim_model_build(const aim_alloc *a, const aim_model_bytes *in, const char *name,
                           aim_model **model)
{
    aim_builder b = {.yaml.root = AIM_YAML_NONE};
    return build_named(&b, a, in, name, model);
}

aim_status aim_model_check_parts(const aim_alloc *a, const aim_model_parts *parts, const char *name)
{
    aim_names names = {0};
    aim_model *m = NULL;
    AIM_TRY(aim_names_create(&names, a, parts->tensor, sizeof *parts->tensor, parts->n_tensors));
    aim_tensor *tensor = NULL;
    memcpy(&tensor, &parts->tensor, sizeof tensor); /* read only */
    aim_builder b = {.yaml.root = AIM_YAML_NONE,
                     .file = {.format = AIM_FORMAT_PT,
                              .tree = parts->tree,
                              .metadata = parts->metadata,
                              .tensor = tensor,
                              .n_tensors = parts->n_tensors,
                              .names = &names}};
    const aim_status status = build_named(&b, a, NULL, name, &m);
    aim_model_free(m);
    aim_names_free(&names, a);
    return status;
}

void aim_model_free(aim_model *model)
{
    if (!model)
        return;
    const aim_alloc a = model->alloc;
    struct aim_model_origin *o = model->origin;
    if (o) {
        aim_arena_free(&o->weights, &a);
        aim_free(&a, o->tensor);
        aim_free(&a, o->bytes);
        aim_free(&a, o->weights_path);
        aim_free(&a, o->config_path);
        aim_free(&a, o->base_path);
        aim_free(&a, o->names);
        aim_string_free(&o->ignored, &a);
    }
    for (int i = 0; i < model->n_outputs; i++)
        aim_free(&a, model->output[i].d3);
    aim_free(&a, o);
    aim_free(&a, model->name);
    aim_free(&a, model->yaml);
    aim_free(&a, model->family);
    aim_free(&a, model);
}
