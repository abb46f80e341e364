/* SPDX-License-Identifier: MIT */
/* weights.c - the gradient of the sum of all seeds by every parameter of the network, after a
 * tangent sweep that kept the inputs and adjoints of all layers.
 *
 * A layer z = x W^T + b contributes gz x^T to dE/dW. The derivative of that along the sweep is
 *
 *     tgz x^T + gz tx^T,   for the bias sum tgz,
 *
 * and likewise for the combinations agh of the convolutions. The embedding enters three times: as
 * feature of pass 0's convolution (tga0), as start of the features (the adjoint of pass 1's), and
 * through the first layer, where it was folded into one bias per element: with B_z the sum of tgz
 * over the atoms of element z, dW_a = sum_z B_z e_z^T and de_z = W_a^T B_z. Atoms are summed in
 * order, in double, except for the short chunks of the weight kernel. */
#include <string.h>

#include "net/net_impl.h"

typedef struct layer_job {
    const aim_net *net;
    const net_tan_run *r;
    const aim_linear *file;
    const net_layer *layer;
    int pass, is_update; /* as in aim_net_map_input, aim_net_map_output */
    int64_t share;       /* outputs of a task */
    const real *x, *tx, *gz, *tgz;
    size_t ldx, ldz;
    double *gw, *gb;   /* of the file's order; gb NULL: no bias */
    double *embedding; /* pass 0's first layer: the gradient by the embedding */
} layer_job;

/* Numbers of an atom's embedding in the file. */
static int n_features(const aim_net *net)
{
    return net->d2 ? net->conv_a.nf * net->nshifts : net->conv_a.nf;
}

/* Output of the file that stands at ours, -1: padding */
static int output_of(const layer_job *j, int o)
{
    const aim_net *net = j->net;
    if (!j->is_update)
        return o;
    if (o >= net->fa)
        return o - net->fa;
    if (!net->d2)
        return 2 * net->n_charge + o;
    return o % net->gp < net->nshifts ? 2 * net->n_charge + o / net->gp * net->nshifts + o % net->gp
                                      : -1;
}

/* Our outputs first .. last - 1 of a layer, to the places of the file. */
static void put_rows(const layer_job *j, int64_t first, int64_t last, const double *gw, int n_in,
                     const double *gb)
{
    for (int64_t o = first; o < last; o++, gw += n_in) {
        const int to = output_of(j, (int)o);
        if (to < 0)
            continue;
        if (j->gb)
            j->gb[to] += gb[o - first];
        double *out = j->gw + (size_t)to * (size_t)j->file->n_in;
        for (int c = 0; c < j->file->n_in; c++) {
            const int from = AIM_NAMED(aim_net_map_input)(j->net, j->pass, c);
            out[c] += from >= 0 ? gw[from] : 0.0;
        }
    }
}

static void layer_task(void *ctx, int64_t task, int worker)
{
    const layer_job *j = ctx;
    const net_tans *t = &j->r->t;
    const int n_in = j->layer->ld_in;
    const int64_t first = task * j->share,
                  last = first + j->share < j->layer->n_out ? first + j->share : j->layer->n_out;
    double *gw = t->partial + (size_t)worker * t->partial_size,
           *gb = gw + (size_t)j->share * (size_t)n_in;
    memset(gw, 0, (size_t)j->share * ((size_t)n_in + 1) * sizeof *gw);
    const aim_weight_tan_args args = {.rows = j->r->n_rows,
                                      .n_in = n_in,
                                      .x = j->x,
                                      .tx = j->tx,
                                      .ldx = j->ldx,
                                      .gz = j->gz,
                                      .tgz = j->tgz,
                                      .ldz = j->ldz,
                                      .gw = gw - first * n_in,
                                      .gb = gb - first};
    j->net->k->linear_weight_tan(&args, first, last);
    put_rows(j, first, last, gw, n_in, gb);
}

/* The embedding's columns of pass 0's first layer, of element z; sum: of tgz over its atoms. */
static void put_folded(const layer_job *j, int z, const double *sum)
{
    const aim_net *net = j->net;
    const int n_a = n_features(net);
    const float *e = net->model->afv + (size_t)z * (size_t)n_a;
    double *ge = j->embedding + (size_t)z * (size_t)n_a;
    for (int o = 0; o < j->layer->n_out; o++) {
        const int to = output_of(j, o);
        if (to < 0 || sum[o] == 0)
            continue;
        const float *w = j->file->weight + (size_t)to * (size_t)j->file->n_in;
        double *gw = j->gw + (size_t)to * (size_t)j->file->n_in;
        for (int c = 0; c < n_a; c++) {
            gw[c] += sum[o] * (double)e[c];
            ge[c] += sum[o] * (double)w[c];
        }
    }
}

static void folded_columns(const layer_job *j)
{
    const aim_net *net = j->net;
    const int32_t *species = j->r->run.acts.species;
    double *sum = j->r->t.partial;
    for (int z = 0; z < AIM_MAX_SPECIES; z++) {
        if (net->species_of[z] < 0)
            continue;
        memset(sum, 0, (size_t)j->layer->n_out * sizeof *sum);
        for (size_t i = 0; i < (size_t)j->r->n_rows; i++)
            for (int o = 0; species[i] == net->species_of[z] && o < j->layer->n_out; o++)
                sum[o] += (double)j->tgz[i * j->ldz + (size_t)o];
        put_folded(j, z, sum);
    }
}

/* The inputs of a layer are read once by every task: as many outputs as there is room for, as long
 * as every worker has some. */
static int64_t share_of_task(int64_t n_out, int workers)
{
    const int64_t share = (n_out / workers + 7) / 8 * 8;
    return share < NET_WEIGHT_ROWS / 4 ? NET_WEIGHT_ROWS / 4
           : share < NET_WEIGHT_ROWS   ? share
                                       : NET_WEIGHT_ROWS;
}

/* Layer l of an MLP of the file, pass -1: a head. */
static layer_job layer_of(const aim_net *net, const aim_mlp *file, const net_mlp *mlp, int pass,
                          int l)
{
    return (layer_job){.net = net,
                       .file = &file->layer[l],
                       .layer = &mlp->layer[l],
                       .pass = l == 0 ? pass : -1,
                       .is_update = l == mlp->n_layers - 1 && pass >= 0 && pass < net->n_pass - 1};
}

/* All layers of an MLP; pass -1: a head. */
static void mlp_gradient(net_tan_run *r, const aim_mlp *file, const net_mlp *mlp, int pass,
                         const net_store *of, const net_store *tan, const aim_parameters *list,
                         double *gradient)
{
    size_t x = 0, z = 0;
    for (int l = 0; l < mlp->n_layers; l++) {
        const aim_linear *layer = &file->layer[l];
        layer_job j = layer_of(r->run.net, file, mlp, pass, l);
        j.r = r;
        j.gw = gradient + aim_parameters_offset(list, layer->weight);
        j.gb = layer->bias ? gradient + aim_parameters_offset(list, layer->bias) : NULL;
        j.embedding = gradient + aim_parameters_offset(list, r->run.net->model->afv);
        j.x = of->x + x;
        j.tx = tan->x + x;
        j.gz = of->gz + z;
        j.tgz = tan->gz + z;
        j.ldx = (size_t)mlp->x_width;
        j.ldz = (size_t)mlp->z_width;
        j.share = share_of_task(mlp->layer[l].n_out, aim_team_size(r->run.call->team));
        const int64_t tasks = (mlp->layer[l].n_out + j.share - 1) / j.share;
        aim_parallel_for(r->run.call->team, tasks, layer_task, &j);
        if (pass == 0 && l == 0)
            folded_columns(&j);
        x += (size_t)mlp->layer[l].ld_in;
        z += (size_t)mlp->layer[l].ld_out;
    }
}

/* Of one channel. */
static void put_combinations(const aim_net *net, const net_conv *conv, const double *g, double *out)
{
    const size_t nc = (size_t)conv->ncomb, hp = (size_t)conv->hp;
    for (size_t s = 0; s < (size_t)net->nshifts; s++)
        for (size_t h = 0; h < nc; h++)
            out[s * nc + h] += g[s * hp + h];
}

typedef struct conv_job {
    const net_tan_run *r;
    const net_conv *conv;
    int plain;
    double *out; /* [F][nshifts][H] */
} conv_job;

static void conv_task(void *ctx, int64_t f, int worker)
{
    const conv_job *j = ctx;
    const net_acts *a = &j->r->run.acts;
    const net_tans *t = &j->r->t;
    const aim_net *net = j->r->run.net;
    const size_t gp = (size_t)net->gp, hp = (size_t)j->conv->hp, nc = (size_t)j->conv->ncomb;
    double *g = t->partial + (size_t)worker * t->partial_size;
    memset(g, 0, gp * hp * sizeof *g);
    for (int p = j->plain; p < net->n_pass; p++) {
        const aim_agh_tan_args args = {.n = j->r->n_rows,
                                       .nf = j->conv->nf,
                                       .gp = net->gp,
                                       .ncomb = j->conv->ncomb,
                                       .hp = j->conv->hp,
                                       .s = j->plain ? a->sq[p] : a->s[p],
                                       .ts = j->plain ? t->tsq[p] : t->ts[p],
                                       .v = j->plain ? a->vq[p] : a->v[p],
                                       .tv = j->plain ? t->tvq[p] : t->tv[p],
                                       .gxv = j->plain ? a->gxvq[p] : a->gxv[p],
                                       .tgxv = j->plain ? t->tgxvq[p] : t->tgxv[p],
                                       .gagh = g - (size_t)f * gp * hp};
        net->k->conv_agh_tan(&args, f, f + 1);
    }
    put_combinations(net, j->conv, g, j->out + (size_t)f * (size_t)net->nshifts * nc);
}

/* The embedding as feature of the first convolution and as start of the features. */
static void embedding_gradient(const net_tan_run *r, double *out)
{
    const aim_net *net = r->run.net;
    const size_t fa = (size_t)net->fa, n_a = (size_t)n_features(net);
    const int32_t *numbers = r->run.call->batch->numbers;
    for (size_t i = 0; i < (size_t)r->n_rows; i++)
        for (size_t c = 0; c < n_a; c++) {
            const size_t g = (size_t)net->nshifts, gp = (size_t)net->gp,
                         at = i * fa + (net->d2 ? c / g * gp + c % g : c);
            out[(size_t)numbers[i] * n_a + c] += (double)r->t.tga0[at] + (double)r->t.tga[1][at];
        }
}

void AIM_NAMED(aim_net_parameters)(const void *object, aim_net_call *call, aim_net_tan *tan,
                                   const aim_parameters *list, double *gradient)
{
    net_tan_run r = AIM_NAMED(aim_net_tan_run)(object, call, tan);
    const aim_net *net = r.run.net;
    const aim_model *m = net->model;
    for (int plain = 0; plain < 2; plain++) {
        const void *agh = plain ? m->conv_q.agh : m->conv_a.agh;
        conv_job j = {&r, plain ? &net->conv_q : &net->conv_a, plain,
                      gradient + aim_parameters_offset(list, agh)};
        aim_parallel_for(call->team, j.conv->nf, conv_task, &j);
    }
    embedding_gradient(&r, gradient + aim_parameters_offset(list, m->afv));
    for (int p = 0; p < net->n_pass; p++)
        mlp_gradient(&r, &m->mlp[p], &net->mlp[p], p, &r.run.acts.pass[p], &r.t.pass[p], list,
                     gradient);
    for (int h = 0; h < net->n_heads; h++)
        if (call->ghead[net->head_output[h]])
            mlp_gradient(&r, &m->output[net->head_output[h]].mlp, &net->head[h], -1,
                         &r.run.acts.head[h], &r.t.head[h], list, gradient);
}

/* ---------------------------------------------------------------- sums from a device */

typedef struct placing {
    const aim_net *net;
    const aim_parameters *list;
    int32_t *from;
    int32_t at; /* in the sums */
} placing;

static int32_t *places_of(const placing *p, const void *values)
{
    return p->from + aim_parameters_offset(p->list, values);
}

/* Column of the feature that stands at c of the file. */
static size_t feature_of(const aim_net *net, int c)
{
    return (size_t)(net->d2 ? c / net->nshifts * net->gp + c % net->nshifts : c);
}

static void place_mlp(placing *p, const aim_mlp *file, const net_mlp *mlp, int pass)
{
    for (int l = 0; l < mlp->n_layers; l++) {
        const aim_linear *layer = &file->layer[l];
        const layer_job j = layer_of(p->net, file, mlp, pass, l);
        const int n_in = mlp->layer[l].n_in, n_out = mlp->layer[l].n_out;
        int32_t *w = places_of(p, layer->weight);
        for (int o = 0; o < n_out; o++) {
            const int to = output_of(&j, o);
            for (int c = 0; to >= 0 && c < layer->n_in; c++) {
                const int in = AIM_NAMED(aim_net_map_input)(p->net, j.pass, c);
                if (in >= 0)
                    w[(size_t)to * (size_t)layer->n_in + (size_t)c] = p->at + o * n_in + in;
            }
            if (to >= 0 && layer->bias)
                places_of(p, layer->bias)[to] = p->at + n_out * n_in + o;
        }
        p->at += n_out * (n_in + 1);
    }
}

/* The embedding's columns of the first layer, and these themselves. */
static void place_folded(placing *p, float *folded)
{
    const aim_net *net = p->net;
    const aim_linear *file = &net->model->mlp[0].layer[0];
    const layer_job j = layer_of(net, &net->model->mlp[0], &net->mlp[0], 0, 0);
    int32_t *w = places_of(p, file->weight);
    for (int o = 0; o < j.layer->n_out; o++) {
        const int to = output_of(&j, o);
        for (int c = 0; to >= 0 && c < n_features(net); c++) {
            const size_t at = (size_t)o * (size_t)net->fa + feature_of(net, c),
                         in_file = (size_t)to * (size_t)file->n_in + (size_t)c;
            folded[at] = file->weight[in_file];
            w[in_file] = p->at + (int32_t)at;
        }
    }
    p->at += j.layer->n_out * net->fa;
}

static void place_combinations(placing *p, const void *values, const net_conv *conv)
{
    int32_t *to = places_of(p, values);
    for (int f = 0; f < conv->nf; f++)
        for (int s = 0; s < p->net->nshifts; s++)
            for (int h = 0; h < conv->ncomb; h++)
                *to++ = p->at + (f * p->net->gp + s) * conv->hp + h;
    p->at += conv->nf * p->net->gp * conv->hp;
}

void AIM_NAMED(aim_net_places)(const void *object, const aim_parameters *list, int32_t *from,
                               float *folded)
{
    const aim_net *net = object;
    const aim_model *m = net->model;
    placing p = {net, list, from, 0};
    for (int64_t k = 0; k < list->count; k++)
        from[k] = -1;
    for (int k = 0; k < net->n_pass; k++)
        place_mlp(&p, &m->mlp[k], &net->mlp[k], k);
    for (int h = 0; h < net->n_heads; h++)
        place_mlp(&p, &m->output[net->head_output[h]].mlp, &net->head[h], -1);
    place_folded(&p, folded);
    place_combinations(&p, m->conv_a.agh, &net->conv_a);
    place_combinations(&p, m->conv_q.agh, &net->conv_q);
    int32_t *to = places_of(&p, m->afv);
    for (int z = 0; z < AIM_MAX_SPECIES; z++)
        for (int c = 0; net->species_of[z] >= 0 && c < n_features(net); c++)
            to[z * n_features(net) + c] =
                p.at + net->species_of[z] * net->fa + (int32_t)feature_of(net, c);
}
