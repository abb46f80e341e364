/* SPDX-License-Identifier: MIT */
/* job.c - one optimisation: where its arrays lie, what it asks for, and its verdict in words. How it
 * moves is in backend/opt/moves.h, the same on the host and on a card.
 *
 * The block of a path begins with what a card must be given (the path itself, elements, frozen atoms,
 * positions), so that one copy starts it; coordinates, forces and charges of a point are one slot,
 * so that one copy shows it. */
#include "opt/job.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backend/opt/moves.h"
#include "backend/opt/open.h"

/* Roughness of the energy, per structure and per atom, eV */
static const double NOISE_SINGLE = 1e-5, NOISE_SINGLE_ATOM = 2e-7;
static const double NOISE_DOUBLE = 1e-9, NOISE_DOUBLE_ATOM = 1e-11;
enum { CARD_TERMS = 24, CARD_TERMS_LEAST = 256 }; /* of the model Hessian, per atom */

/* ---------------------------------------------------------------- arrays */

static size_t head_bytes(const aim_path *p)
{
    const size_t n = (size_t)p->v.n_atoms, n_var = (size_t)p->v.n_var;
    return sizeof *p + (n_var + 3 * n) * sizeof(double) + n * (sizeof(int32_t) + 1);
}

/* The arrays behind a path at `block`. */
static void place_head(aim_path *p, char *block)
{
    const size_t n = (size_t)p->v.n_atoms;
    if (!block)
        return;
    p->v.value = (double *)(void *)(block + sizeof *p);
    p->v.x = p->v.value + p->v.n_var;
    p->v.numbers = (int32_t *)(void *)(p->v.x + 3 * n);
    p->v.frozen = (uint8_t *)(p->v.numbers + n);
}

static double *take_results(aim_path *p, int k, aim_arena *a)
{
    const size_t n = (size_t)p->v.n_atoms;
    double *all = aim_take(a, "results", 7 * n, sizeof(double));
    p->point[k].coord = all;
    p->point[k].forces = all ? all + 3 * n : NULL;
    p->point[k].charges = all ? all + 6 * n : NULL;
    return all;
}

static void place_rest(aim_path *p, aim_arena *a, int on_card)
{
    const size_t n_var = (size_t)p->v.n_var, memory = (size_t)p->options.memory;
    for (int k = 0; k < 2; k++) {
        p->point[k].value = aim_take(a, "value", n_var, sizeof(double));
        p->point[k].gradient = aim_take(a, "gradient", n_var, sizeof(double));
        (void)take_results(p, k, a);
    }
    p->step = aim_take(a, "step", n_var, sizeof(double));
    if (p->options.method == AIMNET_OPT_FIRE) {
        p->velocity = aim_take(a, "velocity", n_var, sizeof(double));
        return;
    }
    p->s = aim_take(a, "s", memory * n_var, sizeof(double));
    p->y = aim_take(a, "y", memory * n_var, sizeof(double));
    p->rho = aim_take(a, "rho", memory, sizeof(double));
    p->alpha = aim_take(a, "alpha", memory, sizeof(double));
    if (on_card)
        p->product = aim_take(a, "product", memory * memory, sizeof(double));
    if (n_var > AIM_MAX_DENSE)
        return;
    p->factor = aim_take(a, "factor", n_var * n_var, sizeof(double));
    p->built_at = aim_take(a, "built_at", n_var, sizeof(double));
    if (on_card) {
        aim_model_room *r = &p->room;
        const size_t n = (size_t)p->v.n_atoms;
        r->n_terms = CARD_TERMS * p->v.n_atoms + CARD_TERMS_LEAST;
        r->atoms = aim_take(a, "atoms of terms", (size_t)r->n_terms, sizeof *r->atoms);
        r->numbers = aim_take(a, "terms", (size_t)r->n_terms, sizeof *r->numbers);
        r->links = aim_take(a, "links", n, sizeof *r->links);
        r->n_pairs = aim_take(a, "pairs", n, sizeof *r->n_pairs);
        r->first = aim_take(a, "first terms", n + 1, sizeof *r->first);
    }
}

static void place(aim_path *p, aim_arena *a, int on_card)
{
    place_head(p, aim_take(a, "head", head_bytes(p), 1));
    place_rest(p, a, on_card);
}

/* On the host, of a path on a card: the image of its head, and room for the current point. */
static void place_mirror(aim_job *j, aim_arena *a)
{
    place_head(&j->path, aim_take(a, "head", head_bytes(&j->path), 1));
    j->results = take_results(&j->path, 0, a);
    j->path.point[1] = j->path.point[0];
}

static void layout(aim_job *j, aim_arena *a, int on_card)
{
    if (on_card)
        place_mirror(j, a);
    else
        place(&j->path, a, 0);
}

static void start(aim_job *j, const aimnet_system *system, const uint8_t *frozen)
{
    aim_path *p = &j->path;
    const size_t n = (size_t)p->v.n_atoms;
    aim_point *here = &p->point[0];
    aim_variables_load(&p->v, system, frozen);
    aim_path_start(p, &p->now);
    aim_open_extents(p->v.periodic, p->v.cell, p->v.x, n, j->extent);
    memcpy(here->coord, system->coord, 3 * n * sizeof(double));
    memcpy(here->cell, p->v.cell, sizeof here->cell);
    memset(here->forces, 0, 3 * n * sizeof(double));
    memset(here->charges, 0, n * sizeof(double));
    for (size_t i = 0; i < n; i++)
        j->has_frozen |= p->v.frozen[i];
    j->results_known = 1;
    for (int k = 0; k < 2; k++)
        p->now.energy[k] = p->now.enthalpy[k] = NAN;
    p->now.fmax = p->now.smax = NAN;
}

aim_status aim_job_create(const aim_alloc *alloc, const aimnet_system *system,
                          const uint8_t *frozen, const aimnet_opt_options *options,
                          aimnet_precision precision, int on_card, aim_job **job)
{
    aim_job *j;
    *job = NULL;
    AIM_TRY(aim_new0(alloc, 1, sizeof *j, "an optimisation", &j));
    j->alloc = *alloc;
    j->path.options = *options;
    j->charge = system->charge;
    j->mult = system->mult;
    j->single = precision == AIMNET_SINGLE;
    j->path.noise = (j->single ? NOISE_SINGLE : NOISE_DOUBLE) +
                    (j->single ? NOISE_SINGLE_ATOM : NOISE_DOUBLE_ATOM) * (double)system->n_atoms;
    aim_status status = aim_variables_init(&j->path.v, system, options);
    if (status == AIMNET_OK) {
        aim_arena measure = {0};
        layout(j, &measure, on_card);
        status = measure.overflow
                     ? AIM_FAIL(AIMNET_ERR_MEMORY, "%d atoms are too many for an optimisation",
                                (int)system->n_atoms)
                     : aim_arena_reserve(&j->arena, alloc, measure.used, "an optimisation");
    }
    if (status != AIMNET_OK) {
        aim_job_free(j);
        return status;
    }
    layout(j, &j->arena, on_card);
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
    const aim_variables *v = &j->path.v;
    aim_point *trial = &j->path.point[1 - j->path.now.here];
    *system = (aimnet_system){.n_atoms = v->n_atoms,
                              .numbers = v->numbers,
                              .coord = j->card_block ? NULL : v->x,
                              .cell = v->has_cell ? v->cell : NULL,
                              .charge = j->charge,
                              .mult = j->mult};
    memcpy(system->pbc, v->periodic, sizeof system->pbc);
    if (!result)
        return;
    memset(result, 0, sizeof *result);
    result->forces = trial->forces;
    result->charges = trial->charges;
    result->stress = v->n_strains > 0 ? trial->stress : NULL;
}

/* ---------------------------------------------------------------- a path on a card */

size_t aim_job_card_bytes(const aim_job *j)
{
    aim_path p = j->path;
    aim_arena measure = {0};
    place(&p, &measure, 1);
    return measure.used;
}

/* The path with addresses of the card. */
static aim_path path_on_card(const aim_job *j)
{
    aim_path p = j->path;
    aim_arena there = {.base = j->card_block, .capacity = j->card_bytes};
    place(&p, &there, 1);
    return p;
}

const void *aim_job_image(aim_job *j, void *block, size_t *bytes)
{
    j->card_block = block;
    const aim_path p = path_on_card(j);
    char *image = (char *)(void *)j->path.v.value - sizeof p;
    memcpy(image, &p, sizeof p);
    j->on_card = (aim_path *)(void *)((char *)(void *)p.v.value - sizeof p);
    *bytes = head_bytes(&p);
    return image;
}

const double *aim_job_results(const aim_job *j)
{
    const aim_path p = path_on_card(j);
    return p.point[j->path.now.here].coord;
}

/* ---------------------------------------------------------------- the verdict in words */

static void say_what_is_missing(aim_job *j)
{
    const aimnet_opt_options *o = &j->path.options;
    const aim_path_state *now = &j->path.now;
    char stress[96] = "";
    if (j->path.v.n_strains > 0)
        snprintf(stress, sizeof stress, ", stress %.3g eV/A^3 (limit %g)", now->smax, o->smax);
    snprintf(j->message, sizeof j->message,
             "not converged after %d step%s: largest force %.3g eV/A (limit %g)%s, last change of "
             "the energy %.2g eV",
             now->n_evaluations - 1, now->n_evaluations == 2 ? "" : "s", now->fmax, o->fmax, stress,
             now->change);
}

static void say_that_it_collapses(aim_job *j)
{
    const aim_path_state *now = &j->path.now;
    const double fall = now->first_enthalpy - now->enthalpy[now->here];
    snprintf(j->message, sizeof j->message,
             "stopped: the energy has fallen by %.3g eV (%.2g eV per atom), and the largest force "
             "has grown to %.3g eV/A. Here the model is not valid (too dense, or unlike what it "
             "was trained on): start from a sound structure or choose another model",
             fall, fall / (double)j->path.v.n_atoms, now->fmax);
}

static void say(aim_job *j, const char *message)
{
    snprintf(j->message, sizeof j->message, "%s", message);
}

void aim_job_moved(aim_job *j, const aimnet_result *r)
{
    const aim_path_state *now = &j->path.now;
    if (now->n_evaluations == 1)
        snprintf(j->warnings, sizeof j->warnings, "%s", r->warnings);
    switch ((aimnet_opt_verdict)now->verdict) {
    case AIMNET_OPT_NOT_CONVERGED:
        say_what_is_missing(j);
        break;
    case AIMNET_OPT_STALLED:
        say(j, j->single
                   ? "no step lowers the energy any more: the criteria are below the rounding "
                     "noise of single precision: use double"
                   : "no step lowers the energy any more: the criteria are below what the "
                     "method can reach, or the surface is not smooth here");
        break;
    case AIMNET_OPT_FAILED:
        say(j, now->reason == AIM_PATH_NOT_COMPUTED
                   ? r->message
                   : "energy or forces are not finite: check the structure and the model");
        break;
    case AIMNET_OPT_COLLAPSED:
        say_that_it_collapses(j);
        break;
    default:
        break;
    }
}

void aim_job_tell(aim_job *j, const aimnet_result *r)
{
    const aim_point *trial = &j->path.point[1 - j->path.now.here];
    const aim_outcome outcome = {.good = r->status == AIMNET_OK,
                                 .energy = r->energy,
                                 .forces = trial->forces,
                                 .charges = trial->charges,
                                 .stress = trial->stress};
    aim_path_move(&j->path, &j->path.now, &outcome);
    aim_job_moved(j, r);
}
