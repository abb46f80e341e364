/* SPDX-License-Identifier: MIT */
/* pme.h - the mesh of particle mesh Ewald of one system, shared by the energy (pme.c) and its
 * tangent (pme_tan.c).
 *
 *     aim_pme_begin(&m, io, system, accuracy);  layout (measure, place) with aim_pme_layout;
 *     aim_pme_start(&m): tables, atoms sorted by plane, their splines
 *     aim_pme_charge_task for every plane; columns along the first axis: the caller's;
 *     aim_pme_potential_task for every plane: back to the mesh. */
#ifndef AIM_TERM_PME_H
#define AIM_TERM_PME_H

#include "term/term.h"

typedef struct aim_pme_spot { /* of an atom: mesh cell and place in it */
    double t[3];
    int32_t cell[3];
} aim_pme_spot;

typedef struct aim_pme {
    aim_term_io *io;
    const aim_term_kernels *kernels;
    aim_pme_params params;
    int32_t first, n; /* atoms of the system */
    double inverse[9];
    int padded;            /* order, rounded up to AIM_MESH_LANES */
    int columns;           /* half spectrum of a row, rounded up to AIM_MESH_LANES */
    size_t row, plane;     /* doubles from row to row of the potential, from plane to plane */
    int64_t n_blocks;      /* of columns, `width` each */
    aim_pme_spot *spot;    /* [n] */
    int32_t *bin, *sorted; /* [mesh0 + 1], [n]: atoms by first plane */
    double *w;             /* [n rounded up][3][padded] splines of the sorted atoms */
    double *mesh;          /* [mesh0][plane] spectrum (re, im), then the potential */
    double *twiddle[3], *modulus[3], *weight;
    double *sums; /* [n_blocks][7] */
    double *work; /* [workers][work_size] */
    size_t fft_size, work_size;
    aim_fft_plan plan[3];
    aim_mesh_waves waves;
} aim_pme;

void aim_pme_begin(aim_pme *m, aim_term_io *io, int32_t system, double accuracy);
void aim_pme_layout(aim_pme *m, aim_arena *arena);
/* Refuses a mesh that overflowed. */
AIM_NODISCARD aim_status aim_pme_reserve(const aim_pme *m, const aim_arena *measured);
void aim_pme_start(aim_pme *m);
/* Buffers of a worker: for transforms, and for a plane of charges behind it. */
double *aim_pme_work(const aim_pme *m, int worker, double **plane);
/* Tiles are added to rows of m->row, which run over their ends by `padded`. */
void aim_pme_clear_plane(const aim_pme *m, double *plane);
double *aim_pme_tile_start(const aim_pme *m, int32_t atom, double *plane);
/* Folds the plane's ends in and leaves its transform along two axes in the mesh. */
void aim_pme_transform_plane(const aim_pme *m, int64_t x, double *plane, double *fft);
/* ctx: the aim_pme; tasks: the planes. Charges to transformed planes; spectrum to potential. */
void aim_pme_charge_task(void *ctx, int64_t x, int worker);
void aim_pme_potential_task(void *ctx, int64_t x, int worker);
/* Splines of a block of AIM_MESH_LANES sorted atoms, [atom][axis][padded]; t: [atom][axis]. */
void aim_pme_block_places(const aim_pme *m, int64_t block, double *t);
/* Where an atom's points lie in the potential; splines are the caller's. */
void aim_pme_tile_place(const aim_pme *m, int32_t atom, size_t *plane, size_t *row,
                        aim_mesh_tile *tile);

#endif
