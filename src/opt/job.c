/* SPDX-License-Identifier: MIT */
/* job.c - one optimisation: accept or refuse the point that was evaluated, judge convergence,
 * choose the next one.
 *
 * L-BFGS steps are cut to a radius. A point whose enthalpy lies above the last one by more than
 * rounding noise is refused: the radius shrinks, what was learnt about the curvature is kept, and a
 * new step starts from the old point. So the enthalpy never climbs, and no line search costs
 * gradients. When no step of any size lowers the enthalpy the structure has stalled. FIRE accepts
 * every point. */
#include "opt/job.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double RADIUS_START = 0.1, RADIUS_MIN = 1e-5; /* Angstrom */
static const double STEP_MIN = 1e-10; /* Angstrom: a step of no variable more than this is none */
static const double SHRINK = 0.4, GROW = 2.0;
/* Roughness of the energy, per structure and per atom, eV */
static const double NOISE_SINGLE = 1e-5, NOISE_SINGLE_ATOM = 2e-7;
static const double NOISE_DOUBLE = 1e-9, NOISE_DOUBLE_ATOM = 1e-11;
/* Falls that no chemistry explains, eV per atom and eV, with the force (eV/A, more than at the
 * start) that shows that the bottom is not near: making all bonds of a molecule gives at most 6 eV
 * per atom, but then forces are small; no bond pulls with 50 eV/A. */
static const double FALL_ATOM = 2.0, STEEP = 10.0;
static const double FALL = 5.0, CLIFF = 50.0;
enum { MAX_DENSE = 900, MAX_REFUSED = 40 };

static void point_layout(aim_point *p, aim_arena *a, size_t n_atoms, size_t n_var)
{
    p->value = aim_take(a, "value", n_var, sizeof(double));
    p->gradient = aim_take(a, "gradient", n_var, sizeof(double));
    p->coord = aim_take(a, "coord", 3 * n_atoms, sizeof(double));
    p->forces = aim_take(a, "forces", 3 * n_atoms, sizeof(double));
    p->charges = aim_take(a, "charges", n_atoms, sizeof(double));
}

static void layout(aim_job *j, aim_arena *a)
{
    const size_t n = (size_t)j->v.n_atoms, n_var = (size_t)j->v.n_var;
    const size_t memory = (size_t)j->options.memory;
    aim_variables_layout(&j->v, a);
    point_layout(&j->here, a, n, n_var);
    point_layout(&j->trial, a, n, n_var);
    j->step = aim_take(a, "step", n_var, sizeof(double));
    if (j->options.method == AIMNET_OPT_FIRE) {
        j->velocity = aim_take(a, "velocity", n_var, sizeof(double));
        return;
    }
    j->s = aim_take(a, "s", memory * n_var, sizeof(double));
    j->y = aim_take(a, "y", memory * n_var, sizeof(double));
    j->rho = aim_take(a, "rho", memory, sizeof(double));
    j->alpha = aim_take(a, "alpha", memory, sizeof(double));
    if (n_var <= MAX_DENSE) {
        j->factor = aim_take(a, "factor", n_var * n_var, sizeof(double));
        j->built_at = aim_take(a, "built_at", n_var, sizeof(double));
    }
}

static void start(aim_job *j, const aimnet_system *system, const uint8_t *frozen)
{
    const size_t n_var = (size_t)j->v.n_var;
    aim_variables_load(&j->v, system, frozen);
    memcpy(j->here.coord, system->coord, 3 * (size_t)system->n_atoms * sizeof(double));
    memcpy(j->here.cell, j->v.cell, sizeof j->here.cell);
    memset(j->here.forces, 0, 3 * (size_t)system->n_atoms * sizeof(double));
    memset(j->here.charges, 0, (size_t)system->n_atoms * sizeof(double));
    j->here.energy = j->here.enthalpy = j->fmax = j->smax = NAN;
    j->radius = fmin(RADIUS_START, j->options.max_move);
    j->newest = j->options.memory - 1;
    for (size_t i = 0; j->built_at && i < n_var; i++)
        j->built_at[i] = INFINITY;
    if (j->velocity)
        aim_fire_start(j);
}

aim_status aim_job_create(const aim_alloc *alloc, const aimnet_system *system,
                          const uint8_t *frozen, const aimnet_opt_options *options,
                          aimnet_precision precision, aim_job **job)
{
    aim_job *j;
    *job = NULL;
    AIM_TRY(aim_new0(alloc, 1, sizeof *j, "an optimisation", &j));
    j->alloc = *alloc;
    j->options = *options;
    j->charge = system->charge;
    j->mult = system->mult;
    j->single = precision == AIMNET_SINGLE;
    j->noise = (j->single ? NOISE_SINGLE : NOISE_DOUBLE) +
               (j->single ? NOISE_SINGLE_ATOM : NOISE_DOUBLE_ATOM) * (double)system->n_atoms;
    aim_status status = aim_variables_init(&j->v, system, options);
    if (status == AIMNET_OK) {
        aim_arena measure = {0};
        layout(j, &measure);
        status = measure.overflow
                     ? AIM_FAIL(AIMNET_ERR_MEMORY, "%d atoms are too many for an optimisation",
                                (int)system->n_atoms)
                     : aim_arena_reserve(&j->arena, alloc, measure.used, "an optimisation");
    }
    if (status != AIMNET_OK) {
        aim_job_free(j);
        return status;
    }
    layout(j, &j->arena);
    start(j, system, frozen);
    *job = j;
    return AIMNET_OK;
}

void aim_job_free(aim_job *job)
{
    if (!job)
        return;
    const aim_alloc alloc = job->alloc;
    aim_arena_free(&job->arena, &alloc);
    aim_free(&alloc, job);
}

void aim_job_ask(aim_job *j, aimnet_system *system, aimnet_result *result)
{
    const aim_variables *v = &j->v;
    *system = (aimnet_system){.n_atoms = v->n_atoms,
                              .numbers = v->numbers,
                              .coord = v->x,
                              .cell = v->has_cell ? v->cell : NULL,
                              .charge = j->charge,
                              .mult = j->mult};
    memcpy(system->pbc, v->periodic, sizeof system->pbc);
    memset(result, 0, sizeof *result);
    result->forces = j->trial.forces;
    result->charges = j->trial.charges;
    result->stress = v->n_strains > 0 ? j->trial.stress : NULL;
}

/* ---------------------------------------------------------------- judgement */

static void finish(aim_job *j, aimnet_opt_verdict verdict, const char *message)
{
    j->verdict = verdict;
    snprintf(j->message, sizeof j->message, "%s", message);
}

static int is_finite_point(const aim_job *j)
{
    for (size_t i = 0; i < (size_t)j->v.n_var; i++)
        if (!isfinite(j->trial.gradient[i]))
            return 0;
    return isfinite(j->trial.enthalpy);
}

static int is_converged(const aim_job *j)
{
    const aimnet_opt_options *o = &j->options;
    const int calm = o->ediff <= 0.0 || j->n_steps == 0 || fabs(j->change) < o->ediff;
    return j->fmax < o->fmax && calm && (j->v.n_strains == 0 || j->smax < o->smax);
}

static void say_what_is_missing(aim_job *j)
{
    const aimnet_opt_options *o = &j->options;
    char stress[96] = "";
    if (j->v.n_strains > 0)
        snprintf(stress, sizeof stress, ", stress %.3g eV/A^3 (limit %g)", j->smax, o->smax);
    snprintf(j->message, sizeof j->message,
             "not converged after %d steps: largest force %.3g eV/A (limit %g)%s, last change of "
             "the energy %.2g eV",
             j->n_evaluations - 1, j->fmax, o->fmax, stress, j->change);
    j->verdict = AIMNET_OPT_NOT_CONVERGED;
}

/* Whether the surface has led out of what the model knows; nothing good lies ahead then. */
static int is_collapsing(const aim_job *j)
{
    const double fall = j->first_enthalpy - j->here.enthalpy;
    const int deep = fall > FALL_ATOM * (double)j->v.n_atoms && j->fmax > STEEP;
    const int cliff = fall > FALL && j->fmax > CLIFF;
    return (deep || cliff) && j->fmax > j->first_fmax;
}

static void say_that_it_collapses(aim_job *j)
{
    const double fall = j->first_enthalpy - j->here.enthalpy;
    snprintf(j->message, sizeof j->message,
             "stopped: the energy has fallen by %.3g eV (%.2g eV per atom), and the largest force "
             "has grown to %.3g eV/A. Here the model is not valid (too dense, or unlike what it "
             "was trained on): start from a sound structure or choose another model",
             fall, fall / (double)j->v.n_atoms, j->fmax);
    j->verdict = AIMNET_OPT_COLLAPSED;
}

/* The evaluated point becomes the current one. */
static void accept(aim_job *j)
{
    const int first = j->n_evaluations == 1;
    const aim_point old = j->here;
    j->change = first ? 0.0 : j->trial.enthalpy - j->here.enthalpy;
    j->here = j->trial;
    j->trial = old;
    j->n_steps += !first;
    j->n_refused = 0;
    j->fmax = aim_variables_fmax(&j->v, j->here.forces);
    j->smax = j->v.n_strains > 0 ? aim_variables_smax(&j->v, j->here.stress) : 0.0;
    if (first) {
        j->first_enthalpy = j->here.enthalpy;
        j->first_fmax = j->fmax;
    }
    if (is_converged(j))
        finish(j, AIMNET_OPT_CONVERGED, "");
    else if (is_collapsing(j))
        say_that_it_collapses(j);
}

/* ---------------------------------------------------------------- moves */

static void stall(aim_job *j)
{
    finish(j, AIMNET_OPT_STALLED,
           j->single ? "no step lowers the energy any more: the criteria are below the rounding "
                       "noise of single precision: use double"
                     : "no step lowers the energy any more: the criteria are below what the method "
                       "can reach, or the surface is not smooth here");
}

static void propose(aim_job *j)
{
    const size_t n = (size_t)j->v.n_var;
    const int fire = j->options.method == AIMNET_OPT_FIRE;
    double largest = 0.0;
    if (fire)
        aim_fire_step(j);
    else
        aim_lbfgs_step(j);
    const double limit = fire ? j->options.max_move : j->radius;
    const double factor = aim_variables_limit(&j->v, j->step, limit, &j->move);
    for (size_t i = 0; i < n; i++) {
        j->v.value[i] = j->here.value[i] + factor * j->step[i];
        largest = fmax(largest, fabs(factor * j->step[i]));
    }
    if (largest < STEP_MIN)
        stall(j);
    else
        aim_variables_place(&j->v);
}

static void refuse(aim_job *j)
{
    j->radius = SHRINK * fmin(j->radius, j->move);
    if (++j->n_refused > MAX_REFUSED || j->radius < RADIUS_MIN) {
        stall(j);
        return;
    }
    propose(j);
}

static void take_point(aim_job *j, const aimnet_result *r)
{
    aim_point *p = &j->trial;
    p->energy = r->energy;
    p->enthalpy =
        r->energy + (j->v.n_strains > 0 ? j->options.pressure * aim_variables_volume(&j->v) : 0.0);
    memcpy(p->value, j->v.value, (size_t)j->v.n_var * sizeof *p->value);
    memcpy(p->coord, j->v.x, 3 * (size_t)j->v.n_atoms * sizeof *p->coord);
    memcpy(p->cell, j->v.cell, sizeof p->cell);
    aim_variables_gradient(&j->v, p->forces, p->stress, p->gradient);
}

static void fail(aim_job *j, const char *message)
{
    finish(j, AIMNET_OPT_FAILED, message);
}

void aim_job_tell(aim_job *j, const aimnet_result *r)
{
    const int first = j->n_evaluations++ == 0, lbfgs = j->options.method == AIMNET_OPT_LBFGS;
    int good = r->status == AIMNET_OK;
    if (good) {
        take_point(j, r);
        good = is_finite_point(j);
    }
    if (first)
        snprintf(j->warnings, sizeof j->warnings, "%s", r->warnings);
    if (!good && (first || !lbfgs)) {
        fail(j, r->status != AIMNET_OK
                    ? r->message
                    : "energy or forces are not finite: check the structure and the model");
        return;
    }
    const int climbs =
        !first && lbfgs && (!good || j->trial.enthalpy > j->here.enthalpy + j->noise);
    if (good && !first && lbfgs)
        aim_lbfgs_learn(j);
    if (!climbs) {
        accept(j);
        if (!first)
            j->radius = fmin(j->options.max_move, fmax(j->radius, GROW * j->move));
    }
    if (j->verdict == AIMNET_OPT_RUNNING && j->n_evaluations > j->options.max_steps)
        say_what_is_missing(j);
    if (j->verdict != AIMNET_OPT_RUNNING)
        return;
    if (climbs)
        refuse(j);
    else
        propose(j);
}
