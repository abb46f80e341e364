/* SPDX-License-Identifier: MIT */
/* export.c - the steps of the reference's `export` and `convert`, with its rules:
 *
 *     YAML: long-range modules taken out, SRCoulomb added (recipe.c)
 *     tensors: those of the modules taken out are dropped; float32, but atomic shifts float64;
 *         outputs.srcoulomb.rc and a disp_param0 from its ptfile are added
 *     self energies: added to the shifts in float64; rows of the embedding of all other elements
 *         become NaN; their elements are the implemented ones
 *     metadata: as found in the YAML and overridden by the options, in the reference's order
 * The result is checked as if it had been read, and only then replaces the file. */
#include "model/export.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/bytes.h"
#include "model/build.h"
#include "model/embedding.h"
#include "model/files.h"
#include "model/recipe.h"
#include "model/save.h"

#define SHIFTS "outputs.atomic_shift.shifts.weight"

enum { EXTRA_TENSORS = 2 };

typedef struct job {
    const aim_alloc *alloc;
    const aimnet_export_options *o;
    aim_model_files files, ptfile, sae_file;
    aim_content source;
    aim_torch disp_archive;
    aim_pt disp;
    aim_recipe recipe;
    char disp_name[128]; /* "outputs.<DispParam>.disp_param0" */
    aim_string yaml;
    double sae[AIM_EMBEDDING_ROWS];
    unsigned char species[AIM_EMBEDDING_ROWS];
    int has_coulomb, needs_coulomb, needs_dispersion;
    double rc, d3[4], cutoff;
    aim_tensor *tensor;
    size_t n_tensors;
    unsigned char *values; /* of all tensors */
    size_t used;
    aim_pickle_out metadata;
    aim_pickle tree;
} job;

static const aim_tensor *find(const job *j, const char *name)
{
    return aim_tensor_named(j->source.tensor, j->source.n_tensors, name);
}

/* ---------------------------------------------------------------- inputs */

/* {atomic number: energy} */
static aim_status read_sae(job *j)
{
    aim_yaml y;
    AIM_TRY(aim_model_files_read(j->alloc, j->o->sae, NULL, 0, &j->sae_file));
    aim_status status =
        aim_yaml_parse_table(j->alloc, (const char *)j->sae_file.in.bytes, j->sae_file.in.size, &y);
    if (status != AIMNET_OK)
        return aim_fail_prefix(status, "%s", j->o->sae);
    if (aim_yaml_kind_of(&y, y.root) != AIM_YAML_MAP || aim_yaml_count(&y, y.root) == 0)
        status = AIM_FAIL(AIMNET_ERR_MODEL,
                          "%s: atomic energies must be a mapping from atomic "
                          "numbers to eV",
                          j->o->sae);
    for (aim_yaml_iter it = aim_yaml_begin(&y, y.root);
         status == AIMNET_OK && it.value != AIM_YAML_NONE; aim_yaml_step(&y, &it)) {
        const char *key = aim_yaml_text(&y, it.key), *text = aim_yaml_text(&y, it.value);
        int64_t z = 0;
        double energy = NAN;
        if (!aim_parse_int64(key, strlen(key), &z) || z < 1 || z >= AIM_EMBEDDING_ROWS ||
            j->species[z] || !aim_parse_double(text, strlen(text), &energy) || !isfinite(energy))
            status =
                AIM_FAIL(AIMNET_ERR_MODEL,
                         "%s: '%.20s: %.40s' is not an atomic number from 1 to %d, given once, "
                         "and its energy",
                         j->o->sae, key, text, AIM_EMBEDDING_ROWS - 1);
        else
            j->sae[z] = energy;
        if (status == AIMNET_OK)
            j->species[z] = 1;
    }
    aim_yaml_free(&y, j->alloc);
    return status;
}

/* The tensor that DispParam's ptfile names: the one path in a YAML that is followed, because the YAML
 * of a training is the user's own. */
static aim_status read_ptfile(job *j)
{
    const char *path = aim_yaml_text(&j->recipe.yaml, j->recipe.ptfile);
    snprintf(j->disp_name, sizeof j->disp_name, "outputs.%.80s.disp_param0", j->recipe.disp_param);
    AIM_TRY(aim_model_files_read(j->alloc, path, NULL, 0, &j->ptfile));
    aim_status status =
        aim_torch_open(j->alloc, j->ptfile.in.bytes, j->ptfile.in.size, &j->disp_archive);
    if (status == AIMNET_OK && !j->disp_archive.is_script)
        status = aim_pt_open(j->alloc, &j->disp_archive, &j->disp);
    if (status == AIMNET_OK && (j->disp_archive.is_script || j->disp.kind != AIM_PT_TENSOR))
        status = AIM_FAIL(AIMNET_ERR_MODEL, "the ptfile of DispParam must hold one tensor");
    return status == AIMNET_OK ? status : aim_fail_prefix(status, "%s", path);
}

/* The YAML of a TorchScript archive is what its objects say. */
static aim_status read_recipe(job *j)
{
    aim_slice text = {(const char *)j->files.in.config, j->files.in.config_size};
    if (!j->files.in.config) {
        if (j->source.format != AIM_FORMAT_SCRIPT)
            return AIM_FAIL(AIMNET_ERR_ARG,
                            "aimnet_model_export: the YAML of the training (config) "
                            "is missing");
        text = aim_pickle_text(j->source.tree,
                               aim_pickle_get(j->source.tree, j->source.metadata, "model_yaml"));
    }
    const aim_status status = aim_recipe_parse(j->alloc, text.text, text.size, &j->recipe);
    return status == AIMNET_OK || !j->files.config ? status
                                                   : aim_fail_prefix(status, "%s", j->files.config);
}

/* ---------------------------------------------------------------- decisions */

static aim_status read_scalar(const job *j, const char *name, double *value)
{
    const aim_tensor *t = find(j, name);
    if (!t || t->count != 1)
        return AIM_FAIL(AIMNET_ERR_MODEL, "the weights have no tensor '%s' of one number", name);
    return aim_tensor_to_double(t, value);
}

static aim_status decide_coulomb(job *j)
{
    const int script = j->source.format == AIM_FORMAT_SCRIPT;
    const int in_weights = find(j, "outputs.lrcoulomb.rc") != NULL;
    j->has_coulomb = script ? in_weights : j->recipe.lrcoulomb != AIM_YAML_NONE || in_weights;
    j->rc = script ? 0.0 : j->recipe.rc;
    if (script)
        j->recipe.envelope = "exp"; /* the only one of those releases */
    if (j->has_coulomb && j->rc == 0.0 && in_weights &&
        (script || j->recipe.lrcoulomb == AIM_YAML_NONE))
        AIM_TRY(read_scalar(j, "outputs.lrcoulomb.rc", &j->rc));
    if (j->has_coulomb && j->rc <= 0.0)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "the Coulomb radius is unknown: give 'rc' among the kwargs "
                        "of lrcoulomb");
    j->needs_coulomb = j->o->needs_coulomb < 0 ? j->has_coulomb : j->o->needs_coulomb;
    if (j->has_coulomb && !j->needs_coulomb)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "the model contains a short-range Coulomb part, which only the external "
                        "Coulomb energy makes complete: it cannot be exported without");
    return AIMNET_OK;
}

static aim_status decide_dispersion(job *j)
{
    static const char *const names[] = {"s8", "a1", "a2", "s6"};
    const aim_pickle *p = j->source.tree;
    int found = j->recipe.dftd3 != AIM_YAML_NONE;
    memcpy(j->d3, j->recipe.d3, sizeof j->d3);
    if (j->source.format == AIM_FORMAT_SCRIPT) {
        const aim_ref dict = aim_pickle_get(p, j->source.metadata, "d3_params");
        found = aim_pickle_kind_of(p, dict) == AIM_PICKLE_DICT;
        for (int i = 0; i < 4 && found; i++)
            j->d3[i] = aim_pickle_float(p, aim_pickle_get(p, dict, names[i]));
    }
    j->needs_dispersion = j->o->needs_dispersion < 0 ? found : j->o->needs_dispersion;
    if (j->needs_dispersion && !found)
        return AIM_FAIL(AIMNET_ERR_ARG,
                        "dispersion cannot be asked for without its parameters: the "
                        "YAML has no dftd3 with s8, a1 and a2");
    return AIMNET_OK;
}

static aim_status decide_species(job *j)
{
    if (j->o->sae)
        return read_sae(j);
    return aim_embedding_species(j->alloc, j->source.tensor, j->source.n_tensors, j->species);
}

static aim_status decide_cutoff(job *j)
{
    const aim_pickle *p = j->source.tree;
    if (j->source.format != AIM_FORMAT_SCRIPT)
        return read_scalar(j, "aev.rc_s", &j->cutoff);
    j->cutoff = aim_pickle_float(p, aim_pickle_get(p, j->source.metadata, "cutoff"));
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- tensors */

static int is_shift(aim_slice name)
{
    return aim_slice_starts(name, "outputs.atomic_shift.");
}

static int is_dropped(aim_slice name)
{
    return aim_slice_starts(name, "outputs.lrcoulomb.") ||
           aim_slice_starts(name, "outputs.dftd3.") || aim_slice_starts(name, "outputs.d3bj.") ||
           aim_slice_starts(name, "outputs.srcoulomb.");
}

/* Adds a tensor of zeros; *values: its place. */
static aim_tensor *add(job *j, aim_slice name, int ndim, const int64_t *shape, aim_dtype dtype,
                       void **values)
{
    aim_tensor *t = &j->tensor[j->n_tensors++];
    *t = (aim_tensor){.name = name, .dtype = dtype, .ndim = ndim, .count = 1};
    for (int d = ndim; d-- > 0;) {
        t->shape[d] = shape[d];
        t->stride[d] = t->count;
        t->count *= shape[d];
    }
    t->data = j->values + j->used;
    *values = j->values + j->used;
    j->used += ((size_t)t->count * aim_dtype_size(dtype) + 7) / 8 * 8;
    return t;
}

static aim_status copy(job *j, const aim_tensor *from, aim_slice name, aim_dtype dtype)
{
    void *values = NULL;
    (void)add(j, name, from->ndim, from->shape, dtype, &values);
    return dtype == AIM_FLOAT64 ? aim_tensor_to_double(from, values)
                                : aim_tensor_to_float(from, values);
}

/* What the self energies change: shifts and embedding. */
static void apply_sae(job *j)
{
    for (size_t i = 0; i < j->n_tensors; i++) {
        const aim_tensor *t = &j->tensor[i];
        const int64_t width = t->ndim > 0 && t->shape[0] > 0 ? t->count / t->shape[0] : 0;
        unsigned char *at = j->values + (t->data - j->values);
        const int shifts = aim_slice_is(t->name, SHIFTS), afv = aim_slice_is(t->name, "afv.weight");
        for (int64_t z = 1; z < AIM_EMBEDDING_ROWS && z < t->shape[0]; z++)
            for (int64_t k = 0; k < width; k++) {
                if (shifts)
                    ((double *)(void *)at)[z * width + k] += j->sae[z];
                else if (afv && !j->species[z])
                    ((float *)(void *)at)[z * width + k] = NAN;
            }
    }
}

static aim_status make_tensors(job *j)
{
    const aim_content *s = &j->source;
    size_t bytes = 0;
    char shown[AIM_SHOWN_SIZE];
    void *values = NULL;
    for (size_t i = 0; i < s->n_tensors; i++)
        bytes += (size_t)s->tensor[i].count * sizeof(double) + 8;
    if (j->disp.n_tensors > 0)
        bytes += (size_t)j->disp.tensor->count * sizeof(double) + 8;
    AIM_TRY(aim_new(j->alloc, s->n_tensors + EXTRA_TENSORS, sizeof *j->tensor, "list of tensors",
                    &j->tensor));
    AIM_TRY(aim_new(j->alloc, bytes + 16, 1, "weights", &j->values));
    for (size_t i = 0; i < s->n_tensors; i++) {
        const aim_tensor *t = &s->tensor[i];
        if (is_dropped(t->name) || (j->disp.n_tensors > 0 && aim_slice_is(t->name, j->disp_name)))
            continue;
        const aim_status status =
            copy(j, t, t->name, is_shift(t->name) ? AIM_FLOAT64 : AIM_FLOAT32);
        if (status != AIMNET_OK)
            return aim_fail_prefix(status, "tensor '%s'", aim_shown(shown, t->name));
    }
    if (j->disp.n_tensors > 0)
        AIM_TRY(
            copy(j, j->disp.tensor, (aim_slice){j->disp_name, strlen(j->disp_name)}, AIM_FLOAT32));
    if (j->has_coulomb) {
        (void)add(j, (aim_slice){"outputs.srcoulomb.rc", 20}, 0, NULL, AIM_FLOAT32, &values);
        *(float *)values = (float)j->rc;
    }
    if (j->o->sae)
        apply_sae(j);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- metadata */

static void put_flag(job *j, const char *name, int value)
{
    aim_put_text(&j->metadata, name);
    aim_put_bool(&j->metadata, value);
}

static aim_status make_metadata(job *j)
{
    static const char *const names[] = {"s8", "a1", "a2", "s6"};
    aim_pickle_out *out = &j->metadata;
    *out = (aim_pickle_out){.alloc = j->alloc};
    AIM_TRY(aim_recipe_write(j->alloc, &j->recipe, 1, j->has_coulomb ? j->rc : 0.0, &j->yaml));
    aim_put_begin(out);
    aim_put_open(out, AIM_PICKLE_DICT);
    aim_put_text(out, "format_version");
    aim_put_int(out, 2);
    aim_put_text(out, "model_yaml");
    aim_put_slice(out, (aim_slice){j->yaml.data, j->yaml.size});
    aim_put_text(out, "cutoff");
    aim_put_float(out, j->cutoff);
    put_flag(j, "needs_coulomb", j->needs_coulomb);
    put_flag(j, "needs_dispersion", j->needs_dispersion);
    aim_put_text(out, "coulomb_mode");
    aim_put_text(out, j->has_coulomb ? "sr_embedded" : "none");
    aim_put_text(out, "coulomb_sr_rc");
    if (j->has_coulomb)
        aim_put_float(out, j->rc);
    else
        aim_put_none(out);
    aim_put_text(out, "coulomb_sr_envelope");
    if (j->has_coulomb)
        aim_put_text(out, j->recipe.envelope);
    else
        aim_put_none(out);
    aim_put_text(out, "d3_params");
    if (j->needs_dispersion) {
        aim_put_open(out, AIM_PICKLE_DICT);
        for (int i = 0; i < 4; i++) {
            aim_put_text(out, names[i]);
            aim_put_float(out, j->d3[i]);
        }
        aim_put_close(out, AIM_PICKLE_DICT);
    } else {
        aim_put_none(out);
    }
    put_flag(j, "has_embedded_lr", j->has_coulomb || j->recipe.has_d3ts);
    put_flag(j, "has_embedded_d3ts", j->recipe.has_d3ts);
    aim_put_text(out, "implemented_species");
    aim_put_species(out, j->species);
    aim_put_close(out, AIM_PICKLE_DICT);
    AIM_TRY(aim_put_end(out));
    return aim_pickle_parse(j->alloc, (const unsigned char *)out->bytes.data, out->bytes.size,
                            &j->tree);
}

/* ---------------------------------------------------------------- the whole */

static aim_status run(job *j, const char *path)
{
    AIM_TRY(aim_model_files_read(j->alloc, j->o->weights, j->o->config, 0, &j->files));
    const aim_status status = aim_content_read(j->alloc, &j->files.in, &j->source);
    if (status != AIMNET_OK)
        return aim_fail_prefix(status, "%s", j->o->weights);
    AIM_TRY(read_recipe(j));
    if (j->recipe.ptfile != AIM_YAML_NONE)
        AIM_TRY(read_ptfile(j));
    AIM_TRY(decide_coulomb(j));
    AIM_TRY(decide_dispersion(j));
    AIM_TRY(decide_species(j));
    AIM_TRY(decide_cutoff(j));
    AIM_TRY(make_tensors(j));
    AIM_TRY(make_metadata(j));
    const aim_model_parts parts = {&j->tree, j->tree.root, j->tensor, j->n_tensors};
    AIM_TRY(aim_model_check_parts(j->alloc, &parts, path));
    return aim_model_write(j->alloc, &parts, path, j->o->format, j->o->member);
}

aim_status aim_model_export(const aimnet_allocator *a, const aimnet_export_options *o,
                            const char *path)
{
    job j = {.alloc = a, .o = o, .recipe.yaml.root = AIM_YAML_NONE, .tree.root = AIM_NO_REF};
    const aim_status status = run(&j, path);
    aim_pickle_free(&j.tree, a);
    aim_string_free(&j.metadata.bytes, a);
    aim_string_free(&j.yaml, a);
    aim_free(a, j.values);
    aim_free(a, j.tensor);
    aim_recipe_free(&j.recipe, a);
    aim_pt_free(&j.disp, a);
    aim_torch_free(&j.disp_archive, a);
    aim_content_free(&j.source, a);
    aim_model_files_free(&j.sae_file, a);
    aim_model_files_free(&j.ptfile, a);
    aim_model_files_free(&j.files, a);
    return status;
}
