/* SPDX-License-Identifier: MIT */
/* scan.c - the two passes over the candidates of a group: counting the rows, then writing them.
 * scan_avx2.c is the same code for another instruction set.
 *
 * A group's candidates are all atoms and images that may be within the cutoff of its bounding box.
 * Their positions relative to the middle of the box are held in single precision, so that distances
 * are vectorised and cheap. A squared distance below `lo` is certainly inside the cutoff and one
 * above `hi` certainly outside; only the few in between are decided by the double precision formula
 * of the positions as given. So the result is that of the double formula, always.
 *
 * Rounding, single precision, u = 2^-24, R = half diagonal of the box + cutoff: a component of a
 * pair vector is wrong by at most 3 u R, a squared distance d^2 <= cutoff^2 by 2 sqrt(3) cutoff 3 u
 * R + 4 u cutoff^2 < 11 u R cutoff + 4 u cutoff^2; the band is 64 u (R + cutoff) cutoff.
 *
 * Counting reads candidates in blocks and needs no memory; filling gathers all of them, sorted by
 * (j, S) once for the whole group, so that every row comes out sorted without being sorted itself.
 */
#include "nlist/search.h"

#include <math.h>
#include <string.h>
#include "base/vec3.h"

enum { BLOCK = 512, CHUNK = 64 };

typedef struct walk {
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
    int counting;
    int32_t count[AIM_MAX_CUTOFFS][AIM_GROUP_ATOMS];
} walk;

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

static void squared_distances(const float *AIM_RESTRICT qx, const float *AIM_RESTRICT qy,
                              const float *AIM_RESTRICT qz, int64_t n, float x, float y, float z,
                              float *AIM_RESTRICT d2)
{
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

/* The decision in double precision. shift NULL: not periodic. */
static int is_inside(const walk *w, int32_t h, int32_t j, const int32_t *shift, int cutoff)
{
    return aim_exact_distance2(w->n->batch, home_atom(w, h), j, shift) < w->n->squared[cutoff];
}

/* Shift of gathered candidate k as the home atom with wrapping `wrap` sees it. */
static void gathered_shift(const walk *w, int64_t k, const int32_t *wrap, aim_shift s)
{
    const int32_t *run = w->out.run_shift[w->out.run[k]], *own = w->wrap[w->out.slot[k]];
    for (int e = 0; e < 3; e++)
        s[e] = run[e] - own[e] + wrap[e];
}

/* Candidates of the block between the limits of list c that are inside for home atom h. */
static AIM_NOINLINE int32_t count_borderline(const walk *w, const float *d2, int32_t h, int c)
{
    int32_t count = 0;
    for (int64_t k = 0; k < w->n_out; k++) {
        if (!(d2[k] >= w->lo[c] && d2[k] < w->hi[c]))
            continue;
        aim_shift s;
        const int32_t slot = w->out.slot[k];
        if (w->wrap)
            gathered_shift(w, k, w->wrap[w->g.first + h], s);
        count += is_inside(w, h, w->atom ? w->atom[slot] : slot, w->wrap ? s : NULL, c);
    }
    return count;
}

/* Adds the candidates of the block to the counts of all home atoms and empties the block. */
static void count_block(walk *w)
{
    float d2[BLOCK];
    const aim_gathered *q = &w->out;
    for (int32_t h = 0; h < w->g.count; h++) {
        squared_distances(q->x, q->y, q->z, w->n_out, w->hx[h], w->hy[h], w->hz[h], d2);
        for (int c = 0; c < w->n->n_cutoffs; c++) {
            int32_t inside = count_below(d2, w->n_out, w->lo[c]);
            if (inside != count_below(d2, w->n_out, w->hi[c]))
                inside += count_borderline(w, d2, h, c);
            w->count[c][h] += inside;
        }
    }
    w->seen += w->n_out;
    w->n_out = w->n_runs = 0;
}

/* Up to CHUNK slots: positions relative to the middle of the box, and whether they are near it. */
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
    float x[CHUNK], y[CHUNK], z[CHUNK];
    int32_t near[CHUNK];
    for (int32_t begin = first; begin < end; begin += CHUNK) {
        const int32_t n = end - begin < CHUNK ? end - begin : CHUNK;
        if (w->counting && w->n_out + CHUNK > BLOCK)
            count_block(w);
        approach(w, begin, n, image, x, y, z, near);
        const aim_gathered out = w->out;
        const int32_t run = (int32_t)w->n_runs;
        int64_t m = w->n_out;
        for (int32_t k = 0; k < n; k++) {
            out.x[m] = x[k];
            out.y[m] = y[k];
            out.z[m] = z[k];
            out.slot[m] = begin + k;
            out.run[m] = run;
            m += near[k];
        }
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

/* ---------------------------------------------------------------- first pass */

static void count_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    aim_nlist *n = ctx;
    float x[BLOCK], y[BLOCK], z[BLOCK];
    int32_t slot[BLOCK], run[BLOCK];
    aim_shift run_shift[BLOCK];
    walk w;
    int64_t most = 0;
    for (int32_t g = aim_task_group(n, task); g < aim_task_group(n, task + 1); g++) {
        start_walk(&w, n, g);
        w.counting = 1;
        w.out = (aim_gathered){x, y, z, slot, run, run_shift};
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
static int32_t merge_runs(const uint64_t *AIM_RESTRICT from, uint64_t *AIM_RESTRICT to,
                          int32_t *bound, int32_t runs)
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
        if (child + 1 < n &&
            shift_above(shift[(uint32_t)key[child + 1]], shift[(uint32_t)key[child]]))
            child++;
        if (!shift_above(shift[(uint32_t)key[child]], shift[(uint32_t)v]))
            break;
        key[root] = key[child];
    }
    key[root] = v;
}

/* In a frame other than the given cell the images of one atom do not come in the order of their
 * shifts: heap sort. */
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

/* Sorts the gathered candidates by (j, S), S relative to the wrapping of the home atom; natural
 * merge sort of keys (j, place in the order of gathering). */
static void sort_candidates(const walk *w, aim_scratch *s)
{
    const int64_t n = w->n_out;
    const aim_gathered *from = &w->out;
    const aim_candidates *to = &s->sorted;
    int32_t *bound = s->hit, runs = 0, before = INT32_MAX;
    for (int64_t k = 0; k < n; k++) {
        const int32_t slot = from->slot[k], j = w->atom ? w->atom[slot] : slot;
        s->key[k] = (uint64_t)(uint32_t)j << 32 | (uint64_t)k;
        bound[runs] = (int32_t)k;
        runs += j < before;
        before = j;
    }
    bound[runs] = (int32_t)n;
    while (runs > 1) {
        runs = merge_runs(s->key, s->other, bound, runs);
        uint64_t *swap = s->key;
        s->key = s->other;
        s->other = swap;
    }
    static const aim_shift none = {0, 0, 0};
    for (int64_t k = 0; w->wrap && k < n; k++)
        gathered_shift(w, k, none, s->shift[k]);
    if (!w->p->lattice.identity)
        order_images(s->key, n, s->shift);
    for (int64_t k = 0; k < n; k++) {
        const uint32_t place = (uint32_t)s->key[k];
        to->x[k] = from->x[place];
        to->y[k] = from->y[place];
        to->z[k] = from->z[place];
        to->j[k] = (int32_t)(s->key[k] >> 32);
        if (w->wrap)
            memcpy(to->shift[k], s->shift[place], sizeof to->shift[k]);
    }
}

static int64_t select_below(const float *AIM_RESTRICT d2, int64_t n, float limit,
                            int32_t *AIM_RESTRICT hit)
{
    int64_t m = 0;
    for (int64_t k = 0; k < n; k++) {
        hit[m] = (int32_t)k;
        m += d2[k] < limit;
    }
    return m;
}

/* Writes the row of home atom h of list c from the candidates hit[0 .. n_hit - 1], of which some
 * may be outside. */
static void write_checked(const walk *w, const aim_candidates *q, const aim_scratch *s,
                          int64_t n_hit, int32_t h, int c)
{
    const aim_pairs *pairs = w->n->pairs + c;
    const int32_t i = home_atom(w, h);
    int64_t p = pairs->row[i];
    for (int64_t t = 0; t < n_hit; t++) {
        const int32_t k = s->hit[t], j = q->j[k];
        aim_shift v = {0, 0, 0};
        if (w->wrap)
            for (int e = 0; e < 3; e++)
                v[e] = q->shift[k][e] + w->wrap[w->g.first + h][e];
        if (j == i && !(v[0] | v[1] | v[2]))
            continue;
        if (s->d2[k] < w->lo[c] ||
            (s->d2[k] < w->hi[c] && is_inside(w, h, j, w->wrap ? v : NULL, c))) {
            pairs->j[p] = j;
            if (pairs->shift)
                memcpy(pairs->shift[p], v, sizeof v);
            p++;
        }
    }
}

/* The same where all of them are inside, which the length of the row has told. */
static void write_all(const walk *w, const aim_candidates *q, const int32_t *AIM_RESTRICT hit,
                      int64_t n_hit, int32_t h, int c)
{
    const aim_pairs *pairs = w->n->pairs + c;
    const int32_t i = home_atom(w, h);
    const int64_t p = pairs->row[i];
    int32_t *AIM_RESTRICT out = pairs->j + p;
    if (!w->wrap) {
        for (int64_t t = 0; t < n_hit; t++)
            if (q->j[hit[t]] != i)
                *out++ = q->j[hit[t]];
        if (pairs->shift)
            memset(pairs->shift[p], 0, (size_t)(n_hit - 1) * sizeof *pairs->shift);
        return;
    }
    const int32_t *wrap = w->wrap[w->g.first + h];
    const int32_t a = wrap[0], b = wrap[1], d = wrap[2];
    aim_shift *AIM_RESTRICT shift = pairs->shift + p;
    for (int64_t t = 0; t < n_hit; t++) {
        const int32_t k = hit[t], j = q->j[k];
        const int32_t x = q->shift[k][0] + a, y = q->shift[k][1] + b, z = q->shift[k][2] + d;
        if (j == i && !(x | y | z))
            continue;
        *out++ = j;
        (*shift)[0] = x;
        (*shift)[1] = y;
        (*shift)[2] = z;
        shift++;
    }
}

static void fill_task(void *ctx, int64_t task, int worker)
{
    aim_nlist *n = ctx;
    aim_scratch *s = n->scratch + worker;
    const aim_candidates q = s->sorted;
    walk w;
    for (int32_t g = aim_task_group(n, task); g < aim_task_group(n, task + 1); g++) {
        start_walk(&w, n, g);
        w.counting = 0;
        w.out = s->gathered;
        gather(&w);
        sort_candidates(&w, s);
        for (int32_t h = 0; h < w.g.count; h++) {
            squared_distances(q.x, q.y, q.z, w.n_out, w.hx[h], w.hy[h], w.hz[h], s->d2);
            const int64_t n_hit = select_below(s->d2, w.n_out, w.hi[n->widest], s->hit);
            const int32_t i = home_atom(&w, h);
            for (int c = 0; c < n->n_cutoffs; c++) {
                if (n_hit == n->pairs[c].row[i + 1] - n->pairs[c].row[i] + 1)
                    write_all(&w, &q, s->hit, n_hit, h, c);
                else
                    write_checked(&w, &q, s, n_hit, h, c);
            }
        }
    }
}

#ifndef AIM_SCAN_NAME
#define AIM_SCAN_NAME aim_scan_base
#endif
const aim_scan *AIM_SCAN_NAME(void)
{
    static const aim_scan scan = {count_task, fill_task};
    return &scan;
}
