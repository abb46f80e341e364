/* SPDX-License-Identifier: MIT */
/* walk.h - the walk over the candidate neighbours of a group of home atoms; included by scan.c
 * alone, which exists once per instruction set.
 *
 * All atoms and images that may be within the cutoff of the group's bounding box are gathered, cell
 * by cell and image by image, with positions relative to the middle of the box in single precision.
 * Where blocks are small (counting), `full` is called whenever one is full. */
#ifndef AIM_NLIST_WALK_H
#define AIM_NLIST_WALK_H

#include "backend/select.h"
#include "nlist/search.h"

#include <math.h>
#include <string.h>
#include "base/vec3.h"

enum { AIM_WALK_BLOCK = 512, AIM_WALK_CHUNK = 64 };

typedef struct walk walk;
struct walk {
    const aim_nlist *n;
    const aim_nlist_plan *p;
    const int32_t *atom;   /* of slots; NULL: the same index */
    const aim_shift *wrap; /* of slots; NULL: not periodic */
    aim_group g;
    double middle[3];      /* of the group's bounding box */
    float half[3], reach2; /* half its edges; squared distance from it beyond which nothing can be a
                              neighbour */
    float lo[AIM_MAX_CUTOFFS], hi[AIM_MAX_CUTOFFS];
    float hx[AIM_GROUP_ATOMS], hy[AIM_GROUP_ATOMS], hz[AIM_GROUP_ATOMS]; /* home atoms */
    aim_gathered out;
    int64_t n_out, n_runs, seen;
    void (*full)(walk *w); /* empties a block of AIM_WALK_BLOCK; NULL: there is room for all */
    int32_t count[AIM_MAX_CUTOFFS][AIM_GROUP_ATOMS];
};

static int32_t home_atom(const walk *w, int32_t h)
{
    return w->atom ? w->atom[w->g.first + h] : w->g.first + h;
}

static void extent_of(const double *x, int32_t n, double *middle, double *half)
{
    double low = x[0], high = x[0];
    for (int32_t k = 1; k < n; k++) {
        low = x[k] < low ? x[k] : low;
        high = x[k] > high ? x[k] : high;
    }
    *middle = 0.5 * (low + high);
    *half = 0.5 * (high - low);
}

static void set_box(walk *w)
{
    const double *x[3] = {w->n->x + w->g.first, w->n->y + w->g.first, w->n->z + w->g.first};
    float *home[3] = {w->hx, w->hy, w->hz};
    double half[3], diagonal2 = 0.0;
    for (int d = 0; d < 3; d++) {
        extent_of(x[d], w->g.count, &w->middle[d], &half[d]);
        diagonal2 += half[d] * half[d];
        w->half[d] = (float)half[d];
        for (int32_t h = 0; h < w->g.count; h++)
            home[d][h] = (float)(x[d][h] - w->middle[d]);
    }
    const double diagonal = sqrt(diagonal2), slack = w->p->slack;
    for (int c = 0; c < w->n->n_cutoffs; c++) {
        const double rc = w->n->cutoff[c] < w->p->range ? w->n->cutoff[c] : w->p->range;
        const double band =
            64.0 * 0x1p-24 * (diagonal + 2.0 * rc) * rc + 4.0 * slack * (rc + slack);
        w->lo[c] = (float)(rc * rc - band);
        w->hi[c] = (float)(rc * rc + band);
    }
    w->reach2 = w->hi[w->n->widest];
}

/* Up to AIM_WALK_CHUNK slots: positions relative to the middle of the box, and whether they are near it. */
static void approach(const walk *w, int32_t begin, int32_t n, const double image[3],
                     float *AIM_RESTRICT x, float *AIM_RESTRICT y, float *AIM_RESTRICT z,
                     int32_t *AIM_RESTRICT near)
{
    const double ox = w->middle[0] - image[0], oy = w->middle[1] - image[1],
                 oz = w->middle[2] - image[2];
    const double *AIM_RESTRICT px = w->n->x + begin, *AIM_RESTRICT py = w->n->y + begin,
                               *AIM_RESTRICT pz = w->n->z + begin;
    const float hx = w->half[0], hy = w->half[1], hz = w->half[2], reach2 = w->reach2;
    for (int32_t k = 0; k < n; k++) {
        x[k] = (float)(px[k] - ox);
        y[k] = (float)(py[k] - oy);
        z[k] = (float)(pz[k] - oz);
        const float gx = fabsf(x[k]) - hx, gy = fabsf(y[k]) - hy, gz = fabsf(z[k]) - hz;
        const float ax = gx + fabsf(gx), ay = gy + fabsf(gy), az = gz + fabsf(gz); /* 2 max(g, 0) */
        near[k] = ax * ax + ay * ay + az * az < 4.0f * reach2;
    }
}

/* Appends slots first .. end - 1, moved by `image`, if they are near the box. */
static void add_slots(walk *w, int32_t first, int32_t end, const double image[3],
                      const int32_t shift[3])
{
    float x[AIM_WALK_CHUNK], y[AIM_WALK_CHUNK], z[AIM_WALK_CHUNK];
    int32_t near[AIM_WALK_CHUNK];
    for (int32_t begin = first; begin < end; begin += AIM_WALK_CHUNK) {
        const int32_t n = end - begin < AIM_WALK_CHUNK ? end - begin : AIM_WALK_CHUNK;
        if (w->full && w->n_out + AIM_WALK_CHUNK > AIM_WALK_BLOCK)
            w->full(w);
        approach(w, begin, n, image, x, y, z, near);
        const aim_gathered out = w->out;
        const int32_t run = (int32_t)w->n_runs;
        const aim_points points = {x, y, z};
        const aim_selected to = {out.x, out.y, out.z, out.slot, out.run};
        const int64_t m = append_near(&points, near, n, begin, run, &to, w->n_out);
        if (m > w->n_out)
            memcpy(out.run_shift[w->n_runs++], shift, sizeof(aim_shift));
        w->n_out = m;
    }
}

static void image_of(const aim_lattice *l, const int32_t m[3], double image[3], int32_t shift[3])
{
    const double v[3] = {m[0], m[1], m[2]};
    aim_vecmat3(v, l->frame, image);
    for (int e = 0; e < 3; e++)
        shift[e] = m[0] * l->u[e] + m[1] * l->u[3 + e] + m[2] * l->u[6 + e];
}

/* All atoms of the system, image by image. */
static void gather_all(walk *w)
{
    const aim_nlist_plan *p = w->p;
    double image[3];
    int32_t shift[3], m[3];
    for (m[0] = -p->reach[0]; m[0] <= p->reach[0]; m[0]++)
        for (m[1] = -p->reach[1]; m[1] <= p->reach[1]; m[1]++)
            for (m[2] = -p->reach[2]; m[2] <= p->reach[2]; m[2]++) {
                image_of(&p->lattice, m, image, shift);
                add_slots(w, p->first, p->first + p->count, image, shift);
            }
}

/* Cells (x, y, z .. z_end - 1) of the grid: consecutive buckets, or hashed ones. */
static void add_cells(walk *w, int64_t column, int32_t z, int32_t z_end, const double image[3],
                      const int32_t shift[3])
{
    const aim_nlist *n = w->n;
    const aim_nlist_plan *p = w->p;
    const int32_t *start = n->bucket + p->first_bucket;
    const int64_t first_cell = column * p->n[2] + z, end_cell = first_cell + (z_end - z);
    if (p->n_buckets == p->n_cells) {
        add_slots(w, p->first + start[first_cell], p->first + start[end_cell], image, shift);
        return;
    }
    for (int64_t cell = first_cell; cell < end_cell; cell++) {
        const uint64_t hash = ((uint64_t)cell * AIM_HASH_FACTOR) >> p->hash_shift;
        int32_t first = p->first + start[hash], end = p->first + start[hash + 1];
        while (first < end && n->cell[first] != cell)
            first++;
        while (first < end && n->cell[end - 1] != cell)
            end--;
        add_slots(w, first, end, image, shift);
    }
}

/* Cell index `k` along d, which may lie outside: the cell inside and the image. Returns 0 where
 * there is none. */
static int fold(const aim_nlist_plan *p, int d, int32_t k, int32_t *inside, int32_t *m)
{
    const int32_t n = p->n[d];
    if (!p->lattice.periodic[d]) {
        *m = 0;
        *inside = k;
        return k >= 0 && k < n;
    }
    *m = k >= 0 ? k / n : -((n - 1 - k) / n);
    *inside = k - *m * n;
    return 1;
}

/* The column of cells (x, y), from z - reach to z + reach, image by image. */
static void add_column(walk *w, const int32_t k[3], int32_t m[3], int32_t z)
{
    const aim_nlist_plan *p = w->p;
    const int64_t column = (int64_t)k[0] * p->n[1] + k[1];
    const int32_t last = z + p->reach[2];
    double image[3];
    int32_t shift[3], inside;
    for (int32_t c = z - p->reach[2]; c <= last;) {
        if (!fold(p, 2, c, &inside, &m[2])) {
            c++;
            continue;
        }
        const int32_t length = last - c + 1 < p->n[2] - inside ? last - c + 1 : p->n[2] - inside;
        image_of(&p->lattice, m, image, shift);
        add_cells(w, column, inside, inside + length, image, shift);
        c += length;
    }
}

static void gather_grid(walk *w)
{
    const aim_nlist_plan *p = w->p;
    const int64_t home = w->n->cell[w->g.first];
    const int32_t hx = (int32_t)(home / p->n[2] / p->n[1]),
                  hy = (int32_t)(home / p->n[2] % p->n[1]);
    int32_t k[3], m[3];
    for (int32_t x = hx - p->reach[0]; x <= hx + p->reach[0]; x++) {
        if (!fold(p, 0, x, &k[0], &m[0]))
            continue;
        for (int32_t y = hy - p->reach[1]; y <= hy + p->reach[1]; y++)
            if (fold(p, 1, y, &k[1], &m[1]))
                add_column(w, k, m, (int32_t)(home % p->n[2]));
    }
}

static void start_walk(walk *w, const aim_nlist *n, int32_t group)
{
    w->n = n;
    w->g = n->group[group];
    w->p = n->plan + w->g.system;
    w->atom = w->p->grid ? n->atom : NULL;
    w->wrap = w->p->lattice.any ? n->wrap : NULL;
    w->n_out = w->n_runs = w->seen = 0;
    set_box(w);
}

static void gather(walk *w)
{
    if (w->p->grid)
        gather_grid(w);
    else
        gather_all(w);
}

#endif
