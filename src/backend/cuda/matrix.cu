/* SPDX-License-Identifier: MIT */
/* matrix.cu - neighbour matrices of the caller's atoms, for the positions exactly as given
 * (aimnet_nlist.h), between arrays of the caller and in his stream.
 *
 * The search proposes, by positions in single precision in the bins around an atom; the positions as
 * given decide, with the roundings of aim_exact_distance2. So the list is that of the host to the bit,
 * whatever order the bins are in. A warp owns an atom; its neighbours, by (j, image), are ranked in
 * shared memory, or, if they are many, sorted in their row. */
#include <math.h>

#include "backend/cuda/carve.h"
#include "backend/cuda/matrix.h"

enum { WARPS = 4, KEPT = 256, IMAGE_BITS = 10, IMAGE_ZERO = 512, DOUBT = 1 << 30 };

typedef struct cu_list_object {
    int card;
    size_t block_size;
    void *block;
    int *report; /* pinned: longest row, what was found */
    void *staged;
    size_t staged_size;
} cu_list_object;
static_assert(sizeof(cu_list_object) <= AIM_DEV_LIST_SIZE, "room for a list");

/* Hits as keys that sort by (j, image), with DOUBT while the positions as given have not been asked;
 * images of the frame are those of the cell unless it is skewed, and then compared as such. */
static __device__ unsigned long long make_key(int j, int t0, int t1, int t2)
{
    const unsigned image = (unsigned)(t0 + IMAGE_ZERO) << 2 * IMAGE_BITS |
                           (unsigned)(t1 + IMAGE_ZERO) << IMAGE_BITS | (unsigned)(t2 + IMAGE_ZERO);
    return (unsigned long long)(unsigned)j << 32 | image;
}

static __device__ unsigned long long with_image(int j, unsigned image)
{
    return (unsigned long long)(unsigned)j << 32 | image;
}

static __device__ void image_of(unsigned long long key, int t[3])
{
    for (int d = 0; d < 3; d++)
        t[d] = (int)(key >> (2 - d) * IMAGE_BITS & ((1 << IMAGE_BITS) - 1)) - IMAGE_ZERO;
}

static __device__ bool comes_before(const aim_dev_list_system &y, unsigned long long a,
                                    unsigned long long b)
{
    if (a >> 32 != b >> 32 || a == b)
        return a < b;
    int ta[3], tb[3];
    image_of(a, ta);
    image_of(b, tb);
    for (int e = 0; e < 3; e++) {
        int sa = 0, sb = 0;
        for (int d = 0; d < 3; d++) {
            sa += ta[d] * y.u[3 * d + e];
            sb += tb[d] * y.u[3 * d + e];
        }
        if (sa != sb)
            return sa < sb;
    }
    return false;
}

/* S of a pair: image and wraps in the frame, times u. */
static __device__ void shift_of(const aim_dev_list_system &y, const int t[3], const int own[3],
                                const int other[3], int s[3])
{
    int k[3];
    for (int d = 0; d < 3; d++)
        k[d] = t[d] + own[d] - other[d];
    for (int e = 0; e < 3; e++)
        s[e] = k[0] * y.u[e] + k[1] * y.u[3 + e] + k[2] * y.u[6 + e];
}

/* aim_exact_distance2, operation by operation. */
static __device__ double exact_distance2(const aim_dev_list_system &y, const double a[3],
                                         const double b[3], const int s[3])
{
    double r[3];
    for (int d = 0; d < 3; d++) {
        const double along = __dadd_rn(
            __dadd_rn(__dmul_rn((double)s[0], y.cell[d]), __dmul_rn((double)s[1], y.cell[3 + d])),
            __dmul_rn((double)s[2], y.cell[6 + d]));
        r[d] = __dadd_rn(__dsub_rn(b[d], a[d]), along);
    }
    return __dadd_rn(__dadd_rn(__dmul_rn(r[0], r[0]), __dmul_rn(r[1], r[1])),
                     __dmul_rn(r[2], r[2]));
}

static __device__ int floor_div(int a, int n)
{
    return a >= 0 ? a / n : -((n - 1 - a) / n);
}

/* A stretch of bins in one row along the first direction, in one image, as a lane works it out: its
 * atoms stand at the places [from, to). */
struct stretch {
    int from, to;
    unsigned image; /* as in keys */
    float t[3];     /* of that image, minus the position of the atom */
};

/* What the stretches around an atom have in common: its place in units of bins, and the bins around it. */
struct surroundings {
    double at[3];
    int low[3], high[3], first_image, images; /* along the first direction */
};

/* Stretch number k; empty if it is out of reach. */
static __device__ stretch make_stretch(const list_work &w, const aim_dev_list_system &y,
                                       const list_plan &p, int s, const surroundings &c, int k,
                                       const float x[3])
{
    stretch r = {0, 0, 0, {0, 0, 0}};
    const int row = k / c.images, rows_y = c.high[1] - c.low[1] + 1, kz = c.low[2] + row / rows_y,
              ky = c.low[1] + row % rows_y, ix = c.first_image + k % c.images;
    if (kz > c.high[2])
        return r;
    const double dz = p.width[2] * fmax(0.0, fmax(kz - c.at[2], c.at[2] - (kz + 1))),
                 dy = p.width[1] * fmax(0.0, fmax(ky - c.at[1], c.at[1] - (ky + 1))),
                 all = p.range * p.range,
                 left = p.right                          ? all * (1.0 + 1e-9) - dy * dy - dz * dz
                        : dy > p.range || dz > p.range ? -1.0
                                                         : all;
    if (left < 0.0)
        return r;
    const double reach = sqrt(left) / p.width[0];
    const int n0 = p.n[0],
              first = max(max(c.low[0], (int)fmax(-2e9, floor(c.at[0] - reach - 1e-9))), ix * n0),
              last = min(min(c.high[0], (int)fmin(2e9, floor(c.at[0] + reach + 1e-9))),
                         ix * n0 + n0 - 1);
    if (first > last)
        return r;
    const int iz = floor_div(kz, p.n[2]), iy = floor_div(ky, p.n[1]),
              start = first_bin(w, s) + ((kz - iz * p.n[2]) * p.n[1] + (ky - iy * p.n[1])) * n0 -
                      ix * n0;
    r.from = w.start[start + first];
    r.to = w.start[start + last + 1];
    r.image = (unsigned)make_key(0, ix, iy, iz);
    for (int d = 0; d < 3; d++)
        r.t[d] = (float)(ix * y.frame[d] + iy * y.frame[3 + d] + iz * y.frame[6 + d] -
                         (double)x[d]);
    return r;
}

/* Calls f(hit, certain, place, image) for all lanes together: hit if the atom there may be a
 * neighbour, by its position in single precision, certain if it is one by that already. Each lane
 * works out one stretch of bins, then all walk the stretches. */
template <typename F>
static __device__ __forceinline__ void walk(const list_work &w, int self, int i, int s, F f)
{
    const aim_dev_list_system &y = w.system[s];
    const list_plan &p = w.plan[s];
    const int lane = threadIdx.x % 32;
    const unsigned here = (unsigned)make_key(0, 0, 0, 0);
    const float *px = w.pos, *py = px + w.n, *pz = py + w.n, x[3] = {px[self], py[self], pz[self]},
                proposed2 = p.proposed2, certain2 = p.certain2;
    surroundings c;
    for (int d = 0; d < 3; d++) {
        c.at[d] = (w.fraction[3 * (size_t)i + d] - p.start[d]) * p.scale[d];
        const int b = min(max((int)c.at[d], 0), p.n[d] - 1);
        c.low[d] = y.periodic[d] ? b - p.reach[d] : max(0, b - p.reach[d]);
        c.high[d] = y.periodic[d] ? b + p.reach[d] : min(p.n[d] - 1, b + p.reach[d]);
    }
    c.first_image = floor_div(c.low[0], p.n[0]);
    c.images = floor_div(c.high[0], p.n[0]) - c.first_image + 1;
    const int stretches = c.images * (c.high[1] - c.low[1] + 1) * (c.high[2] - c.low[2] + 1);
    for (int base = 0; base < stretches; base += 32) {
        const stretch own = make_stretch(w, y, p, s, c, base + lane, x);
        unsigned live = __ballot_sync(0xffffffffu, own.from < own.to);
        for (; live; live &= live - 1) {
            const int from_lane = __ffs(live) - 1,
                      from = __shfl_sync(0xffffffffu, own.from, from_lane),
                      to = __shfl_sync(0xffffffffu, own.to, from_lane);
            const unsigned image = __shfl_sync(0xffffffffu, own.image, from_lane);
            const float tx = __shfl_sync(0xffffffffu, own.t[0], from_lane),
                        ty = __shfl_sync(0xffffffffu, own.t[1], from_lane),
                        tz = __shfl_sync(0xffffffffu, own.t[2], from_lane);
            for (int k0 = from; k0 < to; k0 += 32) {
                const int k = k0 + lane;
                int hit = 0, certain = 0;
                if (k < to) {
                    const float rx = px[k] + tx, ry = py[k] + ty, rz = pz[k] + tz,
                                d2 = rx * rx + ry * ry + rz * rz;
                    hit = d2 <= proposed2 && (k != self || image != here);
                    certain = d2 <= certain2;
                }
                f(hit, certain, k, image);
            }
        }
    }
}

/* Whether the positions as given agree. */
static __device__ int is_neighbour(const list_work &w, int s, int i, unsigned long long key)
{
    const aim_dev_list_system &y = w.system[s];
    const int j = (int)(key >> 32);
    int t[3], own[3], other[3], shift[3];
    double a[3], b[3];
    image_of(key, t);
    for (int d = 0; d < 3; d++) {
        own[d] = w.wrap[3 * (size_t)i + d];
        other[d] = w.wrap[3 * (size_t)j + d];
        a[d] = w.coord[3 * (size_t)i + d];
        b[d] = w.coord[3 * (size_t)j + d];
    }
    shift_of(y, t, own, other, shift);
    return exact_distance2(y, a, b, shift) < w.plan[s].reach2;
}

/* Writes entry k of row i. */
static __device__ void write_entry(const list_work &w, const aim_dev_list_system &y, int i, int k,
                                   unsigned long long key)
{
    const size_t at = (size_t)i * w.width + k;
    const int j = (int)(key >> 32);
    w.nbmat[at] = j;
    if (!w.shifts)
        return;
    int t[3], s[3], own[3], other[3];
    image_of(key, t);
    for (int d = 0; d < 3; d++) {
        own[d] = w.wrap[3 * (size_t)i + d];
        other[d] = w.wrap[3 * (size_t)j + d];
    }
    shift_of(y, t, own, other, s);
    for (int e = 0; e < 3; e++)
        w.shifts[3 * at + e] = s[e];
}

/* Rows of many entries stand in the result, unsorted, the image in the first component of the shift:
 * bitonic sorting with what is missing to a power of two as the largest keys. */
static __device__ void sort_row(const list_work &w, const aim_dev_list_system &y, int i, int n)
{
    const int lane = threadIdx.x % 32;
    int *row = w.nbmat + (size_t)i * w.width, size = 1;
    int *images = w.shifts ? w.shifts + 3 * (size_t)i * w.width : NULL;
    while (size < n)
        size *= 2;
    const int none = (int)(make_key(0, 0, 0, 0) & 0xffffffffu);
    for (int run = 2; run <= size; run *= 2)
        for (int step = run / 2; step > 0; step /= 2) {
            for (int pair = lane; pair < size / 2; pair += 32) {
                const int a = pair / step * 2 * step + pair % step,
                          b = step == run / 2 ? a / run * run + run - 1 - a % run : a + step;
                if (b >= n || a >= n)
                    continue;
                const unsigned long long
                    ka = (unsigned long long)(unsigned)row[a] << 32 |
                         (unsigned)(images ? images[3 * a] : none),
                    kb = (unsigned long long)(unsigned)row[b] << 32 |
                         (unsigned)(images ? images[3 * b] : none);
                if (!comes_before(y, kb, ka))
                    continue;
                row[a] = (int)(kb >> 32);
                row[b] = (int)(ka >> 32);
                if (images) {
                    images[3 * a] = (int)(kb & 0xffffffffu);
                    images[3 * b] = (int)(ka & 0xffffffffu);
                }
            }
            __syncwarp();
        }
    for (int k = lane; k < n && images; k += 32)
        write_entry(w, y, i, k,
                    (unsigned long long)(unsigned)row[k] << 32 | (unsigned)images[3 * k]);
}

static __device__ void pad_row(const list_work &w, int i, int from)
{
    const int lane = threadIdx.x % 32;
    for (int k = from + lane; k < w.width; k += 32)
        w.nbmat[(size_t)i * w.width + k] = w.n;
    for (int k = 3 * from + lane; w.shifts && k < 3 * w.width; k += 32)
        w.shifts[3 * (size_t)i * w.width + k] = 0;
}

/* How many of n keys come before two of them, in an order. */
template <typename F>
static __device__ __forceinline__ void count_before(const unsigned long long *key, int n, F before,
                                                    unsigned long long a, unsigned long long b,
                                                    int *rank_a, int *rank_b)
{
    int of_a = 0, of_b = 0;
    for (int m = 0; m + 1 < n; m += 2) {
        const ulonglong2 c = *(const ulonglong2 *)(key + m);
        of_a += before(c.x, a) + before(c.y, a);
        of_b += before(c.x, b) + before(c.y, b);
    }
    if (n % 2) {
        of_a += before(key[n - 1], a);
        of_b += before(key[n - 1], b);
    }
    *rank_a = of_a;
    *rank_b = of_b;
}

/* Sorted keys: each goes where the number of smaller ones says; two of a lane at a time. */
static __device__ void rank_keys(const aim_dev_list_system &y, const list_plan &p,
                                 const unsigned long long *key, int n, unsigned long long *ranked)
{
    for (int k = threadIdx.x % 32; k < n; k += 64) {
        const int two = k + 32 < n;
        const unsigned long long a = key[k], b = key[two ? k + 32 : k];
        int rank_a, rank_b;
        if (p.once)
            count_before(
                key, n,
                [](unsigned long long c, unsigned long long d) {
                    return (unsigned)(c >> 32) < (unsigned)(d >> 32);
                },
                a, b, &rank_a, &rank_b);
        else if (p.plain)
            count_before(
                key, n, [](unsigned long long c, unsigned long long d) { return c < d; }, a, b,
                &rank_a, &rank_b);
        else
            count_before(
                key, n,
                [&](unsigned long long c, unsigned long long d) { return comes_before(y, c, d); },
                a, b, &rank_a, &rank_b);
        ranked[rank_a] = a;
        if (two)
            ranked[rank_b] = b;
    }
}

/* The neighbours of an atom with many, as sort_row takes them; returns their number. */
static __device__ int write_unsorted(const list_work &w, int self, int s, int i)
{
    const int lane = threadIdx.x % 32;
    int n = 0;
    walk(w, self, i, s, [&](int hit, int certain, int place, unsigned image) {
        const unsigned long long own = hit ? with_image(w.order[place], image) : 0;
        hit = hit && (certain || is_neighbour(w, s, i, own));
        const unsigned hits = __ballot_sync(0xffffffffu, hit);
        const int k = n + __popc(hits & ((1u << lane) - 1));
        if (hit && k < w.width) {
            const size_t to = (size_t)i * w.width + k;
            w.nbmat[to] = (int)(own >> 32);
            if (w.shifts)
                w.shifts[3 * to] = (int)(own & 0xffffffffu);
        }
        n += __popc(hits);
    });
    __syncwarp();
    return n;
}

__global__ void __launch_bounds__(32 * WARPS) write_rows(const list_work w)
{
    __shared__ __align__(16) unsigned long long found[WARPS][KEPT], sorted[WARPS][KEPT];
    const int self = blockIdx.x * WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    unsigned long long *key = found[threadIdx.x / 32], *ranked = sorted[threadIdx.x / 32];
    if (self > w.n || w.report[1])
        return;
    if (self == w.n) { /* the padding row */
        pad_row(w, w.n, 0);
        return;
    }
    const int i = w.order[self], s = w.home[self];
    const aim_dev_list_system &y = w.system[s];
    int proposed = 0, n = 0, doubtful = 0;
    walk(w, self, i, s, [&](int hit, int certain, int place, unsigned image) {
        const unsigned hits = __ballot_sync(0xffffffffu, hit);
        const int k = proposed + __popc(hits & ((1u << lane) - 1));
        if (hit && k < KEPT)
            key[k] = with_image(w.order[place], certain ? image : image | DOUBT);
        doubtful |= hit && !certain;
        proposed += __popc(hits);
    });
    __syncwarp();
    if (proposed <= KEPT && !__any_sync(0xffffffffu, doubtful)) {
        n = proposed;
    } else if (proposed <= KEPT) {
        for (int base = 0; base < proposed; base += 32) { /* those that are, closed up */
            const unsigned long long noted = base + lane < proposed ? key[base + lane] : 0,
                                     own = noted & ~(unsigned long long)DOUBT;
            const int hit =
                base + lane < proposed && (own == noted || is_neighbour(w, s, i, own));
            const unsigned hits = __ballot_sync(0xffffffffu, hit);
            __syncwarp(); /* all have read */
            if (hit)
                key[n + __popc(hits & ((1u << lane) - 1))] = own;
            n += __popc(hits);
            __syncwarp();
        }
    } else {
        n = write_unsorted(w, self, s, i);
    }
    if (lane == 0) {
        atomicMax(w.report, n);
        if (w.num_neighbors)
            w.num_neighbors[i] = n;
    }
    if (n > w.width)
        return;
    if (proposed <= KEPT) {
        rank_keys(y, w.plan[s], key, n, ranked);
        __syncwarp();
        for (int k = lane; k < n; k += 32)
            write_entry(w, y, i, k, ranked[k]);
    } else {
        sort_row(w, y, i, n);
    }
    pad_row(w, i, n);
}

/* ---------------------------------------------------------------- host */

int cu_list_create(void *object, int card, aim_dev_error *e)
{
    cu_list_object *l = (cu_list_object *)object;
    int n;
    e->status = 0;
    if (cu_look(0, &n, NULL, e) || cu_check_index(card, n, e))
        return e->status;
    const on_card here(card);
    CU_TRY(e, here.code, "starting");
    l->card = card;
    if (cudaMallocHost((void **)&l->report, 2 * sizeof(int)) != cudaSuccess) {
        (void)cudaGetLastError();
        l->report = NULL;
        return cu_fail(e, ERR_MEMORY, "no page-locked memory for a neighbour list%s%s", "", "");
    }
    return 0;
}

void cu_list_free(void *object)
{
    cu_list_object *l = (cu_list_object *)object;
    const on_card here(l->card);
    cudaFree(l->block);
    cudaFreeHost(l->staged);
    cudaFreeHost(l->report);
    (void)cudaGetLastError();
}

static size_t lay_out(list_work *w, char *base)
{
    carver c = {base, 0};
    const size_t n = (size_t)w->n, bins = (size_t)w->bins;
    TAKE(&c, w->start, bins + 1); /* with the next two, cleared together */
    TAKE(&c, w->fill, bins);
    TAKE(&c, w->report, 2);
    TAKE(&c, w->system, (size_t)w->systems);
    TAKE(&c, w->plan, (size_t)w->systems);
    TAKE(&c, w->fraction, 3 * n);
    TAKE(&c, w->inside, 3 * n);
    TAKE(&c, w->wrap, 3 * n);
    TAKE(&c, w->bin, n);
    TAKE(&c, w->sum, bins / CU_SCAN + 1);
    TAKE(&c, w->order, n);
    TAKE(&c, w->home, n);
    TAKE(&c, w->pos, 3 * n);
    return c.used;
}

/* Room on the card and for the systems in page-locked memory. */
static int reserve(cu_list_object *l, size_t bytes, size_t staged, aim_dev_error *e)
{
    if (bytes > l->block_size) {
        cudaFree(l->block);
        l->block = NULL;
        l->block_size = 0;
        if (cudaMalloc(&l->block, bytes) != cudaSuccess) {
            cu_device none = {};
            l->block = NULL;
            return cu_out_of_memory(&none, bytes, "a neighbour list", e);
        }
        l->block_size = bytes;
    }
    if (staged > l->staged_size) {
        cudaFreeHost(l->staged);
        l->staged = NULL;
        l->staged_size = 0;
        if (cudaMallocHost(&l->staged, staged) != cudaSuccess) {
            (void)cudaGetLastError();
            l->staged = NULL;
            return cu_fail(e, ERR_MEMORY, "no page-locked memory for a neighbour list%s%s", "", "");
        }
        l->staged_size = staged;
    }
    return 0;
}

static int enqueue(const cu_list_object *l, const list_work *w, cudaStream_t stream,
                   aim_dev_error *e)
{
    CU_TRY(e,
           cudaMemsetAsync(w->start, 0, (size_t)((char *)w->system - (char *)w->start), stream),
           "a neighbour list");
    CU_TRY(e,
           cudaMemcpyAsync(w->system, l->staged, (size_t)w->systems * sizeof *w->system,
                           cudaMemcpyHostToDevice, stream),
           "a neighbour list");
    if (w->n > 0)
        cu_list_bins(w, stream);
    write_rows<<<(w->n + WARPS) / WARPS, 32 * WARPS, 0, stream>>>(*w);
    CU_TRY(e, cudaGetLastError(), "a neighbour list");
    CU_TRY(e,
           cudaMemcpyAsync(l->report, w->report, 2 * sizeof(int), cudaMemcpyDeviceToHost, stream),
           "a neighbour list");
    CU_TRY(e, cudaStreamSynchronize(stream), "a neighbour list");
    return 0;
}

int cu_list_search(void *object, aim_dev_list *what, aim_dev_error *e)
{
    cu_list_object *l = (cu_list_object *)object;
    const on_card here(l->card);
    list_work w = {};
    e->status = 0;
    w.n = what->n_atoms;
    w.systems = what->n_systems;
    w.width = what->width;
    w.most_reach = what->most_reach;
    w.cutoff = what->cutoff;
    w.farthest = what->farthest;
    w.most_shift = what->most_shift;
    w.coord = what->coord;
    w.bins = 2 * w.n + 8 * w.systems;
    w.nbmat = what->nbmat;
    w.shifts = what->shifts;
    w.num_neighbors = what->num_neighbors;
    const size_t staged = (size_t)w.systems * sizeof *what->system;
    if (reserve(l, lay_out(&w, NULL), staged, e))
        return e->status;
    lay_out(&w, (char *)l->block);
    for (int32_t s = 0; s < w.systems; s++)
        ((aim_dev_list_system *)l->staged)[s] = what->system[s];
    if (enqueue(l, &w, (cudaStream_t)what->stream, e))
        return e->status;
    what->longest = l->report[0];
    what->found = l->report[1];
    return 0;
}
