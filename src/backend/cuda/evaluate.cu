/* SPDX-License-Identifier: MIT */
/* evaluate.cu - one evaluation: fills one pinned block, runs (or replays) one queue of kernels and
 * copies one block back. The queue of a shape of batch is recorded as a CUDA graph when it comes for
 * the second time. If a row of the list did not fit, or memory has to grow, the evaluation starts
 * over. */
#include <math.h>
#include <string.h>

#include "backend/cuda/module.h"
#include "backend/cuda/molecules.h"

/* Bins of a column side by side, of n: what three of its layers have of adjoints (4 kB an atom, a dozen atoms a bin of
 * water) stays in the second-level cache. */
static int column_width(int n)
{
    enum { WIDE = 8 };
    const int columns = (n + WIDE / 2) / WIDE;
    return columns > 1 ? (n + columns - 1) / columns : n;
}

/* Bins at least as wide as the network reaches, and not many more bins than atoms. */
static void make_grid(const aim_dev_job *job, int32_t s, int base, cu_grid *g)
{
    const double *h = job->cell + 9 * (size_t)s;
    double cross[3][3], volume = 0;
    for (int a = 0; a < 3; a++) {
        const double *b = h + 3 * ((a + 1) % 3), *c = h + 3 * ((a + 2) % 3);
        for (int d = 0; d < 3; d++)
            cross[a][d] = b[(d + 1) % 3] * c[(d + 2) % 3] - b[(d + 2) % 3] * c[(d + 1) % 3];
    }
    for (int d = 0; d < 3; d++)
        volume += h[d] * cross[0][d];
    g->right = 1;
    double most = 4.0 * (job->offset[s + 1] - job->offset[s]) + 64;
    for (int a = 0; a < 3; a++) {
        const double area =
            sqrt(cross[a][0] * cross[a][0] + cross[a][1] * cross[a][1] + cross[a][2] * cross[a][2]);
        g->height[a] = fabs(volume) / area;
        for (int d = 0; d < 3; d++) {
            g->cell[3 * a + d] = h[3 * a + d];
            g->inverse[3 * d + a] = cross[a][d] / volume;
            g->right &= a == d || h[3 * a + d] == 0.0;
        }
        g->n[a] = (int)fmax(1.0, fmin(512.0, floor(g->height[a] / job->cutoff)));
    }
    while ((double)g->n[0] * g->n[1] * g->n[2] > most) {
        int wide = 0;
        for (int a = 1; a < 3; a++)
            wide = g->n[a] > g->n[wide] ? a : wide;
        g->n[wide] = (g->n[wide] + 1) / 2;
    }
    for (int a = 0; a < 2; a++)
        g->wide[a] = column_width(g->n[a]);
    g->across = (g->n[0] + g->wide[0] - 1) / g->wide[0];
    g->base = base;
    g->group = cu_group_size(job->offset[s + 1] - job->offset[s]);
}

int cu_most_groups(const aim_dev_job *job, int bins)
{
    int groups = job->n_atoms < bins ? job->n_atoms : bins;
    for (int32_t s = 0; bins && s < job->n_systems; s++) {
        const int n = job->offset[s + 1] - job->offset[s];
        groups += n / cu_group_size(n);
    }
    return groups;
}

int cu_count_bins(const aim_dev_job *job)
{
    int bins = 0;
    for (int32_t s = 0; job->crystal && s < job->n_systems; s++) {
        cu_grid g;
        make_grid(job, s, bins, &g);
        bins += g.n[0] * g.n[1] * g.n[2];
    }
    return bins;
}

void cu_fill_grids(const aim_dev_job *job, cu_grid *grid)
{
    for (int32_t s = 0, base = 0; s < job->n_systems; s++) {
        make_grid(job, s, base, &grid[s]);
        base += grid[s].n[0] * grid[s].n[1] * grid[s].n[2];
    }
}

void cu_fill_list(const aim_dev_job *job, int capacity, int *count, int *j, int *shift)
{
    for (int32_t i = 0; i < job->n_atoms; i++) {
        const int64_t first = job->row[i], n = job->row[i + 1] - first;
        count[i] = (int)n;
        for (int64_t k = 0; k < n; k++) {
            const size_t to = (size_t)i * (size_t)capacity + (size_t)k;
            j[to] = job->j[first + k];
            shift[to] = 0;
            for (int a = 0; job->shift && a < 3; a++)
                shift[to] |= (job->shift[first + k][a] & 255) << 8 * a;
        }
    }
}

void cu_fill_screening(const aim_dev_job *job, aim_dsf *screening)
{
    for (int32_t s = 0; s < job->n_systems; s++) {
        const double alpha = job->waves[s].alpha;
        aim_dsf *own = &screening[s];
        memset(own, 0, sizeof *own);
        own->alpha = alpha;
        own->rc = job->waves[s].real_cutoff;
        own->gauss = 2.0 * alpha / AIM_SQRT_PI;
        own->self = -alpha / AIM_SQRT_PI;
    }
}

void cu_fill_elements(const aim_dev_job *job, const aim_dev_kinds *k, double *element)
{
    for (int z = 0; z < k->n; z++, element += CU_ELEMENT) {
        const int number = k->number[z];
        memset(element, 0, CU_ELEMENT * sizeof *element);
        for (int m = 0; m < 2; m++) {
            element[m] = job->rep_params ? job->rep_params[2 * number + m] : 0.0;
            element[2 + m] = job->ts_params ? job->ts_params[2 * number + m] : 0.0;
        }
        element[4] = job->ts_params ? job->ts_r4r2[number] : 0.0;
    }
}

template <typename real>
static void fill(const cu_net *net, const aim_dev_job *job, const aim_dev_kinds *k,
                 const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const size_t n = (size_t)job->n_atoms, systems = (size_t)job->n_systems;
    if (w->caller)
        cu_fill_caller<real>(net, job, k->n, k->number, w);
    else if (!cu_desk_goes_first(job))
        memcpy(CU_PINNED(d->in, w->in_base, w->coord), job->coord, 3 * n * sizeof(double));
    if (w->cell)
        memcpy(CU_PINNED(d->in, w->in_base, w->cell), job->cell, 9 * systems * sizeof(double));
    memcpy(CU_PINNED(d->in, w->in_base, w->charge), job->charge, systems * sizeof(double));
    memcpy(CU_PINNED(d->in, w->in_base, w->mult), job->mult, systems * sizeof(double));
    memcpy(CU_PINNED(d->in, w->in_base, w->offset), job->offset, (systems + 1) * sizeof(int32_t));
    if (!cu_desk_goes_first(job)) {
        job->copy(job->team, CU_PINNED(d->in, w->in_base, w->system), job->system,
                  n * sizeof(int32_t));
        job->copy(job->team, CU_PINNED(d->in, w->in_base, w->kind), job->kind,
                  n * sizeof(int32_t));
    }
    int *number = CU_PINNED(d->in, w->in_base, w->kind_number),
        *species = CU_PINNED(d->in, w->in_base, w->kind_species);
    for (int z = 0; z < k->n; z++) {
        number[z] = k->number[z];
        species[z] = net->d.species_of[k->number[z]];
    }
    if (job->row)
        cu_fill_list(job, w->capacity, CU_PINNED(d->in, w->in_base, w->in_count),
                     CU_PINNED(d->in, w->in_base, w->in_j),
                     CU_PINNED(d->in, w->in_base, w->in_shift));
    if (w->screening)
        cu_fill_screening(job, CU_PINNED(d->in, w->in_base, w->screening));
    if (w->element)
        cu_fill_elements(job, k, CU_PINNED(d->in, w->in_base, w->element));
    if (w->grid)
        cu_fill_grids(job, CU_PINNED(d->in, w->in_base, w->grid));
    if (w->ticket) {
        int *const places[] = {w->arrived, w->ending, w->some_there, w->all_there};
        *CU_PINNED(d->in, w->in_base, w->ticket) = ++net->device->ticket;
        for (int *place : places)
            if (place)
                *CU_PINNED(d->out, w->out_base, place) = net->device->ticket - 1;
    }
}

template <typename real>
static void fill_adjoints(const cu_net *net, const aim_dev_job *job, const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const size_t n = (size_t)job->n_atoms;
    for (int h = 0; h < net->d.n_heads; h++) {
        if (!w->ghead[h] || (job->ts_params && job->ts_head == h))
            continue;
        const size_t bytes = n * (size_t)net->d.head_width[h] * sizeof(double);
        double *to = CU_PINNED(d->in, w->in_base, w->ghead[h]);
        for (int k = 0; job->alike && k < net->d.head_width[h]; k++)
            to[k] = *job->ghead[h];
        if (job->alike)
            continue;
        if (job->ghead[h])
            job->copy(job->team, to, job->ghead[h], bytes);
        else
            memset(to, 0, bytes);
    }
    if (!w->in_gq)
        return;
    memcpy(CU_PINNED(d->in, w->in_base, w->in_gq), job->gq, n * sizeof(double));
    memcpy(CU_PINNED(d->in, w->in_base, w->in_gspin), job->gspin, n * sizeof(double));
}

static void copy_out(const aim_dev_job *job, double *to, const double *from, size_t n)
{
    if (to)
        job->copy(job->team, to, from, n * sizeof *to);
}

static void add_out(double *to, const double *from, size_t n)
{
    for (size_t k = 0; to && k < n; k++)
        to[k] += from[k];
}

template <typename real>
static void fetch_network(const cu_net *net, const aim_dev_job *job, const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const size_t n = (size_t)job->n_atoms;
    copy_out(job, job->q, CU_PINNED(d->out, w->out_base, w->q), n);
    copy_out(job, job->spin, CU_PINNED(d->out, w->out_base, w->spin), n);
    for (int h = 0; h < net->d.n_heads; h++)
        copy_out(job, job->head[h], CU_PINNED(d->out, w->out_base, w->head[h]),
                 n * (size_t)net->d.head_width[h]);
}

/* Energies of the terms. */
template <typename real>
static void fetch_terms(const cu_net *net, const aim_dev_job *job, const cu_work<real> *w)
{
    const cu_device *d = net->device;
    const size_t systems = (size_t)job->n_systems;
    copy_out(job, job->e_coulomb, CU_PINNED(d->out, w->out_base, w->e_coulomb), systems);
    copy_out(job, job->e_sr, CU_PINNED(d->out, w->out_base, w->e_sr), systems);
    copy_out(job, job->e_d3, CU_PINNED(d->out, w->out_base, w->e_d3), systems);
    if (w->e_rep)
        copy_out(job, job->e_rep, CU_PINNED(d->out, w->out_base, w->e_rep), systems);
    if (w->e_rep_atom)
        copy_out(job, job->e_rep_atom, CU_PINNED(d->out, w->out_base, w->e_rep_atom),
                 (size_t)job->n_atoms);
}

/* fetched: the terms' energies are out. */
template <typename real>
static void fetch_rest(const cu_net *net, aim_dev_job *job, const cu_work<real> *w, int fetched)
{
    const cu_device *d = net->device;
    const size_t n = (size_t)job->n_atoms, systems = (size_t)job->n_systems;
    if (!fetched)
        fetch_terms<real>(net, job, w);
    double *grad = CU_PINNED(d->out, w->out_base, w->grad);
    if (job->want_grad && job->middle)
        add_out(job->grad, grad, 3 * n);
    else if (job->want_grad && job->grad)
        job->grad = grad;
    if (job->want_strain)
        add_out(job->strain, CU_PINNED(d->out, w->out_base, w->strain), 9 * systems);
}

static int run_failed(cu_net *net, const cu_state *s, aim_dev_error *e)
{
    cudaStreamSynchronize(net->device->stream);
    return cu_fail_cuda(e, s->code, s->what ? s->what : "an evaluation");
}

int cu_synchronize(cu_net *net, cu_state *s, aim_dev_error *e)
{
    if (s->code == cudaSuccess) {
        s->code = cudaStreamSynchronize(net->device->stream);
        s->what = "an evaluation";
    }
    return s->code == cudaSuccess ? 0 : run_failed(net, s, e);
}

/* Whether a batch is recorded when its shape comes again. Not one in slabs, whose kernels take a multiple of what their
 * launching does; with lattice sums of systems that a graph has room for. */
template <typename real> static int records(const aim_dev_job *job, const cu_work<real> *w)
{
    return !job->no_graph && !w->part_count && (!job->waves || job->n_systems <= CU_LATTICES);
}

template <typename real>
static void record(cu_state *s, cu_net *net, const aim_dev_job *job, const cu_work<real> *w, int k)
{
    cudaGraph_t graph = NULL;
    s->code = cudaStreamBeginCapture(net->device->stream, cudaStreamCaptureModeThreadLocal);
    s->what = "recording a graph";
    if (s->code != cudaSuccess)
        return;
    cu_enqueue<real>(s, net, job, w, 1, 1);
    const cudaError_t code = cudaStreamEndCapture(net->device->stream, &graph);
    if (s->code == cudaSuccess)
        s->code = code;
    if (s->code == cudaSuccess)
        s->code = cudaGraphInstantiate(&net->graph[k].exec, graph, 0);
    if (graph)
        cudaGraphDestroy(graph);
}

/* Waits for the ticket at `place`; 0: the queue has ended without it. */
template <typename real>
static int has_arrived(const cu_net *net, const cu_work<real> *w, const int *place)
{
    const int looks = w->direct ? 8192 : 256; /* the first: some 20 microseconds */
    const volatile int *arrived = CU_PINNED(net->device->out, w->out_base, place);
    do
        for (int k = 0; k < looks; k++)
            if (*arrived == net->device->ticket) {
                __atomic_thread_fence(__ATOMIC_ACQUIRE);
                return 1;
            }
    while (cudaStreamQuery(net->device->stream) == cudaErrorNotReady);
    return 0;
}

/* Hands out what the network puts out and lets the host work with it while the card goes on; *done: it
 * was there, and nothing was wrong with it. */
template <typename real>
static int hand_early(cu_net *net, const aim_dev_job *job, const cu_work<real> *w, cu_state *s,
                      int *done, aim_dev_error *e)
{
    const cu_device *d = net->device;
    if (!w->out_early || s->code != cudaSuccess || !has_arrived(net, w, w->arrived) ||
        *CU_PINNED(d->out, w->out_base, w->longest) > net->capacity ||
        *CU_PINNED(d->out, w->out_base, w->overlap))
        return 0;
    fetch_network<real>(net, job, w);
    *done = 1;
    const int status = job->early(job->ctx);
    if (status)
        cudaStreamSynchronize(d->stream);
    return e->status = status;
}

static void let_host_work(aim_dev_job *job)
{
    if (job->meanwhile)
        job->meanwhile(job->ctx);
    job->meanwhile = NULL;
}

/* The desk's arrays on their way while the host gets everything else ready. */
template <typename real>
static void send_desk(cu_state *s, const cu_net *net, const aim_dev_job *job, const cu_work<real> *w)
{
    const cu_device *d = net->device;
    if (cu_desk_goes_first(job))
        cu_check_call(s,
                      cudaMemcpyAsync(w->coord, d->desk, aim_dev_desk_bytes((size_t)w->n),
                                      cudaMemcpyHostToDevice, d->stream),
                      "copying the batch");
}

/* Whether all gradients are there; answer: 1, -1: they come late or not at all, 0: nobody knows yet. */
struct rest {
    const volatile int *there;
    int ticket, answer;
};

/* The first answer holds for all who ask. */
static int settle(rest *r, int answer)
{
    int nobody = 0;
    __atomic_compare_exchange_n(&r->answer, &nobody, answer, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&r->answer, __ATOMIC_ACQUIRE) > 0;
}

static int rest_is_there(void *of)
{
    enum { LOOKS = 1 << 24 }; /* more than ten milliseconds, of which it takes one in a hundred */
    rest *r = (rest *)of;
    for (int k = 0; k < LOOKS && !__atomic_load_n(&r->answer, __ATOMIC_ACQUIRE); k++)
        if (*r->there == r->ticket) {
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            return settle(r, 1);
        }
    return settle(r, -1);
}

typedef enum handed { NOTHING, SOME, ALL } handed;

/* Keeps the host's workers awake for the results of an evaluation that is about to end; hands out those of the first
 * systems, where nothing was wrong by then, and of the others. */
template <typename real>
static handed stir_workers(const cu_net *net, const aim_dev_job *job, const cu_work<real> *w, int right)
{
    enum { LOOKS = 32 }; /* some thirty microseconds */
    const cu_device *d = net->device;
    if (!w->ending || !has_arrived(net, w, w->ending))
        return NOTHING;
    handed result = NOTHING;
    const volatile int *there = CU_PINNED(d->out, w->out_base, w->some_there);
    rest r = {CU_PINNED(d->out, w->out_base, w->all_there), d->ticket, 0};
    cudaError_t code;
    do {
        job->stir(job->team);
        code = cudaErrorNotReady;
        for (int k = 0; k < LOOKS && code == cudaErrorNotReady; k++) {
            code = cudaStreamQuery(d->stream);
            if (result || !right || !w->some || *there != d->ticket)
                continue;
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
            fetch_terms<real>(net, job, w);
            job->some(job->ctx, CU_PINNED(d->out, w->out_base, w->grad), w->some_systems,
                      rest_is_there, &r);
            if (r.answer > 0)
                return ALL;
            result = SOME;
        }
    } while (code == cudaErrorNotReady);
    return result;
}

/* Lists have room for the longest row that ever was, that of a structure whose atoms are on top of each other too:
 * where memory is not enough for so much, what is needed is found once more from the start. */
static int starts_small(cu_net *net, const aim_dev_job *job, int *may, aim_dev_error *e)
{
    if (!*may || e->status != ERR_MEMORY || net->capacity <= CU_CAPACITY)
        return 0;
    *may = 0;
    e->status = 0;
    e->text[0] = 0;
    net->capacity = CU_CAPACITY;
    return !cu_check_list(net, job, e);
}

/* One try; *again: a row of the list was too short, or (once: *may) had room for far more than there is memory. */
template <typename real>
static int run_once(cu_net *net, aim_dev_job *job, const aim_dev_kinds *k, aim_dev_error *e,
                    int *may, int *again)
{
    cu_device *d = net->device;
    cu_work<real> w;
    cu_state s = {cudaSuccess, NULL, 0};
    int early = 0;
    handed results = NOTHING;
    *again = 0;
    const int bins = cu_count_bins(job);
    const cu_slabs slabs = cu_choose_slabs<real>(net, job, k->n, bins);
    cu_layout<real>(net, job, k->n, bins, slabs, NULL, &w);
    if (cu_reserve(d, w.bytes, w.in_bytes, w.out_bytes, e)) {
        *again = starts_small(net, job, may, e);
        return e->status;
    }
    cu_layout<real>(net, job, k->n, bins, slabs, (char *)d->workspace, &w);
    send_desk<real>(&s, net, job, &w);
    fill<real>(net, job, k, &w);
    if (job->middle) {
        cu_enqueue<real>(&s, net, job, &w, 1, 0);
        let_host_work(job);
        if (cu_synchronize(net, &s, e))
            return e->status;
    } else {
        int seen = 0;
        fill_adjoints<real>(net, job, &w);
        const int g = records(job, &w) ? cu_find_graph(net, job, k->n, bins, &seen) : -1;
        if (g >= 0 && seen && !net->graph[g].exec)
            record<real>(&s, net, job, &w, g);
        if (s.code != cudaSuccess)
            return run_failed(net, &s, e);
        if (g >= 0 && net->graph[g].exec)
            s.code = cudaGraphLaunch(net->graph[g].exec, d->stream);
        else
            cu_enqueue<real>(&s, net, job, &w, 1, 1);
        let_host_work(job);
        if (hand_early(net, job, &w, &s, &early, e))
            return e->status;
        if (s.code == cudaSuccess)
            results = stir_workers<real>(net, job, &w, early);
        if (results != ALL &&
            !(w.direct && s.code == cudaSuccess && has_arrived(net, &w, w.arrived)) &&
            cu_synchronize(net, &s, e))
            return e->status;
    }
    const int longest = *CU_PINNED(d->out, w.out_base, w.longest);
    if (!job->row && longest > net->capacity) {
        net->capacity = cu_round_up(longest + longest / 16, 8);
        *may = 0; /* this batch has such rows */
        *again = 1;
        return 0;
    }
    job->overlap = *CU_PINNED(d->out, w.out_base, w.overlap);
    if (job->caller) {
        job->caller->found = job->overlap;
        return 0;
    }
    if (!early)
        fetch_network<real>(net, job, &w);
    if (job->middle) {
        const int status = job->middle(job->ctx);
        if (status)
            return e->status = status;
        if (job->want_grad) {
            fill_adjoints<real>(net, job, &w);
            cu_enqueue<real>(&s, net, job, &w, 0, 1);
            if (cu_synchronize(net, &s, e))
                return e->status;
        }
    }
    fetch_rest<real>(net, job, &w, results != NOTHING);
    return 0;
}

int cu_check_list(cu_net *net, const aim_dev_job *job, aim_dev_error *e)
{
    int64_t longest = 0;
    for (int32_t i = 0; job->row && i < job->n_atoms; i++) {
        const int64_t n = job->row[i + 1] - job->row[i];
        longest = n > longest ? n : longest;
        for (int64_t p = job->row[i]; job->shift && p < job->row[i + 1]; p++)
            for (int a = 0; a < 3; a++)
                if (job->shift[p][a] < -128 || job->shift[p][a] > 127)
                    return cu_fail(e, ERR_UNSUPPORTED,
                                "a neighbour is more than 127 cells away: too far for the GPU's "
                                "list%s%s",
                                "", "");
    }
    if (longest > net->capacity)
        net->capacity = cu_round_up((int)longest, 8);
    return 0;
}

int cu_run(void *object, aim_dev_job *job, aim_dev_error *e)
{
    cu_net *net = (cu_net *)object;
    int again = 0, may = 1;
    e->status = 0;
    e->text[0] = 0;
    net->device->kept = NULL;
    const on_card here(net->device->index);
    CU_TRY(e, here.code, "starting");
    if (cu_check_list(net, job, e) || cu_follow(net, job, e))
        return e->status;
    do {
        const int status = net->d.is_double ? run_once<double>(net, job, job->kinds, e, &may, &again)
                                            : run_once<float>(net, job, job->kinds, e, &may, &again);
        if (status)
            return status;
    } while (again);
    return 0;
}

template <typename real>
static size_t bytes_of(const cu_net *net, const aim_dev_job *job, const aim_dev_kinds *k)
{
    const int bins = cu_count_bins(job);
    const cu_slabs slabs = cu_choose_slabs<real>(net, job, k->n, bins);
    cu_work<real> w;
    cu_layout<real>(net, job, k->n, bins, slabs, NULL, &w);
    return cu_ample(net->device, w.bytes);
}

size_t cu_workspace(const void *object, const aim_dev_job *job)
{
    const cu_net *net = (const cu_net *)object;
    const on_card here(net->device->index);
    return net->d.is_double ? bytes_of<double>(net, job, job->kinds)
                            : bytes_of<float>(net, job, job->kinds);
}
