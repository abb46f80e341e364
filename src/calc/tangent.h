/* SPDX-License-Identifier: MIT */
/* tangent.h - second derivatives of a batch: the sweep of one member along many directions at
 * once, and what is built on it. */
#ifndef AIM_CALC_TANGENT_H
#define AIM_CALC_TANGENT_H

#include "aimnet_deriv.h"
#include "calc/calc.h"
#include "term/tangent.h"

/* eval.c: the pieces of one evaluation. `call` stays valid as long as nothing else is evaluated. */
AIM_NODISCARD aim_status aim_calc_ranges(aim_calc *c, const aim_member *member,
                                         aim_range_plan *range);
AIM_NODISCARD aim_status aim_calc_member(aim_calc *c, const aim_member *member,
                                         const aim_range_plan *range, aim_wishes want,
                                         aim_net_call *call);

/* Tangents of one member's values along n_dir directions (as in term/tangent.h). */
typedef struct aim_tangents {
    int n_dir, again;   /* again: further directions of the sweep before */
    const double *tx;   /* [dir][n][3] or NULL */
    const double *w;    /* [dir][systems][9] or NULL */
    const double *seed; /* [systems] weights of the energies in a loss, or NULL */
    const double *charge_seed, *spin_seed; /* [dir][n] further adjoints of charges, or NULL */
    double *tq, *tspin, *tgq, *tgspin;     /* [dir][n] */
    double *tslot[AIM_MAX_SLOTS];    /* [dir][n][width] values of per-atom slots that matter */
    double *tadjoint[AIM_MAX_SLOTS]; /* likewise */
    double *tgrad, *tstrain;         /* [dir][n][3]; [dir][systems][9] or NULL */
    const double *aim; /* what a device goes ahead with, as in aim_dev_sweep, or NULL */
    double aim_weight;
    const aim_dev_places *places;    /* the gradient by every parameter from a device; NULL: no */
    /* called for all parts of that, as in aim_dev_sweep */
    void (*take)(void *ctx, const void *gradient, size_t first, size_t last);
    void *take_ctx;
} aim_tangents;

/* program_tan.c. The layout has room for everything but tx, w and seed. */
void aim_tangents_layout(const aim_member *member, const aim_batch *b, int n_dir, int strain,
                         aim_arena *arena, aim_tangents *t);
AIM_NODISCARD aim_status aim_program_tangent(aim_calc *c, const aim_member *member,
                                             const aim_range_plan *range, const aim_tangents *t);
void aim_program_tangent_backward(const aim_calc *c, const aim_member *member,
                                  const aim_tangents *t);
/* program.c, coulomb.c: how an output's term is called */
aim_range_plan aim_program_own_range(const aim_calc *c, const aim_output *o,
                                     const aim_range_plan *range);
aim_d3_params aim_program_d3_params(const aim_output *o);
/* where a multipole's output has its origin */
void aim_program_origin(const aim_output *o, const aim_batch *b, int32_t s, double origin[3]);
/* an embedded module brings its own tables */
aim_d3_table aim_program_d3_table(const aim_calc *c, const aim_output *o);
AIM_NODISCARD aim_status aim_calc_coulomb_tan(aim_calc *c, const aim_range_plan *range,
                                              const double *q, const aim_term_tan *tan);

/* derivatives.c */
/* One sweep, after aim_calc_member with AIM_NET_KEEP or AIM_NET_TRAIN; outputs of `t` are
 * assigned. */
AIM_NODISCARD aim_status aim_tangent_sweep(aim_calc *c, const aim_member *member,
                                           const aim_range_plan *range, aim_net_call *call,
                                           aim_tangents *t, aim_net_tan *tan);
/* The Hessians that the results of the current batch ask for. */
AIM_NODISCARD aim_status aim_hessian_batch(aim_calc *c, const aimnet_system *systems,
                                           const int32_t *index, aimnet_result *results);
AIM_NODISCARD aim_status aim_hessian_rows(aim_calc *c, const aimnet_system *system,
                                          aimnet_rows_fn fn, void *user);
AIM_NODISCARD aim_status aim_hvp(aim_calc *c, const aimnet_system *systems, int32_t n,
                                 const aimnet_hvp *jobs);
/* [3 n_atoms][3] of the charge dipole sum q r */
AIM_NODISCARD aim_status aim_dipole_gradient(aim_calc *c, const aimnet_system *system, double *out);
/* device_tan.c: one sweep of a member whose network the device computes; and how many directions go
 * together there */
AIM_NODISCARD aim_status aim_device_sweep(aim_calc *c, const aim_member *member,
                                          const aim_range_plan *range, aim_tangents *t);
int64_t aim_device_directions(const aim_calc *c, int64_t wanted);
/* Fills c->places when it is empty. */
AIM_NODISCARD aim_status aim_device_places(aim_calc *c);
/* loss.c; the list of parameters is c->parameters */
AIM_NODISCARD aim_status aim_loss(aim_calc *c, const aimnet_system *systems,
                                  const aimnet_target *targets, int n,
                                  const aimnet_loss_weights *weights, aimnet_loss_weights *parts,
                                  double *gradient);

#endif
