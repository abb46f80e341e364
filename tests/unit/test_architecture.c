/* SPDX-License-Identifier: MIT */
/* test_architecture.c - the YAML of a model file (src/model/yaml.c, args.c, network.c, outputs.c):
 * what is refused, by name and place. */
#include "model_file.h"

#include <stdio.h>

#include "aimnet_model.h"
#include "model/yaml.h"

typedef struct edit {
    const char *file, *from, *to, *why;
} edit;

static void assert_refused_text(const char *file, const char *yaml, const char *from,
                                const char *to, const char *why)
{
    model_file f;
    aimnet_model *m = NULL;
    model_file_open(&f, file);
    if (yaml) {
        free(f.yaml);
        f.yaml = calloc(strlen(yaml) + 1, 1);
        assert_non_null(f.yaml);
        memcpy(f.yaml, yaml, strlen(yaml));
    } else {
        model_file_yaml(&f, from, to);
    }
    torch_buffer bytes = model_file_bytes(&f);
    const aim_status status = aimnet_model_load_memory(bytes.at, bytes.n, "x", NULL, &m);
    if (status != AIMNET_ERR_MODEL || !strstr(aimnet_last_error(), why))
        fail_msg("%s, status %d: \"%s\" does not say \"%s\"", to, status, aimnet_last_error(), why);
    torch_buffer_free(&bytes);
    model_file_close(&f);
}

static void assert_edits_refused(const edit *edits, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_refused_text(edits[i].file, NULL, edits[i].from, edits[i].to, edits[i].why);
}
#define ASSERT_EDITS_REFUSED(edits) assert_edits_refused((edits), sizeof(edits) / sizeof *(edits))

static void assert_edit_accepted(const char *file, const char *from, const char *to)
{
    model_file f;
    aimnet_model *m = NULL;
    model_file_open(&f, file);
    model_file_yaml(&f, from, to);
    torch_buffer bytes = model_file_bytes(&f);
    if (aimnet_model_load_memory(bytes.at, bytes.n, "x", NULL, &m) != AIMNET_OK)
        fail_msg("%s: %s", to, aimnet_last_error());
    aimnet_model_free(m);
    torch_buffer_free(&bytes);
    model_file_close(&f);
}

/* ---------------------------------------------------------------- YAML itself */

static void yaml_beyond_plain_data_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[", "line 2 column 1"},
        {"class: !!python/object:os.system x", "tags are not read"},
        {"class: !!str x", "tags are not read"},
        {"class: ! x", "tags are not read"},
        {"a: &x [1]\nb: !t *x", "line 2"},
        {"a: *x", "names no anchor"},
        {"a: &x\n  b: *x", "stands inside"},
        {"a: &x [1, *x]", "stands inside"},
        {"a: &x {b: 1}\nc: {<<: *x}", "merge keys"},
        {"a: 1\nb: 2\na: 3", "line 3 column 1: a key occurs twice"},
        {"1: 2", "a key must be a string"},
        {"? [a]\n: b", "a key must be a string"},
        {"~: 1", "a key must be a string"},
        {"a: 1\n---\nb: 2", "second document"},
        {"a: \"x\\0y\"", "NUL"},
        {"# nothing", "is empty"},
        {"a: \x01", "control characters"},
        {"kwargs: {}", "has no 'class'"},
        {"class: aimnet.models.AIMNet2", "has no 'kwargs'"},
        {"just text", "the root must be a mapping"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nested deeper than 32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused_text("plain", cases[i][0], NULL, cases[i][0], cases[i][1]);
}

static void yaml_bombs_stay_small(void **state)
{
    (void)state;
    char text[4096];
    size_t used = (size_t)snprintf(text, sizeof text, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used,
                             "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n",
                             i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_refused_text("plain", text, NULL, "bomb", "has no 'class'");
    torch_buffer long_list = {0};
    torch_put(&long_list, "[", 1);
    for (int i = 0; i < 9000; i++)
        torch_put(&long_list, "1, ", 3);
    torch_put(&long_list, "1]", 3);
    assert_refused_text("plain", (const char *)long_list.at, NULL, "list", "more than 8192");
    long_list.n = 0;
    while (long_list.n <= 1 << 18)
        torch_put(&long_list, "# comment\n", 10);
    torch_put(&long_list, "", 1);
    assert_refused_text("plain", (const char *)long_list.at, NULL, "text", "no model needs more");
    torch_buffer_free(&long_list);
}

static void scalars_mean_what_pyyaml_makes_of_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        aim_yaml_kind kind;
        double value;
    } cases[] = {
        {"~", AIM_YAML_NULL, 0},
        {"null", AIM_YAML_NULL, 0},
        {"", AIM_YAML_NULL, 0},
        {"yes", AIM_YAML_BOOL, 1},
        {"Off", AIM_YAML_BOOL, 0},
        {"TRUE", AIM_YAML_BOOL, 1},
        {"y", AIM_YAML_TEXT, 0},
        {"0", AIM_YAML_INT, 0},
        {"-12", AIM_YAML_INT, -12},
        {"+3", AIM_YAML_INT, 3},
        {"012", AIM_YAML_TEXT, 0},
        {"0x10", AIM_YAML_TEXT, 0},
        {"1_000", AIM_YAML_TEXT, 0},
        {"1:30", AIM_YAML_TEXT, 0},
        {"4.6", AIM_YAML_FLOAT, 4.6},
        {"1.", AIM_YAML_FLOAT, 1},
        {".5", AIM_YAML_FLOAT, 0.5},
        {"-.5", AIM_YAML_FLOAT, -0.5},
        {".", AIM_YAML_TEXT, 0},
        {"1e-6", AIM_YAML_TEXT, 0},
        {"1.0e-06", AIM_YAML_FLOAT, 1e-6},
        {"1.0e6", AIM_YAML_TEXT, 0},
        {"\"1\"", AIM_YAML_TEXT, 0},
        {"'true'", AIM_YAML_TEXT, 0},
        {"-.inf", AIM_YAML_FLOAT, 0},
        {"2001-01-01", AIM_YAML_TEXT, 0},
        {"9999999999999999999", AIM_YAML_TEXT, 0},
    };
    const aim_alloc a = aim_alloc_default();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        aim_yaml y;
        const int n = snprintf(text, sizeof text, "- %s", cases[i].text);
        assert_int_equal(aim_yaml_parse(&a, text, (size_t)n, &y), AIMNET_OK);
        const int node = aim_yaml_begin(&y, y.root).value;
        if (aim_yaml_kind_of(&y, node) != cases[i].kind)
            fail_msg("'%s' is %s", cases[i].text, aim_yaml_kind_name(aim_yaml_kind_of(&y, node)));
        if (cases[i].kind == AIM_YAML_BOOL || cases[i].kind == AIM_YAML_INT)
            assert_true(aim_yaml_int(&y, node) == (int64_t)cases[i].value);
        if (cases[i].kind == AIM_YAML_FLOAT && cases[i].value != 0.0)
            assert_true(aim_yaml_float(&y, node) == cases[i].value);
        aim_yaml_free(&y, &a);
    }
}

/* ---------------------------------------------------------------- network */

static void unknown_classes_and_arguments_are_named(void **state)
{
    (void)state;
    static const edit edits[] = {
        {"base", "aimnet.models.AIMNet2", "os.system", "class 'os.system' is not aimnet.models"},
        {"base", "aimnet.modules.Output", "aimnet.modules.Forces",
         "kwargs.outputs.energy_mlp.class: "
         "'aimnet.modules.Forces' is not"},
        {"base", "aimnet.modules.Output", "aimnet.modules.lr.Output", "is not an output module"},
        {"base", "aimnet.modules.SRCoulomb", "aimnet.modules.core.SRCoulomb", "is not an output"},
        {"base", "aim_size: 5", "aim_size: 5\n  extra: 1", "kwargs.extra is not an argument"},
        {"base", "rc_s: 5.0", "rc_s: 5.0\n    rc_x: 1", "kwargs.aev.rc_x is not an argument"},
        {"base", "      class: aimnet.modules.Output",
         "      args: [1]\n      class: aimnet.modules.Output",
         "energy_mlp.args is not supported: constructor arguments are given by name"},
        {"base", "        n_in: 5\n", "", "kwargs.outputs.energy_mlp.kwargs has no 'n_in'"},
        {"base", "  nfeature: 4\n", "", "kwargs has no 'nfeature'"},
        {"base", "envelope: exp", "envelope: exp\n        key: 1", "srcoulomb.kwargs.key is not"},
        {"d3ts", "class: aimnet.modules.lr.DispParam\n      kwargs: {}",
         "class: aimnet.modules.lr.DispParam\n      kwargs: {ptfile: /etc/passwd}",
         "ptfile is not supported: a model file must not name other files"},
        {"d3ts", "class: aimnet.modules.lr.DispParam\n      kwargs: {}",
         "class: aimnet.modules.lr.DispParam\n      kwargs: {ref_c6: {1: 2.0}}", "a key must be"},
        {"d3ts", "class: aimnet.modules.lr.DispParam\n      kwargs: {}",
         "class: aimnet.modules.lr.DispParam\n      kwargs: {ref_c6: [1.0]}",
         "ref_c6 is not supported"},
    };
    ASSERT_EDITS_REFUSED(edits);
}

static void sizes_must_be_sensible_and_agree_with_the_tensors(void **state)
{
    (void)state;
    static const edit edits[] = {
        {"base", "nfeature: 4", "nfeature: 0", "kwargs.nfeature must be an integer from 1"},
        {"base", "nfeature: 4", "nfeature: 99999999", "kwargs.nfeature must be an integer"},
        {"base", "nfeature: 4", "nfeature: 4.0", "kwargs.nfeature must be an integer"},
        {"base", "nfeature: 4", "nfeature: '4'", "kwargs.nfeature must be an integer"},
        {"base", "nfeature: 4", "nfeature: 5", "tensor 'afv.weight' has shape [64, 16] where"},
        {"base", "d2features: true", "d2features: 1", "kwargs.d2features must be true or false"},
        {"base", "d2features: true", "d2features: false", "tensor 'afv.weight'"},
        {"base", "ncomb_v: 3", "ncomb_v: 4", "tensor 'conv_a.agh' has shape [4, 4, 3]"},
        {"base", "aim_size: 5", "aim_size: 6", "'mlps.2.4.weight' has shape [5, 6] where"},
        {"base", "nshifts_s: 4", "nshifts_s: 8", "tensor 'aev.shifts_s'"},
        {"base", "nshifts_s: 4", "nshifts_s: 1048576", "tensor 'aev.shifts_s'"},
        {"base", "hidden:\n  - - 8", "hidden:\n  - - 9", "tensor 'mlps.0.0.weight'"},
        {"base", "hidden:\n  - - 8\n    - 6", "hidden:\n  - 8", "kwargs.hidden[0] must be a list"},
        {"base", "hidden:\n  - - 8\n    - 6", "hidden:\n  - [8, x]", "must hold integers"},
        {"pass2", "hidden:\n  - - 9\n  - - 7\n    - 6\n    - 5\n", "hidden: []\n",
         "kwargs.hidden must be a list of lists"},
        {"nse", "num_charge_channels: 2", "num_charge_channels: 3", "must be 1 or 2, not 3"},
        {"nse", "num_charge_channels: 2", "num_charge_channels: 1", "tensor 'conv_q.agh'"},
    };
    ASSERT_EDITS_REFUSED(edits);
    assert_edit_accepted("pass2", "hidden:\n  - - 9\n", "hidden:\n  - - 0\n    - 9\n    - -3\n");
}

static void a_second_basis_that_differs_is_refused_by_name(void **state)
{
    (void)state;
    static const edit edits[] = {
        {"base", "nshifts_s: 4", "nshifts_s: 4\n    nshifts_v: 5", "nshifts_v 5 differs"},
        {"base", "nshifts_s: 4", "nshifts_s: 4\n    nshifts_v: 4\n    rc_v: 3.5",
         "rc_v 3.5 differs"},
    };
    ASSERT_EDITS_REFUSED(edits);
    assert_edit_accepted("base", "nshifts_s: 4", "nshifts_s: 4\n    nshifts_v: 4\n    rc_v: 5.0");
    assert_edit_accepted("base", "nshifts_s: 4",
                         "nshifts_s: 4\n    nshifts_v: null\n    rc_v: null");
    static const char *const tensors[] = {"aev.rc_v", "aev.eta_v", "aev.shifts_v"};
    for (int i = 0; i < 3; i++) {
        model_file f;
        aimnet_model *m = NULL;
        const float changed = 3.25f;
        model_file_open(&f, "base");
        memcpy(model_file_tensor(&f, tensors[i])->data.at, &changed, 4);
        torch_buffer bytes = model_file_bytes(&f);
        assert_int_equal(aimnet_model_load_memory(bytes.at, bytes.n, "x", NULL, &m),
                         AIMNET_ERR_MODEL);
        assert_non_null(strstr(aimnet_last_error(), "differ from those of the scalar features"));
        torch_buffer_free(&bytes);
        model_file_close(&f);
    }
}

static void radii_must_be_positive(void **state)
{
    (void)state;
    static const char *const tensors[] = {"aev.rc_s", "aev.eta_s", "outputs.srcoulomb.rc"};
    for (int i = 0; i < 3; i++) {
        model_file f;
        aimnet_model *m = NULL;
        const float changed = i == 2 ? -1.0f : 0.0f;
        model_file_open(&f, "base");
        memcpy(model_file_tensor(&f, tensors[i])->data.at, &changed, 4);
        if (i < 2) /* the second basis follows */
            memcpy(model_file_tensor(&f, i ? "aev.eta_v" : "aev.rc_v")->data.at, &changed, 4);
        torch_buffer bytes = model_file_bytes(&f);
        assert_int_equal(aimnet_model_load_memory(bytes.at, bytes.n, "x", NULL, &m),
                         AIMNET_ERR_MODEL);
        assert_non_null(strstr(aimnet_last_error(), "must be positive"));
        torch_buffer_free(&bytes);
        model_file_close(&f);
    }
}

/* ---------------------------------------------------------------- outputs */

static void options_without_an_equivalent_are_refused(void **state)
{
    (void)state;
    static const edit edits[] = {
        {"base", "torch.nn.GELU", "torch.nn.SiLU", "activation_fn must be torch.nn.GELU"},
        {"mlp_options", "activation_kwargs: {}", "activation_kwargs: {approximate: tanh}",
         "approximate GELU is not supported"},
        {"mlp_options", "activation_kwargs: {}", "activation_kwargs: {inplace: true}",
         "mlp.activation_kwargs.inplace is not an argument"},
        {"base", "last_linear: true", "last_linear: true\n          weight_init_fn: os.system",
         "weight_init_fn must be"},
        {"base", "last_linear: true", "last_linear: true\n          class: x", "mlp.class is not"},
        {"base", "key_in: aim", "key_in: charges", "key_in must be 'aim'"},
        {"base", "n_in: 5", "n_in: 6", "holds 5 numbers per atom where 6"},
        {"base", "n_out: 1", "n_out: 2", "'outputs.energy_mlp.mlp.2.weight'"},
        {"base", "envelope: exp", "envelope: tanh", "envelope must be 'exp' or 'cosine'"},
        {"srrep_exp", "exp_cutoff", "tanh_cutoff", "cutoff_fn must be"},
        {"lr_dsf", "method: dsf", "method: p3m", "method must be 'simple', 'dsf', 'ewald'"},
        {"lr_dsf", "dsf_alpha: 0.25", "dsf_alpha: -0.25", "dsf_alpha must be a positive number"},
        {"lr_dsf", "dsf_rc: 9.0", "dsf_rc: .inf", "dsf_rc must be a finite number"},
        {"lr_dsf", "dsf_rc: 9.0", "ewald_accuracy: 1.5", "ewald_accuracy must be smaller than 1"},
        {"lr_dftd3", "smoothing_fraction: 0.3", "smoothing_fraction: 1.3", "between 0 and 1"},
        {"d3ts", "a1: 0.45", "a1: -0.45", "a1 must be a number that is not negative"},
        {"d3ts", "a1: 0.45", "a1: .nan", "a1 must be a finite number"},
        {"d3ts", "a1: 0.45\n        a2: 4.2", "a1: 0\n        a2: 0.0", "a1 and a2 are both 0"},
        {"d3ts", "s8: 0.9", "s8: true", "s8 must be a finite number, not a boolean true"},
        {"base", "atomic_shift:\n      class: aimnet.modules.AtomicShift\n      kwargs:\n",
         "atomic_shift:\n      class: aimnet.modules.AtomicShift\n      kwargs:\n        dtype: "
         "torch.float\n",
         "dtype is not supported: the type is that of the tensor"},
        {"base", "atomic_shift:\n      class: aimnet.modules.AtomicShift\n      kwargs:\n",
         "atomic_shift:\n      class: aimnet.modules.AtomicShift\n      kwargs:\n        "
         "num_types: 63\n",
         "tensor 'outputs.atomic_shift.shifts.weight' has shape [64, 1]"},
    };
    ASSERT_EDITS_REFUSED(edits);
}

static void keys_must_fit_together(void **state)
{
    (void)state;
    static const char shift_and_sum[] =
        "    atomic_shift:\n      class: aimnet.modules.AtomicShift\n"
        "      kwargs:\n        key_in: energy\n        key_out: energy\n"
        "    atomic_sum:\n      class: aimnet.modules.AtomicSum\n"
        "      kwargs:\n        key_in: energy\n        key_out: energy\n";
    static const edit edits[] = {
        {"base", "key_out: energy\n        mlp", "key_out: charges\n        mlp",
         "name of the network's own"},
        {"base", "key_out: energy\n        mlp", "key_out: nbmat_lr\n        mlp",
         "name of the network's own"},
        {"base", "key_out: energy\n        mlp", "key_out: e\n        mlp",
         "nothing before this module makes key 'energy'"},
        {"base", "key_out: energy\n        mlp", "key_out: a.b\n        mlp",
         "must have 1 to 63 letters"},
        {"base", "key_in: charges", "key_in: spin_charges", "makes key 'spin_charges'"},
        {"base", "key_in: charges", "key_in: aim", "holds 5 numbers per atom where 1 per atom"},
        {"base", "key_in: charges", "key_in: energy",
         "holds 1 numbers per system where 1 per atom"},
        {"base",
         "    atomic_sum:\n      class: aimnet.modules.AtomicSum\n      kwargs:\n"
         "        key_in: energy\n        key_out: energy\n    srcoulomb:\n"
         "      class: aimnet.modules.SRCoulomb\n      kwargs:\n        rc: 4.6\n"
         "        key_in: charges\n",
         "    srcoulomb:\n      class: aimnet.modules.SRCoulomb\n      kwargs:\n        rc: 4.6\n"
         "        key_in: energy\n",
         "must be 'charges' or 'spin_charges'"},
        {"base", "        key_in: energy\n        key_out: energy\n    srcoulomb:",
         "        key_in: charges\n        key_out: energy\n    srcoulomb:",
         "makes an energy of charges"},
        {"mlp_options", "key_in: extra\n", "key_in: extra_nothing\n", "makes key 'extra_nothing'"},
        {"d3ts", "key_out: disp_param", "key_out: other", "makes key 'disp_param'"},
        {"plain", shift_and_sum, "", "make no key 'energy' with one number per system"},
        {"base", "    energy_mlp:\n", "    energy.mlp:\n", "the name 'energy.mlp' must have"},
        {"base", "        key_in: energy\n        key_out: energy\n    srcoulomb:",
         "        key_in: aim\n        key_out: total\n    srcoulomb:", "which only Output reads"},
        {"base", "    energy_mlp:\n", "    \"\":\n", "must have 1 to 63"},
    };
    ASSERT_EDITS_REFUSED(edits);
    assert_edit_accepted("nse", "key_in: charges", "key_in: spin_charges");
    assert_refused_text("srrep_exp", NULL, "reduce_sum: false", "reduce_sum: true",
                        "its place is behind AtomicSum");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_beyond_plain_data_is_refused),
        cmocka_unit_test(yaml_bombs_stay_small),
        cmocka_unit_test(scalars_mean_what_pyyaml_makes_of_them),
        cmocka_unit_test(unknown_classes_and_arguments_are_named),
        cmocka_unit_test(sizes_must_be_sensible_and_agree_with_the_tensors),
        cmocka_unit_test(a_second_basis_that_differs_is_refused_by_name),
        cmocka_unit_test(radii_must_be_positive),
        cmocka_unit_test(options_without_an_equivalent_are_refused),
        cmocka_unit_test(keys_must_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
