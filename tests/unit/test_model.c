/* SPDX-License-Identifier: MIT */
/* test_model.c - what a model file becomes (src/model): numbers, shapes, the program of outputs,
 * and the types of weights that are accepted. */
#include "model_file.h"

#include <math.h>
#include <stdio.h>

#include "aimnet_deriv.h"
#include "aimnet_model.h"
#include "model/model.h"
#include "term/term.h"

static aim_model *load(const char *name)
{
    char path[512];
    aimnet_model *m = NULL;
    snprintf(path, sizeof path, "%s/tests/golden/models/%s.pt", AIM_SOURCE_DIR, name);
    if (aimnet_model_load(path, NULL, &m) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    return m;
}

static aim_model *load_file(const model_file *f)
{
    torch_buffer bytes = model_file_bytes(f);
    aimnet_model *m = NULL;
    if (aimnet_model_load_memory(bytes.at, bytes.n, "changed", NULL, &m) != AIMNET_OK)
        fail_msg("%s", aimnet_last_error());
    torch_buffer_free(&bytes);
    return m;
}

static void assert_refused(model_file *f, const char *why)
{
    torch_buffer bytes = model_file_bytes(f);
    aimnet_model *m = NULL;
    const aim_status status = aimnet_model_load_memory(bytes.at, bytes.n, "changed", NULL, &m);
    if (status != AIMNET_ERR_MODEL || !strstr(aimnet_last_error(), why))
        fail_msg("status %d, \"%s\" does not say \"%s\"", status, aimnet_last_error(), why);
    assert_null(m);
    torch_buffer_free(&bytes);
    model_file_close(f);
}

/* ---------------------------------------------------------------- networks */

static void assert_same_floats(const float *a, const float *b, size_t n)
{
    assert_memory_equal(a, b, n * sizeof *a);
}

static void assert_same_mlp(const aim_mlp *a, const aim_mlp *b)
{
    assert_int_equal(a->n_layers, b->n_layers);
    for (int i = 0; i < a->n_layers; i++) {
        const aim_linear *x = &a->layer[i], *y = &b->layer[i];
        assert_int_equal(x->n_in, y->n_in);
        assert_int_equal(x->n_out, y->n_out);
        assert_int_equal(x->gelu, y->gelu);
        assert_same_floats(x->weight, y->weight, (size_t)x->n_in * (size_t)x->n_out);
        assert_int_equal(x->bias != NULL, y->bias != NULL);
        if (x->bias)
            assert_same_floats(x->bias, y->bias, (size_t)x->n_out);
    }
}

static void assert_same_network(const aim_model *a, const aim_model *b)
{
    const size_t width = (size_t)(a->nfeature * (a->d2features ? a->nshifts : 1));
    assert_int_equal(a->nfeature, b->nfeature);
    assert_int_equal(a->nshifts, b->nshifts);
    assert_int_equal(a->n_pass, b->n_pass);
    assert_true(a->rc == b->rc && a->eta == b->eta);
    assert_same_floats(a->shifts, b->shifts, (size_t)a->nshifts);
    assert_same_floats(a->afv, b->afv, (size_t)a->n_embed * width);
    assert_same_floats(a->conv_a.agh, b->conv_a.agh,
                       (size_t)(a->nfeature * a->nshifts * a->ncomb_v));
    assert_same_floats(a->conv_q.agh, b->conv_q.agh,
                       (size_t)(a->n_charge * a->nshifts * a->ncomb_v));
    for (int i = 0; i < a->n_pass; i++)
        assert_same_mlp(&a->mlp[i], &b->mlp[i]);
}

static void the_default_model_is_what_its_description_says(void **state)
{
    (void)state;
    aimnet_model *m = NULL;
    aimnet_model_info info;
    char hex[65];
    assert_int_equal(aimnet_model_load(NULL, NULL, &m), AIMNET_OK);
    assert_int_equal(aimnet_model_get_info(m, &info), AIMNET_OK);
    assert_string_equal(info.name, "default");
    assert_string_equal(info.format, "v2-pt");
    assert_int_equal(info.n_species, 14);
    assert_int_equal(info.species[13], 53);
    assert_int_equal(info.n_parameters, 879237);
    assert_int_equal(info.num_charge_channels, 1);
    assert_true(info.needs_coulomb && info.needs_dispersion);
    assert_int_equal(info.coulomb_mode, AIMNET_COULOMB_MODE_SR_EMBEDDED);
    assert_true(info.coulomb_sr_rc == 4.6 && info.d3_s8 == 2.111 && info.d3_a2 == 5.054);
    assert_int_equal(aimnet_model_sha256(m, hex), AIMNET_OK);
    assert_string_equal(hex, "99128de7a47e9ed372fa5bf8763aaf4d8174dd4185a53a62ec74cb4ad4198dce");
    assert_int_equal(aimnet_model_file_size(m), 3530112);
    assert_int_equal(m->n_pass, 3);
    assert_int_equal(m->mlp[1].layer[0].n_in, 733);
    assert_int_equal(m->mlp[0].layer[2].gelu, 0);
    assert_int_equal(m->mlp[2].layer[2].gelu, 1);
    aimnet_model_free(m);
}

static void the_file_and_the_built_in_model_are_the_same(void **state)
{
    (void)state;
    aimnet_model *a = NULL, *b = NULL;
    assert_int_equal(aimnet_model_load("default", NULL, &a), AIMNET_OK);
    assert_int_equal(aimnet_model_load(AIM_SOURCE_DIR "/data/default.pt", NULL, &b), AIMNET_OK);
    assert_same_network(a, b);
    aimnet_model_free(a);
    aimnet_model_free(b);
}

static void every_kind_of_network_has_its_shapes(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int d2, channels, passes, nshifts, ncomb, first_in, later_in, first_out, n_outputs;
    } cases[] = {
        {"base", 1, 1, 3, 4, 3, 44, 52, 18, 4},    {"plain", 1, 1, 3, 4, 3, 44, 52, 18, 3},
        {"flat", 0, 1, 3, 5, 3, 36, 45, 6, 4},     {"nse", 1, 2, 3, 4, 3, 44, 60, 20, 4},
        {"nse_flat", 0, 2, 2, 4, 3, 32, 48, 8, 4}, {"pass2", 1, 1, 2, 4, 3, 44, 52, 18, 3},
        {"pass4", 1, 1, 4, 4, 3, 44, 52, 18, 4},   {"aev", 1, 1, 3, 5, 6, 64, 76, 22, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aim_model *m = load(cases[i].name);
        assert_int_equal(m->d2features, cases[i].d2);
        assert_int_equal(m->n_charge, cases[i].channels);
        assert_int_equal(m->n_pass, cases[i].passes);
        assert_int_equal(m->nshifts, cases[i].nshifts);
        assert_int_equal(m->ncomb_v, cases[i].ncomb);
        assert_int_equal(m->mlp[0].layer[0].n_in, cases[i].first_in);
        assert_int_equal(m->mlp[1].layer[0].n_in, cases[i].later_in);
        assert_int_equal(m->mlp[0].layer[m->mlp[0].n_layers - 1].n_out, cases[i].first_out);
        assert_int_equal(m->n_outputs, cases[i].n_outputs);
        assert_int_equal(m->slot[AIM_SLOT_SPIN_CHARGES].key[0] != '\0', cases[i].channels == 2);
        for (int p = 0; p < m->n_pass; p++)
            assert_int_equal(m->mlp[p].layer[m->mlp[p].n_layers - 1].gelu, p > 0);
        aimnet_model_free(m);
    }
}

static void rows_of_other_elements_are_zero_and_not_nan(void **state)
{
    (void)state;
    aim_model *m = load("base");
    for (int z = 0; z < m->n_embed; z++) {
        float sum = 0.0f;
        for (int k = 0; k < 16; k++)
            sum += fabsf(m->afv[16 * z + k]);
        assert_true(m->implemented[z] ? sum > 0.0f : sum == 0.0f);
    }
    aimnet_model_free(m);
}

/* ---------------------------------------------------------------- outputs */

static const aim_output *output(const aim_model *m, const char *name)
{
    for (int i = 0; i < m->n_outputs; i++)
        if (strcmp(m->output[i].name, name) == 0)
            return &m->output[i];
    fail_msg("no output %s", name);
    return NULL;
}

static void keys_become_slots_in_the_order_of_the_file(void **state)
{
    (void)state;
    aim_model *m = load("d3ts");
    static const char *const names[] = {"energy_mlp", "atomic_shift", "atomic_sum",
                                        "disp_mlp",   "disp_param",   "d3ts"};
    static const int expected[][3] = {{0, -1, 3}, {3, -1, 4}, {4, -1, 5},
                                      {0, -1, 6}, {6, -1, 7}, {7, 5, 8}};
    assert_int_equal(m->n_outputs, 6);
    for (int i = 0; i < 6; i++) {
        assert_string_equal(m->output[i].name, names[i]);
        assert_int_equal(m->output[i].in, expected[i][0]);
        assert_int_equal(m->output[i].base, expected[i][1]);
        assert_int_equal(m->output[i].out, expected[i][2]);
    }
    assert_int_equal(m->energy_slot, 8);
    assert_int_equal(m->slot[7].width, 2);
    assert_int_equal(m->slot[5].kind, AIM_VALUE_SYSTEM);
    const aim_output *d3ts = output(m, "d3ts");
    assert_true(d3ts->s6 == 1.0 && d3ts->s8 == 0.9 && d3ts->a1 == 0.45 && d3ts->a2 == 4.2);
    assert_int_equal(d3ts->n_table, 119);
    assert_true(m->has_embedded_d3ts && m->has_embedded_lr);
    const aim_output *param = output(m, "disp_param");
    assert_true(param->n_table == 87 && param->table[0] == 0.0 && param->table[1] == 1.0);
    aimnet_model_free(m);
}

static void options_of_outputs_are_those_of_the_file(void **state)
{
    (void)state;
    aim_model *m = load("srrep_exp");
    const aim_output *out = output(m, "srrep");
    assert_int_equal(out->envelope, AIM_ENVELOPE_EXP);
    assert_int_equal(out->reduce_sum, 0);
    assert_int_equal(m->slot[out->out].kind, AIM_VALUE_ATOM);
    assert_true(out->base >= 0 && out->in == -1 && out->rc == (double)4.8f && out->n_table == 87);
    aimnet_model_free(m);

    m = load("srrep_none");
    out = output(m, "srrep");
    assert_int_equal(out->envelope, AIM_ENVELOPE_NONE);
    assert_string_equal(m->slot[out->out].key, "e_rep");
    assert_int_equal(out->base, -1);
    aimnet_model_free(m);

    m = load("lr_dsf");
    out = output(m, "lrcoulomb");
    assert_int_equal(out->method, AIMNET_COULOMB_DSF);
    assert_int_equal(out->envelope, AIM_ENVELOPE_COSINE);
    assert_true(out->subtract_sr && out->dsf_alpha == 0.25 && out->dsf_rc == 9.0);
    assert_true(out->rc == (double)4.4f && out->in == AIM_SLOT_CHARGES);
    aimnet_model_free(m);

    m = load("multipoles_centred");
    assert_int_equal(output(m, "dipole")->center_coord, 1);
    assert_int_equal(m->slot[output(m, "quadrupole")->out].width, 6);
    assert_true(fabs(output(m, "dipole")->table[8] - 15.999) < 0.01);
    aimnet_model_free(m);

    m = load("shift_reduce");
    assert_int_equal(output(m, "atomic_shift")->reduce_sum, 1);
    assert_int_equal(m->slot[m->energy_slot].kind, AIM_VALUE_SYSTEM);
    aimnet_model_free(m);
}

static void options_of_mlp_heads_are_followed(void **state)
{
    (void)state;
    aim_model *m = load("mlp_options");
    const aim_mlp *energy = &output(m, "energy_mlp")->mlp, *extra = &output(m, "extra")->mlp;
    assert_int_equal(energy->n_layers, 3); /* the width 0 is left out */
    assert_int_equal(energy->layer[1].n_out, 4);
    assert_null(energy->layer[0].bias);
    assert_int_equal(extra->n_layers, 1);
    assert_int_equal(extra->layer[0].gelu, 1);
    assert_int_equal(m->slot[output(m, "extra_sum")->out].width, 3);
    assert_string_equal(m->slot[output(m, "charge_sum")->out].key, "total_charge");
    aimnet_model_free(m);
}

static void outputs_may_be_a_list(void **state)
{
    (void)state;
    aim_model *m = load("list");
    assert_int_equal(m->n_outputs, 5);
    assert_string_equal(m->output[3].name, "3");
    assert_int_equal(m->output[3].kind, AIM_OUT_SRCOULOMB);
    assert_string_equal(m->slot[m->output[4].out].key, "mu");
    aimnet_model_free(m);
}

static void aliases_and_other_spellings_mean_the_same(void **state)
{
    (void)state;
    model_file f;
    model_file_open(&f, "base");
    model_file_yaml(&f, "aimnet.models.AIMNet2", "aimnet.models.aimnet2.AIMNet2");
    model_file_yaml(&f, "aimnet.modules.Output", "aimnet.modules.core.Output");
    model_file_yaml(&f, "aimnet.modules.SRCoulomb", "aimnet.modules.lr.SRCoulomb");
    model_file_yaml(&f, "  - - 8\n    - 6\n  - - 8\n    - 6\n  - - 8\n    - 6\n",
                    "  - &h [8, 6]\n  - *h\n  - *h\n");
    aim_model *a = load("base"), *b = load_file(&f);
    assert_same_network(a, b);
    aimnet_model_free(a);
    aimnet_model_free(b);
    model_file_close(&f);
}

/* ---------------------------------------------------------------- types of weights */

static void wider_and_narrower_weights_are_converted_exactly(void **state)
{
    (void)state;
    aim_model *base = load("base"), *wide = load("double");
    assert_same_network(base, wide);
    const aim_output *a = output(base, "atomic_shift"), *b = output(wide, "atomic_shift");
    assert_memory_equal(a->shift, b->shift, 64 * sizeof(double));
    assert_true(a->shift[6] != (double)(float)a->shift[6]);
    aimnet_model_free(wide);
    static const char *const names[] = {"half", "bfloat16"};
    for (int k = 0; k < 2; k++) {
        aim_model *m = load(names[k]);
        const float x = base->mlp[0].layer[0].weight[5], y = m->mlp[0].layer[0].weight[5];
        assert_true(y != x && fabsf(y - x) <= fabsf(x) * (k ? 0x1p-8f : 0x1p-11f));
        assert_memory_equal(output(m, "atomic_shift")->shift, a->shift, 64 * sizeof(double));
        aimnet_model_free(m);
    }
    aimnet_model_free(base);
}

static void transposed_weights_are_gathered(void **state)
{
    (void)state;
    model_file f;
    model_file_open(&f, "base");
    model_tensor *t = model_file_tensor(&f, "mlps.0.2.weight"); /* [6][8] */
    float moved[48];
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 8; k++)
            memcpy(&moved[6 * k + i], t->data.at + 4 * (8 * i + k), 4);
    memcpy(t->data.at, moved, sizeof moved);
    t->stride[0] = 1;
    t->stride[1] = 6;
    aim_model *a = load("base"), *b = load_file(&f);
    assert_same_network(a, b);
    aimnet_model_free(a);
    aimnet_model_free(b);
    model_file_close(&f);
}

static void set_float(model_tensor *t, size_t i, float value)
{
    memcpy(t->data.at + 4 * i, &value, sizeof value);
}

static void weights_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    model_file f;
    model_file_open(&f, "base");
    set_float(model_file_tensor(&f, "mlps.1.0.weight"), 7, NAN);
    assert_refused(&f, "tensor 'mlps.1.0.weight': element 7 is NaN");
    model_file_open(&f, "base");
    set_float(model_file_tensor(&f, "conv_q.agh"), 0, -INFINITY);
    assert_refused(&f, "tensor 'conv_q.agh'");
    model_file_open(&f, "base");
    set_float(model_file_tensor(&f, "afv.weight"), 6 * 16 + 1, NAN);
    assert_refused(&f, "row of atomic number 6 is NaN");
    model_file_open(&f, "base");
    set_float(model_file_tensor(&f, "outputs.srcoulomb.rc"), 0, NAN);
    assert_refused(&f, "tensor 'outputs.srcoulomb.rc'");
    model_file_open(&f, "base");
    model_tensor *shifts = model_file_tensor(&f, "outputs.atomic_shift.shifts.weight");
    const double nan_value = NAN;
    memcpy(shifts->data.at + 8 * 8, &nan_value, 8);
    assert_refused(&f, "row of atomic number 8");
    model_file_open(&f, "base");
    shifts = model_file_tensor(&f, "outputs.atomic_shift.shifts.weight");
    memcpy(shifts->data.at + 8 * 26, &nan_value, 8); /* iron is not implemented */
    aim_model *m = load_file(&f);
    assert_true(output(m, "atomic_shift")->shift[26] == 0.0);
    aimnet_model_free(m);
    model_file_close(&f);
}

/* Energy and forces of such a network are finite, its second derivatives overflow. */
static void second_derivatives_that_overflow_are_an_error(void **state)
{
    (void)state;
    const int32_t numbers[3] = {8, 1, 1};
    const double coord[9] = {0, 0, 0.1173, 0, 0.7572, -0.4692, 0, -0.7572, -0.4692};
    const aimnet_system s = {.n_atoms = 3, .numbers = numbers, .coord = coord};
    double hessian[81], forces[9];
    aimnet_result r[2] = {{.hessian = hessian}, {.forces = forces}};
    model_file f;
    model_file_open(&f, "base");
    model_tensor *t = model_file_tensor(&f, "mlps.0.0.weight");
    for (size_t i = 0; i < t->data.n / 4; i++)
        set_float(t, i, 1e20f);
    aim_model *m = load_file(&f);
    aimnet_calc *calc = NULL;
    assert_int_equal(aimnet_calc_create(&m, 1, NULL, &calc), AIMNET_OK);
    assert_int_equal(aimnet_calc_eval(calc, (aimnet_system[2]){s, s}, 2, r),
                     AIMNET_ERR_SOME_FAILED);
    assert_int_equal(r[0].status, AIMNET_ERR_SYSTEM);
    assert_non_null(strstr(r[0].message, "second derivatives are not finite"));
    assert_int_equal(r[1].status, AIMNET_OK);
    const double v[9] = {1};
    double hv[9], loss = 0.0;
    const aimnet_hvp job = {.n_directions = 1, .v = v, .hv = hv};
    assert_int_equal(aimnet_calc_hvp(calc, &s, &job), AIMNET_ERR_SYSTEM);
    const aimnet_target target = {.energy = 1e200};
    const aimnet_loss_weights weights = {.energy = 1.0};
    assert_int_equal(aimnet_calc_loss(calc, &s, &target, 1, &weights, &loss, NULL, NULL),
                     AIMNET_ERR_SYSTEM);
    aimnet_calc_free(calc);
    aimnet_model_free(m);
    model_file_close(&f);
}

static void weights_of_wrong_type_or_shape_are_refused_by_name(void **state)
{
    (void)state;
    model_file f;
    model_file_open(&f, "double");
    const double third = 1.0 / 3.0;
    memcpy(model_file_tensor(&f, "mlps.0.0.bias")->data.at + 16, &third, 8);
    assert_refused(&f, "tensor 'mlps.0.0.bias': float64 element 2");
    model_file_open(&f, "double");
    memcpy(model_file_tensor(&f, "aev.eta_s")->data.at, &third, 8);
    assert_refused(&f, "tensor 'aev.eta_s': float64 element 0");
    model_file_open(&f, "base");
    model_file_tensor(&f, "mlps.2.0.bias")->storage = "IntStorage";
    assert_refused(&f, "tensor 'mlps.2.0.bias': type int32");
    model_file_open(&f, "base");
    model_file_tensor(&f, "conv_a.agh")->name[0] = '\0';
    assert_refused(&f, "tensor 'conv_a.agh' is missing");
    model_file_open(&f, "base");
    snprintf(model_file_tensor(&f, "aev.rc_v")->name, 128, "aev.rc_w");
    assert_refused(&f, "tensor 'aev.rc_v' is missing");
    model_file_open(&f, "base");
    model_tensor *t = model_file_tensor(&f, "mlps.0.0.weight");
    t->shape[0] = 4;
    assert_refused(&f, "has shape [4, 44] where the architecture needs [8, 44]");
    model_file_open(&f, "plain");
    t = &f.tensor[f.n_tensors++];
    snprintf(t->name, sizeof t->name, "outputs.extra.weight");
    t->storage = "FloatStorage";
    torch_put(&t->data, "\0\0\0\0", 4);
    assert_refused(&f, "tensor 'outputs.extra.weight' belongs to nothing");
}

static void leftovers_of_exporters_are_tolerated_and_reported(void **state)
{
    (void)state;
    model_file f;
    aimnet_tensor_info info;
    char *text = NULL;
    model_file_open(&f, "plain");
    model_tensor *t = &f.tensor[f.n_tensors++];
    snprintf(t->name, sizeof t->name, "outputs.dipole.mass");
    t->storage = "FloatStorage";
    torch_put(&t->data, "\0\0\0\0", 4);
    model_file_set_text(&f, "comment", "trained yesterday");
    aim_model *m = load_file(&f);
    const int last = aimnet_model_tensor_count(m) - 1;
    assert_int_equal(aimnet_model_tensor(m, last, &info), AIMNET_OK);
    assert_string_equal(info.name, "outputs.dipole.mass");
    assert_int_equal(info.used, 0);
    assert_int_equal(aimnet_model_tensor(m, 0, &info), AIMNET_OK);
    assert_int_equal(info.used, 1);
    assert_int_equal(aimnet_model_tensor(m, last + 1, &info), AIMNET_ERR_ARG);
    assert_int_equal(aimnet_model_describe(m, AIMNET_DESCRIBE_JSON, &text), AIMNET_OK);
    assert_non_null(strstr(text, "\"ignored\": [\"comment\"]"));
    aimnet_model_text_free(m, text);
    aimnet_model_free(m);
    model_file_close(&f);
}

/* ---------------------------------------------------------------- D3 tables */

static void assert_shipped_table(const aim_d3_data *d)
{
    const aim_alloc a = aim_alloc_default();
    aim_d3_table *t = NULL;
    assert_int_equal(aim_d3_table_create(&a, &t), AIMNET_OK);
    assert_int_equal(d->n_elements, t->n_elements);
    assert_int_equal(d->n_refs, t->n_refs);
    const size_t n = (size_t)d->n_elements, refs = (size_t)d->n_refs;
    assert_memory_equal(d->first, t->first, (n + 1) * sizeof *d->first);
    assert_memory_equal(d->rcov, t->rcov, n * sizeof(double));
    assert_memory_equal(d->r4r2, t->r4r2, n * sizeof(double));
    assert_memory_equal(d->cn, t->cn, refs * sizeof(double));
    assert_memory_equal(d->c6, t->c6, refs * refs * sizeof(double));
    aim_d3_table_free(t, &a);
}

/* Joins c6ab and cn_ref to the one tensor [95][95][5][5][3] of older files. */
static void pack_tables(model_file *f)
{
    model_tensor *c6 = model_file_tensor(f, "outputs.dftd3.c6ab");
    model_tensor *cn = model_file_tensor(f, "outputs.dftd3.cn_ref");
    static const int64_t shape[] = {95, 95, 5, 5, 3}, stride[] = {7125, 75, 15, 3, 1};
    torch_buffer packed = {0};
    for (size_t i = 0; i < c6->data.n; i += 4) {
        torch_put(&packed, c6->data.at + i, 4);
        torch_put(&packed, cn->data.at + i, 4);
        torch_put(&packed, "\0\0\0\0", 4);
    }
    torch_buffer_free(&c6->data);
    c6->data = packed;
    c6->ndim = 5;
    memcpy(c6->shape, shape, sizeof shape);
    memcpy(c6->stride, stride, sizeof stride);
    cn->name[0] = '\0';
}

static void d3_tables_of_both_layouts_are_the_shipped_ones(void **state)
{
    (void)state;
    aim_model *m = load("lr_dftd3");
    const aim_output *out = output(m, "dftd3");
    assert_shipped_table(out->d3);
    assert_true(out->cutoff == 10.0 && out->smoothing == 0.3 && out->s8 == 0.3908);
    assert_true(m->has_embedded_lr && !m->has_embedded_d3ts);
    aimnet_model_free(m);
    model_file f;
    model_file_open(&f, "lr_dftd3");
    pack_tables(&f);
    m = load_file(&f);
    assert_shipped_table(output(m, "dftd3")->d3);
    aimnet_model_free(m);
    model_file_close(&f);
}

static void inconsistent_d3_tables_are_refused(void **state)
{
    (void)state;
    const size_t hydrogen = (95 + 1) * 25; /* [1][1][0][0] */
    const struct {
        const char *tensor;
        size_t at;
        float value;
        const char *why;
    } cases[] = {{"outputs.dftd3.c6ab", hydrogen + 1, 3.0f, "not symmetric"},
                 {"outputs.dftd3.c6ab", hydrogen, -3.0f, "not positive"},
                 {"outputs.dftd3.c6ab", hydrogen, NAN, "not positive"},
                 {"outputs.dftd3.c6ab", hydrogen, 0.0f, "is missing"},
                 {"outputs.dftd3.cn_ref", hydrogen, 0.5f, "inconsistent"},
                 {"outputs.dftd3.rcov", 3, INFINITY, "row 3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model_file f;
        model_file_open(&f, "lr_dftd3");
        set_float(model_file_tensor(&f, cases[i].tensor), cases[i].at, cases[i].value);
        assert_refused(&f, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_model_is_what_its_description_says),
        cmocka_unit_test(the_file_and_the_built_in_model_are_the_same),
        cmocka_unit_test(every_kind_of_network_has_its_shapes),
        cmocka_unit_test(rows_of_other_elements_are_zero_and_not_nan),
        cmocka_unit_test(keys_become_slots_in_the_order_of_the_file),
        cmocka_unit_test(options_of_outputs_are_those_of_the_file),
        cmocka_unit_test(options_of_mlp_heads_are_followed),
        cmocka_unit_test(outputs_may_be_a_list),
        cmocka_unit_test(aliases_and_other_spellings_mean_the_same),
        cmocka_unit_test(wider_and_narrower_weights_are_converted_exactly),
        cmocka_unit_test(transposed_weights_are_gathered),
        cmocka_unit_test(weights_that_are_not_finite_are_refused),
        cmocka_unit_test(second_derivatives_that_overflow_are_an_error),
        cmocka_unit_test(weights_of_wrong_type_or_shape_are_refused_by_name),
        cmocka_unit_test(leftovers_of_exporters_are_tolerated_and_reported),
        cmocka_unit_test(d3_tables_of_both_layouts_are_the_shipped_ones),
        cmocka_unit_test(inconsistent_d3_tables_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
