/* SPDX-License-Identifier: MIT */
/* rows.h - gives each atom's neighbours to the term kernels as structure-of-arrays rows, from a
 * pair list, from clusters or from all pairs.
 *
 * Atoms of a system are ordered by (key, index), key = atomic number or 0; each key's atoms start
 * on a whole vector, so that a kernel may treat a group as one. The place of an atom is its slot;
 * per-atom properties that a kernel reads of its neighbours are filled by slot (0 in padding).
 *
 * All pairs: a row points straight into the slot arrays. Lists: the list's row is gathered into the
 * worker's scratch, one region per key, in list order within it. Clusters: the entries of a cluster
 * are gathered once for its home atoms (the worker's tile) and filtered for each of them: the same
 * row, bit for bit. Rows of lists and clusters come in pieces of AIM_ROWS_PIECE neighbours, which
 * stay in the first-level cache until the kernel has read them; where a piece ends depends on the
 * row alone. So sums depend on the system alone.
 *
 *     aim_rows_plan(&rows, io, ...);  layout (measure, place) with aim_rows_layout;
 * aim_rows_fill(&rows); aim_rows_for(&rows, fn, ctx), where fn does
 *
 *     aim_rows_piece p;
 *     for (aim_rows_begin(&rows, atom, worker, &p); aim_rows_next(&p);)
 *         a kernel with p.row, aim_row_sum_add(&total, &sum);
 *     aim_rows_add(&rows, atom, &total, ...);
 *
 * and aim_rows_reduce(&rows). */
#ifndef AIM_TERM_ROWS_H
#define AIM_TERM_ROWS_H

#include "backend/term_kernels.h"
#include "term/term.h"

enum { AIM_ROWS_KEYS = 128, AIM_ROWS_PIECE = 384 };

static inline int aim_rows_active(const aim_term_io *io, int32_t system)
{
    return !io->active || io->active[system];
}

typedef struct aim_rows_group {
    int32_t key, count;
    int64_t begin; /* first slot */
} aim_rows_group;

typedef struct aim_rows_span { /* part of a row whose neighbours belong to one group of the system
                                */
    int begin, end, group;
    int n; /* not all pairs: neighbours before the padding */
} aim_rows_span;

typedef struct aim_rows_tile { /* a worker's candidates */
    int32_t cluster;           /* -1: none yet */
    int64_t begin[AIM_ROWS_KEYS], count[AIM_ROWS_KEYS];
} aim_rows_tile;

typedef struct aim_rows {
    aim_term_io *io;
    const aim_term_kernels *kernels;
    int n_props;                /* most properties that a row carries */
    int by_number;              /* key = atomic number */
    int n_groups, max_groups;   /* of all systems, of one */
    int64_t n_slots, n_pairs;   /* slots; ordered pairs to be visited */
    int64_t capacity;           /* elements of a gathered row (or tile) of one group */
    size_t row_size, tile_size; /* of all groups */
    /* NULL, or [n_systems]: pairs of a list from this distance on are left out, so that a row does
     * not depend on how far the list of the batch reaches */
    const double *reach;
    int32_t *first;        /* [n_systems + 1] first group of each system; empty range: not active */
    aim_rows_group *group; /* [n_groups] */
    int64_t *slot;         /* [n_atoms] -1: not active */
    double *x, *y, *z;     /* [n_slots] relative to the system's first atom (all pairs only) */
    int64_t *id,
        *real; /* [n_slots] slot within the system; -1, or 0 for padding (all pairs only) */
    /* lists and clusters only: */
    double *inside;                     /* [n_atoms][3] positions wrapped into the cell */
    aim_shift *wrap;                    /* [n_atoms] and their shifts */
    int any_wrap;                       /* one of them is not zero */
    double *scratch;                    /* [workers][3 + n_props][row_size] */
    int64_t *scratch_id, *scratch_real; /* [workers][row_size] */
    /* clusters only: */
    double *tile_position; /* [workers][3][tile_size] */
    int64_t *tile_id;      /* [workers][tile_size] */
    aim_rows_tile *tile;   /* [workers] */
    double *e;             /* [n_atoms] eV */
    double *w;             /* [n_atoms][6] strain derivative, NULL unless wanted */
} aim_rows;

/* Counts groups and slots. */
AIM_NODISCARD aim_status aim_rows_plan(aim_rows *rows, aim_term_io *io, int by_number, int n_props);
void aim_rows_layout(aim_rows *rows, aim_arena *arena);
void aim_rows_fill(aim_rows *rows);
/* A property array by slot, cleared. */
double *aim_rows_property(const aim_rows *rows, aim_arena *arena, const char *name);

typedef void (*aim_rows_fn)(void *ctx, int32_t atom, int worker);
void aim_rows_for(const aim_rows *rows, aim_rows_fn fn, void *ctx);
/* Part of the row of an atom. */
typedef struct aim_rows_piece {
    aim_row row;
    int n_spans;
    aim_rows_span span[AIM_ROWS_KEYS]; /* ascending groups; empty ones may be missing */
    /* inside of rows_walk.c */
    const aim_rows *rows;
    int32_t atom;
    int worker, n_groups, group; /* the group that comes next ... */
    int64_t seen, carry;         /* ... how much of it was in earlier pieces, or waits */
    int64_t begin[AIM_ROWS_KEYS], count[AIM_ROWS_KEYS]; /* of a gathered row */
    aim_row_columns columns;
    aim_row_sieve sieve;
} aim_rows_piece;
void aim_rows_begin(const aim_rows *rows, int32_t atom, int worker, aim_rows_piece *piece);
/* 0: there is no further piece. */
int aim_rows_next(aim_rows_piece *piece);
/* row.prop[k] = the property, an array by slot, of all neighbours, or of one span's. */
void aim_rows_add_property(aim_rows_piece *piece, const double *property, int k);
void aim_rows_add_span_property(aim_rows_piece *piece, const double *property, int k,
                                const aim_rows_span *span);
static inline void aim_row_sum_add(aim_row_sum *total, const aim_row_sum *sum)
{
    total->e += sum->e;
    for (int d = 0; d < 3; d++)
        total->g[d] += sum->g[d];
    for (int d = 0; d < 6; d++)
        total->w[d] += sum->w[d];
    for (int d = 0; d < 2; d++)
        total->s[d] += sum->s[d];
}
/* Atom's energy += fe sum.e, grad += fg sum.g, strain += fw sum.w. */
void aim_rows_add(const aim_rows *rows, int32_t atom, const aim_row_sum *sum, double fe, double fg,
                  double fw);
/* Adds the atoms' energies and strain derivatives to the systems, in order. */
void aim_rows_reduce(const aim_rows *rows);

#endif
