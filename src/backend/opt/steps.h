/* SPDX-License-Identifier: MIT */
/* steps.h - where a path goes next, for crews (crew.h): L-BFGS and FIRE. Both leave a step of the
 * variables, not yet limited, in p->step.
 *
 * L-BFGS is the two-loop recursion (J. Nocedal, Math. Comput. 35 (1980) 773,
 * doi:10.1090/S0025-5718-1980-0572855-7), with the model Hessian of model.h as its initial matrix,
 * or 70 eV/A^2 times the unit matrix where that would be too large. Pairs without positive curvature
 * are not remembered: the matrix stays positive definite and every step goes downhill. The model
 * Hessian is made anew when an atom has moved far from where it was made; the pairs stay valid,
 * because the recursion starts from the initial matrix every time.
 *
 * FIRE is the fast inertial relaxation engine (E. Bitzek et al., Phys. Rev. Lett. 97 (2006) 170201,
 * doi:10.1103/PhysRevLett.97.170201) with the paper's parameters: dynamics with unit masses that
 * turns towards the forces, speeds up while it runs downhill and stops where it would climb. It needs
 * no energies, so that rounding cannot stop it. */
#ifndef AIM_BACKEND_OPT_STEPS_H
#define AIM_BACKEND_OPT_STEPS_H

#include "backend/opt/model.h"
#include "backend/opt/path.h"

#define AIM_CURVATURE  70.0 /* eV/A^2, of ASE's optimisers */
#define AIM_FAR        0.5  /* Angstrom */
#define AIM_MIN_COSINE 1e-8 /* of s and y */

/* What an L-BFGS step takes from pairs, by the two-loop recursion or, on a card, by its inner products
 * (backend/cuda/pairs.h): they have a new pair, q = -gradient goes through the younger half, and
 * what the initial matrix has made of it through the older half. */
#if defined(__CUDACC__)
static __device__ void crew_learn_pair(aim_path *p, const aim_path_state *now);
static __device__ void crew_pairs_before(aim_path *p, const aim_path_state *now, double *q);
static __device__ void crew_pairs_after(aim_path *p, const aim_path_state *now, double *q);
#else
AIM_CREW size_t aim_pair_slot(const aim_path *p, const aim_path_state *now, int age)
{
    return (size_t)((now->newest - age + p->options.memory) % p->options.memory);
}

AIM_CREW void crew_learn_pair(aim_path *p, const aim_path_state *now)
{
    (void)p;
    (void)now;
}

AIM_CREW void crew_pairs_before(aim_path *p, const aim_path_state *now, double *q)
{
    const size_t n = (size_t)p->v.n_var;
    for (int age = 0; age < now->n_pairs; age++) {
        const size_t k = aim_pair_slot(p, now, age);
        p->alpha[k] = p->rho[k] * crew_dot(p->s + k * n, q, n);
        for (size_t i = 0; i < n; i++)
            q[i] -= p->alpha[k] * p->y[k * n + i];
    }
}

AIM_CREW void crew_pairs_after(aim_path *p, const aim_path_state *now, double *q)
{
    const size_t n = (size_t)p->v.n_var;
    for (int age = now->n_pairs - 1; age >= 0; age--) {
        const size_t k = aim_pair_slot(p, now, age);
        const double beta = p->rho[k] * crew_dot(p->y + k * n, q, n);
        for (size_t i = 0; i < n; i++)
            q[i] += (p->alpha[k] - beta) * p->s[k * n + i];
    }
}
#endif

/* Remembers the step from the current point to the one on trial. */
AIM_CREW void aim_lbfgs_learn(aim_path *p, aim_path_state *now)
{
    const size_t n = (size_t)p->v.n_var;
    const int slot = (now->newest + 1) % p->options.memory;
    const aim_point *here = &p->point[now->here], *trial = &p->point[1 - now->here];
    double *s = p->s + (size_t)slot * n, *y = p->y + (size_t)slot * n;
    for (size_t i = crew_rank(); i < n; i += crew_size()) {
        s[i] = trial->value[i] - here->value[i];
        y[i] = trial->gradient[i] - here->gradient[i];
    }
    crew_sync();
    const double sy = crew_dot(s, y, n);
    if (!(sy > AIM_MIN_COSINE * sqrt(crew_dot(s, s, n) * crew_dot(y, y, n)))) {
        now->n_pairs -= now->n_pairs == p->options.memory; /* the oldest one's place is spoilt */
        return;
    }
    if (crew_rank() == 0)
        p->rho[slot] = 1.0 / sy;
    crew_sync();
    now->newest = slot;
    if (now->n_pairs < p->options.memory)
        now->n_pairs++;
    crew_learn_pair(p, now);
}

/* Leaves v at the current point if the model Hessian is made. */
AIM_CREW void aim_refresh_model(aim_path *p, aim_path_state *now)
{
    const size_t n = (size_t)p->v.n_var;
    const double *value = p->point[now->here].value;
    double far = 0.0;
    for (size_t i = crew_rank(); now->built && i < n; i += crew_size())
        far = fmax(far, fabs(p->built_at[i] - value[i]));
    far = crew_max(far);
    if (now->built && far < AIM_FAR)
        return;
    for (size_t i = crew_rank(); i < n; i += crew_size())
        p->v.value[i] = p->built_at[i] = value[i];
    aim_variables_place(&p->v);
    aim_model_build(&p->v, p->factor, &p->room);
    now->built = 1;
}

AIM_CREW void aim_lbfgs_step(aim_path *p, aim_path_state *now)
{
    const size_t n = (size_t)p->v.n_var;
    const double *gradient = p->point[now->here].gradient;
    double *q = p->step;
    if (p->factor)
        aim_refresh_model(p, now);
    for (size_t i = crew_rank(); i < n; i += crew_size())
        q[i] = -gradient[i];
    crew_sync();
    crew_pairs_before(p, now, q);
    crew_sync();
    if (p->factor)
        crew_solve(p->factor, p->v.n_var, q);
    for (size_t i = crew_rank(); !p->factor && i < n; i += crew_size())
        q[i] /= AIM_CURVATURE;
    crew_sync();
    crew_pairs_after(p, now, q);
    crew_sync();
}

#define AIM_DT_START    0.1
#define AIM_DT_MAX      1.0
#define AIM_DT_UP       1.1
#define AIM_DT_DOWN     0.5
#define AIM_MIXING      0.1
#define AIM_MIXING_DOWN 0.99
enum { AIM_PATIENCE = 5 };

AIM_CREW void aim_fire_step(aim_path *p, aim_path_state *now)
{
    const size_t n = (size_t)p->v.n_var;
    const double *g = p->point[now->here].gradient;
    double *velocity = p->velocity, power = 0.0, gg = 0.0, vv = 0.0;
    for (size_t i = crew_rank(); i < n; i += crew_size()) {
        velocity[i] = now->n_evaluations > 1 ? velocity[i] : 0.0;
        power -= g[i] * velocity[i];
        gg += g[i] * g[i];
        vv += velocity[i] * velocity[i];
    }
    power = crew_sum(power);
    gg = crew_sum(gg);
    vv = crew_sum(vv);
    const int stop = !(power > 0.0) && now->n_steps > 0;
    if (power > 0.0) {
        const double turn = now->mixing * sqrt(vv / gg);
        for (size_t i = crew_rank(); i < n; i += crew_size())
            velocity[i] = (1.0 - now->mixing) * velocity[i] - turn * g[i];
        if (++now->n_downhill > AIM_PATIENCE) {
            now->dt = fmin(now->dt * AIM_DT_UP, AIM_DT_MAX);
            now->mixing *= AIM_MIXING_DOWN;
        }
    } else if (stop) {
        now->mixing = AIM_MIXING;
        now->dt *= AIM_DT_DOWN;
        now->n_downhill = 0;
    }
    for (size_t i = crew_rank(); i < n; i += crew_size()) {
        velocity[i] = (stop ? 0.0 : velocity[i]) - now->dt * g[i];
        p->step[i] = now->dt * velocity[i];
    }
    crew_sync();
}

#endif
