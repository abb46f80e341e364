/* SPDX-License-Identifier: MIT */
/* aimnet_deriv.h - second derivatives of a calculator's energy.
 *
 * A dense Hessian of a few structures is asked for through aimnet_result.hessian. This header has
 * products of the Hessian with vectors, for drivers that need no matrix, and the Hessian in blocks
 * of rows, for structures whose matrix should not be held in memory.
 *
 * Everything is exact differentiation of the energy that aimnet_calc_eval gives, through the
 * charges, for every Coulomb method, molecules and crystals (at the Gamma point), in the
 * calculator's precision; of an ensemble it is the mean. PME's second derivatives are those of its
 * mesh energy: of its own forces to rounding, of the infinite sum to its accuracy.
 * Units as in aimnet.h.
 */
#ifndef AIMNET_DERIV_H
#define AIMNET_DERIV_H

#include "aimnet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Products along directions. A direction moves positions and cell,
 *     x -> x + eps (v + x W),    cell -> cell (1 + eps W)    (row vectors),
 * and each output is the derivative to eps at eps = 0. Inputs that are NULL are zero; outputs that
 * are NULL are not wanted. Zero-initialise, set what you need. */
typedef struct aimnet_hvp {
    int n_directions;
    const double *v;      /* [n_directions][n_atoms][3] */
    const double *strain; /* [n_directions][3][3] W, periodic systems */
    double *hv;           /* [n_directions][n_atoms][3] of dE/dr: H v, eV/A^2 times v */
    double *dstrain; /* [n_directions][3][3] of dE/dstrain = sum r dE/dr, eV; periodic systems */
    double *charges; /* [n_directions][n_atoms] of the charges, e */
    double *dipole;  /* [n_directions][3] of sum q r, e A */
} aimnet_hvp;

/* All directions share one evaluation of the structure; a direction's results are the same bits
 * whichever directions stand beside it. Errors: ARG, SYSTEM, MEMORY. */
AIMNET_API aimnet_status aimnet_calc_hvp(aimnet_calc *calc, const aimnet_system *system,
                                         const aimnet_hvp *job);

/* Products for several structures at once: job k belongs to structure k, numbers of directions may
 * differ. Small structures share the work of a batch; results are the same bits as one by one. All
 * structures have to be good: the first bad one ends the call, and the message names it. Errors:
 * ARG, SYSTEM, MEMORY. */
AIMNET_API aimnet_status aimnet_calc_hvp_batch(aimnet_calc *calc, const aimnet_system *systems,
                                               int n_systems, const aimnet_hvp *jobs);

/* Rows first_row .. first_row + n_rows - 1 of a Hessian, [n_rows][n_columns], n_columns = 3
 * n_atoms; row 3 i + d belongs to coordinate d of atom i. Anything but 0 stops the calculation. */
typedef int (*aimnet_rows_fn)(void *user, int64_t first_row, int64_t n_rows, int64_t n_columns,
                              const double *rows);
/* Hands over all rows in ascending order. They are as calculated: symmetric up to rounding, where
 * aimnet_result.hessian is made exactly symmetric. Errors: ARG, SYSTEM, MEMORY,
 * INTERRUPTED (fn stopped it). */
AIMNET_API aimnet_status aimnet_calc_hessian_rows(aimnet_calc *calc, const aimnet_system *system,
                                                  aimnet_rows_fn fn, void *user);

/* The same rows as a NumPy file of float64, (3 n_atoms, 3 n_atoms), written as they come: a matrix
 * larger than memory needs no more than a block of it. The file appears complete or not at all.
 * Errors: those of aimnet_calc_hessian_rows, FILE. */
AIMNET_API aimnet_status aimnet_calc_hessian_save(aimnet_calc *calc, const aimnet_system *system,
                                                  const char *path);

/* ---------------------------------------------------------------- parameters */

/* The trainable numbers of a calculator's model as one flat vector: embedding, combinations of the
 * convolutions, weights and biases of all MLPs, atomic shifts. What the reference does not train
 * (the constants of the radial features, repulsion, dispersion) is not among them. The list is
 * made by the first call. Errors: ARG (an ensemble has no single parameter vector; index), MEMORY.
 * */
typedef struct aimnet_parameter {
    const char *name; /* of the tensor in the file; belongs to the calculator */
    int ndim;
    int64_t shape[3];
    int64_t offset, count; /* of its elements in the flat vector, last index fastest */
} aimnet_parameter;
/* Number of tensors, and of numbers in all of them. */
AIMNET_API aimnet_status aimnet_calc_parameter_count(aimnet_calc *calc, int *n_tensors,
                                                     int64_t *n_numbers);
AIMNET_API aimnet_status aimnet_calc_parameter(aimnet_calc *calc, int index,
                                               aimnet_parameter *parameter);

/* Weights of the parts of a training loss; only their ratios count, the sum is made 1. A part with
 * weight 0 is absent. Over B structures with N atoms together (padding not counted):
 *     energy                         mean over structures of (E - E')^2 / sqrt(atoms)
 *     forces, charges, spin charges  mean over atoms (and components) of the squared error
 *     dipole, stress                 mean over structures and components of the squared error
 * which are the losses of the reference (energy_loss_fn, peratom_loss_fn, mse_loss_fn). Its
 * defaults are 1 for energies, 0.2 for forces and 0.05 for charges. */
typedef struct aimnet_loss_weights {
    double energy, forces, charges, spin_charges, dipole, stress;
} aimnet_loss_weights;

/* What is aimed at for one structure; a part with a weight needs its targets. */
typedef struct aimnet_target {
    double energy;
    const double *forces;       /* [n_atoms][3] */
    const double *charges;      /* [n_atoms] */
    const double *spin_charges; /* [n_atoms], models with two charge channels */
    const double *dipole;       /* [3], with the origin that results have */
    const double *stress;       /* [3][3], periodic structures */
} aimnet_target;

/* The loss, its weighted parts (they add up to it; may be NULL) and its gradient by every
 * parameter: [n_numbers], assigned, or NULL. Exact, through forces and charges. All structures
 * have to be good: the first bad one ends the call, and the message names it. Results are the same
 * bits for any number of threads. Errors: ARG, SYSTEM, MEMORY. */
AIMNET_API aimnet_status aimnet_calc_loss(aimnet_calc *calc, const aimnet_system *systems,
                                          const aimnet_target *targets, int n_systems,
                                          const aimnet_loss_weights *weights, double *loss,
                                          aimnet_loss_weights *parts, double *gradient);

#ifdef __cplusplus
}
#endif
#endif
