/* SPDX-License-Identifier: MIT */
/* outputs.c - the ordered list of output modules: one reader per class, keys resolved to value
 * slots.
 *
 * Keys name values that are passed from module to module. Reading a key takes its latest slot;
 * writing makes a new one, so that the program can be run backwards. A module that adds to what its
 * key held before remembers that slot as `base`. What a key holds is checked where it is used: per
 * atom or per system, and how many numbers - the reference would broadcast silently. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/build.h"

/* One module being read. */
typedef struct module {
    aim_builder *b;
    const aim_where *where; /* of its kwargs */
    int kwargs;             /* YAML node */
    aim_output *out;
    char prefix[AIM_NAME_SIZE]; /* of its tensors: "outputs.<name>" */
} module;

static aim_status fail(const module *x, const char *what)
{
    char place[AIM_WHERE_SIZE];
    return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s: %s", aim_where_text(place, x->where), what);
}

/* ---------------------------------------------------------------- slots */

/* Latest slot of a key, or -1. */
static int find_slot(const aim_model *m, const char *key)
{
    for (int i = m->n_slots; i-- > 0;)
        if (m->slot[i].key[0] != '\0' && strcmp(m->slot[i].key, key) == 0)
            return i;
    return -1;
}

static aim_status read_slot(const module *x, const char *key, aim_value_kind kind, int width)
{
    const aim_model *m = x->b->m;
    char place[AIM_WHERE_SIZE], shown[AIM_SHOWN_SIZE];
    const int slot = find_slot(m, key);
    if (slot < 0)
        return AIM_FAIL(
            AIMNET_ERR_MODEL, "model_yaml: %s: nothing before this module makes key '%s'",
            aim_where_text(place, x->where), aim_shown(shown, (aim_slice){key, strlen(key)}));
    if (m->slot[slot].kind != kind || (width > 0 && m->slot[slot].width != width))
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "model_yaml: %s: key '%s' holds %d numbers per %s where %d per %s are needed",
            aim_where_text(place, x->where), key, m->slot[slot].width,
            m->slot[slot].kind == AIM_VALUE_ATOM ? "atom" : "system",
            width > 0 ? width : m->slot[slot].width, kind == AIM_VALUE_ATOM ? "atom" : "system");
    if (slot == AIM_SLOT_AIM && x->out->kind != AIM_OUT_MLP)
        return fail(x,
                    "key_in must not be 'aim', the output of the network, which only Output reads");
    x->out->in = slot;
    return AIMNET_OK;
}

/* Charges of a Coulomb sum: those of the network. */
static aim_status read_charges(const module *x, const char *key)
{
    AIM_TRY(read_slot(x, key, AIM_VALUE_ATOM, 1));
    if (x->out->in >= AIM_SLOT_FIRST_FREE)
        return fail(x, "key_in of a Coulomb sum must be 'charges' or 'spin_charges'");
    return AIMNET_OK;
}

/* Names of the reference's own data, which an output would overwrite. */
static int is_reserved(const char *key)
{
    static const char *const reserved[] = {
        "aim",     "charges", "spin_charges", "charges_pre", "charge",  "mult",
        "numbers", "coord",   "cell",         "pbc",         "mol_idx", "mol_sizes",
        "a",       "g_sv",    "forces",       "stress",      "hessian"};
    static const char *const prefixes[] = {"_", "nbmat", "shifts", "d_ij", "mask_", "cutoff_"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (strcmp(key, reserved[i]) == 0)
            return 1;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
            return 1;
    return 0;
}

static aim_status check_word(const module *x, const char *what, const char *word)
{
    char place[AIM_WHERE_SIZE], shown[AIM_SHOWN_SIZE];
    size_t n = 0;
    while (word[n] > ' ' && word[n] <= '~' && word[n] != '.' && word[n] != '/' && word[n] != '"' &&
           word[n] != '\\')
        n++;
    if (word[n] == '\0' && n > 0 && n < sizeof x->out->name)
        return AIMNET_OK;
    return AIM_FAIL(
        AIMNET_ERR_MODEL, "model_yaml: %s: %s '%s' must have 1 to 63 letters, digits or '_'",
        aim_where_text(place, x->where), what, aim_shown(shown, (aim_slice){word, strlen(word)}));
}

/* Makes the slot that this module writes. added: the key's old value, if there is one, is part of
 * the new one. */
static aim_status write_slot(const module *x, const char *key, aim_value_kind kind, int width,
                             int added)
{
    aim_model *m = x->b->m;
    char place[AIM_WHERE_SIZE];
    AIM_TRY(check_word(x, "key_out", key));
    if (is_reserved(key))
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "model_yaml: %s: key_out '%s' is a name of the network's own data",
                        aim_where_text(place, x->where), key);
    const int old = added ? find_slot(m, key) : -1;
    if (old >= 0 && (m->slot[old].kind != kind || m->slot[old].width != width))
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "model_yaml: %s: adds one number per %s to key '%s', which holds %d per "
                        "%s; its place is %s",
                        aim_where_text(place, x->where), kind == AIM_VALUE_ATOM ? "atom" : "system",
                        key, m->slot[old].width,
                        m->slot[old].kind == AIM_VALUE_ATOM ? "atom" : "system",
                        kind == AIM_VALUE_ATOM ? "before AtomicSum" : "behind AtomicSum");
    x->out->base = old;
    x->out->out = m->n_slots;
    aim_slot *slot = &m->slot[m->n_slots++];
    snprintf(slot->key, sizeof slot->key, "%s", key);
    slot->kind = kind;
    slot->width = width;
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- shared pieces */

static aim_status args(const module *x, const aim_arg *table, int n)
{
    return aim_args_read(&x->b->yaml, x->where, x->kwargs, table, n);
}
#define ARGS(x, table) args((x), (table), (int)(sizeof(table) / sizeof *(table)))

static aim_status bind(const module *x, const char *tensor, aim_expected expected)
{
    char name[AIM_NAME_SIZE + 32];
    snprintf(name, sizeof name, "%s.%s", x->prefix, tensor);
    expected.name = name;
    return aim_bind(x->b, &expected);
}

static aim_status bind_rows(const module *x, const char *tensor, const double **place, int ndim,
                            int width)
{
    return bind(x, tensor,
                (aim_expected){.into = AIM_INTO_DOUBLES,
                               .place = place,
                               .per_element = 1,
                               .ndim = ndim,
                               .shape = {-1, width},
                               .rows = &x->out->n_table});
}

static aim_status bind_rc(const module *x)
{
    return bind(x, "rc", (aim_expected){.into = AIM_INTO_SCALAR, .place = &x->out->rc});
}

static aim_status read_envelope(const module *x, const char *name)
{
    if (strcmp(name, "exp") != 0 && strcmp(name, "cosine") != 0)
        return fail(x, "envelope must be 'exp' or 'cosine'");
    x->out->envelope = name[0] == 'e' ? AIM_ENVELOPE_EXP : AIM_ENVELOPE_COSINE;
    return AIMNET_OK;
}

static aim_status check_damping(const module *x)
{
    if (x->out->a1 == 0.0 && x->out->a2 == 0.0)
        return fail(x, "a1 and a2 are both 0, which leaves 1/r^6 undamped");
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- the classes */

static aim_status read_mlp_options(const module *x, int node, aim_mlp_spec *spec)
{
    const char *activation = "torch.nn.GELU", *init = "torch.nn.init.xavier_normal_",
               *approximate = "none";
    int activation_kwargs = AIM_YAML_NONE;
    const aim_where where = {x->where, "mlp", 0}, in_activation = {&where, "activation_kwargs", 0};
    const aim_arg table[] = {{"hidden", AIM_ARG_NODE, &spec->hidden, 0},
                             {"activation_fn", AIM_ARG_TEXT, &activation, 0},
                             {"activation_kwargs", AIM_ARG_NODE, &activation_kwargs, 0},
                             {"weight_init_fn", AIM_ARG_TEXT, &init, 0},
                             {"bias", AIM_ARG_BOOL, &spec->bias, 0},
                             {"last_linear", AIM_ARG_BOOL, &spec->last_linear, 0}};
    const aim_arg gelu[] = {{"approximate", AIM_ARG_TEXT, &approximate, 0}};
    spec->hidden = AIM_YAML_NONE;
    spec->bias = spec->last_linear = 1;
    AIM_TRY(aim_args_read(&x->b->yaml, &where, node, table, sizeof table / sizeof *table));
    if (strcmp(activation, "torch.nn.GELU") != 0)
        return fail(x, "mlp.activation_fn must be torch.nn.GELU");
    if (strcmp(init, "torch.nn.init.xavier_normal_") != 0)
        return fail(
            x, "mlp.weight_init_fn must be torch.nn.init.xavier_normal_ (it has no effect here)");
    AIM_TRY(aim_args_read(&x->b->yaml, &in_activation, activation_kwargs, gelu, 1));
    if (strcmp(approximate, "none") != 0)
        return fail(x, "mlp.activation_kwargs.approximate must be 'none': the approximate GELU is "
                       "not supported");
    return AIMNET_OK;
}

static aim_status read_mlp(module *x)
{
    const char *key_in = "", *key_out = "";
    int mlp = AIM_YAML_NONE, n_in = 0, n_out = 0;
    aim_mlp_spec spec = {0, 0, AIM_YAML_NONE, 1, 1};
    char prefix[AIM_NAME_SIZE];
    const aim_where where = {x->where, "mlp.hidden", 0};
    const aim_arg table[] = {{"mlp", AIM_ARG_NODE, &mlp, 1},
                             {"n_in", AIM_ARG_COUNT, &n_in, 1},
                             {"n_out", AIM_ARG_COUNT, &n_out, 1},
                             {"key_in", AIM_ARG_TEXT, &key_in, 1},
                             {"key_out", AIM_ARG_TEXT, &key_out, 1}};
    AIM_TRY(ARGS(x, table));
    if (strcmp(key_in, "aim") != 0)
        return fail(x, "key_in must be 'aim', the output of the network");
    AIM_TRY(read_slot(x, key_in, AIM_VALUE_ATOM, n_in));
    AIM_TRY(read_mlp_options(x, mlp, &spec));
    spec.n_in = n_in;
    spec.n_out = n_out;
    snprintf(prefix, sizeof prefix, "%.180s.mlp", x->prefix);
    AIM_TRY(aim_mlp_read(x->b, &where, &spec, prefix, &x->out->mlp));
    return write_slot(x, key_out, AIM_VALUE_ATOM, n_out, 0);
}

static aim_status read_shift(module *x)
{
    const char *key_in = "", *key_out = "";
    int types = 64, requires_grad = 1;
    const aim_arg table[] = {{"key_in", AIM_ARG_TEXT, &key_in, 1},
                             {"key_out", AIM_ARG_TEXT, &key_out, 1},
                             {"num_types", AIM_ARG_COUNT, &types, 0},
                             {"dtype", AIM_ARG_REFUSED, "the type is that of the tensor", 0},
                             {"requires_grad", AIM_ARG_BOOL, &requires_grad, 0},
                             {"reduce_sum", AIM_ARG_BOOL, &x->out->reduce_sum, 0}};
    AIM_TRY(ARGS(x, table));
    const aim_value_kind kind = x->out->reduce_sum ? AIM_VALUE_SYSTEM : AIM_VALUE_ATOM;
    AIM_TRY(read_slot(x, key_in, kind, 1));
    AIM_TRY(bind(x, "shifts.weight",
                 (aim_expected){.into = AIM_INTO_DOUBLES,
                                .place = &x->out->shift,
                                .per_element = 1,
                                .stored64 = 1,
                                .ndim = 2,
                                .shape = {types, 1},
                                .rows = &x->out->n_table}));
    return write_slot(x, key_out, kind, 1, 0);
}

static aim_status read_sum(module *x)
{
    const char *key_in = "", *key_out = "";
    const aim_arg table[] = {{"key_in", AIM_ARG_TEXT, &key_in, 1},
                             {"key_out", AIM_ARG_TEXT, &key_out, 1}};
    AIM_TRY(ARGS(x, table));
    AIM_TRY(read_slot(x, key_in, AIM_VALUE_ATOM, 0));
    return write_slot(x, key_out, AIM_VALUE_SYSTEM, x->b->m->slot[x->out->in].width, 0);
}

static aim_status read_multipole(module *x)
{
    const int dipole = x->out->kind == AIM_OUT_DIPOLE;
    const char *key_in = "charges", *key_out = dipole ? "dipole" : "quadrupole";
    const aim_arg table[] = {{"key_in", AIM_ARG_TEXT, &key_in, 0},
                             {"key_out", AIM_ARG_TEXT, &key_out, 0},
                             {"center_coord", AIM_ARG_BOOL, &x->out->center_coord, 0}};
    AIM_TRY(ARGS(x, table));
    AIM_TRY(read_slot(x, key_in, AIM_VALUE_ATOM, 1));
    AIM_TRY(bind_rows(x, "mass", &x->out->table, 1, 0));
    return write_slot(x, key_out, AIM_VALUE_SYSTEM, dipole ? 3 : 6, 0);
}

static aim_status read_srcoulomb(module *x)
{
    const char *key_in = "charges", *key_out = "energy", *envelope = "exp";
    double rc = 4.6;
    const aim_arg table[] = {{"rc", AIM_ARG_POSITIVE, &rc, 0},
                             {"key_in", AIM_ARG_TEXT, &key_in, 0},
                             {"key_out", AIM_ARG_TEXT, &key_out, 0},
                             {"envelope", AIM_ARG_TEXT, &envelope, 0}};
    AIM_TRY(ARGS(x, table));
    AIM_TRY(read_envelope(x, envelope));
    AIM_TRY(read_charges(x, key_in));
    x->out->yaml_rc = rc;
    AIM_TRY(bind_rc(x));
    return write_slot(x, key_out, AIM_VALUE_SYSTEM, 1, 1);
}

static aim_status read_srrep(module *x)
{
    static const char *const functions[] = {"exp_cutoff", "cosine_cutoff",
                                            "none"}; /* in the order of aim_envelope */
    const char *key_out = "e_rep", *function = "none";
    double rc = 5.2;
    const aim_arg table[] = {{"key_out", AIM_ARG_TEXT, &key_out, 0},
                             {"cutoff_fn", AIM_ARG_TEXT, &function, 0},
                             {"rc", AIM_ARG_POSITIVE, &rc, 0},
                             {"reduce_sum", AIM_ARG_BOOL, &x->out->reduce_sum, 0}};
    int k = 0;
    x->out->reduce_sum = 1;
    AIM_TRY(ARGS(x, table));
    while (k < 3 && strcmp(function, functions[k]) != 0)
        k++;
    if (k == 3)
        return fail(x, "cutoff_fn must be 'none', 'exp_cutoff' or 'cosine_cutoff'");
    x->out->envelope = (aim_envelope)k;
    AIM_TRY(bind_rows(x, "params.weight", &x->out->table, 2, 2));
    AIM_TRY(bind_rc(x));
    return write_slot(x, key_out, x->out->reduce_sum ? AIM_VALUE_SYSTEM : AIM_VALUE_ATOM, 1, 1);
}

static aim_status read_disp_param(module *x)
{
    const char *key_in = "disp_param", *key_out = "disp_param";
    static const char reason[] = "the reference values are those of the tensor disp_param0";
    const aim_arg table[] = {{"ref_c6", AIM_ARG_REFUSED, (void *)(uintptr_t)reason, 0},
                             {"ref_alpha", AIM_ARG_REFUSED, (void *)(uintptr_t)reason, 0},
                             {"ptfile", AIM_ARG_REFUSED,
                              (void *)(uintptr_t) "a model file must not name other files", 0},
                             {"key_in", AIM_ARG_TEXT, &key_in, 0},
                             {"key_out", AIM_ARG_TEXT, &key_out, 0}};
    AIM_TRY(ARGS(x, table));
    AIM_TRY(read_slot(x, key_in, AIM_VALUE_ATOM, 2));
    AIM_TRY(bind_rows(x, "disp_param0", &x->out->table, 2, 2));
    return write_slot(x, key_out, AIM_VALUE_ATOM, 2, 0);
}

static aim_status read_d3ts(module *x)
{
    const char *key_in = "disp_param", *key_out = "energy";
    aim_output *out = x->out;
    const aim_arg table[] = {
        {"a1", AIM_ARG_NOT_NEGATIVE, &out->a1, 1}, {"a2", AIM_ARG_NOT_NEGATIVE, &out->a2, 1},
        {"s8", AIM_ARG_NOT_NEGATIVE, &out->s8, 1}, {"s6", AIM_ARG_NOT_NEGATIVE, &out->s6, 0},
        {"key_in", AIM_ARG_TEXT, &key_in, 0},      {"key_out", AIM_ARG_TEXT, &key_out, 0}};
    out->s6 = 1.0;
    AIM_TRY(ARGS(x, table));
    AIM_TRY(check_damping(x));
    AIM_TRY(read_slot(x, key_in, AIM_VALUE_ATOM, 2));
    AIM_TRY(bind_rows(x, "r4r2", &out->table, 1, 0));
    return write_slot(x, key_out, AIM_VALUE_SYSTEM, 1, 1);
}

static aim_status read_lrcoulomb(module *x)
{
    static const char *const methods[] = {"simple", "dsf", "ewald",
                                          "pme"}; /* in the order of aimnet_coulomb */
    const char *key_in = "charges", *key_out = "e_h", *method = "simple", *envelope = "exp";
    aim_output *out = x->out;
    double rc = 4.6;
    const aim_arg table[] = {{"key_in", AIM_ARG_TEXT, &key_in, 0},
                             {"key_out", AIM_ARG_TEXT, &key_out, 0},
                             {"rc", AIM_ARG_POSITIVE, &rc, 0},
                             {"method", AIM_ARG_TEXT, &method, 0},
                             {"dsf_alpha", AIM_ARG_POSITIVE, &out->dsf_alpha, 0},
                             {"dsf_rc", AIM_ARG_POSITIVE, &out->dsf_rc, 0},
                             {"ewald_accuracy", AIM_ARG_POSITIVE, &out->ewald_accuracy, 0},
                             {"subtract_sr", AIM_ARG_BOOL, &out->subtract_sr, 0},
                             {"envelope", AIM_ARG_TEXT, &envelope, 0}};
    out->dsf_alpha = 0.2;
    out->dsf_rc = 15.0;
    out->ewald_accuracy = 1e-6;
    out->subtract_sr = 1;
    AIM_TRY(ARGS(x, table));
    AIM_TRY(read_envelope(x, envelope));
    while (out->method < 4 && strcmp(method, methods[out->method]) != 0)
        out->method++;
    if (out->method == 4)
        return fail(x, "method must be 'simple', 'dsf', 'ewald' or 'pme'");
    if (out->ewald_accuracy >= 1.0)
        return fail(x, "ewald_accuracy must be smaller than 1");
    AIM_TRY(read_charges(x, key_in));
    AIM_TRY(bind_rc(x));
    return write_slot(x, key_out, AIM_VALUE_SYSTEM, 1, 1);
}

static aim_status read_dftd3(module *x)
{
    const char *key_out = "energy";
    aim_output *out = x->out;
    const aim_arg table[] = {{"s8", AIM_ARG_NOT_NEGATIVE, &out->s8, 1},
                             {"a1", AIM_ARG_NOT_NEGATIVE, &out->a1, 1},
                             {"a2", AIM_ARG_NOT_NEGATIVE, &out->a2, 1},
                             {"s6", AIM_ARG_NOT_NEGATIVE, &out->s6, 0},
                             {"cutoff", AIM_ARG_POSITIVE, &out->cutoff, 0},
                             {"smoothing_fraction", AIM_ARG_NOT_NEGATIVE, &out->smoothing, 0},
                             {"key_out", AIM_ARG_TEXT, &key_out, 0}};
    out->s6 = 1.0;
    out->cutoff = 15.0;
    out->smoothing = 0.2;
    AIM_TRY(ARGS(x, table));
    AIM_TRY(check_damping(x));
    if (out->smoothing > 1.0)
        return fail(x, "smoothing_fraction must lie between 0 and 1");
    if (x->b->file.format == AIM_FORMAT_SCRIPT) { /* those releases cut and switch nothing */
        out->cutoff = INFINITY;
        out->smoothing = 0.0;
    }
    AIM_TRY(aim_d3_read(x->b, x->prefix, out));
    return write_slot(x, key_out, AIM_VALUE_SYSTEM, 1, 1);
}

/* ---------------------------------------------------------------- the list */

static const struct {
    const char *name; /* behind "aimnet.modules." and, with the given module, "core." or "lr." */
    const char *file;
    aim_output_kind kind;
    aim_status (*read)(module *x);
} classes[] = {
    {"Output", "core", AIM_OUT_MLP, read_mlp},
    {"AtomicShift", "core", AIM_OUT_ATOMIC_SHIFT, read_shift},
    {"AtomicSum", "core", AIM_OUT_ATOMIC_SUM, read_sum},
    {"Dipole", "core", AIM_OUT_DIPOLE, read_multipole},
    {"Quadrupole", "core", AIM_OUT_QUADRUPOLE, read_multipole},
    {"SRRep", "core", AIM_OUT_SRREP, read_srrep},
    {"SRCoulomb", "lr", AIM_OUT_SRCOULOMB, read_srcoulomb},
    {"LRCoulomb", "lr", AIM_OUT_LRCOULOMB, read_lrcoulomb},
    {"DispParam", "lr", AIM_OUT_DISP_PARAM, read_disp_param},
    {"D3TS", "lr", AIM_OUT_D3TS, read_d3ts},
    {"DFTD3", "lr", AIM_OUT_DFTD3, read_dftd3},
    {"D3BJ", "lr", AIM_OUT_DFTD3, read_dftd3},
};
enum { N_CLASSES = sizeof classes / sizeof *classes };

static int find_class(const char *name)
{
    char full[64];
    for (int i = 0; i < N_CLASSES; i++) {
        snprintf(full, sizeof full, "aimnet.modules.%s", classes[i].name);
        if (strcmp(name, full) == 0)
            return i;
        snprintf(full, sizeof full, "aimnet.modules.%s.%s", classes[i].file, classes[i].name);
        if (strcmp(name, full) == 0)
            return i;
    }
    return -1;
}

static aim_status read_module(aim_builder *b, const aim_where *where, const char *name, int node)
{
    aim_model *m = b->m;
    const aim_where in_kwargs = {where, "kwargs", 0};
    const char *class_name = "";
    char place[AIM_WHERE_SIZE], shown[AIM_SHOWN_SIZE];
    module x = {.b = b, .where = where, .kwargs = AIM_YAML_NONE};
    static const char no_args[] = "constructor arguments are given by name, under kwargs";
    const aim_arg table[] = {{"class", AIM_ARG_TEXT, &class_name, 1},
                             {"args", AIM_ARG_REFUSED, (void *)(uintptr_t)no_args, 0},
                             {"kwargs", AIM_ARG_NODE, &x.kwargs, 0}};
    if (m->n_outputs == AIM_MAX_OUTPUTS)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: more than %d outputs", AIM_MAX_OUTPUTS);
    x.out = &m->output[m->n_outputs];
    AIM_TRY(check_word(&x, "the name", name));
    AIM_TRY(aim_args_read(&b->yaml, where, node, table, 3));
    const int k = find_class(class_name);
    if (k < 0)
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "model_yaml: %s.class: '%s' is not an output module of aimnet that this program knows",
            aim_where_text(place, where),
            aim_shown(shown, (aim_slice){class_name, strlen(class_name)}));
    snprintf(x.out->name, sizeof x.out->name, "%s", name);
    snprintf(x.prefix, sizeof x.prefix, "outputs.%s", name);
    x.out->kind = classes[k].kind;
    x.out->in = x.out->base = x.out->out = -1;
    x.where = &in_kwargs;
    m->n_outputs++;
    return classes[k].read(&x);
}

static void make_first_slots(aim_model *m)
{
    m->slot[AIM_SLOT_AIM] = (aim_slot){"aim", AIM_VALUE_ATOM, m->aim_size};
    m->slot[AIM_SLOT_CHARGES] = (aim_slot){"charges", AIM_VALUE_ATOM, 1};
    m->slot[AIM_SLOT_SPIN_CHARGES] = (aim_slot){"spin_charges", AIM_VALUE_ATOM, 1};
    if (m->n_charge == 1)
        m->slot[AIM_SLOT_SPIN_CHARGES].key[0] = '\0';
    m->n_slots = AIM_SLOT_FIRST_FREE;
}

/* Charges reach the energy through Coulomb sums alone: forces know no other way. */
static aim_status check_energy(const aim_model *m)
{
    unsigned char live[AIM_SLOT_FIRST_FREE + AIM_MAX_OUTPUTS] = {0};
    live[m->energy_slot] = 1;
    for (int k = m->n_outputs - 1; k >= 0; k--) {
        const aim_output *out = &m->output[k];
        if (!live[out->out])
            continue;
        if ((out->kind == AIM_OUT_ATOMIC_SUM || out->kind == AIM_OUT_ATOMIC_SHIFT) &&
            out->in < AIM_SLOT_FIRST_FREE)
            return AIM_FAIL(AIMNET_ERR_MODEL,
                            "model_yaml: output '%s' makes an energy of charges, which is not "
                            "supported",
                            out->name);
        if (out->in >= 0)
            live[out->in] = 1;
        if (out->base >= 0)
            live[out->base] = 1;
    }
    return AIMNET_OK;
}

aim_status aim_outputs_read(aim_builder *b, const aim_where *where, int node)
{
    aim_model *m = b->m;
    const aim_yaml *y = &b->yaml;
    char place[AIM_WHERE_SIZE], number[16];
    const aim_yaml_kind kind = aim_yaml_kind_of(y, node);
    if (kind != AIM_YAML_MAP && kind != AIM_YAML_LIST)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s must be a mapping or a list of modules",
                        aim_where_text(place, where));
    make_first_slots(m);
    int i = 0;
    for (aim_yaml_iter it = aim_yaml_begin(y, node); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it), i++) {
        const aim_where here = {where, kind == AIM_YAML_MAP ? aim_yaml_text(y, it.key) : NULL, i};
        snprintf(number, sizeof number, "%d", i);
        AIM_TRY(read_module(b, &here, here.key ? here.key : number, it.value));
    }
    m->energy_slot = find_slot(m, "energy");
    if (m->energy_slot < 0 || m->slot[m->energy_slot].kind != AIM_VALUE_SYSTEM ||
        m->slot[m->energy_slot].width != 1)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "model_yaml: the outputs make no key 'energy' with one number per system");
    return check_energy(m);
}
