/* SPDX-License-Identifier: MIT */
/* job.h - the optimisation of one structure as a state machine: it says where it wants to be
 * evaluated, gets the results, and decides. */
#ifndef AIM_OPT_JOB_H
#define AIM_OPT_JOB_H

#include "opt/variables.h"

/* The variables and everything known at one point. */
typedef struct aim_point {
    double *value;    /* [n_var] */
    double *gradient; /* [n_var] of the enthalpy */
    double *coord;    /* [n_atoms][3] */
    double *forces;   /* [n_atoms][3] */
    double *charges;  /* [n_atoms] */
    double cell[9], stress[9];
    double energy, enthalpy;
} aim_point;

typedef struct aim_job {
    aim_alloc alloc;
    aim_arena arena;
    aimnet_opt_options options;
    int single;   /* precision */
    double noise; /* rise of the energy that is not worth a word, eV */
    double charge, mult;
    aim_variables v; /* at the point that is to be evaluated */
    aim_point here, trial;
    /* L-BFGS */
    int n_pairs, newest; /* pairs in use; slot of the latest */
    double *s, *y, *rho; /* [memory][n_var], [memory][n_var], [memory] */
    double *alpha;       /* [memory] scratch */
    double *factor;      /* [n_var][n_var] Cholesky factor of the model Hessian, or NULL */
    double *built_at;    /* [n_var] variables for which it was built */
    double radius;       /* Angstrom: no atom moves further in one step */
    /* FIRE */
    double *velocity; /* [n_var] */
    double dt, mixing;
    int n_downhill;
    double *step; /* [n_var] */
    double move, change;
    double fmax, smax;
    double first_enthalpy, first_fmax;
    int n_steps, n_evaluations, n_refused;
    aimnet_opt_verdict verdict;
    char message[AIMNET_MESSAGE_SIZE], warnings[AIMNET_MESSAGE_SIZE];
} aim_job;

/* *job is NULL on failure. */
AIM_NODISCARD aim_status aim_job_create(const aim_alloc *alloc, const aimnet_system *system,
                                        const uint8_t *frozen, const aimnet_opt_options *options,
                                        aimnet_precision precision, aim_job **job);
void aim_job_free(aim_job *job);
/* What to evaluate, and the buffers to put it into; both point into the job. */
void aim_job_ask(aim_job *job, aimnet_system *system, aimnet_result *result);
/* Takes the results and moves. */
void aim_job_tell(aim_job *job, const aimnet_result *result);

/* lbfgs.c: remembers the step from `here` to `trial`; step = -H g. */
void aim_lbfgs_learn(aim_job *job);
void aim_lbfgs_step(aim_job *job);
/* fire.c */
void aim_fire_start(aim_job *job);
void aim_fire_step(aim_job *job);

#endif
