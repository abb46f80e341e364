/* SPDX-License-Identifier: MIT */
/* layout.cu - where every array of one evaluation lies: laid out once without memory, to measure, then
 * in the workspace. */
#include <limits.h>
#include <string.h>

#include "backend/cuda/carve.h"
#include "backend/cuda/module.h"
#include "backend/cuda/layers.h"
#include "backend/cuda/molecules.h"
#include "backend/cuda/waves.h"

template <typename real>
static void layout_in(const cu_net *net, const aim_dev_job *job, carver *c, cu_work<real> *w)
{
    const size_t n = (size_t)w->n;
    const int first = cu_desk_goes_first(job);
    if (job->caller || first)
        TAKE(c, w->coord, 3 * n);
    if (first) { /* as the desk has them */
        TAKE(c, w->system, n);
        TAKE(c, w->kind, n);
    }
    const size_t start = c->used;
    w->in_base = c->base ? c->base + start : NULL;
    if (!job->caller && !first)
        TAKE(c, w->coord, 3 * n);
    if (job->crystal || job->row)
        TAKE(c, w->cell, 9 * w->systems);
    TAKE(c, w->charge, w->systems);
    TAKE(c, w->mult, w->systems);
    TAKE(c, w->offset, w->systems + 1);
    if (!first) {
        TAKE(c, w->system, n);
        TAKE(c, w->kind, n);
    }
    TAKE(c, w->kind_species, w->kinds);
    TAKE(c, w->kind_number, w->kinds);
    if (w->cells.bins)
        TAKE(c, w->grid, w->systems);
    if (job->waves)
        TAKE(c, w->screening, w->systems);
    if (job->rep_params || job->ts_params)
        TAKE(c, w->element, CU_ELEMENT * w->kinds);
    if (job->row) {
        TAKE(c, w->in_count, n);
        TAKE(c, w->in_j, n * (size_t)w->capacity);
        TAKE(c, w->in_shift, n * (size_t)w->capacity);
    }
    if (job->caller) {
        TAKE(c, w->caller, 1);
        TAKE(c, w->caller_atom, n);
        TAKE(c, w->caller_index, w->systems);
        TAKE(c, w->caller_volume, w->systems);
        TAKE(c, w->caller_table, 2 * AIM_DEV_STEPS * w->kinds);
    }
    w->direct = cu_goes_direct(job);
    if (cu_comes_early(job) || w->direct)
        TAKE(c, w->ticket, 1);
    w->in_first = c->used - start;
    for (int h = 0; h < net->d.n_heads; h++)
        if (job->want_grad && (job->ghead[h] || job->middle))
            TAKE(c, w->ghead[h], (cu_alike(job, h) ? 1 : n) * (size_t)net->d.head_width[h]);
    if (job->middle && job->want_grad) {
        TAKE(c, w->in_gq, n);
        TAKE(c, w->in_gspin, n);
    }
    w->in_bytes = c->used - start;
}

template <typename real>
static void layout_out(const cu_net *net, const aim_dev_job *job, carver *c, cu_work<real> *w)
{
    const size_t n = (size_t)w->n, start = c->used;
    w->out_base = c->base ? c->base + start : NULL;
    TAKE(c, w->longest, 1);
    TAKE(c, w->overlap, 1);
    w->out_copied = c->used - start;
    TAKE(c, w->q, n);
    TAKE(c, w->spin, n);
    for (int h = 0; h < net->d.n_heads; h++)
        TAKE(c, w->head[h], n * (size_t)net->d.head_width[h]);
    if (cu_comes_early(job)) {
        TAKE(c, w->arrived, 1);
        TAKE(c, w->ending, 1);
        TAKE(c, w->some_there, 1);
        TAKE(c, w->all_there, 1);
        w->out_early = c->used - start;
    }
    TAKE(c, w->e_coulomb, w->systems);
    TAKE(c, w->e_sr, w->systems);
    TAKE(c, w->e_d3, w->systems);
    if (job->rep_params)
        TAKE(c, w->e_rep, w->systems);
    if (job->rep_atoms)
        TAKE(c, w->e_rep_atom, n);
    if (job->want_grad)
        TAKE(c, w->grad, 3 * n);
    if (job->want_strain)
        TAKE(c, w->strain, 9 * w->systems);
    if (!job->caller)
        w->out_copied = c->used - start;
    if (w->direct)
        TAKE(c, w->arrived, 1);
    w->out_bytes = c->used - start;
    if (job->caller) {
        TAKE(c, w->caller_sum, (1 + AIM_DEV_STEPS) * w->systems);
        w->caller_head = w->head[job->caller->head];
    }
    w->own_q = w->q;
    w->own_grad = w->grad;
}

template <typename real>
static void layout_cleared(const cu_net *net, const aim_dev_job *job, carver *c, cu_work<real> *w)
{
    const size_t n = (size_t)w->n, start = c->used;
    w->clear_base = c->base ? c->base + start : NULL;
    w->n_slots = 4;
    for (int p = 0; p < net->d.n_pass; p++)
        w->n_slots += 2 * net->mlp[p].n_layers + 2;
    for (int h = 0; h < net->d.n_heads; h++)
        w->n_slots += 2 * net->head[h].n_layers + 2;
    if (!net->d.is_double)
        TAKE(c, w->rowmax, (size_t)w->n_slots * (size_t)w->rows);
    TAKE(c, w->gq, n);
    TAKE(c, w->term_e, (job->rep_params ? 4 : 3) * n);
    for (int p = 0; p < net->d.n_pass - 1 && job->want_grad; p++)
        TAKE(c, w->gqs[p], n * (size_t)net->d.n_charge);
    if (job->want_strain)
        TAKE(c, w->virial, 9 * n);
    if (w->cells.bins) {
        if (job->want_grad)
            TAKE(c, w->own_grad, 3 * n);
        TAKE(c, w->cells.start, w->cells.bins + 1);
        TAKE(c, w->cells.fill, w->cells.bins);
        TAKE(c, w->cells.most, w->cells.bins);
    }
    w->clear_bytes = c->used - start;
}

/* What the network has of all atoms. */
template <typename real>
static void layout_network(const cu_net *net, const aim_dev_job *job, carver *c, cu_work<real> *w)
{
    const aim_dev_net *d = &net->d;
    const size_t n = (size_t)w->n, nc = (size_t)d->n_charge;
    for (int p = 0; p < d->n_pass; p++) {
        if (p > 0 || !d->d2)
            TAKE(c, w->a[p], n * (size_t)d->fa);
        if (p == d->n_pass - 1)
            break;
        TAKE(c, w->qs[p], n * nc);
        TAKE(c, w->y[p], n * 2 * nc);
        if (job->want_grad)
            TAKE(c, w->gy[p], n * 2 * nc);
    }
    if (!job->want_grad)
        return;
    TAKE(c, w->ga[0], n * (size_t)d->fa);
    w->ga[1] = w->ga[0]; /* a row of a pass replaces the same row of the later one */
    TAKE(c, w->s_adj, n * (size_t)(4 * max_of(d->conv_a.nf, d->d2 ? w->kinds : 0) * d->gp));
    w->e_adj = w->s_adj; /* of the first pass alone, which has no use for the other */
    TAKE(c, w->sq_adj, n * 4 * nc * (size_t)d->gp);
}

/* What the backward half of pass p takes of the forward one. */
template <typename real>
static void layout_pass(const cu_net *net, const aim_dev_job *job, carver *c, int p, size_t rows,
                        real **v, real **vq, real **slope)
{
    const aim_dev_net *d = &net->d;
    TAKE(c, *v, cu_vectors(rows, d->conv_a.nf, d->conv_a.ncomb));
    if (p > 0)
        TAKE(c, *vq, cu_vectors(rows, d->n_charge, d->conv_q.ncomb));
    if (job->want_grad)
        TAKE(c, *slope, rows * (size_t)net->mlp[p].slope_width);
}

/* List and activations of a slab, or of all atoms. */
template <typename real>
static void layout_rows(const cu_net *net, const aim_dev_job *job, carver *c, cu_work<real> *w)
{
    const aim_dev_net *d = &net->d;
    const size_t rows = (size_t)w->rows, slots = rows * (size_t)w->capacity;
    TAKE(c, w->count, rows);
    TAKE(c, w->j, slots);
    TAKE(c, w->u, slots);
    if (w->cells.bins)
        TAKE(c, w->shift, slots);
    if (job->want_grad && !job->row && !w->part_count && cu_conv_looks_back(d)) {
        TAKE(c, w->back, slots);
        if (!w->together && cu_conv_keeps_tugs(w->n))
            TAKE(c, w->tugs, 4 * slots * (size_t)(d->n_pass - 1));
    }
    int x = 0, hidden = 0;
    for (int p = 0; p < d->n_pass; p++) {
        x = max_of(x, net->mlp[p].layer[0].ld_in);
        hidden = max_of(hidden, widest(&net->mlp[p]));
    }
    for (int h = 0; h < d->n_heads; h++)
        hidden = max_of(hidden, max_of(widest(&net->head[h]), net->head[h].layer[0].ld_in));
    if (job->want_grad && !d->is_double)
        x = max_of(x, 4 * w->capacity);
    TAKE(c, w->x, rows * (size_t)x);
    w->tug = w->x; /* tugs of pairs are there while no pass is under way */
    for (int k = 0; k < 2; k++)
        TAKE(c, w->hidden[k], rows * (size_t)hidden);
    if (!d->is_double && cu_layers_room(w->rows, max_of(x, hidden)))
        TAKE(c, w->between, cu_layers_room(w->rows, max_of(x, hidden)));
    if (!d->is_double && !d->fast && net->device->warpgroups)
        w->relay = hidden;
    const cu_mlp *last = &net->mlp[d->n_pass - 1];
    TAKE(c, w->aim, rows * (size_t)last->layer[last->n_layers - 1].ld_out);
    const size_t start = c->used;
    size_t end = start;
    for (int p = 0; p < d->n_pass; p++) {
        layout_pass(net, job, c, p, rows, &w->v[p], &w->vq[p], &w->slope[p]);
        end = c->used > end ? c->used : end;
        if (w->part_count) /* a slab has those of one pass at a time */
            c->used = start;
    }
    c->used = end;
    for (int h = 0; h < d->n_heads && job->want_grad; h++) {
        TAKE(c, w->head_slope[h], rows * (size_t)net->head[h].slope_width);
        if (d->n_heads > 1)
            TAKE(c, w->gaim[h], rows * (size_t)net->head[h].layer[0].ld_in);
    }
}

/* Of so many rows, with tugs and, where the convolution asks for them, reverse pairs. */
template <typename real>
static void layout_longer(const cu_net *net, carver *c, cu_work<real> *w, int rows)
{
    const size_t slots = (size_t)rows * (size_t)w->capacity;
    w->longer.rows = rows;
    TAKE(c, w->longer.count, rows);
    TAKE(c, w->longer.j, slots);
    TAKE(c, w->longer.u, slots);
    TAKE(c, w->longer.shift, slots);
    if (!net->d.is_double)
        TAKE(c, w->longer.tug, 4 * slots);
    if (cu_conv_looks_back(&net->d))
        TAKE(c, w->longer.back, slots);
}

/* Lists of as many slabs together as there is room for in place of what begins at `start`, all of a length. */
template <typename real>
static void layout_longest(const cu_net *net, size_t start, carver *c, cu_work<real> *w)
{
    int together = 1;
    for (int k = 2; k <= w->part_count && (int64_t)k * w->rows * w->capacity <= INT_MAX; k++) {
        carver measure = {NULL, start};
        layout_longer(net, &measure, w, k * w->rows);
        if (measure.used > c->used)
            break;
        together = k;
    }
    const int slabs = (w->part_count + together - 1) / together,
              each = (w->part_count + slabs - 1) / slabs;
    carver own = {c->base, start};
    layout_longer(net, &own, w, each == w->part_count ? w->n : each * w->rows);
    c->used = own.used > c->used ? own.used : c->used;
}

template <typename real>
cu_work<real> cu_kept_slab(const cu_net *net, const cu_work<real> *w, int k)
{
    const aim_dev_net *d = &net->d;
    const size_t first = (size_t)k * (size_t)w->rows;
    cu_work<real> x = *w;
    for (int p = 0; p < d->n_pass - 1; p++) {
        x.v[p] = w->kept_v[p] + cu_vectors(first, d->conv_a.nf, d->conv_a.ncomb);
        if (p > 0)
            x.vq[p] = w->kept_vq[p] + cu_vectors(first, d->n_charge, d->conv_q.ncomb);
        x.slope[p] = w->kept_slope[p] + first * (size_t)net->mlp[p].slope_width;
    }
    return x;
}

template <typename real> cu_work<real> cu_longer_slabs(const cu_work<real> *w)
{
    cu_work<real> x = *w;
    x.rows = w->longer.rows;
    x.part_count = (w->n + x.rows - 1) / x.rows;
    x.count = w->longer.count;
    x.j = w->longer.j;
    x.shift = w->longer.shift;
    x.back = w->longer.back;
    x.u = w->longer.u;
    x.tug = w->longer.tug;
    x.rowmax = NULL;
    return x;
}

int cu_wide(const aim_dev_job *job)
{
    return job->largest > 2 * CU_SEGMENT && job->n_systems <= 4096
               ? (job->largest + CU_SEGMENT - 1) / CU_SEGMENT
               : 1;
}

int cu_desk_goes_first(const aim_dev_job *job)
{
    enum { FEW = 8192 }; /* another copy costs as much as it hides */
    return !job->caller && job->n_atoms >= FEW;
}

int cu_comes_early(const aim_dev_job *job)
{
    enum { FEW = 8192 }; /* another copy costs as much as it hides */
    return job->early && job->want_grad && !job->middle && !job->caller && job->n_atoms >= FEW;
}

int cu_some_systems(const aim_dev_job *job, int largest)
{
    int low = 0, high = job->n_systems;
    if (!largest || !job->some || !cu_comes_early(job))
        return 0;
    while (high - low > 1) {
        const int half = (low + high) / 2;
        if (job->offset[half] <= job->n_atoms - job->n_atoms / 4)
            low = half;
        else
            high = half;
    }
    return low;
}

int cu_goes_direct(const aim_dev_job *job)
{
    enum { FEW = 2048 }; /* of more, copies are faster */
    return !job->middle && !job->caller && !job->row && job->n_atoms <= FEW;
}

template <typename real>
void cu_layout(const cu_net *net, const aim_dev_job *job, int kinds, int bins, cu_slabs slabs,
               char *base, cu_work<real> *w)
{
    carver c = {base, 0};
    memset(w, 0, sizeof *w);
    w->n = job->n_atoms;
    w->rows = slabs.rows > 0 && slabs.rows < w->n ? slabs.rows : w->n;
    w->part_count = w->rows < w->n ? (w->n + w->rows - 1) / w->rows : 0;
    w->kept = job->want_grad && slabs.kept <= w->part_count ? slabs.kept : 0;
    w->systems = job->n_systems;
    w->capacity = net->capacity;
    w->kinds = kinds;
    w->wide = cu_wide(job);
    w->together = cu_conv_by_molecules(net, job);
    w->largest = cu_by_molecules(net, job, kinds);
    w->some_systems = cu_some_systems(job, w->largest);
    w->some = w->some_systems ? job->offset[w->some_systems] : 0;
    w->cells.n = w->cells.end = w->n;
    w->cells.bins = bins;
    w->cells.groups = cu_most_groups(job, bins);
    const size_t n = (size_t)w->n;
    layout_in(net, job, &c, w);
    layout_out(net, job, &c, w);
    layout_cleared(net, job, &c, w);
    w->early = !bins && !job->row && w->n < CU_EARLY_ATOMS && w->capacity >= CU_EARLY ? CU_EARLY : 0;
    TAKE(&c, w->species, n);
    if (w->part_count)
        TAKE(&c, w->part, w->part_count);
    w->part_rows = w->rows;
    if (bins) {
        TAKE(&c, w->own_q, n);
        TAKE(&c, w->cells.bin, n);
        TAKE(&c, w->cells.raw, n);
        TAKE(&c, w->cells.group_start, bins + 1);
        TAKE(&c, w->cells.group, w->cells.groups);
        TAKE(&c, w->cells.order, n);
        TAKE(&c, w->cells.pos, 3 * n);
        TAKE(&c, w->cells.axis, 3 * n);
        TAKE(&c, w->cells.kind, n);
        w->cells.atom_kind = w->kind;
        TAKE(&c, w->cells.wrapped, 3 * n);
        w->cells.grid = w->grid;
    }
    layout_network(net, job, &c, w);
    const size_t start = c.used;
    layout_rows(net, job, &c, w);
    if (w->part_count && job->want_grad)
        layout_longest(net, start, &c, w);
    for (int p = 0; p < net->d.n_pass - 1 && w->kept; p++)
        layout_pass(net, job, &c, p, (size_t)w->kept * (size_t)w->rows, &w->kept_v[p],
                    &w->kept_vq[p], &w->kept_slope[p]);
    for (int p = 0; p < net->d.n_pass - 1; p++)
        TAKE(&c, w->charge_state[p], 2 * w->systems * net->d.n_charge);
    if (w->wide > 1)
        TAKE(&c, w->partial, 9 * (size_t)w->systems * (size_t)w->wide);
    if (job->waves)
        TAKE(&c, w->waves, cu_waves_bytes(job));
    if (job->d3) {
        TAKE(&c, w->d3_w, n * CU_D3_ROW);
        TAKE(&c, w->d3_dw, n * CU_D3_ROW);
        TAKE(&c, w->d3_s, n * CU_D3_ROW);
        TAKE(&c, w->d3_low, n);
        TAKE(&c, w->cn_grad, n);
        TAKE(&c, w->grad_side, 3 * n);
        if (job->want_strain)
            TAKE(&c, w->virial_side, 9 * n);
    }
    if (job->ts_params)
        TAKE(&c, w->ts, CU_TS_ROW * n);
    w->bytes = c.used;
}

/* The largest number up to `high` that fits, if those below it do; `low` where none does. */
template <typename F> static int most_that_fit(int low, int high, F fits)
{
    while (low < high) {
        const int half = (low + high + 1) / 2;
        if (fits(half))
            low = half;
        else
            high = half - 1;
    }
    return low;
}

template <typename real>
static size_t bytes_in_slabs(const cu_net *net, const aim_dev_job *job, int kinds, int bins,
                             cu_slabs slabs)
{
    cu_work<real> w;
    cu_layout<real>(net, job, kinds, bins, slabs, NULL, &w);
    return w.bytes;
}

template <typename real>
cu_slabs cu_choose_slabs(const cu_net *net, const aim_dev_job *job, int kinds, int bins)
{
    const cu_device *d = net->device;
    const size_t all = bytes_in_slabs<real>(net, job, kinds, bins, {0, 0});
    if (!job->crystal || job->row || job->middle || all <= d->workspace_size)
        return {0, 0};
    const size_t room = cu_room(d);
    if (all <= room)
        return {0, 0};
    const int most = most_that_fit(1, 4 * d->processors, [&](int k) {
        return bytes_in_slabs<real>(net, job, kinds, bins, {k * CU_TILE_ROWS, 0}) <= room;
    });
    const int tiles = most < d->processors ? most : most / d->processors * d->processors,
              rows = tiles * CU_TILE_ROWS;
    const int kept = most_that_fit(0, (job->n_atoms + rows - 1) / rows, [&](int k) {
        return bytes_in_slabs<real>(net, job, kinds, bins, {rows, k}) <= room - room / 16;
    });
    return {rows, kept};
}

template <typename real>
cu_terms cu_term_args(const cu_net *net, const aim_dev_job *j, const cu_work<real> *w)
{
    cu_terms t = {};
    t.n = w->n;
    t.kinds = w->kinds;
    t.largest = w->largest;
    t.systems = w->systems;
    t.processors = net->device->processors;
    t.offset = w->offset;
    t.system = w->system;
    t.kind = cu_kind_of(w);
    t.kind_number = w->kind_number;
    t.coord = w->grid ? w->cells.pos : w->coord;
    t.q = w->own_q;
    t.count = w->count;
    t.j = w->j;
    t.capacity = w->capacity;
    t.list_cutoff = j->cutoff;
    t.is_double = net->d.is_double;
    t.coulomb = j->coulomb;
    t.sr = j->sr;
    t.d3_ran = j->d3;
    t.through_cn = j->d3 && j->want_grad;
    t.envelope = j->sr_envelope;
    t.want_grad = j->want_grad;
    t.want_strain = j->want_strain;
    t.virial = w->virial;
    t.virial_side = w->virial_side;
    t.cells = w->cells;
    t.shift = w->shift;
    t.rc = j->coulomb_cutoff;
    t.alpha = j->dsf_alpha;
    t.sr_rc = j->sr_rc;
    t.screening = w->screening;
    t.e = w->term_e;
    t.grad = w->own_grad;
    t.gq = w->gq;
    t.d3 = net->d3;
    t.s6 = j->d3_s6;
    t.s8 = j->d3_s8;
    t.a1 = j->d3_a1;
    t.a2 = j->d3_a2;
    t.cutoff = j->d3_cutoff;
    t.smoothing = j->d3_smoothing;
    t.reach = j->d3_reach;
    t.w = w->d3_w;
    t.dw = w->d3_dw;
    t.s = w->d3_s;
    t.low = w->d3_low;
    t.cn_grad = w->cn_grad;
    t.grad_side = w->grad_side;
    return t;
}

template void cu_layout(const cu_net *, const aim_dev_job *, int, int, cu_slabs, char *, cu_work<float> *);
template void cu_layout(const cu_net *, const aim_dev_job *, int, int, cu_slabs, char *, cu_work<double> *);
template cu_terms cu_term_args(const cu_net *, const aim_dev_job *, const cu_work<float> *);
template cu_terms cu_term_args(const cu_net *, const aim_dev_job *, const cu_work<double> *);
template cu_work<float> cu_longer_slabs(const cu_work<float> *);
template cu_work<double> cu_longer_slabs(const cu_work<double> *);
template cu_work<float> cu_kept_slab(const cu_net *, const cu_work<float> *, int);
template cu_work<double> cu_kept_slab(const cu_net *, const cu_work<double> *, int);
template cu_slabs cu_choose_slabs<float>(const cu_net *, const aim_dev_job *, int, int);
template cu_slabs cu_choose_slabs<double>(const cu_net *, const aim_dev_job *, int, int);
