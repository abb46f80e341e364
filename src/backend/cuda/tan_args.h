/* SPDX-License-Identifier: MIT */
/* tan_args.h - arguments of the kernels in the sequences of tan_flow.cu: what the primal keeps and,
 * in a sweep, the tangents beside it. */
#ifndef AIM_BACKEND_CUDA_TAN_ARGS_H
#define AIM_BACKEND_CUDA_TAN_ARGS_H

#include "backend/cuda/tan_layers.h"

/* ---------------------------------------------------------------- the network */

template <typename real> static cu_conv_tan<real> conv_args(const flow<real> *f, int p)
{
    const cu_kept<real> *k = f->k;
    const aim_dev_net *d = &f->net->d;
    cu_conv_tan<real> a = {};
    cu_conv<real> *c = &a.of;
    c->n = k->n;
    c->capacity = k->capacity;
    c->processors = f->net->device->processors;
    c->gp = d->gp;
    c->nshifts = d->nshifts;
    c->fa = d->fa;
    c->nc = d->n_charge;
    c->features = !d->d2 ? CU_PLAIN : p == 0 ? CU_EMBED : CU_FULL;
    c->charges = p > 0;
    c->count = k->count;
    c->j = k->j;
    c->species = k->species;
    c->u = k->u;
    c->rc = (real)d->rc;
    c->eta = (real)d->eta;
    c->shifts = (const real *)d->shifts;
    c->nf = d->conv_a.nf;
    c->ncomb = d->conv_a.ncomb;
    c->hp = d->conv_a.hp;
    c->q_ncomb = d->conv_q.ncomb;
    c->q_hp = d->conv_q.hp;
    c->agh = (const real *)d->conv_a.agh;
    c->q_agh = (const real *)d->conv_q.agh;
    cu_set_turned(f->net, c);
    c->a = c->features == CU_EMBED ? (const real *)d->embedding : k->a[p];
    c->q = p > 0 ? k->qs[p - 1] : NULL;
    c->col = d->columns[p];
    c->x = k->pass[p].x[0];
    c->gx = k->pass[p].gx;
    c->ldx = f->net->mlp[p].layer[0].ld_in;
    c->xmax = k->pass[p].xmax[0];
    c->v = k->v[p];
    c->vq = k->vq[p];
    c->s_adj = k->s_adj[p];
    c->sq_adj = k->sq_adj[p];
    c->e_adj = k->e_adj;
    c->ga = p > 0 ? k->ga[p % 2] : NULL;
    c->ga_later = p < d->n_pass - 1 ? k->ga[(p + 1) % 2] : NULL;
    c->gq = p > 0 ? k->gqs[p - 1] : NULL;
    c->grad = k->grad;
    c->virial = k->virial;
    c->want_strain = k->virial != NULL;
    c->kinds = k->kinds;
    c->kind = k->kind;
    c->kind_species = k->kind_species;
    c->tug = k->tug;
    a.systems = k->systems;
    a.system = k->system;
    a.sums = k->sums;
    const cu_tans<real> *t = f->t;
    if (!t)
        return a;
    a.n_dir = t->n_dir;
    a.tx_atom = t->tx;
    a.w = t->w;
    a.ta = t->ta[p];
    a.tq = p > 0 ? t->tqs[p - 1] : NULL;
    a.tx = t->pass[p].x[0];
    a.txmax = t->pass[p].xmax[0];
    a.tv = t->tv[p];
    a.tvq = t->tvq[p];
    a.ts_adj = t->ts_adj;
    a.tsq_adj = t->tsq_adj;
    a.ts = t->ts[p];
    a.tsq = t->tsq[p];
    a.s = k->s[p];
    a.sq = k->sq[p];
    a.tga = p > 0 ? t->tga[p % 2] : t->tga0;
    a.tga_later = p < d->n_pass - 1 ? t->tga[(p + 1) % 2] : NULL;
    a.tgq = p > 0 ? t->tgqs[p - 1] : NULL;
    a.tgrad = f->sweep->places ? NULL : t->tgrad; /* a gradient by parameters needs no product */
    a.tvirial = t->tvirial;
    return a;
}

template <typename real> static cu_charges_tan<real> charge_args(const flow<real> *f, int p)
{
    const cu_kept<real> *k = f->k;
    cu_charges_tan<real> a = {};
    cu_charges<real> *c = &a.of;
    c->systems = k->systems;
    c->nc = f->net->d.n_charge;
    c->offset = k->offset;
    c->charge = k->charge;
    c->mult = k->mult;
    c->epsilon = f->net->d.charge_epsilon;
    c->y = k->y[p];
    c->q_old = p > 0 ? k->qs[p - 1] : NULL;
    c->q = k->qs[p];
    c->gq = k->gqs[p];
    c->gy = k->gy[p];
    c->gq_old = p > 0 ? k->gqs[p - 1] : NULL;
    c->wide = 1;
    c->state = k->charge_state[p];
    a.n = k->n;
    const cu_tans<real> *t = f->t;
    if (!t)
        return a;
    a.n_dir = t->n_dir;
    a.ty = t->ty[p];
    a.tq_old = p > 0 ? t->tqs[p - 1] : NULL;
    a.tq = t->tqs[p];
    a.tgq = t->tgqs[p];
    a.tgy = t->tgy[p];
    a.tgq_old = p > 0 ? t->tgqs[p - 1] : NULL;
    return a;
}

template <typename real>
static cu_head_out<real> head_args(const flow<real> *f, int h, int rows, const real *x, double *out,
                                   const double *g, real *gx)
{
    const cu_mlp *m = &f->net->head[h];
    const cu_layer *end = &m->layer[m->n_layers - 1];
    cu_head_out<real> o = {};
    o.rows = rows;
    o.n_in = end->n_in;
    o.n_out = end->n_out;
    o.w = (const real *)end->plain;
    o.bias = f->k->zero;
    o.x = x;
    o.ldx = end->ld_in;
    o.out = out;
    o.g = g;
    o.ldg = o.n_out;
    o.gx = gx;
    o.ldgx = end->ld_in;
    return o;
}

/* ---------------------------------------------------------------- terms on the device */

/* In double, so that what is added to the adjoints of charges has no rounding of its own; an
 * evaluation is that of flow.cu. */
template <typename real> static cu_term_tan term_args(const flow<real> *f)
{
    const cu_kept<real> *k = f->k;
    const cu_tans<real> *t = f->t;
    const aim_dev_job *j = f->sweep->job;
    cu_term_tan c = {};
    cu_terms *o = &c.of;
    o->n = k->n;
    o->kinds = k->kinds;
    o->is_double = f->net->d.is_double || !cu_evaluates(f->sweep);
    o->offset = k->offset;
    o->system = k->system;
    o->kind = k->kind;
    o->kind_number = k->kind_number;
    o->coord = k->coord;
    o->q = k->q;
    o->count = k->count;
    o->j = k->j;
    o->capacity = k->capacity;
    o->list_cutoff = j->cutoff;
    o->shift = k->shift;
    o->screening = k->screening;
    o->coulomb = j->coulomb;
    o->sr = j->sr;
    o->envelope = j->sr_envelope;
    o->want_grad = 1;
    o->rc = j->coulomb_cutoff;
    o->alpha = j->dsf_alpha;
    o->sr_rc = j->sr_rc;
    o->cells = k->cells;
    o->order = k->cells.order;
    o->e = k->term_e;
    o->grad = k->grad;
    o->gq = k->gq;
    o->d3 = f->net->d3;
    o->s6 = j->d3_s6;
    o->s8 = j->d3_s8;
    o->a1 = j->d3_a1;
    o->a2 = j->d3_a2;
    o->cutoff = j->d3_cutoff;
    o->smoothing = j->d3_smoothing;
    o->reach = j->d3_reach;
    o->want_strain = f->sweep->job->want_strain && cu_evaluates(f->sweep);
    o->virial = k->virial;
    o->virial_side = k->virial_side;
    o->w = k->d3_w;
    o->dw = k->d3_dw;
    o->s = k->d3_s;
    o->low = k->d3_low;
    o->cn_grad = k->cn_grad;
    o->grad_side = k->grad_side;
    c.near = j->cutoff;
    c.n_dir = 1;
    c.systems = k->systems;
    c.refs = k->refs;
    c.low = k->low;
    c.slope = k->d3_slope;
    if (!t)
        return c;
    o->d3_ran = j->d3 && !f->sweep->places; /* no parameter of the network is in it */
    c.n_dir = t->n_dir;
    c.tx = t->tx;
    c.w = t->w;
    c.tq = t->tq;
    c.weight = t->weight;
    c.tcn = t->tcn;
    c.tslope = t->tslope;
    c.tgrad = t->tgrad;
    c.tvirial = t->tvirial;
    c.tgq = t->tgq;
    return c;
}

/* Terms among the outputs of older models. */
template <typename real>
static cu_embedded_tan embedded_args(const flow<real> *f, const cu_term_tan &c)
{
    const cu_kept<real> *k = f->k;
    const aim_dev_job *j = f->sweep->job;
    cu_embedded_tan e = {};
    e.c = c;
    e.x.of = c.of;
    e.x.rows = k->n;
    e.x.element = k->element;
    e.x.atom = k->cells.grid ? k->cells.order : NULL;
    e.x.rc = j->rep_rc;
    e.x.envelope = j->rep_envelope;
    e.x.moves = j->rep_moves;
    e.x.e_atom = k->e_rep_atom;
    e.x.ts = k->ts;
    e.x.slope = k->ts_slope;
    e.slope = k->ts_slope;
    if (!j->ts_params)
        return e;
    e.x.value = k->value[j->ts_head];
    e.x.adjoint = k->ghead[j->ts_head];
    if (!f->t)
        return e;
    e.thead = f->t->thead[j->ts_head];
    e.tghead = f->t->tghead[j->ts_head];
    e.tparam = f->t->tparam;
    return e;
}

#endif
