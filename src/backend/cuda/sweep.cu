/* SPDX-License-Identifier: MIT */
/* sweep.cu - tangents behind the seam: the primal is kept in the workspace by the first sweep of a
 * job and stands for those that follow. */
#include <string.h>

#include "backend/cuda/module.h"
#include "backend/cuda/tangent.h"

static void copy(double *to, const double *from, size_t count)
{
    if (from)
        memcpy(to, from, count * sizeof *to);
    else
        memset(to, 0, count * sizeof *to);
}

template <typename real>
static void fill_job(const cu_net *net, const aim_dev_job *job, const aim_dev_kinds *kinds,
                     const cu_kept<real> *k)
{
    void *in = net->device->in;
    const size_t n = (size_t)job->n_atoms, systems = (size_t)job->n_systems;
#define AT(field) CU_PINNED(in, k->in_base, k->field)
    copy(AT(cell), job->cell, 9 * systems);
    copy(AT(charge), job->charge, systems);
    copy(AT(mult), job->mult, systems);
    memcpy(AT(offset), job->offset, (systems + 1) * sizeof(int32_t));
    for (int z = 0; z < kinds->n; z++) {
        AT(kind_number)[z] = kinds->number[z];
        AT(kind_species)[z] = net->d.species_of[kinds->number[z]];
    }
    if (k->screening)
        cu_fill_screening(job, AT(screening));
    if (k->element)
        cu_fill_elements(job, kinds, AT(element));
    if (job->row)
        cu_fill_list(job, k->capacity, AT(in_count), AT(in_j), AT(in_shift));
    if (k->grid)
        cu_fill_grids(job, AT(grid));
    for (int h = 0; h < net->d.n_heads; h++)
        if (k->ghead[h])
            copy(AT(ghead[h]), job->ghead[h], n * (size_t)net->d.head_width[h]);
#undef AT
}

/* Adjoints of charges that the host's terms have left. */
template <typename real>
static void fill_charges(const cu_net *net, const aim_dev_job *job, const cu_kept<real> *k)
{
    copy(CU_PINNED(net->device->in, k->in_base, k->gq), job->gq, (size_t)k->n);
    copy(CU_PINNED(net->device->in, k->in_base, k->gspin), job->gspin, (size_t)k->n);
}

template <typename real>
static void fill_adjoints(const cu_net *net, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                          const cu_tans<real> *t)
{
    void *in = cu_tans_in(net, k);
    const size_t rows = (size_t)t->rows;
    copy(CU_PINNED(in, t->in_base, t->tgq), sweep->tgq, rows);
    copy(CU_PINNED(in, t->in_base, t->tgspin), sweep->tgspin, rows);
    for (int h = 0; h < net->d.n_heads; h++)
        if (t->tghead[h])
            copy(CU_PINNED(in, t->in_base, t->tghead[h]), sweep->tghead[h],
                 rows * (size_t)net->d.head_width[h]);
    if (t->weight)
        copy(CU_PINNED(in, t->in_base, t->weight), sweep->weight, (size_t)sweep->job->n_systems);
}

static void add(double *to, const double *from, size_t count)
{
    for (size_t k = 0; to && k < count; k++)
        to[k] += from[k];
}

/* Copies [first, last) of the out block to its pinned copy. */
template <typename real>
static int fetch(cu_net *net, cu_state *s, const cu_tans<real> *t, size_t first, size_t last,
                 aim_dev_error *e)
{
    cu_device *d = net->device;
    if (s->code == cudaSuccess) {
        s->code = cudaMemcpyAsync((char *)d->out + first, t->out_base + first, last - first,
                                  cudaMemcpyDeviceToHost, d->stream);
        s->what = "copying results";
    }
    return cu_synchronize(net, s, e);
}

template <typename real>
static void give_forward(const cu_net *net, const aim_dev_sweep *sweep, const cu_tans<real> *t)
{
    const void *out = net->device->out;
    const size_t rows = (size_t)t->rows;
    if (sweep->tq)
        memcpy(sweep->tq, CU_PINNED(out, t->out_base, t->tq), rows * sizeof(double));
    if (sweep->tspin)
        memcpy(sweep->tspin, CU_PINNED(out, t->out_base, t->tspin), rows * sizeof(double));
    for (int h = 0; h < net->d.n_heads; h++)
        if (t->thead[h])
            memcpy(sweep->thead[h], CU_PINNED(out, t->out_base, t->thead[h]),
                   rows * (size_t)net->d.head_width[h] * sizeof(double));
}

/* Room for the job and the widest block of directions. */
template <typename real>
static int make_room(cu_net *net, const aim_dev_sweep *sweep, const aim_dev_kinds *kinds,
                     aim_dev_error *e, cu_kept<real> *k, cu_tans<real> *t)
{
    cu_device *d = net->device;
    const int most = sweep->most_dir > sweep->n_dir ? sweep->most_dir : sweep->n_dir,
              bins = cu_count_bins(sweep->job);
    const unsigned age = d->workspace_age;
    cu_kept_layout(net, sweep, kinds->n, bins, (char *)NULL, k);
    cu_tans_layout(net, sweep, k, most, (char *)NULL, t);
    const size_t in = k->in_bytes + t->in_bytes,
                 out = k->out_bytes > t->out_bytes ? k->out_bytes : t->out_bytes;
    if (cu_reserve(d, k->bytes + t->bytes, in, out, e))
        return e->status;
    if (d->workspace_age != age)
        d->kept = NULL;
    cu_kept_layout(net, sweep, kinds->n, bins, (char *)d->workspace, k);
    cu_tans_layout(net, sweep, k, sweep->n_dir, (char *)d->workspace + k->bytes, t);
    return 0;
}

static void give(double *to, const double *from, size_t count)
{
    if (to)
        memcpy(to, from, count * sizeof *to);
}

/* Results of an evaluation. */
template <typename real>
static void give_values(const cu_net *net, aim_dev_job *job, const cu_kept<real> *k)
{
    const void *out = net->device->out;
    const size_t n = (size_t)job->n_atoms, systems = (size_t)job->n_systems;
#define AT(field) CU_PINNED(out, k->out_base, k->field)
    for (int h = 0; h < net->d.n_heads; h++)
        give(job->head[h], AT(value[h]), n * (size_t)net->d.head_width[h]);
    give(job->e_coulomb, AT(e_coulomb), systems);
    give(job->e_sr, AT(e_sr), systems);
    give(job->e_d3, AT(e_d3), systems);
    if (k->e_rep)
        give(job->e_rep, AT(e_rep), systems);
    if (k->e_rep_atom)
        give(job->e_rep_atom, AT(e_rep_atom), n);
    give(job->grad, AT(grad), 3 * n);
    if (k->strain)
        give(job->strain, AT(strain), 9 * systems);
#undef AT
}

/* The forward half along the caller's directions. */
template <typename real>
static void go_forward(cu_net *net, cu_state *s, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                       const cu_tans<real> *t)
{
    char *in = cu_tans_in(net, k);
    copy(CU_PINNED(in, t->in_base, t->tx), sweep->tx, 3 * (size_t)t->rows);
    if (t->w)
        copy(CU_PINNED(in, t->in_base, t->w), sweep->w,
             9 * (size_t)t->n_dir * (size_t)sweep->job->n_systems);
    cu_sweep_forward(s, net, sweep, k, t);
}

/* The forward half along the direction of a loss, before its other seeds are known. */
template <typename real>
static void go_ahead(cu_net *net, cu_state *s, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                     const cu_tans<real> *t)
{
    sweep->job->meanwhile(sweep->job->ctx);
    copy(CU_PINNED(cu_tans_in(net, k), t->in_base, t->tx), sweep->aim, 3 * (size_t)t->rows);
    cu_sweep_forward(s, net, sweep, k, t);
    net->device->went_ahead = 1;
}

/* What the primal has to say: charges, whether atoms overlap, the longest row, or everything. */
template <typename real>
static int fetch_kept(cu_net *net, cu_state *s, const aim_dev_sweep *sweep, const cu_kept<real> *k,
                      const cu_tans<real> *t, aim_dev_error *e, int *longest)
{
    cu_device *d = net->device;
    aim_dev_job *job = sweep->job;
    const size_t n = (size_t)job->n_atoms;
    cu_check_call(s, cudaMemcpyAsync(d->out, k->out_base, k->out_bytes, cudaMemcpyDeviceToHost,
                                     d->stream),
                  "copying results");
    if (sweep->places) { /* the card goes on while the host makes seeds of the results */
        cu_check_call(s, cudaEventRecord(d->fork, d->stream), "an event");
        if (sweep->aim)
            go_ahead(net, s, sweep, k, t);
        if (s->code == cudaSuccess)
            s->code = cudaEventSynchronize(d->fork);
    }
    if ((!sweep->places || s->code != cudaSuccess) && cu_synchronize(net, s, e))
        return e->status;
    *longest = *CU_PINNED(d->out, k->out_base, k->longest);
    job->overlap = *CU_PINNED(d->out, k->out_base, k->overlap);
    give(job->q, CU_PINNED(d->out, k->out_base, k->q), n);
    give(job->spin, CU_PINNED(d->out, k->out_base, k->spin), n);
    return 0;
}

/* The primal of a job. *again: a row of its list was too short. */
template <typename real>
static int keep(cu_net *net, cu_state *s, const aim_dev_sweep *sweep, const aim_dev_kinds *kinds,
                const cu_kept<real> *k, const cu_tans<real> *t, aim_dev_error *e, int *again)
{
    cu_device *d = net->device;
    int longest = 0;
    d->kept = NULL;
    d->went_ahead = 0;
    cu_check_call(s, cudaMemcpyAsync(k->coord, d->desk, aim_dev_desk_bytes((size_t)k->n),
                                     cudaMemcpyHostToDevice, d->stream),
                  "copying the batch");
    fill_job(net, sweep->job, kinds, k);
    if (!sweep->on_device)
        fill_charges(net, sweep->job, k);
    cu_keep(s, net, sweep, k);
    if (!sweep->on_device && cu_synchronize(net, s, e))
        return e->status;
    if (sweep->on_device && fetch_kept(net, s, sweep, k, t, e, &longest))
        return e->status;
    if (!sweep->job->row && longest > net->capacity) {
        net->capacity = cu_round_up(longest + longest / 16, 8);
        *again = 1;
        return 0;
    }
    d->kept = net;
    return 0;
}

/* The terms between the halves, on the host. */
template <typename real>
static int call_middle(cu_net *net, cu_state *s, const aim_dev_sweep *sweep, const cu_tans<real> *t,
                       aim_dev_error *e)
{
    if (fetch(net, s, t, 0, t->out_first, e))
        return e->status;
    give_forward(net, sweep, t);
    return e->status = sweep->middle ? sweep->middle(sweep->ctx) : 0;
}

/* Parts of the gradient in the order in which they come. */
template <typename real>
static int give_gradient(cu_net *net, cu_state *s, const aim_dev_sweep *sweep, const cu_tans<real> *t,
                         aim_dev_error *e)
{
    cu_device *d = net->device;
    const void *gradient = CU_PINNED(d->out, t->out_base, t->gradient);
    for (int stage = 0; stage <= net->d.n_pass; stage++)
        for (int part = 0; part < CU_PARTS && s->code == cudaSuccess; part++) {
            if (net->part_stage[part] != stage)
                continue;
            s->code = cudaEventSynchronize(d->arrived[part]);
            s->what = "copying results";
            if (s->code == cudaSuccess)
                sweep->take(sweep->take_ctx, gradient, cu_part_start(t->gradient_size, part),
                            cu_part_start(t->gradient_size, part + 1));
        }
    if (s->code != cudaSuccess)
        cudaStreamSynchronize(d->side);
    return cu_synchronize(net, s, e);
}

/* One try; *again: a row of the list was too short. */
template <typename real>
static int run_sweep(cu_net *net, aim_dev_sweep *sweep, const aim_dev_kinds *kinds, aim_dev_error *e,
                     int *again)
{
    cu_device *d = net->device;
    const aim_dev_job *job = sweep->job;
    cu_state s = {cudaSuccess, NULL};
    cu_kept<real> k;
    cu_tans<real> t;
    *again = 0;
    if (make_room(net, sweep, kinds, e, &k, &t))
        return e->status;
    if (!sweep->again || d->kept != net) {
        if (keep(net, &s, sweep, kinds, &k, &t, e, again) || *again)
            return e->status;
    }
    if (sweep->evaluate) {
        give_values(net, sweep->job, &k);
        return 0;
    }
    if (!d->went_ahead)
        go_forward(net, &s, sweep, &k, &t);
    d->went_ahead = 0;
    if (!sweep->on_device && call_middle(net, &s, sweep, &t, e))
        return e->status;
    fill_adjoints(net, sweep, &k, &t);
    cu_sweep_backward(&s, net, sweep, &k, &t);
    if (t.gradient) {
        return give_gradient(net, &s, sweep, &t, e);
    }
    if (fetch(net, &s, &t, sweep->on_device ? 0 : t.out_first, t.out_bytes, e))
        return e->status;
    if (sweep->on_device)
        give_forward(net, sweep, &t);
    add(sweep->tgrad, CU_PINNED(d->out, t.out_base, t.tgrad), 3 * (size_t)t.rows);
    if (t.tstrain)
        add(sweep->tstrain, CU_PINNED(d->out, t.out_base, t.tstrain),
            9 * (size_t)t.n_dir * (size_t)job->n_systems);
    return 0;
}

static int check_heads(const cu_net *net, aim_dev_error *e)
{
    for (int h = 0; h < net->d.n_heads; h++)
        if (net->head[h].layer[net->head[h].n_layers - 1].gelu)
            return cu_fail(e, ERR_UNSUPPORTED, "a head that ends with an activation%s%s", "", "");
    return 0;
}

int cu_sweep(void *object, aim_dev_sweep *sweep, aim_dev_error *e)
{
    cu_net *net = (cu_net *)object;
    e->status = 0;
    e->text[0] = 0;
    if (check_heads(net, e))
        return e->status;
    const on_card here(net->device->index);
    CU_TRY(e, here.code, "a sweep");
    if (cu_check_list(net, sweep->job, e))
        return e->status;
    if (sweep->places && cu_put_places(net, sweep->places, e))
        return e->status;
    int status, again;
    do
        status = net->d.is_double ? run_sweep<double>(net, sweep, sweep->job->kinds, e, &again)
                                  : run_sweep<float>(net, sweep, sweep->job->kinds, e, &again);
    while (!status && again);
    if (status)
        net->device->kept = NULL;
    return status;
}

template <typename real>
static size_t bytes_of(const cu_net *net, const aim_dev_sweep *sweep, const aim_dev_kinds *kinds)
{
    cu_kept<real> k;
    cu_tans<real> t;
    cu_kept_layout(net, sweep, kinds->n, cu_count_bins(sweep->job), (char *)NULL, &k);
    cu_tans_layout(net, sweep, &k, sweep->most_dir, (char *)NULL, &t);
    return k.bytes + t.bytes;
}

size_t cu_sweep_bytes(const void *object, const aim_dev_sweep *sweep)
{
    const cu_net *net = (const cu_net *)object;
    return net->d.is_double ? bytes_of<double>(net, sweep, sweep->job->kinds)
                            : bytes_of<float>(net, sweep, sweep->job->kinds);
}
