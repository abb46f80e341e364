/* SPDX-License-Identifier: MIT */
/* term.h - physics outside the network: each term takes positions, pairs and per-atom inputs, and
 * gives per-system energies and, where asked, their derivatives. Everything is double. The same
 * functions serve modules embedded in a model and external ones.
 *
 * Contract of every aim_term function: outputs are accumulated (+=); a NULL output is not wanted.
 * An atom sums over its neighbours in vector lanes that the order in its system decides, a system
 * over its atoms in order: results do not depend on threads or batch (term/rows.h). Scratch memory
 * comes from io->scratch, which the term resizes: a second call of the same size allocates nothing.
 */
#ifndef AIM_TERM_TERM_H
#define AIM_TERM_TERM_H

#include "backend/term_kernels.h"
#include "base/arena.h"
#include "base/threads.h"
#include "data/batch.h"
#include "nlist/clusters.h"
#include "point/envelope.h"

typedef struct aim_term_io {
    const aim_batch *batch;
    const aim_pairs *pairs; /* list of the term's range; NULL: all pairs of each molecule ... */
    const aim_clusters *clusters; /* ... or, where not NULL, those within `reach` */
    double reach;                 /* Angstrom: farther pairs of either are left out; 0: none are */
    aim_team *team;
    const aim_alloc *alloc;
    aim_arena *scratch;
    const int32_t *active; /* [n_systems] 1: evaluate this system; NULL: all */
    const double *q;       /* [n_atoms] charges, e (terms that use them) */
    double *energy;        /* [n_systems] eV */
    double *grad;          /* [n_atoms][3] dE/dr, eV/A */
    double *strain; /* [n_systems][9] dE/dstrain, eV: x -> x (1 + strain) row vectors, [3*a + b] =
                       sum r_a dE/dr_b */
    double *gq;     /* [n_atoms] dE/dq, eV/e */
    const aim_term_kernels *kernels; /* NULL: those of aim_cpu_isa(), looked up in every call */
} aim_term_io;

/* factor * (k_e/2) sum_{i != j} q_i q_j / d_ij over all pairs (io->pairs NULL) or the list. */
AIM_NODISCARD aim_status aim_term_coulomb_simple(aim_term_io *io, double factor);
/* factor * (k_e/2) sum fc(d) q_i q_j / d over io->pairs (network list): SRCoulomb is factor = -1.
 * Envelopes: docs/math. */
AIM_NODISCARD aim_status aim_term_coulomb_sr(aim_term_io *io, double rc, aim_envelope envelope,
                                             double factor);
/* Damped shifted force with self term; pairs with d < rc. io->pairs NULL: all pairs. */
AIM_NODISCARD aim_status aim_term_coulomb_dsf(aim_term_io *io, double rc, double alpha);
/* Ewald sum with tin-foil boundary and neutralising background, systems periodic in three axes
 * only. io->pairs reaches at least as far as every system's real-space cutoff. Parameters are each
 * system's own (aim_ewald_choose), whatever else is in the batch. */
AIM_NODISCARD aim_status aim_term_coulomb_ewald(aim_term_io *io, double accuracy);
typedef struct aim_ewald_params {
    double alpha, real_cutoff, k_cutoff; /* 1/A, A, 1/A */
} aim_ewald_params;
/* Splitting that balances both sums for a relative accuracy 0 < accuracy < 1. */
aim_ewald_params aim_ewald_choose(const double cell[9], int32_t n_atoms, double accuracy);
/* Smooth particle mesh Ewald: the same energy up to the accuracy, the gradients being exactly those
 * of the energy it gives; conditions as for Ewald, parameters aim_pme_choose. */
AIM_NODISCARD aim_status aim_term_coulomb_pme(aim_term_io *io, double accuracy);
typedef struct aim_pme_params {
    double alpha, real_cutoff; /* 1/A, A */
    int order, mesh[3];        /* of the splines; points along the vectors of the frame */
    double frame[9];           /* a short basis of the lattice */
} aim_pme_params;
/* Splitting and mesh for an accuracy, so that the cost per atom depends on the density only. */
aim_pme_params aim_pme_choose(const double cell[9], int32_t n_atoms, double accuracy);
/* GFN1 repulsion: sum_{i != j} exp(-a_ij d^1.5) Z_ij / d * fc(d), the 1/2 of the double sum being
 * part of Z_ij as in the reference; per-atom energies too when e_atom is not NULL ([n_atoms], +=).
 * params: [n_params][2] repa, repb of the file's embedding, whose products are a_ij, Z_ij. */
AIM_NODISCARD aim_status aim_term_srrep(aim_term_io *io, const double *params, int n_params,
                                        double rc, aim_envelope envelope, double *e_atom);

/* D3 reference data: element z has the reference systems first[z] .. first[z + 1] - 1. */
typedef struct aim_d3_table {
    int n_elements; /* rows 0 .. n_elements - 1; row 0 has no reference */
    int n_refs;
    const double *rcov;   /* [n_elements] bohr, scaled by 4/3 */
    const double *r4r2;   /* [n_elements] */
    const int32_t *first; /* [n_elements + 1] */
    const double *cn;     /* [n_refs] coordination number of each reference */
    const double *c6;     /* [n_refs][n_refs] hartree bohr^6, symmetric */
    double weight_floor;  /* exponents below max + weight_floor are dropped, -12 in the reference;
                             -INFINITY: none */
    const double
        *cn_max; /* [n_elements] larger coordination numbers count as this one; NULL: none */
} aim_d3_table;
/* The shipped table (generated by tools/gen_d3_table.py): the reference's float32 values, widened;
 * weight_floor -12. */
AIM_NODISCARD aim_status aim_d3_table_create(const aim_alloc *alloc, aim_d3_table **table);
void aim_d3_table_free(aim_d3_table *table, const aim_alloc *alloc);

typedef struct aim_d3_params {
    double s6, s8, a1, a2; /* a2 in bohr */
    double cutoff;         /* Angstrom: switch ends here; INFINITY: no cutoff */
    double smoothing; /* fraction of the cutoff over which the quintic switch runs; 0: pairs are cut
                         sharply at the cutoff */
} aim_d3_params;
/* DFT-D3(BJ), two-body, CN over io->pairs (or all pairs). */
AIM_NODISCARD aim_status aim_term_d3(aim_term_io *io, const aim_d3_table *table,
                                     const aim_d3_params *params);

/* aim_term_coulomb_dsf and aim_term_d3 in one, for pairs of the same range: the coordination numbers
 * are summed where the potential is. Pairs are those of d3; of `coulomb`, charges and outputs are
 * used, of which grad and strain are both wanted there or neither. */
AIM_NODISCARD aim_status aim_term_dsf_d3(aim_term_io *coulomb, double rc, double alpha,
                                         aim_term_io *d3, const aim_d3_table *table,
                                         const aim_d3_params *params);

/* D3TS: pairwise dispersion from per-atom (C6, alpha) with the Tkatchenko-Scheffler rule, over
 * io->pairs or all pairs. disp: [n_atoms][2]; gdisp: [n_atoms][2] dE/d(C6, alpha), +=, or NULL.
 * r4r2: [n_r4r2] of the file. */
AIM_NODISCARD aim_status aim_term_d3ts(aim_term_io *io, const aim_d3_params *params,
                                       const double *r4r2, int n_r4r2, const double *disp,
                                       double *gdisp);

#endif
