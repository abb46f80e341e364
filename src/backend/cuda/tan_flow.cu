/* SPDX-License-Identifier: MIT */
/* tan_flow.cu - second derivatives as a sequence of kernels: the primal once more, keeping what its
 * tangents read (inputs, slopes and curvatures of all layers, adjoints of every pass), and sweeps
 * along blocks of directions.
 *
 * The primal is not that of flow.cu: activations stand apart from the products here, because a
 * curvature beside every slope would cost each evaluation the memory and the time that only second
 * derivatives need. Products, convolution and lists are the same kernels, hence the same bits. */
#include "backend/cuda/tan_args.h"
#include "backend/cuda/tan_waves.h"

/* ---------------------------------------------------------------- terms on the device */

static int has_dispersion(const aim_dev_sweep *sweep)
{
    return sweep->on_device && sweep->job->d3;
}

/* D3 of an evaluation, which needs no charges, or what its tangents read: beside the network, from where
 * the second stream was forked, but launched after kernels that the network waits for. */
template <typename real> static void keep_dispersion(const flow<real> *f)
{
    cu_device *dev = f->net->device;
    const cu_term_tan c = term_args(f);
    if (cu_evaluates(f->sweep))
        cu_d3(f->s, dev->side, &c.of);
    else
        cu_term_keep(f->s, dev->side, &c);
    cu_check_call(f->s, cudaEventRecord(dev->join, dev->side), "an event");
}

/* dE/dq, where the primal's backward half begins. */
template <typename real> static void keep_terms(const flow<real> *f)
{
    cu_term_tan c = term_args(f);
    if (f->sweep->job->d3)
        cu_check_call(f->s, cudaStreamWaitEvent(f->stream, f->net->device->join, 0), "an event");
    c.of.d3_ran = c.of.through_cn = f->sweep->job->d3 && cu_evaluates(f->sweep);
    if (c.of.coulomb || c.of.sr || c.of.through_cn)
        cu_pair_terms(f->s, f->stream, &c.of);
    const aim_dev_job *j = f->sweep->job;
    if (j->waves)
        cu_waves(f->s, f->stream, j, &c.of, f->k->waves);
    cu_embedded_tan e = embedded_args(f, c);
    e.x.atom = NULL; /* rows of the list are atoms here */
    if (j->rep_params && cu_evaluates(f->sweep))
        cu_repulsion(f->s, f->stream, &e.x);
    e = embedded_args(f, c);
    if (j->ts_params)
        cu_d3ts(f->s, f->stream, &e.x);
}

/* Tangents of the terms, where those of the backward half begin. */
template <typename real> static void sweep_terms(const flow<real> *f)
{
    const aim_dev_job *j = f->sweep->job;
    const cu_term_tan c = term_args(f);
    const cu_embedded_tan e = embedded_args(f, c);
    cu_term_tangents(f->s, f->stream, &c);
    if (j->waves)
        cu_wave_tangents(f->s, f->stream, j, &c, f->t->waves);
    if (j->rep_params && j->rep_moves)
        cu_repulsion_tan(f->s, f->stream, &e);
    if (j->ts_params)
        cu_d3ts_tan(f->s, f->stream, &e);
}

/* Energies of the terms by system, and the strain derivative. */
template <typename real> static void sum_terms(const flow<real> *f)
{
    const cu_kept<real> *k = f->k;
    const aim_dev_job *j = f->sweep->job;
    cu_columns_sum sum = {k->systems, j->rep_params ? 4 : 3, k->wide, 0, k->offset, k->term_e, 1,
                          (size_t)k->n, k->e_coulomb, k->partial, 1, (size_t)(k->e_sr - k->e_coulomb)};
    if (j->coulomb || j->sr || j->d3 || k->element)
        cu_reduce_systems(f->s, f->stream, &sum);
    if (!j->want_strain)
        return;
    sum.columns = 9;
    sum.in = k->virial;
    sum.atom_stride = 9;
    sum.column_stride = 1;
    sum.out = k->strain;
    sum.system_stride = 9;
    sum.out_stride = 1;
    cu_reduce_systems(f->s, f->stream, &sum);
}

/* ---------------------------------------------------------------- the primal */

template <typename real> static void build_list(const flow<real> *f)
{
    const cu_kept<real> *k = f->k;
    cu_list l = {};
    l.n = k->n;
    l.capacity = k->capacity;
    l.cutoff = f->sweep->job->cutoff;
    l.coord = k->coord;
    l.cell = k->cell;
    l.offset = k->offset;
    l.system = k->system;
    l.kind = k->kind;
    l.kind_species = k->kind_species;
    l.in_count = k->in_count;
    l.in_j = k->in_j;
    l.in_shift = k->in_shift;
    l.count = k->count;
    l.j = k->j;
    l.species = k->species;
    l.longest = k->longest;
    l.overlap = k->overlap;
    l.shift = k->shift;
    l.cells = k->cells;
    l.order = k->cells.order;
    cu_list_build(f->s, f->stream, &l, k->u);
}

template <typename real> static void keep_head(const flow<real> *f, int h)
{
    const cu_kept<real> *k = f->k;
    const cu_mlp *m = &f->net->head[h];
    const int end = m->n_layers - 1;
    forward_layers<real>(f, m, &k->head[h], NULL, end, NULL, NULL);
    if (!k->value[h])
        return;
    cu_head_out<real> o = head_args<real>(f, h, k->n, k->head[h].x[end], k->value[h], NULL, NULL);
    o.bias = (const real *)m->layer[end].bias;
    cu_head_forward(f->s, f->stream, &o);
}

template <typename real> static void keep_forward(const flow<real> *f)
{
    const cu_kept<real> *k = f->k;
    const aim_dev_net *d = &f->net->d;
    if (!d->d2)
        cu_gather_rows(f->s, f->stream, k->n, d->fa, (const real *)d->embedding, k->species,
                       k->a[0]);
    for (int p = 0; p < d->n_pass; p++) {
        const cu_mlp *m = &f->net->mlp[p];
        const int last = p == d->n_pass - 1, end = m->n_layers;
        const cu_conv_tan<real> c = conv_args(f, p);
        if (p == 1 && has_dispersion(f->sweep))
            keep_dispersion(f);
        cu_conv_forward(f->s, f->stream, &c.of);
        const pass_output<real> out = {k->a[last ? p : p + 1], k->y[p],
                                       p > 0 ? k->a[p] : (const real *)d->embedding,
                                       p > 0 ? NULL : (const int *)k->species, d->fa};
        forward_layers(f, m, &k->pass[p], (const cu_tan_acts<real> *)NULL, end,
                       p == 0 ? (const int *)k->species : NULL, last ? NULL : &out);
        if (last)
            break;
        if (m->layer[end - 1].gelu)
            cu_split_output(f->s, f->stream, k->n, (const real *)k->pass[p].x[end],
                            m->layer[end - 1].ld_out, d->fa, 2 * d->n_charge, out.old, out.old_row,
                            out.a, out.charges);
        const cu_charges_tan<real> q = charge_args(f, p);
        cu_charge_forward(f->s, f->stream, &q.of);
    }
    for (int h = 0; h < d->n_heads; h++)
        if (k->ghead[h] || k->value[h])
            keep_head(f, h);
    cu_report(f->s, f->stream, k->n, d->n_charge, k->qs[d->n_pass - 2], NULL, NULL, k->q, k->spin);
}

/* Whether one head alone carries an adjoint, whose layers leave it where that of the pass's output
 * stands. */
template <typename real> static int is_alone(const flow<real> *f)
{
    int heads = 0, deep = 0;
    for (int h = 0; h < f->net->d.n_heads; h++) {
        heads += f->k->ghead[h] != NULL;
        deep += f->k->ghead[h] && f->net->head[h].n_layers > 1;
    }
    return heads == 1 && deep == 1;
}

/* Adjoint of the last pass's output: the sum over heads that carry one. */
template <typename real> static void heads_backward(const flow<real> *f)
{
    const cu_kept<real> *k = f->k;
    const cu_tans<real> *t = f->t;
    const aim_dev_net *d = &f->net->d;
    const int p = d->n_pass - 1, rows = t ? t->rows : k->n;
    const cu_mlp *pass = &f->net->mlp[p];
    const int end = pass->n_layers - 1, alone = is_alone(f), curved = pass->layer[end].gelu;
    real *sum = t ? t->pass[p].gz[end] : k->pass[p].gz[end];
    unsigned *max = t ? t->pass[p].gzmax[end] : k->pass[p].gzmax[end];
    const size_t count = (size_t)rows * (size_t)pass->layer[end].ld_out;
    if (!alone)
        cu_check_call(f->s, cudaMemsetAsync(sum, 0, count * sizeof(real), f->stream), "clearing");
    for (int h = 0; h < d->n_heads; h++) {
        const cu_mlp *m = &f->net->head[h];
        const cu_acts<real> *a = &k->head[h];
        const cu_tan_acts<real> *ta = t ? &t->head[h] : NULL;
        const int n = m->n_layers;
        if (!k->ghead[h])
            continue;
        const double *g = t ? t->tghead[h] : k->ghead[h];
        real *gx = alone ? sum : ta ? ta->gx : a->gx, *to = n == 1 ? gx : ta ? ta->gz[n - 2] : a->gz[n - 2];
        if (g) {
            const cu_head_out<real> o = head_args<real>(f, h, rows, NULL, NULL, g, to);
            cu_head_backward(f->s, f->stream, &o);
        }
        if (f->sweep->places)
            cu_pad_rows(f->s, f->stream, rows, g, m->layer[n - 1].n_out,
                        t ? ta->gz[n - 1] : a->gz[n - 1], m->layer[n - 1].ld_out,
                        t ? ta->gzmax[n - 1] : a->gzmax[n - 1]);
        if (n == 1 && !g)
            continue;
        if (n > 1) {
            through_activation(f, m, a, ta, n - 2, g ? (const real *)to : NULL);
            backward_layers(f, m, a, ta, n - 1, gx, alone && !curved ? max : NULL);
        }
        if (!alone)
            cu_add_rows(f->s, f->stream, count, (const real *)gx, sum);
    }
    if (!alone || curved)
        through_activation(f, pass, &k->pass[p], t ? &t->pass[p] : NULL, end, (const real *)sum);
}

/* Adjoint of the output of a pass before the last. */
template <typename real> static void output_backward(const flow<real> *f, int p)
{
    const cu_kept<real> *k = f->k;
    const cu_tans<real> *t = f->t;
    const cu_mlp *m = &f->net->mlp[p];
    const int end = m->n_layers - 1;
    real *gz = t ? t->pass[p].gz[end] : k->pass[p].gz[end];
    unsigned *max = t ? t->pass[p].gzmax[end] : k->pass[p].gzmax[end];
    cu_join_output(f->s, f->stream, t ? t->rows : k->n,
                   (const real *)(t ? t->tga[(p + 1) % 2] : k->ga[(p + 1) % 2]),
                   (const real *)(t ? t->tgy[p] : k->gy[p]), f->net->d.fa, 2 * f->net->d.n_charge,
                   gz, m->layer[end].ld_out, max);
    if (m->layer[end].gelu)
        through_activation(f, m, &k->pass[p], t ? &t->pass[p] : NULL, end, (const real *)gz);
}

template <typename real> static void keep_backward(const flow<real> *f)
{
    const cu_kept<real> *k = f->k;
    const aim_dev_net *d = &f->net->d;
    cu_seed(f->s, f->stream, k->n, d->n_charge, k->gq, k->gspin, 0, k->gqs[d->n_pass - 2]);
    for (int p = d->n_pass - 1; p >= 0; p--) {
        const cu_mlp *m = &f->net->mlp[p];
        if (p == d->n_pass - 1)
            heads_backward(f);
        else
            output_backward(f, p);
        backward_layers(f, m, &k->pass[p], (const cu_tan_acts<real> *)NULL, m->n_layers,
                        k->pass[p].gx, NULL);
        const cu_conv_tan<real> c = conv_args(f, p);
        cu_project_backward(f->s, f->stream, &c.of);
        if (c.of.features != CU_EMBED)
            cu_conv_backward(f->s, f->stream, &c.of);
        else if (cu_evaluates(f->sweep))
            cu_embed_backward(f->s, f->stream, &c.of);
        if (k->sums)
            cu_pair_sums(f->s, f->stream, &c);
        if (p > 0) {
            const cu_charges_tan<real> q = charge_args(f, p - 1);
            cu_charge_backward(f->s, f->stream, &q.of);
        }
    }
}

template <typename real>
void cu_keep(cu_state *s, cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k)
{
    cu_device *dev = net->device;
    const flow<real> f = {s, net, sweep, k, NULL, dev->stream};
    cu_check_call(s, cudaMemcpyAsync(k->in_base, dev->in, k->in_bytes, cudaMemcpyHostToDevice, f.stream),
          "copying the batch");
    cu_check_call(s, cudaMemsetAsync(k->clear_base, 0, k->clear_bytes, f.stream), "clearing");
    cu_check_call(s, cudaMemsetAsync(k->out_base, 0, k->out_bytes, f.stream), "clearing");
    if (k->grid)
        cu_sort_atoms(s, f.stream, &k->cells, k->coord, k->system);
    if (has_dispersion(sweep))
        cu_fork_side(s, dev, f.stream);
    build_list(&f);
    keep_forward(&f);
    if (sweep->on_device)
        keep_terms(&f);
    keep_backward(&f);
    if (cu_evaluates(sweep))
        sum_terms(&f);
}

/* ---------------------------------------------------------------- sweeps */

template <typename real>
void cu_sweep_forward(cu_state *s, cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                      const cu_tans<real> *t)
{
    cu_device *dev = net->device;
    const aim_dev_net *d = &net->d;
    const flow<real> f = {s, net, sweep, k, t, dev->stream};
    cu_check_call(s, cudaMemcpyAsync(t->in_base, cu_tans_in(net, k), t->in_first, cudaMemcpyHostToDevice,
                                     f.stream),
          "copying directions");
    if (sweep->aim)
        cu_aim(s, f.stream, 3 * t->rows, sweep->aim_weight, k->grad, t->tx);
    cu_check_call(s, cudaMemsetAsync(t->clear_base, 0, t->clear_bytes, f.stream), "clearing");
    cu_check_call(s, cudaMemsetAsync(t->out_base, 0, t->out_bytes, f.stream), "clearing");
    if (sweep->places)
        cu_check_call(s, cudaMemsetAsync(t->tga0, 0, (size_t)t->rows * (size_t)d->fa * sizeof(real),
                                         f.stream),
              "clearing");
    for (int p = 0; p < d->n_pass; p++) {
        const cu_mlp *m = &net->mlp[p];
        const int last = p == d->n_pass - 1, end = m->n_layers;
        const cu_conv_tan<real> c = conv_args(&f, p);
        cu_conv_tan_forward(s, f.stream, &c);
        const pass_output<real> out = {t->ta[last ? p : p + 1], t->ty[p],
                                       p > 0 ? (const real *)t->ta[p] : k->zero, NULL,
                                       p > 0 ? d->fa : 0};
        forward_layers(&f, m, &k->pass[p], &t->pass[p], end, NULL, last ? NULL : &out);
        if (last)
            break;
        if (m->layer[end - 1].gelu)
            cu_split_output(s, f.stream, t->rows, (const real *)t->pass[p].x[end],
                            m->layer[end - 1].ld_out, d->fa, 2 * d->n_charge, p > 0 ? out.old : NULL,
                            NULL, out.a, out.charges);
        const cu_charges_tan<real> q = charge_args(&f, p);
        cu_charge_tan_forward(s, f.stream, &q);
    }
    for (int h = 0; h < d->n_heads; h++) {
        const cu_mlp *m = &net->head[h];
        if (!k->ghead[h])
            continue;
        forward_layers<real>(&f, m, &k->head[h], &t->head[h], m->n_layers - 1, NULL, NULL);
        if (!t->thead[h])
            continue;
        const cu_head_out<real> o = head_args<real>(&f, h, t->rows, t->head[h].x[m->n_layers - 1],
                                                    t->thead[h], NULL, NULL);
        cu_head_forward(s, f.stream, &o);
    }
    cu_report(s, f.stream, t->rows, d->n_charge, t->tqs[d->n_pass - 2], NULL, NULL, t->tq, t->tspin);
}

template <typename real>
void cu_sweep_backward(cu_state *s, cu_net *net, const aim_dev_sweep *sweep,
                       const cu_kept<real> *k, const cu_tans<real> *t)
{
    cu_device *dev = net->device;
    const aim_dev_net *d = &net->d;
    const flow<real> f = {s, net, sweep, k, t, dev->stream};
    cu_check_call(s,
          cudaMemcpyAsync(t->in_base + t->in_first, cu_tans_in(net, k) + t->in_first,
                          t->in_bytes - t->in_first, cudaMemcpyHostToDevice, f.stream),
          "copying adjoints");
    if (sweep->on_device)
        sweep_terms(&f);
    cu_seed(s, f.stream, t->rows, d->n_charge, t->tgq, t->tgspin, 0,
            t->tgqs[d->n_pass - 2]);
    for (int p = d->n_pass - 1; p >= 0; p--) {
        const cu_mlp *m = &net->mlp[p];
        if (p == d->n_pass - 1)
            heads_backward(&f);
        else
            output_backward(&f, p);
        backward_layers(&f, m, &k->pass[p], &t->pass[p], m->n_layers, t->pass[p].gx, NULL);
        if (sweep->places)
            cu_gradient(s, net, k, t, d->n_pass - 1 - p);
        cu_conv_tan<real> c = conv_args(&f, p);
        c.tx = t->pass[p].gx;
        cu_conv_tan_project(s, f.stream, &c);
        cu_conv_tan_backward(s, f.stream, &c);
        if (p > 0) {
            const cu_charges_tan<real> q = charge_args(&f, p - 1);
            cu_charge_tan_backward(s, f.stream, &q);
        }
    }
    const cu_conv_tan<real> c = conv_args(&f, 0);
    if (k->sums)
        cu_pair_motion(s, f.stream, &c);
    if (t->tvirial)
        cu_reduce_directions(s, f.stream, t->n_dir, k->n, k->systems, k->offset, t->tvirial, 9,
                             t->tstrain);
    if (sweep->places)
        cu_gradient(s, net, k, t, d->n_pass);
}

#define INSTANCE(real)                                                                             \
    template void cu_keep(cu_state *, cu_net *, const aim_dev_sweep *, const cu_kept<real> *);     \
    template void cu_sweep_forward(cu_state *, cu_net *, const aim_dev_sweep *,                    \
                                   const cu_kept<real> *, const cu_tans<real> *);                  \
    template void cu_sweep_backward(cu_state *, cu_net *, const aim_dev_sweep *,                   \
                                    const cu_kept<real> *, const cu_tans<real> *)
INSTANCE(float);
INSTANCE(double);
