/* SPDX-License-Identifier: MIT */
/* scan_body.h - the two passes over the candidates of a group: counting the rows, then writing them. Included by scan_base.c and
 * scan_avx2.c, which are the same code for two instruction sets.
 *
 * A group's candidates are all atoms and images that may be within the cutoff of its bounding box. Their positions
 * relative to the middle of the box are held in single precision, so that distances are vectorised and cheap. A squared distance
 * below `lo` is certainly inside the cutoff and one above `hi` certainly outside; only the few in between are
 * decided by the double precision formula of the positions as given. So the result is that of the double formula, always.
 *
 * Rounding, single precision, u = 2^-24, R = half diagonal of the box + cutoff: a component of a pair vector is wrong by at most 3 u R, a
 * squared distance d^2 <= cutoff^2 by 2 sqrt(3) cutoff 3 u R + 4 u cutoff^2 < 11 u R cutoff + 4 u cutoff^2; the band is 64 u (R + cutoff) cutoff.
 * Counting reads candidates in blocks and needs no memory; filling gathers all of them, sorted by (j, S) once for the whole group, so
 * that every row comes out sorted without being sorted itself. */
#include "nlist/search.h"

#include <math.h>
#include <string.h>
#include "base/vec3.h"

enum { BLOCK = 512, CHUNK = 64 };

typedef struct walk {
    const aim_nlist *n;
    const aim_nlist_plan *p;
    const double *pos;          /* of slots */
    const int32_t *atom;        /* of slots; NULL: the same index */
    const aim_shift *wrap;      /* of slots; NULL: not periodic */
    aim_group g;
    double middle[3], half[3];  /* of the group's bounding box */
    double reach2;              /* squared distance from the box beyond which nothing can be a neighbour */
    float lo[AIM_MAX_CUTOFFS], hi[AIM_MAX_CUTOFFS];
    float hx[AIM_GROUP_ATOMS], hy[AIM_GROUP_ATOMS], hz[AIM_GROUP_ATOMS]; /* home atoms */
    aim_candidates out;
    int64_t n_out, seen;
    int counting;
    int32_t count[AIM_MAX_CUTOFFS][AIM_GROUP_ATOMS];
} walk;

static int32_t home_atom(const walk *w, int32_t h)
{
    return w->atom ? w->atom[w->g.first + h] : w->g.first + h;
}

static void set_box(walk *w)
{
    const double *x = w->pos + 3 * (size_t)w->g.first;
    double low[3], high[3], diagonal2 = 0.0;
    for (int d = 0; d < 3; d++)
        low[d] = high[d] = x[d];
    for (int32_t h = 1; h < w->g.count; h++) {
        for (int d = 0; d < 3; d++) {
            low[d] = fmin(low[d], x[3 * h + d]);
            high[d] = fmax(high[d], x[3 * h + d]);
        }
    }
    for (int d = 0; d < 3; d++) {
        w->middle[d] = 0.5 * (low[d] + high[d]);
        w->half[d] = 0.5 * (high[d] - low[d]);
        diagonal2 += w->half[d] * w->half[d];
    }
    for (int32_t h = 0; h < w->g.count; h++) {
        w->hx[h] = (float)(x[3 * h] - w->middle[0]);
        w->hy[h] = (float)(x[3 * h + 1] - w->middle[1]);
        w->hz[h] = (float)(x[3 * h + 2] - w->middle[2]);
    }
    const double range = w->p->range;
    w->reach2 = range * range;
    for (int c = 0; c < w->n->n_cutoffs; c++) {
        const double rc = fmin(w->n->cutoff[c], range);
        const double band = 64.0 * 0x1p-24 * (sqrt(diagonal2) + 2.0 * rc) * rc + 4.0 * w->p->slack * (rc + w->p->slack);
        w->lo[c] = (float)(rc * rc - band);
        w->hi[c] = (float)(rc * rc + band);
    }
}

static void squared_distances(const aim_candidates *q, int64_t n, float x, float y, float z, float *AIM_RESTRICT d2)
{
    const float *AIM_RESTRICT qx = q->x, *AIM_RESTRICT qy = q->y, *AIM_RESTRICT qz = q->z;
    for (int64_t k = 0; k < n; k++) {
        const float dx = qx[k] - x, dy = qy[k] - y, dz = qz[k] - z;
        d2[k] = dx * dx + dy * dy + dz * dz;
    }
}

static int32_t count_below(const float *d2, int64_t n, float limit)
{
    int32_t count = 0;
    for (int64_t k = 0; k < n; k++)
        count += d2[k] < limit;
    return count;
}

static int is_inside(const walk *w, const aim_candidates *q, int64_t k, int32_t h, int cutoff)
{
    const aim_nlist *n = w->n;
    const int32_t i = home_atom(w, h), j = q->j[k];
    if (!w->wrap)
        return aim_exact_distance2(n->batch, i, j, NULL) < n->squared[cutoff];
    aim_shift s;
    for (int e = 0; e < 3; e++)
        s[e] = q->shift[k][e] + w->wrap[w->g.first + h][e];
    return aim_exact_distance2(n->batch, i, j, s) < n->squared[cutoff];
}

/* Adds the candidates of the block to the counts of all home atoms and empties the block. */
static void count_block(walk *w)
{
    float d2[BLOCK];
    for (int32_t h = 0; h < w->g.count; h++) {
        squared_distances(&w->out, w->n_out, w->hx[h], w->hy[h], w->hz[h], d2);
        for (int c = 0; c < w->n->n_cutoffs; c++) {
            int32_t inside = count_below(d2, w->n_out, w->lo[c]);
            if (inside != count_below(d2, w->n_out, w->hi[c]))
                for (int64_t k = 0; k < w->n_out; k++)
                    inside += d2[k] >= w->lo[c] && d2[k] < w->hi[c] && is_inside(w, &w->out, k, h, c);
            w->count[c][h] += inside;
        }
    }
    w->seen += w->n_out;
    w->n_out = 0;
}

/* Appends slots first .. end - 1, moved by `image`, if they are near the box. */
static void add_slots(walk *w, int32_t first, int32_t end, const double image[3], const int32_t shift[3])
{
    const double ox = w->middle[0] - image[0], oy = w->middle[1] - image[1], oz = w->middle[2] - image[2];
    for (int32_t begin = first; begin < end; begin += CHUNK) {
        const int32_t stop = end - begin < CHUNK ? end : begin + CHUNK;
        if (w->counting && w->n_out + CHUNK > BLOCK)
            count_block(w);
        int64_t m = w->n_out;
        for (int32_t k = begin; k < stop; k++) {
            const double *x = w->pos + 3 * (size_t)k;
            const double dx = x[0] - ox, dy = x[1] - oy, dz = x[2] - oz;
            const double gx = fmax(fabs(dx) - w->half[0], 0.0), gy = fmax(fabs(dy) - w->half[1], 0.0),
                         gz = fmax(fabs(dz) - w->half[2], 0.0);
            w->out.x[m] = (float)dx;
            w->out.y[m] = (float)dy;
            w->out.z[m] = (float)dz;
            w->out.j[m] = w->atom ? w->atom[k] : k;
            if (w->wrap)
                for (int e = 0; e < 3; e++)
                    w->out.shift[m][e] = shift[e] - w->wrap[k][e];
            m += gx * gx + gy * gy + gz * gz < w->reach2;
        }
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

/* All atoms, each with its images in ascending order: already sorted. */
static void gather_all(walk *w)
{
    const aim_nlist_plan *p = w->p;
    double image[3] = {0.0, 0.0, 0.0};
    int32_t shift[3] = {0, 0, 0}, m[3];
    if (!p->lattice.any) {
        add_slots(w, p->first, p->first + p->count, image, shift);
        return;
    }
    for (int32_t k = p->first; k < p->first + p->count; k++)
        for (m[0] = -p->reach[0]; m[0] <= p->reach[0]; m[0]++)
            for (m[1] = -p->reach[1]; m[1] <= p->reach[1]; m[1]++)
                for (m[2] = -p->reach[2]; m[2] <= p->reach[2]; m[2]++) {
                    image_of(&p->lattice, m, image, shift);
                    add_slots(w, k, k + 1, image, shift);
                }
}

/* Range of the atoms of grid cell k (along all directions) of the system. */
static void add_cell(walk *w, const int32_t k[3], const double image[3], const int32_t shift[3])
{
    const aim_nlist *n = w->n;
    const aim_nlist_plan *p = w->p;
    const int64_t cell = ((int64_t)k[0] * p->n[1] + k[1]) * p->n[2] + k[2];
    if (p->n_buckets == p->n_cells) {
        const int32_t *start = n->bucket + p->first_bucket + cell;
        add_slots(w, p->first + start[0], p->first + start[1], image, shift);
        return;
    }
    const uint64_t hash = ((uint64_t)cell * UINT64_C(0x9E3779B97F4A7C15)) >> p->hash_shift;
    const int32_t *start = n->bucket + p->first_bucket + hash;
    int32_t first = p->first + start[0], end = p->first + start[1];
    while (first < end && n->cell[first] != cell)
        first++;
    while (first < end && n->cell[end - 1] != cell)
        end--;
    add_slots(w, first, end, image, shift);
}

/* Cell index `k` along d, which may lie outside: the cell inside and the image. Returns 0 where there is none. */
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

static void gather_grid(walk *w)
{
    const aim_nlist_plan *p = w->p;
    const int64_t home = w->n->cell[w->g.first];
    const int32_t hx = (int32_t)(home / p->n[2] / p->n[1]), hy = (int32_t)(home / p->n[2] % p->n[1]),
                  hz = (int32_t)(home % p->n[2]);
    int32_t k[3], m[3], shift[3];
    double image[3];
    for (int32_t x = hx - p->reach[0]; x <= hx + p->reach[0]; x++) {
        if (!fold(p, 0, x, &k[0], &m[0]))
            continue;
        for (int32_t y = hy - p->reach[1]; y <= hy + p->reach[1]; y++) {
            if (!fold(p, 1, y, &k[1], &m[1]))
                continue;
            for (int32_t z = hz - p->reach[2]; z <= hz + p->reach[2]; z++) {
                if (!fold(p, 2, z, &k[2], &m[2]))
                    continue;
                image_of(&p->lattice, m, image, shift);
                add_cell(w, k, image, shift);
            }
        }
    }
}

static void start_walk(walk *w, const aim_nlist *n, int32_t group)
{
    w->n = n;
    w->g = n->group[group];
    w->p = n->plan + w->g.system;
    const int own = w->p->grid || w->p->lattice.any; /* has slots of its own */
    w->pos = own ? n->pos : n->batch->coord;
    w->atom = w->p->grid ? n->atom : NULL;
    w->wrap = w->p->lattice.any ? n->wrap : NULL;
    w->n_out = w->seen = 0;
    set_box(w);
}

static void gather(walk *w)
{
    if (w->p->grid)
        gather_grid(w);
    else
        gather_all(w);
}

/* ---------------------------------------------------------------- first pass */

static void count_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    aim_nlist *n = ctx;
    float x[BLOCK], y[BLOCK], z[BLOCK];
    int32_t j[BLOCK];
    aim_shift shift[BLOCK];
    walk w;
    int64_t most = 0;
    for (int32_t g = aim_task_group(n, task); g < aim_task_group(n, task + 1); g++) {
        start_walk(&w, n, g);
        w.counting = 1;
        w.out = (aim_candidates){x, y, z, j, shift};
        for (int c = 0; c < n->n_cutoffs; c++)
            memset(w.count[c], 0, (size_t)w.g.count * sizeof w.count[c][0]);
        gather(&w);
        count_block(&w);
        most = w.seen > most ? w.seen : most;
        for (int c = 0; c < n->n_cutoffs; c++)
            for (int32_t h = 0; h < w.g.count; h++)
                n->pairs[c].row[home_atom(&w, h) + 1] = w.count[c][h] - 1; /* without itself */
    }
    n->task_candidates[task] = most;
}

/* ---------------------------------------------------------------- second pass */

/* One pass of merging runs [bound_k, bound_k+1) two by two; returns the number of runs left. */
static int32_t merge_runs(const uint64_t *AIM_RESTRICT from, uint64_t *AIM_RESTRICT to, int32_t *bound, int32_t runs)
{
    int32_t left = 0;
    for (int32_t r = 0; r < runs; r += 2) {
        int32_t a = bound[r], o = a;
        const int32_t a_end = bound[r + 1], b_end = r + 1 < runs ? bound[r + 2] : a_end;
        int32_t b = a_end;
        while (a < a_end && b < b_end) {
            const uint64_t va = from[a], vb = from[b];
            const int32_t second = vb < va;
            to[o++] = second ? vb : va;
            b += second;
            a += 1 - second;
        }
        memcpy(to + o, from + a, (size_t)(a_end - a) * sizeof *to);
        memcpy(to + o + (a_end - a), from + b, (size_t)(b_end - b) * sizeof *to);
        bound[left++] = bound[r];
    }
    bound[left] = bound[runs];
    return left;
}

static int shift_above(const int32_t *a, const int32_t *b)
{
    for (int e = 0; e < 2; e++)
        if (a[e] != b[e])
            return a[e] > b[e];
    return a[2] > b[2];
}

static void sift_down(uint64_t *key, int64_t root, int64_t n, const aim_shift *shift)
{
    const uint64_t v = key[root];
    for (int64_t child; (child = 2 * root + 1) < n; root = child) {
        if (child + 1 < n && shift_above(shift[(uint32_t)key[child + 1]], shift[(uint32_t)key[child]]))
            child++;
        if (!shift_above(shift[(uint32_t)key[child]], shift[(uint32_t)v]))
            break;
        key[root] = key[child];
    }
    key[root] = v;
}

/* In a frame other than the given cell the images of one atom do not come in the order of their shifts: heap sort. */
static void order_images(uint64_t *key, int64_t n, const aim_shift *shift)
{
    for (int64_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && key[end] >> 32 == key[first] >> 32;)
            end++;
        uint64_t *part = key + first;
        int64_t left = end - first;
        for (int64_t root = left / 2; root-- > 0;)
            sift_down(part, root, left, shift);
        while (--left > 0) {
            const uint64_t top = part[0];
            part[0] = part[left];
            part[left] = top;
            sift_down(part, 0, left, shift);
        }
    }
}

/* Sorts the gathered candidates by (j, S); natural merge sort of keys (j, place in the order of gathering). */
static aim_candidates sort_candidates(const walk *w, aim_scratch *s)
{
    const int64_t n = w->n_out;
    const aim_candidates *raw = &w->out, *out = &s->sorted;
    if (!w->p->grid && w->p->lattice.identity)
        return *raw;
    int32_t *bound = s->hit, runs = 0;
    for (int64_t k = 0; k < n; k++) {
        s->key[k] = (uint64_t)(uint32_t)raw->j[k] << 32 | (uint64_t)k;
        bound[runs] = (int32_t)k;
        runs += k == 0 || raw->j[k] < raw->j[k - 1];
    }
    bound[runs] = (int32_t)n;
    while (runs > 1) {
        runs = merge_runs(s->key, s->other, bound, runs);
        uint64_t *swap = s->key;
        s->key = s->other;
        s->other = swap;
    }
    if (!w->p->lattice.identity)
        order_images(s->key, n, raw->shift);
    for (int64_t k = 0; k < n; k++) {
        const uint32_t from = (uint32_t)s->key[k];
        out->x[k] = raw->x[from];
        out->y[k] = raw->y[from];
        out->z[k] = raw->z[from];
        out->j[k] = raw->j[from];
    }
    if (w->wrap)
        for (int64_t k = 0; k < n; k++)
            memcpy(out->shift[k], raw->shift[(uint32_t)s->key[k]], sizeof out->shift[k]);
    return *out;
}

static int64_t select_below(const float *AIM_RESTRICT d2, int64_t n, float limit, int32_t *AIM_RESTRICT hit)
{
    int64_t m = 0;
    for (int64_t k = 0; k < n; k++) {
        hit[m] = (int32_t)k;
        m += d2[k] < limit;
    }
    return m;
}

/* Writes the row of home atom h of list c from the candidates hit[0 .. n_hit - 1]. */
static void write_row(const walk *w, const aim_candidates *q, const aim_scratch *s, int64_t n_hit, int32_t h, int c)
{
    const aim_pairs *pairs = w->n->pairs + c;
    const int32_t i = home_atom(w, h);
    const int32_t *wrap = w->wrap ? w->wrap[w->g.first + h] : NULL;
    int64_t p = pairs->row[i];
    for (int64_t t = 0; t < n_hit; t++) {
        const int32_t k = s->hit[t], j = q->j[k];
        aim_shift v = {0, 0, 0};
        if (wrap)
            for (int e = 0; e < 3; e++)
                v[e] = q->shift[k][e] + wrap[e];
        if (j == i && !(v[0] | v[1] | v[2]))
            continue;
        if (!(s->d2[k] < w->lo[c]) && (!(s->d2[k] < w->hi[c]) || !is_inside(w, q, k, h, c)))
            continue;
        pairs->j[p] = j;
        if (pairs->shift)
            memcpy(pairs->shift[p], v, sizeof v);
        p++;
    }
}

static void fill_task(void *ctx, int64_t task, int worker)
{
    aim_nlist *n = ctx;
    aim_scratch *s = n->scratch + worker;
    walk w;
    for (int32_t g = aim_task_group(n, task); g < aim_task_group(n, task + 1); g++) {
        start_walk(&w, n, g);
        w.counting = 0;
        w.out = s->raw;
        gather(&w);
        const aim_candidates q = sort_candidates(&w, s);
        for (int32_t h = 0; h < w.g.count; h++) {
            squared_distances(&q, w.n_out, w.hx[h], w.hy[h], w.hz[h], s->d2);
            const int64_t n_hit = select_below(s->d2, w.n_out, w.hi[n->widest], s->hit);
            for (int c = 0; c < n->n_cutoffs; c++)
                write_row(&w, &q, s, n_hit, h, c);
        }
    }
}
