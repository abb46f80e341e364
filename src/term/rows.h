/* SPDX-License-Identifier: MIT */
/* rows.h - gives each atom's neighbours to the term kernels as structure-of-arrays rows, from a
 * pair list or from all pairs.
 *
 * Atoms of a system are ordered by (key, index), key = atomic number or 0; each key's atoms start
 * on a whole vector, so that a kernel may treat a group as one. The place of an atom is its slot;
 * per-atom properties that a kernel reads of its neighbours are filled by slot (0 in padding). All
 * pairs: a row points straight into the slot arrays. Lists: aim_rows_get gathers the list's row
 * into the worker's scratch, one region per key, in list order within it. Either way the order
 * depends on the system alone.
 *
 *     aim_rows_plan(&rows, io, ...);  layout (measure, place) with aim_rows_layout;
 * aim_rows_fill(&rows); aim_rows_for(&rows, fn, ctx): fn calls aim_rows_get, a kernel,
 * aim_rows_add;  aim_rows_reduce(&rows). */
#ifndef AIM_TERM_ROWS_H
#define AIM_TERM_ROWS_H

#include "backend/term_kernels.h"
#include "term/term.h"

enum { AIM_ROWS_KEYS = 128 };

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
    int n; /* lists: neighbours before the padding */
} aim_rows_span;

typedef struct aim_rows {
    aim_term_io *io;
    const aim_term_kernels *kernels;
    int n_props;              /* most properties that a row carries */
    double unit;              /* lengths are multiplied by this */
    int by_number;            /* key = atomic number */
    int n_groups, max_groups; /* of all systems, of one */
    int64_t n_slots, n_pairs; /* slots; ordered pairs to be visited */
    int64_t capacity;         /* elements of a gathered row of one group */
    size_t row_size;          /* of all groups */
    /* NULL, or [n_systems]: pairs of a list from this distance on are left out, so that a row does
     * not depend on how far the list of the batch reaches */
    const double *reach;
    int32_t *first;        /* [n_systems + 1] first group of each system; empty range: not active */
    aim_rows_group *group; /* [n_groups] */
    int64_t *slot;         /* [n_atoms] -1: not active */
    double *x, *y, *z;     /* [n_slots] relative to the system's first atom (all pairs only) */
    int64_t *id,
        *real;       /* [n_slots] slot within the system; -1, or 0 for padding (all pairs only) */
    double *scratch; /* [workers][3 + n_props][row_size] (lists only) */
    int64_t *scratch_id, *scratch_real; /* [workers][row_size] (lists only) */
    double *e;                          /* [n_atoms] eV */
    double *w;                          /* [n_atoms][6] strain derivative, NULL unless wanted */
} aim_rows;

/* Counts groups and slots. */
AIM_NODISCARD aim_status aim_rows_plan(aim_rows *rows, aim_term_io *io, int by_number, int n_props,
                                       double unit);
void aim_rows_layout(aim_rows *rows, aim_arena *arena);
void aim_rows_fill(aim_rows *rows);
/* A property array by slot, cleared. */
double *aim_rows_property(const aim_rows *rows, aim_arena *arena, const char *name);

typedef void (*aim_rows_fn)(void *ctx, int32_t atom, int worker);
void aim_rows_for(const aim_rows *rows, aim_rows_fn fn, void *ctx);
/* The row of an active atom; properties are arrays by slot. Returns the number of spans (at most
 * rows->max_groups) written to span. */
int aim_rows_get(const aim_rows *rows, int32_t atom, int worker, const double *const *property,
                 int n_props, aim_row *row, aim_rows_span *span);
/* The same without properties; each is then added for those spans that need it. */
int aim_rows_get_bare(const aim_rows *rows, int32_t atom, int worker, aim_row *row,
                      aim_rows_span *span);
void aim_rows_add_property(const aim_rows *rows, int32_t atom, int worker, const double *property,
                           int k, const aim_rows_span *span, aim_row *row);
/* Atom's energy += fe sum.e, grad += fg sum.g, strain += fw sum.w. */
void aim_rows_add(const aim_rows *rows, int32_t atom, const aim_row_sum *sum, double fe, double fg,
                  double fw);
/* Adds the atoms' energies and strain derivatives to the systems, in order. */
void aim_rows_reduce(const aim_rows *rows);

#endif
