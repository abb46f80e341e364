/* SPDX-License-Identifier: MIT */
/* describe.c - a network as plain arrays for a compute device (backend/device.h). The net must have
 * been created for the reference kernels: their panels are one column wide, so packed weights are
 * the plain matrices in the order of net_impl.h. */
#include <string.h>

#include "net/net_impl.h"

static void describe_mlp(const net_mlp *m, aim_dev_mlp *out)
{
    out->n_layers = m->n_layers;
    for (int l = 0; l < m->n_layers; l++)
        out->layer[l] = (aim_dev_layer){.n_in = m->layer[l].n_in,
                                        .n_out = m->layer[l].n_out,
                                        .gelu = m->layer[l].gelu,
                                        .w = m->layer[l].w_fwd,
                                        .bias = m->layer[l].bias};
}

static aim_dev_conv describe_conv(const net_conv *c)
{
    return (aim_dev_conv){.nf = c->nf, .ncomb = c->ncomb, .hp = c->hp, .agh = c->agh};
}

void AIM_NAMED(aim_net_describe)(const void *object, aim_dev_net *out)
{
    const aim_net *net = object;
    *out = (aim_dev_net){.is_double = AIM_REAL_DOUBLE,
                         .nshifts = net->nshifts,
                         .gp = net->gp,
                         .n_charge = net->n_charge,
                         .fa = net->fa,
                         .n_pass = net->n_pass,
                         .d2 = net->d2,
                         .n_species = net->n_species,
                         .n_heads = net->n_heads,
                         .rc = net->model->rc,
                         .eta = net->model->eta,
                         .charge_epsilon = net->charge_epsilon,
                         .embedding = net->embedding,
                         .shifts = net->shifts,
                         .conv_a = describe_conv(&net->conv_a),
                         .conv_q = describe_conv(&net->conv_q)};
    memcpy(out->species_of, net->species_of, sizeof out->species_of);
    for (int p = 0; p < net->n_pass; p++) {
        const net_columns c = aim_net_columns(net, p);
        out->columns[p] = (aim_dev_columns){
            .a = c.a, .xs = c.xs, .xv = c.xv, .q = c.q, .qs = c.qs, .qv = c.qv, .total = c.total};
        describe_mlp(&net->mlp[p], &out->mlp[p]);
    }
    for (int h = 0; h < net->n_heads; h++) {
        describe_mlp(&net->head[h], &out->head[h]);
        out->head_width[h] = net->head_width[h];
        out->head_output[h] = net->head_output[h];
    }
}
