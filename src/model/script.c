/* SPDX-License-Identifier: MIT */
/* script.c - AIMNet2 in a TorchScript archive: the network's modules, then metadata.
 *
 * What the code of such archives computes depends on attributes that are data (keys, radii,
 * methods, damping parameters) and on the release of the package, which the set of classes and
 * attributes identifies. One option stands in code alone and is looked for as text: the approximate
 * GELU, which names "tanh".
 *
 * Metadata follow the reference's reading of such files: format 1, Coulomb "full_embedded", species
 * from the buffer that its exporter added (spelled "impemented_species") or else the rows of the
 * embedding that are numbers. */
#include "model/script.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/embedding.h"
#include "model/script_walk.h"

enum { MAX_ELEMENT = 63 };

/* ---------------------------------------------------------------- the network */

static aim_status read_aev(const aim_script_walk *w, const aim_script_object *model, double *rc,
                           int64_t *nshifts)
{
    static const char *const scalars[] = {"rc_v", "eta_s", "eta_v"};
    aim_script_object o;
    aim_tensor shifts;
    double ignored = 0.0;
    int dual = 0;
    AIM_TRY(aim_script_child(w, model, "aev", "aimnet.modules.aev.AEVSV",
                             "rc_s eta_s shifts_s rc_v eta_v shifts_v _dual_basis dmat_fill", &o));
    AIM_TRY(aim_script_bool(w, &o, "_dual_basis", &dual));
    if (dual)
        return aim_script_refuse(&o, "it has a second basis for vectors, which never worked");
    AIM_TRY(aim_script_scalar(w, &o, "rc_s", rc));
    for (int i = 0; i < 3; i++)
        AIM_TRY(aim_script_scalar(w, &o, scalars[i], &ignored));
    AIM_TRY(aim_script_tensor(w, &o, "shifts_s", &shifts));
    AIM_TRY(aim_script_tensor(w, &o, "shifts_v", NULL));
    *nshifts = shifts.count;
    return AIMNET_OK;
}

static aim_status read_conv(const aim_script_walk *w, const aim_script_object *model,
                            const char *name, int64_t *ncomb)
{
    aim_script_object o;
    int do_vector = 0;
    int64_t scalar = 0, vector = 0;
    AIM_TRY(aim_script_child(w, model, name, "aimnet.modules.aev.ConvSV",
                             "agh do_vector nchannel d2features nshifts_s nshifts_v ncomb_v", &o));
    AIM_TRY(aim_script_tensor(w, &o, "agh", NULL));
    AIM_TRY(aim_script_bool(w, &o, "do_vector", &do_vector));
    AIM_TRY(aim_script_int(w, &o, "nshifts_s", &scalar));
    AIM_TRY(aim_script_int(w, &o, "nshifts_v", &vector));
    if (!do_vector || scalar != vector)
        return aim_script_refuse(&o, "a convolution without vectors, or with a basis of their own");
    return aim_script_int(w, &o, "ncomb_v", ncomb);
}

static aim_status read_passes(const aim_script_walk *w, const aim_script_object *model,
                              int64_t *aim_size)
{
    aim_script_object o;
    aim_script_mlp mlp;
    char name[AIM_SCRIPT_CLASS];
    int pass = 0;
    AIM_TRY(aim_script_child(w, model, "mlps", "torch.nn.modules.container.ModuleList", NULL, &o));
    aim_script_yaml(w, "  hidden:\n");
    for (aim_items it = aim_pickle_items(w->pickle, o.attributes); aim_script_next(w, &it, name);
         pass++) {
        AIM_TRY(aim_script_read_mlp(w, &o, name, &mlp));
        if (mlp.last_linear != (pass == 0) || !mlp.bias)
            return aim_script_refuse(&o, "the MLPs of the passes do not end as those of AIMNet2");
        aim_script_yaml(w, "  - [");
        for (int i = 0; i + 1 < mlp.n_layers; i++)
            aim_script_yaml(w, i ? ", %lld" : "%lld", (long long)mlp.width[i]);
        aim_script_yaml(w, "]\n");
        *aim_size = mlp.width[mlp.n_layers - 1];
    }
    return pass >= 2 ? AIMNET_OK : aim_script_refuse(&o, "fewer than two passes");
}

static aim_status read_network(aim_script_walk *w, const aim_script_object *model)
{
    aim_script_object afv;
    int64_t nfeature = 0, nshifts = 0, ncomb = 0, ncomb_q = 0, channels = 0, aim_size = 0;
    int d2features = 0;
    double rc = 0.0;
    AIM_TRY(aim_script_int(w, model, "nfeature", &nfeature));
    AIM_TRY(aim_script_int(w, model, "num_charge_channels", &channels));
    AIM_TRY(aim_script_bool(w, model, "d2features", &d2features));
    AIM_TRY(read_aev(w, model, &rc, &nshifts));
    AIM_TRY(aim_script_child(w, model, "afv", "aimnet.modules.core.Embedding", "weight", &afv));
    AIM_TRY(aim_script_tensor(w, &afv, "weight", NULL));
    AIM_TRY(read_conv(w, model, "conv_a", &ncomb));
    AIM_TRY(read_conv(w, model, "conv_q", &ncomb_q));
    if (ncomb != ncomb_q)
        return aim_script_refuse(model, "its convolutions differ in ncomb_v");
    aim_script_yaml(w,
                    "class: aimnet.models.AIMNet2\nkwargs:\n  nfeature: %lld\n"
                    "  d2features: %s\n  ncomb_v: %lld\n",
                    (long long)nfeature, d2features ? "true" : "false", (long long)ncomb);
    AIM_TRY(read_passes(w, model, &aim_size));
    aim_script_yaml(w, "  aim_size: %lld\n  aev:\n", (long long)aim_size);
    aim_script_yaml_number(w, "    rc_s", rc);
    aim_script_yaml(w, "    nshifts_s: %lld\n", (long long)nshifts);
    if (channels != 1)
        aim_script_yaml(w, "  num_charge_channels: %lld\n", (long long)channels);
    aim_script_yaml(w, "  outputs:\n");
    AIM_TRY(aim_script_outputs(w, model));
    return w->out->yaml_status;
}

/* ---------------------------------------------------------------- metadata */

static aim_status put_species_of_buffer(const aim_script_walk *w, const aim_script_object *model,
                                        aim_ref value)
{
    aim_tensor t = {.name = {"", 0}};
    AIM_TRY(aim_torch_tensor(w->archive, value, &t));
    if (t.dtype != AIM_INT64 || t.ndim != 1 || !aim_tensor_is_packed(&t) || t.count > MAX_ELEMENT)
        return aim_script_refuse(model, "its list of species is no short list of integers");
    aim_put_open(&w->out->metadata, AIM_PICKLE_LIST);
    for (int64_t i = 0; i < t.count; i++) {
        unsigned char bytes[8];
        memcpy(bytes, t.data + 8 * i, 8);
        aim_put_int(&w->out->metadata, bytes[0]); /* 1 to 63, or what metadata.c refuses */
        for (int k = 1; k < 8; k++)
            if (bytes[k] != 0)
                return aim_script_refuse(model, "its list of species holds no elements");
    }
    aim_put_close(&w->out->metadata, AIM_PICKLE_LIST);
    return AIMNET_OK;
}

static aim_status put_d3_params(const aim_script_walk *w)
{
    static const char *const names[] = {"s8", "a1", "a2", "s6"};
    aim_pickle_out *out = &w->out->metadata;
    aim_put_text(out, "d3_params");
    if (w->dftd3 == AIM_NO_REF) {
        aim_put_none(out);
        return out->status;
    }
    aim_put_open(out, AIM_PICKLE_DICT);
    for (int i = 0; i < 4; i++) {
        aim_put_text(out, names[i]);
        aim_put_value(out, w->pickle, aim_pickle_get(w->pickle, w->dftd3, names[i]));
    }
    aim_put_close(out, AIM_PICKLE_DICT);
    return out->status;
}

static void put_flag(aim_pickle_out *out, const char *name, int value)
{
    aim_put_text(out, name);
    aim_put_bool(out, value);
}

static aim_status put_metadata(const aim_script_walk *w, const aim_script_object *model)
{
    aim_pickle_out *out = &w->out->metadata;
    double cutoff = 0.0;
    unsigned char known[AIM_EMBEDDING_ROWS];
    AIM_TRY(aim_script_float(w, model, "cutoff", &cutoff));
    aim_put_begin(out);
    aim_put_open(out, AIM_PICKLE_DICT);
    aim_put_text(out, "model_yaml");
    aim_put_slice(out, (aim_slice){w->out->yaml.data, w->out->yaml.size});
    aim_put_text(out, "cutoff");
    aim_put_float(out, cutoff);
    put_flag(out, "needs_coulomb", 0);
    put_flag(out, "needs_dispersion", 0);
    aim_put_text(out, "coulomb_mode");
    aim_put_text(out, w->has_coulomb ? "full_embedded" : "none");
    AIM_TRY(put_d3_params(w));
    put_flag(out, "has_embedded_lr", w->has_coulomb || w->has_d3ts || w->dftd3 != AIM_NO_REF);
    put_flag(out, "has_embedded_d3ts", w->has_d3ts);
    aim_put_text(out, "implemented_species");
    const aim_ref species = aim_pickle_get(w->pickle, model->attributes, "impemented_species");
    if (species != AIM_NO_REF)
        AIM_TRY(put_species_of_buffer(w, model, species));
    else
        AIM_TRY(aim_embedding_species(w->alloc, w->out->tensor, w->out->n_tensors, known));
    if (species == AIM_NO_REF)
        aim_put_species(out, known);
    aim_put_close(out, AIM_PICKLE_DICT);
    return aim_put_end(out);
}

/* ---------------------------------------------------------------- the whole */

/* The approximate GELU is an argument in the text of its class. */
static aim_status check_activation(const aim_script_walk *w, const aim_script_object *model)
{
    static const char folder[] = "code/__torch__/torch/nn/modules/activation", word[] = "\"tanh\"";
    const aim_zip *zip = &w->archive->zip;
    int found = 0;
    for (size_t i = 0; i < zip->n_entries && !found; i++) {
        const aim_zip_entry *e = &zip->entry[i];
        unsigned char *text = NULL;
        if (!aim_slice_starts(aim_slice_from(e->name, w->archive->prefix.size), folder))
            continue;
        AIM_TRY(aim_zip_inflate(w->alloc, e, &text));
        for (size_t k = 0; k + sizeof word - 1 <= e->full && !found; k++)
            found = memcmp(text + k, word, sizeof word - 1) == 0;
        aim_free(w->alloc, text);
    }
    return found ? aim_script_refuse(model, "its GELU is the approximate one") : AIMNET_OK;
}

static aim_status name_tensors(aim_script *s, const aim_alloc *a)
{
    const char *name = s->name_pool.data;
    for (size_t i = 0; i < s->n_tensors; i++) {
        s->tensor[i].name.text = name;
        name += s->tensor[i].name.size;
    }
    return aim_names_create(&s->names, a, s->tensor, sizeof *s->tensor, s->n_tensors);
}

static aim_status read_model(aim_script_walk *w)
{
    static const char attributes[] = "num_charge_channels nfeature nshifts_s d2features cutoff "
                                     "cutoff_lr? impemented_species? aev afv conv_a conv_q mlps "
                                     "outputs";
    aim_script_object model;
    double cutoff_lr = INFINITY;
    AIM_TRY(aim_script_child(w, NULL, "", "aimnet.models.aimnet2.AIMNet2", attributes, &model));
    AIM_TRY(check_activation(w, &model));
    AIM_TRY(read_network(w, &model));
    if (aim_pickle_get(w->pickle, model.attributes, "cutoff_lr") != AIM_NO_REF)
        AIM_TRY(aim_script_float(w, &model, "cutoff_lr", &cutoff_lr));
    if (!isinf(cutoff_lr) || cutoff_lr < 0.0)
        return aim_script_refuse(&model,
                                 "its long-range cutoff is finite, which was never released");
    w->out->all_pairs = 1;
    AIM_TRY(name_tensors(w->out, w->alloc));
    return put_metadata(w, &model);
}

aim_status aim_script_read(const aim_alloc *a, aim_torch *archive, aim_script *s)
{
    const aim_zip_entry *record = aim_torch_record(archive, "data.pkl");
    aim_script_walk w = {
        .alloc = a, .archive = archive, .pickle = &archive->pickle, .out = s, .dftd3 = AIM_NO_REF};
    *s = (aim_script){.metadata.alloc = a};
    AIM_TRY(aim_pickle_parse_script(a, record->data, record->size, &archive->pickle));
    const aim_status status = read_model(&w);
    if (status != AIMNET_OK)
        aim_script_free(s, a);
    return status;
}

void aim_script_free(aim_script *s, const aim_alloc *a)
{
    aim_names_free(&s->names, a);
    aim_free(a, s->tensor);
    aim_string_free(&s->name_pool, a);
    aim_string_free(&s->yaml, a);
    aim_string_free(&s->metadata.bytes, a);
    *s = (aim_script){0};
}
