/* SPDX-License-Identifier: MIT */
/* sweep.h - directional derivatives of a sum over pairs, shared by the pair terms.
 *
 *     E = 1/2 sum_{i != j} e(d_ij, p_i, p_j)     p: at most two parameters per atom
 *
 * A term describes its pairs (aim_sweep_fill); the sweep visits the rows of every atom (rows.h) and
 * leaves, per direction, the tangents of dE/dr, of dE/dp, of the energy and of the strain
 * derivative:
 *
 *     aim_sweep_plan; layout (measure, place) with aim_sweep_layout; aim_sweep_load;
 *     the parameters' tangents with aim_sweep_set; aim_sweep_run;
 *     results with aim_sweep_sum(s, dir, atom, AIM_TAN_PARAM + k), aim_sweep_add_grad and _energy.
 *
 * A sweep may run several times with different pairs. */
#ifndef AIM_TERM_SWEEP_H
#define AIM_TERM_SWEEP_H

#include "point/deriv.h"
#include "term/rows.h"
#include "term/tangent.h"

/* Neighbours of one atom that belong to one group of its system. */
typedef struct aim_sweep_chunk {
    aim_row row; /* A; prop as the fill function asks for them */
    int32_t atom;
    int group;           /* in rows.group */
    int64_t first_slot;  /* the slot of id 0 */
    aim_tan_chunk *pair; /* to be filled */
    aim_rows_piece *piece;
    const aim_rows_span *span;
    int offset; /* of the chunk's first neighbour in the piece */
} aim_sweep_chunk;

/* Sets f, h and the derivatives to the parameters of the row's elements, zeros where there is no
 * pair, and adds their de/dp_i to slope. In eV and Angstrom. */
typedef void (*aim_sweep_fill)(const void *ctx, aim_sweep_chunk *chunk,
                               double slope[AIM_TAN_PARAMS]);

typedef struct aim_sweep {
    aim_term_io *io;
    const aim_term_tan *tan;
    aim_rows rows;
    int n_rows, n_sums;  /* rows of t, of sum */
    double *t;           /* [n_dir][n_rows][n_slots] tangents of x, y, z and of the parameters */
    double *sum;         /* [n_dir][n_atoms][n_sums] */
    double *slope;       /* [n_atoms][AIM_TAN_PARAMS] dE/dp */
    aim_tan_chunk *pair; /* [workers] */
} aim_sweep;

/* n_props: most properties that a fill function asks for; by_number: groups are elements. */
AIM_NODISCARD aim_status aim_sweep_plan(aim_sweep *s, aim_term_io *io, const aim_term_tan *tan,
                                        int n_params, int n_props, int by_number);
void aim_sweep_layout(aim_sweep *s, aim_arena *arena);
/* Tangents of the positions from the caller's directions; those of the parameters are 0. */
void aim_sweep_load(aim_sweep *s);
/* Tangent of parameter k in direction dir: values[i stride] of atom i. */
void aim_sweep_set(aim_sweep *s, int dir, int k, const double *values, size_t stride);
/* row.prop[k] = the property, an array by slot, of the chunk's neighbours. */
void aim_sweep_property(aim_sweep_chunk *chunk, const double *property, int k);
/* n_params < 0: of all sums only AIM_TAN_SLOPE, for which f is enough. */
void aim_sweep_run(aim_sweep *s, int n_params, aim_sweep_fill fill, const void *ctx);
/* Adds -1/2 sum f a + sum tp dE/dp to the energies; and the tangents of gradient and strain. */
void aim_sweep_add_energy(const aim_sweep *s, int n_params);
void aim_sweep_add_grad(const aim_sweep *s);

static inline double aim_sweep_sum(const aim_sweep *s, int dir, int32_t atom, int row)
{
    const size_t n = (size_t)s->io->batch->n_atoms;
    return s->sum[((size_t)dir * n + (size_t)atom) * (size_t)s->n_sums + (size_t)row];
}
/* Row 0, 1, 2: position, 3 + k: parameter k; 0 of an atom that is not active. */
static inline double aim_sweep_input(const aim_sweep *s, int dir, int32_t atom, int row)
{
    const int64_t slot = s->rows.slot[atom];
    const size_t at = (size_t)dir * (size_t)s->n_rows + (size_t)row;
    return slot < 0 ? 0.0 : s->t[at * (size_t)s->rows.n_slots + (size_t)slot];
}

/* For fill functions that go pair by pair: the distance of element p, 0 where there is no pair. */
static inline double aim_sweep_distance(const aim_row *row, int p)
{
    const double x = row->x[p] - row->origin[0], y = row->y[p] - row->origin[1],
                 z = row->z[p] - row->origin[2];
    return row->real[p] && row->id[p] != row->self ? sqrt(x * x + y * y + z * z) : 0.0;
}
/* f and h of pair p from scale e(d). */
static inline void aim_sweep_radial(aim_tan_chunk *c, int p, double d, aim_deriv e, double scale)
{
    c->f[p] = -scale * e.d1 / d;
    c->h[p] = -(scale * e.d2 + c->f[p]) / (d * d);
}
/* No pair. */
static inline void aim_sweep_none(aim_tan_chunk *c, int p)
{
    c->f[p] = c->h[p] = 0.0;
    for (int k = 0; k < AIM_TAN_PARAMS; k++) {
        c->f_i[k][p] = c->f_j[k][p] = 0.0;
        for (int m = 0; m < AIM_TAN_PARAMS; m++)
            c->e_ii[k][m][p] = c->e_ij[k][m][p] = 0.0;
    }
}

#endif
