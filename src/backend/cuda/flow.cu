/* SPDX-License-Identifier: MIT */
/* flow.cu - one evaluation as a sequence of kernels: the order of net/forward.c and net/backward.c,
 * the terms between them.
 *
 * Everything goes into one stream without waiting; what does not depend on the network (D3) goes
 * into a second one that joins before the results leave. The sequence depends on the shape of a
 * batch only, so that it can be recorded as a graph. */
#include <string.h>

#include "backend/cuda/caller.h"
#include "backend/cuda/direct.h"
#include "backend/cuda/flow.h"
#include "backend/cuda/module.h"
#include "backend/cuda/waves.h"

/* ---------------------------------------------------------------- arguments of kernels */

/* The sorted atoms, or the slab of them. */
template <typename real> static cu_cells cells_of(const cu_flow<real> *f)
{
    cu_cells c = f->w->cells;
    if (f->n < f->w->n) {
        c.first = f->first;
        c.end = f->first + f->n;
        c.part = f->w->part + f->first / f->w->part_rows;
    }
    return c;
}

template <typename real> cu_charges<real> cu_charge_args(const cu_flow<real> *f, int p)
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
    c.largest = w->largest;
    c.system = w->system;
    return c;
}

/* Of the current slab, or all. */
template <typename real> static cu_list list_args(const cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    cu_list list = {};
    list.n = w->n;
    list.capacity = w->capacity;
    list.early = w->early;
    list.alone = w->systems == 1;
    list.cutoff = f->job->cutoff;
    list.coord = w->coord;
    list.cell = w->cell;
    list.offset = w->offset;
    list.system = w->system;
    list.kind = cu_kind_of(w);
    list.kind_species = w->kind_species;
    list.in_count = w->in_count;
    list.in_j = w->in_j;
    list.in_shift = w->in_shift;
    list.count = from_zero(f, w->count, 1);
    list.j = from_zero(f, w->j, w->capacity);
    list.species = w->species;
    list.longest = w->longest;
    list.overlap = w->overlap;
    list.shift = from_zero(f, w->shift, w->capacity);
    list.cells = cells_of(f);
    list.largest = w->largest;
    list.systems = w->systems;
    list.back = w->back;
    return list;
}

template <typename real> static void find_reverse(cu_flow<real> *f, cudaStream_t stream)
{
    const cu_work<real> *w = f->w;
    const cu_list list = list_args(f);
    cu_list_reverse(f->s, stream, &list, f->first, f->n, from_zero(f, w->u, w->capacity),
                    from_zero(f, w->back, w->capacity));
}

/* Reverse pairs, unless the list brings them, in the second stream: they are not asked for before the way back. */
template <typename real> static void build_list(cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    const cu_list list = list_args(f);
    cu_list_build(f->s, f->stream, &list, from_zero(f, w->u, w->capacity));
    if (!w->back || w->largest || w->part_count) /* a slab asks for them with find_reverse() */
        return;
    cu_fork(f);
    find_reverse(f, f->net->device->side);
    cu_end_side(f);
}

/* Of the current slab, or all. */
template <typename real> static cu_terms term_args(const cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    cu_terms t = cu_term_args(f->net, f->job, w);
    t.cells = cells_of(f);
    t.count = from_zero(f, w->count, 1);
    t.j = from_zero(f, w->j, w->capacity);
    t.shift = from_zero(f, w->shift, w->capacity);
    return t;
}

/* ---------------------------------------------------------------- slabs */

/* Slabs, or one of all atoms, whose list stands. */
template <typename real> static int count_slabs(const cu_flow<real> *f)
{
    return f->w->part_count ? f->w->part_count : 1;
}

/* Makes slab k the current one, without a list. */
template <typename real> static void come_to_slab(cu_flow<real> *f, int k)
{
    const cu_work<real> *w = f->w;
    if (!w->part_count)
        return;
    f->first = k * w->rows;
    f->n = w->n - f->first < w->rows ? w->n - f->first : w->rows;
    f->slot = 0;
    if (w->rowmax)
        cu_check_call(f->s,
                      cudaMemsetAsync(w->rowmax, 0,
                                      (size_t)w->n_slots * w->rows * sizeof *w->rowmax, f->stream),
                      "clearing");
}

/* The same with its list. */
template <typename real> static void enter_slab(cu_flow<real> *f, int k)
{
    come_to_slab(f, k);
    if (f->w->part_count)
        build_list(f);
}

template <typename real> static void leave_slabs(cu_flow<real> *f)
{
    f->first = 0;
    f->n = f->w->n;
}

/* ---------------------------------------------------------------- terms */

template <typename real> static void report_charges(cu_flow<real> *f, cudaStream_t stream)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    cu_report(f->s, stream, w->n, d->n_charge, w->qs[d->n_pass - 2],
              w->grid ? w->cells.order : NULL, w->own_q, w->q, w->spin);
}

template <typename real> static void pair_terms(cu_flow<real> *f, cudaStream_t stream)
{
    const cu_terms t = term_args(f);
    if (t.coulomb || t.sr || t.through_cn)
        cu_pair_terms(f->s, stream, &t);
}

/* Of the outputs that models of older kinds have: those over the slab's list, */
template <typename real> static cu_embedded embedded_args(const cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    const aim_dev_job *j = f->job;
    cu_embedded x = {};
    x.of = term_args(f);
    x.first = f->first;
    x.rows = f->n;
    x.element = w->element;
    x.atom = w->grid ? w->cells.order : NULL;
    x.rc = j->rep_rc;
    x.envelope = j->rep_envelope;
    x.moves = j->rep_moves;
    x.e_atom = w->e_rep_atom;
    x.ts = w->ts;
    return x;
}

template <typename real> static void repulsion(cu_flow<real> *f, cudaStream_t stream)
{
    const cu_embedded x = embedded_args(f);
    if (f->job->rep_params)
        cu_repulsion(f->s, stream, &x);
}

/* and those that need a head. */
template <typename real> static void d3ts(cu_flow<real> *f, cudaStream_t stream)
{
    cu_embedded x = embedded_args(f);
    if (!f->job->ts_params)
        return;
    x.value = f->w->head[f->job->ts_head];
    x.adjoint = f->w->ghead[f->job->ts_head];
    cu_d3ts(f->s, stream, &x);
}

template <typename real> static void run_waves(cu_flow<real> *f, cudaStream_t stream)
{
    const cu_terms t = term_args(f);
    if (f->job->waves)
        cu_waves(f->s, stream, f->job, &t, f->w->waves);
}

/* Charges to the results; energies of the terms, and with them the adjoints of the charges. */
template <typename real> static void run_terms(cu_flow<real> *f, cudaStream_t stream)
{
    report_charges(f, stream);
    if (!f->beside && f->apart)
        cu_join(f);
    pair_terms(f, stream);
    run_waves(f, stream);
    repulsion(f, stream);
    d3ts(f, stream);
}

template <typename real> static void seed_charges(cu_flow<real> *f, cudaStream_t stream)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    const int add = w->part_count > 0; /* the last pass has left its share */
    cu_seed(f->s, stream, w->n, d->n_charge, f->job->middle ? w->in_gq : w->gq,
            f->job->middle ? w->in_gspin : NULL, add, w->gqs[d->n_pass - 2]);
}

/* Energies of the terms by systems. */
template <typename real> static void sum_terms(cu_flow<real> *f, cudaStream_t stream)
{
    const cu_work<real> *w = f->w;
    const aim_dev_job *job = f->job;
    const cu_columns_sum sum = {w->systems,
                                job->rep_params ? 4 : 3,
                                w->wide,
                                w->largest,
                                w->offset,
                                w->term_e,
                                1,
                                (size_t)w->n,
                                w->e_coulomb,
                                w->partial,
                                1,
                                (size_t)(w->e_sr - w->e_coulomb)};
    if (job->coulomb || job->sr || job->d3 || w->element)
        cu_reduce_systems(f->s, stream, &sum);
}

template <typename real> void cu_terms_beside(cu_flow<real> *f)
{
    cu_device *dev = f->net->device;
    cu_fork(f);
    run_terms(f, dev->side);
    if (f->job->want_grad)
        seed_charges(f, dev->side);
    if (f->w->wide == 1) /* others share room with those of charge equilibration */
        sum_terms(f, dev->side);
    if (cu_early_apart(f->w))
        cu_end_side(f);
}

/* ---------------------------------------------------------------- the network */

/* A half of pass p of slab k, its activations in a place of their own if they are kept. */
template <typename real>
static void pass_of_slab(cu_flow<real> *f, int p, int k, void (*half)(cu_flow<real> *f, int p))
{
    const cu_work<real> *w = f->w;
    if (k >= w->kept) {
        half(f, p);
        return;
    }
    const cu_work<real> own = cu_kept_slab(f->net, w, k);
    f->w = &own;
    half(f, p);
    f->w = w;
}

template <typename real> static void forward_once(cu_flow<real> *f, int p)
{
    cu_pass_forward(f, p, 0);
}

/* All passes but the last: charges are known then. */
template <typename real> static void find_charges(cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    const aim_dev_net *d = &f->net->d;
    if (!d->d2)
        cu_gather_rows(f->s, f->stream, w->n, d->fa, (const real *)d->embedding, w->species,
                       w->a[0]);
    for (int p = 0; p < d->n_pass - 1; p++) {
        for (int k = 0; k < count_slabs(f); k++) {
            enter_slab(f, k);
            pass_of_slab(f, p, k, forward_once<real>);
        }
        leave_slabs(f);
        const cu_charges<real> q = cu_charge_args(f, p);
        if (w->part_count)
            cu_charge_forward(f->s, f->stream, &q);
    }
}

/* The last pass, whose adjoint needs no charges, and the terms. */
template <typename real> static void finish_at_once(cu_flow<real> *f)
{
    cu_pass_forward(f, f->net->d.n_pass - 1, 0);
    if (!f->beside)
        run_terms(f, f->stream);
}

/* The same while a slab's list and activations are there, with the adjoint; once more for the adjoint
 * where a term makes that of a head from the heads of all slabs. */
template <typename real> static void finish_slabs(cu_flow<real> *f)
{
    const int last = f->net->d.n_pass - 1;
    report_charges(f, f->stream);
    if (f->job->d3)
        cu_join(f);
    const int at_once = f->job->want_grad && !f->job->ts_params;
    for (int k = 0; k < f->w->part_count; k++) {
        enter_slab(f, k);
        cu_pass_forward(f, last, 0);
        if (at_once)
            cu_pass_backward(f, last);
        pair_terms(f, f->stream);
        repulsion(f, f->stream);
    }
    leave_slabs(f);
    d3ts(f, f->stream);
    for (int k = 0; k < f->w->part_count && f->job->want_grad && !at_once; k++) {
        enter_slab(f, k);
        cu_pass_forward(f, last, 1);
        cu_pass_backward(f, last);
    }
    leave_slabs(f);
    run_waves(f, f->stream);
}

/* ---------------------------------------------------------------- one evaluation */

template <typename real>
static void copy_back(const cu_flow<real> *f, cudaStream_t stream, size_t first, size_t last)
{
    cu_check_call(f->s,
                  cudaMemcpyAsync((char *)f->net->device->out + first, f->w->out_base + first,
                                  last - first, cudaMemcpyDeviceToHost, stream),
                  "copying results");
}

/* The ticket, where the host looks for it. */
template <typename real> static void show_ticket(const cu_flow<real> *f, const int *place)
{
    const cu_work<real> *w = f->w;
    cu_device *dev = f->net->device;
    cu_check_call(f->s,
                  cudaMemcpyAsync((char *)dev->out + ((char *)place - w->out_base), w->ticket,
                                  sizeof *w->ticket, cudaMemcpyDeviceToHost, dev->side),
                  "copying results");
}

/* What the network puts out, and then the ticket, by which the host knows. */
template <typename real> static void copy_early(cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    const int joined = f->s->joined; /* the next kernel does not wait for this */
    cu_fork(f);
    copy_back(f, f->net->device->side, 0, (size_t)((char *)w->arrived - w->out_base));
    show_ticket(f, w->arrived);
    if (cu_early_apart(w))
        f->s->joined = joined;
}

template <typename real> void cu_tell_ending(cu_flow<real> *f)
{
    const int joined = f->s->joined; /* the next kernel does not wait for this */
    cu_fork(f);
    show_ticket(f, f->w->ending);
    f->s->joined = joined;
}

/* Gradients of the first systems, which end here, and what stands in front of them, beside the others; and the ticket. */
template <typename real> static void send_some(cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    const int joined = f->s->joined;
    char *out = (char *)f->net->device->out;
    cu_fork(f);
    cu_leave(f->s, f->net->device->side, w->out_base + w->out_early, out + w->out_early,
             (size_t)((char *)(w->grad + 3 * (size_t)w->some) - w->out_base) - w->out_early, w->ticket,
             w->some_there, CU_PINNED(out, w->out_base, w->some_there));
    f->s->joined = joined;
}

/* The slab's forces and features: those of all atoms, or of the first systems and the others. */
template <typename real> static void gather_pass(cu_flow<real> *f, int p)
{
    const int some = p == 0 ? f->w->some : 0;
    if (some) {
        cu_pass_gather(f, p, 0, some);
        send_some(f);
    }
    cu_pass_gather(f, p, some, f->n - some);
}

/* Of all slabs. Where pairs of the first pass have their reverse is not looked up unless all have: reverse tugs
 * cost it less. */
template <typename real> static void gather_slabs(cu_flow<real> *f, int p)
{
    const cu_work<real> *w = f->w, longer = cu_longer_slabs(w);
    f->w = &longer;
    for (int k = 0; k < longer.part_count; k++) {
        enter_slab(f, k);
        if (longer.back && (p > 0 || longer.part_count == 1))
            find_reverse(f, f->stream);
        gather_pass(f, p);
    }
    f->w = w;
    leave_slabs(f);
}

template <typename real> static void backward_network(cu_flow<real> *f)
{
    const int last = f->net->d.n_pass - 1, slabs = f->w->part_count > 0;
    for (int p = last; p >= 0; p--) {
        for (int k = 0; k < count_slabs(f) && !(slabs && p == last); k++) {
            if (slabs && k < f->w->kept) {
                come_to_slab(f, k);
            } else if (slabs) {
                enter_slab(f, k);
                cu_pass_forward(f, p, 1);
            }
            pass_of_slab(f, p, k, cu_pass_backward<real>);
        }
        leave_slabs(f);
        if (slabs)
            gather_slabs(f, p);
        else
            gather_pass(f, p);
        if (p > 0 && slabs) {
            const cu_charges<real> q = cu_charge_args(f, p - 1);
            cu_charge_backward(f->s, f->stream, &q);
        }
    }
}

/* The batch to the card, zeros to what is added to. */
template <typename real> static void bring_batch(cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    cu_device *dev = f->net->device;
    const size_t bytes = f->job->middle ? w->in_first : w->in_bytes,
                 clear = (size_t)(w->clear_base - w->out_base) + w->clear_bytes;
    if (!f->job->middle && !w->grid && bytes <= CU_FEW_BYTES) {
        cu_bring(f->s, f->stream, dev->in, w->in_base, bytes, w->out_base, clear);
        return;
    }
    cu_check_call(f->s,
                  cudaMemcpyAsync(w->in_base, dev->in, bytes, cudaMemcpyHostToDevice, f->stream),
                  "copying the batch");
    cu_check_call(f->s, cudaMemsetAsync(w->out_base, 0, clear, f->stream), "clearing");
    f->s->joined = 1;
}

template <typename real> static void first_half(cu_flow<real> *f)
{
    const cu_work<real> *w = f->w;
    cu_device *dev = f->net->device;
    const aim_dev_job *job = f->job;
    bring_batch(f);
    if (w->caller)
        cu_bring_in(f->s, f->stream, w);
    if (w->grid)
        cu_sort_atoms(f->s, f->stream, &w->cells, w->coord, w->system);
    if (job->d3) {
        const cu_terms t = cu_term_args(f->net, f->job, f->w);
        cu_fork(f);
        cu_d3(f->s, dev->side, &t);
        cu_end_side(f);
    }
    if (w->part_count)
        cu_find_parts(f->s, f->stream, &w->cells, w->kind_species, w->rows, w->part, w->species);
    else
        build_list(f);
    find_charges(f);
    if (w->part_count)
        finish_slabs(f);
    else
        finish_at_once(f);
    if (w->out_early)
        copy_early(f);
    if (cu_sums_beside(w)) { /* atom after atom, beside what follows */
        cu_fork(f);
        cu_sum_network(f->s, dev->side, w);
    }
}

template <typename real> static void second_half(cu_flow<real> *f)
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
    if (!f->beside || w->wide > 1)
        sum_terms(f, f->stream);
    const cu_columns_sum sum = {w->systems, 9, w->wide,   0,          w->offset, w->virial,
                                9,          1, w->strain, w->partial, 9,         1};
    if (job->want_strain)
        cu_reduce_systems(f->s, f->stream, &sum);
}

template <typename real>
void cu_enqueue(cu_state *s, cu_net *net, const aim_dev_job *job, const cu_work<real> *w, int first,
                int second)
{
    cu_flow<real> f = {s, net, job, w, net->device->stream, 0, 0, 0, 0, w->n};
    f.beside = !job->middle && !job->ts_params && !w->part_count;
    if (first)
        first_half(&f);
    else /* slots are counted on from the first half */
        f.slot = w->n_slots / 2;
    if (second)
        second_half(&f);
    size_t sent = w->out_early;
    if (w->some)
        sent = (size_t)((char *)(w->grad + 3 * (size_t)w->some) - w->out_base) / 16 * 16;
    const int last = w->some || (w->out_early && !w->grid && w->out_copied - sent <= CU_FEW_BYTES);
    if (last) /* nothing in the second stream is waited for: it has copied what came earlier */
        cu_leave(s, f.stream, w->out_base + sent, (char *)net->device->out + sent,
                 w->out_copied - sent, w->ticket, w->all_there,
                 CU_PINNED(net->device->out, w->out_base, w->all_there));
    if ((f.beside && !job->want_grad) || cu_sums_beside(w) || w->out_early) {
        cu_end_side(&f);
        cu_join(&f);
    }
    if (last)
        return;
    if (w->caller)
        cu_hand_out(s, f.stream, w);
    if (w->direct)
        cu_leave(s, f.stream, w->out_base, net->device->out, w->out_copied, w->ticket,
                 NULL, CU_PINNED(net->device->out, w->out_base, w->arrived));
    else
        copy_back(&f, f.stream, sent, w->out_copied);
}

#define INSTANCE(real)                                                                             \
    template cu_charges<real> cu_charge_args(const cu_flow<real> *, int);                          \
    template void cu_terms_beside(cu_flow<real> *);                                                \
    template void cu_tell_ending(cu_flow<real> *);                                                 \
    template void cu_enqueue(cu_state *, cu_net *, const aim_dev_job *, const cu_work<real> *,     \
                             int, int)
INSTANCE(float);
INSTANCE(double);
