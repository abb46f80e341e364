/* SPDX-License-Identifier: MIT */
/* flow.cu - one evaluation as a sequence of kernels: the order of net/forward.c and net/backward.c,
 * the terms between them.
 *
 * Everything goes into one stream without waiting; what does not depend on the network (D3) goes
 * into a second one that joins before the results leave. The sequence depends on the shape of a
 * batch only, so that it can be recorded as a graph. */
#include <string.h>

#include "backend/cuda/caller.h"
#include "backend/cuda/waves.h"

/* ---------------------------------------------------------------- one evaluation */

template <typename real> struct flow {
    cu_state *s;
    cu_net *net;
    const aim_dev_job *job;
    const cu_work<real> *w;
    cudaStream_t stream;
    int slot;
    int beside; /* terms and their sums go into the second stream, beside the last pass */
};

/* What is put into the second stream from here on comes after what is in the first by now. */
template <typename real> static void fork(flow<real> *f)
{
    cu_device *dev = f->net->device;
    cu_check_call(f->s, cudaEventRecord(dev->fork, f->stream), "an event");
    cu_check_call(f->s, cudaStreamWaitEvent(dev->side, dev->fork, 0), "an event");
    f->s->joined = 1;
}

/* Where join() waits. */
template <typename real> static void end_of_side(flow<real> *f)
{
    cu_device *dev = f->net->device;
    cu_check_call(f->s, cudaEventRecord(dev->join, dev->side), "an event");
}

template <typename real> static void join(flow<real> *f)
{
    cu_check_call(f->s, cudaStreamWaitEvent(f->stream, f->net->device->join, 0), "an event");
    f->s->joined = 1;
}

template <typename real> static unsigned *next_slot(flow<real> *f)
{
    return f->w->rowmax ? f->w->rowmax + (size_t)f->slot++ * f->w->n : NULL;
}

/* An operand: rows with a leading dimension and the maxima of their magnitudes. */
template <typename real> struct rows {
    real *x;
    int ld;
    unsigned *max;
};

template <typename real> static cu_conv<real> conv_args(const flow<real> *f, int p)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    cu_conv<real> c = {};
    c.n = w->n;
    c.capacity = w->capacity;
    c.gp = d->gp;
    c.nshifts = d->nshifts;
    c.fa = d->fa;
    c.nc = d->n_charge;
    c.features = !d->d2 ? CU_PLAIN : p == 0 ? CU_EMBED : CU_FULL;
    c.charges = p > 0;
    c.want_strain = f->job->want_strain;
    c.count = w->count;
    c.j = w->j;
    c.species = w->species;
    c.u = w->u;
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
    c.a = c.features == CU_EMBED ? (const real *)d->embedding : w->a[p];
    c.q = p > 0 ? w->qs[p - 1] : NULL;
    c.col = d->columns[p];
    c.x = w->x;
    c.gx = w->x;
    c.ldx = f->net->mlp[p].layer[0].ld_in;
    c.v = w->v[p];
    c.vq = w->vq[p];
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
    return c;
}

template <typename real> static cu_charges<real> charge_args(const flow<real> *f, int p)
{
    const cu_work<real> *w = f->w;
    cu_charges<real> c = {};
    c.systems = w->systems;
    c.nc = f->net->d.n_charge;
    c.offset = w->offset;
    c.charge = w->charge;
    c.mult = w->mult;
    c.epsilon = f->net->d.charge_epsilon;
    c.y = w->y[p];
    c.q_old = p > 0 ? w->qs[p - 1] : NULL;
    c.q = w->qs[p];
    c.gq = w->gqs[p];
    c.gy = w->gy[p];
    c.gq_old = p > 0 ? w->gqs[p - 1] : NULL;
    c.wide = w->wide;
    c.partial = w->partial;
    c.state = w->charge_state[p];
    return c;
}

template <typename real> static void set_card(const flow<real> *f, cu_gemm<real> *g)
{
    g->fast = f->net->d.fast;
    g->warpgroups = f->net->device->warpgroups;
    g->processors = f->net->device->processors;
}

template <typename real>
static cu_gemm<real> layer_args(const flow<real> *f, const cu_layer *l, const rows<real> *in,
                                rows<real> *out)
{
    cu_gemm<real> g = {};
    g.rows = f->w->n;
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
    g.ymax = out->max;
    return g;
}

/* Charges to the results; energies of the terms, and with them the adjoints of the charges. */
template <typename real> static void run_terms(flow<real> *f, cudaStream_t stream)
{
    const cu_work<real> *w = f->w;
    const aim_dev_job *job = f->job;
    const aim_dev_net *d = &f->net->d;
    const cu_terms t = cu_term_args(f->net, f->job, f->w);
    cu_report(f->s, stream, w->n, d->n_charge, w->qs[d->n_pass - 2],
              w->grid ? w->cells.order : NULL, w->own_q, w->q, w->spin);
    if (!f->beside && job->d3)
        join(f);
    if (job->coulomb || job->sr || t.through_cn)
        cu_pair_terms(f->s, stream, &t);
    if (job->waves)
        cu_waves(f->s, stream, job, &t, w->waves);
}

template <typename real> static void seed_charges(flow<real> *f, cudaStream_t stream)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    cu_seed(f->s, stream, w->n, d->n_charge, f->job->middle ? w->in_gq : w->gq,
            f->job->middle ? w->in_gspin : NULL, w->gqs[d->n_pass - 2]);
}

/* The same in the second stream: the last pass leaves the charges as they are. */
template <typename real> static void run_terms_beside(flow<real> *f)
{
    cu_device *dev = f->net->device;
    fork(f);
    run_terms(f, dev->side);
    if (f->job->want_grad)
        seed_charges(f, dev->side);
    end_of_side(f);
}

/* Layers 0 .. n - 1; the last one writes to `end` (features and charges where it updates). */
template <typename real>
static void forward_layers(flow<real> *f, const cu_mlp *m, int n, rows<real> in, real *slope,
                           int pass, rows<real> *end)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    int at = 0;
    for (int l = 0; l < n; l++) {
        const cu_layer *layer = &m->layer[l];
        rows<real> out = {w->hidden[l % 2], layer->ld_out, NULL};
        if (l == n - 1 && end)
            out = *end;
        else
            out.max = next_slot(f);
        cu_gemm<real> g = layer_args(f, layer, &in, &out);
        g.slope = slope && layer->gelu ? slope + at : NULL;
        g.ldslope = m->slope_width;
        g.bias_row = pass == 0 && l == 0 ? w->species : NULL;
        if (pass >= 0 && pass < d->n_pass - 1 && l == n - 1) {
            g.mode = CU_UPDATE;
            g.y = w->a[pass + 1];
            g.fa = d->fa;
            g.ldcharges = 2 * d->n_charge;
            g.ldy = g.fa + g.ldcharges;
            g.ymax = NULL;
            g.charges = w->y[pass];
            g.old = pass > 0 ? w->a[pass] : (const real *)d->embedding;
            g.old_row = pass > 0 ? NULL : w->species;
            g.ldold = d->fa;
        }
        cu_multiply(f->s, f->stream, &g);
        at += layer->gelu ? layer->ld_out : 0;
        in = out;
    }
    if (end)
        *end = in;
}

template <typename real>
static cu_head_out<real> head_args(const flow<real> *f, int h, const rows<real> *x)
{
    const cu_mlp *m = &f->net->head[h];
    const cu_layer *end = &m->layer[m->n_layers - 1];
    cu_head_out<real> o = {};
    o.rows = f->w->n;
    o.order = f->w->grid ? f->w->cells.order : NULL;
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

template <typename real> static void forward_heads(flow<real> *f, rows<real> aim)
{
    const cu_work<real> *w = f->w;
    for (int h = 0; h < f->net->d.n_heads; h++) {
        const cu_mlp *m = &f->net->head[h];
        rows<real> x = aim;
        if (m->n_layers > 1) {
            x.x = w->hidden[m->n_layers % 2];
            x.ld = m->layer[m->n_layers - 2].ld_out;
            x.max = NULL;
            forward_layers(f, m, m->n_layers - 1, aim, w->head_slope[h], -1, &x);
        }
        const cu_head_out<real> o = head_args(f, h, &x);
        cu_head_forward(f->s, f->stream, &o);
    }
}

template <typename real> static void forward_network(flow<real> *f)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    if (!d->d2)
        cu_gather_rows(f->s, f->stream, w->n, d->fa, (const real *)d->embedding, w->species,
                       w->a[0]);
    for (int p = 0; p < d->n_pass; p++) {
        const cu_mlp *m = &f->net->mlp[p];
        cu_conv<real> c = conv_args(f, p);
        c.xmax = next_slot(f);
        cu_conv_forward(f->s, f->stream, &c);
        rows<real> end = {NULL, 0, NULL};
        if (p == d->n_pass - 1) {
            end.x = w->aim;
            end.ld = m->layer[m->n_layers - 1].ld_out;
            end.max = next_slot(f);
        }
        const rows<real> in = {w->x, c.ldx, c.xmax};
        forward_layers(f, m, m->n_layers, in, w->slope[p], p, &end);
        if (p == d->n_pass - 1) {
            forward_heads(f, end);
        } else {
            const cu_charges<real> q = charge_args(f, p);
            cu_charge_forward(f->s, f->stream, &q);
            if (f->beside && p == d->n_pass - 2)
                run_terms_beside(f);
        }
    }
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

/* Layers n - 1 .. 0: `in` is the adjoint of the last one's sum; the adjoint of the input goes to
 * `out`, times out_slope where that is given. */
template <typename real>
static void backward_layers(flow<real> *f, const cu_mlp *m, int n, rows<real> in, real *slope,
                            rows<real> out, const real *out_slope, int ld_out_slope)
{
    for (int l = n - 1; l >= 0; l--) {
        const cu_layer *layer = &m->layer[l];
        const int below = slope_at(m, l - 1);
        rows<real> to = out;
        if (l > 0) {
            to.x = in.x == f->w->hidden[0] ? f->w->hidden[1] : f->w->hidden[0];
            to.ld = layer->ld_in;
            to.max = next_slot(f);
        }
        cu_gemm<real> g = {};
        g.rows = f->w->n;
        set_card(f, &g);
        g.mode = CU_BACKWARD;
        g.x = in.x;
        g.ldx = in.ld;
        g.xmax = in.max;
        g.m = layer->bwd;
        g.y = to.x;
        g.ldy = layer->ld_in;
        g.ymax = to.max;
        g.slope = l == 0 ? (real *)out_slope : below >= 0 ? slope + below : NULL;
        g.ldslope = l == 0 ? ld_out_slope : m->slope_width;
        cu_multiply(f->s, f->stream, &g);
        in = to;
    }
}

/* Adjoint of one head's input. */
template <typename real>
static void backward_head(flow<real> *f, int h, rows<real> out, const real *out_slope,
                          int ld_out_slope)
{
    const cu_work<real> *w = f->w;
    const cu_mlp *m = &f->net->head[h];
    const cu_layer *end = &m->layer[m->n_layers - 1];
    const int below = m->n_layers > 1 ? slope_at(m, m->n_layers - 2) : -1;
    rows<real> x = {w->hidden[0], end->ld_in, NULL};
    if (m->n_layers > 1) {
        x.max = next_slot(f);
        if (out.x == x.x && m->n_layers % 2 == 0)
            x.x = w->hidden[1];
    } else {
        x = out;
    }
    cu_head_out<real> o = head_args(f, h, &x);
    o.g = w->ghead[h];
    o.gx = x.x;
    o.ldgx = x.ld;
    o.gxmax = x.max;
    o.slope_below = m->n_layers == 1 ? out_slope : below >= 0 ? w->head_slope[h] + below : NULL;
    o.ldslope_below = m->n_layers == 1 ? ld_out_slope : m->slope_width;
    cu_head_backward(f->s, f->stream, &o);
    if (m->n_layers > 1)
        backward_layers(f, m, m->n_layers - 1, x, w->head_slope[h], out, out_slope, ld_out_slope);
}

/* Adjoint of the last pass's sums, from all heads that carry one. */
template <typename real> static rows<real> backward_heads(flow<real> *f)
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
    rows<real> out = {w->hidden[0], ld, next_slot(f)};
    if (n == 1) {
        backward_head(f, only, out, slope, m->slope_width);
        return out;
    }
    for (int h = 0; h < f->net->d.n_heads; h++)
        if (w->ghead[h]) {
            const rows<real> own = {w->gaim[h], ld, next_slot(f)};
            backward_head<real>(f, h, own, NULL, 0);
        }
    cu_combine(f->s, f->stream, w->n, ld, n, part, slope, m->slope_width, out.x, out.max);
    return out;
}

template <typename real> static void backward_network(flow<real> *f)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    for (int p = d->n_pass - 1; p >= 0; p--) {
        const cu_mlp *m = &f->net->mlp[p];
        const int at = slope_at(m, m->n_layers - 1);
        rows<real> gy;
        if (p == d->n_pass - 1) {
            gy = backward_heads(f);
        } else {
            gy.x = w->hidden[0];
            gy.ld = m->layer[m->n_layers - 1].ld_out;
            gy.max = next_slot(f);
            cu_output_adjoint<real>(f->s, f->stream, w->n, d->fa, d->n_charge, w->ga[(p + 1) % 2],
                                    w->gy[p], at >= 0 ? w->slope[p] + at : NULL, m->slope_width,
                                    gy.x, gy.ld, gy.max);
        }
        const rows<real> gx = {w->x, m->layer[0].ld_in, NULL};
        backward_layers<real>(f, m, m->n_layers, gy, w->slope[p], gx, NULL, 0);
        const cu_conv<real> c = conv_args(f, p);
        if (f->beside && p == d->n_pass - 1)
            join(f);
        cu_project_backward(f->s, f->stream, &c);
        if (c.features == CU_EMBED)
            cu_embed_backward(f->s, f->stream, &c);
        else
            cu_conv_backward(f->s, f->stream, &c);
        if (p > 0) {
            const cu_charges<real> q = charge_args(f, p - 1);
            cu_charge_backward(f->s, f->stream, &q);
        }
    }
}

template <typename real> static void first_half(flow<real> *f)
{
    const cu_work<real> *w = f->w;
    cu_device *dev = f->net->device;
    const aim_dev_job *job = f->job;
    cu_check_call(f->s,
          cudaMemcpyAsync(w->in_base, dev->in, job->middle ? w->in_first : w->in_bytes,
                          cudaMemcpyHostToDevice, f->stream),
          "copying the batch");
    cu_check_call(f->s,
          cudaMemsetAsync(w->out_base, 0, (size_t)(w->clear_base - w->out_base) + w->clear_bytes,
                          f->stream),
          "clearing");
    if (w->caller)
        cu_bring_in(f->s, f->stream, w);
    if (w->grid)
        cu_sort_atoms(f->s, f->stream, &w->cells, w->coord, w->system);
    if (job->d3) {
        const cu_terms t = cu_term_args(f->net, f->job, f->w);
        fork(f);
        cu_d3(f->s, dev->side, &t);
        end_of_side(f);
    }
    cu_list list = {};
    list.n = w->n;
    list.capacity = w->capacity;
    list.cutoff = job->cutoff;
    list.coord = w->coord;
    list.cell = w->cell;
    list.offset = w->offset;
    list.system = w->system;
    list.kind = cu_kind_of(w);
    list.kind_species = w->kind_species;
    list.in_count = w->in_count;
    list.in_j = w->in_j;
    list.in_shift = w->in_shift;
    list.count = w->count;
    list.j = w->j;
    list.species = w->species;
    list.longest = w->longest;
    list.overlap = w->overlap;
    list.shift = w->shift;
    list.cells = w->cells;
    cu_list_build(f->s, f->stream, &list, w->u);
    forward_network(f);
    if (!f->beside)
        run_terms(f, f->stream);
    if (cu_sums_beside(w)) { /* atom after atom, beside what follows */
        fork(f);
        cu_sum_network(f->s, dev->side, w);
    }
}

template <typename real> static void second_half(flow<real> *f)
{
    const cu_work<real> *w = f->w;
    cu_device *dev = f->net->device;
    const aim_dev_job *job = f->job;
    if (job->want_grad) {
        if (job->middle)
            cu_check_call(f->s,
                  cudaMemcpyAsync(w->in_base + w->in_first, (char *)dev->in + w->in_first,
                                  w->in_bytes - w->in_first, cudaMemcpyHostToDevice, f->stream),
                  "copying adjoints");
        if (!f->beside)
            seed_charges(f, f->stream);
        backward_network(f);
        if (w->grid)
            cu_deliver(f->s, f->stream, w->n, w->own_grad, w->cells.order, w->grad);
    }
    cu_columns_sum sum = {w->systems,
                          3,
                          w->wide,
                          w->offset,
                          w->term_e,
                          1,
                          (size_t)w->n,
                          w->e_coulomb,
                          w->partial,
                          1,
                          (size_t)(w->e_sr - w->e_coulomb)};
    if (job->coulomb || job->sr || job->d3)
        cu_reduce_systems(f->s, f->beside ? dev->side : f->stream, &sum);
    if (!job->want_strain)
        return;
    sum.columns = 9;
    sum.in = w->virial;
    sum.atom_stride = 9;
    sum.column_stride = 1;
    sum.out = w->strain;
    sum.system_stride = 9;
    sum.out_stride = 1;
    cu_reduce_systems(f->s, f->stream, &sum);
}

template <typename real>
void cu_enqueue(cu_state *s, cu_net *net, const aim_dev_job *job, const cu_work<real> *w, int first,
                int second)
{
    flow<real> f = {s, net, job, w, net->device->stream, 0, 0};
    f.beside = !job->middle && !job->waves && !w->grid && w->wide == 1;
    if (first)
        first_half(&f);
    else /* slots are counted on from the first half */
        f.slot = w->n_slots / 2;
    if (second)
        second_half(&f);
    if (f.beside || cu_sums_beside(w)) {
        end_of_side(&f);
        join(&f);
    }
    if (w->caller)
        cu_hand_out(s, f.stream, w);
    cu_check_call(s,
          cudaMemcpyAsync(net->device->out, w->out_base, w->out_copied, cudaMemcpyDeviceToHost,
                          f.stream),
          "copying results");
}

#define INSTANCE(real)                                                                             \
    template void cu_enqueue(cu_state *, cu_net *, const aim_dev_job *, const cu_work<real> *,     \
                             int, int)
INSTANCE(float);
INSTANCE(double);
