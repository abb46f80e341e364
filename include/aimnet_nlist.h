/* SPDX-License-Identifier: MIT */
/* aimnet_nlist.h - neighbour lists, usable without any model.
 *
 * A full list of a cutoff rc (Angstrom) holds every ordered pair (i, j, S), S three integers, of
 * atoms of one system with
 *     |r_ij| < rc,    r_ij = x_j + S cell - x_i = x_j - x_i + S_0 a + S_1 b + S_2 c,
 *     i != j or S != 0,
 * for the positions x exactly as given: nothing is wrapped, atoms may lie anywhere. S is 0 along
 * directions that are not periodic. A cell may be smaller than the cutoff; an atom then sees
 * several images of others and of itself. If (i, j, S) is in a list, so is (j, i, -S). Rows ascend
 * in i; a row ascends in (j, S_0, S_1, S_2).
 *
 * Lists do not depend on the algorithm, on the number of threads, or on which other systems are in
 * the call. Whether a pair counts is decided in double precision from x_j - x_i + S cell.
 *
 * Cells are row vectors: cell[9] = { ax, ay, az,  bx, by, bz,  cx, cy, cz }; they may be triclinic,
 * skewed or left-handed. Vectors of directions that are not periodic may be anything finite, also
 * zero.
 *
 * Errors: ARG (an argument out of range), SYSTEM (coordinates that are not finite or beyond 1e9 A,
 * singular cells, more than 509 images of a cell within the cutoff along one direction; the message
 * names system and atom), OVERFLOW (a caller's buffer is too small: the needed size is returned,
 * nothing is truncated), MEMORY. aimnet_last_error() has the message. After a failure a builder can
 * be used again.
 *
 * Threads: an object is used by one thread at a time; different objects are independent.
 */
#ifndef AIMNET_NLIST_H
#define AIMNET_NLIST_H

#include "aimnet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- input */

/* Any number of systems in flat arrays. Everything is borrowed for the duration of a call and never
 * changed. Zero-initialise.
 *     (N, 3)      n_systems = 1, mol_idx = NULL
 *     (B, N, 3)   n_systems = B, mol_idx = NULL, n_atoms = B N: systems of equal size
 *     flat        mol_idx = 0, 0, ..., 1, 1, ...: ascending, none of 0 .. n_systems - 1 left out */
typedef struct aimnet_atoms {
    int32_t n_atoms;        /* of all systems; 0 is allowed */
    int32_t n_systems;      /* 0 means 1 */
    const double *coord;    /* [n_atoms][3] Angstrom */
    const int32_t *mol_idx; /* [n_atoms] system of each atom, or NULL */
    int32_t n_cells;        /* 0 (no periodicity), 1 (shared by all systems) or n_systems */
    const double *cell;     /* [n_cells][3][3] Angstrom; all zero: its system has no cell */
    int32_t n_pbc;          /* 0 (all directions of all cells are periodic), 1 or n_systems */
    const int32_t *pbc;     /* [n_pbc][3] 0 or 1 */
} aimnet_atoms;

typedef enum aimnet_nlist_algorithm {
    AIMNET_NLIST_AUTO = 0, /* by size and shape of each system */
    AIMNET_NLIST_ALL_PAIRS = 1,
    AIMNET_NLIST_CELLS = 2
} aimnet_nlist_algorithm;

/* Fill with aimnet_nlist_options_default() and change what you need. */
typedef struct aimnet_nlist_options {
    size_t struct_size; /* set by aimnet_nlist_options_default() */
    int threads;        /* 0 (default): one per available processor */
    aimnet_nlist_algorithm algorithm;
    int nb_threshold; /* AUTO: molecules of up to this many atoms use all pairs (default 120) */
    int reverse;      /* 1: also the index of every opposite pair */
    const aimnet_allocator *allocator; /* NULL: malloc/free; copied */
} aimnet_nlist_options;
AIMNET_API aimnet_nlist_options aimnet_nlist_options_default(void);

/* ---------------------------------------------------------------- lists */

enum { AIMNET_MAX_CUTOFFS = 8 };

/* Compressed rows (CSR): the pairs of atom i are row[i] .. row[i + 1] - 1. Arrays belong to the
 * object that gave the view and live until its next build. */
typedef struct aimnet_pairs {
    int32_t n_atoms;
    int32_t max_neighbors; /* length of the longest row */
    int64_t n_pairs;
    double cutoff;          /* Angstrom */
    const int64_t *row;     /* [n_atoms + 1] */
    const int32_t *j;       /* [n_pairs] */
    const int32_t *shift;   /* [n_pairs][3] S; NULL when no system is periodic */
    const int64_t *reverse; /* [n_pairs] index of (j, i, -S); NULL unless asked for */
} aimnet_pairs;

typedef struct aimnet_nlist aimnet_nlist;
/* options: NULL for the defaults. Errors: ARG, MEMORY. *nlist is NULL on failure. */
AIMNET_API aimnet_status aimnet_nlist_create(const aimnet_nlist_options *options,
                                             aimnet_nlist **nlist);
AIMNET_API void aimnet_nlist_free(aimnet_nlist *nlist);

/* Builds the lists of n_cutoffs cutoffs (1 .. AIMNET_MAX_CUTOFFS, any order, each > 0; INFINITY
 * where nothing is periodic: all pairs) in one search. Time and memory are O(atoms + pairs). A
 * second build of the same size allocates nothing. */
AIMNET_API aimnet_status aimnet_nlist_build(aimnet_nlist *nlist, const aimnet_atoms *atoms,
                                            const double *cutoffs, int n_cutoffs);
/* Only counts the pairs of one cutoff: their number and the length of the longest row (either may
 * be NULL). O(atoms) memory. The lists of the last build are lost. */
AIMNET_API aimnet_status aimnet_nlist_count(aimnet_nlist *nlist, const aimnet_atoms *atoms,
                                            double cutoff, int64_t *n_pairs,
                                            int32_t *max_neighbors);

/* The list of cutoffs[index] of the last build. Errors: ARG (no such list). */
AIMNET_API aimnet_status aimnet_nlist_csr(const aimnet_nlist *nlist, int index,
                                          aimnet_pairs *pairs);
/* The same as coordinates (COO), copied into the caller's arrays of `capacity` pairs; each may be
 * NULL. vector: r_ij, distance: |r_ij|, of the positions of `atoms`, which may be NULL without
 * these two and otherwise must be those of the build or others of the same shape (cells included).
 * Errors: OVERFLOW, with *n_pairs the needed capacity and nothing written. */
AIMNET_API aimnet_status aimnet_nlist_coo(const aimnet_nlist *nlist, int index,
                                          const aimnet_atoms *atoms, int64_t capacity,
                                          int64_t *n_pairs, int32_t *i, int32_t *j,
                                          int32_t *shift /* [capacity][3] */,
                                          double *vector /* [capacity][3] */, double *distance);
/* The same as a matrix: row i holds the neighbours of atom i in order, then the padding value N =
 * n_atoms; row N is all padding.
 *     nbmat[n_atoms + 1][width]
 *     shifts[n_atoms + 1][width][3]    0 in the padding; NULL: not wanted
 *     num_neighbors[n_atoms]           or NULL
 * width must be a positive multiple of 16. Errors: OVERFLOW, with *needed (if not NULL) the
 * smallest width that suffices. */
AIMNET_API aimnet_status aimnet_nlist_matrix(const aimnet_nlist *nlist, int index, int32_t width,
                                             int32_t *nbmat, int32_t *shifts,
                                             int32_t *num_neighbors, int32_t *needed);

/* ---------------------------------------------------------------- matrix that sizes itself */

/* A neighbour matrix whose width follows the systems it is used for: it starts with the multiple of
 * 16 next above density 4/3 pi rc^3; an overflow makes it 1.5 times as wide (next multiple of 16)
 * and tries again, each time counted; when the longest row fills less than 2/3 of the target
 * utilisation (75 %), the next call starts from longest row / 0.75 (next multiple of 16, at least
 * 16). */
typedef struct aimnet_adaptive_list aimnet_adaptive_list;

typedef struct aimnet_matrix {
    int32_t n_atoms;
    int32_t width;                /* of a row in memory, a multiple of 16 */
    int32_t max_neighbors;        /* longest row */
    int retries;                  /* of this build */
    const int32_t *nbmat;         /* [n_atoms + 1][width] */
    const int32_t *shifts;        /* [n_atoms + 1][width][3]; NULL when no system is periodic */
    const int32_t *num_neighbors; /* [n_atoms] */
} aimnet_matrix;

/* cutoff in Angstrom; density in atoms/A^3, 0 for 0.2. options: NULL for the defaults. */
AIMNET_API aimnet_status aimnet_adaptive_list_create(double cutoff, double density,
                                                     const aimnet_nlist_options *options,
                                                     aimnet_adaptive_list **list);
AIMNET_API void aimnet_adaptive_list_free(aimnet_adaptive_list *list);
/* Builds the matrix. Its arrays belong to the list and live until the next build. */
AIMNET_API aimnet_status aimnet_adaptive_list_build(aimnet_adaptive_list *list,
                                                    const aimnet_atoms *atoms,
                                                    aimnet_matrix *matrix);
/* Width that the next build starts with, and the retries of all builds so far. */
AIMNET_API int32_t aimnet_adaptive_list_width(const aimnet_adaptive_list *list);
AIMNET_API int64_t aimnet_adaptive_list_retries(const aimnet_adaptive_list *list);

/* ---------------------------------------------------------------- Verlet skin */

/* A list for trajectories: it is searched with rc + skin and from then on filtered to rc, until a
 * pair outside rc + skin at the last search might have come within rc. With E = cell_0^-1 cell - 1
 * (0 for an unchanged cell), |E| its Frobenius norm, and u_i = x_i - x_i0 (1 + E) it is kept while
 *     (rc + skin) (1 - |E|) - 2 max |u_i| >= rc.
 * Every update gives exactly what aimnet_nlist_build gives for these positions. Wrapping an atom by
 * a cell vector between updates is a large displacement: it causes a new search. */
typedef struct aimnet_skin_list aimnet_skin_list;
AIMNET_API aimnet_status aimnet_skin_list_create(double cutoff, double skin,
                                                 const aimnet_nlist_options *options,
                                                 aimnet_skin_list **list);
AIMNET_API void aimnet_skin_list_free(aimnet_skin_list *list);
/* rebuilt (or NULL): 1 if this update searched anew. The view lives until the next update. */
AIMNET_API aimnet_status aimnet_skin_list_update(aimnet_skin_list *list, const aimnet_atoms *atoms,
                                                 int *rebuilt, aimnet_pairs *pairs);
/* Whether the next update with these atoms would search anew; changes nothing. */
AIMNET_API aimnet_status aimnet_skin_list_outdated(aimnet_skin_list *list,
                                                   const aimnet_atoms *atoms, int *outdated);
AIMNET_API int64_t aimnet_skin_list_searches(const aimnet_skin_list *list); /* so far */

/* ---------------------------------------------------------------- lists of the caller, wrapping */

/* Checks a neighbour matrix from elsewhere: nbmat[n_rows][width] with n_rows = n_atoms or n_atoms +
 * 1 (padding row), shifts[n_rows][width][3] or NULL (no shifts). Entries are atoms of the same
 * system or the padding value n_atoms, in any order; no atom is its own neighbour without a shift,
 * no pair occurs twice, every pair has its opposite, shifts are 0 along directions that are not
 * periodic and in the padding, a padding row is all padding. Pairs beyond the cutoff are allowed
 * (lists with a skin). complete = 1: also no pair within the cutoff may be missing. Errors: ARG
 * with the first violation in the message. options: NULL for the defaults. */
AIMNET_API aimnet_status aimnet_nlist_check(const aimnet_atoms *atoms, double cutoff,
                                            const int32_t *nbmat, int32_t n_rows, int32_t width,
                                            const int32_t *shifts, int complete,
                                            const aimnet_nlist_options *options);

/* Moves atoms into their cells along the periodic directions: fractional coordinates f of x = f
 * cell end in 0 <= f < 1 (up to rounding), those of the other directions stay. A zero vector along
 * a direction that is not periodic is replaced by the normal of the others.
 *     wrapped[n_atoms][3]    Angstrom; may be atoms->coord itself
 *     shifts[n_atoms][3]     x = wrapped + shifts cell; NULL: not wanted
 * Atoms of systems without periodicity are copied. Errors: ARG, SYSTEM. */
AIMNET_API aimnet_status aimnet_wrap(const aimnet_atoms *atoms, double *wrapped, int32_t *shifts);

#ifdef __cplusplus
}
#endif
#endif
