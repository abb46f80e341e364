/* SPDX-License-Identifier: MIT */
/* script_outputs.c - the output modules of a TorchScript archive as entries of model_yaml: one
 * function per class of aimnet 0.0.1, in the order of the archive, which is that of execution. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/script_walk.h"
#include "point/units.h"

#define FACTOR_TOLERANCE 1e-9 /* relative; constants of the releases agree to 1e-15 */

void aim_script_yaml(const aim_script_walk *w, const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    const int n = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (w->out->yaml_status == AIMNET_OK)
        w->out->yaml_status = aim_string_append(&w->out->yaml, w->alloc, line,
                                                n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

void aim_script_yaml_number(const aim_script_walk *w, const char *name, double value)
{
    char text[40];
    const size_t n = aim_format_double(text, value);
    const char *point = memchr(text, '.', n) ? "" : ".0";
    const char *exponent = memchr(text, 'e', n);
    const int head = exponent ? (int)(exponent - text) : (int)n; /* YAML's floats have a point */
    aim_script_yaml(w, "%s: %.*s%s%s\n", name, head, text, point, text + head);
}

/* ---------------------------------------------------------------- pieces */

/* "        key_in: charges\n" and so on; key_in NULL: none. */
static aim_status yaml_keys(const aim_script_walk *w, const aim_script_object *o, int has_key_in)
{
    char key[AIM_SCRIPT_CLASS];
    if (has_key_in) {
        AIM_TRY(aim_script_word(w, o, "key_in", key));
        aim_script_yaml(w, "        key_in: %s\n", key);
    }
    AIM_TRY(aim_script_word(w, o, "key_out", key));
    aim_script_yaml(w, "        key_out: %s\n", key);
    return AIMNET_OK;
}

static aim_status yaml_flag(const aim_script_walk *w, const aim_script_object *o, const char *name)
{
    int value = 0;
    AIM_TRY(aim_script_bool(w, o, name, &value));
    aim_script_yaml(w, "        %s: %s\n", name, value ? "true" : "false");
    return AIMNET_OK;
}

static aim_status yaml_numbers(const aim_script_walk *w, const aim_script_object *o,
                               const char *const *names, int n)
{
    char name[32];
    double value = 0.0;
    for (int i = 0; i < n; i++) {
        AIM_TRY(aim_script_float(w, o, names[i], &value));
        snprintf(name, sizeof name, "        %s", names[i]);
        aim_script_yaml_number(w, name, value);
    }
    return AIMNET_OK;
}

static aim_status expect(const aim_script_walk *w, const aim_script_object *o, const char *name,
                         double expected)
{
    double value = 0.0;
    char what[96];
    AIM_TRY(aim_script_float(w, o, name, &value));
    if (fabs(value - expected) <= FACTOR_TOLERANCE * fabs(expected))
        return AIMNET_OK;
    snprintf(what, sizeof what, "%.40s is %.10g instead of %.10g", name, value, expected);
    return aim_script_refuse(o, what);
}

/* ---------------------------------------------------------------- the classes */

static aim_status read_mlp(aim_script_walk *w, const aim_script_object *o)
{
    aim_script_mlp mlp;
    AIM_TRY(aim_script_read_mlp(w, o, "mlp", &mlp));
    aim_script_yaml(w, "        n_in: %lld\n        n_out: %lld\n", (long long)mlp.n_in,
                    (long long)mlp.width[mlp.n_layers - 1]);
    AIM_TRY(yaml_keys(w, o, 1));
    aim_script_yaml(w,
                    "        mlp:\n          activation_fn: torch.nn.GELU\n"
                    "          last_linear: %s\n%s          hidden: [",
                    mlp.last_linear ? "true" : "false", mlp.bias ? "" : "          bias: false\n");
    for (int i = 0; i + 1 < mlp.n_layers; i++)
        aim_script_yaml(w, i ? ", %lld" : "%lld", (long long)mlp.width[i]);
    aim_script_yaml(w, "]\n");
    return AIMNET_OK;
}

static aim_status read_shift(aim_script_walk *w, const aim_script_object *o)
{
    aim_script_object shifts;
    aim_tensor t;
    AIM_TRY(
        aim_script_child(w, o, "shifts", "torch.nn.modules.sparse.Embedding", "weight", &shifts));
    AIM_TRY(aim_script_tensor(w, &shifts, "weight", &t));
    AIM_TRY(yaml_keys(w, o, 1));
    if (t.ndim == 2 && t.shape[0] != 64)
        aim_script_yaml(w, "        num_types: %lld\n", (long long)t.shape[0]);
    return yaml_flag(w, o, "reduce_sum");
}

static aim_status read_sum(aim_script_walk *w, const aim_script_object *o)
{
    return yaml_keys(w, o, 1);
}

static aim_status read_multipole(aim_script_walk *w, const aim_script_object *o)
{
    AIM_TRY(aim_script_tensor(w, o, "mass", NULL));
    AIM_TRY(yaml_keys(w, o, 1));
    return yaml_flag(w, o, "center_coord");
}

static aim_status read_srrep(aim_script_walk *w, const aim_script_object *o)
{
    aim_script_object params;
    char function[AIM_SCRIPT_CLASS];
    double rc = 0.0;
    AIM_TRY(
        aim_script_child(w, o, "params", "torch.nn.modules.sparse.Embedding", "weight", &params));
    AIM_TRY(aim_script_tensor(w, &params, "weight", NULL));
    AIM_TRY(aim_script_scalar(w, o, "rc", &rc));
    AIM_TRY(aim_script_word(w, o, "cutoff_fn", function));
    AIM_TRY(yaml_keys(w, o, 0));
    aim_script_yaml(w, "        cutoff_fn: %s\n", function);
    aim_script_yaml_number(w, "        rc", rc);
    return yaml_flag(w, o, "reduce_sum");
}

static aim_status read_coulomb(aim_script_walk *w, const aim_script_object *o)
{
    char method[AIM_SCRIPT_CLASS];
    double rc = 0.0;
    AIM_TRY(aim_script_word(w, o, "method", method));
    if (strcmp(method, "simple") != 0)
        return aim_script_refuse(o,
                                 "its Coulomb method is not 'simple', the one that was released");
    AIM_TRY(expect(w, o, "_factor", 0.5 * AIM_COULOMB_K));
    AIM_TRY(aim_script_scalar(w, o, "rc", &rc));
    w->has_coulomb = 1;
    aim_script_yaml_number(w, "        rc", rc);
    return yaml_keys(w, o, 1);
}

static aim_status read_disp_param(aim_script_walk *w, const aim_script_object *o)
{
    AIM_TRY(aim_script_tensor(w, o, "disp_param0", NULL));
    return yaml_keys(w, o, 1);
}

static const char *const damping[] = {"s8", "a1", "a2", "s6"};

static aim_status read_d3ts(aim_script_walk *w, const aim_script_object *o)
{
    AIM_TRY(aim_script_tensor(w, o, "r4r2", NULL));
    w->has_d3ts = 1;
    AIM_TRY(yaml_numbers(w, o, damping, 4));
    return yaml_keys(w, o, 1);
}

static aim_status read_dftd3(aim_script_walk *w, const aim_script_object *o)
{
    static const char *const tables[] = {"c6ab", "r4r2", "rcov", "cnmax"};
    for (int i = 0; i < 4; i++)
        AIM_TRY(aim_script_tensor(w, o, tables[i], NULL));
    AIM_TRY(expect(w, o, "k1", -16.0));
    AIM_TRY(expect(w, o, "k3", -4.0));
    if (w->dftd3 != AIM_NO_REF)
        return aim_script_refuse(o, "there is a second DFTD3");
    w->dftd3 = o->attributes;
    AIM_TRY(yaml_numbers(w, o, damping, 4));
    return yaml_keys(w, o, 0);
}

static const struct {
    const char *name, *attributes;
    aim_status (*read)(aim_script_walk *w, const aim_script_object *o);
} classes[] = {
    {"core.Output", "key_in key_out mlp", read_mlp},
    {"core.AtomicShift", "key_in key_out reduce_sum shifts", read_shift},
    {"core.AtomicSum", "key_in key_out", read_sum},
    {"core.Dipole", "mass key_in key_out center_coord", read_multipole},
    {"core.Quadrupole", "mass key_in key_out center_coord", read_multipole},
    {"core.SRRep", "rc key_out cutoff_fn reduce_sum params", read_srrep},
    {"lr.LRCoulomb", "rc key_in key_out _factor dsf_alpha dsf_rc method", read_coulomb},
    {"lr.DispParam", "disp_param0 key_in key_out", read_disp_param},
    {"lr.D3TS", "r4r2 a1 a2 s6 s8 key_in key_out", read_d3ts},
    {"lr.DFTD3", "c6ab r4r2 rcov cnmax key_out s6 s8 s9 a1 a2 a3 k1 k3", read_dftd3},
};

static aim_status read_output(aim_script_walk *w, const aim_script_object *up, const char *name)
{
    static const char package[] = "aimnet.modules.";
    aim_script_object o;
    char what[AIM_SHOWN_SIZE + 64], shown[AIM_SHOWN_SIZE];
    AIM_TRY(aim_script_child(w, up, name, NULL, NULL, &o));
    const int is_ours = strncmp(o.class_name, package, sizeof package - 1) == 0;
    for (size_t i = 0; i < sizeof classes / sizeof *classes && is_ours; i++) {
        if (strcmp(o.class_name + sizeof package - 1, classes[i].name) != 0)
            continue;
        AIM_TRY(aim_script_check(w, &o, classes[i].attributes));
        aim_script_yaml(w, "    %s:\n      class: %s\n      kwargs:\n", name, o.class_name);
        return classes[i].read(w, &o);
    }
    snprintf(what, sizeof what, "its class '%s' is not one of the output modules",
             aim_shown(shown, (aim_slice){o.class_name, strlen(o.class_name)}));
    return aim_script_refuse(&o, what);
}

aim_status aim_script_outputs(aim_script_walk *w, const aim_script_object *model)
{
    aim_script_object o;
    char name[AIM_SCRIPT_CLASS];
    AIM_TRY(aim_script_child(w, model, "outputs", NULL, NULL, &o));
    if (strcmp(o.class_name, "torch.nn.modules.container.ModuleDict") != 0 &&
        strcmp(o.class_name, "torch.nn.modules.container.ModuleList") != 0)
        return aim_script_refuse(&o, "the outputs are no ModuleDict");
    for (aim_items it = aim_pickle_items(w->pickle, o.attributes); aim_script_next(w, &it, name);) {
        for (const char *c = name; *c; c++)
            if (!(*c == '_' || (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
                  (*c >= 'A' && *c <= 'Z')))
                return aim_script_refuse(&o, "the name of an output has other characters than "
                                             "letters, digits and '_'");
        AIM_TRY(read_output(w, &o, name));
    }
    return AIMNET_OK;
}
