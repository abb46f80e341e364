/* SPDX-License-Identifier: MIT */
/* loss.c - a training loss and its gradient by every parameter.
 *
 * The loss L of energies E, forces F, charges q, dipoles mu and stresses sigma depends on the
 * parameters through derivatives of the energy. One tangent sweep with
 *
 *     v = -dL/dF,   W = dL/dsigma / V,   w_b = dL/dE_b,   s_i = dL/dq_i + r_i . dL/dmu
 *
 * along positions and strain and as seeds on energies and charges makes the sum of all seeds
 * sum w E + v dE/dr + W dE/dstrain + s q, whose gradient by the parameters at constant seeds is
 * that of the loss (docs/math/tangents.md). Batches are runs of structures of one kind; their
 * gradients add up in the order of the structures. Losses: include/aimnet_deriv.h. */
#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "calc/tangent.h"

enum { LOSS_ATOMS = 2048 }; /* most atoms of a batch, as in evaluations */

typedef struct loss_job {
    aim_calc *c;
    const aimnet_system *systems;
    const aimnet_target *targets;
    aimnet_loss_weights weight; /* already divided by what they are averaged over */
    aimnet_loss_weights *parts;
    int strain;
    double *gradient;
    int started; /* it holds something to add to */
} loss_job;

/* Seeds of one batch, in the tangents' arena. */
typedef struct seeds {
    double *v, *w, *energy, *charge, *spin;
    aimnet_loss_weights *parts; /* of the loss, of every system */
} seeds;

static void batch_layout(const aim_calc *c, int strain, aim_arena *arena, aim_tangents *t, seeds *s)
{
    const aim_batch *b = &c->flat.batch;
    const size_t n = (size_t)b->n_atoms, systems = (size_t)b->n_systems;
    aim_tangents_layout(&c->member[0], b, 1, strain, arena, t);
    s->v = aim_take(arena, "v", 3 * n, sizeof(double));
    s->w = strain ? aim_take(arena, "w", 9 * systems, sizeof(double)) : NULL;
    s->energy = aim_take(arena, "w_b", systems, sizeof(double));
    s->charge = aim_take(arena, "s", n, sizeof(double));
    s->spin = aim_take(arena, "s_spin", n, sizeof(double));
    s->parts = aim_take(arena, "parts", systems, sizeof *s->parts);
    t->tx = s->v;
    t->w = s->w;
    t->seed = s->energy;
}

/* part += weight x^2 with x = value - target; returns dL/dvalue */
static double square(double weight, double value, double target, double *part)
{
    const double x = value - target;
    *part += weight * x * x;
    return 2.0 * weight * x;
}

static void seed_atoms(const loss_job *j, int32_t s, const aimnet_target *t, const seeds *to)
{
    const aim_batch *b = &j->c->flat.batch;
    const aim_values *v = &j->c->values;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
        const int64_t from = b->origin[i];
        for (int d = 0; j->weight.forces > 0 && d < 3; d++)
            to->v[3 * i + d] = -square(j->weight.forces, -v->grad[3 * i + d],
                                       t->forces[3 * from + d], &to->parts[s].forces);
        if (j->weight.charges > 0)
            to->charge[i] +=
                square(j->weight.charges, v->q[i], t->charges[from], &to->parts[s].charges);
        if (j->weight.spin_charges > 0)
            to->spin[i] += square(j->weight.spin_charges, v->spin[i], t->spin_charges[from],
                                  &to->parts[s].spin_charges);
    }
}

static const aim_output *dipole_output(const aim_member *member)
{
    for (int o = 0; o < member->model->n_outputs; o++)
        if (member->model->output[o].out == member->dipole_slot)
            return &member->model->output[o];
    return NULL;
}

/* mu = sum q (r - origin): the model's own if it has one. */
static void seed_dipole(const loss_job *j, int32_t s, const aimnet_target *t, const seeds *to)
{
    const aim_batch *b = &j->c->flat.batch;
    const aim_output *o = dipole_output(&j->c->member[0]);
    double origin[3] = {0}, mu[3] = {0}, g[3];
    if (o)
        aim_program_origin(o, b, s, origin);
    const int spin = o && o->in == AIM_SLOT_SPIN_CHARGES;
    const double *q = spin ? j->c->values.spin : j->c->values.q;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        for (int d = 0; d < 3; d++)
            mu[d] += q[i] * (b->coord[3 * i + d] - origin[d]);
    for (int d = 0; d < 3; d++)
        g[d] = square(j->weight.dipole, mu[d], t->dipole[d], &to->parts[s].dipole);
    double *charge = spin ? to->spin : to->charge;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++)
        for (int d = 0; d < 3; d++)
            charge[i] += g[d] * (b->coord[3 * i + d] - origin[d]);
}

/* Of the symmetrised stress that results have. */
static void seed_stress(const loss_job *j, int32_t s, const aimnet_target *t, const seeds *to)
{
    const aim_batch *b = &j->c->flat.batch;
    const double volume = fabs(aim_det3(b->cell + 9 * (size_t)s)),
                 *e = j->c->values.strain + 9 * (size_t)s;
    double g[9];
    for (int k = 0; k < 9; k++)
        g[k] = square(j->weight.stress, 0.5 * (e[k] + e[k % 3 * 3 + k / 3]) / volume, t->stress[k],
                      &to->parts[s].stress);
    for (int k = 0; k < 9; k++)
        to->w[9 * s + k] = 0.5 * (g[k] + g[k % 3 * 3 + k / 3]) / volume;
}

typedef struct seeding {
    const loss_job *j;
    int32_t first;
    const seeds *to;
} seeding;

/* Before there are results: nothing, and the forces of the target where a device makes v of them. */
static void start_one(void *arg, int32_t s)
{
    const seeding *g = arg;
    const seeds *to = g->to;
    const aim_batch *b = &g->j->c->flat.batch;
    const aimnet_target *t = &g->j->targets[g->first + s];
    to->energy[s] = 0.0;
    to->parts[s] = (aimnet_loss_weights){0};
    for (int k = 0; to->w && k < 9; k++)
        to->w[9 * s + k] = 0.0;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
        to->charge[i] = to->spin[i] = 0.0;
        for (int d = 0; d < 3; d++)
            to->v[3 * i + d] = g->j->weight.forces > 0 ? t->forces[3 * b->origin[i] + d] : 0.0;
    }
}

static aim_status start_seeds(void *arg)
{
    const seeding *g = arg;
    aim_each_system(g->j->c->team, g->j->c->flat.batch.n_systems, start_one, arg);
    return AIMNET_OK;
}

static void seed_one(void *arg, int32_t s)
{
    const seeding *g = arg;
    const loss_job *j = g->j;
    const seeds *to = g->to;
    const aim_batch *b = &j->c->flat.batch;
    const aim_values *v = &j->c->values;
    const double *network = v->slot[j->c->member[0].model->energy_slot];
    const aimnet_target *t = &j->targets[g->first + s];
    const int32_t n = b->offset[s + 1] - b->offset[s];
    if (j->weight.energy > 0)
        to->energy[s] =
            square(j->weight.energy / sqrt(n), network[s] + v->coulomb[s] + v->dispersion[s],
                   t->energy, &to->parts[s].energy);
    seed_atoms(j, s, t, to);
    if (j->weight.dipole > 0)
        seed_dipole(j, s, t, to);
    if (j->weight.stress > 0)
        seed_stress(j, s, t, to);
}

static void seed_batch(seeding *g)
{
    const loss_job *j = g->j;
    const seeds *to = g->to;
    const int32_t n = j->c->flat.batch.n_systems;
    aim_each_system(j->c->team, n, seed_one, g);
    for (int32_t s = 0; s < n; s++) {
        j->parts->energy += to->parts[s].energy;
        j->parts->forces += to->parts[s].forces;
        j->parts->charges += to->parts[s].charges;
        j->parts->spin_charges += to->parts[s].spin_charges;
        j->parts->dipole += to->parts[s].dipole;
        j->parts->stress += to->parts[s].stress;
    }
}

/* Shifts are added to the energy of their atoms. */
static void shift_gradient(const loss_job *j, const seeds *s)
{
    const aim_batch *b = &j->c->flat.batch;
    const aim_member *member = &j->c->member[0];
    for (int o = 0; o < member->model->n_outputs; o++) {
        const aim_output *out = &member->model->output[o];
        if (out->kind != AIM_OUT_ATOMIC_SHIFT || !member->live[out->out])
            continue;
        double *g = j->gradient + aim_parameters_offset(&j->c->parameters, out->shift);
        for (int32_t i = 0; i < b->n_atoms; i++)
            g[b->numbers[i]] += s->energy[b->system[i]];
    }
}

/* A part of the gradient of a batch, which a network in single precision leaves in float. */
typedef struct copying {
    aim_team *team;
    const void *from;
    double *to;
    int64_t first, n;
    int add, is_double;
} copying;

enum { COPY_CHUNK = 8192 };

static void take_doubles(int64_t n, const double *from, int add, double *to)
{
    for (int64_t k = 0; k < n; k++)
        to[k] = (add ? to[k] : 0.0) + from[k];
}

static void take_floats(int64_t n, const float *from, int add, double *to)
{
    for (int64_t k = 0; k < n; k++)
        to[k] = (add ? to[k] : 0.0) + (double)from[k];
}

static void copy_task(void *ctx, int64_t task, int worker)
{
    const copying *c = ctx;
    const int64_t from = task * COPY_CHUNK, left = c->n - from,
                  n = left < COPY_CHUNK ? left : COPY_CHUNK, first = c->first + from;
    (void)worker;
    if (c->is_double)
        take_doubles(n, (const double *)c->from + first, c->add, c->to + first);
    else
        take_floats(n, (const float *)c->from + first, c->add, c->to + first);
}

static void take_part(void *ctx, const void *gradient, size_t first, size_t last)
{
    copying *c = ctx;
    c->from = gradient;
    c->first = (int64_t)first;
    c->n = (int64_t)(last - first);
    aim_parallel_for(c->team, (c->n + COPY_CHUNK - 1) / COPY_CHUNK, copy_task, c);
}

/* A device gives the gradient of a batch in the order of the caller's, part by part. */
static aim_status sweep_device(loss_job *j, const aim_range_plan *range, aim_net_call *call,
                               aim_tangents *t)
{
    aim_calc *c = j->c;
    aim_net_tan tan;
    AIM_TRY(aim_device_places(c));
    t->places = &c->places;
    copying copy = {.team = c->team,
                    .to = j->gradient,
                    .add = j->started,
                    .is_double = c->options.precision == AIMNET_DOUBLE};
    t->take = take_part;
    t->take_ctx = &copy;
    AIM_TRY(aim_tangent_sweep(c, &c->member[0], range, call, t, &tan));
    j->started = 1;
    return AIMNET_OK;
}

/* The sweep with the seeds of charges on top of the terms' tangents. */
static aim_status sweep(loss_job *j, const aim_range_plan *range, aim_net_call *call,
                        aim_tangents *t, const seeds *s)
{
    aim_calc *c = j->c;
    aim_net_tan tan;
    t->charge_seed = s->charge;
    t->spin_seed = s->spin;
    if (aim_device_computes(c, &c->member[0])) {
        AIM_TRY(sweep_device(j, range, call, t));
    } else {
        AIM_TRY(aim_tangent_sweep(c, &c->member[0], range, call, t, &tan));
        c->ops->parameters(c->member[0].net, call, &tan, &c->parameters, j->gradient);
    }
    shift_gradient(j, s);
    return AIMNET_OK;
}

/* Values of the batch and its seeds. A device makes the direction itself: the host's is what the loss is
 * summed from. */
static aim_status evaluate(loss_job *j, int32_t first, const aim_range_plan *range,
                           aim_net_call *call, aim_tangents *t, seeds *s)
{
    aim_calc *c = j->c;
    aim_arena measure = {0};
    seeding g = {j, first, s};
    batch_layout(c, j->strain, &measure, t, s);
    AIM_TRY(aim_arena_reserve(&c->tangents, &c->alloc, measure.used, "tangents"));
    batch_layout(c, j->strain, &c->tangents, t, s);
    t->aim = j->weight.forces > 0 && !j->strain ? s->v : NULL;
    t->aim_weight = j->weight.forces;
    c->meanwhile.fn = start_seeds;
    c->meanwhile.arg = &g;
    const aim_wishes want = {
        .grad = j->gradient ? AIM_NET_TRAIN : 1, .strain = j->strain, .ahead = t};
    const aim_status status = aim_calc_member(c, &c->member[0], range, want, call);
    aim_do_meanwhile(c);
    AIM_TRY(status);
    seed_batch(&g);
    return AIMNET_OK;
}

static aim_status run_batch(loss_job *j, int32_t first, int32_t n)
{
    aim_calc *c = j->c;
    aim_range_plan range;
    aim_net_call call;
    aim_tangents t;
    seeds s;
    AIM_TRY(aim_run_open(c, j->systems, first, n));
    c->host_terms = !aim_device_sweeps_batch(c);
    AIM_TRY(aim_calc_ranges(c, &c->member[0], &range));
    AIM_TRY(evaluate(j, first, &range, &call, &t, &s));
    return j->gradient ? sweep(j, &range, &call, &t, &s) : AIMNET_OK;
}

/* Terms that have no tangents on the device are the host's. */
static aim_status run_with_terms(loss_job *j, int32_t first, int32_t n)
{
    aim_calc *c = j->c;
    c->host_network = !c->member[0].device_sweeps;
    const aim_status status = run_batch(j, first, n);
    c->host_terms = c->host_network = 0;
    return status;
}

/* Numbers to aim at, `width` per atom that is none of padding; numbers NULL: of the structure. */
static aim_status check_numbers(const double *x, int64_t n, int width, const int32_t *numbers,
                                const char *name)
{
    for (int64_t i = 0; i < n * width; i++)
        if (!isfinite(x[i]) && (!numbers || numbers[i / width]))
            return AIM_FAIL(AIMNET_ERR_ARG, "number %lld of the %s to aim at is not finite",
                            (long long)i, name);
    return AIMNET_OK;
}

static aim_status check_finite(const aimnet_loss_weights *w, const aimnet_system *s,
                               const aimnet_target *t)
{
    const int64_t n = s->n_atoms;
    if (w->energy > 0)
        AIM_TRY(check_numbers(&t->energy, 1, 1, NULL, "energy"));
    if (w->forces > 0)
        AIM_TRY(check_numbers(t->forces, n, 3, s->numbers, "forces"));
    if (w->charges > 0)
        AIM_TRY(check_numbers(t->charges, n, 1, s->numbers, "charges"));
    if (w->spin_charges > 0)
        AIM_TRY(check_numbers(t->spin_charges, n, 1, s->numbers, "spin charges"));
    if (w->dipole > 0)
        AIM_TRY(check_numbers(t->dipole, 1, 3, NULL, "dipole"));
    return w->stress > 0 ? check_numbers(t->stress, 1, 9, NULL, "stress") : AIMNET_OK;
}

static aim_status check_targets(const aim_calc *c, const aimnet_loss_weights *w,
                                const aimnet_system *s, const aimnet_target *t, int k)
{
    const struct {
        double weight;
        const double *target;
        const char *name;
    } parts[] = {{w->forces, t->forces, "forces"},
                 {w->charges, t->charges, "charges"},
                 {w->spin_charges, t->spin_charges, "spin charges"},
                 {w->dipole, t->dipole, "a dipole"},
                 {w->stress, t->stress, "a stress"}};
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        if (parts[p].weight > 0 && !parts[p].target)
            return AIM_FAIL(AIMNET_ERR_ARG, "structure %d has no %s to aim at, but a weight for it",
                            k, parts[p].name + (parts[p].name[1] == ' ' ? 2 : 0));
    if (w->spin_charges > 0 && c->member[0].model->n_charge != 2)
        return AIM_FAIL(AIMNET_ERR_ARG, "model '%s' has no spin charges", c->member[0].model->name);
    if (w->stress > 0 && !aim_is_periodic(s))
        return AIM_FAIL(AIMNET_ERR_ARG, "structure %d is not periodic: it has no stress", k);
    return AIMNET_OK;
}

typedef struct checking {
    const loss_job *j;
    const aimnet_loss_weights *weights;
    int32_t *open; /* [n] not found right yet */
} checking;

static aim_status check_one(const checking *g, int32_t k)
{
    const loss_job *j = g->j;
    char warnings[AIMNET_MESSAGE_SIZE];
    double stress[9];
    const aimnet_result r = {.stress = g->weights->stress > 0 ? stress : NULL};
    AIM_TRY(check_targets(j->c, g->weights, &j->systems[k], &j->targets[k], k));
    aim_status status = aim_check_system(j->c, &j->systems[k], &r, warnings, sizeof warnings);
    if (status == AIMNET_OK)
        status = check_finite(g->weights, &j->systems[k], &j->targets[k]);
    return status == AIMNET_OK ? status : aim_fail_prefix(status, "structure %d", (int)k);
}

static void look_at_one(void *arg, int32_t k)
{
    const checking *g = arg;
    g->open[k] = aim_check_allocates(&g->j->systems[k]) || check_one(g, k) != AIMNET_OK;
}

/* Checks all structures, those that are large or wrong by this thread; counts their atoms. */
static aim_status check_all(const loss_job *j, int n, const aimnet_loss_weights *w, int64_t *atoms)
{
    checking g = {j, w, j->c->index};
    aim_each_system(j->c->team, n, look_at_one, &g);
    for (int k = 0; k < n; k++) {
        if (g.open[k])
            AIM_TRY(check_one(&g, k));
        for (int32_t i = 0; i < j->systems[k].n_atoms; i++)
            *atoms += j->systems[k].numbers[i] != 0;
    }
    return AIMNET_OK;
}

aim_status aim_loss(aim_calc *c, const aimnet_system *systems, const aimnet_target *targets, int n,
                    const aimnet_loss_weights *w, aimnet_loss_weights *parts, double *gradient)
{
    loss_job j = {.c = c,
                  .systems = systems,
                  .targets = targets,
                  .parts = parts,
                  .strain = w->stress > 0,
                  .gradient = gradient};
    int64_t atoms = 0;
    AIM_TRY(aim_run_reserve(c, n));
    c->host_terms = 1; /* overlap is looked for here */
    const aim_status status = check_all(&j, n, w, &atoms);
    c->host_terms = 0;
    AIM_TRY(status);
    const double sum = w->energy + w->forces + w->charges + w->spin_charges + w->dipole + w->stress,
                 per_atom = sum * (double)atoms, per_system = sum * n;
    j.weight = (aimnet_loss_weights){
        w->energy / per_system,     w->forces / (3.0 * per_atom),   w->charges / per_atom,
        w->spin_charges / per_atom, w->dipole / (3.0 * per_system), w->stress / (9.0 * per_system)};
    *parts = (aimnet_loss_weights){0};
    j.started = !c->member[0].device_sweeps;
    if (gradient && j.started)
        memset(gradient, 0, (size_t)c->parameters.count * sizeof *gradient);
    for (int32_t first = 0, count; first < n; first += count) {
        count =
            aim_run_length(c, systems, first, n, c->device.ops ? aim_device_batch(c) : LOSS_ATOMS);
        AIM_TRY(run_with_terms(&j, first, count));
    }
    if (!isfinite(parts->energy + parts->forces + parts->charges + parts->spin_charges +
                  parts->dipole + parts->stress))
        return AIM_FAIL(AIMNET_ERR_SYSTEM,
                        "the loss is not finite: a geometry is far outside of what "
                        "the model knows, or a target is far off");
    return AIMNET_OK;
}
