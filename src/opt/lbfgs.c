/* SPDX-License-Identifier: MIT */
/* lbfgs.c - the step of the limited-memory BFGS method by the two-loop recursion (J. Nocedal, Math.
 * Comput. 35 (1980) 773, doi:10.1090/S0025-5718-1980-0572855-7), with the model Hessian of
 * hessian.c as its initial matrix, or 70 eV/A^2 times the unit matrix where that would be too
 * large.
 *
 * Pairs without positive curvature are not remembered: the matrix stays positive definite and every
 * step goes downhill. The model Hessian is made anew when an atom has moved far from where it was
 * made; the pairs stay valid, because the recursion starts from the initial matrix every time. */
#include <math.h>
#include <string.h>

#include "opt/hessian.h"
#include "opt/job.h"

static const double CURVATURE = 70.0;  /* eV/A^2, of ASE's optimisers */
static const double FAR = 0.5;         /* Angstrom */
static const double MIN_COSINE = 1e-8; /* of s and y */

void aim_lbfgs_learn(aim_job *job)
{
    const size_t n = (size_t)job->v.n_var;
    const int slot = (job->newest + 1) % job->options.memory;
    double *s = job->s + (size_t)slot * n, *y = job->y + (size_t)slot * n;
    for (size_t i = 0; i < n; i++) {
        s[i] = job->trial.value[i] - job->here.value[i];
        y[i] = job->trial.gradient[i] - job->here.gradient[i];
    }
    const double sy = aim_long_dot(s, y, n);
    if (!(sy > MIN_COSINE * sqrt(aim_long_dot(s, s, n) * aim_long_dot(y, y, n))))
        return;
    job->rho[slot] = 1.0 / sy;
    job->newest = slot;
    if (job->n_pairs < job->options.memory)
        job->n_pairs++;
}

static void refresh_model(aim_job *job)
{
    const size_t n = (size_t)job->v.n_var;
    double far = 0.0;
    for (size_t i = 0; i < n; i++)
        far = fmax(far, fabs(job->built_at[i] - job->here.value[i]));
    if (far < FAR) /* INFINITY before the first time */
        return;
    memcpy(job->v.value, job->here.value, n * sizeof *job->v.value);
    aim_variables_place(&job->v);
    aim_model_hessian(&job->v, job->factor);
    memcpy(job->built_at, job->here.value, n * sizeof *job->built_at);
}

static void apply_initial(aim_job *job, double *x)
{
    const size_t n = (size_t)job->v.n_var;
    if (job->factor) {
        aim_cholesky_solve(job->factor, job->v.n_var, x);
        return;
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= CURVATURE;
}

static int pair_slot(const aim_job *job, int age)
{
    return (job->newest - age + job->options.memory) % job->options.memory;
}

void aim_lbfgs_step(aim_job *job)
{
    const size_t n = (size_t)job->v.n_var;
    double *q = job->step;
    if (job->factor)
        refresh_model(job);
    for (size_t i = 0; i < n; i++)
        q[i] = -job->here.gradient[i];
    for (int age = 0; age < job->n_pairs; age++) {
        const size_t k = (size_t)pair_slot(job, age);
        job->alpha[k] = job->rho[k] * aim_long_dot(job->s + k * n, q, n);
        for (size_t i = 0; i < n; i++)
            q[i] -= job->alpha[k] * job->y[k * n + i];
    }
    apply_initial(job, q);
    for (int age = job->n_pairs - 1; age >= 0; age--) {
        const size_t k = (size_t)pair_slot(job, age);
        const double beta = job->rho[k] * aim_long_dot(job->y + k * n, q, n);
        for (size_t i = 0; i < n; i++)
            q[i] += (job->alpha[k] - beta) * job->s[k * n + i];
    }
}
