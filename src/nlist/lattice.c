/* SPDX-License-Identifier: MIT */
/* lattice.c - a short basis of the periodic directions of a cell.
 *
 * The number of cells and images that a search visits grows with the skewness |a||b||c| / V of the
 * basis it works in, so the periodic vectors are shortened first: a vector loses the nearest
 * multiple of another one, and in three dimensions the longest one becomes the shortest of its sums
 * with the others, as long as a length goes down. At the end all dihedral and plane angles are near
 * those of a Minkowski reduced basis. The integers u are exact; the frame is recomputed from them,
 * so that shifts in the frame become shifts of the given cell without rounding. Called by the
 * neighbour search and by aimnet_wrap. */
#include "nlist/lattice.h"

#include <float.h>
#include <string.h>
#include "base/vec3.h"

/* Shapes beyond these are treated as singular: V / (|a||b||c|) and entries of u. */
static const double MIN_SHAPE = 1e-10;
static const double MAX_LENGTH = 1e12; /* Angstrom */
enum { MAX_ROUNDS = 200, MAX_ENTRY = 1 << 17 };
static const double SHORTER = 1.0 - 1e-9; /* a step must shorten by this factor (squared length) */

typedef struct basis {
    int n;       /* periodic directions */
    int axis[3]; /* their cell vectors */
    double v[3][3];
    double u[3][3]; /* integers */
} basis;

static double norm2(const double *v)
{
    return aim_dot3(v, v);
}

static void add_multiple(basis *b, int to, double k, int from)
{
    for (int d = 0; d < 3; d++) {
        b->v[to][d] += k * b->v[from][d];
        b->u[to][d] += k * b->u[from][d];
    }
}

/* One sweep over pairs; returns whether anything became shorter. */
static int shorten_pairs(basis *b)
{
    int changed = 0;
    for (int p = 0; p < b->n; p++) {
        for (int q = 0; q < b->n; q++) {
            if (p == q)
                continue;
            const double k = -nearbyint(aim_dot3(b->v[p], b->v[q]) / norm2(b->v[q]));
            double trial[3];
            for (int d = 0; d < 3; d++)
                trial[d] = b->v[p][d] + k * b->v[q][d];
            if (k != 0.0 && norm2(trial) < SHORTER * norm2(b->v[p])) {
                add_multiple(b, p, k, q);
                changed = 1;
            }
        }
    }
    return changed;
}

/* v_p + s v_q + t v_r with s, t = +-1, for every p. */
static int shorten_sums(basis *b)
{
    int changed = 0;
    for (int p = 0; b->n == 3 && p < 3; p++) {
        const int q = (p + 1) % 3, r = (p + 2) % 3;
        for (int signs = 0; signs < 4; signs++) {
            const double s = signs & 1 ? -1.0 : 1.0, t = signs & 2 ? -1.0 : 1.0;
            double trial[3];
            for (int d = 0; d < 3; d++)
                trial[d] = b->v[p][d] + s * b->v[q][d] + t * b->v[r][d];
            if (norm2(trial) < SHORTER * norm2(b->v[p])) {
                add_multiple(b, p, s, q);
                add_multiple(b, p, t, r);
                changed = 1;
            }
        }
    }
    return changed;
}

/* Volume, area or length spanned by the basis over the product of its lengths. */
static double shape_of(const basis *b)
{
    double product = 1.0, span = 1.0, c[3];
    for (int p = 0; p < b->n; p++)
        product *= aim_norm3(b->v[p]);
    if (b->n == 1) {
        span = aim_norm3(b->v[0]);
    } else if (b->n >= 2) {
        aim_cross3(b->v[0], b->v[1], c);
        span = b->n == 2 ? aim_norm3(c) : fabs(aim_dot3(c, b->v[2]));
    }
    return product > DBL_MIN ? span / product : 0.0;
}

static aim_status reduce(basis *b)
{
    if (!(shape_of(b) > MIN_SHAPE))
        return AIM_FAIL(
            AIMNET_ERR_SYSTEM,
            "the periodic cell vectors are zero or linearly dependent; give a cell with a volume "
            "or switch periodicity off");
    for (int round = 0; round < MAX_ROUNDS; round++) {
        if (shorten_pairs(b))
            continue;
        if (!shorten_sums(b))
            break;
    }
    for (int p = 0; p < b->n; p++)
        for (int d = 0; d < 3; d++)
            if (!(fabs(b->u[p][d]) <= MAX_ENTRY))
                return AIM_FAIL(
                    AIMNET_ERR_SYSTEM,
                    "the cell is too skewed (more than %d cell vectors fit beside each other); use "
                    "an equivalent cell with shorter vectors",
                    MAX_ENTRY);
    return AIMNET_OK;
}

/* Unit vector perpendicular to a (and to b unless it is NULL). */
static void perpendicular(const double *a, const double *b, double out[3])
{
    double axis[3] = {0.0, 0.0, 0.0};
    if (!b) {
        int least = 0;
        for (int d = 1; d < 3; d++)
            if (fabs(a[d]) < fabs(a[least]))
                least = d;
        axis[least] = 1.0;
        b = axis;
    }
    aim_cross3(a, b, out);
    const double f = 1.0 / aim_norm3(out);
    for (int d = 0; d < 3; d++)
        out[d] *= f;
}

/* Fills the rows of the directions that are not periodic. */
static void complete(aim_lattice *l, const basis *b)
{
    int open[3], n_open = 0;
    for (int d = 0; d < 3; d++)
        if (!l->periodic[d])
            open[n_open++] = d;
    if (n_open == 1) {
        perpendicular(l->frame + 3 * b->axis[0], l->frame + 3 * b->axis[1], l->frame + 3 * open[0]);
    } else if (n_open == 2) {
        perpendicular(l->frame + 3 * b->axis[0], NULL, l->frame + 3 * open[0]);
        perpendicular(l->frame + 3 * b->axis[0], l->frame + 3 * open[0], l->frame + 3 * open[1]);
    }
}

static void set_open(aim_lattice *l)
{
    static const double unit[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    memset(l, 0, sizeof *l);
    memcpy(l->frame, unit, sizeof unit);
    memcpy(l->inverse, unit, sizeof unit);
    l->identity = 1;
    l->height[0] = l->height[1] = l->height[2] = 1.0;
}

static void set_frame(aim_lattice *l, const basis *b, const double *cell)
{
    for (int p = 0; p < b->n; p++) {
        const int d = b->axis[p];
        l->periodic[d] = l->any = 1;
        for (int e = 0; e < 3; e++) {
            l->u[3 * d + e] = (int32_t)b->u[p][e];
            l->identity &= l->u[3 * d + e] == (d == e);
        }
        aim_vecmat3(b->u[p], cell, l->frame + 3 * d);
    }
    complete(l, b);
    aim_inverse3(l->frame, l->inverse);
    for (int d = 0; d < 3; d++) {
        const double column[3] = {l->inverse[d], l->inverse[3 + d], l->inverse[6 + d]};
        l->height[d] = 1.0 / aim_norm3(column);
    }
}

aim_status aim_lattice_set(aim_lattice *lattice, const double *cell, const int32_t *pbc)
{
    set_open(lattice);
    if (!cell || !pbc || !(pbc[0] || pbc[1] || pbc[2]))
        return AIMNET_OK;
    basis b = {0};
    double clean[9] = {0};
    for (int k = 0; k < 9; k++) /* also those that are not periodic: 0 times them must be 0 */
        if (!(fabs(cell[k]) < MAX_LENGTH))
            return AIM_FAIL(AIMNET_ERR_SYSTEM,
                            "component %d of cell vector %d is not finite or above %g A", k % 3,
                            k / 3, MAX_LENGTH);
    for (int d = 0; d < 3; d++) {
        if (!pbc[d])
            continue;
        memcpy(clean + 3 * d, cell + 3 * d, 3 * sizeof *cell);
        b.axis[b.n] = d;
        memcpy(b.v[b.n], clean + 3 * d, sizeof b.v[0]);
        b.u[b.n++][d] = 1.0;
    }
    AIM_TRY(reduce(&b));
    set_frame(lattice, &b, clean);
    return AIMNET_OK;
}

void aim_lattice_wrap(const aim_lattice *lattice, const double x[3], double w[3], double inside[3],
                      double fraction[3])
{
    w[0] = w[1] = w[2] = 0.0;
    memcpy(inside, x, 3 * sizeof *x);
    /* the second round only acts on atoms so far away that the first quotient was rounded across a
     * boundary */
    for (int round = 0; round < 2; round++) {
        double step = 0.0, back[3];
        aim_vecmat3(inside, lattice->inverse, fraction);
        for (int d = 0; d < 3; d++) {
            const double whole = lattice->periodic[d] ? floor(fraction[d]) : 0.0;
            w[d] += whole;
            fraction[d] -= whole;
            step += fabs(whole);
        }
        if (step == 0.0)
            return;
        aim_vecmat3(w, lattice->frame, back);
        for (int d = 0; d < 3; d++)
            inside[d] = x[d] - back[d];
    }
}
