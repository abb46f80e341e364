/* SPDX-License-Identifier: MIT */
/* nlist.cu - the network's neighbours of every atom, in rows of fixed length, in the order of their
 * indices, or of the walk through the bins of a crystal; direction and distance of each pair, formed in
 * double from the positions as given.
 *
 * Rows have room for `capacity` neighbours. The longest row is reported: if it did not fit, the
 * caller makes room and evaluates again. */
#include "backend/cuda/groups.h"
#include "backend/cuda/molecules.h"

#define CU_OVERLAP 0.1 /* Angstrom, as in calc/check.c */

/* Where b stands from a, and the square of how far. */
static __device__ __forceinline__ double from_to(const double a[3], const double b[3], double r[3])
{
#pragma unroll
    for (int d = 0; d < 3; d++)
        r[d] = b[d] - a[d];
    return r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
}

/* Direction and distance of a pair. */
template <typename real>
static __device__ __forceinline__ vec4<real> pair_vector(const struct cu_list &l, const double r[3],
                                                         double d2)
{
    const double d = sqrt(d2), inv = 1.0 / d;
    if (d < CU_OVERLAP)
        atomicOr(l.overlap, 1);
    return vec4<real>{(real)(r[0] * inv), (real)(r[1] * inv), (real)(r[2] * inv), (real)d};
}

/* Atom i, which has n neighbours. */
static __device__ __forceinline__ void enter_atom(const struct cu_list &l, int i, int n)
{
    l.count[i] = min(n, l.capacity);
    l.species[i] = l.kind_species[l.kind[i]];
}

enum { ASKED = 4 /* candidates of a lane under way */ };

/* One warp per atom; candidates in thirty-twos, survivors keep their order. These first, then what is known of
 * each: few of the candidates are near enough. */
template <typename real>
__global__ void __launch_bounds__(128) all_pairs(const struct cu_list l, vec4<real> *u)
{
    cu_wait();
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= l.n)
        return;
    const double x[3] = {l.coord[3 * i], l.coord[3 * i + 1], l.coord[3 * i + 2]};
    const int s = l.alone ? 0 : l.system[i], begin = l.alone ? 0 : l.offset[s],
              end = l.alone ? l.n : l.offset[s + 1];
    int n = 0, *own = l.j + (size_t)i * l.capacity;
    double at[ASKED][3], r[3];
    auto ask = [&](int base) {
#pragma unroll
        for (int m = 0; m < ASKED; m++)
#pragma unroll
            for (int d = 0; d < 3; d++)
                at[m][d] = l.coord[3 * min(base + 32 * m + lane, end - 1) + d];
    };
    ask(begin);
#pragma unroll 1
    for (int base = begin; base < end; base += 32 * ASKED) {
        int hit[ASKED];
#pragma unroll
        for (int m = 0; m < ASKED; m++) {
            const int j = base + 32 * m + lane;
            hit[m] = from_to(x, at[m], r) < l.cutoff * l.cutoff && j < end && j != i;
        }
        ask(base + 32 * ASKED);
#pragma unroll
        for (int m = 0; m < ASKED; m++) {
            const unsigned hits = __ballot_sync(0xffffffffu, hit[m]);
            const int k = n + __popc(hits & ((1u << lane) - 1));
            if (hit[m] && k < l.capacity)
                own[k] = base + 32 * m + lane;
            n += __popc(hits);
        }
    }
    __syncwarp();
#pragma unroll 1
    for (int k = lane; k < min(n, l.capacity); k += 32) {
        const double d2 = from_to(x, l.coord + 3 * own[k], r);
        u[(size_t)i * l.capacity + k] = pair_vector<real>(l, r, d2);
    }
    for (int k = n + lane; k < l.early; k += 32) {
        l.j[(size_t)i * l.capacity + k] = i;
        u[(size_t)i * l.capacity + k] = vec4<real>{};
    }
    if (lane == 0) {
        enter_atom(l, i, n);
        atomicMax(l.longest, n);
    }
}

/* Rank of bit k among those that are set. */
static __device__ __forceinline__ int rank_of(const unsigned *bits, int k)
{
    int rank = __popc(bits[k / 32] & ((1u << k % 32) - 1));
    for (int word = 0; word < k / 32; word++)
        rank += __popc(bits[word]);
    return rank;
}

enum { LIST_WARPS = 12, BIT_WORDS = CU_MOLECULE_ATOMS / 32 };

/* One block per molecule, for each atom a warp as in all_pairs(): who is near whom stays in bits, by which reverse
 * pairs are found. */
template <typename real>
__global__ void __launch_bounds__(32 * LIST_WARPS)
    pairs_of_molecules(const __grid_constant__ struct cu_list l, vec4<real> *u)
{
    cu_wait();
    __shared__ double x[CU_MOLECULE_ATOMS][3];
    __shared__ unsigned near[CU_MOLECULE_ATOMS][BIT_WORDS];
    __shared__ int longest;
    const int zero = l.offset[blockIdx.x], atoms = l.offset[blockIdx.x + 1] - zero,
              warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const unsigned below = (1u << lane) - 1;
#pragma unroll 1
    for (int k = threadIdx.x; k < 3 * atoms; k += 32 * LIST_WARPS)
        x[0][k] = l.coord[3 * (size_t)zero + k];
    if (threadIdx.x == 0)
        longest = 0;
    __syncthreads();
#pragma unroll 1
    for (int i = warp; i < atoms; i += LIST_WARPS) {
        int n = 0;
#pragma unroll 1
        for (int base = 0; base < atoms; base += 32) {
            const int j = base + lane;
            double r[3] = {0, 0, 0}, d2 = 0;
            int hit = 0;
            if (j < atoms && j != i) {
                d2 = from_to(x[i], x[j], r);
                hit = d2 < l.cutoff * l.cutoff;
            }
            const unsigned hits = __ballot_sync(0xffffffffu, hit);
            if (lane == 0)
                near[i][base / 32] = hits;
            const int k = n + __popc(hits & below);
            if (hit && k < l.capacity) {
                const size_t at = (size_t)(zero + i) * l.capacity + k;
                l.j[at] = zero + j;
                u[at] = pair_vector<real>(l, r, d2);
            }
            n += __popc(hits);
        }
        if (lane == 0) {
            enter_atom(l, zero + i, n);
            atomicMax(&longest, n);
        }
    }
    __syncthreads();
    if (threadIdx.x == 0)
        atomicMax(l.longest, longest);
    for (int i = warp; i < atoms && l.back; i += LIST_WARPS)
        for (int j = lane; j < atoms; j += 32) {
            const int k = rank_of(near[i], j), other = rank_of(near[j], i);
            if (near[i][j / 32] >> j % 32 & 1 && k < l.capacity)
                l.back[(size_t)(zero + i) * l.capacity + k] =
                    other < l.capacity ? (zero + j) * l.capacity + other : -1;
        }
}

/* The list came from the host; shift: three signed bytes. */
template <typename real>
__global__ void __launch_bounds__(128) given_pairs(const struct cu_list l, vec4<real> *u)
{
    cu_wait();
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= l.n)
        return;
    const int n = l.in_count[i];
    const double *h = l.cell + 9 * l.system[i];
    for (int k = lane; k < n; k += 32) {
        const size_t p = (size_t)i * l.capacity + k;
        const int j = l.in_j[p], s = l.in_shift[p];
        const double sx = (double)(signed char)(s & 255), sy = (double)(signed char)(s >> 8 & 255),
                     sz = (double)(signed char)(s >> 16 & 255);
        double r[3], d2 = 0;
        for (int d = 0; d < 3; d++) {
            r[d] = l.coord[3 * j + d] - l.coord[3 * i + d];
            r[d] += sx * h[d] + sy * h[3 + d] + sz * h[6 + d];
            d2 += r[d] * r[d];
        }
        const double d = sqrt(d2), inv = 1.0 / d;
        l.j[p] = j;
        u[p] = vec4<real>{(real)(r[0] * inv), (real)(r[1] * inv), (real)(r[2] * inv), (real)d};
    }
    if (lane == 0) {
        l.count[i] = n;
        l.species[i] = l.kind_species[l.kind[i]];
    }
}

/* ---------------------------------------------------------------- crystals */

__global__ void wrap_atoms(const cu_cells c, const double *coord, const int *system)
{
    cu_wait();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= c.n)
        return;
    const cu_grid &g = c.grid[system[i]];
    const double x[3] = {coord[3 * i], coord[3 * i + 1], coord[3 * i + 2]};
    double s[3];
    int b[3];
    for (int a = 0; a < 3; a++) {
        s[a] = x[0] * g.inverse[a] + x[1] * g.inverse[3 + a] + x[2] * g.inverse[6 + a];
        s[a] -= floor(s[a]);
        b[a] = min((int)(s[a] * g.n[a]), g.n[a] - 1);
    }
    for (int d = 0; d < 3; d++)
        c.wrapped[3 * i + d] = s[0] * g.cell[d] + s[1] * g.cell[3 + d] + s[2] * g.cell[6 + d];
    c.bin[i] = cu_bin(g, b[0], b[1], b[2]);
    c.most[c.bin[i]] = g.group;
    atomicAdd(c.start + c.bin[i] + 1, 1); /* a count: no order */
}

/* Counts to starts, of atoms and of groups, in one block. */
__global__ void __launch_bounds__(1024) scan_bins(const cu_cells c)
{
    cu_wait();
    enum { EACH = 8 };
    __shared__ unsigned long long part[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    unsigned long long before = 0; /* groups in the upper half */
    if (threadIdx.x == 0)
        c.group_start[0] = 0;
    for (int base = 0; base < c.bins; base += 1024 * EACH) {
        const int first = base + (int)threadIdx.x * EACH;
        unsigned long long own[EACH], x = 0;
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            const int n = first + k < c.bins ? c.start[first + k + 1] : 0,
                      groups = n ? (n - 1) / c.most[first + k] + 1 : 0;
            x += (unsigned)n | (unsigned long long)groups << 32;
            own[k] = x;
        }
        unsigned long long sum = x;
        for (int d = 1; d < 32; d <<= 1) {
            const unsigned long long y = __shfl_up_sync(0xffffffffu, sum, d);
            sum += lane >= d ? y : 0;
        }
        if (lane == 31)
            part[warp] = sum;
        __syncthreads();
        unsigned long long at = before + sum - x;
        for (int w = 0; w < 32; w++) {
            at += w < warp ? part[w] : 0;
            before += part[w];
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < EACH; k++)
            if (first + k < c.bins) {
                c.start[first + k + 1] = (int)(unsigned)(at + own[k]);
                c.group_start[first + k + 1] = (int)((at + own[k]) >> 32);
            }
    }
}

__global__ void fill_bins(const cu_cells c)
{
    cu_wait();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < c.n)
        c.raw[c.start[c.bin[i]] + atomicAdd(c.fill + c.bin[i], 1)] = i;
}

/* One warp per bin: atoms by their index, whatever order they came in; groups of equal parts. */
__global__ void __launch_bounds__(128) sort_bins(const cu_cells c, const int *system)
{
    cu_wait();
    const int b = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (b >= c.bins)
        return;
    const int from = c.start[b], to = c.start[b + 1];
    for (int k = from + lane; k < to; k += 32) {
        const int i = c.raw[k];
        int place = from;
        for (int m = from; m < to; m++)
            place += c.raw[m] < i;
        c.order[place] = i;
        c.kind[place] = c.atom_kind[i];
        for (int d = 0; d < 3; d++) {
            const double x = c.wrapped[3 * (size_t)i + d];
            c.pos[3 * (size_t)place + d] = x;
            c.axis[(size_t)d * c.n + place] = x;
        }
    }
    const int groups = c.group_start[b + 1] - c.group_start[b], n = to - from;
    for (int k = lane; k < groups; k += 32) {
        const int first = (int)((long long)n * k / groups),
                  last = (int)((long long)n * (k + 1) / groups);
        c.group[c.group_start[b] + k] =
            cu_group{b, system[c.raw[from]], from + first, last - first};
    }
}

/* part[k]: the group of place k * rows. */
__global__ void find_parts(const cu_cells c, int rows, int *part)
{
    cu_wait();
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= (c.n + rows - 1) / rows)
        return;
    int low = 0, high = c.group_start[c.bins]; /* begins there or before; begins behind */
    while (high - low > 1) {
        const int mid = low + (high - low) / 2;
        if (c.group[mid].first <= k * rows)
            low = mid;
        else
            high = mid;
    }
    part[k] = low;
}

__global__ void fill_species(int n, const int *kind, const int *kind_species, int *species)
{
    cu_wait();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        species[i] = kind_species[kind[i]];
}

void cu_find_parts(cu_state *s, cudaStream_t stream, const cu_cells *c, const int *kind_species,
                   int rows, int *part, int *species)
{
    const int n = (c->n + rows - 1) / rows;
    cu_launch(s, stream, (n + 127) / 128, 128, 0, find_parts, *c, rows, part);
    cu_launch(s, stream, (c->n + 255) / 256, 256, 0, fill_species, c->n, (const int *)c->kind,
              kind_species, species);
    cu_check(s, "dividing a crystal");
}

void cu_sort_atoms(cu_state *s, cudaStream_t stream, const cu_cells *c, const double *coord,
                   const int *system)
{
    const int blocks = (c->n + 255) / 256;
    wrap_atoms<<<blocks, 256, 0, stream>>>(*c, coord, system);
    cu_launch(s, stream, 1, 1024, 0, scan_bins, *c);
    cu_launch(s, stream, blocks, 256, 0, fill_bins, *c);
    cu_launch(s, stream, (c->bins + 3) / 4, 128, 0, sort_bins, *c, system);
    cu_check(s, "sorting atoms into bins");
}

/* 1/d and d of a pair */
static __device__ __forceinline__ double inverse_distance(double d2, float)
{
    const double y = (double)rsqrtf((float)d2);
    return y * (1.5 - 0.5 * d2 * y * y); /* one step of Newton's: 10^-13 */
}
static __device__ __forceinline__ double inverse_distance(double d2, double)
{
    return 1.0 / sqrt(d2);
}

/* From atom i to j in cell `image`, such that the way back is the same to the bit: no other origin. */
static __device__ __forceinline__ double between(const double *x, int i, int j, const double *cell,
                                                 int image, int d)
{
    return x[3 * (size_t)j + d] - x[3 * (size_t)i + d] +
           ((double)(signed char)(image & 255) * cell[d] +
            (double)(signed char)(image >> 8 & 255) * cell[3 + d] +
            (double)(signed char)(image >> 16 & 255) * cell[6 + d]);
}

static __device__ __forceinline__ int row_of(const cu_list &l, int place)
{
    return l.order ? l.order[place] : place;
}

template <typename real>
static __device__ __forceinline__ void list_group(const cu_list &l, const cu_group &group,
                                                  vec4<real> *u)
{
    __shared__ cu_surroundings<double> s;
    __shared__ int place[cu_surroundings<double>::ROOM], image[cu_surroundings<double>::ROOM],
        count[CU_GROUP];
    const int warp = threadIdx.x / 32;
    const double *at = l.order ? l.cells.wrapped : l.cells.pos,
                 *cell = l.cells.grid[group.system].cell;
    int overlap = 0;
    if (threadIdx.x < CU_GROUP)
        count[threadIdx.x] = 0;
    cu_walk_group(
        &s, l.cells, group, l.cutoff,
        [&](int k, int p, int shift) {
            place[k] = row_of(l, p);
            image[k] = shift;
        },
        [&](int n) {
            for (int a = warp; a < group.n; a += CU_WALKERS) {
                if (!in_part(l.cells, group.first + a))
                    continue;
                const int done = count[a];
                const int i = row_of(l, group.first + a);
                const size_t row = (size_t)i * l.capacity;
                const int found =
                    cu_find_hits(&s, n, s.own[a], l.cutoff * l.cutoff,
                                 [&](int k, double) { return place[k] != i || image[k]; });
                cu_each_hit(&s, found, s.own[a],
                            [&](int k, const vec4<double> &, const double *, double, int m) {
                                if (done + m >= l.capacity)
                                    return;
                                double r[3];
#pragma unroll
                                for (int d = 0; d < 3; d++)
                                    r[d] = between(at, i, place[k], cell, image[k], d);
                                const double d2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2],
                                             inv = inverse_distance(d2, (real)0);
                                const size_t p = row + done + m;
                                l.j[p] = place[k];
                                l.shift[p] = image[k];
                                u[p] = vec4<real>{(real)(r[0] * inv), (real)(r[1] * inv),
                                                  (real)(r[2] * inv), (real)(d2 * inv)};
                                overlap |= d2 < CU_OVERLAP * CU_OVERLAP;
                            });
                __syncwarp();
                if (threadIdx.x % 32 == 0)
                    count[a] = done + found;
                __syncwarp();
            }
        });
    if (overlap)
        atomicOr(l.overlap, 1);
    if ((int)threadIdx.x < group.n && in_part(l.cells, group.first + (int)threadIdx.x)) {
        const int i = row_of(l, group.first + (int)threadIdx.x);
        l.count[i] = min(count[threadIdx.x], l.capacity);
        l.species[i] = l.kind_species[l.kind[i]];
        atomicMax(l.longest, count[threadIdx.x]);
    }
}

/* A block, a group at a time. */
template <typename real>
__global__ void __launch_bounds__(CU_WALK_THREADS, 8)
    near_pairs(const __grid_constant__ struct cu_list l, vec4<real> *u)
{
    cu_wait();
    cu_group group;
    for (int turn = 0; own_group(l.cells, turn, &group); turn++) {
        list_group(l, group, u);
        __syncthreads();
    }
}

/* ---------------------------------------------------------------- reverse pairs */

/* Number of atom i among the n neighbours of j that is in direction -u, or -1; the same for all lanes. */
template <typename real>
static __device__ int find_image(const cu_list &l, const vec4<real> *all, int i, int j, int n,
                                 const vec4<real> &u)
{
    const size_t row = (size_t)j * l.capacity;
    for (int base = 0; base < n; base += 32) {
        const int k = base + (int)threadIdx.x % 32;
        int hit = k < n && l.j[row + k] == i;
        if (hit) {
            const vec4<real> v = all[row + k];
            hit = v.x == -u.x && v.y == -u.y && v.z == -u.z;
        }
        const unsigned hits = __ballot_sync(0xffffffffu, hit);
        if (hits)
            return base + __ffs(hits) - 1;
    }
    return -1;
}

/* One warp per atom, which looks for itself in the rows of its neighbours that come after it, several rows
 * at once, and enters both directions. Of rows first .. end - 1. */
template <typename real>
__global__ void __launch_bounds__(256)
    reverse_pairs(const struct cu_list l, int first, int end, const vec4<real> *u, int *back)
{
    cu_wait();
    enum { ROWS = 8, AT_ONCE = 64 };
    const int i = first + (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= end)
        return;
    const size_t row = (size_t)i * l.capacity;
    const int n = l.count[i];
    for (int base = 0; base < n; base += 32) {
        const int j = base + lane < n ? l.j[row + base + lane] : -1, later = j >= i && j < end,
                  nj = later ? l.count[j] : 0;
        unsigned open = __ballot_sync(0xffffffffu, later), again = 0;
        int found = -1;
        while (open) {
            int own[ROWS], x[ROWS][2];
#pragma unroll
            for (int k = 0; k < ROWS; k++) {
                own[k] = open ? __ffs(open) - 1 : own[0];
                open &= open - 1;
                const int jk = __shfl_sync(0xffffffffu, j, own[k]),
                          nk = __shfl_sync(0xffffffffu, nj, own[k]);
                const int *from = l.j + (size_t)jk * l.capacity + lane;
                x[k][0] = lane < nk ? from[0] : -1;
                x[k][1] = lane + 32 < nk ? from[32] : -1;
            }
#pragma unroll
            for (int k = 0; k < ROWS; k++) {
                const unsigned a = __ballot_sync(0xffffffffu, x[k][0] == i),
                               b = __ballot_sync(0xffffffffu, x[k][1] == i);
                if (lane == own[k])
                    found = a ? __ffs(a) - 1 : b ? __ffs(b) + 31 : -1;
                if (__popc(a) + __popc(b) > 1)
                    again |= 1u << own[k];
            }
        }
        again |= __ballot_sync(0xffffffffu, nj > AT_ONCE);
        for (; again; again &= again - 1) {
            const int k = __ffs(again) - 1,
                      at = find_image(l, u, i, __shfl_sync(0xffffffffu, j, k),
                                      __shfl_sync(0xffffffffu, nj, k), u[row + base + k]);
            found = k == lane ? at : found;
        }
        if (found >= 0) {
            const int own = (i - first) * l.capacity + base + lane,
                      other = (j - first) * l.capacity + found;
            const size_t zero = (size_t)first * l.capacity;
            back[zero + own] = other;
            back[zero + other] = own;
        }
    }
}

template <typename real>
void cu_list_reverse(cu_state *s, cudaStream_t stream, const cu_list *l, int first, int n,
                     const vec4<real> *u, int *back)
{
    const size_t row = l->capacity;
    cu_check_call(s, cudaMemsetAsync(back + first * row, 255, n * row * sizeof *back, stream),
                  "clearing"); /* -1 */
    cu_launch(s, stream, (n + 7) / 8, 256, 0, reverse_pairs<real>, *l, first, first + n, u, back);
    cu_check(s, "the reverse of the neighbour list");
}

template <typename real>
void cu_list_build(cu_state *s, cudaStream_t stream, const cu_list *l, vec4<real> *u)
{
    if (l->cells.grid) {
        near_pairs<<<cu_part_groups(&l->cells), CU_WALK_THREADS, 0, stream>>>(*l, u);
    } else if (l->in_j)
        given_pairs<<<(l->n + 3) / 4, 128, 0, stream>>>(*l, u);
    else if (l->largest)
        cu_launch(s, stream, l->systems, 32 * LIST_WARPS, 0, pairs_of_molecules<real>, *l, u);
    else
        cu_launch(s, stream, (l->n + 3) / 4, 128, 0, all_pairs<real>, *l, u);
    cu_check(s, "the neighbour list");
}

template void cu_list_build(cu_state *, cudaStream_t, const cu_list *, vec4<float> *);
template void cu_list_build(cu_state *, cudaStream_t, const cu_list *, vec4<double> *);
template void cu_list_reverse(cu_state *, cudaStream_t, const cu_list *, int, int,
                              const vec4<float> *, int *);
template void cu_list_reverse(cu_state *, cudaStream_t, const cu_list *, int, int,
                              const vec4<double> *, int *);
