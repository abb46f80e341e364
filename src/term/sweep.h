/* SPDX-License-Identifier: MIT */
/* sweep.h - directional derivatives of a sum over pairs, shared by the pair terms.
 *
 *     E = 1/2 sum_{i != j} e(d_ij, p_i, p_j)     p: at most two parameters per atom
 *
 * A term describes its pairs (aim_sweep_fill); the sweep visits every atom's neighbours in order
 * and leaves, per direction, the tangents of dE/dr, of dE/dp, of the energy and of the strain
 * derivative:
 *
 *     aim_sweep_plan; layout (measure, place) with aim_sweep_layout; aim_sweep_load;
 *     the parameters' tangents into aim_sweep_input(s, dir, atom, 3 + k); aim_sweep_run;
 *     results with aim_sweep_sum(s, dir, atom, AIM_TAN_PARAM + k), aim_sweep_add_grad and _energy.
 *
 * A sweep may run several times with different pairs. */
#ifndef AIM_TERM_SWEEP_H
#define AIM_TERM_SWEEP_H

#include "point/deriv.h"
#include "term/tangent.h"

/* Sets f, h and the derivatives to the parameters of the chunk->n pairs of atom i whose j and r are
 * given, and adds their de/dp_i to slope. In eV and Angstrom. */
typedef void (*aim_sweep_fill)(const void *ctx, int32_t i, aim_tan_chunk *chunk,
                               double slope[AIM_TAN_PARAMS]);

typedef struct aim_sweep {
    aim_term_io *io;
    const aim_term_tan *tan;
    const aim_term_kernels *kernels;
    int n_rows, n_blocks, n_sums; /* rows of t, blocks of directions, rows of sum */
    int64_t n_pairs;
    double *t;            /* [n_blocks][n_atoms][n_rows][AIM_TAN_WIDTH] */
    double *warp;         /* [n_blocks][n_systems][9][AIM_TAN_WIDTH], NULL without strain */
    double *sum;          /* [n_blocks][n_atoms][n_sums][AIM_TAN_WIDTH] */
    double *slope;        /* [n_atoms][AIM_TAN_PARAMS] dE/dp */
    aim_tan_chunk *chunk; /* [workers] */
} aim_sweep;

AIM_NODISCARD aim_status aim_sweep_plan(aim_sweep *s, aim_term_io *io, const aim_term_tan *tan,
                                        int n_params);
void aim_sweep_layout(aim_sweep *s, aim_arena *arena);
/* Tangents of positions and cells from the caller's directions; those of the parameters are 0. */
void aim_sweep_load(aim_sweep *s);
void aim_sweep_run(aim_sweep *s, int n_params, aim_sweep_fill fill, const void *ctx);
/* Adds -1/2 sum f a + sum tp dE/dp to the energies; and the tangents of gradient and strain. */
void aim_sweep_add_energy(const aim_sweep *s, int n_params);
void aim_sweep_add_grad(const aim_sweep *s);

/* The element of direction dir in blocks of [n_atoms][n_rows][AIM_TAN_WIDTH]. */
static inline size_t aim_sweep_at(const aim_sweep *s, int n_rows, int dir, int32_t atom, int row)
{
    const size_t n = (size_t)s->io->batch->n_atoms, block = (size_t)dir / AIM_TAN_WIDTH;
    return ((block * n + (size_t)atom) * (size_t)n_rows + (size_t)row) * AIM_TAN_WIDTH +
           (size_t)dir % AIM_TAN_WIDTH;
}
static inline double *aim_sweep_input(const aim_sweep *s, int dir, int32_t atom, int row)
{
    return s->t + aim_sweep_at(s, s->n_rows, dir, atom, row);
}
static inline double aim_sweep_sum(const aim_sweep *s, int dir, int32_t atom, int row)
{
    return s->sum[aim_sweep_at(s, s->n_sums, dir, atom, row)];
}

/* f and h of pair p from scale e(d). */
static inline void aim_sweep_radial(aim_tan_chunk *c, int p, double d, aim_deriv e, double scale)
{
    c->f[p] = -scale * e.d1 / d;
    c->h[p] = -(scale * e.d2 + c->f[p]) / (d * d);
}
static inline double aim_sweep_distance(const aim_tan_chunk *c, int p)
{
    return sqrt(c->r[0][p] * c->r[0][p] + c->r[1][p] * c->r[1][p] + c->r[2][p] * c->r[2][p]);
}

#endif
