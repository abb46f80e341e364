/* SPDX-License-Identifier: MIT */
/* fire.c - the fast inertial relaxation engine (E. Bitzek et al., Phys. Rev. Lett. 97 (2006)
 * 170201, doi:10.1103/PhysRevLett.97.170201) with the paper's parameters: dynamics with unit masses
 * that turns towards the forces, speeds up while it runs downhill and stops where it would climb.
 * It needs no energies, so that rounding cannot stop it. */
#include <math.h>
#include <string.h>

#include "opt/job.h"

static const double DT_START = 0.1, DT_MAX = 1.0, DT_UP = 1.1, DT_DOWN = 0.5;
static const double MIXING = 0.1, MIXING_DOWN = 0.99;
enum { PATIENCE = 5 };

void aim_fire_start(aim_job *job)
{
    memset(job->velocity, 0, (size_t)job->v.n_var * sizeof *job->velocity);
    job->dt = DT_START;
    job->mixing = MIXING;
    job->n_downhill = 0;
}

void aim_fire_step(aim_job *job)
{
    const size_t n = (size_t)job->v.n_var;
    const double *g = job->here.gradient;
    double power = 0.0, gg = 0.0, vv = 0.0;
    for (size_t i = 0; i < n; i++) {
        power -= g[i] * job->velocity[i];
        gg += g[i] * g[i];
        vv += job->velocity[i] * job->velocity[i];
    }
    if (power > 0.0) {
        const double turn = job->mixing * sqrt(vv / gg);
        for (size_t i = 0; i < n; i++)
            job->velocity[i] = (1.0 - job->mixing) * job->velocity[i] - turn * g[i];
        if (++job->n_downhill > PATIENCE) {
            job->dt = fmin(job->dt * DT_UP, DT_MAX);
            job->mixing *= MIXING_DOWN;
        }
    } else if (job->n_steps > 0) {
        memset(job->velocity, 0, n * sizeof *job->velocity);
        job->mixing = MIXING;
        job->dt *= DT_DOWN;
        job->n_downhill = 0;
    }
    for (size_t i = 0; i < n; i++) {
        job->velocity[i] -= job->dt * g[i];
        job->step[i] = job->dt * job->velocity[i];
    }
}
