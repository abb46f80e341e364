/* SPDX-License-Identifier: MIT */
/* build.c - from a model's plain weights to the packed form of the kernel table.
 *
 * Done once per model and precision: columns are permuted to the layout of net_impl.h, padded with
 * zeros (padded shifts and outputs contribute exact zeros), packed forward (W) and backward (W^T)
 * for the panel width of the table, and the embedding's share of the first layer, W_a e_Z + b, is
 * summed in double into one bias row per element. */
#include <string.h>

#include "backend/isa.h"
#include "net/net_impl.h"

static int round_up(int n, int multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

static int padded_feature(const aim_net *net, int c)
{
    return c / net->nshifts * net->gp + c % net->nshifts;
}

/* File order: [a | xs | xv | q | qs | qv] with G shifts. */
int AIM_NAMED(aim_net_map_input)(const aim_net *net, int pass, int c)
{
    if (pass < 0)
        return c;
    const net_columns to = aim_net_columns(net, pass);
    const int f = net->conv_a.nf, g = net->nshifts, n_a = net->d2 ? f * g : f;
    if (c < n_a)
        return pass == 0 ? -1 : to.a + (net->d2 ? padded_feature(net, c) : c);
    c -= n_a;
    if (c < f * g)
        return to.xs + padded_feature(net, c);
    c -= f * g;
    if (c < f * net->conv_a.ncomb)
        return to.xv + c;
    c -= f * net->conv_a.ncomb;
    if (c < net->n_charge)
        return to.q + c;
    c -= net->n_charge;
    if (c < net->n_charge * g)
        return to.qs + padded_feature(net, c);
    return to.qv + c - net->n_charge * g;
}

/* File order of a pass's output: [q | f | delta a]; ours: [delta a | q | f]. */
int AIM_NAMED(aim_net_map_output)(const aim_net *net, int is_update, int c)
{
    if (!is_update)
        return c;
    const int charges = 2 * net->n_charge;
    if (c < charges)
        return net->fa + c;
    c -= charges;
    return net->d2 ? padded_feature(net, c) : c;
}

/* Scratch of packing: one layer, unpacked in our order, and the way of its columns. */
typedef struct packing {
    real *dense;
    int *to;
} packing;

/* Per-element bias of pass 0: b + W_a e_Z in double. */
static void fold_embedding(const aim_net *net, const aim_linear *file, net_layer *layer)
{
    const int n_a = net->d2 ? net->conv_a.nf * net->nshifts : net->conv_a.nf;
    for (int z = 0; z < AIM_MAX_SPECIES; z++) {
        if (net->species_of[z] < 0)
            continue;
        real *bias = layer->bias + (size_t)net->species_of[z] * (size_t)layer->ld_out;
        const float *e = net->model->afv + (size_t)z * (size_t)n_a;
        for (int o = 0; o < file->n_out; o++) {
            const float *w = file->weight + (size_t)o * (size_t)file->n_in;
            double part[4] = {file->bias ? (double)file->bias[o] : 0.0};
            for (int c = 0; c < n_a; c++)
                part[c % 4] += (double)w[c] * (double)e[c];
            bias[o] = (real)((part[0] + part[1]) + (part[2] + part[3]));
        }
    }
}

/* Fills one layer. is_update: the layer ends a pass that updates features and charges. */
static void fill_layer(const aim_net *net, const aim_linear *file, int pass, int is_update,
                       net_layer *layer, packing *pack)
{
    const size_t ld = (size_t)layer->ld_in;
    real *dense = pack->dense;
    memset(dense, 0, ld * (size_t)layer->ld_out * sizeof *dense);
    for (int c = 0; c < file->n_in; c++)
        pack->to[c] = AIM_NAMED(aim_net_map_input)(net, pass, c);
    for (int o = 0; o < file->n_out; o++) {
        const size_t row = (size_t)AIM_NAMED(aim_net_map_output)(net, is_update, o);
        const float *w = file->weight + (size_t)o * (size_t)file->n_in;
        for (int c = 0; c < file->n_in; c++)
            if (pack->to[c] >= 0)
                dense[row * ld + (size_t)pack->to[c]] = (real)w[c];
        if (pass != 0)
            layer->bias[row] = file->bias ? (real)file->bias[o] : 0;
    }
    for (int o = 0; layer->plain && o < layer->n_out; o++)
        memcpy(layer->plain + (size_t)o * (size_t)layer->n_in, dense + (size_t)o * ld,
               (size_t)layer->n_in * sizeof(real));
    net->k->pack(dense, 1, ld, layer->n_in, layer->ld_out, layer->w_fwd);
    net->k->pack(dense, ld, 1, layer->n_out, layer->ld_in, layer->w_bwd);
    if (pass == 0)
        fold_embedding(net, file, layer);
}

static void place_mlp(aim_net *net, const aim_mlp *file, int pass, int updates, aim_arena *arena,
                      net_mlp *mlp)
{
    mlp->n_layers = file->n_layers;
    mlp->slope_width = mlp->x_width = mlp->z_width = 0;
    for (int l = 0; l < file->n_layers; l++) {
        const int last = l == file->n_layers - 1, panel = net->k->panel;
        net_layer *layer = mlp->layer + l;
        layer->n_in = l == 0 && pass >= 0 ? aim_net_columns(net, pass).total : file->layer[l].n_in;
        layer->n_out = last && updates ? net->fa + 2 * net->n_charge : file->layer[l].n_out;
        layer->ld_in = round_up(layer->n_in, panel);
        layer->ld_out = round_up(layer->n_out, panel);
        layer->gelu = file->layer[l].gelu;
        const size_t in = (size_t)layer->ld_in, out = (size_t)layer->ld_out;
        layer->w_fwd = aim_take(arena, "w_fwd", (size_t)layer->n_in * out, sizeof(real));
        layer->w_bwd = aim_take(arena, "w_bwd", (size_t)layer->n_out * in, sizeof(real));
        layer->bias = aim_take(
            arena, "bias", (pass == 0 && l == 0 ? (size_t)net->n_species : 1) * out, sizeof(real));
        layer->plain = pass < 0 && last && !layer->gelu
                           ? aim_take(arena, "w_plain", (size_t)layer->n_in * (size_t)layer->n_out,
                                      sizeof(real))
                           : NULL;
        mlp->slope_width += layer->gelu ? layer->ld_out : 0;
        mlp->x_width += layer->ld_in;
        mlp->z_width += layer->ld_out;
        if (in > net->ld_hidden)
            net->ld_hidden = in;
        if (out > net->ld_hidden)
            net->ld_hidden = out;
    }
}

static void place_conv(const aim_net *net, const aim_conv *file, aim_arena *arena, net_conv *conv)
{
    conv->nf = file->n_channels;
    conv->ncomb = file->ncomb;
    conv->hp = round_up(file->ncomb, AIM_LANES);
    const size_t n = (size_t)conv->nf * (size_t)net->gp * (size_t)conv->hp;
    conv->agh = aim_take(arena, "agh", n, sizeof(real));
    conv->agh_t = aim_take(arena, "agh_t", n, sizeof(real));
}

/* Sizes and pointers of everything; run twice (arena.h). */
static void place(aim_net *net, aim_arena *arena)
{
    const aim_model *m = net->model;
    place_conv(net, &m->conv_a, arena, &net->conv_a);
    place_conv(net, &m->conv_q, arena, &net->conv_q);
    net->embedding =
        aim_take(arena, "embedding", (size_t)net->n_species * (size_t)net->fa, sizeof(real));
    net->shifts = aim_take(arena, "shifts", (size_t)net->gp, sizeof(real));
    for (int p = 0; p < net->n_pass; p++)
        place_mlp(net, &m->mlp[p], p, p < net->n_pass - 1, arena, &net->mlp[p]);
    net->n_heads = 0;
    for (int o = 0; o < m->n_outputs; o++)
        if (m->output[o].kind == AIM_OUT_MLP) {
            const aim_mlp *mlp = &m->output[o].mlp;
            net->head_output[net->n_heads] = o;
            net->head_width[net->n_heads] = mlp->layer[mlp->n_layers - 1].n_out;
            place_mlp(net, mlp, -1, 0, arena, &net->head[net->n_heads++]);
        }
}

static void fill_conv(const aim_net *net, const aim_conv *file, net_conv *conv)
{
    const size_t gp = (size_t)net->gp, hp = (size_t)conv->hp, n = (size_t)conv->nf * gp * hp;
    memset(conv->agh, 0, n * sizeof(real));
    memset(conv->agh_t, 0, n * sizeof(real));
    for (size_t f = 0; f < (size_t)conv->nf; f++)
        for (size_t g = 0; g < (size_t)net->nshifts; g++)
            for (size_t h = 0; h < (size_t)conv->ncomb; h++) {
                const real w =
                    (real)file->agh[(f * (size_t)net->nshifts + g) * (size_t)conv->ncomb + h];
                conv->agh[(f * gp + g) * hp + h] = w;
                conv->agh_t[(f * hp + h) * gp + g] = w;
            }
}

static void fill_mlp(const aim_net *net, const aim_mlp *file, int pass, int updates, net_mlp *mlp,
                     packing *pack)
{
    for (int l = 0; l < file->n_layers; l++) {
        memset(mlp->layer[l].bias, 0,
               (pass == 0 && l == 0 ? (size_t)net->n_species : 1) * (size_t)mlp->layer[l].ld_out *
                   sizeof(real));
        fill_layer(net, &file->layer[l], l == 0 ? pass : -1, updates && l == file->n_layers - 1,
                   &mlp->layer[l], pack);
    }
}

static void fill(aim_net *net, packing *pack)
{
    const aim_model *m = net->model;
    fill_conv(net, &m->conv_a, &net->conv_a);
    fill_conv(net, &m->conv_q, &net->conv_q);
    const int width = net->d2 ? m->nfeature * m->nshifts : m->nfeature;
    memset(net->embedding, 0, (size_t)net->n_species * (size_t)net->fa * sizeof(real));
    for (int z = 0; z < m->n_embed && z < AIM_MAX_SPECIES; z++)
        if (net->species_of[z] >= 0)
            for (int c = 0; c < width; c++)
                net->embedding[(size_t)net->species_of[z] * (size_t)net->fa +
                               (size_t)(net->d2 ? padded_feature(net, c) : c)] =
                    (real)m->afv[(size_t)z * (size_t)width + (size_t)c];
    for (int g = 0; g < net->gp; g++)
        net->shifts[g] = (real)m->shifts[g < m->nshifts ? g : m->nshifts - 1];
    for (int p = 0; p < net->n_pass; p++)
        fill_mlp(net, &m->mlp[p], p, p < net->n_pass - 1, &net->mlp[p], pack);
    for (int h = 0; h < net->n_heads; h++)
        fill_mlp(net, &m->output[net->head_output[h]].mlp, -1, 0, &net->head[h], pack);
}

static void describe(aim_net *net, const aim_model *m, int isa)
{
    net->model = m;
    net->k = AIM_NAMED(aim_kernels_open)(isa);
    net->nshifts = m->nshifts;
    net->gp = round_up(m->nshifts, AIM_LANES);
    net->n_charge = m->n_charge;
    net->charge_epsilon = m->charge_epsilon;
    net->d2 = m->d2features;
    net->fa = net->d2 ? m->nfeature * net->gp : m->nfeature;
    net->n_pass = m->n_pass;
    for (int z = 0; z < AIM_MAX_SPECIES; z++)
        net->species_of[z] = m->implemented[z] && z < m->n_embed ? net->n_species++ : -1;
}

aim_status AIM_NAMED(aim_net_create)(const aim_model *model, const aim_alloc *alloc, int isa,
                                     void **out)
{
    aim_net *net;
    *out = NULL;
    AIM_TRY(aim_new0(alloc, 1, sizeof *net, "network", &net));
    net->alloc = *alloc;
    describe(net, model, isa);
    aim_arena measure = {0};
    place(net, &measure);
    packing pack = {0};
    aim_status status = aim_arena_reserve(&net->store, alloc, measure.used, "packed weights");
    if (status == AIMNET_OK)
        status = aim_new(alloc, net->ld_hidden * net->ld_hidden, sizeof *pack.dense,
                         "packing buffer", &pack.dense);
    if (status == AIMNET_OK)
        status = aim_new(alloc, net->ld_hidden, sizeof *pack.to, "packing columns", &pack.to);
    if (status == AIMNET_OK) {
        place(net, &net->store);
        fill(net, &pack);
        *out = net;
    } else {
        AIM_NAMED(aim_net_free)(net);
    }
    aim_free(alloc, pack.dense);
    aim_free(alloc, pack.to);
    return status;
}

void AIM_NAMED(aim_net_free)(void *object)
{
    aim_net *net = object;
    if (!net)
        return;
    const aim_alloc alloc = net->alloc;
    aim_arena_free(&net->store, &alloc);
    aim_free(&alloc, net);
}
