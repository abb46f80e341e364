/* SPDX-License-Identifier: MIT */
/* network.c - the AIMNet2 part of the YAML: sizes of the AEV, the convolutions and the passes, and
 * the tensors that follow from them.
 *
 *     features per atom     F = nfeature * nshifts (d2features) or nfeature
 *     conv_a -> nfeature * (nshifts + ncomb_v),  conv_q -> c * (nshifts + ncomb_v)  with c charge
 * channels first pass:   F + conv_a             -> F + 2 c, last layer linear later passes: F +
 * conv_a + c + conv_q -> F + 2 c, or aim_size in the last pass, GELU after every layer hidden holds
 * one list of widths per pass; a single list counts for the first and the last pass. Widths of 0
 * are left out. */
#include <stdio.h>
#include <string.h>

#include "model/build.h"

#define CUTOFF_TOLERANCE 1e-6 /* relative; the file's cutoff may be the rounded radius */

/* ---------------------------------------------------------------- MLP */

static aim_status read_widths(aim_builder *b, const aim_where *where, int hidden, aim_mlp *mlp)
{
    const aim_yaml *y = &b->yaml;
    char place[AIM_WHERE_SIZE];
    mlp->n_layers = 0;
    if (hidden == AIM_YAML_NONE || aim_yaml_kind_of(y, hidden) == AIM_YAML_NULL)
        return AIMNET_OK;
    if (aim_yaml_kind_of(y, hidden) != AIM_YAML_LIST)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s must be a list of layer widths",
                        aim_where_text(place, where));
    for (aim_yaml_iter it = aim_yaml_begin(y, hidden); it.value != AIM_YAML_NONE;
         aim_yaml_step(y, &it)) {
        const int64_t width =
            aim_yaml_kind_of(y, it.value) == AIM_YAML_INT ? aim_yaml_int(y, it.value) : INT64_MAX;
        if (width > 1 << 20)
            return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s must hold integers up to 1048576",
                            aim_where_text(place, where));
        if (width <= 0)
            continue;
        if (mlp->n_layers == AIM_MAX_LAYERS - 1)
            return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s has more than %d layers",
                            aim_where_text(place, where), AIM_MAX_LAYERS - 1);
        mlp->layer[mlp->n_layers++].n_out = (int)width;
    }
    return AIMNET_OK;
}

static aim_status bind_layer(aim_builder *b, const char *prefix, int i, int bias, aim_linear *layer)
{
    char name[AIM_NAME_SIZE];
    snprintf(name, sizeof name, "%s.%d.weight", prefix, 2 * i);
    AIM_TRY(aim_bind(b, &(aim_expected){.name = name,
                                        .place = &layer->weight,
                                        .ndim = 2,
                                        .shape = {layer->n_out, layer->n_in}}));
    b->m->n_parameters += (int64_t)layer->n_out * (layer->n_in + bias);
    if (!bias)
        return AIMNET_OK;
    snprintf(name, sizeof name, "%s.%d.bias", prefix, 2 * i);
    return aim_bind(
        b,
        &(aim_expected){.name = name, .place = &layer->bias, .ndim = 1, .shape = {layer->n_out}});
}

aim_status aim_mlp_read(aim_builder *b, const aim_where *where, const aim_mlp_spec *spec,
                        const char *prefix, aim_mlp *mlp)
{
    char place[AIM_WHERE_SIZE];
    if (spec->n_in > INT32_MAX)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s: %lld inputs are too many",
                        aim_where_text(place, where), (long long)spec->n_in);
    AIM_TRY(read_widths(b, where, spec->hidden, mlp));
    mlp->layer[mlp->n_layers++].n_out = spec->n_out;
    for (int i = 0; i < mlp->n_layers; i++) {
        aim_linear *layer = &mlp->layer[i];
        layer->n_in = i == 0 ? (int)spec->n_in : mlp->layer[i - 1].n_out;
        layer->gelu = i < mlp->n_layers - 1 || !spec->last_linear;
        AIM_TRY(bind_layer(b, prefix, i, spec->bias, layer));
    }
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- AEV */

static aim_status bind_basis(aim_builder *b, const char *suffix, double *rc, double *eta,
                             const float **shifts)
{
    char name[3][32];
    snprintf(name[0], sizeof name[0], "aev.rc_%s", suffix);
    snprintf(name[1], sizeof name[1], "aev.eta_%s", suffix);
    snprintf(name[2], sizeof name[2], "aev.shifts_%s", suffix);
    AIM_TRY(aim_bind(b, &(aim_expected){.name = name[0], .into = AIM_INTO_SCALAR, .place = rc}));
    AIM_TRY(aim_bind(b, &(aim_expected){.name = name[1], .into = AIM_INTO_SCALAR, .place = eta}));
    return aim_bind(
        b, &(aim_expected){.name = name[2], .place = shifts, .ndim = 1, .shape = {b->m->nshifts}});
}

/* The reference has a second basis for vector features, which only works when it is the same as the
 * first one. */
static aim_status read_aev(aim_builder *b, const aim_where *where, int node)
{
    aim_model *m = b->m;
    double rmin = 0.8, rc_s = 5.0, eta_s = 1.0, rc_v = 0.0, eta_v = 1.0;
    int nshifts_v = 0, shifts_s = AIM_YAML_NONE, shifts_v = AIM_YAML_NONE;
    char place[AIM_WHERE_SIZE];
    const aim_arg args[] = {{"rmin", AIM_ARG_FINITE, &rmin, 0},
                            {"rc_s", AIM_ARG_POSITIVE, &rc_s, 0},
                            {"nshifts_s", AIM_ARG_COUNT, &m->nshifts, 1},
                            {"eta_s", AIM_ARG_POSITIVE_OR_NULL, &eta_s, 0},
                            {"rc_v", AIM_ARG_POSITIVE_OR_NULL, &rc_v, 0},
                            {"nshifts_v", AIM_ARG_COUNT_OR_NULL, &nshifts_v, 0},
                            {"eta_v", AIM_ARG_POSITIVE_OR_NULL, &eta_v, 0},
                            {"shifts_s", AIM_ARG_NODE, &shifts_s, 0},
                            {"shifts_v", AIM_ARG_NODE, &shifts_v, 0}};
    AIM_TRY(aim_args_read(&b->yaml, where, node, args, sizeof args / sizeof *args));
    if (nshifts_v != 0 && nshifts_v != m->nshifts)
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "model_yaml: %s: nshifts_v %d differs from nshifts_s %d, which never worked",
            aim_where_text(place, where), nshifts_v, m->nshifts);
    if (rc_v != 0.0 && rc_v != rc_s)
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "model_yaml: %s: rc_v %g differs from rc_s %g, which has no effect in the reference",
            aim_where_text(place, where), rc_v, rc_s);
    AIM_TRY(bind_basis(b, "s", &m->rc, &m->eta, &m->shifts));
    return bind_basis(b, "v", &b->vector_basis.rc, &b->vector_basis.eta, &b->vector_basis.shifts);
}

aim_status aim_network_check(const aim_builder *b)
{
    const aim_model *m = b->m;
    if (b->vector_basis.rc != m->rc || b->vector_basis.eta != m->eta ||
        memcmp(b->vector_basis.shifts, m->shifts, (size_t)m->nshifts * sizeof *m->shifts) != 0)
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "tensors 'aev.rc_v', 'aev.eta_v' or 'aev.shifts_v' differ from those of the scalar "
            "features (rc_s, eta_s, shifts_s), which has no effect in the reference");
    if (m->rc <= 0.0 || m->eta <= 0.0)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "tensors 'aev.rc_s' (%g) and 'aev.eta_s' (%g) must be positive", m->rc,
                        m->eta);
    if (m->rc > m->cutoff * (1.0 + CUTOFF_TOLERANCE))
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "metadata 'cutoff' %g is smaller than the network's radius %g: neighbours "
                        "would be missing",
                        m->cutoff, m->rc);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- passes */

static aim_status bind_features(aim_builder *b)
{
    aim_model *m = b->m;
    const int64_t width = m->d2features ? (int64_t)m->nfeature * m->nshifts : m->nfeature;
    aim_conv *const conv[] = {&m->conv_a, &m->conv_q};
    static const char *const names[] = {"conv_a.agh", "conv_q.agh"};
    AIM_TRY(aim_bind(b, &(aim_expected){.name = "afv.weight",
                                        .place = &m->afv,
                                        .per_element = 1,
                                        .ndim = 2,
                                        .shape = {AIM_EMBED_ROWS, width}}));
    m->n_parameters += AIM_EMBED_ROWS * width;
    for (int i = 0; i < 2; i++) {
        conv[i]->n_channels = i == 0 ? m->nfeature : m->n_charge;
        conv[i]->ncomb = m->ncomb_v;
        AIM_TRY(
            aim_bind(b, &(aim_expected){.name = names[i],
                                        .place = &conv[i]->agh,
                                        .ndim = 3,
                                        .shape = {conv[i]->n_channels, m->nshifts, m->ncomb_v}}));
        m->n_parameters += (int64_t)conv[i]->n_channels * m->nshifts * m->ncomb_v;
    }
    return AIMNET_OK;
}

/* The hidden list of a pass: a single one serves all. */
static int hidden_of_pass(const aim_yaml *y, int hidden, int pass)
{
    aim_yaml_iter it = aim_yaml_begin(y, hidden);
    for (int i = 0; i < pass && i < aim_yaml_count(y, hidden) - 1; i++)
        aim_yaml_step(y, &it);
    return it.value;
}

static aim_status read_passes(aim_builder *b, const aim_where *up, int hidden)
{
    aim_model *m = b->m;
    const aim_where list = {up, "hidden", 0};
    char prefix[AIM_NAME_SIZE], place[AIM_WHERE_SIZE];
    if (aim_yaml_kind_of(&b->yaml, hidden) != AIM_YAML_LIST ||
        aim_yaml_count(&b->yaml, hidden) == 0)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s must be a list of lists of layer widths",
                        aim_where_text(place, &list));
    m->n_pass = aim_yaml_count(&b->yaml, hidden) > 2 ? aim_yaml_count(&b->yaml, hidden) : 2;
    if (m->n_pass > AIM_MAX_PASSES)
        return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %s has more than %d passes",
                        aim_where_text(place, &list), AIM_MAX_PASSES);
    const int64_t features = m->d2features ? (int64_t)m->nfeature * m->nshifts : m->nfeature;
    const int64_t per_channel = (int64_t)m->nshifts + m->ncomb_v;
    for (int pass = 0; pass < m->n_pass; pass++) {
        const aim_where here = {&list, NULL, pass};
        const int last = pass == m->n_pass - 1;
        const int64_t n_in =
            features + m->nfeature * per_channel + (pass > 0 ? m->n_charge * (1 + per_channel) : 0);
        const int64_t n_out = last ? m->aim_size : features + 2 * m->n_charge;
        if (n_out > INT32_MAX)
            return AIM_FAIL(AIMNET_ERR_MODEL, "model_yaml: %lld features are too many",
                            (long long)features);
        snprintf(prefix, sizeof prefix, "mlps.%d", pass);
        AIM_TRY(aim_mlp_read(
            b, &here,
            &(aim_mlp_spec){n_in, (int)n_out, hidden_of_pass(&b->yaml, hidden, pass), 1, pass == 0},
            prefix, &m->mlp[pass]));
    }
    return AIMNET_OK;
}

aim_status aim_network_read(aim_builder *b)
{
    static const char *const classes[] = {"aimnet.models.AIMNet2", "aimnet.models.aimnet2.AIMNet2"};
    aim_model *m = b->m;
    const char *name = "";
    int kwargs = AIM_YAML_NONE, aev = AIM_YAML_NONE, hidden = AIM_YAML_NONE,
        outputs = AIM_YAML_NONE;
    char shown[AIM_SHOWN_SIZE];
    const aim_arg top[] = {{"class", AIM_ARG_TEXT, &name, 1}, {"kwargs", AIM_ARG_NODE, &kwargs, 1}};
    const aim_arg args[] = {{"aev", AIM_ARG_NODE, &aev, 1},
                            {"nfeature", AIM_ARG_COUNT, &m->nfeature, 1},
                            {"d2features", AIM_ARG_BOOL, &m->d2features, 1},
                            {"ncomb_v", AIM_ARG_COUNT_OR_NULL, &m->ncomb_v, 1},
                            {"hidden", AIM_ARG_NODE, &hidden, 1},
                            {"aim_size", AIM_ARG_COUNT, &m->aim_size, 1},
                            {"outputs", AIM_ARG_NODE, &outputs, 1},
                            {"num_charge_channels", AIM_ARG_COUNT, &m->n_charge, 0}};
    const aim_where root = {NULL, "the root", 0}, where = {NULL, "kwargs", 0};
    const aim_where in_aev = {&where, "aev", 0}, in_outputs = {&where, "outputs", 0};
    AIM_TRY(aim_args_read(&b->yaml, &root, b->yaml.root, top, 2));
    if (strcmp(name, classes[0]) != 0 && strcmp(name, classes[1]) != 0)
        return AIM_FAIL(
            AIMNET_ERR_MODEL,
            "model_yaml: class '%s' is not aimnet.models.AIMNet2, the only network there is",
            aim_shown(shown, (aim_slice){name, strlen(name)}));
    m->n_charge = 1;
    m->charge_epsilon = 1e-6;
    AIM_TRY(aim_args_read(&b->yaml, &where, kwargs, args, sizeof args / sizeof *args));
    if (m->n_charge > 2)
        return AIM_FAIL(AIMNET_ERR_MODEL,
                        "model_yaml: kwargs.num_charge_channels must be 1 or 2, not %d",
                        m->n_charge);
    AIM_TRY(read_aev(b, &in_aev, aev));
    if (m->ncomb_v == 0)
        m->ncomb_v = m->nshifts;
    AIM_TRY(bind_features(b));
    AIM_TRY(read_passes(b, &where, hidden));
    return aim_outputs_read(b, &in_outputs, outputs);
}
