/* SPDX-License-Identifier: MIT */
/* test_export.c - weights of a training as model files (src/model/export.c, recipe.c,
 * yaml_write.c) against what the Python package exports from the same inputs, and training
 * checkpoints that are loaded with their YAML (checkpoint.c). */
#include "opened_model.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aimnet_model.h"
#include "model/model.h"
#include "model/recipe.h"

#define DATA   AIM_SOURCE_DIR "/tests/golden/export/"
#define MODELS AIM_SOURCE_DIR "/tests/golden/models/"
#define TMP    AIM_TEST_TMP "/export"

static aimnet_export_options options_of(const char *name)
{
    static char weights[512], config[512];
    aimnet_export_options o = aimnet_export_options_default();
    snprintf(weights, sizeof weights, DATA "%s.weights.pt", name);
    snprintf(config, sizeof config, DATA "%s.yaml", name);
    o.weights = weights;
    o.config = config;
    o.sae = DATA "atoms.sae";
    return o;
}

/* ---------------------------------------------------------------- against the package */

/* The same bits, or both NaN. */
static void assert_same_values(const aim_tensor *x, const aim_tensor *y)
{
    assert_int_equal(x->dtype, y->dtype);
    assert_int_equal(x->ndim, y->ndim);
    assert_int_equal(x->count, y->count);
    double *a = calloc((size_t)x->count, sizeof *a), *b = calloc((size_t)x->count, sizeof *b);
    assert_true(a && b);
    assert_int_equal(aim_tensor_to_double(x, a), AIMNET_OK);
    assert_int_equal(aim_tensor_to_double(y, b), AIMNET_OK);
    for (int64_t i = 0; i < x->count; i++)
        assert_true(a[i] == b[i] || (isnan(a[i]) && isnan(b[i])));
    free(a);
    free(b);
}

static void exports_are_those_of_the_python_package(void **state)
{
    (void)state;
    static const char *const names[] = {"both", "nse", "d3ts"};
    assert_int_equal(chdir(DATA), 0); /* the ptfile is named by a relative path */
    for (int i = 0; i < 3; i++) {
        opened ours, theirs;
        char path[512];
        aimnet_export_options o = options_of(names[i]);
        if (i == 1)
            o.needs_dispersion = 1;
        if (aimnet_model_export(&o, NULL, TMP "/ours.pt") != AIMNET_OK)
            fail_msg("%s", aimnet_last_error());
        snprintf(path, sizeof path, DATA "%s.theirs.pt", names[i]);
        open_file(&ours, TMP "/ours.pt");
        open_file(&theirs, path);
        torch_buffer a = metadata_of(&ours), b = metadata_of(&theirs);
        assert_int_equal(a.n, b.n);
        assert_memory_equal(a.at, b.at, a.n);
        assert_int_equal(ours.content.n_tensors, theirs.content.n_tensors);
        for (size_t k = 0; k < ours.content.n_tensors; k++) {
            const aim_tensor *t = &ours.content.tensor[k];
            const size_t at = aim_names_find(theirs.content.names, t->name);
            assert_int_not_equal(at, AIM_NO_NAME);
            assert_same_values(t, &theirs.content.tensor[at]);
        }
        torch_buffer_free(&a);
        torch_buffer_free(&b);
        close_file(&ours);
        close_file(&theirs);
    }
}

static void torchscript_becomes_a_model_with_external_parts(void **state)
{
    (void)state;
    aimnet_export_options o = aimnet_export_options_default();
    aimnet_model *m = NULL;
    aimnet_model_info info;
    o.weights = MODELS "script_coulomb_d3.jpt";
    if (aimnet_model_export(&o, NULL, TMP "/script.pt") != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    assert_int_equal(aimnet_model_load(TMP "/script.pt", NULL, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
    assert_true(info.needs_coulomb && info.needs_dispersion && !info.has_embedded_coulomb);
    assert_int_equal(info.coulomb_mode, AIMNET_COULOMB_MODE_SR_EMBEDDED);
    assert_true(info.coulomb_sr_rc == (double)4.6f && info.d3_a2 == 3.128);
    assert_int_equal(info.n_species, 14);
    aimnet_model_free(m);
}

/* ---------------------------------------------------------------- refusals */

static void assert_refused(const aimnet_export_options *o, aimnet_status code, const char *why)
{
    unlink(TMP "/none.pt");
    if (aimnet_model_export(o, NULL, TMP "/none.pt") != code || !strstr(aimnet_last_error(), why))
        fail_msg("\"%s\" does not say \"%s\"", aimnet_last_error(), why);
    assert_int_not_equal(access(TMP "/none.pt", F_OK), 0);
}

/* A file with a text in the temporary folder. */
static const char *file_with(const char *name, const char *text)
{
    static char path[512];
    snprintf(path, sizeof path, TMP "/%s", name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static void contradictions_are_refused_and_write_nothing(void **state)
{
    (void)state;
    static const char *const tables[] = {"- 1\n",  "{}",       "0: 1.0\n", "64: 1.0\n",
                                         "1: x\n", "H: 1.0\n", "1: .nan\n"};
    aimnet_export_options o = options_of("both");
    o.needs_coulomb = 0;
    assert_refused(&o, AIMNET_ERR_ARG, "cannot be exported without");
    o = options_of("d3ts");
    o.needs_dispersion = 1;
    assert_refused(&o, AIMNET_ERR_ARG, "without its parameters");
    o = options_of("both");
    o.config = NULL;
    assert_refused(&o, AIMNET_ERR_MODEL, "raw training checkpoint");
    o.weights = MODELS "base.pt";
    assert_refused(&o, AIMNET_ERR_ARG, "config) is missing");
    o = options_of("both");
    o.weights = DATA "nse.weights.pt";
    assert_refused(&o, AIMNET_ERR_MODEL, "tensor '");
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        o = options_of("both");
        o.sae = file_with("bad.sae", tables[i]);
        assert_refused(&o, AIMNET_ERR_MODEL, "atomic");
    }
    o = options_of("both");
    o.sae = file_with("cut.sae", "1: [\n");
    assert_refused(&o, AIMNET_ERR_MODEL, "cut.sae: ");
    o = options_of("both");
    o.sae = TMP "/missing.sae";
    assert_refused(&o, AIMNET_ERR_FILE, "missing.sae");
    o = options_of("both");
    o.weights = NULL;
    assert_refused(&o, AIMNET_ERR_ARG, "weights");
    o = options_of("both");
    o.needs_coulomb = 2;
    assert_refused(&o, AIMNET_ERR_ARG, "range");
    o.struct_size = 1000;
    assert_refused(&o, AIMNET_ERR_ARG, "default");
    assert_int_equal(aimnet_model_export(NULL, NULL, "x"), AIMNET_ERR_ARG);
}

static void recipes_that_count_twice_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *why;
    } cases[] = {
        {"{kwargs: {outputs: [1]}}", "mapping of modules"},
        {"{kwargs: {outputs: {d3ts: {}, dftd3: {}}}}", "twice"},
        {"{kwargs: {outputs: {lrcoulomb: {}, srcoulomb: {}}}}", "together"},
        {"{kwargs: {outputs: {lrcoulomb: {kwargs: {rc: -1.0}}}}}", "'rc'"},
        {"{kwargs: {outputs: {lrcoulomb: {kwargs: {rc: .nan}}}}}", "'rc'"},
        {"{kwargs: {outputs: {lrcoulomb: {kwargs: {envelope: box}}}}}", "envelope"},
        {"{kwargs: {outputs: {dftd3: {kwargs: {s8: text}}}}}", "'s8'"},
        {"[1]", "mapping of modules"},
    };
    const aim_alloc a = aim_alloc_default();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aim_recipe r;
        if (aim_recipe_parse(&a, cases[i].yaml, strlen(cases[i].yaml), &r) != AIMNET_ERR_MODEL ||
            !strstr(aimnet_last_error(), cases[i].why))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].yaml, aimnet_last_error(),
                     cases[i].why);
    }
}

/* What yaml.dump(yaml.safe_load(...), sort_keys=False) prints, with ptfile and lrcoulomb taken out. */
static void yaml_is_written_as_pyyaml_does(void **state)
{
    (void)state;
    static const char in[] =
        "{class: a.B, kwargs: {x: [[1, 2], [], 3], y: 1, z: 1.0e-06, t: 'no', e: {}, n: null,\n"
        " outputs: {lrcoulomb: {kwargs: {rc: 4}}, a: {class: lr.DispParam, kwargs: {ptfile: p}},\n"
        " b: [{c: true, d: 0.50}, x-y]}}}";
    static const char out[] =
        "class: a.B\nkwargs:\n  x:\n  - - 1\n    - 2\n  - []\n  - 3\n  y: 1\n  z: 1.0e-06\n"
        "  t: 'no'\n  e: {}\n  n: null\n  outputs:\n    a:\n      class: lr.DispParam\n"
        "      kwargs: {}\n    b:\n    - c: true\n      d: 0.5\n    - x-y\n    srcoulomb:\n"
        "      class: aimnet.modules.SRCoulomb\n      kwargs:\n        rc: 4.0\n"
        "        key_in: charges\n        key_out: energy\n        envelope: exp\n";
    const aim_alloc a = aim_alloc_default();
    aim_recipe r;
    aim_string text = {0};
    assert_int_equal(aim_recipe_parse(&a, in, sizeof in - 1, &r), AIMNET_OK);
    assert_int_equal(aim_recipe_write(&a, &r, 1, r.rc, &text), AIMNET_OK);
    assert_string_equal(text.data, out);
    aim_string_free(&text, &a);
    aim_recipe_free(&r, &a);
}

static void alias_bombs_do_not_unfold(void **state)
{
    (void)state;
    const aim_alloc a = aim_alloc_default();
    char yaml[2048];
    aim_recipe r;
    aim_string text = {0};
    size_t n = (size_t)snprintf(yaml, sizeof yaml, "kwargs:\n  outputs: {}\na0: &a0 [xxxxxxxx]\n");
    for (int i = 1; i < 24; i++)
        n += (size_t)snprintf(yaml + n, sizeof yaml - n, "a%d: &a%d [*a%d, *a%d]\n", i, i, i - 1,
                              i - 1);
    assert_int_equal(aim_recipe_parse(&a, yaml, n, &r), AIMNET_OK);
    assert_int_equal(aim_recipe_write(&a, &r, 1, 0.0, &text), AIMNET_ERR_MODEL);
    aim_string_free(&text, &a);
    aim_recipe_free(&r, &a);
}

/* ---------------------------------------------------------------- checkpoints */

static void a_checkpoint_is_loaded_with_its_yaml(void **state)
{
    (void)state;
    aimnet_load_options o = aimnet_load_options_default();
    aimnet_model *m = NULL;
    aimnet_model_info info;
    assert_int_equal(aimnet_model_load(DATA "coulomb.weights.pt", NULL, &m), AIMNET_ERR_MODEL);
    assert_non_null(strstr(aimnet_last_error(), "--config"));
    o.config = DATA "coulomb.yaml";
    if (aimnet_model_load_with(DATA "coulomb.weights.pt", &o, NULL, &m) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
    assert_string_equal(info.format, "checkpoint");
    assert_int_equal(info.n_species, 63);
    assert_true(info.has_embedded_coulomb && !info.has_embedded_dispersion);
    assert_true(!info.needs_coulomb && !info.needs_dispersion && info.cutoff == 5.0);
    assert_int_equal(info.coulomb_mode, AIMNET_COULOMB_MODE_FULL_EMBEDDED);
    aimnet_model_free(m);
    o.config = DATA "nse.yaml";
    assert_int_equal(aimnet_model_load_with(DATA "coulomb.weights.pt", &o, NULL, &m),
                     AIMNET_ERR_MODEL);
    o.config = DATA "atoms.sae";
    assert_int_equal(aimnet_model_load_with(DATA "coulomb.weights.pt", &o, NULL, &m),
                     AIMNET_ERR_MODEL);
}

static void files_that_describe_themselves_take_no_description(void **state)
{
    (void)state;
    aimnet_load_options o = aimnet_load_options_default();
    aimnet_model *m = NULL;
    o.config = DATA "coulomb.yaml";
    static const char *const paths[] = {MODELS "base.pt", MODELS "script_nse.jpt", NULL};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(aimnet_model_load_with(paths[i], &o, NULL, &m), AIMNET_ERR_ARG);
        assert_non_null(strstr(aimnet_last_error(), "describes itself"));
        assert_null(m);
    }
}

static aimnet_status diff_once(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_model *a = NULL, *b = NULL;
    char *text = NULL;
    (void)ctx;
    aimnet_status status = aimnet_model_load(MODELS "hf_base", hooks, &a);
    if (status == AIMNET_OK)
        status = aimnet_model_load(MODELS "nse.pt", hooks, &b);
    if (status == AIMNET_OK)
        status = aimnet_model_diff(a, b, &text);
    if (status == AIMNET_OK)
        assert_true(strstr(text, "- afv.weight") || strstr(text, "~ afv.weight"));
    if (text)
        aimnet_model_text_free(a, text);
    aimnet_model_free(a);
    aimnet_model_free(b);
    return status;
}

static aimnet_status export_once(const aimnet_allocator *hooks, void *ctx)
{
    return aimnet_model_export(ctx, hooks, TMP "/oom.pt");
}

static aimnet_status load_checkpoint(const aimnet_allocator *hooks, void *ctx)
{
    aimnet_model *m = NULL;
    const aimnet_status status = aimnet_model_load_with(DATA "coulomb.weights.pt", ctx, hooks, &m);
    aimnet_model_free(m);
    return status;
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    aimnet_export_options o = options_of("d3ts");
    assert_int_equal(chdir(DATA), 0);
    assert_true(fail_alloc_sweep(export_once, &o) > 60);
    aimnet_load_options l = aimnet_load_options_default();
    l.config = DATA "coulomb.yaml";
    assert_true(fail_alloc_sweep_mode(load_checkpoint, &l, 1) > 30);
    assert_true(fail_alloc_sweep_mode(diff_once, NULL, 1) > 60);
}

static int make_folder(void **state)
{
    (void)state;
    mkdir(AIM_TEST_TMP, 0777);
    mkdir(TMP, 0777);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exports_are_those_of_the_python_package),
        cmocka_unit_test(torchscript_becomes_a_model_with_external_parts),
        cmocka_unit_test(contradictions_are_refused_and_write_nothing),
        cmocka_unit_test(recipes_that_count_twice_are_refused),
        cmocka_unit_test(yaml_is_written_as_pyyaml_does),
        cmocka_unit_test(alias_bombs_do_not_unfold),
        cmocka_unit_test(a_checkpoint_is_loaded_with_its_yaml),
        cmocka_unit_test(files_that_describe_themselves_take_no_description),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
