/* SPDX-License-Identifier: MIT */
/* groups.h - the surroundings of a group of atoms of a crystal (cells.h), within a cutoff of any of them,
 * for a block of CU_WALK_THREADS threads.
 *
 * The block collects candidates in shared memory, at positions relative to the middle of the group:
 * images of bins in fixed order, atoms that are near enough to the box around the group. When there is
 * no more room, and at the end, each warp tests them against its own atoms, one after the other:
 * those within the cutoff are numbered, then served to full warps. So a position is read from memory
 * and converted once per group, and what is too far costs ten instructions. Which candidates there
 * are, and in which order, depends on the own system alone. Cells smaller than the cutoff are covered
 * several times, once per image. */
#ifndef AIM_CUDA_GROUPS_H
#define AIM_CUDA_GROUPS_H

#include "backend/cuda/cuda.h"

enum { CU_WALKERS = 4, CU_WALK_THREADS = 32 * CU_WALKERS };

/* What the search of one group goes by. */
struct cu_search {
    int at[3], m[3]; /* own bin; bins to look at on either side */
    int rows_y, pieces, first_piece, n; /* pieces of rows: cu_piece_of() */
    double wide[3], low[3], high[3]; /* of bins; of the group along the faces' normals, Angstrom */
    double origin[3], cutoff;
};

template <typename T> struct cu_surroundings {
    enum { ROOM = sizeof(T) == 4 ? 640 : 384 };
    vec4<T> at[ROOM];      /* candidates: position; w is the kernel's */
    vec4<T> own[CU_GROUP]; /* the group's atoms; w: likewise */
    unsigned short hit[CU_WALKERS][ROOM];
    cu_search search;
    double low[6], high[6]; /* of fractions and of positions of the group */
    /* ranges of places that are walked in turns */
    double shift[CU_WALK_THREADS][3];
    int begin[CU_WALK_THREADS + 1], from[CU_WALK_THREADS], image[CU_WALK_THREADS];
    /* aligned: loads of four words would also read a word that another warp writes, else */
    alignas(16) int count[2][CU_WALKERS], part[CU_WALKERS][2];
};

/* A stretch of the surroundings: a piece of a row of bins. */
struct cu_stretch {
    int from, length, image;
    double shift[3];
};

static __device__ __forceinline__ cu_search cu_start_search(const cu_grid &g, const cu_group &group,
                                                            const double *low, const double *high,
                                                            double cutoff)
{
    cu_search h;
    h.cutoff = cutoff;
    cu_bin_at(g, group.bin, h.at);
#pragma unroll
    for (int a = 0; a < 3; a++) {
        h.m[a] = (int)ceil(cutoff / g.height[a] * g.n[a] * (1.0 + 1e-12));
        h.wide[a] = g.height[a] / g.n[a];
        h.low[a] = low[a] * g.height[a];
        h.high[a] = high[a] * g.height[a];
        h.origin[a] = 0.5 * (low[3 + a] + high[3 + a]);
    }
    h.rows_y = 2 * h.m[1] + 1;
    h.first_piece = cu_piece_of(g, h.at[0] - h.m[0]);
    h.pieces = cu_piece_of(g, h.at[0] + h.m[0]) - h.first_piece + 1;
    h.n = h.rows_y * (2 * h.m[2] + 1) * h.pieces;
    return h;
}

/* 0, -1, 1, -2, 2, ..: own bins come first, where atoms of a group have most of their neighbours and meet
 * on their walks. */
static __device__ __forceinline__ int cu_zigzag(int k)
{
    return k % 2 ? -(k / 2) - 1 : k / 2;
}

/* Stretch number v < h.n; its length may be 0. */
static __device__ __forceinline__ cu_stretch cu_find_stretch(const cu_cells &c, const cu_grid &g,
                                                             const cu_search &h, int v)
{
    cu_stretch s = {};
    const int row = v / h.pieces,
              ky = h.at[1] + cu_zigzag(row % h.rows_y), kz = h.at[2] + cu_zigzag(row / h.rows_y);
    const double dy = fmax(0.0, fmax(ky * h.wide[1] - h.high[1], h.low[1] - (ky + 1) * h.wide[1])),
                 dz = fmax(0.0, fmax(kz * h.wide[2] - h.high[2], h.low[2] - (kz + 1) * h.wide[2])),
                 all = h.cutoff * h.cutoff,
                 left = g.right                          ? all - dy * dy - dz * dz
                        : dy > h.cutoff || dz > h.cutoff ? -1.0
                                                         : all;
    if (left < 0.0)
        return s;
    const double reach = sqrt(left);
    const cu_piece own = cu_find_piece(g, h.first_piece + v % h.pieces);
    const int first = max(own.first, max(h.at[0] - h.m[0],
                                         (int)floor((h.low[0] - reach) / h.wide[0] - 1e-9))),
              last = min(own.end - 1, min(h.at[0] + h.m[0],
                                          (int)floor((h.high[0] + reach) / h.wide[0] + 1e-9)));
    if (first > last)
        return s;
    const int ix = own.image, iz = cu_floor_div(kz, g.n[2]), iy = cu_floor_div(ky, g.n[1]),
              bin = cu_bin(g, first - ix * g.n[0], ky - iy * g.n[1], kz - iz * g.n[2]);
    s.from = c.start[bin];
    s.length = c.start[bin + last - first + 1] - s.from;
    s.image = (ix & 255) | (iy & 255) << 8 | (iz & 255) << 16;
#pragma unroll
    for (int d = 0; d < 3; d++)
        s.shift[d] = ix * g.cell[d] + iy * g.cell[3 + d] + iz * g.cell[6 + d] - h.origin[d];
    return s;
}

/* Extents of the group: warp a < 3 looks at axis a. */
template <typename T>
static __device__ __forceinline__ void cu_measure_group(cu_surroundings<T> *s, const cu_cells &c,
                                                        const cu_grid &g, const cu_group &group)
{
    const int a = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (a < 3) {
        const int k = group.first + min(lane, group.n - 1);
        const double x = c.axis[k], y = c.axis[c.n + (size_t)k], z = c.axis[2 * (size_t)c.n + k],
                     f = x * g.inverse[a] + y * g.inverse[3 + a] + z * g.inverse[6 + a];
        double v[4] = {f, f, a == 0 ? x : a == 1 ? y : z, 0};
        v[3] = v[2];
        for (int d = 16; d > 0; d >>= 1) {
            v[0] = fmin(v[0], __shfl_xor_sync(0xffffffffu, v[0], d));
            v[1] = fmax(v[1], __shfl_xor_sync(0xffffffffu, v[1], d));
            v[2] = fmin(v[2], __shfl_xor_sync(0xffffffffu, v[2], d));
            v[3] = fmax(v[3], __shfl_xor_sync(0xffffffffu, v[3], d));
        }
        if (lane == 0) {
            s->low[a] = v[0];
            s->high[a] = v[1];
            s->low[3 + a] = v[2];
            s->high[3 + a] = v[3];
        }
    }
    __syncthreads();
}

/* Stretches v0 .. v0 + 127 that are not empty, to s; *total: candidates in them. */
template <typename T>
static __device__ __forceinline__ void cu_list_stretches(cu_surroundings<T> *s, const cu_cells &c,
                                                         const cu_grid &g, const cu_search &h,
                                                         int v0, int *total)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, v = v0 + (int)threadIdx.x;
    cu_stretch own = {};
    if (v < h.n)
        own = cu_find_stretch(c, g, h, v);
    const unsigned full = __ballot_sync(0xffffffffu, own.length > 0);
    int sum = own.length;
    for (int d = 1; d < 32; d <<= 1) {
        const int y = __shfl_up_sync(0xffffffffu, sum, d);
        sum += lane >= d ? y : 0;
    }
    if (lane == 31) {
        s->part[warp][0] = sum;
        s->part[warp][1] = __popc(full);
    }
    __syncthreads();
    int before = sum - own.length, at = __popc(full & ((1u << lane) - 1)), n = 0;
    *total = 0;
    for (int w = 0; w < CU_WALKERS; w++) {
        before += w < warp ? s->part[w][0] : 0;
        at += w < warp ? s->part[w][1] : 0;
        *total += s->part[w][0];
        n += s->part[w][1];
    }
    if (own.length > 0) {
        s->begin[at] = before;
        s->from[at] = own.from;
        s->image[at] = own.image;
#pragma unroll
        for (int d = 0; d < 3; d++)
            s->shift[at][d] = own.shift[d];
    }
    if (threadIdx.x == 0)
        s->begin[n] = *total;
    __syncthreads();
}

template <typename T> static __device__ __forceinline__ T cu_outside(T x, T half)
{
    return max(fabs(x) - half, (T)0);
}

/* load(k, place, image): candidate k has come, its w and more of the kernel's are to be filled in;
 * flush(n): n candidates are there, for all warps. */
template <typename T, typename LOAD, typename FLUSH>
static __device__ __forceinline__ void cu_walk_group(cu_surroundings<T> *s, const cu_cells &c,
                                                     const cu_group &group, double cutoff,
                                                     LOAD load, FLUSH flush)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, ROOM = cu_surroundings<T>::ROOM;
    const double *px = c.axis, *py = c.axis + c.n, *pz = c.axis + 2 * (size_t)c.n;
    const cu_grid &g = c.grid[group.system];
    cu_measure_group(s, c, g, group);
    const cu_search &h = s->search;
    if (threadIdx.x == 0)
        s->search = cu_start_search(g, group, s->low, s->high, cutoff);
    __syncthreads();
    T half[3];
#pragma unroll
    for (int d = 0; d < 3; d++)
        half[d] = (T)(0.5 * (s->high[3 + d] - s->low[3 + d]));
    const T limit = (T)(cutoff * cutoff * 1.00001);
    if ((int)threadIdx.x < group.n) {
        const int k = group.first + (int)threadIdx.x;
        vec4<T> *own = &s->own[threadIdx.x];
        own->x = (T)(px[k] + (0.0 - h.origin[0]));
        own->y = (T)(py[k] + (0.0 - h.origin[1]));
        own->z = (T)(pz[k] + (0.0 - h.origin[2]));
    }
    int n = 0, turn = 0;
    for (int v0 = 0; v0 < h.n; v0 += CU_WALK_THREADS) {
        int total;
        cu_list_stretches(s, c, g, h, v0, &total);
        int base = 0, p = 0;
        do {
            const int at = base + (int)threadIdx.x;
            int place = 0, hit = 0;
            vec4<T> r = {};
            if (at < total) {
                while (at >= s->begin[p + 1])
                    p++;
                place = s->from[p] + at - s->begin[p];
                r.x = (T)(px[place] + s->shift[p][0]);
                r.y = (T)(py[place] + s->shift[p][1]);
                r.z = (T)(pz[place] + s->shift[p][2]);
                const T x = cu_outside(r.x, half[0]), y = cu_outside(r.y, half[1]),
                        z = cu_outside(r.z, half[2]);
                hit = x * x + y * y + z * z < limit;
            }
            const unsigned hits = __ballot_sync(0xffffffffu, hit);
            if (lane == 0)
                s->count[turn][warp] = __popc(hits);
            __syncthreads();
            int k = n + __popc(hits & ((1u << lane) - 1));
#pragma unroll
            for (int w = 0; w < CU_WALKERS; w++) {
                k += w < warp ? s->count[turn][w] : 0;
                n += s->count[turn][w];
            }
            if (hit) {
                s->at[k] = r;
                load(k, place, s->image[p]);
            }
            base += CU_WALK_THREADS;
            turn ^= 1;
            if (n > ROOM - CU_WALK_THREADS || (base >= total && v0 + CU_WALK_THREADS >= h.n)) {
                const int far = n + (int)threadIdx.x;
                if (far < (n + 127) / 128 * 128)
                    s->at[far] = vec4<T>{(T)1e18, (T)1e18, (T)1e18, (T)0};
                __syncthreads();
                flush(n);
                n = 0;
                __syncthreads();
            }
        } while (base < total);
        __syncthreads();
    }
}

/* The group of this block in its turn, with atoms of the part; 0: none. */
static __device__ __forceinline__ int own_group(const cu_cells &c, int turn, cu_group *group)
{
    const int k = (c.part ? *c.part : 0) + turn * (int)gridDim.x + (int)blockIdx.x;
    if (k >= c.group_start[c.bins])
        return 0;
    *group = c.group[k];
    return group->first < c.end;
}

/* Whether an atom of a group is of the part. */
static __device__ __forceinline__ int in_part(const cu_cells &c, int place)
{
    return place >= c.first && place < c.end;
}

/* Numbers the candidates k within the limit of an own atom of this warp for which other(k, d2) holds;
 * how many there are. Each warp has room of its own for them. */
template <typename T, typename OTHER>
static __device__ __forceinline__ int cu_find_hits(cu_surroundings<T> *s, int n, vec4<T> own,
                                                   T limit, OTHER other)
{
    const unsigned lane = threadIdx.x % 32, below = (1u << lane) - 1;
    unsigned short *hit = s->hit[threadIdx.x / 32];
    int m = 0;
    for (int base = 0; base < n; base += 128) {
        int in[4];
#pragma unroll
        for (int b = 0; b < 4; b++) {
            const vec4<T> p = s->at[base + 32 * b + (int)lane];
            const T x = p.x - own.x, y = p.y - own.y, z = p.z - own.z, d2 = x * x + y * y + z * z;
            in[b] = d2 < limit && other(base + 32 * b + (int)lane, d2);
        }
#pragma unroll
        for (int b = 0; b < 4; b++) {
            const unsigned hits = __ballot_sync(0xffffffffu, in[b]);
            const int at = m + __popc(hits & below);
            if (in[b])
                hit[at] = (unsigned short)(base + 32 * b + (int)lane);
            m += __popc(hits);
        }
    }
    __syncwarp();
    return m;
}

/* f(k, p, r, d2, number) in one of the lanes for each of the m candidates that were found: p is what s->at
 * has of it, r goes from the own atom to it. */
template <typename T, typename F>
static __device__ __forceinline__ void cu_each_hit(const cu_surroundings<T> *s, int m, vec4<T> own,
                                                   F f)
{
    const unsigned short *hit = s->hit[threadIdx.x / 32];
    for (int k = threadIdx.x % 32; k < m; k += 32) {
        const int at = hit[k];
        const vec4<T> p = s->at[at];
        const T r[3] = {p.x - own.x, p.y - own.y, p.z - own.z};
        f(at, p, r, r[0] * r[0] + r[1] * r[1] + r[2] * r[2], k);
    }
    __syncwarp();
}

#endif
