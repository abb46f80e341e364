/* SPDX-License-Identifier: MIT */
/* eval.c - one call: check every structure, cut the good ones into batches, evaluate, write
 * results.
 *
 * Per batch and member: lists -> network forward -> outputs and external terms (which leave dE/dq)
 * -> network backward -> average. Batches hold either periodic or non-periodic structures, because
 * `simple` Coulomb means different things for the two. */
#include <math.h>

#include "calc/average.h"
#include "calc/resident.h"
#include "calc/results.h"
#include "calc/tangent.h"

/* Lists of the two ranges. A cutoff of 0: not wanted. Separate cutoffs are a list each; `shared`: one
 * with the larger of them. */
static aim_status find_pairs(aim_calc *c, double q_cutoff, double d_cutoff, int shared,
                             aim_range_plan *range)
{
    const double largest = fmax(q_cutoff, d_cutoff);
    if (q_cutoff > 0) {
        AIM_TRY(
            aim_calc_pairs(c, AIM_FOR_COULOMB, shared ? largest : q_cutoff, 0, &c->pairs_coulomb));
        range->coulomb.pairs = &c->pairs_coulomb;
    }
    if (shared && aim_calc_same_source(c, AIM_FOR_COULOMB, AIM_FOR_D3)) {
        range->d3.pairs = range->coulomb.pairs;
    } else if (d_cutoff > 0) {
        AIM_TRY(aim_calc_pairs(c, AIM_FOR_D3, shared ? largest : d_cutoff, 0, &c->pairs_d3));
        range->d3.pairs = &c->pairs_d3;
    }
    return AIMNET_OK;
}

static aim_status find_clusters(aim_calc *c, double q_cutoff, double d_cutoff, int shared,
                                aim_range_plan *range)
{
    const aim_batch *b = &c->flat.batch;
    if (q_cutoff > 0) {
        AIM_TRY(aim_clusters_build(c->nlist, b, shared ? fmax(q_cutoff, d_cutoff) : q_cutoff,
                                   c->team, &c->clusters_coulomb));
        range->coulomb.clusters = &c->clusters_coulomb;
    }
    if (shared) {
        range->d3.clusters = range->coulomb.clusters;
    } else if (d_cutoff > 0) {
        AIM_TRY(aim_clusters_build(c->nlist, b, d_cutoff, c->team, &c->clusters_d3));
        range->d3.clusters = &c->clusters_d3;
    }
    return AIMNET_OK;
}

/* Coulomb and D3 lists of the current batch (PRODUCT, Ranges). */
aim_status aim_calc_ranges(aim_calc *c, const aim_member *member, aim_range_plan *range)
{
    const aim_batch *b = &c->flat.batch;
    const aimnet_options *o = &c->options;
    const int periodic = aim_batch_periodic(b, 0);
    int coulomb = member->coulomb, simple = coulomb && o->coulomb == AIMNET_COULOMB_SIMPLE,
        dispersion = member->dispersion;
    double embedded_cutoff = 0;
    for (int k = 0; k < member->model->n_outputs; k++) {
        const aim_output *out = &member->model->output[k];
        dispersion |= out->kind == AIM_OUT_D3TS || out->kind == AIM_OUT_DFTD3;
        simple |= member->model->all_pairs && !periodic; /* as those releases did */
        if (out->kind == AIM_OUT_LRCOULOMB) {
            simple |= out->method == AIMNET_COULOMB_SIMPLE;
            embedded_cutoff =
                periodic && aim_calc_has_waves(out->method)
                    ? aim_calc_real_cutoff(b, (aimnet_coulomb)out->method, out->ewald_accuracy)
                    : out->dsf_rc;
        }
    }
    *range = (aim_range_plan){.method = o->coulomb,
                              .coulomb_cutoff = o->coulomb_cutoff,
                              .dsf_alpha = o->dsf_alpha,
                              .ewald_accuracy = aim_calc_accuracy(o)};
    const int waves = coulomb && aim_calc_has_waves((int)o->coulomb);
    if (waves)
        range->coulomb_cutoff = aim_calc_real_cutoff(b, o->coulomb, range->ewald_accuracy);
    if (periodic && simple) {
        *range = (aim_range_plan){.method = AIMNET_COULOMB_DSF,
                                  .coulomb_cutoff = AIM_CALC_DSF_CUTOFF,
                                  .dsf_alpha = 0.2,
                                  .converted = 1};
        simple = 0;
    }
    range->d3_reach = INFINITY;
    if (simple)
        return aim_calc_check_all_pairs(c); /* all pairs, for D3 as well */
    const double q_cutoff = coulomb ? range->coulomb_cutoff : embedded_cutoff,
                 d_cutoff = o->d3_cutoff;
    const int both = q_cutoff > 0 && dispersion;
    const double largest = fmax(q_cutoff, d_cutoff);
    const int shared = both && !waves && largest / fmin(q_cutoff, d_cutoff) <= 1.2;
    range->d3_reach = range->d3.reach = shared ? largest : d_cutoff;
    range->coulomb.reach = q_cutoff;
    if (aim_device_takes_all(c, member) && !c->flat.lists)
        return AIMNET_OK;
    return c->flat.lists ? find_pairs(c, q_cutoff, dispersion ? d_cutoff : 0.0, shared, range)
                         : find_clusters(c, q_cutoff, dispersion ? d_cutoff : 0.0, shared, range);
}

/* Both sums run over the same pairs, which depends on the cutoffs alone. */
static int dsf_with_d3(const aim_member *member, const aim_range_plan *range)
{
    return member->coulomb && member->dispersion && range->method == AIMNET_COULOMB_DSF &&
           range->coulomb.reach == range->d3.reach;
}

static aim_status coulomb_and_d3(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                                 int want_grad)
{
    aim_values *v = &c->values;
    aim_term_io d3 = aim_calc_term_io(c, &range->d3, v->dispersion, want_grad);
    /* second derivatives need no charges of D3, and hence nothing of it */
    const int dispersion = member->dispersion && want_grad != AIM_NET_KEEP;
    if (dispersion && dsf_with_d3(member, range)) {
        aim_term_io coulomb =
            aim_calc_charge_io(c, &range->coulomb, v->q, v->gq, v->coulomb, want_grad);
        return aim_term_dsf_d3(&coulomb, range->coulomb_cutoff, range->dsf_alpha, &d3, c->d3_table,
                               &member->d3);
    }
    if (member->coulomb)
        AIM_TRY(aim_calc_coulomb(c, range, v->q, v->gq, want_grad, v->coulomb));
    return dispersion ? aim_term_d3(&d3, c->d3_table, &member->d3) : AIMNET_OK;
}

aim_status aim_calc_external(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                             int want_grad)
{
    aim_values *v = &c->values;
    AIM_TRY(coulomb_and_d3(c, member, range, want_grad));
    if (!member->subtract_sr || !member->coulomb)
        return AIMNET_OK;
    const aim_range_list near = aim_calc_near(c);
    aim_term_io io = aim_calc_charge_io(c, &near, v->q, v->gq, v->coulomb, want_grad);
    return aim_term_coulomb_sr(&io, member->sr_rc, member->sr_envelope, -1.0);
}

static aim_net_call make_call(aim_calc *c, const aim_member *member, aim_wishes want)
{
    aim_values *v = &c->values;
    aim_net_call call = {.batch = &c->flat.batch,
                         .pairs = &c->pairs,
                         .team = c->team,
                         .arena = &c->net_arena,
                         .want_grad = want.grad,
                         .q = v->q,
                         .spin = v->spin,
                         .gq = v->gq,
                         .gspin = v->gspin,
                         .grad = v->grad,
                         .strain = want.strain ? v->strain : NULL};
    for (int o = 0; o < member->model->n_outputs; o++)
        if (member->model->output[o].kind == AIM_OUT_MLP) {
            const int slot = member->model->output[o].out;
            call.head[o] = v->slot[slot];
            call.ghead[o] = member->live[slot] ? v->adjoint[slot] : NULL;
        }
    return call;
}

static aim_status reserve(aim_calc *c, const aim_member *member, aim_wishes want)
{
    const aim_batch *b = &c->flat.batch;
    if (!aim_device_computes(c, member)) {
        const size_t bytes =
            c->ops->workspace(member->net, b->n_atoms, c->pairs.n_pairs,
                              aim_pairs_max_row(&c->pairs), aim_team_size(c->team), want.grad);
        AIM_TRY(aim_arena_reserve(&c->net_arena, &c->alloc, bytes, "network workspace"));
    }
    aim_arena measure = {0};
    const int clear = !aim_device_assigns(c, member, want);
    aim_values_layout(member->model, b, clear, want.strain, &measure, &c->values);
    AIM_TRY(aim_arena_reserve(&c->values.arena, &c->alloc, measure.used, "output values"));
    aim_values_layout(member->model, b, clear, want.strain, &c->values.arena, &c->values);
    return AIMNET_OK;
}

/* Multipoles of the model's own outputs, or sum q r and its quadrupole about the origin (NULL: nobody
 * wants them); the strain's gradient, if somebody does. */
static void add_member(aim_calc *c, const aim_member *member, int k, aim_wishes want,
                       double *dipole, double *quadrupole)
{
    const aim_batch *b = &c->flat.batch;
    const aim_values *v = &c->values;
    if (dipole)
        aim_plain_multipoles(b, v->q, dipole, quadrupole);
    aim_average_add(&c->average, b, v, v->slot[member->model->energy_slot],
                    member->dipole_slot >= 0 ? v->slot[member->dipole_slot] : dipole,
                    member->quadrupole_slot >= 0 ? v->slot[member->quadrupole_slot] : quadrupole,
                    want.strain ? v->strain : NULL, k);
}

aim_status aim_calc_member(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                           aim_wishes want, aim_net_call *call)
{
    AIM_TRY(reserve(c, member, want));
    if (aim_device_computes(c, member))
        return aim_device_member(c, member, range, want);
    *call = make_call(c, member, want);
    AIM_TRY(c->ops->forward(member->net, call));
    AIM_TRY(aim_program_forward(c, member, range, want.grad));
    AIM_TRY(aim_calc_external(c, member, range, want.grad));
    if (want.grad) {
        aim_program_backward(member, &c->flat.batch, &c->values);
        c->ops->backward(member->net, call);
    }
    return AIMNET_OK;
}

/* Room for the dipole and quadrupole of every system of the batch. */
static aim_status take_multipoles(aim_calc *c, double **multipoles)
{
    const size_t count = 9 * (size_t)c->flat.batch.n_systems;
    aim_arena measure = {0};
    aim_take(&measure, "multipoles", count, sizeof **multipoles);
    AIM_TRY(aim_arena_reserve(&c->scratch, &c->alloc, measure.used, "multipoles"));
    *multipoles = aim_take0(&c->scratch, "multipoles", count, sizeof **multipoles);
    return AIMNET_OK;
}

/* No member needs a list from the host. Those of the caller are put together all the same, for what is
 * wrong with them. */
static int takes_all(const aim_calc *c)
{
    if (c->flat.lists)
        return 0;
    for (int k = 0; k < c->n_members; k++)
        if (!aim_device_takes_all(c, &c->member[k]))
            return 0;
    return 1;
}

static aim_status run_members(aim_calc *c, const aimnet_system *systems, aim_wishes want,
                              aim_range_plan *range)
{
    const aim_batch *b = &c->flat.batch;
    aim_net_call call;
    if (!aim_device_computes(c, &c->member[0]))
        aim_do_meanwhile(c);
    for (int k = 0; k < c->n_members; k++) {
        const aim_member *member = &c->member[k];
        if (k > 0 && member->model->cutoff != c->member[k - 1].model->cutoff && !takes_all(c))
            AIM_TRY(
                aim_calc_pairs(c, AIM_FOR_NETWORK, member->model->cutoff, want.grad, &c->pairs));
        AIM_TRY(aim_calc_ranges(c, member, range));
        AIM_TRY(aim_calc_member(c, member, range, want, &call));
        aim_do_meanwhile(c);
        AIM_TRY(c->meanwhile.status);
        double *multipoles = NULL;
        if (want.multipoles)
            AIM_TRY(take_multipoles(c, &multipoles));
        if (!c->some.added)
            add_member(c, member, k + 1, want, multipoles,
                       multipoles ? multipoles + 3 * b->n_systems : NULL);
        AIM_TRY(aim_extras_keep(c, systems, member, k + 1));
    }
    return AIMNET_OK;
}

/* A batch on its way. */
typedef struct batch_call {
    aim_calc *c;
    const aimnet_system *systems;
    const int32_t *index;
    int32_t n;
    const aim_range_plan *range;
    aimnet_result *results;
    int checked;           /* distances of atoms */
    int32_t written;       /* systems whose results are written, or can be */
    int (*rest)(void *of); /* waits for the others */
    void *of;
} batch_call;

static void fail(aim_calc *c, aimnet_result *results, int32_t k, aim_status status)
{
    aim_result_fail(&results[k], status);
    c->note[k].wrong = 1;
}

/* Structures whose images overlap are found on the list; returns how many systems are left. */
static int32_t drop_overlapping_images(aim_calc *c, int32_t *index, int32_t n,
                                       aimnet_result *results)
{
    const aim_batch *b = &c->flat.batch;
    int32_t kept = 0;
    for (int32_t s = 0; s < n; s++) {
        const aim_status status = aim_check_images(b, &c->pairs, s);
        if (status != AIMNET_OK)
            fail(c, results, index[s], status);
        else
            index[kept++] = index[s];
    }
    return kept;
}

static void check_distances(void *arg, int32_t s)
{
    const batch_call *b = arg;
    const int32_t k = b->index[s];
    if (b->c->note[k].large)
        return;
    const aim_status status = aim_check_overlap(b->c, &b->systems[k]);
    if (status != AIMNET_OK)
        fail(b->c, b->results, k, status);
}

/* Structures in which atoms overlap, where that is not known yet; returns how many are left. */
static int32_t drop_overlapping(batch_call *b, int32_t *index)
{
    int32_t kept = 0;
    aim_each_system(b->c->team, b->n, check_distances, b);
    b->checked = 1;
    for (int32_t s = 0; s < b->n; s++)
        if (!b->c->note[index[s]].wrong)
            index[kept++] = index[s];
    return kept;
}

/* What no evaluation waits for: results of structures whose atoms overlap are not used, and change no
 * others. */
static aim_status prepare_results(void *arg)
{
    batch_call *b = arg;
    aim_calc *c = b->c;
    if (aim_device_defers_overlap(c) && !b->checked)
        aim_each_system(c->team, b->n, check_distances, b);
    return aim_average_start(&c->average, &c->alloc, &c->flat.batch, c->n_members);
}

/* A batch whose positions and results are on the device, which has to compute all of it. */
static aim_status run_resident(aim_calc *c, const int32_t *index, int32_t n, aim_wishes want,
                               aimnet_result *results)
{
    aim_range_plan range;
    aim_net_call call;
    if (!takes_all(c))
        return AIMNET_ERR_UNSUPPORTED;
    aim_resident_batch(c);
    for (int k = 0; k < c->n_members; k++) {
        AIM_TRY(aim_calc_ranges(c, &c->member[k], &range));
        AIM_TRY(aim_calc_member(c, &c->member[k], &range, want, &call));
    }
    for (int32_t s = 0; s < n; s++)
        aim_result_method(c, &range, s, &results[index[s]]);
    return AIMNET_OK;
}

static void write_one(void *arg, int32_t s)
{
    const batch_call *w = arg;
    const int32_t k = w->index[s];
    if (w->c->note[k].wrong)
        return;
    aim_result_write(w->c, w->range, s, &w->systems[k], &w->results[k]);
    if (w->results[k].status != AIMNET_OK) /* else the note stays in the caller's cache */
        w->c->note[k].wrong = 1;
}

static void write_other(void *arg, int32_t s)
{
    write_one(arg, s + ((const batch_call *)arg)->written);
}

static void write_as_it_comes(void *arg, int32_t s)
{
    const batch_call *w = arg;
    if (s < w->written || w->rest(w->of))
        write_one(arg, s);
}

/* What is there of the first systems of the batch, while a device computes the others; then, by the workers that are
 * at it, of these. */
static void write_some(void *arg, int32_t systems, int (*rest)(void *of), void *of)
{
    batch_call *b = arg;
    aim_calc *c = b->c;
    if (c->meanwhile.status != AIMNET_OK)
        return;
    add_member(c, &c->member[0], 1, (aim_wishes){.grad = 1}, NULL, NULL);
    c->some.added = 1;
    b->written = systems;
    b->rest = rest;
    b->of = of;
    aim_each_system(c->team, b->n, write_as_it_comes, b);
    if (rest(of))
        b->written = b->n;
}

static aim_status run_batch(aim_calc *c, const aimnet_system *systems, int32_t *index, int32_t n,
                            aim_wishes want, aimnet_result *results)
{
    const double cutoff = c->member[0].model->cutoff;
    AIM_TRY(aim_flatten(c, systems, index, n));
    if (c->resident)
        return run_resident(c, index, n, want, results);
    aim_range_plan range;
    batch_call b = {c, systems, index, n, &range, results, c->flat.lists != NULL, 0, NULL, NULL};
    if (aim_device_defers_overlap(c) && !b.checked && (want.hessian || !takes_all(c))) {
        const int32_t kept = drop_overlapping(&b, index);
        if (kept < n)
            return kept ? run_batch(c, systems, index, kept, want, results) : AIMNET_OK;
    }
    if (!takes_all(c))
        AIM_TRY(aim_calc_pairs(c, AIM_FOR_NETWORK, cutoff, want.grad, &c->pairs));
    if (aim_batch_periodic(&c->flat.batch, 0) && !takes_all(c)) {
        const int32_t kept = drop_overlapping_images(c, index, n, results);
        if (kept == 0)
            return AIMNET_OK;
        if (kept < n)
            return run_batch(c, systems, index, kept, want, results);
    }
    c->some.added = 0;
    c->meanwhile.status = AIMNET_OK;
    c->meanwhile.fn = prepare_results;
    c->meanwhile.arg = &b;
    if (c->n_members == 1 && !want.multipoles && !want.strain) {
        c->some.fn = write_some;
        c->some.arg = &b;
    }
    const aim_status status = run_members(c, systems, want, &range);
    c->meanwhile.fn = NULL;
    c->some.fn = NULL;
    AIM_TRY(status);
    aim_each_system(c->team, n - b.written, write_other, &b);
    return want.hessian ? aim_hessian_batch(c, systems, index, results) : AIMNET_OK;
}

/* A batch that fails as a whole (out of memory, say) is tried again one structure at a time: bad
 * luck of one never costs the others. */
static void run_or_split(aim_calc *c, const aimnet_system *systems, int32_t *index, int32_t n,
                         aim_wishes want, aimnet_result *results)
{
    const aim_status status = run_batch(c, systems, index, n, want, results);
    if (status == AIMNET_OK)
        return;
    if (n == 1 || c->resident) { /* the latter's calls are tried again as a whole */
        fail(c, results, index[0], status);
        return;
    }
    for (int32_t k = 0; k < n; k++)
        if (!c->note[index[k]].wrong)
            run_or_split(c, systems, index + k, 1, want, results);
}

static int wants_of(const aimnet_result *r)
{
    return (r->forces || r->forces_std || r->stress || r->hessian ? AIM_WANTS_GRAD : 0) |
           (r->stress ? AIM_WANTS_STRAIN : 0) | (r->hessian ? AIM_WANTS_HESSIAN : 0) |
           (r->dipole || r->quadrupole ? AIM_WANTS_MULTIPOLES : 0);
}

/* Checks structure k, whose result is cleared, and notes what there is to know of it. */
static void check(aim_calc *c, const aimnet_system *systems, aimnet_result *results, int32_t k)
{
    aimnet_result *r = &results[k];
    const aim_status status = aim_check_system(c, &systems[k], r, r->warnings, sizeof r->warnings);
    if (status != AIMNET_OK) {
        fail(c, results, k, status);
        return;
    }
    aim_note_system(c, &systems[k], k);
    aim_flatten_one(c, &systems[k], k);
    c->note[k].wants = (unsigned char)wants_of(r);
}

typedef struct checking {
    aim_calc *c;
    const aimnet_system *systems;
    aimnet_result *results;
    int large; /* those that need memory, or the others */
} checking;

static void check_one(void *arg, int32_t k)
{
    const checking *all = arg;
    const int large = aim_check_allocates(&all->systems[k]);
    if (!all->large)
        all->c->note[k].large = (unsigned char)large;
    if (large != all->large)
        return;
    aim_result_clear(&all->results[k]);
    check(all->c, all->systems, all->results, k);
}

aim_status aim_calc_run(aim_calc *c, const aimnet_system *systems, int n, aimnet_result *results)
{
    AIM_TRY(aim_extras_start(c, n));
    AIM_TRY(aim_run_reserve(c, n));
    aim_notes_begin(c);
    aim_flatten_ahead(c, systems, n);
    int32_t *const index = c->index;
    checking all = {c, systems, results, 0};
    aim_each_system(c->team, n, check_one, &all);
    all.large = 1; /* one after the other: the caller's allocator is for one thread */
    for (int32_t k = 0; k < n; k++) {
        if (c->note[k].large)
            check_one(&all, k);
        c->noted += !c->note[k].wrong;
    }
    for (int periodic = 0; periodic < 2; periodic++) {
        aim_wishes want;
        int32_t next = 0, count;
        while ((count = aim_choose_batch(c, systems, n, periodic, &next, index, &want)) > 0)
            run_or_split(c, systems, index, count, want, results);
    }
    int failed = 0;
    for (int k = 0; k < n; k++)
        failed += c->note[k].wrong;
    return failed ? AIM_FAIL(AIMNET_ERR_SOME_FAILED,
                             "%d of %d structures failed; their results say why", failed, n)
                  : AIMNET_OK;
}

/* Adds what the current batch would hold. */
static aim_status estimate_batch(aim_calc *c, const aimnet_system *systems, const int32_t *index,
                                 int32_t n, int want_grad, size_t *peak)
{
    const double cutoff = c->member[0].model->cutoff;
    AIM_TRY(aim_flatten(c, systems, index, n));
    const aim_batch *b = &c->flat.batch;
    if (c->device.ops)
        return aim_device_estimate(c, (aim_wishes){.grad = want_grad}, peak);
    AIM_TRY(aim_calc_pairs(c, AIM_FOR_NETWORK, cutoff, want_grad, &c->pairs));
    aim_range_plan range;
    size_t bytes = c->flat.arena.used +
                   aim_average_bytes((size_t)b->n_atoms, (size_t)b->n_systems, c->n_members),
           largest = 0;
    AIM_TRY(aim_calc_ranges(c, &c->member[0], &range));
    bytes += aim_pairs_bytes(&c->pairs);
    if (range.coulomb.pairs)
        bytes += aim_pairs_bytes(&c->pairs_coulomb);
    if (range.d3.pairs && range.d3.pairs != range.coulomb.pairs)
        bytes += aim_pairs_bytes(&c->pairs_d3);
    if (range.coulomb.clusters)
        bytes += aim_clusters_bytes(&c->clusters_coulomb);
    if (range.d3.clusters && range.d3.clusters != range.coulomb.clusters)
        bytes += aim_clusters_bytes(&c->clusters_d3);
    for (int k = 0; k < c->n_members; k++) {
        aim_arena measure = {0};
        aim_values v;
        aim_values_layout(c->member[k].model, b, 1, 1, &measure, &v);
        const size_t own =
            measure.used + c->ops->workspace(c->member[k].net, b->n_atoms, c->pairs.n_pairs,
                                             aim_pairs_max_row(&c->pairs), aim_team_size(c->team),
                                             want_grad);
        largest = own > largest ? own : largest;
    }
    bytes += largest;
    *peak = bytes > *peak ? bytes : *peak;
    return AIMNET_OK;
}

aim_status aim_calc_estimate(aim_calc *c, const aimnet_system *systems, int n, int want_forces,
                             size_t *bytes)
{
    aimnet_result *results;
    *bytes = 0;
    AIM_TRY(aim_run_reserve(c, n));
    aim_notes_begin(c);
    AIM_TRY(aim_new0(&c->alloc, (size_t)n, sizeof *results, "results", &results));
    aim_status status = AIMNET_OK;
    for (int k = 0; k < n && status == AIMNET_OK; k++) {
        check(c, systems, results, k);
        status = results[k].status;
    }
    c->noted = n;
    for (int periodic = 0; periodic < 2 && status == AIMNET_OK; periodic++) {
        aim_wishes want;
        int32_t next = 0, count;
        while (status == AIMNET_OK &&
               (count = aim_choose_batch(c, systems, n, periodic, &next, c->index, &want)) > 0)
            status = estimate_batch(c, systems, c->index, count, want_forces, bytes);
    }
    aim_free(&c->alloc, results);
    return status;
}
