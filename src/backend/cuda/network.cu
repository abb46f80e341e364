/* SPDX-License-Identifier: MIT */
/* network.cu - a network on a card: where its weights lie, and their copies. */
#include "backend/cuda/module.h"
#include "backend/cuda/tangent.h"

typedef struct placer {
    char *base;
    size_t used;
} placer;

static void *place(placer *p, size_t bytes)
{
    void *at = p->base ? p->base + p->used : NULL;
    p->used += (bytes + 255) / 256 * 256;
    return at;
}

static size_t real_size(const cu_net *net)
{
    return net->d.is_double ? sizeof(double) : sizeof(float);
}

static void place_matrix(const cu_net *net, placer *p, int n_out, int n_in, cu_matrix *m)
{
    m->n_out = n_out;
    m->n_in = n_in;
    m->k_pad = cu_round_up(n_in, CU_CHUNK);
    m->n_pad = cu_pad_columns(n_out);
    m->w = place(p, (size_t)m->k_pad * (size_t)m->n_pad *
                        (net->d.is_double ? sizeof(double) : 2 * sizeof(__half)));
    m->scale = (float *)place(p, (size_t)m->n_pad * sizeof(float));
}

static void place_mlp(const cu_net *net, placer *p, const aim_dev_mlp *in, int bias_rows,
                      int is_head, cu_mlp *m)
{
    m->n_layers = in->n_layers;
    m->slope_width = 0;
    for (int l = 0; l < in->n_layers; l++) {
        const aim_dev_layer *from = &in->layer[l];
        cu_layer *to = &m->layer[l];
        to->n_in = from->n_in;
        to->n_out = from->n_out;
        to->ld_in = cu_round_up(from->n_in, CU_CHUNK);
        to->ld_out = cu_round_up(from->n_out, CU_CHUNK);
        to->gelu = from->gelu;
        m->slope_width += to->gelu ? to->ld_out : 0;
        to->bias = place(p, (size_t)(l == 0 ? bias_rows : 1) * (size_t)to->ld_out * real_size(net));
        if (is_head && l == in->n_layers - 1) {
            to->plain = place(p, (size_t)to->n_in * (size_t)to->n_out * real_size(net));
        } else {
            place_matrix(net, p, to->n_out, to->n_in, &to->fwd);
            place_matrix(net, p, to->n_in, to->n_out, &to->bwd);
        }
    }
}

/* Of weights of combinations, of features and of charges alike. */
static int row_of_shift(const aim_dev_net *d)
{
    const int a = d->conv_a.nf * d->conv_a.hp, q = d->conv_q.nf * d->conv_q.hp;
    return a > q ? a : q;
}

static void place_net(cu_net *net, const aim_dev_net *in, const aim_dev_d3_table *d3, placer *p)
{
    const size_t real = real_size(net);
    aim_dev_net *d = &net->d;
    d->embedding = place(p, (size_t)d->n_species * (size_t)d->fa * real);
    d->shifts = place(p, (size_t)d->gp * real);
    d->conv_a.agh = place(p, (size_t)d->conv_a.nf * (size_t)d->gp * (size_t)d->conv_a.hp * real);
    d->conv_q.agh = place(p, (size_t)d->conv_q.nf * (size_t)d->gp * (size_t)d->conv_q.hp * real);
    for (int k = 0; k < 2 && !d->is_double; k++) {
        const aim_dev_conv *a = k == 0 ? &d->conv_a : &d->conv_q;
        net->agh_g[k] = (float *)place(p, (size_t)row_of_shift(d) * (size_t)d->gp * real);
        net->agh_h[k] = (float *)place(p, (size_t)a->nf * (size_t)d->gp * (size_t)a->hp * real);
    }
    for (int k = 0; k < d->n_pass; k++)
        place_mlp(net, p, &in->mlp[k], k == 0 ? d->n_species : 1, 0, &net->mlp[k]);
    for (int h = 0; h < d->n_heads; h++)
        place_mlp(net, p, &in->head[h], 1, 1, &net->head[h]);
    if (!d3)
        return;
    net->d3 = *d3;
    net->d3.rcov = (double *)place(p, (size_t)d3->n_elements * sizeof(double));
    net->d3.r4r2 = (double *)place(p, (size_t)d3->n_elements * sizeof(double));
    net->d3.first = (int32_t *)place(p, (size_t)(d3->n_elements + 1) * sizeof(int32_t));
    net->d3.cn = (double *)place(p, (size_t)d3->n_refs * sizeof(double));
    net->d3.c6 = (double *)place(p, (size_t)d3->n_refs * (size_t)d3->n_refs * sizeof(double));
    if (d3->cn_max)
        net->d3.cn_max = (double *)place(p, (size_t)d3->n_elements * sizeof(double));
}

/* Copies to the device on its stream; remembers the first failure. */
static void upload(cu_state *s, const cu_device *d, const void *to, const void *from, size_t bytes)
{
    const cudaError_t code =
        cudaMemcpyAsync((void *)to, from, bytes, cudaMemcpyHostToDevice, d->stream);
    if (code != cudaSuccess && s->code == cudaSuccess) {
        s->code = code;
        s->what = "copying a model";
    }
}

static void upload_mlp(cu_state *s, const cu_net *net, const aim_dev_mlp *in, int bias_rows,
                       int is_head, void *staging, const cu_mlp *m)
{
    const cu_device *d = net->device;
    const size_t real = real_size(net);
    for (int l = 0; l < in->n_layers; l++) {
        const aim_dev_layer *from = &in->layer[l];
        const cu_layer *to = &m->layer[l];
        const size_t width = (size_t)from->n_out * real;
        for (int r = 0; r < (l == 0 ? bias_rows : 1); r++)
            upload(s, d, (char *)to->bias + (size_t)r * (size_t)to->ld_out * real,
                   (const char *)from->bias + (size_t)r * width, width);
        if (is_head && l == in->n_layers - 1) {
            upload(s, d, to->plain, from->w, width * (size_t)from->n_in);
            continue;
        }
        upload(s, d, staging, from->w, width * (size_t)from->n_in);
        cu_pack(s, d->stream, net->d.is_double, staging, from->n_out, from->n_in, 0, &to->fwd);
        cu_pack(s, d->stream, net->d.is_double, staging, from->n_out, from->n_in, 1, &to->bwd);
    }
}

static size_t largest_layer(const aim_dev_mlp *m)
{
    size_t n = 0;
    for (int l = 0; l < m->n_layers; l++) {
        const size_t size = (size_t)m->layer[l].n_in * (size_t)m->layer[l].n_out;
        n = size > n ? size : n;
    }
    return n;
}

static void upload_net(cu_state *s, const cu_net *net, const aim_dev_net *in,
                       const aim_dev_d3_table *d3, void *staging)
{
    const cu_device *dev = net->device;
    const aim_dev_net *d = &net->d;
    const size_t real = real_size(net);
    upload(s, dev, d->embedding, in->embedding, (size_t)d->n_species * (size_t)d->fa * real);
    upload(s, dev, d->shifts, in->shifts, (size_t)d->gp * real);
    upload(s, dev, d->conv_a.agh, in->conv_a.agh,
           (size_t)d->conv_a.nf * (size_t)d->gp * (size_t)d->conv_a.hp * real);
    upload(s, dev, d->conv_q.agh, in->conv_q.agh,
           (size_t)d->conv_q.nf * (size_t)d->gp * (size_t)d->conv_q.hp * real);
    for (int k = 0; k < 2 && !d->is_double; k++)
        cu_turn_agh(dev->stream, k == 0 ? &d->conv_a : &d->conv_q, d->gp, row_of_shift(d),
                    net->agh_g[k], net->agh_h[k]);
    for (int k = 0; k < d->n_pass; k++)
        upload_mlp(s, net, &in->mlp[k], k == 0 ? d->n_species : 1, 0, staging, &net->mlp[k]);
    for (int h = 0; h < d->n_heads; h++)
        upload_mlp(s, net, &in->head[h], 1, 1, staging, &net->head[h]);
    if (!d3)
        return;
    upload(s, dev, net->d3.rcov, d3->rcov, (size_t)d3->n_elements * sizeof(double));
    upload(s, dev, net->d3.r4r2, d3->r4r2, (size_t)d3->n_elements * sizeof(double));
    upload(s, dev, net->d3.first, d3->first, (size_t)(d3->n_elements + 1) * sizeof(int32_t));
    upload(s, dev, net->d3.cn, d3->cn, (size_t)d3->n_refs * sizeof(double));
    upload(s, dev, net->d3.c6, d3->c6, (size_t)d3->n_refs * (size_t)d3->n_refs * sizeof(double));
    if (d3->cn_max)
        upload(s, dev, net->d3.cn_max, d3->cn_max, (size_t)d3->n_elements * sizeof(double));
}

void cu_net_free(void *object)
{
    cu_net *net = (cu_net *)object;
    const on_card here(net->device->index);
    for (int k = 0; k < CU_GRAPHS; k++)
        cu_forget_graph(&net->graph[k].exec);
    cudaFree(net->block);
    cudaFree(net->places);
    (void)cudaGetLastError();
}

int cu_put_places(cu_net *net, const aim_dev_places *p, aim_dev_error *e)
{
    const size_t folded = (size_t)net->d.mlp[0].layer[0].n_out * (size_t)net->d.fa,
                 bytes = p->count * sizeof(int32_t) + folded * sizeof(float);
    if (net->placed == p)
        return 0;
    cudaFree(net->places);
    net->placed = NULL;
    net->places = NULL;
    if (cudaMalloc((void **)&net->places, bytes) != cudaSuccess)
        return cu_out_of_memory(net->device, bytes, "the places of parameters", e);
    net->folded = (float *)(net->places + p->count);
    cu_state s = {cudaSuccess, NULL};
    upload(&s, net->device, net->places, p->from, p->count * sizeof(int32_t));
    upload(&s, net->device, net->folded, p->folded, folded * sizeof(float));
    cu_mark_weights(net->device->stream, net, p->count, net->places);
    cu_find_stages(net, p);
    if (cu_synchronize(net, &s, e))
        return e->status;
    net->placed = p;
    return 0;
}

static int check_net(const aim_dev_net *in, const aim_dev_d3_table *d3, aim_dev_error *e)
{
    if (in->n_charge * in->gp > 128 || in->conv_a.nf > 96)
        return cu_fail(e, ERR_UNSUPPORTED,
                    "the GPU kernels are made for up to 96 features and 64 shifts%s%s", "", "");
    for (int z = 0; d3 && z < d3->n_elements; z++)
        if (d3->first[z + 1] - d3->first[z] > CU_D3_REFS)
            return cu_fail(e, ERR_UNSUPPORTED, "too many D3 references per element%s%s", "", "");
    return 0;
}

int cu_net_create(void *object, void *device, const aim_dev_net *in, const aim_dev_d3_table *d3,
                  aim_dev_error *e)
{
    if (check_net(in, d3, e))
        return e->status;
    cu_net *net = (cu_net *)object;
    net->device = (cu_device *)device;
    net->d = *in;
    net->capacity = CU_CAPACITY;
    placer measure = {NULL, 0};
    place_net(net, in, d3, &measure);
    size_t staging = 0;
    for (int k = 0; k < in->n_pass; k++)
        staging = largest_layer(&in->mlp[k]) > staging ? largest_layer(&in->mlp[k]) : staging;
    for (int h = 0; h < in->n_heads; h++)
        staging = largest_layer(&in->head[h]) > staging ? largest_layer(&in->head[h]) : staging;
    const size_t at = measure.used;
    net->block_size = at + staging * real_size(net);
    const on_card here(net->device->index);
    CU_TRY(e, here.code, "starting");
    if (cudaMalloc(&net->block, net->block_size) != cudaSuccess) {
        cu_out_of_memory(net->device, net->block_size, "the network", e);
        net->block = NULL;
        cu_net_free(net);
        return e->status;
    }
    cu_state s = {cudaSuccess, NULL};
    if (cudaMemsetAsync(net->block, 0, net->block_size, net->device->stream) != cudaSuccess)
        s.code = cudaGetLastError();
    placer p = {(char *)net->block, 0};
    place_net(net, in, d3, &p);
    upload_net(&s, net, in, d3, (char *)net->block + at);
    const cudaError_t code = cudaStreamSynchronize(net->device->stream);
    if (s.code == cudaSuccess)
        s.code = code;
    if (s.code != cudaSuccess) {
        cu_fail_cuda(e, s.code, s.what ? s.what : "copying a model");
        cu_net_free(net);
        return e->status;
    }
    return 0;
}

