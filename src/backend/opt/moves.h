/* SPDX-License-Identifier: MIT */
/* moves.h - one move of a path, for crews (crew.h): accept or refuse the point that was evaluated,
 * judge convergence, choose the next one.
 *
 * L-BFGS steps are cut to a radius. A point whose enthalpy lies above the last one by more than
 * rounding noise is refused: the radius shrinks, what was learnt about the curvature is kept, and a
 * new step starts from the old point. So the enthalpy never climbs, and no line search costs
 * gradients. When no step of any size lowers the enthalpy the structure has stalled. FIRE accepts
 * every point. */
#ifndef AIM_BACKEND_OPT_MOVES_H
#define AIM_BACKEND_OPT_MOVES_H

#include "backend/opt/steps.h"

#define AIM_RADIUS_START 0.1   /* Angstrom */
#define AIM_RADIUS_MIN   1e-5  /* Angstrom */
#define AIM_STEP_MIN     1e-10 /* Angstrom: a step of no variable more than this is none */
#define AIM_SHRINK       0.4
#define AIM_GROW         2.0
/* Falls that no chemistry explains, eV per atom and eV, with the force (eV/A, more than at the
 * start) that shows that the bottom is not near: making all bonds of a molecule gives at most 6 eV
 * per atom, but then forces are small; no bond pulls with 50 eV/A. */
#define AIM_FALL_ATOM 2.0
#define AIM_STEEP     10.0
#define AIM_FALL      5.0
#define AIM_CLIFF     50.0
enum { AIM_MAX_DENSE = 900, AIM_MAX_REFUSED = 40 };

AIM_CREW int aim_is_finite_point(const aim_path *p, const aim_path_state *now)
{
    const aim_point *trial = &p->point[1 - now->here];
    double bad = 0.0;
    for (size_t i = crew_rank(); i < (size_t)p->v.n_var; i += crew_size())
        bad = isfinite(trial->gradient[i]) ? bad : 1.0;
    return crew_max(bad) == 0.0 && isfinite(now->enthalpy[1 - now->here]);
}

AIM_CREW int aim_is_converged(const aim_path *p, const aim_path_state *now)
{
    const aimnet_opt_options *o = &p->options;
    const int calm = o->ediff <= 0.0 || now->n_steps == 0 || fabs(now->change) < o->ediff;
    return now->fmax < o->fmax && calm && (p->v.n_strains == 0 || now->smax < o->smax);
}

/* Whether the surface has led out of what the model knows; nothing good lies ahead then. */
AIM_CREW int aim_is_collapsing(const aim_path *p, const aim_path_state *now)
{
    const double fall = now->first_enthalpy - now->enthalpy[now->here];
    const int deep = fall > AIM_FALL_ATOM * (double)p->v.n_atoms && now->fmax > AIM_STEEP;
    const int cliff = fall > AIM_FALL && now->fmax > AIM_CLIFF;
    return (deep || cliff) && now->fmax > now->first_fmax;
}

/* The evaluated point becomes the current one. */
AIM_CREW void aim_accept(const aim_path *p, aim_path_state *now)
{
    const int first = now->n_evaluations == 1;
    const double old = now->enthalpy[now->here];
    now->here = 1 - now->here;
    now->change = first ? 0.0 : now->enthalpy[now->here] - old;
    now->n_steps += !first;
    now->n_refused = 0;
    now->fmax = aim_variables_fmax(&p->v, p->point[now->here].forces);
    now->smax = p->v.n_strains > 0 ? aim_variables_smax(&p->v, p->point[now->here].stress) : 0.0;
    if (first) {
        now->first_enthalpy = now->enthalpy[now->here];
        now->first_fmax = now->fmax;
    }
    if (aim_is_converged(p, now))
        now->verdict = AIMNET_OPT_CONVERGED;
    else if (aim_is_collapsing(p, now))
        now->verdict = AIMNET_OPT_COLLAPSED;
}

AIM_CREW void aim_propose(aim_path *p, aim_path_state *now)
{
    const size_t n = (size_t)p->v.n_var;
    const int fire = p->options.method == AIMNET_OPT_FIRE;
    double largest = 0.0;
    if (fire)
        aim_fire_step(p, now);
    else
        aim_lbfgs_step(p, now);
    const double limit = fire ? p->options.max_move : now->radius;
    const double factor = aim_variables_limit(&p->v, p->step, limit, &now->move);
    const double *value = p->point[now->here].value;
    for (size_t i = crew_rank(); i < n; i += crew_size()) {
        p->v.value[i] = value[i] + factor * p->step[i];
        largest = fmax(largest, fabs(factor * p->step[i]));
    }
    if (crew_max(largest) < AIM_STEP_MIN)
        now->verdict = AIMNET_OPT_STALLED;
    else
        aim_variables_place(&p->v);
}

AIM_CREW void aim_refuse(aim_path *p, aim_path_state *now)
{
    now->radius = AIM_SHRINK * fmin(now->radius, now->move);
    if (++now->n_refused > AIM_MAX_REFUSED || now->radius < AIM_RADIUS_MIN)
        now->verdict = AIMNET_OPT_STALLED;
    else
        aim_propose(p, now);
}

AIM_CREW void aim_copy(double *to, const double *from, size_t n)
{
    for (size_t i = crew_rank(); to != from && i < n; i += crew_size())
        to[i] = from[i];
}

AIM_CREW void aim_take_point(aim_path *p, aim_path_state *now, const aim_outcome *o)
{
    const size_t n = (size_t)p->v.n_atoms;
    const int trial = 1 - now->here;
    aim_point *to = &p->point[trial];
    now->energy[trial] = o->energy;
    now->enthalpy[trial] =
        o->energy + (p->v.n_strains > 0 ? p->options.pressure * aim_variables_volume(&p->v) : 0.0);
    aim_copy(to->value, p->v.value, (size_t)p->v.n_var);
    aim_copy(to->coord, p->v.x, 3 * n);
    aim_copy(to->cell, p->v.cell, 9);
    aim_copy(to->forces, o->forces, 3 * n);
    aim_copy(to->charges, o->charges, n);
    if (p->v.n_strains > 0)
        aim_copy(to->stress, o->stress, 9);
    crew_sync();
    aim_variables_gradient(&p->v, to->forces, to->stress, to->gradient);
}

/* The numbers of a path before its first evaluation. */
AIM_CREW void aim_path_start(const aim_path *p, aim_path_state *now)
{
    now->radius = fmin(AIM_RADIUS_START, p->options.max_move);
    now->newest = p->options.memory - 1;
    now->dt = AIM_DT_START;
    now->mixing = AIM_MIXING;
}

/* Takes the results and moves. */
AIM_CREW void aim_path_move(aim_path *p, aim_path_state *now, const aim_outcome *o)
{
    const int first = now->n_evaluations++ == 0, lbfgs = p->options.method == AIMNET_OPT_LBFGS;
    int good = o->good;
    if (good) {
        aim_take_point(p, now, o);
        good = aim_is_finite_point(p, now);
    }
    if (!good && (first || !lbfgs)) {
        now->verdict = AIMNET_OPT_FAILED;
        now->reason = o->good ? AIM_PATH_NOT_FINITE : AIM_PATH_NOT_COMPUTED;
        return;
    }
    const int climbs =
        !first && lbfgs &&
        (!good || now->enthalpy[1 - now->here] > now->enthalpy[now->here] + p->noise);
    if (good && !first && lbfgs)
        aim_lbfgs_learn(p, now);
    if (!climbs) {
        aim_accept(p, now);
        if (!first)
            now->radius = fmin(p->options.max_move, fmax(now->radius, AIM_GROW * now->move));
    }
    if (now->verdict == AIMNET_OPT_RUNNING && now->n_evaluations > p->options.max_steps)
        now->verdict = AIMNET_OPT_NOT_CONVERGED;
    if (now->verdict != AIMNET_OPT_RUNNING)
        return;
    if (climbs)
        aim_refuse(p, now);
    else
        aim_propose(p, now);
}

#endif
