/* SPDX-License-Identifier: MIT */
/* path.h - the optimisation of one structure: where its arrays lie and what is known of it. The same
 * on the host and on a card, where all pointers are memory of the card. */
#ifndef AIM_BACKEND_OPT_PATH_H
#define AIM_BACKEND_OPT_PATH_H

#include <stdint.h>

#include "aimnet_opt.h"

enum { AIM_OPT_MAX_STRAINS = 6 };

/* x = x0 F, cell = cell0 F, F = 1 + sum_k u_k / scale B_k with symmetric basis matrices B_k. The
 * variables are x0 (3 n_atoms, frozen atoms included but without gradient) and u. */
typedef struct aim_variables {
    int32_t n_atoms;
    int n_strains; /* number of u */
    int n_var;     /* 3 n_atoms + n_strains */
    int free_axis[3];
    double basis[AIM_OPT_MAX_STRAINS][9];
    double scale;    /* Angstrom: makes u a length */
    double pressure; /* eV/A^3 */
    int periodic[3];
    int has_cell;
    double cell0[9], cell[9], f[9];
    int32_t *numbers;
    uint8_t *frozen;
    double *value; /* [n_var] x0 and u of the point that x and cell belong to */
    double *x;     /* [n_atoms][3] Angstrom */
} aim_variables;

/* The variables and everything known at one point. */
typedef struct aim_point {
    double *value;    /* [n_var] */
    double *gradient; /* [n_var] of the enthalpy */
    double *coord;    /* [n_atoms][3] */
    double *forces;   /* [n_atoms][3] */
    double *charges;  /* [n_atoms] */
    double cell[9], stress[9];
} aim_point;

/* Why a path ended, where the verdict does not say it. */
typedef enum aim_path_reason {
    AIM_PATH_NO_REASON,
    AIM_PATH_NOT_COMPUTED, /* the evaluation's own message says it */
    AIM_PATH_NOT_FINITE
} aim_path_reason;

/* The numbers of a path: every member of a crew has a copy of its own. */
typedef struct aim_path_state {
    double energy[2], enthalpy[2]; /* of the points */
    int here;                      /* the current point; the other one is on trial */
    /* L-BFGS */
    int n_pairs, newest; /* pairs in use; slot of the latest */
    int built;           /* the model Hessian is there */
    double radius;       /* Angstrom: no atom moves further in one step */
    /* FIRE */
    double dt, mixing;
    int n_downhill;
    double move, change;
    double fmax, smax;
    double first_enthalpy, first_fmax;
    int n_steps, n_evaluations, n_refused;
    int verdict; /* aimnet_opt_verdict */
    int reason;  /* aim_path_reason */
} aim_path_state;

/* Where a card builds a model Hessian: terms, and of every atom its neighbours, the number of its pairs
 * and the first of its terms (backend/cuda/terms.h). */
typedef struct aim_model_room {
    struct aim_term_atoms *atoms;     /* [n_terms] */
    struct aim_term_numbers *numbers; /* [n_terms] */
    int n_terms;
    struct aim_links *links; /* [n_atoms] */
    int32_t *n_pairs;        /* [n_atoms] */
    int32_t *first;          /* [n_atoms + 1] */
} aim_model_room;

typedef struct aim_path {
    aimnet_opt_options options;
    double noise;    /* rise of the energy that is not worth a word, eV */
    aim_variables v; /* at the point that is to be evaluated */
    aim_point point[2];
    aim_path_state now;
    /* L-BFGS; NULL: FIRE */
    double *s, *y, *rho; /* [memory][n_var], [memory][n_var], [memory] */
    double *alpha;       /* [memory] scratch */
    double *product;     /* card: [memory][memory] s_i . y_k, i no younger than k */
    double *factor;      /* [n_var][n_var] Cholesky factor of the model Hessian, or NULL */
    double *built_at;    /* [n_var] variables for which it was built */
    aim_model_room room; /* card: scratch of its construction */
    double *velocity;    /* [n_var] FIRE */
    double *step;        /* [n_var] */
} aim_path;

/* What an evaluation gave; arrays may be those of the point on trial. */
typedef struct aim_outcome {
    int good; /* 0: it could not be computed */
    double energy;
    const double *forces, *charges, *stress; /* stress: with strains */
} aim_outcome;

#endif
