/* SPDX-License-Identifier: MIT */
/* pass.cu - one pass of the network over the atoms of a slab, or all (flow.h): convolution, layers,
 * heads; and their adjoints, in the order of net/forward.c and net/backward.c. */
#include <string.h>

#include "backend/cuda/flow.h"
#include "backend/cuda/front.h"
#include "backend/cuda/layers.h"

/* ---------------------------------------------------------------- forward */

template <typename real> static unsigned *next_slot(cu_flow<real> *f)
{
    return f->w->rowmax ? f->w->rowmax + (size_t)f->slot++ * f->w->rows : NULL;
}

/* An operand: rows with a leading dimension and the maxima of their magnitudes. */
template <typename real> struct rows {
    real *x;
    int ld;
    unsigned *max;
};

/* From a row of `hidden` to the next where layers go together by counters (layers.h), else 0. */
template <typename real> static int relay_row(const cu_flow<real> *f)
{
    return cu_relay_gains(f->n, f->net->device->processors) ? f->w->relay : 0;
}

/* From a row of `hidden` to the next, of `width` columns or more. */
template <typename real> static int hidden_row(const cu_flow<real> *f, int width)
{
    return relay_row(f) ? relay_row(f) : width;
}

/* Whether layers are put to a list, to go together. */
template <typename real> static int together(const cu_flow<real> *f)
{
    return f->w->between || relay_row(f);
}

/* The list so far. */
template <typename real> static void multiply_list(cu_flow<real> *f, cu_layers<real> *list)
{
    if (list->n)
        cu_multiply_all(f->s, f->stream, list, f->w->between, relay_row(f) ? next_slot(f) : NULL);
}

template <typename real> static cu_conv<real> conv_args(const cu_flow<real> *f, int p)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    cu_conv<real> c = {};
    c.n = f->n;
    c.first = f->first;
    c.capacity = w->capacity;
    c.early = w->early;
    c.processors = f->net->device->processors;
    c.gp = d->gp;
    c.nshifts = d->nshifts;
    c.fa = d->fa;
    c.nc = d->n_charge;
    c.features = !d->d2 ? CU_PLAIN : p == 0 ? CU_EMBED : CU_FULL;
    c.charges = p > 0;
    c.want_strain = f->job->want_strain;
    c.count = from_zero(f, w->count, 1);
    c.j = from_zero(f, w->j, w->capacity);
    c.species = w->species;
    c.u = from_zero(f, w->u, w->capacity);
    c.rc = (real)d->rc;
    c.eta = (real)d->eta;
    c.shifts = (const real *)d->shifts;
    c.nf = d->conv_a.nf;
    c.ncomb = d->conv_a.ncomb;
    c.hp = d->conv_a.hp;
    c.q_ncomb = d->conv_q.ncomb;
    c.q_hp = d->conv_q.hp;
    c.agh = (const real *)d->conv_a.agh;
    c.q_agh = (const real *)d->conv_q.agh;
    cu_set_turned(f->net, &c);
    c.a = c.features == CU_EMBED ? (const real *)d->embedding : w->a[p];
    c.q = p > 0 ? w->qs[p - 1] : NULL;
    c.col = d->columns[p];
    c.ldx = f->net->mlp[p].layer[0].ld_in;
    c.x = from_zero(f, w->x, c.ldx);
    c.gx = c.x;
    c.v = from_zero(f, w->v[p], cu_vectors(1, c.nf, c.ncomb));
    c.vq = from_zero(f, w->vq[p], cu_vectors(1, c.nc, c.q_ncomb));
    c.s_adj = c.features == CU_EMBED ? NULL : w->s_adj; /* e_adj says it all */
    c.sq_adj = w->sq_adj;
    c.e_adj = w->e_adj;
    c.ga = p > 0 ? w->ga[p % 2] : NULL;
    c.ga_later = p < d->n_pass - 1 ? w->ga[(p + 1) % 2] : NULL;
    c.gq = p > 0 ? w->gqs[p - 1] : NULL;
    c.grad = w->own_grad;
    c.virial = w->virial;
    c.kinds = w->kinds;
    c.kind = cu_kind_of(w);
    c.kind_species = w->kind_species;
    c.tug = from_zero(f, w->tug, 4 * (size_t)w->capacity);
    c.partly = w->part_count > 1;
    if (p > 0 || !c.partly)
        c.back = from_zero(f, w->back, w->capacity);
    c.zero = (size_t)f->first * w->capacity;
    if (w->together && p > 0) { /* x is read while tugs are written, but s_adj stays away */
        c.largest = w->together;
        c.systems = w->systems;
        c.offset = w->offset;
        c.tug = w->s_adj;
    }
    if (w->tugs) {
        c.tugs_pass = 4 * (size_t)w->n * (size_t)w->capacity;
        if (p > 0)
            c.tug = w->tugs + c.tugs_pass * (size_t)(p - 1);
        c.tugs = w->tugs;
        c.n_tugs = p == 0 ? d->n_pass - 1 : 0;
        c.keeps = p > 0;
    }
    return c;
}

template <typename real> static void set_card(const cu_flow<real> *f, cu_gemm<real> *g)
{
    g->fast = f->net->d.fast;
    g->warpgroups = f->net->device->warpgroups;
    g->processors = f->net->device->processors;
}

template <typename real>
static cu_gemm<real> layer_args(const cu_flow<real> *f, const cu_layer *l, const rows<real> *in,
                                rows<real> *out)
{
    cu_gemm<real> g = {};
    g.rows = f->n;
    set_card(f, &g);
    g.mode = CU_FORWARD;
    g.gelu = l->gelu;
    g.x = in->x;
    g.ldx = in->ld;
    g.xmax = in->max;
    g.m = l->fwd;
    g.bias = (const real *)l->bias;
    g.ldbias = l->ld_out;
    g.y = out->x;
    g.ldy = l->ld_out;
    g.pitch = out->ld;
    g.ymax = out->max;
    return g;
}

/* Layers 0 .. n - 1, put to the list where layers go together; the last one writes to `end` (features and
 * charges where it updates). */
template <typename real>
static void forward_layers(cu_flow<real> *f, cu_layers<real> *list, const cu_mlp *m, int n,
                           rows<real> in, real *slope, int pass, rows<real> *end)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    int at = 0;
    for (int l = 0; l < n; l++) {
        const cu_layer *layer = &m->layer[l];
        rows<real> out = {w->hidden[l % 2], hidden_row(f, layer->ld_out), NULL};
        if (l == n - 1 && end)
            out = *end;
        else
            out.max = next_slot(f);
        cu_gemm<real> g = layer_args(f, layer, &in, &out);
        g.slope = slope && layer->gelu ? slope + at : NULL;
        g.ldslope = m->slope_width;
        g.bias_row = pass == 0 && l == 0 ? slab_row(f, w->species, 1) : NULL;
        if (pass >= 0 && pass < d->n_pass - 1 && l == m->n_layers - 1) {
            g.mode = CU_UPDATE;
            g.y = slab_row(f, w->a[pass + 1], d->fa);
            g.fa = d->fa;
            g.ldcharges = 2 * d->n_charge;
            g.ldy = g.fa + g.ldcharges;
            g.ymax = NULL;
            g.charges = slab_row(f, w->y[pass], g.ldcharges);
            g.old = pass > 0 ? slab_row(f, w->a[pass], d->fa) : (const real *)d->embedding;
            g.old_row = pass > 0 ? NULL : slab_row(f, w->species, 1);
            g.ldold = d->fa;
        }
        if (together(f)) {
            g.inner = l < n - 1;
            list->g[list->n++] = g;
        } else {
            cu_multiply(f->s, f->stream, &g);
        }
        at += layer->gelu ? layer->ld_out : 0;
        in = out;
    }
    if (end)
        *end = in;
}

template <typename real>
static cu_head_out<real> head_args(const cu_flow<real> *f, int h, const rows<real> *x)
{
    const cu_mlp *m = &f->net->head[h];
    const cu_layer *end = &m->layer[m->n_layers - 1];
    cu_head_out<real> o = {};
    o.rows = f->n;
    o.order = f->w->grid ? slab_row(f, f->w->cells.order, 1) : NULL;
    o.n_in = end->n_in;
    o.n_out = end->n_out;
    o.gelu = end->gelu;
    o.w = (const real *)end->plain;
    o.bias = (const real *)end->bias;
    o.x = x->x;
    o.ldx = x->ld;
    o.out = f->w->head[h];
    o.slope = f->w->head_slope[h] ? f->w->head_slope[h] + m->slope_width - end->ld_out : NULL;
    o.ldslope = m->slope_width;
    return o;
}

/* Whether the end of the only head can go beside its adjoint, which needs nothing from it: its input then
 * stands where the last pass has put its own, and nobody wants that any more. Not where layers go
 * together by clusters: some rows would still be on their way when those of the head come. By counters each row
 * waits for its own. */
template <typename real> static int head_goes_beside(const cu_flow<real> *f)
{
    const cu_mlp *m = &f->net->head[0], *pass = &f->net->mlp[f->net->d.n_pass - 1];
    return f->beside && !f->w->between && f->net->d.n_heads == 1 && m->n_layers > 2 &&
           !m->layer[m->n_layers - 1].gelu &&
           m->layer[m->n_layers - 2].ld_out <= pass->layer[pass->n_layers - 1].ld_out;
}

/* `list`: layers in front of them. */
template <typename real>
static void forward_heads(cu_flow<real> *f, cu_layers<real> *list, rows<real> aim)
{
    const cu_work<real> *w = f->w;
    const int beside = head_goes_beside(f);
    for (int h = 0; h < f->net->d.n_heads; h++) {
        const cu_mlp *m = &f->net->head[h];
        rows<real> x = aim;
        if (m->n_layers > 1) {
            x.x = beside ? w->aim : w->hidden[m->n_layers % 2];
            x.ld = hidden_row(f, m->layer[m->n_layers - 2].ld_out);
            if (beside && relay_row(f))
                x.ld = aim.ld; /* rows stand where those of the last pass have stood */
            x.max = NULL;
            forward_layers(f, list, m, m->n_layers - 1, aim, w->head_slope[h], -1, &x);
        }
        multiply_list(f, list);
        const cu_head_out<real> o = head_args(f, h, &x);
        if (beside)
            cu_fork(f);
        cu_head_forward(f->s, beside ? f->net->device->side : f->stream, &o);
    }
}

/* Whether the charges that pass p - 1 puts out are made by the convolution of pass p. */
template <typename real>
static int makes_charges(const cu_flow<real> *f, int p, const cu_conv<real> *c, cu_charges<real> *q)
{
    if (p == 0 || !f->beside || f->w->between)
        return 0;
    *q = cu_charge_args(f, p - 1);
    return cu_conv_makes_charges(c, q);
}

/* The convolution; beside it, or behind it where that makes their charges, begin the terms. */
template <typename real>
static void convolve(cu_flow<real> *f, int p, const cu_conv<real> *c)
{
    cu_charges<real> q;
    const int makes = makes_charges(f, p, c, &q), begin = f->beside && p == f->net->d.n_pass - 1;
    if (begin && !makes)
        cu_terms_beside(f);
    if (makes)
        cu_conv_forward_charges(f->s, f->stream, c, &q);
    else
        cu_conv_forward(f->s, f->stream, c);
    if (begin && makes)
        cu_terms_beside(f);
}

/* The charges that pass p has put out, unless the next convolution makes them. */
template <typename real> static void equilibrate(cu_flow<real> *f, int p)
{
    const cu_conv<real> next = conv_args(f, p + 1);
    cu_charges<real> q = cu_charge_args(f, p);
    if (!makes_charges(f, p + 1, &next, &q))
        cu_charge_forward(f->s, f->stream, &q);
}

/* Pass p of the atoms of the slab. again: for its backward half, features and charges are there. */
template <typename real> void cu_pass_forward(cu_flow<real> *f, int p, int again)
{
    const cu_work<real> *w = f->w;
    const cu_mlp *m = &f->net->mlp[p];
    const int last = p == f->net->d.n_pass - 1;
    cu_conv<real> c = conv_args(f, p);
    const rows<real> in = {w->x, c.ldx, next_slot(f)};
    c.xmax = from_zero(f, in.max, 1);
    convolve(f, p, &c);
    rows<real> end = {NULL, 0, NULL};
    if (last) {
        end.x = w->aim;
        end.ld = m->layer[m->n_layers - 1].ld_out;
        end.max = next_slot(f);
    }
    const int n = m->n_layers - (again && !last && !m->layer[m->n_layers - 1].gelu);
    cu_layers<real> list;
    list.n = 0;
    forward_layers(f, &list, m, n, in, w->slope[p], p, n == m->n_layers ? &end : NULL);
    if (last)
        forward_heads(f, &list, end);
    multiply_list(f, &list);
    if (!last && !w->part_count)
        equilibrate(f, p);
}

/* ---------------------------------------------------------------- backward */

/* Where the slope of layer l begins in its row; -1: the layer has no activation. */
static int slope_at(const cu_mlp *m, int l)
{
    int at = 0;
    if (l < 0 || !m->layer[l].gelu)
        return -1;
    for (int k = 0; k < l; k++)
        at += m->layer[k].gelu ? m->layer[k].ld_out : 0;
    return at;
}

/* What the adjoint of a last layer's sum is made of, in front of its product; neither: it is there. */
template <typename real> struct origin {
    const cu_pass_front<real> *pass;
    const cu_head_out<real> *head;
};

/* By kernels of its own: x and xmax of g. */
template <typename real>
static void make_origin(cu_flow<real> *f, const cu_gemm<real> *g, origin<real> from)
{
    const cu_pass_front<real> *p = from.pass;
    if (p)
        cu_pass_adjoint(f->s, f->stream, g->rows, p, (real *)g->x, g->ldx, (unsigned *)g->xmax);
    if (from.head)
        cu_head_backward(f->s, f->stream, from.head);
}

/* Layers n - 1 .. 0, put to the list where layers go together: `in` is the adjoint of the last one's sum,
 * made of `from`; the adjoint of the input goes to `out`, times out_slope where that is given. */
template <typename real>
static void backward_layers(cu_flow<real> *f, cu_layers<real> *list, const cu_mlp *m, int n,
                            origin<real> from, rows<real> in, real *slope, rows<real> out,
                            const real *out_slope, int ld_out_slope)
{
    for (int l = n - 1; l >= 0; l--) {
        const cu_layer *layer = &m->layer[l];
        const int below = slope_at(m, l - 1);
        rows<real> to = out;
        if (l > 0) {
            to.x = in.x == f->w->hidden[0] ? f->w->hidden[1] : f->w->hidden[0];
            to.ld = hidden_row(f, layer->ld_in);
            to.max = next_slot(f);
        }
        cu_gemm<real> g = {};
        g.rows = f->n;
        set_card(f, &g);
        g.mode = CU_BACKWARD;
        g.x = in.x;
        g.ldx = in.ld;
        g.xmax = in.max;
        g.m = layer->bwd;
        g.y = to.x;
        g.ldy = layer->ld_in;
        g.pitch = to.ld;
        g.ymax = to.max;
        g.slope = l == 0 ? (real *)out_slope : below >= 0 ? slope + below : NULL;
        g.ldslope = l == 0 ? ld_out_slope : m->slope_width;
        if (l == n - 1 && together(f))
            make_origin(f, &g, from);
        if (together(f)) {
            g.inner = l > 0;
            list->g[list->n++] = g;
        } else if (l == n - 1 && from.pass)
            cu_multiply_pass(f->s, f->stream, &g, from.pass);
        else if (l == n - 1 && from.head)
            cu_multiply_head(f->s, f->stream, &g, from.head);
        else
            cu_multiply(f->s, f->stream, &g);
        in = to;
    }
}

/* Adjoint of one head's input, once the list has been gone through. */
template <typename real>
static void backward_head(cu_flow<real> *f, cu_layers<real> *list, int h, rows<real> out,
                          const real *out_slope, int ld_out_slope)
{
    const cu_work<real> *w = f->w;
    const cu_mlp *m = &f->net->head[h];
    const cu_layer *end = &m->layer[m->n_layers - 1];
    const int below = m->n_layers > 1 ? slope_at(m, m->n_layers - 2) : -1;
    rows<real> x = {w->hidden[0], hidden_row(f, end->ld_in), NULL};
    if (m->n_layers > 1) {
        x.max = next_slot(f);
        if (out.x == x.x && m->n_layers % 2 == 0)
            x.x = w->hidden[1];
    } else {
        x = out;
    }
    cu_head_out<real> o = head_args(f, h, &x);
    o.g = w->ghead[h];
    o.ldg = cu_alike(f->job, h) ? 0 : o.n_out;
    o.gx = x.x;
    o.ldgx = x.ld;
    o.gxmax = x.max;
    o.slope_below = m->n_layers == 1 ? out_slope : below >= 0 ? w->head_slope[h] + below : NULL;
    o.ldslope_below = m->n_layers == 1 ? ld_out_slope : m->slope_width;
    if (m->n_layers == 1)
        cu_head_backward(f->s, f->stream, &o);
    else
        backward_layers(f, list, m, m->n_layers - 1, {NULL, &o}, x, w->head_slope[h], out, out_slope,
                        ld_out_slope);
}

/* Adjoint of the last pass's sums, from all heads that carry one, once the list has been gone through. */
template <typename real>
static rows<real> backward_heads(cu_flow<real> *f, cu_layers<real> *list)
{
    const cu_work<real> *w = f->w;
    const cu_mlp *m = &f->net->mlp[f->net->d.n_pass - 1];
    const int at = slope_at(m, m->n_layers - 1), ld = m->layer[m->n_layers - 1].ld_out;
    const real *slope = at >= 0 ? w->slope[f->net->d.n_pass - 1] + at : NULL;
    real *part[AIM_DEV_HEADS];
    int n = 0, only = 0;
    for (int h = 0; h < f->net->d.n_heads; h++)
        if (w->ghead[h]) {
            only = h;
            part[n++] = w->gaim[h];
        }
    rows<real> out = {w->hidden[0], hidden_row(f, ld), next_slot(f)};
    if (n == 1) {
        backward_head(f, list, only, out, slope, m->slope_width);
        return out;
    }
    for (int h = 0; h < f->net->d.n_heads; h++)
        if (w->ghead[h]) {
            const rows<real> own = {w->gaim[h], ld, next_slot(f)};
            backward_head<real>(f, list, h, own, NULL, 0);
            multiply_list(f, list);
        }
    cu_combine(f->s, f->stream, f->n, ld, n, part, slope, m->slope_width, out.x, out.ld, out.max);
    return out;
}

/* From the adjoints of what pass p has put out to those of the environments of its atoms. */
template <typename real> void cu_pass_backward(cu_flow<real> *f, int p)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    const cu_mlp *m = &f->net->mlp[p];
    const rows<real> gx = {w->x, m->layer[0].ld_in, NULL};
    cu_layers<real> list;
    list.n = 0;
    if (p == d->n_pass - 1) {
        const rows<real> gy = backward_heads(f, &list);
        backward_layers<real>(f, &list, m, m->n_layers, {NULL, NULL}, gy, w->slope[p], gx, NULL, 0);
    } else {
        const int slope = slope_at(m, m->n_layers - 1);
        const int width = m->layer[m->n_layers - 1].ld_out;
        const rows<real> gy = {w->hidden[0], hidden_row(f, width), next_slot(f)};
        cu_pass_front<real> front = {};
        front.fa = d->fa;
        front.nc = d->n_charge;
        front.ga = slab_row(f, w->ga[(p + 1) % 2], d->fa);
        front.gy = slab_row(f, w->gy[p], 2 * d->n_charge);
        front.slope = slope >= 0 ? w->slope[p] + slope : NULL;
        front.ldslope = m->slope_width;
        front.has_charges = !w->part_count;
        front.charges = cu_charge_args(f, p);
        backward_layers<real>(f, &list, m, m->n_layers, {&front, NULL}, gy, w->slope[p], gx, NULL,
                              0);
    }
    multiply_list(f, &list);
    const cu_conv<real> c = conv_args(f, p);
    if (f->beside && p == d->n_pass - 1) { /* it adds to what the terms have left of the charges */
        if (!cu_early_apart(w)) /* else what is in the second stream since then is joined at the end */
            cu_end_side(f);
        cu_join(f);
    }
    if (p == 0 && w->ending && f->first + f->n == w->n)
        cu_tell_ending(f);
    cu_project_backward(f->s, f->stream, &c);
}

/* Then, from those of all atoms, to forces and to the features of their neighbours. */
template <typename real> void cu_pass_gather(cu_flow<real> *f, int p, int first, int n)
{
    cu_conv<real> c = conv_args(f, p);
    c.first += first;
    c.n = n;
    if (c.features == CU_EMBED)
        cu_embed_backward(f->s, f->stream, &c);
    else
        cu_conv_backward(f->s, f->stream, &c);
}

#define INSTANCE(real)                                                                             \
    template void cu_pass_forward(cu_flow<real> *, int, int);                                      \
    template void cu_pass_backward(cu_flow<real> *, int);                                          \
    template void cu_pass_gather(cu_flow<real> *, int, int, int)
INSTANCE(float);
INSTANCE(double);
