/* SPDX-License-Identifier: MIT */
/* tangent.h - directional derivatives of the terms' energies and gradients: what a term adds to
 * Hessian-vector products.
 *
 * A direction moves every input at once, and everything is the derivative to eps at eps = 0:
 *
 *     x -> x + eps (tx + x W),   cell -> cell (1 + eps W),   q -> q + eps tq
 *
 * Give several directions together: what belongs to a pair is computed once for all of them. Parts
 * of a direction that are NULL are zero. Outputs are accumulated (+=); NULL: not wanted. The term's
 * inputs come from the same aim_term_io as for the energy, whose outputs are not touched.
 * A direction's results are the same bits whichever directions stand beside it, and as in term.h
 * independent of threads and batch. tstrain is the tangent of the derivative to a further strain
 * of the deformed structure, sum r_a dE/dr_b, so that W in, strain out is symmetric only after the
 * first-order terms are taken off (docs/math/tangents.md).
 *
 * The terms have no trainable parameters. A seed w that varies per system (energy weights of a
 * loss) only adds w times the first-order gradients: the caller's business. */
#ifndef AIM_TERM_TANGENT_H
#define AIM_TERM_TANGENT_H

#include "term/term.h"

typedef struct aim_term_tan {
    int n_dir;
    const double *tx; /* [n_dir][n_atoms][3] A */
    const double *w;  /* [n_dir][n_systems][9] strain, row vectors as in aim_term_io.strain */
    const double *tq; /* [n_dir][n_atoms] e */
    double *tenergy;  /* [n_dir][n_systems] */
    double *tgrad;    /* [n_dir][n_atoms][3] tangent of dE/dr */
    double *tgq;      /* [n_dir][n_atoms] tangent of dE/dq */
    double *tstrain;  /* [n_dir][n_systems][9] */
} aim_term_tan;

/* The tangents of the functions of the same names in term.h. */
AIM_NODISCARD aim_status aim_term_coulomb_simple_tan(aim_term_io *io, const aim_term_tan *tan,
                                                     double factor);
AIM_NODISCARD aim_status aim_term_coulomb_sr_tan(aim_term_io *io, const aim_term_tan *tan,
                                                 double rc, aim_envelope envelope, double factor);
AIM_NODISCARD aim_status aim_term_coulomb_dsf_tan(aim_term_io *io, const aim_term_tan *tan,
                                                  double rc, double alpha);
AIM_NODISCARD aim_status aim_term_coulomb_ewald_tan(aim_term_io *io, const aim_term_tan *tan,
                                                    double accuracy);
/* Of the mesh energy, exactly. */
AIM_NODISCARD aim_status aim_term_coulomb_pme_tan(aim_term_io *io, const aim_term_tan *tan,
                                                  double accuracy);
AIM_NODISCARD aim_status aim_term_srrep_tan(aim_term_io *io, const aim_term_tan *tan,
                                            const double *params, int n_params, double rc,
                                            aim_envelope envelope);
AIM_NODISCARD aim_status aim_term_d3_tan(aim_term_io *io, const aim_term_tan *tan,
                                         const aim_d3_table *table, const aim_d3_params *params);
/* tdisp: [n_dir][n_atoms][2] tangent of (C6, alpha) or NULL; tgdisp: [n_dir][n_atoms][2], +=, or
 * NULL. */
AIM_NODISCARD aim_status aim_term_d3ts_tan(aim_term_io *io, const aim_term_tan *tan,
                                           const aim_d3_params *params, const double *r4r2,
                                           int n_r4r2, const double *disp, const double *tdisp,
                                           double *tgdisp);

#endif
