/* SPDX-License-Identifier: MIT */
/* content.c - recognises a format by its first bytes and opens it.
 *
 *     "PK"                       an archive of PyTorch
 *     8 bytes length, then "{"   safetensors, whose metadata stand in a config.json
 * Other first bytes that have a name (pickles of torch before 1.6, JSON, HDF5) are refused by it,
 * so that the message says what to do. */
#include "model/content.h"

#include <string.h>

#include "io/json_tree.h"
#include "model/checkpoint.h"
#include "model/fallback.h"

const char *aim_format_name(aim_format format)
{
    static const char *const names[] = {"v2-pt", "safetensors", "torchscript", "checkpoint"};
    return names[format];
}

static int begins(const aim_model_bytes *in, const void *start, size_t n)
{
    return in->size >= n && memcmp(in->bytes, start, n) == 0;
}

static aim_status refuse_unknown(const aim_model_bytes *in)
{
    static const unsigned char legacy_torch[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc};
    if (begins(in, legacy_torch, sizeof legacy_torch))
        return AIM_FAIL(AIMNET_ERR_FORMAT,
                        "a file of torch.save from before version 1.6, which is not an archive: "
                        "load and save it again with a newer PyTorch");
    if (begins(in, "{", 1))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "a JSON file: give the weights beside it (.safetensors) "
                                           "or their directory");
    if (begins(in, "\x89HDF", 4))
        return AIM_FAIL(AIMNET_ERR_FORMAT, "an HDF5 file: not a model but a data set");
    return AIM_FAIL(AIMNET_ERR_FORMAT,
                    "not a model file: it begins neither like an archive of torch.save nor like a "
                    "safetensors file");
}

/* ---------------------------------------------------------------- safetensors */

static aim_status read_config(const aim_alloc *a, const aim_model_bytes *in, aim_content *c)
{
    if (!in->config)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "safetensors without a description: the config.json with model_yaml and "
                        "metadata must stand beside it");
    AIM_TRY(aim_json_tree(a, (aim_slice){(const char *)in->config, in->config_size},
                          in->config_name, &c->described, &c->text));
    c->tree = &c->described;
    c->metadata = c->described.root;
    if (!aim_describes_family(&c->described))
        return AIMNET_OK;
    if (in->base)
        return aim_fallback_read(a, in, c);
    return AIM_FAIL(AIMNET_ERR_MODEL,
                    "%s has no 'model_yaml': a description of a family, which leaves the "
                    "architecture to the registry; give the directory instead of a file in it, or "
                    "a complete config.json",
                    in->config_name);
}

static aim_status read_safetensors(const aim_alloc *a, const aim_model_bytes *in, aim_content *c)
{
    AIM_TRY(aim_safetensors_open(a, in->bytes, in->size, &c->safetensors));
    c->format = AIM_FORMAT_SAFETENSORS;
    c->tensor = c->safetensors.tensor;
    c->n_tensors = c->safetensors.n_tensors;
    c->names = &c->safetensors.names;
    c->sr_from_yaml = 1;
    return read_config(a, in, c);
}

/* ---------------------------------------------------------------- archives */

static aim_status read_script(const aim_alloc *a, aim_content *c)
{
    const aim_string *bytes = &c->script.metadata.bytes;
    AIM_TRY(aim_script_read(a, &c->torch, &c->script));
    AIM_TRY(aim_pickle_parse(a, (const unsigned char *)bytes->data, bytes->size, &c->described));
    c->format = AIM_FORMAT_SCRIPT;
    c->tree = &c->described;
    c->metadata = c->described.root;
    c->tensor = c->script.tensor;
    c->n_tensors = c->script.n_tensors;
    c->names = &c->script.names;
    return AIMNET_OK;
}

static aim_status read_checkpoint(const aim_alloc *a, const aim_model_bytes *in, aim_content *c)
{
    const aim_string *bytes = &c->checkpoint.bytes;
    if (!in->config)
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "a raw training checkpoint: weights without architecture and metadata; give "
            "the YAML of its training as well (--config), or export it (`aimnet "
            "export`)");
    const aim_status status = aim_checkpoint_describe(
        a, c->pt.tensor, c->pt.n_tensors, (aim_slice){(const char *)in->config, in->config_size},
        &c->checkpoint);
    if (status != AIMNET_OK)
        return aim_fail_prefix(status, "%s", in->config_name);
    AIM_TRY(aim_pickle_parse(a, (const unsigned char *)bytes->data, bytes->size, &c->described));
    c->format = AIM_FORMAT_CHECKPOINT;
    c->tree = &c->described;
    c->metadata = c->described.root;
    c->tensor = c->pt.tensor;
    c->n_tensors = c->pt.n_tensors;
    c->names = &c->pt.names;
    return AIMNET_OK;
}

static aim_status read_archive(const aim_alloc *a, const aim_model_bytes *in, aim_content *c)
{
    AIM_TRY(aim_torch_open(a, in->bytes, in->size, &c->torch));
    if (c->torch.is_script)
        return read_script(a, c);
    AIM_TRY(aim_pt_open(a, &c->torch, &c->pt));
    if (c->pt.kind == AIM_PT_TENSOR)
        return AIM_FAIL(AIMNET_ERR_MODEL, "the file holds one tensor, not a model");
    if (c->pt.kind == AIM_PT_STATE)
        return read_checkpoint(a, in, c);
    c->format = AIM_FORMAT_PT;
    c->tree = &c->torch.pickle;
    c->metadata = c->pt.metadata;
    c->tensor = c->pt.tensor;
    c->n_tensors = c->pt.n_tensors;
    c->names = &c->pt.names;
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- the whole */

aim_status aim_content_read(const aim_alloc *a, const aim_model_bytes *in, aim_content *content)
{
    *content = (aim_content){.metadata = AIM_NO_REF};
    aim_status status = AIMNET_OK;
    if (begins(in, "PK", 2))
        status = read_archive(a, in, content);
    else if (aim_safetensors_probe(in->bytes, in->size))
        status = read_safetensors(a, in, content);
    else
        status = refuse_unknown(in);
    if (status != AIMNET_OK)
        aim_content_free(content, a);
    return status;
}

void aim_content_free(aim_content *content, const aim_alloc *a)
{
    aim_pickle_free(&content->described, a);
    aim_string_free(&content->text, a);
    aim_safetensors_free(&content->safetensors, a);
    aim_string_free(&content->checkpoint.bytes, a);
    aim_script_free(&content->script, a);
    aim_pt_free(&content->pt, a);
    aim_torch_free(&content->torch, a);
    *content = (aim_content){.metadata = AIM_NO_REF};
}
