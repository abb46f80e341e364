/* SPDX-License-Identifier: MIT */
/* close.c - cells of slabs and wires for a device, which knows crystals only: vectors without
 * periodicity are replaced by normals of the others, so long that between an atom and the images along
 * them there is more vacuum than anything reaches. The pairs are then those of the slab. */
#include <math.h>
#include <string.h>

#include "backend/opt/open.h"
#include "calc/resident.h"

static double reach_of(const aim_calc *c)
{
    double reach = fmax(AIM_CALC_DSF_CUTOFF, fmax(c->options.coulomb_cutoff, c->options.d3_cutoff));
    for (int k = 0; k < c->n_members; k++) {
        const aim_model *m = c->member[k].model;
        reach = fmax(reach, m->cutoff);
        for (int o = 0; o < m->n_outputs; o++)
            if (m->output[o].kind == AIM_OUT_LRCOULOMB && m->output[o].method == AIMNET_COULOMB_DSF)
                reach = fmax(reach, m->output[o].dsf_rc);
    }
    return reach;
}

/* Replaces the open vectors of one cell by normals that reach beyond all atoms; 0: impossible. */
static int close_cell(const aim_calc *c, const aim_flat *f, int32_t s, double *h)
{
    const aim_batch *b = &f->batch;
    const int32_t *pbc = b->pbc + 3 * s, first = b->offset[s];
    const int periodic = pbc[0] + pbc[1] + pbc[2];
    if (periodic == 3)
        return 1;
    if (!aim_open_normals(pbc, h))
        return 0;
    for (int k = 0; k < 3; k++) {
        if (pbc[k])
            continue;
        const double extent = c->resident
                                  ? c->resident->extent[3 * f->index[s] + k]
                                  : aim_extent(b->coord + 3 * (size_t)first,
                                               (size_t)(b->offset[s + 1] - first), h + 3 * k);
        for (int d = 0; d < 3; d++)
            h[3 * k + d] *= extent + reach_of(c) + 1.0;
    }
    return 1;
}

void aim_close_cells(const aim_calc *c, aim_flat *f)
{
    const aim_batch *b = &f->batch;
    int partial = 0, possible = 1;
    for (int32_t s = 0; s < b->n_systems; s++) {
        const int axes = b->pbc[3 * s] + b->pbc[3 * s + 1] + b->pbc[3 * s + 2];
        partial |= axes == 1 || axes == 2;
        possible &= axes > 0;
    }
    f->closes = partial && possible && (!c->resident || c->resident->extent);
    if (!f->closes)
        return;
    memcpy(f->closed, b->cell, 9 * (size_t)b->n_systems * sizeof *f->closed);
    for (int32_t s = 0; s < b->n_systems; s++)
        f->closes &= close_cell(c, f, s, f->closed + 9 * (size_t)s);
}
