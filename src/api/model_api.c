/* SPDX-License-Identifier: MIT */
/* model_api.c - the public functions on models: argument checks, where the bytes come from, and
 * views of what src/model keeps. */
#include <string.h>

#include "aimnet_model.h"
#include "fetch/fetch.h"
#include "io/bytes.h"
#include "model/content.h"
#include "model/diff.h"
#include "model/export.h"
#include "model/files.h"
#include "model/origin.h"
#include "model/save.h"
#include "model/sha256.h"

static size_t default_size(void)
{
    return (size_t)(aim_default_model_end - aim_default_model);
}

static void set_source(aim_model *m, aim_source source)
{
    struct aim_model_origin *o = m->origin;
    o->source = source;
}

static aim_status check_digest(const char *path, const unsigned char *bytes, size_t size,
                               const char *expected)
{
    char hex[65];
    if (expected[0] == '\0')
        return AIMNET_OK;
    aim_sha256(bytes, size, hex);
    if (strcmp(hex, expected) == 0)
        return AIMNET_OK;
    return AIM_FAIL(AIMNET_ERR_FILE,
                    "%s: SHA-256 is %s instead of %s: the file in the cache is damaged or was "
                    "replaced; download it again",
                    path, hex, expected);
}

/* A directory whose config.json leaves the architecture to the registry. */
static aim_status add_describer(const aim_alloc *a, const aim_registry *reg,
                                const aim_model_name *name, const aim_place *place,
                                aim_model_files *f)
{
    aim_place base;
    if (!f->config || !aim_path_is_directory(place->path.data))
        return AIMNET_OK;
    AIM_TRY(aim_place_describer(a, reg, name, place,
                                (aim_slice){(const char *)f->config_bytes, f->in.config_size},
                                f->config, &base));
    aim_status status = AIMNET_OK;
    if (base.path.size > 0) {
        status = aim_model_files_add_base(a, base.path.data, f);
        if (status == AIMNET_OK)
            status = check_digest(f->base, f->base_bytes, f->in.base_size, base.digest);
    }
    aim_place_free(&base, a);
    return status;
}

/* A description is only read for weights that have none of their own. */
static aim_status check_config(const char *config, const char *name, aim_model **model)
{
    const char *format = (*model)->format;
    if (!config || strcmp(format, "safetensors") == 0 || strcmp(format, "checkpoint") == 0)
        return AIMNET_OK;
    aim_model_free(*model);
    *model = NULL;
    return AIM_FAIL(AIMNET_ERR_ARG,
                    "%s: the file describes itself; '%s' would have no effect (a description "
                    "belongs to the weights of a training or to safetensors)",
                    name, config);
}

static aim_status load_builtin(const aim_alloc *a, const char *config, aim_model **model)
{
    const aim_model_bytes in = {.bytes = aim_default_model, .size = default_size()};
    AIM_TRY(aim_model_build(a, &in, "default", model));
    set_source(*model, AIM_SOURCE_BUILTIN);
    return check_config(config, "default", model);
}

/* named->text, as the user wrote it, becomes the model's name. */
static aim_status load_place(const aim_alloc *a, const aim_registry *reg, const aim_place *place,
                             const aim_model_name *named, const char *config, aim_model **model)
{
    const char *name = named->text;
    aim_model_files files;
    AIM_TRY(aim_model_files_read(a, place->path.data, config, place->member, &files));
    aim_status status = check_digest(files.weights, files.in.bytes, files.in.size, place->digest);
    if (status == AIMNET_OK)
        status = add_describer(a, reg, named, place, &files);
    if (status == AIMNET_OK)
        status = aim_model_build(a, &files.in, name, model);
    if (status == AIMNET_OK) {
        struct aim_model_origin *origin = (*model)->origin;
        set_source(*model, AIM_SOURCE_PATH);
        origin->weights_path = files.weights;
        origin->config_path = files.config;
        origin->base_path = files.base;
        files.weights = files.config = files.base = NULL;
        status = aim_family_apply(reg, place->family, *model);
    }
    if (status == AIMNET_OK)
        status = check_config(config, name, model);
    if (status != AIMNET_OK) {
        aim_model_free(*model);
        *model = NULL;
    }
    aim_model_files_free(&files, a);
    return status;
}

static aim_status load_named(const aim_alloc *a, const aim_registry *reg, const char *text,
                             const aimnet_load_options *o, aim_model **model)
{
    const aim_model_name name = aim_model_name_of(reg, text);
    aim_place place;
    if (name.kind == AIM_NAME_BUILTIN && o->member > 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "%s: the built-in model is one: it has no member %d", text,
                        o->member);
    if (name.kind == AIM_NAME_BUILTIN)
        return load_builtin(a, o->config, model);
    AIM_TRY(aim_place_find(a, reg, &name, o->member, &place));
    const aim_status status = load_place(a, reg, &place, &name, o->config, model);
    aim_place_free(&place, a);
    return status;
}

aimnet_load_options aimnet_load_options_default(void)
{
    return (aimnet_load_options){.struct_size = sizeof(aimnet_load_options)};
}

aimnet_status aimnet_model_load_with(const char *path, const aimnet_load_options *options,
                                     const aimnet_allocator *allocator, aimnet_model **model)
{
    aim_alloc a;
    aim_registry reg;
    aimnet_load_options o = aimnet_load_options_default();
    if (!model)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_load: model is NULL");
    *model = NULL;
    if (options && (options->struct_size == 0 || options->struct_size > sizeof o))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "aimnet_model_load_with: options of %zu bytes: fill them with "
                        "aimnet_load_options_default first",
                        options->struct_size);
    if (options)
        memcpy(&o, options, options->struct_size);
    if (o.member < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_load_with: member %d must not be negative",
                        o.member);
    AIM_TRY(aim_alloc_from(allocator, &a));
    if (!path)
        return load_builtin(&a, o.config, model);
    AIM_TRY(aim_registry_builtin(&a, &reg));
    const aim_status status = load_named(&a, &reg, path, &o, model);
    aim_registry_free(&reg, &a);
    return status;
}

aimnet_status aimnet_model_load(const char *path, const aimnet_allocator *allocator,
                                aimnet_model **model)
{
    return aimnet_model_load_with(path, NULL, allocator, model);
}

static aim_status keep_bytes(aim_model *m, const void *bytes, size_t size)
{
    struct aim_model_origin *o = m->origin;
    AIM_TRY(aim_new(&m->alloc, size, 1, "the model file", &o->bytes));
    memcpy(o->bytes, bytes, size);
    return AIMNET_OK;
}

static aim_status apply_family(const aim_alloc *a, aim_model *m)
{
    aim_registry reg;
    AIM_TRY(aim_registry_builtin(a, &reg));
    const aim_status status = aim_family_apply(&reg, -1, m);
    aim_registry_free(&reg, a);
    return status;
}

aimnet_status aimnet_model_load_memory(const void *bytes, size_t size, const char *name,
                                       const aimnet_allocator *allocator, aimnet_model **model)
{
    aim_alloc a;
    if (!model || (!bytes && size > 0))
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_load_memory: %s is NULL",
                        model ? "bytes" : "model");
    *model = NULL;
    AIM_TRY(aim_alloc_from(allocator, &a));
    const aim_model_bytes in = {.bytes = bytes, .size = size};
    AIM_TRY(aim_model_build(&a, &in, name ? name : "memory", model));
    set_source(*model, AIM_SOURCE_MEMORY);
    aim_status status = keep_bytes(*model, bytes, size);
    if (status == AIMNET_OK && (*model)->family[0])
        status = apply_family(&a, *model);
    if (status != AIMNET_OK) {
        aim_model_free(*model);
        *model = NULL;
    }
    return status;
}

/* ---------------------------------------------------------------- saving */

/* The bytes that the model came from. A file is read again. */
static aim_status open_source(const aim_model *m, aim_model_files *files)
{
    const struct aim_model_origin *o = m->origin;
    *files = (aim_model_files){.in = {.bytes = o->bytes, .size = m->file_size}};
    if (o->source == AIM_SOURCE_BUILTIN)
        files->in.bytes = aim_default_model;
    if (o->source != AIM_SOURCE_PATH)
        return AIMNET_OK;
    AIM_TRY(aim_model_files_read(&m->alloc, o->weights_path, o->config_path, 0, files));
    aim_status status = AIMNET_OK;
    if (files->in.size != m->file_size)
        status = AIM_FAIL(AIMNET_ERR_FILE,
                          "%s: the file changed since the model was loaded from it", m->name);
    else if (o->base_path)
        status = aim_model_files_add_base(&m->alloc, o->base_path, files);
    if (status != AIMNET_OK)
        aim_model_files_free(files, &m->alloc);
    return status;
}

/* Readers of a config.json insist on what .pt files may get wrong: the radius of the short-range
 * Coulomb part stands there and in the YAML. */
static aim_status check_for_config(const aim_model *m)
{
    for (int i = 0; i < m->n_outputs; i++)
        if (m->output[i].kind == AIM_OUT_SRCOULOMB && m->coulomb_sr_rc != 0.0 &&
            m->output[i].yaml_rc != m->coulomb_sr_rc)
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "%s: coulomb_sr_rc %g is not the rc of SRCoulomb, %g: such a model "
                            "cannot be described by a config.json",
                            m->name, m->coulomb_sr_rc, m->output[i].yaml_rc);
    return AIMNET_OK;
}

static int has_field(const aim_content *content, const char *name)
{
    const aim_ref value = aim_pickle_get(content->tree, content->metadata, name);
    return value != AIM_NO_REF && aim_pickle_kind_of(content->tree, value) != AIM_PICKLE_NONE;
}

/* Whether .pt files would lack what this model's config.json left to its YAML. */
static int is_incomplete(const aim_model *m, const aim_content *content)
{
    return content->sr_from_yaml && m->coulomb_mode == AIMNET_COULOMB_MODE_SR_EMBEDDED &&
           !(has_field(content, "coulomb_sr_rc") && has_field(content, "coulomb_sr_envelope"));
}

static aim_status write_content(const aim_model *m, const aim_content *content, const char *path,
                                aimnet_file_format format, int member)
{
    aim_model_parts parts = {content->tree, content->metadata, content->tensor, content->n_tensors};
    if (format != AIMNET_FILE_PT || !is_incomplete(m, content))
        return aim_model_write(&m->alloc, &parts, path, format, member);
    aim_pickle_out text;
    aim_pickle tree;
    aim_status status = aim_metadata_complete(m, content, &text, &tree);
    if (status == AIMNET_OK) {
        parts.tree = &tree;
        parts.metadata = tree.root;
        status = aim_model_write(&m->alloc, &parts, path, format, member);
    }
    aim_pickle_free(&tree, &m->alloc);
    aim_string_free(&text.bytes, &m->alloc);
    return status;
}

aimnet_status aimnet_model_save(const aimnet_model *model, const char *path,
                                aimnet_file_format format, int member)
{
    aim_model_files files;
    aim_content content;
    if (!model || !path)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_save: %s is NULL", model ? "path" : "model");
    if ((format != AIMNET_FILE_PT && format != AIMNET_FILE_SAFETENSORS) || member < 0)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_save: format %d or member %d does not exist",
                        (int)format, member);
    const aim_alloc *a = &model->alloc;
    if (format == AIMNET_FILE_SAFETENSORS)
        AIM_TRY(check_for_config(model));
    AIM_TRY(open_source(model, &files));
    aim_status status = aim_content_read(a, &files.in, &content);
    if (status == AIMNET_OK && content.format == AIM_FORMAT_SCRIPT) {
        status = AIM_FAIL(AIMNET_ERR_UNSUPPORTED,
                          "%s: a model in TorchScript is evaluated as its release did, which no "
                          "other format can say: export it (aimnet_model_export)",
                          model->name);
        aim_content_free(&content, a);
    }
    if (status == AIMNET_OK) {
        status = write_content(model, &content, path, format, member);
        aim_content_free(&content, a);
    }
    aim_model_files_free(&files, a);
    return status;
}

void aimnet_model_free(aimnet_model *model)
{
    aim_model_free(model);
}

/* Reads a model's file again. */
static aim_status open_content(const aim_model *m, aim_model_files *files, aim_content *content)
{
    AIM_TRY(open_source(m, files));
    const aim_status status = aim_content_read(&m->alloc, &files->in, content);
    if (status != AIMNET_OK)
        aim_model_files_free(files, &m->alloc);
    return status;
}

aimnet_status aimnet_model_diff(const aimnet_model *first, const aimnet_model *second, char **text)
{
    aim_model_files files[2];
    aim_content content[2];
    aim_string out = {0};
    if (!first || !second || !text)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_diff: an argument is NULL");
    *text = NULL;
    AIM_TRY(open_content(first, &files[0], &content[0]));
    aim_status status = open_content(second, &files[1], &content[1]);
    if (status == AIMNET_OK) {
        status = aim_string_append(&out, &first->alloc, "", 0);
        if (status == AIMNET_OK)
            status = aim_content_diff(&first->alloc, &content[0], &content[1], &out);
        aim_content_free(&content[1], &second->alloc);
        aim_model_files_free(&files[1], &second->alloc);
    }
    aim_content_free(&content[0], &first->alloc);
    aim_model_files_free(&files[0], &first->alloc);
    if (status == AIMNET_OK)
        *text = out.data;
    else
        aim_string_free(&out, &first->alloc);
    return status;
}

aimnet_export_options aimnet_export_options_default(void)
{
    return (aimnet_export_options){
        .struct_size = sizeof(aimnet_export_options), .needs_coulomb = -1, .needs_dispersion = -1};
}

aimnet_status aimnet_model_export(const aimnet_export_options *options,
                                  const aimnet_allocator *allocator, const char *path)
{
    aim_alloc a;
    aimnet_export_options o = aimnet_export_options_default();
    if (!options || !path || options->struct_size == 0 || options->struct_size > sizeof o)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_export: path or options are NULL, or the "
                                        "options were not filled by aimnet_export_options_default");
    memcpy(&o, options, options->struct_size);
    if (!o.weights || o.needs_coulomb < -1 || o.needs_coulomb > 1 || o.needs_dispersion < -1 ||
        o.needs_dispersion > 1 || o.member < 0 ||
        (o.format != AIMNET_FILE_PT && o.format != AIMNET_FILE_SAFETENSORS))
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "aimnet_model_export: weights are NULL, or an option is out "
                        "of its range");
    AIM_TRY(aim_alloc_from(allocator, &a));
    return aim_model_export(&a, &o, path);
}

aimnet_status aimnet_model_get_info(const aimnet_model *model, aimnet_model_info *info)
{
    if (!model || !info)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_get_info: %s is NULL",
                        model ? "info" : "model");
    const aim_model *m = model;
    int coulomb = m->coulomb_mode == AIMNET_COULOMB_MODE_FULL_EMBEDDED, dispersion = 0;
    for (int i = 0; i < m->n_outputs; i++) {
        coulomb |= m->output[i].kind == AIM_OUT_LRCOULOMB;
        dispersion |= m->output[i].kind == AIM_OUT_D3TS || m->output[i].kind == AIM_OUT_DFTD3;
    }
    *info = (aimnet_model_info){.name = m->name,
                                .format = m->format,
                                .family = m->family,
                                .cutoff = m->cutoff,
                                .num_charge_channels = m->n_charge,
                                .n_species = m->n_species,
                                .species = m->species,
                                .n_parameters = m->n_parameters,
                                .needs_coulomb = m->needs_coulomb,
                                .needs_dispersion = m->needs_dispersion,
                                .has_embedded_coulomb = coulomb,
                                .has_embedded_dispersion = dispersion,
                                .supports_charged = m->supports_charged,
                                .coulomb_mode = (aimnet_coulomb_mode)m->coulomb_mode,
                                .coulomb_sr_rc = m->coulomb_sr_rc,
                                .coulomb_sr_envelope = m->coulomb_sr_envelope};
    if (m->has_d3_params) {
        info->d3_s6 = m->d3_s6;
        info->d3_s8 = m->d3_s8;
        info->d3_a1 = m->d3_a1;
        info->d3_a2 = m->d3_a2;
    }
    return AIMNET_OK;
}

int aimnet_model_tensor_count(const aimnet_model *model)
{
    const struct aim_model_origin *o = model ? model->origin : NULL;
    return o ? o->n_tensors : 0;
}

aimnet_status aimnet_model_tensor(const aimnet_model *model, int index, aimnet_tensor_info *info)
{
    const int n = aimnet_model_tensor_count(model);
    if (!model || !info || index < 0 || index >= n)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "aimnet_model_tensor: index %d of %d tensors, or a NULL argument", index,
                        n);
    const struct aim_model_origin *o = model->origin;
    *info = o->tensor[index];
    return AIMNET_OK;
}

aimnet_status aimnet_model_sha256(const aimnet_model *model, char hex[65])
{
    aim_model_files files;
    if (!model || !hex)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_sha256: %s is NULL", model ? "hex" : "model");
    AIM_TRY(open_source(model, &files));
    aim_sha256(files.in.bytes, files.in.size, hex);
    aim_model_files_free(&files, &model->alloc);
    return AIMNET_OK;
}

int64_t aimnet_model_file_size(const aimnet_model *model)
{
    return model ? (int64_t)model->file_size : 0;
}

aimnet_status aimnet_model_describe(const aimnet_model *model, aimnet_describe what, char **text)
{
    char hex[65] = "";
    aim_string out = {0};
    if (!model || !text)
        return AIM_FAIL(AIMNET_ERR_ARG, "aimnet_model_describe: %s is NULL",
                        model ? "text" : "model");
    *text = NULL;
    if (what <= AIMNET_DESCRIBE_JSON) {
        const aim_status status = aimnet_model_sha256(model, hex);
        if (status != AIMNET_OK && status != AIMNET_ERR_FILE)
            return status;
    }
    AIM_TRY(aim_model_describe(model, what, hex, &out));
    *text = out.data;
    return AIMNET_OK;
}

void aimnet_model_text_free(const aimnet_model *model, char *text)
{
    if (model)
        aim_free(&model->alloc, text);
}
