/* SPDX-License-Identifier: MIT */
/* mesh.h - a mesh of smooth particle mesh Ewald with its atoms sorted by tiles: what the energy's
 * kernels (mesh.cu) and their tangents (tan_mesh.cu) share. What is real on the mesh stands where its
 * waves will: rows of n[2] numbers, each in the room of `waves` complex ones (cu_fft_rows). */
#ifndef AIM_CUDA_MESH_H
#define AIM_CUDA_MESH_H

#include "backend/cuda/waves.h"
#include "point/bspline.h"

enum { CU_TILE_POINTS = CU_TILE * CU_TILE * CU_TILE };

typedef struct cu_mesh_work {
    int n[3], tiles[3], order, bins, atoms;
    int waves; /* n[2] / 2 + 1 of a row: the others are their conjugates */
    double inverse[9], quarter, prefactor, b[9];
    double2 *grid, *turn[3];
    double *modulus[3];
    int *start, *fill, *bin, *raw, *place; /* [bins + 1], [bins], [atoms] */
    int *cell;                             /* [atoms][3] sorted */
    double *t, *w;                         /* [atoms][3], [atoms][3][order] sorted */
    char *clear;
    size_t clear_bytes, bytes;
} cu_mesh_work;

/* Complex numbers of a mesh. */
size_t cu_mesh_points(const aim_dev_waves *p);
/* The atoms sorted by tiles, with their splines, in `space` of cu_mesh_bytes(); */
cu_mesh_work cu_mesh_start(cu_state *s, cudaStream_t stream, const aim_dev_waves *p,
                           const cu_wave_system *w, char *space);
/* their charges [atoms] onto m->grid; */
void cu_mesh_spread(cu_state *s, cudaStream_t stream, const cu_mesh_work *m, const double *q);
/* transforms of meshes that follow each other, sign -1 or 1. */
void cu_mesh_transform(cu_state *s, cudaStream_t stream, const cu_mesh_work *m, double2 *grid,
                       int meshes, int sign);

#if defined(__CUDACC__)
/* A run of tiles along an axis that atoms touching the own points may have started in, counted
 * without wrapping: `shift` is a multiple of the mesh. */
struct cu_run {
    int first, last, shift;
};
/* The one that begins at u and ends at most at `end`, within one period; only one tile where
 * `single`. */
static __device__ __forceinline__ cu_run cu_run_at(int u, int end, int n, int single)
{
    const int c = (u % n + n) % n, shift = u - c, stop = min(end - shift, n - 1);
    cu_run s = {c / CU_TILE, single ? c / CU_TILE : stop / CU_TILE, shift};
    return s;
}
/* where the next begins */
static __device__ __forceinline__ int cu_after(const cu_run &s, int n)
{
    return s.shift + min((s.last + 1) * CU_TILE, n);
}

/* The row of the mesh with these first two indices. */
static __device__ __forceinline__ double *cu_mesh_row(const cu_mesh_work &m, double2 *grid, int x,
                                                      int y)
{
    return (double *)(grid + ((size_t)x * m.n[1] + y) * m.waves);
}

/* The tile of a block. */
static __device__ __forceinline__ void cu_tile_of_block(const cu_mesh_work &m, int tile[3])
{
    tile[0] = (int)blockIdx.x / (m.tiles[1] * m.tiles[2]);
    tile[1] = (int)blockIdx.x / m.tiles[2] % m.tiles[1];
    tile[2] = (int)blockIdx.x % m.tiles[2];
}

/* The same and the point of the mesh of a thread. */
static __device__ __forceinline__ void cu_tile_point(const cu_mesh_work &m, int tile[3], int g[3])
{
    cu_tile_of_block(m, tile);
    g[0] = tile[0] * CU_TILE + (int)threadIdx.x / (CU_TILE * CU_TILE);
    g[1] = tile[1] * CU_TILE + (int)threadIdx.x / CU_TILE % CU_TILE;
    g[2] = tile[2] * CU_TILE + (int)threadIdx.x % CU_TILE;
}

/* f(from, to, shift) for runs of sorted atoms that touch the points of this tile, by a whole block. */
template <typename F>
static __device__ __forceinline__ void cu_for_tiles(const cu_mesh_work &m, const int tile[3], F f)
{
    int low[3], high[3];
    for (int d = 0; d < 3; d++) {
        low[d] = tile[d] * CU_TILE - m.order + 1;
        high[d] = min(tile[d] * CU_TILE + CU_TILE, m.n[d]) - 1;
    }
    for (int ux = low[0]; ux <= high[0];) {
        const cu_run x = cu_run_at(ux, high[0], m.n[0], 1);
        for (int uy = low[1]; uy <= high[1];) {
            const cu_run y = cu_run_at(uy, high[1], m.n[1], 1);
            for (int uz = low[2]; uz <= high[2];) {
                const cu_run z = cu_run_at(uz, high[2], m.n[2], 0);
                const int row = (x.first * m.tiles[1] + y.first) * m.tiles[2];
                const int shift[3] = {x.shift, y.shift, z.shift};
                f(m.start[row + z.first], m.start[row + z.last + 1], shift);
                uz = cu_after(z, m.n[2]);
            }
            uy = cu_after(y, m.n[1]);
        }
        ux = cu_after(x, m.n[0]);
    }
}

/* G of the wave that stands here, and k; 0 and 0 for the first. *share: how often it counts in sums over
 * all waves, with its conjugate. */
static __device__ __forceinline__ double cu_mesh_wave(const cu_mesh_work &m, size_t at, double k[3],
                                                      double *k2, double *share)
{
    const unsigned rest = (unsigned)(at / m.waves);
    const int i[3] = {(int)(rest / m.n[1]), (int)(rest % m.n[1]),
                      (int)(at - (size_t)rest * m.waves)};
    *share = i[2] ? 2.0 : 1.0; /* the last of an even row has no weight */
    k[0] = k[1] = k[2] = 0;
#pragma unroll
    for (int d = 0; d < 3; d++) {
        const int f = 2 * i[d] > m.n[d] ? i[d] - m.n[d] : i[d];
        for (int c = 0; c < 3; c++)
            k[c] += f * m.b[3 * d + c];
    }
    *k2 = k[0] * k[0] + k[1] * k[1] + k[2] * k[2];
    return at == 0 ? 0.0
                   : m.prefactor * exp(-*k2 * m.quarter) / *k2 * m.modulus[0][i[0]] *
                         m.modulus[1][i[1]] * m.modulus[2][i[2]];
}
#endif

#endif
