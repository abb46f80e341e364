/* SPDX-License-Identifier: MIT */
/* scan.c - the two passes over the candidates of a group: counting the rows, then writing them; or
 * counting and writing the candidates themselves (clusters.h).
 * scan_avx2.c and scan_avx512.c are the same code for other instruction sets.
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
#include "nlist/walk.h"

enum { FEW_BITS = 8, MANY_BITS = 11, RADIX = 1 << MANY_BITS, MANY = 1024 };

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
    float d2[AIM_WALK_BLOCK];
    const aim_points points = {w->out.x, w->out.y, w->out.z};
    for (int32_t h = 0; h < w->g.count; h++) {
        const float r[3] = {w->hx[h], w->hy[h], w->hz[h]};
        squared_distances(&points, w->n_out, r, d2);
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

/* ---------------------------------------------------------------- first pass */

static void count_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    aim_nlist *n = ctx;
    float x[AIM_WALK_BLOCK], y[AIM_WALK_BLOCK], z[AIM_WALK_BLOCK];
    int32_t slot[AIM_WALK_BLOCK], run[AIM_WALK_BLOCK];
    aim_shift run_shift[AIM_WALK_BLOCK];
    walk w;
    int64_t most = 0;
    for (int32_t g = aim_task_group(n, task); g < aim_task_group(n, task + 1); g++) {
        start_walk(&w, n, g);
        w.full = count_block;
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

/* One stable pass of counting sort by a digit of the upper half of the keys. */
static void sort_digit(const uint64_t *AIM_RESTRICT from, uint64_t *AIM_RESTRICT to, int64_t n,
                       int shift, int bits)
{
    const uint64_t mask = (UINT64_C(1) << bits) - 1;
    int32_t place[RADIX], sum = 0;
    memset(place, 0, (mask + 1) * sizeof *place);
    for (int64_t k = 0; k < n; k++)
        place[from[k] >> shift & mask]++;
    for (uint64_t d = 0; d <= mask; d++) {
        const int32_t count = place[d];
        place[d] = sum;
        sum += count;
    }
    for (int64_t k = 0; k < n; k++)
        to[place[from[k] >> shift & mask]++] = from[k];
}

/* Digits of keys below `limit`, of *bits bits each: not many more values than keys to be sorted. */
static int digits_of(int64_t limit, int64_t n, int *bits)
{
    const int most = n < MANY ? FEW_BITS : MANY_BITS;
    int all = 1;
    while (limit >> all > 0)
        all++;
    const int digits = (all + most - 1) / most;
    *bits = (all + digits - 1) / digits;
    return digits;
}

static void swap_keys(aim_scratch *s)
{
    uint64_t *swap = s->key;
    s->key = s->other;
    s->other = swap;
}

/* Sorts the gathered candidates by (j, S), S relative to the wrapping of the home atom. Keys (index
 * of the atom in its system, place in the order of gathering): merge sort of few natural runs,
 * otherwise radix sort, whichever takes fewer passes. */
static void sort_candidates(const walk *w, aim_scratch *s)
{
    const int64_t n = w->n_out;
    const aim_gathered *from = &w->out;
    const aim_candidates *to = &s->sorted;
    int32_t *bound = s->hit, runs = 0, before = INT32_MAX;
    for (int64_t k = 0; k < n; k++) {
        const int32_t slot = from->slot[k], j = (w->atom ? w->atom[slot] : slot) - w->p->first;
        s->key[k] = (uint64_t)(uint32_t)j << 32 | (uint64_t)k;
        bound[runs] = (int32_t)k;
        runs += j < before;
        before = j;
    }
    bound[runs] = (int32_t)n;
    int bits;
    const int digits = digits_of((int64_t)w->p->count - 1, n, &bits), by_digit = runs > 1 << digits;
    for (int d = 0; by_digit && d < digits; d++) {
        sort_digit(s->key, s->other, n, 32 + d * bits, bits);
        swap_keys(s);
    }
    while (!by_digit && runs > 1) {
        runs = merge_runs(s->key, s->other, bound, runs);
        swap_keys(s);
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
        to->j[k] = w->p->first + (int32_t)(s->key[k] >> 32);
        if (w->wrap)
            memcpy(to->shift[k], s->shift[place], sizeof to->shift[k]);
    }
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

/* A shift and what stands behind it. */
typedef int32_t quad __attribute__((vector_size(16)));
typedef int32_t quad_u __attribute__((vector_size(16), aligned(sizeof(int32_t)), may_alias));

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
    const quad move = {wrap[0], wrap[1], wrap[2], 0};
    aim_shift *shift = pairs->shift + p, *last = shift + n_hit - 2;
    for (int64_t t = 0; t < n_hit; t++) {
        const int32_t k = hit[t], j = q->j[k];
        const quad v = *(const quad_u *)(const void *)q->shift[k] + move;
        if (j == i && !(v[0] | v[1] | v[2]))
            continue;
        *out++ = j;
        if (shift < last)
            *(quad_u *)(void *)*shift = v; /* and into the next, which is written later */
        else
            memcpy(*shift, &v, sizeof *shift);
        shift++;
    }
}

static void fill_task(void *ctx, int64_t task, int worker)
{
    aim_nlist *n = ctx;
    aim_scratch *s = n->scratch + worker;
    const aim_candidates q = s->sorted;
    const aim_points points = {q.x, q.y, q.z};
    walk w;
    for (int32_t g = aim_task_group(n, task); g < aim_task_group(n, task + 1); g++) {
        start_walk(&w, n, g);
        w.full = NULL;
        w.out = s->gathered;
        gather(&w);
        sort_candidates(&w, s);
        for (int32_t h = 0; h < w.g.count; h++) {
            const float r[3] = {w.hx[h], w.hy[h], w.hz[h]};
            const int64_t n_hit = select_below(&points, w.n_out, r, w.hi[n->widest], s->d2, s->hit);
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

/* ---------------------------------------------------------------- clusters */

static void discard_block(walk *w)
{
    w->seen += w->n_out;
    w->n_out = w->n_runs = 0;
}

/* How many candidates every group has. */
static void measure_task(void *ctx, int64_t task, int worker)
{
    (void)worker;
    aim_nlist *n = ctx;
    float x[AIM_WALK_BLOCK], y[AIM_WALK_BLOCK], z[AIM_WALK_BLOCK];
    int32_t slot[AIM_WALK_BLOCK], run[AIM_WALK_BLOCK];
    aim_shift run_shift[AIM_WALK_BLOCK];
    walk w;
    for (int32_t g = aim_task_group(n, task); g < aim_task_group(n, task + 1); g++) {
        start_walk(&w, n, g);
        w.full = discard_block;
        w.out = (aim_gathered){x, y, z, slot, run, run_shift};
        gather(&w);
        discard_block(&w);
        n->clusters->cluster[g].n_entries = w.seen;
    }
}

/* Writes them, sorted by (j, S), S being that of the wrapped positions. */
static void cluster_task(void *ctx, int64_t task, int worker)
{
    aim_nlist *n = ctx;
    aim_scratch *s = n->scratch + worker;
    walk w;
    for (int32_t g = aim_task_group(n, task); g < aim_task_group(n, task + 1); g++) {
        const aim_cluster *c = n->clusters->cluster + g;
        start_walk(&w, n, g);
        w.full = NULL;
        w.out = s->gathered;
        gather(&w);
        sort_candidates(&w, s);
        memcpy(n->clusters->j + c->first_entry, s->sorted.j, (size_t)w.n_out * sizeof(int32_t));
        for (int64_t k = 0; n->clusters->shift && k < w.n_out; k++)
            memcpy(n->clusters->shift[c->first_entry + k],
                   w.out.run_shift[w.out.run[(uint32_t)s->key[k]]], sizeof(aim_shift));
    }
}

#ifndef AIM_SCAN_NAME
#define AIM_SCAN_NAME aim_scan_base
#endif
const aim_scan *AIM_SCAN_NAME(void)
{
    static const aim_scan scan = {count_task, fill_task, measure_task, cluster_task};
    return &scan;
}
