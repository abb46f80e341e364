/* SPDX-License-Identifier: MIT */
/* tan_layout.cu - where the arrays of second derivatives lie: what the primal keeps at the start of
 * the workspace, the tangents of one block of directions behind it. */
#include <string.h>

#include "backend/cuda/carve.h"
#include "backend/cuda/tan_waves.h"

static char *here(const carver *c)
{
    return c->base ? c->base + c->used : NULL;
}

/* ---------------------------------------------------------------- the primal */

template <typename real>
static void kept_out(const cu_net *net, const aim_dev_sweep *sweep, carver *c, cu_kept<real> *k)
{
    const size_t n = (size_t)k->n, start = c->used;
    k->out_base = here(c);
    TAKE(c, k->longest, 1);
    TAKE(c, k->overlap, 1);
    TAKE(c, k->q, n);
    TAKE(c, k->spin, n);
    const aim_dev_job *job = sweep->job;
    const int evaluates = cu_evaluates(sweep);
    for (int h = 0; h < net->d.n_heads; h++)
        if (evaluates || cu_predicts(sweep, h))
            TAKE(c, k->value[h], n * (size_t)net->d.head_width[h]);
    if (evaluates) {
        TAKE(c, k->e_coulomb, k->systems);
        TAKE(c, k->e_sr, k->systems);
        TAKE(c, k->e_d3, k->systems);
        if (job->rep_params)
            TAKE(c, k->e_rep, k->systems);
        if (job->rep_atoms)
            TAKE(c, k->e_rep_atom, n);
        TAKE(c, k->grad, 3 * n);
        if (job->want_strain)
            TAKE(c, k->strain, 9 * k->systems);
    }
    k->out_bytes = c->used - start;
}

template <typename real>
static void kept_in(const cu_net *net, const aim_dev_sweep *sweep, carver *c, cu_kept<real> *k)
{
    const size_t n = (size_t)k->n;
    TAKE(c, k->coord, 3 * n); /* as the desk has them */
    TAKE(c, k->system, n);
    TAKE(c, k->kind, n);
    const size_t start = c->used;
    k->in_base = here(c);
    TAKE(c, k->cell, 9 * k->systems);
    TAKE(c, k->charge, k->systems);
    TAKE(c, k->mult, k->systems);
    TAKE(c, k->offset, k->systems + 1);
    TAKE(c, k->kind_species, k->kinds);
    TAKE(c, k->kind_number, k->kinds);
    if (k->cells.bins)
        TAKE(c, k->grid, k->systems);
    if (sweep->on_device && sweep->job->waves)
        TAKE(c, k->screening, k->systems);
    if (sweep->on_device && (sweep->job->rep_params || sweep->job->ts_params))
        TAKE(c, k->element, CU_ELEMENT * k->kinds);
    if (sweep->job->row) {
        TAKE(c, k->in_count, n);
        TAKE(c, k->in_j, n * (size_t)k->capacity);
        TAKE(c, k->in_shift, n * (size_t)k->capacity);
    }
    if (!sweep->on_device) {
        TAKE(c, k->gq, n);
        TAKE(c, k->gspin, n);
    }
    for (int h = 0; h < net->d.n_heads; h++)
        if (sweep->job->ghead[h])
            TAKE(c, k->ghead[h], n * (size_t)net->d.head_width[h]);
    k->in_bytes = c->used - start;
}

/* Maxima that products report, of layers without an activation: in a block that is cleared. */
template <typename acts>
static void reported_maxima(const cu_mlp *m, size_t rows, carver *c, acts *a)
{
    for (int l = 0; l < m->n_layers; l++)
        if (!m->layer[l].gelu) {
            TAKE(c, a->xmax[l + 1], rows);
            TAKE(c, a->gzmax[l], rows);
        }
}

/* The other maxima, of layers from `first` on. */
template <typename acts>
static void own_maxima(const cu_mlp *m, size_t rows, carver *c, int first, acts *a)
{
    for (int l = first; l <= m->n_layers; l++)
        if (l == 0 || m->layer[l - 1].gelu)
            TAKE(c, a->xmax[l], rows);
    for (int l = 0; l < m->n_layers; l++)
        if (m->layer[l].gelu)
            TAKE(c, a->gzmax[l], rows);
}

template <typename real>
static void kept_acts(const cu_mlp *m, size_t n, carver *c, int first, cu_acts<real> *a)
{
    for (int l = first; l < m->n_layers; l++)
        TAKE(c, a->x[l], n * (size_t)m->layer[l].ld_in);
    TAKE(c, a->x[m->n_layers], n * (size_t)m->layer[m->n_layers - 1].ld_out);
    for (int l = 0; l < m->n_layers; l++)
        TAKE(c, a->gz[l], n * (size_t)m->layer[l].ld_out);
    TAKE(c, a->gx, n * (size_t)m->layer[0].ld_in);
    TAKE(c, a->slope, n * (size_t)m->slope_width);
    TAKE(c, a->curve, n * (size_t)m->slope_width);
    own_maxima(m, n, c, first, a);
}

template <typename real>
static void kept_network(const cu_net *net, int train, carver *c, cu_kept<real> *k)
{
    const aim_dev_net *d = &net->d;
    const size_t n = (size_t)k->n, nc = (size_t)d->n_charge, gp = (size_t)d->gp;
    for (int p = 0; p < d->n_pass; p++) {
        if (p > 0 || !d->d2)
            TAKE(c, k->a[p], n * (size_t)d->fa);
        if (p < d->n_pass - 1) {
            TAKE(c, k->qs[p], n * nc);
            TAKE(c, k->y[p], n * 2 * nc);
            TAKE(c, k->gy[p], n * 2 * nc);
            TAKE(c, k->charge_state[p], 2 * (size_t)k->systems * nc);
        }
        TAKE(c, k->v[p], cu_vectors(n, d->conv_a.nf, d->conv_a.ncomb));
        TAKE(c, k->s_adj[p], n * 4 * (size_t)d->conv_a.nf * gp);
        if (train)
            TAKE(c, k->s[p], n * 4 * (size_t)d->conv_a.nf * gp);
        if (train && p > 0)
            TAKE(c, k->sq[p], n * 4 * nc * gp);
        if (p > 0) {
            TAKE(c, k->vq[p], cu_vectors(n, (int)nc, d->conv_q.ncomb));
            TAKE(c, k->sq_adj[p], n * 4 * nc * gp);
        }
        kept_acts(&net->mlp[p], n, c, 0, &k->pass[p]);
    }
    for (int h = 0; h < d->n_heads; h++) {
        kept_acts(&net->head[h], n, c, 1, &k->head[h]);
        k->head[h].x[0] = k->pass[d->n_pass - 1].x[net->mlp[d->n_pass - 1].n_layers];
    }
    for (int m = 0; m < 2; m++)
        TAKE(c, k->ga[m], n * (size_t)d->fa);
    TAKE(c, k->e_adj, n * (size_t)k->kinds * 4 * gp);
}

/* What the terms need on the device besides. */
template <typename real>
static void kept_terms(const aim_dev_sweep *sweep, carver *c, cu_kept<real> *k)
{
    const aim_dev_job *job = sweep->job;
    const size_t n = (size_t)k->n;
    const int evaluates = cu_evaluates(sweep);
    TAKE(c, k->term_e, (job->rep_params ? 4 : 3) * n);
    if (job->waves)
        TAKE(c, k->waves, cu_waves_bytes(job));
    if (job->ts_params) {
        TAKE(c, k->ts, CU_TS_ROW * n);
        TAKE(c, k->ts_slope, 2 * n);
    }
    if (k->cells.bins) {
        TAKE(c, k->shift, n * (size_t)k->capacity);
        TAKE(c, k->cells.bin, n);
        TAKE(c, k->cells.raw, n);
        TAKE(c, k->cells.order, n);
        TAKE(c, k->cells.group_start, k->cells.bins + 1);
        TAKE(c, k->cells.group, k->cells.groups);
        TAKE(c, k->cells.pos, 3 * n);
        TAKE(c, k->cells.axis, 3 * n);
        TAKE(c, k->cells.kind, n);
        k->cells.atom_kind = k->kind;
        TAKE(c, k->cells.wrapped, 3 * n);
        k->cells.grid = k->grid;
    }
    k->wide = evaluates ? cu_wide(job) : 1;
    if (k->wide > 1)
        TAKE(c, k->partial, 9 * (size_t)k->systems * (size_t)k->wide);
    if (!job->d3)
        return;
    if (evaluates) {
        TAKE(c, k->d3_w, n * CU_D3_ROW);
        TAKE(c, k->d3_dw, n * CU_D3_ROW);
        TAKE(c, k->d3_s, n * CU_D3_ROW);
        TAKE(c, k->d3_low, n);
        TAKE(c, k->cn_grad, n);
        TAKE(c, k->grad_side, 3 * n);
        if (job->want_strain)
            TAKE(c, k->virial_side, 9 * n);
    }
    TAKE(c, k->refs, n * CU_TAN_REFS * CU_D3_ROW);
    TAKE(c, k->low, n);
    TAKE(c, k->d3_slope, n);
}

/* What is read as zeros, and maxima that begin with them. */
template <typename real> static void kept_zeros(const cu_net *net, carver *c, cu_kept<real> *k)
{
    const aim_dev_net *d = &net->d;
    const int last = d->n_pass - 1;
    int widest_output = d->fa;
    for (int p = 0; p < d->n_pass; p++) {
        widest_output = max_of(widest_output, widest(&net->mlp[p]));
        reported_maxima(&net->mlp[p], (size_t)k->n, c, &k->pass[p]);
    }
    for (int h = 0; h < d->n_heads; h++) {
        widest_output = max_of(widest_output, max_of(d->head_width[h], widest(&net->head[h])));
        reported_maxima(&net->head[h], (size_t)k->n, c, &k->head[h]);
        k->head[h].xmax[0] = k->pass[last].xmax[net->mlp[last].n_layers];
    }
    TAKE(c, k->zero, widest_output);
}

template <typename real>
void cu_kept_layout(const cu_net *net, const aim_dev_sweep *sweep, int kinds, int bins, char *base,
                    cu_kept<real> *k)
{
    carver c = {base, 0};
    memset(k, 0, sizeof *k);
    k->cells.n = k->cells.end = sweep->job->n_atoms;
    k->cells.bins = bins;
    k->cells.groups = cu_most_groups(sweep->job, bins);
    k->n = sweep->job->n_atoms;
    k->systems = sweep->job->n_systems;
    k->capacity = net->capacity;
    k->kinds = kinds;
    const size_t n = (size_t)k->n, slots = n * (size_t)k->capacity;
    kept_in(net, sweep, &c, k);
    kept_out(net, sweep, &c, k);
    TAKE(&c, k->count, n);
    TAKE(&c, k->species, n);
    TAKE(&c, k->j, slots);
    TAKE(&c, k->u, slots);
    if (!net->d.is_double)
        TAKE(&c, k->tug, 4 * slots);
    kept_network(net, sweep->places != NULL, &c, k);
    if (sweep->on_device)
        kept_terms(sweep, &c, k);
    const size_t start = c.used;
    k->clear_base = here(&c);
    if (sweep->on_device) {
        TAKE(&c, k->gq, n);
        TAKE(&c, k->gspin, n);
    }
    for (int p = 0; p < net->d.n_pass - 1; p++)
        TAKE(&c, k->gqs[p], n * (size_t)net->d.n_charge);
    if (!cu_evaluates(sweep))
        TAKE(&c, k->grad, 3 * n);
    else if (sweep->job->want_strain)
        TAKE(&c, k->virial, 9 * n);
    if (!sweep->places)
        TAKE(&c, k->sums, slots * CU_PAIR_SUMS);
    kept_zeros(net, &c, k);
    if (bins) {
        TAKE(&c, k->cells.start, bins + 1);
        TAKE(&c, k->cells.fill, bins);
        TAKE(&c, k->cells.most, bins);
    }
    k->clear_bytes = c.used - start;
    k->bytes = c.used;
}

/* ---------------------------------------------------------------- tangents */

template <typename real>
static void tans_in_out(const cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                        carver *c, cu_tans<real> *t)
{
    const size_t rows = (size_t)t->rows, systems = (size_t)t->n_dir * (size_t)k->systems;
    const int strain = sweep->job->want_strain;
    size_t start = c->used;
    t->in_base = here(c);
    TAKE(c, t->tx, 3 * rows);
    if (sweep->w)
        TAKE(c, t->w, 9 * systems);
    t->in_first = c->used - start;
    TAKE(c, t->tgq, rows);
    TAKE(c, t->tgspin, rows);
    for (int h = 0; h < net->d.n_heads; h++)
        if (sweep->tghead[h] && sweep->job->ghead[h])
            TAKE(c, t->tghead[h], rows * (size_t)net->d.head_width[h]);
    if (sweep->weight)
        TAKE(c, t->weight, k->systems);
    t->in_bytes = c->used - start;
    start = c->used;
    t->out_base = here(c);
    TAKE(c, t->tq, rows);
    TAKE(c, t->tspin, rows);
    for (int h = 0; h < net->d.n_heads; h++)
        if (sweep->thead[h])
            TAKE(c, t->thead[h], rows * (size_t)net->d.head_width[h]);
    t->out_first = c->used - start;
    TAKE(c, t->tgrad, 3 * rows);
    if (strain)
        TAKE(c, t->tstrain, 9 * systems);
    if (sweep->places)
        TAKE(c, t->gradient, sweep->places->count);
    t->out_bytes = c->used - start;
    start = c->used;
    t->clear_base = here(c);
    for (int p = 0; p < net->d.n_pass - 1; p++)
        TAKE(c, t->tgqs[p], rows * (size_t)net->d.n_charge);
    if (strain)
        TAKE(c, t->tvirial, 9 * rows);
    for (int p = 0; p < net->d.n_pass; p++)
        reported_maxima(&net->mlp[p], rows, c, &t->pass[p]);
    for (int h = 0; h < net->d.n_heads; h++)
        reported_maxima(&net->head[h], rows, c, &t->head[h]);
    if (sweep->places) {
        t->gradient_size = sweep->places->count;
        t->parts_size = aim_dev_gradient_size(&net->d);
        TAKE(c, t->by_species, (size_t)net->d.n_species * (size_t)net->mlp[0].layer[0].n_out);
    }
    t->clear_bytes = c->used - start;
}

/* Layers share two buffers; the input and its adjoint share one. For gradients by the parameters
 * everything has its own place. */
template <typename real>
static void tan_acts(const cu_mlp *m, size_t rows, int train, carver *c, real *input,
                     real *const hidden[2], cu_tan_acts<real> *a)
{
    a->x[0] = a->gx = input;
    for (int l = 0; l < m->n_layers; l++) {
        a->x[l + 1] = hidden[(l + 1) % 2];
        a->gz[l] = hidden[l % 2];
        if (train) {
            TAKE(c, a->x[l + 1], rows * (size_t)m->layer[l].ld_out);
            TAKE(c, a->gz[l], rows * (size_t)m->layer[l].ld_out);
        }
    }
    TAKE(c, a->z, rows * (size_t)m->slope_width);
    own_maxima(m, rows, c, 0, a);
}

/* What gradients by the parameters read besides. */
template <typename real>
static void tans_train(const cu_net *net, const aim_dev_sweep *sweep, carver *c, cu_tans<real> *t)
{
    const aim_dev_net *d = &net->d;
    const size_t rows = (size_t)t->rows, a = 4 * (size_t)(d->conv_a.nf * d->gp),
                 q = 4 * (size_t)(d->n_charge * d->gp);
    if (!sweep->places)
        return;
    for (int p = 0; p < d->n_pass; p++) {
        TAKE(c, t->ts[p], rows * a);
        TAKE(c, t->tsq[p], rows * q);
        TAKE(c, t->pass[p].x[0], rows * (size_t)net->mlp[p].layer[0].ld_in);
        TAKE(c, t->pass[p].gx, rows * (size_t)net->mlp[p].layer[0].ld_in);
    }
    TAKE(c, t->tga0, rows * (size_t)d->fa);
    TAKE(c, t->part, CU_COMBINE_SLICES * (a / 4 * (size_t)d->conv_a.hp + q / 4 * (size_t)d->conv_q.hp));
    TAKE(c, t->parts, t->parts_size);
    TAKE(c, t->weights, (size_t)cu_weight_slices(t->rows) * t->parts_size);
}

template <typename real>
static void tans_network(const cu_net *net, int train, carver *c, cu_tans<real> *t)
{
    const aim_dev_net *d = &net->d;
    const size_t rows = (size_t)t->rows, nc = (size_t)d->n_charge, gp = (size_t)d->gp;
    const cu_mlp *last = &net->mlp[d->n_pass - 1];
    const size_t aim = (size_t)last->layer[last->n_layers - 1].ld_out;
    int x = 0, hidden = 0;
    for (int p = 0; p < d->n_pass; p++) {
        x = max_of(x, net->mlp[p].layer[0].ld_in);
        hidden = max_of(hidden, widest(&net->mlp[p]));
    }
    for (int h = 0; h < d->n_heads; h++)
        hidden = max_of(hidden, widest(&net->head[h]));
    real *input, *buffer[2], *out, *sum, *part;
    TAKE(c, input, rows * (size_t)x);
    for (int m = 0; m < 2; m++)
        TAKE(c, buffer[m], rows * (size_t)hidden);
    TAKE(c, out, rows * aim);
    TAKE(c, sum, rows * aim);
    TAKE(c, part, rows * aim);
    for (int p = 0; p < d->n_pass; p++) {
        if (p > 0)
            TAKE(c, t->ta[p], rows * (size_t)d->fa);
        if (p < d->n_pass - 1) {
            TAKE(c, t->tqs[p], rows * nc);
            TAKE(c, t->ty[p], rows * 2 * nc);
            TAKE(c, t->tgy[p], rows * 2 * nc);
        }
        TAKE(c, t->tv[p], rows * (size_t)(3 * d->conv_a.nf * d->conv_a.hp));
        if (p > 0)
            TAKE(c, t->tvq[p], rows * 3 * nc * (size_t)d->conv_q.hp);
        tan_acts(&net->mlp[p], rows, train, c, input, buffer, &t->pass[p]);
    }
    t->pass[d->n_pass - 1].x[last->n_layers] = out;
    t->pass[d->n_pass - 1].gz[last->n_layers - 1] = sum;
    for (int h = 0; h < d->n_heads; h++) {
        tan_acts(&net->head[h], rows, train, c, out, buffer, &t->head[h]);
        t->head[h].gx = part;
        t->head[h].xmax[0] = t->pass[d->n_pass - 1].xmax[last->n_layers];
    }
    for (int m = 0; m < 2; m++)
        TAKE(c, t->tga[m], rows * (size_t)d->fa);
    TAKE(c, t->ts_adj, rows * 4 * (size_t)d->conv_a.nf * gp);
    TAKE(c, t->tsq_adj, rows * 4 * nc * gp);
}

template <typename real>
void cu_tans_layout(const cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                    int n_dir, char *base, cu_tans<real> *t)
{
    carver c = {base, 0};
    memset(t, 0, sizeof *t);
    t->n_dir = n_dir;
    t->rows = n_dir * k->n;
    t->kinds = k->kinds;
    tans_in_out(net, sweep, k, &c, t);
    if (sweep->on_device && sweep->job->d3) {
        TAKE(&c, t->tcn, t->rows);
        TAKE(&c, t->tslope, t->rows);
    }
    if (sweep->on_device && sweep->job->ts_params)
        TAKE(&c, t->tparam, 2 * (size_t)t->rows);
    if (sweep->on_device && sweep->job->waves)
        TAKE(&c, t->waves, cu_wave_tan_bytes(sweep->job, n_dir));
    tans_network(net, sweep->places != NULL, &c, t);
    tans_train(net, sweep, &c, t);
    t->bytes = c.used;
}

#define INSTANCE(real)                                                                             \
    template void cu_kept_layout(const cu_net *, const aim_dev_sweep *, int, int, char *,          \
                                 cu_kept<real> *);                                                 \
    template void cu_tans_layout(const cu_net *, const aim_dev_sweep *, const cu_kept<real> *,     \
                                 int, char *, cu_tans<real> *)
INSTANCE(float);
INSTANCE(double);
