/* SPDX-License-Identifier: MIT */
/* aimnet_opt.h - geometry optimisation of many structures at once, with or without their cells.
 * Units and conventions as in aimnet.h.
 *
 * A pool holds structures that are being optimised with one calculator. Every call of
 * aimnet_opt_advance evaluates all that still run in one batch and moves each of them once; what
 * has finished can be taken out and replaced at any time, so that the batch stays full:
 *
 *     aimnet_opt_options options = aimnet_opt_options_default();
 *     aimnet_opt_create(calc, &options, &opt);
 *     aimnet_opt_add(opt, &system, NULL, &slot);            // as many as wanted
 *     do aimnet_opt_advance(opt, &n_running); while (n_running > 0);
 *     aimnet_opt_get(opt, slot, &state);                    // coordinates, energy, verdict
 *     aimnet_opt_remove(opt, slot);
 *     aimnet_opt_free(opt);
 *
 * The path of a structure does not depend, bit for bit, on what else is in the pool, on the order
 * of calls, or on the number of threads.
 *
 * Variables with a relaxing cell: positions and cell are x = x0 F, cell = cell0 F with a symmetric
 * matrix F (no rotations), and the enthalpy H = E + p V is minimised over x0 and F.
 *
 * With a calculator on a GPU the loop stays there: evaluation, model Hessian, step and judgement,
 * in double; the host learns a few numbers per structure and step, and cells. Arrays come to the host
 * when a structure has ended, and when aimnet_opt_get asks for them. Paths there equal those of the
 * host up to rounding. The host moves everything of models whose outputs a card does not compute.
 *
 * Threads: a pool is used by one thread at a time and uses its calculator, which must outlive it.
 */
#ifndef AIMNET_OPT_H
#define AIMNET_OPT_H

#include "aimnet.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum aimnet_opt_method {
    /* quasi-Newton with limited memory, started from a model Hessian (up to 300 atoms) */
    AIMNET_OPT_LBFGS = 0,
    AIMNET_OPT_FIRE = 1 /* damped dynamics: more steps, but indifferent to rough energies */
} aimnet_opt_method;

typedef enum aimnet_opt_cell {
    AIMNET_OPT_CELL_FIXED = 0,
    AIMNET_OPT_CELL_FULL = 1,     /* lengths and angles */
    AIMNET_OPT_CELL_ISOTROPIC = 2 /* one common factor */
} aimnet_opt_cell;

/* Criteria like those of other programs: fmax eV/A, ediff eV, smax eV/A^3
 *     LOOSE   0.05   1e-3  5e-4       NORMAL  0.02   1e-4  2e-4       TIGHT   0.001  1e-6  1e-5
 * TIGHT is below the noise of single precision: use a calculator in double precision. */
typedef enum aimnet_opt_level {
    AIMNET_OPT_LOOSE = 0,
    AIMNET_OPT_NORMAL = 1,
    AIMNET_OPT_TIGHT = 2
} aimnet_opt_level;

/* Fill with aimnet_opt_options_default() and change what you need. */
typedef struct aimnet_opt_options {
    size_t struct_size; /* set by aimnet_opt_options_default() */
    aimnet_opt_method method;
    /* Converged when all three hold: the largest force on a free atom is below fmax; the last step
     * changed the energy (enthalpy) by less than ediff (0: not asked for); the largest component of
     * stress + pressure that may relax is below smax. */
    double fmax, ediff, smax;
    int max_steps;   /* most evaluations after the first, per structure; default 1000 */
    double max_move; /* largest displacement of an atom in one step, Angstrom; default 0.2 */
    aimnet_opt_cell cell;
    int fixed_axes[3]; /* 1: no strain along or across this Cartesian axis */
    double pressure;   /* eV/A^3; positive compresses */
    int memory;        /* pairs that L-BFGS remembers; default 32 */
    /* 1: structures are moved by the host although the calculator has a GPU. 0 (default): there the
     * whole loop stays on it, as far as it can: see above */
    int on_host;
} aimnet_opt_options;
/* L-BFGS to the NORMAL level with the cell fixed. */
AIMNET_API aimnet_opt_options aimnet_opt_options_default(void);
/* Sets fmax, ediff and smax. */
AIMNET_API aimnet_status aimnet_opt_set_level(aimnet_opt_options *options, aimnet_opt_level level);

typedef struct aimnet_opt aimnet_opt;

/* options: NULL for the defaults. Errors: ARG, MEMORY. *opt is NULL on failure. */
AIMNET_API aimnet_status aimnet_opt_create(aimnet_calc *calc, const aimnet_opt_options *options,
                                           aimnet_opt **opt);
/* NULL is fine. */
AIMNET_API void aimnet_opt_free(aimnet_opt *opt);

/* Puts a copy of a structure into the pool; *slot names it from now on. frozen: [n_atoms], 1 for
 * atoms that keep their place (with a relaxing cell: their fractional coordinates), or NULL.
 * Errors: ARG, SYSTEM (no or not enough periodicity for the cell relaxation asked for), MEMORY. */
AIMNET_API aimnet_status aimnet_opt_add(aimnet_opt *opt, const aimnet_system *system,
                                        const uint8_t *frozen, int *slot);
/* One evaluation and one step of every structure that runs; *n_running (may be NULL) counts those
 * that still do. A structure that cannot be evaluated gets the verdict FAILED; only what concerns
 * the call as a whole is an error here (nothing has moved then): ARG, MEMORY, DEVICE. */
AIMNET_API aimnet_status aimnet_opt_advance(aimnet_opt *opt, int *n_running);

typedef enum aimnet_opt_verdict {
    AIMNET_OPT_RUNNING = 0,
    AIMNET_OPT_CONVERGED = 1,
    AIMNET_OPT_NOT_CONVERGED = 2, /* max_steps was reached; `message` says what is missing */
    /* no step lowers the energy any more: rounding noise (use double precision) */
    AIMNET_OPT_STALLED = 3,
    AIMNET_OPT_FAILED = 4, /* the structure cannot be evaluated: `message` */
    /* it fell into a hole of the model, where energies and forces mean nothing: `message`. The point
     * is the last one before the rules were broken: it fell by more than 2 eV per atom while the
     * largest force grew beyond 10 eV/A, or by more than 5 eV with a force beyond 50 eV/A */
    AIMNET_OPT_COLLAPSED = 5
} aimnet_opt_verdict;

/* The best point so far of one structure. Pointers belong to the pool and live until the next
 * advance or remove. Energies, forces and charges are those of `coord` and `cell`; nothing of them
 * is known (energy NaN) before the first advance and after a failure of it. */
typedef struct aimnet_opt_state {
    aimnet_opt_verdict verdict;
    int32_t n_atoms;
    const int32_t *numbers; /* [n_atoms] */
    const double *coord;    /* [n_atoms][3] Angstrom */
    const double *cell;     /* [3][3], or NULL */
    int pbc[3];
    double charge, mult;
    double energy;         /* eV */
    const double *forces;  /* [n_atoms][3] eV/A */
    const double *charges; /* [n_atoms] e */
    const double *stress;  /* [3][3] eV/A^3, or NULL when the cell is fixed */
    double energy_change;  /* of the last step (with a pressure: of the enthalpy), eV */
    double enthalpy;       /* energy + pressure * volume */
    double fmax, smax;     /* as in the criteria */
    double move;           /* largest displacement of an atom in the last step, Angstrom */
    int n_steps;           /* steps that were kept */
    int n_evaluations;     /* gradients computed */
    const char *message;   /* why it did not converge or failed, or "" */
    const char *warnings;  /* of the first evaluation, lines separated by '\n', or "" */
} aimnet_opt_state;
AIMNET_API aimnet_status aimnet_opt_get(const aimnet_opt *opt, int slot, aimnet_opt_state *state);
/* The same without arrays: coord, forces, charges and stress are NULL, and nothing is brought from a
 * GPU. */
AIMNET_API aimnet_status aimnet_opt_peek(const aimnet_opt *opt, int slot, aimnet_opt_state *state);
/* Takes a structure out, finished or not; its slot may be given to the next one. */
AIMNET_API aimnet_status aimnet_opt_remove(aimnet_opt *opt, int slot);
/* Short name of a verdict, for example "converged"; never NULL. */
AIMNET_API const char *aimnet_opt_verdict_name(aimnet_opt_verdict verdict);

#ifdef __cplusplus
}
#endif
#endif
