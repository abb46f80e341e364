/* SPDX-License-Identifier: MIT */
/* parameters.c - the list of trainable tensors, walked twice: counting, then filling. */
#include "model/parameters.h"

#include <stdio.h>
#include <string.h>

static void add(aim_parameters *list, const char *prefix, const char *name, const void *values,
                const int64_t shape[3])
{
    int64_t count = 1;
    int ndim = 0;
    while (ndim < 3 && shape[ndim] > 0)
        count *= shape[ndim++];
    if (list->item) {
        aim_parameter *p = &list->item[list->n];
        snprintf(p->name, sizeof p->name, "%.160s%.40s", prefix, name);
        p->values = values;
        p->ndim = ndim;
        memcpy(p->shape, shape, sizeof p->shape);
        p->offset = list->count;
        p->count = count;
    }
    list->n++;
    list->count += count;
}

static void add_mlp(aim_parameters *list, const char *prefix, const aim_mlp *mlp)
{
    char name[40];
    for (int l = 0; l < mlp->n_layers; l++) {
        const aim_linear *layer = &mlp->layer[l];
        snprintf(name, sizeof name, ".%d.weight", 2 * l);
        add(list, prefix, name, layer->weight, (int64_t[3]){layer->n_out, layer->n_in});
        snprintf(name, sizeof name, ".%d.bias", 2 * l);
        if (layer->bias)
            add(list, prefix, name, layer->bias, (int64_t[3]){layer->n_out});
    }
}

static void walk(const aim_model *m, aim_parameters *list)
{
    char prefix[AIM_PARAMETER_NAME];
    const int64_t width = m->d2features ? (int64_t)m->nfeature * m->nshifts : m->nfeature;
    *list = (aim_parameters){.item = list->item};
    add(list, "", "afv.weight", m->afv, (int64_t[3]){m->n_embed, width});
    add(list, "", "conv_a.agh", m->conv_a.agh,
        (int64_t[3]){m->conv_a.n_channels, m->nshifts, m->conv_a.ncomb});
    add(list, "", "conv_q.agh", m->conv_q.agh,
        (int64_t[3]){m->conv_q.n_channels, m->nshifts, m->conv_q.ncomb});
    for (int p = 0; p < m->n_pass; p++) {
        snprintf(prefix, sizeof prefix, "mlps.%d", p);
        add_mlp(list, prefix, &m->mlp[p]);
    }
    for (int o = 0; o < m->n_outputs; o++) {
        const aim_output *out = &m->output[o];
        snprintf(prefix, sizeof prefix, "outputs.%s%s", out->name,
                 out->kind == AIM_OUT_MLP ? ".mlp" : "");
        if (out->kind == AIM_OUT_MLP)
            add_mlp(list, prefix, &out->mlp);
        if (out->kind == AIM_OUT_ATOMIC_SHIFT)
            add(list, prefix, ".shifts.weight", out->shift, (int64_t[3]){out->n_table, 1});
    }
}

aim_status aim_parameters_create(const aim_model *m, const aim_alloc *alloc, aim_parameters *list)
{
    *list = (aim_parameters){0};
    walk(m, list);
    AIM_TRY(aim_new0(alloc, (size_t)list->n, sizeof *list->item, "parameters", &list->item));
    walk(m, list);
    return AIMNET_OK;
}

void aim_parameters_free(aim_parameters *list, const aim_alloc *alloc)
{
    aim_free(alloc, list->item);
    *list = (aim_parameters){0};
}

int64_t aim_parameters_offset(const aim_parameters *list, const void *values)
{
    for (int k = 0; k < list->n; k++)
        if (list->item[k].values == values)
            return list->item[k].offset;
    return -1;
}
