/* SPDX-License-Identifier: MIT */
/* close.c - cells of slabs and wires for a device, which knows crystals only: vectors without
 * periodicity are replaced by normals of the others, so long that between an atom and the images along
 * them there is more vacuum than anything reaches. The pairs are then those of the slab. */
#include <math.h>
#include <string.h>

#include "base/vec3.h"
#include "calc/calc.h"

static double reach_of(const aim_calc *c)
{
    double reach = fmax(AIM_CALC_DSF_CUTOFF, fmax(c->options.coulomb_cutoff, c->options.d3_cutoff));
    for (int k = 0; k < c->n_members; k++)
        reach = fmax(reach, c->member[k].model->cutoff);
    return reach;
}

/* v = a x b / |a x b|; 0: they are parallel */
static int make_normal(const double *a, const double *b, double *v)
{
    aim_cross3(a, b, v);
    const double length = aim_norm3(v);
    for (int d = 0; d < 3; d++)
        v[d] /= length;
    return length > 1e-9 * aim_norm3(a) * aim_norm3(b);
}

/* From a unit vector to one that reaches beyond all atoms of the system. */
static void stretch(const aim_batch *b, int32_t s, double reach, double *v)
{
    double low = INFINITY, high = -INFINITY;
    for (int32_t i = b->offset[s]; i < b->offset[s + 1]; i++) {
        const double x = aim_dot3(b->coord + 3 * (size_t)i, v);
        low = fmin(low, x);
        high = fmax(high, x);
    }
    const double length = high - low + reach + 1.0;
    for (int d = 0; d < 3; d++)
        v[d] *= length;
}

/* Replaces the open vectors of one cell; 0: impossible. */
static int close_cell(const aim_batch *b, int32_t s, double reach, double *h)
{
    const int32_t *pbc = b->pbc + 3 * s;
    const int periodic = pbc[0] + pbc[1] + pbc[2];
    int done = 1;
    if (periodic == 2) {
        const int open = !pbc[0] ? 0 : !pbc[1] ? 1 : 2;
        done = make_normal(h + 3 * ((open + 1) % 3), h + 3 * ((open + 2) % 3), h + 3 * open);
    } else if (periodic == 1) {
        const int axis = pbc[0] ? 0 : pbc[1] ? 1 : 2;
        const double *u = h + 3 * axis;
        double *v = h + 3 * ((axis + 1) % 3), *w = h + 3 * ((axis + 2) % 3), e[3] = {0};
        const int first = fabs(u[0]) < fabs(u[1]) ? 0 : 1;
        e[fabs(u[2]) < fabs(u[first]) ? 2 : first] = 1.0;
        done = make_normal(u, e, v) && make_normal(u, v, w);
    }
    for (int k = 0; k < 3 && done; k++)
        if (!pbc[k])
            stretch(b, s, reach, h + 3 * k);
    return done;
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
    f->closes = partial && possible;
    if (!f->closes)
        return;
    memcpy(f->closed, b->cell, 9 * (size_t)b->n_systems * sizeof *f->closed);
    for (int32_t s = 0; s < b->n_systems; s++)
        f->closes &= close_cell(b, s, reach_of(c), f->closed + 9 * (size_t)s);
}
