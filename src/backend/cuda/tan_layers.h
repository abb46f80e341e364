/* SPDX-License-Identifier: MIT */
/* tan_layers.h - dense layers of the sequences in tan_flow.cu: products with activations that stand
 * apart from them, forward and backward, of the primal and of its tangents. */
#ifndef AIM_BACKEND_CUDA_TAN_LAYERS_H
#define AIM_BACKEND_CUDA_TAN_LAYERS_H

#include "backend/cuda/tangent.h"

template <typename real> struct flow {
    cu_state *s;
    cu_net *net;
    const aim_dev_sweep *sweep;
    const cu_kept<real> *k;
    const cu_tans<real> *t; /* NULL: the primal */
    cudaStream_t stream;
};

/* Where the last layer of a pass leaves its output; old: of features before */
template <typename real> struct pass_output {
    real *a, *charges;
    const real *old;
    const int *old_row;
    int ldold;
};

static int slope_at(const cu_mlp *m, int l)
{
    int at = 0;
    for (int k = 0; k < l; k++)
        at += m->layer[k].gelu ? m->layer[k].ld_out : 0;
    return at;
}

/* y = x W^T or x W */
template <typename real>
static cu_gemm<real> product(const flow<real> *f, int rows, const real *x, int ldx,
                             const unsigned *max, const cu_matrix *w, real *y, int ldy)
{
    cu_gemm<real> g = {};
    g.rows = rows;
    g.warpgroups = f->net->device->warpgroups;
    g.processors = f->net->device->processors;
    g.mode = CU_BACKWARD;
    g.x = x;
    g.ldx = ldx;
    g.xmax = max;
    g.m = *w;
    g.y = y;
    g.ldy = ldy;
    return g;
}

/* Rows of layer l of an MLP on their way through its activation. */
template <typename real>
static cu_act<real> act_args(const flow<real> *f, const cu_mlp *m, const cu_acts<real> *a,
                             const cu_tan_acts<real> *t, int l)
{
    const int at = slope_at(m, l);
    cu_act<real> r = {};
    r.n = f->k->n;
    r.rows = t ? f->t->rows : r.n;
    r.ld = m->layer[l].ld_out;
    r.bias = (const real *)m->layer[l].bias;
    r.gelu = m->layer[l].gelu;
    r.slope = a->slope + at;
    r.curve = a->curve + at;
    r.ldslope = m->slope_width;
    r.tz = t ? t->z + at : NULL;
    return r;
}

/* The last layer of a pass: features += y, charges beside. */
template <typename real>
static void update_args(const flow<real> *f, const pass_output<real> *out, cu_gemm<real> *g)
{
    g->fa = f->net->d.fa;
    g->ldcharges = 2 * f->net->d.n_charge;
    g->ldy = g->fa + g->ldcharges;
    g->y = out->a;
    g->charges = out->charges;
    g->old = out->old;
    g->old_row = out->old_row;
    g->ldold = out->ldold;
}

/* Layers 0 .. n_layers - 1, the last of them to `out` where that is not NULL. A layer without an activation
 * is all its product's, which reports the maxima as well. */
template <typename real>
static void forward_layers(const flow<real> *f, const cu_mlp *m, const cu_acts<real> *a,
                           const cu_tan_acts<real> *t, int n_layers, const int *bias_row,
                           const pass_output<real> *out)
{
    real *const *x = t ? t->x : a->x;
    unsigned *const *max = t ? t->xmax : a->xmax;
    for (int l = 0; l < n_layers; l++) {
        const cu_layer *layer = &m->layer[l];
        cu_act<real> r = act_args(f, m, a, t, l);
        cu_gemm<real> g = product(f, r.rows, (const real *)x[l], layer->ld_in,
                                  (const unsigned *)max[l], &layer->fwd, x[l + 1], layer->ld_out);
        r.bias_row = l == 0 ? bias_row : NULL;
        if (!layer->gelu) {
            const bool update = out && l == n_layers - 1;
            g.bias = t ? (const real *)f->k->zero : r.bias;
            g.bias_row = t ? NULL : r.bias_row;
            g.ldbias = r.ld;
            if (update)
                update_args(f, out, &g);
            else
                g.ymax = max[l + 1];
            g.mode = update ? CU_UPDATE : t ? CU_BACKWARD : CU_FORWARD;
        }
        cu_multiply(f->s, f->stream, &g);
        if (!layer->gelu)
            continue;
        r.x = r.y = x[l + 1];
        r.max = max[l + 1];
        if (t)
            cu_act_tangent(f->s, f->stream, &r);
        else
            cu_act_forward(f->s, f->stream, &r);
    }
}

template <typename real>
static void through_activation(const flow<real> *f, const cu_mlp *m, const cu_acts<real> *a,
                               const cu_tan_acts<real> *t, int l, const real *x)
{
    cu_act<real> r = act_args(f, m, a, t, l);
    r.x = x;
    r.y = t ? t->gz[l] : a->gz[l];
    r.max = t ? t->gzmax[l] : a->gzmax[l];
    if (t)
        cu_act_back_tangent(f->s, f->stream, &r);
    else
        cu_act_backward(f->s, f->stream, &r);
}

/* Layers n_layers - 1 .. 0; gz of the last of them is there, with its maxima. gx, gxmax: the adjoint of the
 * input, and where its maxima are reported, or NULL */
template <typename real>
static void backward_layers(const flow<real> *f, const cu_mlp *m, const cu_acts<real> *a,
                            const cu_tan_acts<real> *t, int n_layers, real *gx, unsigned *gxmax)
{
    real *const *gz = t ? t->gz : a->gz;
    unsigned *const *max = t ? t->gzmax : a->gzmax;
    for (int l = n_layers - 1; l >= 0; l--) {
        const cu_layer *layer = &m->layer[l];
        const bool curved = l > 0 && m->layer[l - 1].gelu;
        real *to = l > 0 ? gz[l - 1] : gx;
        cu_gemm<real> g = product(f, t ? f->t->rows : f->k->n, (const real *)gz[l], layer->ld_out,
                                  (const unsigned *)max[l], &layer->bwd, to, layer->ld_in);
        g.ymax = l == 0 ? gxmax : curved ? NULL : max[l - 1];
        cu_multiply(f->s, f->stream, &g);
        if (curved)
            through_activation(f, m, a, t, l - 1, (const real *)to);
    }
}

#endif
