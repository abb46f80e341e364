/* SPDX-License-Identifier: MIT */
/* derivatives.c - second derivatives: sweeps along directions, dense Hessians, rows, products.
 *
 * With every quantity a function of eps along x + eps (v + x W), one sweep is: tangents of the
 * network's forward pass (of charges and heads), of the terms (of dE/dr and of dE/dq), of the
 * network's backward pass. The row of H that belongs to a coordinate is the sweep along it.
 * Systems of a batch do not interact, so that direction k moves coordinate k of every system at
 * once and gives a row of each.
 *
 * The primal is computed once per member and kept (AIM_NET_KEEP); directions come in blocks of
 * SWEEP_ROWS atoms times directions and at least eight, so that memory does not grow with the
 * number of rows: some 40 kB (80 kB in double) for each atom of each direction. */
#include <math.h>
#include <string.h>

#include "calc/results.h"
#include "calc/tangent.h"

enum { SWEEP_ROWS = 1536, MOST_ROWS = 16384, RUN_ATOMS = 1024 };

/* Whole groups of eight, as long as memory allows. */
static int directions_of_block(const aim_calc *c, int64_t wanted)
{
    const aim_batch *b = &c->flat.batch;
    if (c->device.ops && !c->host_network)
        return (int)aim_device_directions(c, wanted);
    const int64_t n = b->n_atoms > 0 ? b->n_atoms : 1, groups = (SWEEP_ROWS / n + 7) / 8,
                  most = MOST_ROWS / n > 1 ? MOST_ROWS / n : 1,
                  block = groups > 1 ? 8 * groups : (most < 8 ? most : 8);
    return (int)(block < wanted ? block : wanted);
}

static aim_net_tan make_tan(aim_calc *c, const aim_member *member, const aim_tangents *t)
{
    aim_net_tan tan = {.n_dir = t->n_dir,
                       .tx = t->tx,
                       .w = t->w,
                       .arena = &c->tan_arena,
                       .tq = t->tq,
                       .tspin = t->tspin,
                       .tgq = t->tgq,
                       .tgspin = t->tgspin,
                       .tgrad = t->tgrad,
                       .tstrain = t->tstrain};
    for (int o = 0; o < member->model->n_outputs; o++) {
        const int slot = member->model->output[o].out;
        if (member->model->output[o].kind != AIM_OUT_MLP || !member->live[slot])
            continue;
        tan.thead[o] = t->tslot[slot];
        tan.tghead[o] = t->tadjoint[slot];
    }
    return tan;
}

static void clear(double *x, size_t n)
{
    if (x)
        memset(x, 0, n * sizeof *x);
}

static void clear_outputs(const aim_batch *b, const aim_model *m, const aim_tangents *t)
{
    const size_t rows = (size_t)t->n_dir * (size_t)b->n_atoms;
    clear(t->tgq, rows);
    clear(t->tgspin, rows);
    clear(t->tspin, rows);
    clear(t->tgrad, 3 * rows);
    clear(t->tstrain, 9 * (size_t)t->n_dir * (size_t)b->n_systems);
    for (int s = AIM_SLOT_FIRST_FREE; s < m->n_slots; s++)
        clear(t->tadjoint[s], rows * (size_t)m->slot[s].width);
}

aim_status aim_tangent_sweep(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                             aim_net_call *call, aim_tangents *t, aim_net_tan *tan)
{
    const aim_batch *b = &c->flat.batch;
    clear_outputs(b, member->model, t);
    if (aim_device_computes(c, member))
        return aim_device_sweep(c, member, range, t);
    const size_t bytes = c->ops->tangent_workspace(
        member->net, b->n_atoms, c->pairs.n_pairs, aim_pairs_max_row(&c->pairs),
        aim_team_size(c->team), call->want_grad, t->n_dir);
    AIM_TRY(aim_arena_reserve(&c->tan_arena, &c->alloc, bytes, "tangents of the network"));
    *tan = make_tan(c, member, t);
    AIM_TRY(c->ops->tangent_forward(member->net, call, tan));
    AIM_TRY(aim_program_tangent(c, member, range, t));
    aim_program_tangent_backward(c, member, t);
    c->ops->tangent_backward(member->net, call, tan);
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- blocks of directions */

/* Directions of one block of the current batch, with room for them. */
typedef struct block {
    aim_tangents t;
    double *tx, *w; /* [dir][n][3], [dir][systems][9] or NULL */
    double *seed;   /* [dir][n] adjoints of the charges, or NULL */
} block;

/* What else than positions a caller moves or seeds. */
typedef struct block_parts {
    int strain, charges;
} block_parts;

static void block_layout(const aim_member *member, const aim_batch *b, int n_dir, block_parts parts,
                         aim_arena *arena, block *k)
{
    const size_t rows = (size_t)n_dir * (size_t)b->n_atoms,
                 systems = (size_t)n_dir * (size_t)b->n_systems;
    aim_tangents_layout(member, b, n_dir, parts.strain, arena, &k->t);
    k->tx = aim_take(arena, "tx", 3 * rows, sizeof(double));
    k->w = parts.strain ? aim_take(arena, "w", 9 * systems, sizeof(double)) : NULL;
    k->seed = parts.charges ? aim_take(arena, "s", rows, sizeof(double)) : NULL;
    k->t.tx = k->tx;
    k->t.w = k->w;
    k->t.charge_seed = k->seed;
}

static aim_status block_reserve(aim_calc *c, const aim_member *member, int n_dir, block_parts parts,
                                block *k)
{
    aim_arena measure = {0};
    block_layout(member, &c->flat.batch, n_dir, parts, &measure, k);
    AIM_TRY(aim_arena_reserve(&c->tangents, &c->alloc, measure.used, "tangents"));
    block_layout(member, &c->flat.batch, n_dir, parts, &c->tangents, k);
    return AIMNET_OK;
}

/* Fills block->tx (and w, seed) of directions first .. first + n_dir - 1, cleared before; takes
 * results. */
typedef struct direction_user {
    void (*fill)(void *user, const aim_batch *b, int64_t first, block *k);
    aim_status (*take)(void *user, aim_calc *c, int64_t first, const block *k);
    void *user;
    int64_t n_directions;
    block_parts parts;
} direction_user;

/* All directions of one member, block after block. */
static aim_status sweep_member(aim_calc *c, const aim_member *member, const aim_range_plan *range,
                               const direction_user *d)
{
    const aim_batch *b = &c->flat.batch;
    aim_net_call call;
    aim_net_tan tan;
    c->host_network = !member->device_sweeps;
    AIM_TRY(aim_calc_member(c, member, range,
                            (aim_wishes){.grad = AIM_NET_KEEP, .strain = d->parts.strain}, &call));
    const int most = directions_of_block(c, d->n_directions);
    for (int64_t first = 0; first < d->n_directions; first += most) {
        const int64_t left = d->n_directions - first;
        const int n = (int)(left < most ? left : most);
        block k;
        AIM_TRY(block_reserve(c, member, n, d->parts, &k));
        clear(k.tx, 3 * (size_t)n * (size_t)b->n_atoms);
        clear(k.w, 9 * (size_t)n * (size_t)b->n_systems);
        clear(k.seed, (size_t)n * (size_t)b->n_atoms);
        k.t.again = first > 0;
        d->fill(d->user, b, first, &k);
        AIM_TRY(aim_tangent_sweep(c, member, range, &call, &k.t, &tan));
        AIM_TRY(d->take(d->user, c, first, &k));
    }
    return AIMNET_OK;
}

/* All members in turn: the lists of the network are those of the first member when this is called.
 * */
static aim_status sweep_all(aim_calc *c, const direction_user *d)
{
    for (int k = 0; k < c->n_members; k++) {
        const aim_member *member = &c->member[k];
        aim_range_plan range;
        if (c->host_terms && k > 0 && member->model->cutoff != c->member[k - 1].model->cutoff)
            AIM_TRY(aim_calc_pairs(c, AIM_FOR_NETWORK, member->model->cutoff, 1, &c->pairs));
        AIM_TRY(aim_calc_ranges(c, member, &range));
        AIM_TRY(sweep_member(c, member, &range, d));
    }
    return AIMNET_OK;
}

/* Terms that have no tangents on the device are the host's, with those of all members. */
static aim_status sweep_members(aim_calc *c, const direction_user *d)
{
    c->host_terms = !aim_device_sweeps_batch(c);
    const aim_status status = sweep_all(c, d);
    c->host_terms = c->host_network = 0;
    return status;
}

static aim_status check_structure(aim_calc *c, const aimnet_system *system)
{
    const aimnet_result nothing = {0};
    char warnings[AIMNET_MESSAGE_SIZE];
    c->host_terms = 1; /* overlap is looked for here */
    const aim_status status = aim_check_system(c, system, &nothing, warnings, sizeof warnings);
    c->host_terms = 0;
    return status;
}

/* One structure as the current batch. */
static aim_status open_system(aim_calc *c, const aimnet_system *system)
{
    AIM_TRY(check_structure(c, system));
    AIM_TRY(aim_run_reserve(c, 1));
    return aim_run_open(c, system, 0, 1);
}

/* ---------------------------------------------------------------- dense Hessians */

typedef struct hessian_job {
    const aimnet_system *systems;
    const int32_t *index;
    aimnet_result *results;
} hessian_job;

static double *hessian_of(const hessian_job *j, int32_t s)
{
    const aimnet_result *r = &j->results[j->index[s]];
    return r->status == AIMNET_OK ? r->hessian : NULL;
}

static void hessian_fill(void *user, const aim_batch *b, int64_t first, block *k)
{
    for (int32_t s = 0; s < b->n_systems; s++)
        for (int64_t d = 0; d < k->t.n_dir && hessian_of(user, s); d++) {
            const int64_t coordinate = 3 * (int64_t)b->offset[s] + first + d;
            if (coordinate < 3 * (int64_t)b->offset[s + 1])
                k->tx[3 * d * b->n_atoms + coordinate] = 1.0;
        }
}

/* H += (H_member)/members, one row per direction and system */
static aim_status hessian_take(void *user, aim_calc *c, int64_t first, const block *k)
{
    const hessian_job *j = user;
    const aim_batch *b = &c->flat.batch;
    for (int32_t s = 0; s < b->n_systems; s++) {
        double *h = hessian_of(j, s);
        const size_t columns = 3 * (size_t)j->systems[j->index[s]].n_atoms;
        for (int64_t d = 0; h && d < k->t.n_dir; d++) {
            const int64_t i = b->offset[s] + (first + d) / 3;
            if (i >= b->offset[s + 1])
                break;
            double *row = h + (3 * (size_t)b->origin[i] + (size_t)((first + d) % 3)) * columns;
            for (int32_t a = b->offset[s]; a < b->offset[s + 1]; a++)
                for (int e = 0; e < 3; e++)
                    row[3 * b->origin[a] + e] +=
                        k->t.tgrad[3 * (d * b->n_atoms + a) + e] / c->n_members;
        }
    }
    return AIMNET_OK;
}

static aim_status not_finite(void)
{
    return AIM_FAIL(AIMNET_ERR_SYSTEM, "the second derivatives are not finite: the geometry is far "
                                       "outside of what the model knows");
}

/* x may be NULL */
static aim_status check_finite(const double *x, size_t n)
{
    double sum = 0.0; /* of zeros, unless a number is not finite */
    for (size_t i = 0; x && i < n; i++)
        sum += 0.0 * x[i];
    return sum == 0.0 ? AIMNET_OK : not_finite();
}

static aim_status symmetrise(double *h, size_t n)
{
    double sum = 0.0; /* of zeros, unless a number is not finite */
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            h[i * n + j] = h[j * n + i] = 0.5 * (h[i * n + j] + h[j * n + i]);
            sum += 0.0 * h[i * n + j];
        }
        sum += 0.0 * h[i * n + i];
    }
    return sum == 0.0 ? AIMNET_OK : not_finite();
}

aim_status aim_hessian_batch(aim_calc *c, const aimnet_system *systems, const int32_t *index,
                             aimnet_result *results)
{
    const aim_batch *b = &c->flat.batch;
    hessian_job job = {systems, index, results};
    direction_user d = {.fill = hessian_fill, .take = hessian_take, .user = &job};
    for (int32_t s = 0; s < b->n_systems; s++) {
        const size_t n = 3 * (size_t)systems[index[s]].n_atoms;
        const int64_t coordinates = 3 * (int64_t)(b->offset[s + 1] - b->offset[s]);
        if (!hessian_of(&job, s))
            continue;
        clear(hessian_of(&job, s), n * n);
        d.n_directions = coordinates > d.n_directions ? coordinates : d.n_directions;
    }
    if ((c->n_members > 1 || c->device.ops) &&
        !aim_device_sweeps_batch(c)) /* other lists, or none */
        AIM_TRY(aim_calc_pairs(c, AIM_FOR_NETWORK, c->member[0].model->cutoff, 1, &c->pairs));
    AIM_TRY(sweep_members(c, &d));
    for (int32_t s = 0; s < b->n_systems; s++) {
        const size_t n = 3 * (size_t)systems[index[s]].n_atoms;
        const aim_status status =
            hessian_of(&job, s) ? symmetrise(hessian_of(&job, s), n) : AIMNET_OK;
        if (status != AIMNET_OK) {
            aim_result_fail(&results[index[s]], status);
            c->note[index[s]].wrong = 1;
        }
    }
    return AIMNET_OK;
}

/* ---------------------------------------------------------------- products and rows */

typedef struct hvp_job {
    const aimnet_system *systems;
    const aimnet_hvp *jobs;
    int32_t first; /* structure of the current batch */
} hvp_job;

/* The job of system s of the batch, if it has direction d; n_atoms counts its padding. */
static const aimnet_hvp *hvp_of(const hvp_job *j, int32_t s, int64_t d, int64_t *n_atoms)
{
    const aimnet_hvp *out = &j->jobs[j->first + s];
    *n_atoms = j->systems[j->first + s].n_atoms;
    return d < out->n_directions ? out : NULL;
}

static void hvp_fill(void *user, const aim_batch *b, int64_t first, block *k)
{
    for (int64_t d = 0; d < k->t.n_dir; d++)
        for (int32_t s = 0; s < b->n_systems; s++) {
            int64_t n;
            const aimnet_hvp *out = hvp_of(user, s, first + d, &n);
            for (int32_t i = b->offset[s]; out && out->v && i < b->offset[s + 1]; i++)
                memcpy(k->tx + 3 * (d * b->n_atoms + i),
                       out->v + 3 * ((first + d) * n + b->origin[i]), 3 * sizeof(double));
            if (out && k->w && out->strain)
                memcpy(k->w + 9 * (d * b->n_systems + s), out->strain + 9 * (first + d),
                       9 * sizeof(double));
        }
}

/* d(sum q r) = sum dq r + q (v + r W) of system s */
static void add_dipole(const aim_batch *b, int32_t s, const double *q, const block *k, int64_t d,
                       double scale, double mu[3])
{
    const double *w = k->w ? k->w + 9 * (d * b->n_systems + s) : NULL;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        for (int e = 0; e < 3; e++) {
            const double *r = b->coord + 3 * (int64_t)i;
            double tr = k->tx[3 * (d * b->n_atoms + i) + e];
            for (int a = 0; w && a < 3; a++)
                tr += r[a] * w[3 * a + e];
            mu[e] += scale * (k->t.tq[d * b->n_atoms + i] * r[e] + q[i] * tr);
        }
}

static aim_status hvp_take(void *user, aim_calc *c, int64_t first, const block *k)
{
    const aim_batch *b = &c->flat.batch;
    const double scale = 1.0 / c->n_members;
    for (int64_t d = 0; d < k->t.n_dir; d++)
        for (int32_t s = 0; s < b->n_systems; s++) {
            int64_t n;
            const aimnet_hvp *out = hvp_of(user, s, first + d, &n);
            for (int32_t i = b->offset[s]; out && i < b->offset[s + 1]; i++) {
                const int64_t from = d * b->n_atoms + i, to = (first + d) * n + b->origin[i];
                for (int e = 0; out->hv && e < 3; e++)
                    out->hv[3 * to + e] += scale * k->t.tgrad[3 * from + e];
                if (out->charges)
                    out->charges[to] += scale * k->t.tq[from];
            }
            for (int e = 0; out && out->dstrain && e < 9; e++)
                out->dstrain[9 * (first + d) + e] +=
                    scale * k->t.tstrain[9 * (d * b->n_systems + s) + e];
            if (out && out->dipole)
                add_dipole(b, s, c->values.q, k, d, scale, out->dipole + 3 * (first + d));
        }
    return AIMNET_OK;
}

static aim_status check_directions(const aimnet_system *s, const aimnet_hvp *job)
{
    const int64_t n = 3 * (int64_t)s->n_atoms;
    for (int64_t i = 0; job->v && i < job->n_directions * n; i++)
        if (!isfinite(job->v[i]) && s->numbers[i % n / 3])
            return AIM_FAIL(AIMNET_ERR_ARG, "number %lld of v is not finite", (long long)i);
    for (int64_t i = 0; job->strain && i < 9 * (int64_t)job->n_directions; i++)
        if (!isfinite(job->strain[i]))
            return AIM_FAIL(AIMNET_ERR_ARG, "number %lld of strain is not finite", (long long)i);
    return AIMNET_OK;
}

/* Checks and clears everything before anything is computed. */
static aim_status hvp_start(aim_calc *c, const hvp_job *j, int32_t n)
{
    for (int32_t k = 0; k < n; k++) {
        const aimnet_hvp *out = &j->jobs[k];
        const size_t dir = (size_t)out->n_directions;
        aim_status status = check_structure(c, &j->systems[k]);
        if (status == AIMNET_OK && (out->strain || out->dstrain) &&
            !aim_is_periodic(&j->systems[k]))
            status = AIM_FAIL(AIMNET_ERR_ARG, "strain and dstrain belong to periodic structures");
        if (status == AIMNET_OK)
            status = check_directions(&j->systems[k], out);
        if (status != AIMNET_OK)
            return n > 1 ? aim_fail_prefix(status, "structure %d", (int)k) : status;
        clear(out->hv, 3 * dir * (size_t)j->systems[k].n_atoms);
        clear(out->charges, dir * (size_t)j->systems[k].n_atoms);
        clear(out->dstrain, 9 * dir);
        clear(out->dipole, 3 * dir);
    }
    return AIMNET_OK;
}

static aim_status hvp_finish(const hvp_job *j, int32_t n)
{
    for (int32_t k = 0; k < n; k++) {
        const aimnet_hvp *out = &j->jobs[k];
        const size_t dir = (size_t)out->n_directions, atoms = (size_t)j->systems[k].n_atoms;
        aim_status status = check_finite(out->hv, 3 * dir * atoms);
        if (status == AIMNET_OK)
            status = check_finite(out->charges, dir * atoms);
        if (status == AIMNET_OK)
            status = check_finite(out->dstrain, 9 * dir);
        if (status == AIMNET_OK)
            status = check_finite(out->dipole, 3 * dir);
        if (status != AIMNET_OK)
            return n > 1 ? aim_fail_prefix(status, "structure %d", (int)k) : status;
    }
    return AIMNET_OK;
}

aim_status aim_hvp(aim_calc *c, const aimnet_system *systems, int32_t n, const aimnet_hvp *jobs)
{
    hvp_job job = {systems, jobs, 0};
    AIM_TRY(hvp_start(c, &job, n));
    AIM_TRY(aim_run_reserve(c, n));
    for (int32_t count; job.first < n; job.first += count) {
        direction_user d = {.fill = hvp_fill, .take = hvp_take, .user = &job};
        count = aim_run_length(c, systems, job.first, n, RUN_ATOMS);
        for (int32_t k = job.first; k < job.first + count; k++) {
            d.parts.strain |= jobs[k].strain || jobs[k].dstrain;
            if (jobs[k].n_directions > d.n_directions)
                d.n_directions = jobs[k].n_directions;
        }
        AIM_TRY(aim_run_open(c, systems, job.first, count));
        AIM_TRY(sweep_members(c, &d));
    }
    return hvp_finish(&job, n);
}

/* ---------------------------------------------------------------- the dipole's gradient */

/* d mu_c/dx = q e_c + sum_i r_ic dq_i/dx: the sum is what backward makes of the seeds r_ic on the
 * charges. */
typedef struct dipole_job {
    double *out; /* [3 n_atoms][3] */
} dipole_job;

static void dipole_fill(void *user, const aim_batch *b, int64_t first, block *k)
{
    (void)user;
    for (int64_t d = 0; d < k->t.n_dir; d++)
        for (int32_t i = 0; i < b->n_atoms; i++)
            k->seed[d * b->n_atoms + i] = b->coord[3 * (int64_t)i + first + d];
}

static aim_status dipole_take(void *user, aim_calc *c, int64_t first, const block *k)
{
    const dipole_job *j = user;
    const aim_batch *b = &c->flat.batch;
    for (int64_t d = 0; d < k->t.n_dir; d++)
        for (int32_t i = 0; i < b->n_atoms; i++)
            for (int64_t e = 0; e < 3; e++) {
                const double own = e == first + d ? c->values.q[i] : 0.0;
                j->out[3 * (3 * (int64_t)b->origin[i] + e) + first + d] +=
                    (k->t.tgrad[3 * (d * b->n_atoms + i) + e] + own) / c->n_members;
            }
    return AIMNET_OK;
}

aim_status aim_dipole_gradient(aim_calc *c, const aimnet_system *system, double *out)
{
    dipole_job job = {out};
    const direction_user d = {.fill = dipole_fill,
                              .take = dipole_take,
                              .user = &job,
                              .n_directions = 3,
                              .parts = {.charges = 1}};
    AIM_TRY(open_system(c, system));
    clear(out, 9 * (size_t)system->n_atoms);
    AIM_TRY(sweep_members(c, &d));
    return check_finite(out, 9 * (size_t)system->n_atoms);
}

/* Rows leave in blocks; with several members every block is summed over them first. */
typedef struct rows_job {
    const aimnet_system *system;
    double *rows; /* [most][3 n_atoms] */
    int64_t first, n;
} rows_job;

static void rows_fill(void *user, const aim_batch *b, int64_t first, block *k)
{
    const rows_job *j = user;
    for (int64_t d = 0; d < k->t.n_dir; d++)
        for (int32_t i = 0; i < b->n_atoms; i++) {
            const int64_t coordinate = j->first + first + d - 3 * (int64_t)b->origin[i];
            if (coordinate >= 0 && coordinate < 3)
                k->tx[3 * (d * b->n_atoms + i) + coordinate] = 1.0;
        }
}

static aim_status rows_take(void *user, aim_calc *c, int64_t first, const block *k)
{
    const rows_job *j = user;
    const aim_batch *b = &c->flat.batch;
    const int64_t columns = 3 * (int64_t)j->system->n_atoms;
    for (int64_t d = 0; d < k->t.n_dir; d++)
        for (int32_t i = 0; i < b->n_atoms; i++)
            for (int e = 0; e < 3; e++)
                j->rows[(first + d) * columns + 3 * (int64_t)b->origin[i] + e] +=
                    k->t.tgrad[3 * (d * b->n_atoms + i) + e] / c->n_members;
    return AIMNET_OK;
}

static aim_status all_rows(aim_calc *c, rows_job *j, int64_t most, aimnet_rows_fn fn, void *user)
{
    const int64_t columns = 3 * (int64_t)j->system->n_atoms;
    for (j->first = 0; j->first < columns; j->first += most) {
        j->n = columns - j->first < most ? columns - j->first : most;
        const direction_user d = {
            .fill = rows_fill, .take = rows_take, .user = j, .n_directions = j->n};
        clear(j->rows, (size_t)(j->n * columns));
        if (j->first > 0 && c->n_members > 1 && !aim_device_sweeps_batch(c))
            AIM_TRY(aim_calc_pairs(c, AIM_FOR_NETWORK, c->member[0].model->cutoff, 1, &c->pairs));
        AIM_TRY(sweep_members(c, &d));
        AIM_TRY(check_finite(j->rows, (size_t)(j->n * columns)));
        if (fn(user, j->first, j->n, columns, j->rows) != 0)
            return AIM_FAIL(AIMNET_ERR_INTERRUPTED, "stopped after row %lld of %lld",
                            (long long)(j->first + j->n), (long long)columns);
    }
    return AIMNET_OK;
}

/* Rows of some ten sweeps leave together, so that the primal, which every block computes again,
 * costs little. */
aim_status aim_hessian_rows(aim_calc *c, const aimnet_system *system, aimnet_rows_fn fn, void *user)
{
    rows_job job = {.system = system};
    AIM_TRY(open_system(c, system));
    const int64_t columns = 3 * (int64_t)system->n_atoms;
    const int64_t most = 16 * (int64_t)directions_of_block(c, columns);
    AIM_TRY(aim_new(&c->alloc, (size_t)((most < columns ? most : columns) * columns),
                    sizeof(double), "rows of the Hessian", &job.rows));
    const aim_status status = all_rows(c, &job, most, fn, user);
    aim_free(&c->alloc, job.rows);
    return status;
}
