/* SPDX-License-Identifier: MIT */
/* mesh.cu - the mesh half of smooth particle mesh Ewald (term/pme.c, docs/math/pme.md).
 *
 * Atoms are sorted by the tile of their first mesh point, those of a tile by their index. A block of
 * spreading owns a tile of CU_TILE^3 points and gathers the atoms that touch it, tile after tile: a warp,
 * with two columns for each thread, or where there are few tiles four threads for each column. No point is
 * written twice, and the order of its sum depends on the own crystal alone. */
#include "backend/cuda/carve.h"
#include "backend/cuda/mesh.h"
#include "backend/cuda/sums.h"

enum {
    THREADS = 256,
    ATOMS = 32,
    WARPS = 4,
    COLUMNS = CU_TILE * CU_TILE,
    MOST_TEAMS = 4, /* of a block that spreads onto a small mesh: each takes every fourth atom */
    FEW_TILES = 1024,
    INNER_ATOMS = 32,
    FEW_ATOMS = 16384 /* whose blocks take WARPS atoms instead */
};

/* The kernel for the order of the splines: aim_pme_choose has these. */
#define BY_ORDER(m, kernel) ((m).order == 8 ? kernel<8> : (m).order == 12 ? kernel<12> : kernel<16>)

size_t cu_mesh_points(const aim_dev_waves *p)
{
    return (size_t)p->mesh[0] * (size_t)p->mesh[1] * (size_t)(p->mesh[2] / 2 + 1);
}

static cu_mesh_work make_mesh(const aim_dev_waves *p, int atoms, char *base)
{
    cu_mesh_work m = {};
    m.order = p->order;
    m.atoms = atoms;
    m.bins = 1;
    m.waves = p->mesh[2] / 2 + 1;
    const size_t n = (size_t)atoms;
    carver c = {base, 0};
    for (int d = 0; d < 3; d++) {
        m.n[d] = p->mesh[d];
        m.tiles[d] = (p->mesh[d] + CU_TILE - 1) / CU_TILE;
        m.bins *= m.tiles[d];
        TAKE(&c, m.turn[d], m.n[d]);
        TAKE(&c, m.modulus[d], m.n[d]);
    }
    TAKE(&c, m.grid, cu_mesh_points(p));
    const size_t start = c.used;
    TAKE(&c, m.start, (size_t)m.bins + 1);
    TAKE(&c, m.fill, m.bins);
    m.clear = base ? base + start : NULL;
    m.clear_bytes = c.used - start;
    TAKE(&c, m.bin, n);
    TAKE(&c, m.raw, n);
    TAKE(&c, m.place, n);
    TAKE(&c, m.cell, 3 * n);
    TAKE(&c, m.t, 3 * n);
    TAKE(&c, m.w, 3 * n * (size_t)m.order);
    m.bytes = c.used;
    return m;
}

size_t cu_mesh_bytes(const aim_dev_waves *p, int n)
{
    return make_mesh(p, n, NULL).bytes;
}

/* |b(m)|^2 of one axis; the wave that has no partner is left out. */
__global__ void fill_modulus(int order, int n, double *modulus)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= n)
        return;
    double w[AIM_BSPLINE_MAX], slope[AIM_BSPLINE_MAX], re = 0, im = 0;
    aim_bspline(0.0, order, w, slope);
    for (int j = 0; j < order; j++) {
        double s, c;
        sincospi(2.0 * (double)((long long)k * j % n) / n, &s, &c);
        re += w[j] * c;
        im += w[j] * s;
    }
    modulus[k] = 2 * k == n ? 0.0 : 1.0 / (re * re + im * im);
}

/* ---------------------------------------------------------------- atoms by tiles */

/* x[d], where an index would send x to memory. */
template <typename T> static __device__ __forceinline__ T along(const T x[3], int d)
{
    return d == 0 ? x[0] : d == 1 ? x[1] : x[2];
}

static __device__ void find_spot(const cu_mesh_work &m, const double *x, int cell[3], double t[3])
{
#pragma unroll
    for (int d = 0; d < 3; d++) {
        const double f = x[0] * m.inverse[d] + x[1] * m.inverse[3 + d] + x[2] * m.inverse[6 + d];
        const double u = m.n[d] * (f - floor(f));
        const int c = (int)u;
        t[d] = u - c;
        cell[d] = c < m.n[d] ? c : 0; /* f may round up to 1 */
    }
}

__global__ void count_atoms(const cu_mesh_work m, const double *coord)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= m.atoms)
        return;
    int cell[3];
    double t[3];
    find_spot(m, coord + 3 * (size_t)i, cell, t);
    const int bin =
        (cell[0] / CU_TILE * m.tiles[1] + cell[1] / CU_TILE) * m.tiles[2] + cell[2] / CU_TILE;
    m.bin[i] = bin;
    atomicAdd(m.start + bin + 1, 1);
}

/* start[k] becomes the sum of the counts before. */
__global__ void __launch_bounds__(1024) add_up(const cu_mesh_work m)
{
    cu_running_sum(m.bins, m.start);
}

__global__ void drop_atoms(const cu_mesh_work m)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < m.atoms)
        m.raw[m.start[m.bin[i]] + atomicAdd(m.fill + m.bin[i], 1)] = i;
}

/* Atoms of a tile by their index. */
__global__ void rank_atoms(const cu_mesh_work m)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x;
    if (k >= m.atoms)
        return;
    const int i = m.raw[k], from = m.start[m.bin[i]], to = m.start[m.bin[i] + 1];
    int at = from;
    for (int other = from; other < to; other++)
        at += m.raw[other] < i;
    m.place[at] = i;
}

/* Their splines, along an axis by each thread: ORDER is a constant, so that these are in registers. */
template <int ORDER> __global__ void fill_splines(const cu_mesh_work m, const double *coord)
{
    const int k = blockIdx.x * blockDim.x + threadIdx.x, d = k % 3;
    if (k >= 3 * m.atoms)
        return;
    int cell[3];
    double t[3], w[ORDER], slope[ORDER];
    find_spot(m, coord + 3 * (size_t)m.place[k / 3], cell, t);
    const double own = along(t, d);
    m.cell[k] = along(cell, d);
    m.t[k] = own;
    aim_bspline(own, ORDER, w, slope);
    double2 *to = (double2 *)(m.w + (size_t)k * ORDER);
#pragma unroll
    for (int j = 0; j < ORDER / 2; j++)
        to[j] = make_double2(w[2 * j], w[2 * j + 1]);
}

/* ---------------------------------------------------------------- spreading */

/* Weights of atoms at the points of a tile along each axis, 0 where they do not touch it; those of the
 * first axis times the charge. */
struct spread_batch {
    alignas(16) double w[ATOMS][3][CU_TILE];
};

/* Atoms by groups, of each of which a block's thread has three numbers on their way together. */
template <int BLOCK>
static __device__ __forceinline__ void load_atoms(const cu_mesh_work &m, const double *q, int from,
                                                  int n, const int origin[3], spread_batch *b)
{
    enum { ROW = 3 * CU_TILE, EACH = 3, GROUP = EACH * BLOCK / ROW };
    __syncthreads();
#pragma unroll 1
    for (int g = 0; g < n; g += GROUP) {
        unsigned j[EACH];
        double w[EACH];
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            const int t = (int)threadIdx.x + k * BLOCK, d = t / CU_TILE % 3,
                      i = from + min(g + t / ROW, n - 1);
            j[k] = (unsigned)(along(origin, d) + t % CU_TILE - m.cell[3 * (size_t)i + d]);
        }
#pragma unroll
        for (int k = 0; k < EACH; k++) {
            const int t = (int)threadIdx.x + k * BLOCK, d = t / CU_TILE % 3,
                      i = from + min(g + t / ROW, n - 1);
            w[k] = j[k] < (unsigned)m.order ? m.w[(3 * (size_t)i + d) * m.order + j[k]] : 0.0;
            if (d == 0)
                w[k] *= q[m.place[i]];
        }
#pragma unroll
        for (int k = 0; k < EACH; k++)
            b->w[g][0][(int)threadIdx.x + k * BLOCK] = w[k];
    }
    __syncthreads();
}

/* Blocks of one warp that a processor is to hold, which has room for 32, of compute capability 12.0 for 24. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
enum { TILES_AT_ONCE = 24 };
#else
enum { TILES_AT_ONCE = 28 };
#endif

/* A thread has EACH columns. With more registers, so fewer blocks, it is slower. */
template <int TEAMS, int EACH>
__global__ void __launch_bounds__(TEAMS *COLUMNS / EACH, EACH > 1 ? TILES_AT_ONCE : 3)
    spread(const cu_mesh_work m, const double *q)
{
    enum { BLOCK = TEAMS * COLUMNS / EACH, STEP = CU_TILE / EACH };
    __shared__ spread_batch b;
    __shared__ double part[TEAMS][CU_TILE][COLUMNS];
    const int team = threadIdx.x / (COLUMNS / EACH), column = threadIdx.x % (COLUMNS / EACH),
              x = column / CU_TILE, y = column % CU_TILE;
    int tile[3];
    cu_tile_of_block(m, tile);
    double sum[EACH][CU_TILE] = {};
    cu_for_tiles(m, tile, [&](int from, int to, const int shift[3]) {
        const int origin[3] = {tile[0] * CU_TILE - shift[0], tile[1] * CU_TILE - shift[1],
                               tile[2] * CU_TILE - shift[2]};
        for (int k = from; k < to; k += ATOMS) {
            const int n = min((int)ATOMS, to - k);
            load_atoms<BLOCK>(m, q, k, n, origin, &b);
            for (int a = team; a < n; a += TEAMS) {
                const double wy = b.w[a][1][y];
                const double2 *wz = (const double2 *)b.w[a][2];
                double wxy[EACH];
#pragma unroll
                for (int c = 0; c < EACH; c++)
                    wxy[c] = b.w[a][0][x + c * STEP] * wy;
#pragma unroll
                for (int z = 0; z < CU_TILE / 2; z++)
#pragma unroll
                    for (int c = 0; c < EACH; c++) {
                        sum[c][2 * z] += wxy[c] * wz[z].x;
                        sum[c][2 * z + 1] += wxy[c] * wz[z].y;
                    }
            }
        }
    });
    if (TEAMS > 1) {
#pragma unroll
        for (int z = 0; z < CU_TILE; z++)
            part[team][z][column] = sum[0][z];
        __syncthreads();
        if (team)
            return;
    }
    const int gy = tile[1] * CU_TILE + y, gz = tile[2] * CU_TILE;
#pragma unroll
    for (int c = 0; c < EACH; c++) {
        const int gx = tile[0] * CU_TILE + x + c * STEP;
        if (gx >= m.n[0] || gy >= m.n[1])
            continue;
        double *row = cu_mesh_row(m, m.grid, gx, gy) + gz;
#pragma unroll
        for (int z = 0; z < CU_TILE; z++) {
            for (int k = 1; k < TEAMS; k++)
                sum[c][z] += part[k][z][column];
            if (gz + z < m.n[2])
                row[z] = sum[c][z];
        }
    }
}

/* ---------------------------------------------------------------- waves and back */

__global__ void __launch_bounds__(THREADS) convolve(const cu_mesh_work m, double *sums)
{
    double x[CU_WAVE_SUMS] = {};
    const size_t points = (size_t)m.n[0] * m.n[1] * m.waves;
    for (size_t at = blockIdx.x * (size_t)THREADS + threadIdx.x; at < points;
         at += (size_t)gridDim.x * THREADS) {
        double k[3], k2, share;
        const double weight = cu_mesh_wave(m, at, k, &k2, &share);
        const double2 q = m.grid[at];
        if (at > 0)
            cu_add_wave(x, 0.5 * share * weight * (q.x * q.x + q.y * q.y), k, k2, m.quarter);
        m.grid[at] = make_double2(q.x * weight, q.y * weight);
    }
    cu_wave_sums(x, sums);
}

/* Of atoms, along each axis. Rows lie apart, so that threads that fill them do not meet in one bank. */
template <int ORDER> struct splines {
    double w[INNER_ATOMS][3][ORDER + 1], dw[INNER_ATOMS][3][ORDER + 1];
};

static __device__ __forceinline__ int wrapped(int at, int n)
{
    return at < n ? at : at % n;
}

/* Sums over the points that atom k of the sorted touches, of this lane: phi M M M and its slopes to u;
 * a: its number among the splines. */
template <int ORDER>
static __device__ __forceinline__ void gather(const cu_mesh_work &m, int k, const splines<ORDER> &r,
                                              int a, double sum[4])
{
    const int lane = threadIdx.x % 32, *cell = m.cell + 3 * (size_t)k, row = 2 * m.waves,
              plane = m.n[1] * row; /* there are fewer than 2^31 numbers: aim_device_fits_meshes */
    const double *grid = (const double *)m.grid;
#pragma unroll
    for (int z0 = 0; z0 < ORDER; z0 += 8)
#pragma unroll
        for (int y0 = 0; y0 < ORDER; y0 += 4) {
            const int y = y0 + lane / 8, z = z0 + lane % 8,
                      at = wrapped(cell[1] + y, m.n[1]) * row + wrapped(cell[2] + z, m.n[2]);
            if (z >= ORDER)
                continue;
            int gx = cell[0];
            double v = 0, dv = 0;
#pragma unroll
            for (int x = 0; x < ORDER; x++) {
                const double phi = grid[gx * plane + at];
                v += phi * r.w[a][0][x];
                dv += phi * r.dw[a][0][x];
                gx = gx + 1 < m.n[0] ? gx + 1 : 0;
            }
            sum[0] += v * r.w[a][1][y] * r.w[a][2][z];
            sum[1] += dv * r.w[a][1][y] * r.w[a][2][z];
            sum[2] += v * r.dw[a][1][y] * r.w[a][2][z];
            sum[3] += v * r.w[a][1][y] * r.dw[a][2][z];
        }
}

/* A block takes so many atoms in the order of the tiles: splines by a thread for each axis, then a warp
 * for each atom. */
template <int ORDER>
__global__ void __launch_bounds__(WARPS * 32)
    interpolate(const cu_mesh_work m, int each, const double *q, double *grad, double *gq)
{
    __shared__ splines<ORDER> r;
    const int first = blockIdx.x * each, n = min(each, m.atoms - first);
    for (int t = threadIdx.x; t < 3 * n; t += WARPS * 32) {
        double w[ORDER], dw[ORDER];
        aim_bspline(m.t[3 * (size_t)first + t], ORDER, w, dw);
#pragma unroll
        for (int j = 0; j < ORDER; j++) {
            r.w[t / 3][t % 3][j] = w[j];
            r.dw[t / 3][t % 3][j] = dw[j];
        }
    }
    __syncthreads();
    for (int a = threadIdx.x / 32; a < n; a += WARPS) {
        double sum[4] = {};
        gather<ORDER>(m, first + a, r, a, sum);
        for (int c = 0; c < 4; c++)
            sum[c] = cu_warp_sum(sum[c]);
        if (threadIdx.x % 32)
            continue;
        const size_t i = (size_t)m.place[first + a];
        gq[i] += sum[0];
        for (int c = 0; c < 3; c++) {
            double g = 0;
            for (int d = 0; d < 3; d++)
                g += m.n[d] * m.inverse[3 * c + d] * sum[1 + d];
            grad[3 * i + c] += q[i] * g;
        }
    }
}

void cu_mesh_transform(cu_state *s, cudaStream_t stream, const cu_mesh_work *m, double2 *grid,
                       int meshes, int sign)
{
    for (int step = 0; step < 3; step++) {
        const int d = sign < 0 ? 2 - step : step;
        cu_lines l = {grid, m->turn[d], m->n[d], 1, meshes};
        if (d == 2) {
            l.lines = m->n[0] * m->n[1];
            cu_fft_rows(s, stream, &l, meshes, sign);
            continue;
        }
        l.inner = d == 1 ? m->waves : m->n[1] * m->waves;
        l.lines *= d == 1 ? m->n[0] * m->waves : m->n[1] * m->waves;
        cu_fft(s, stream, &l, sign);
    }
}

cu_mesh_work cu_mesh_start(cu_state *s, cudaStream_t stream, const aim_dev_waves *p,
                           const cu_wave_system *w, char *space)
{
    cu_mesh_work m = make_mesh(p, w->n, space);
    m.quarter = 0.25 / (w->alpha * w->alpha);
    m.prefactor = w->prefactor;
    for (int d = 0; d < 3; d++)
        for (int c = 0; c < 3; c++) {
            m.inverse[3 * c + d] = w->inverse[3 * c + d];
            m.b[3 * d + c] = 2.0 * 3.14159265358979323846 * w->inverse[3 * c + d];
        }
    const double *coord = w->coord + 3 * (size_t)w->first;
    const unsigned atoms = (unsigned)((w->n + THREADS - 1) / THREADS);
    for (int d = 0; d < 3; d++) {
        cu_fft_turn(s, stream, m.n[d], m.turn[d]);
        fill_modulus<<<(m.n[d] + THREADS - 1) / THREADS, THREADS, 0, stream>>>(m.order, m.n[d],
                                                                               m.modulus[d]);
    }
    if (cudaMemsetAsync(m.clear, 0, m.clear_bytes, stream) != cudaSuccess)
        cu_check(s, "clearing");
    count_atoms<<<atoms, THREADS, 0, stream>>>(m, coord);
    add_up<<<1, 1024, 0, stream>>>(m);
    drop_atoms<<<atoms, THREADS, 0, stream>>>(m);
    rank_atoms<<<atoms, THREADS, 0, stream>>>(m);
    const auto fill = BY_ORDER(m, fill_splines);
    fill<<<(3 * w->n + THREADS - 1) / THREADS, THREADS, 0, stream>>>(m, coord);
    cu_check(s, "sorting the atoms of a mesh");
    return m;
}

void cu_mesh_spread(cu_state *s, cudaStream_t stream, const cu_mesh_work *m, const double *q)
{
    if (m->bins <= FEW_TILES)
        spread<MOST_TEAMS, 1><<<m->bins, MOST_TEAMS * COLUMNS, 0, stream>>>(*m, q);
    else
        spread<1, 2><<<m->bins, COLUMNS / 2, 0, stream>>>(*m, q);
    cu_check(s, "spreading charges");
}

void cu_mesh(cu_state *s, cudaStream_t stream, const aim_dev_waves *p, const cu_wave_system *w,
             char *space)
{
    const cu_mesh_work m = cu_mesh_start(s, stream, p, w, space);
    const double *q = w->q + w->first;
    cu_mesh_spread(s, stream, &m, q);
    cu_mesh_transform(s, stream, &m, m.grid, 1, -1);
    convolve<<<CU_WAVE_BLOCKS, THREADS, 0, stream>>>(m, w->sums);
    if (w->want_grad) {
        cu_mesh_transform(s, stream, &m, m.grid, 1, 1);
        const int each = w->n <= FEW_ATOMS ? WARPS : INNER_ATOMS;
        const auto inner = BY_ORDER(m, interpolate);
        inner<<<(w->n + each - 1) / each, WARPS * 32, 0, stream>>>(
            m, each, q, w->grad + 3 * (size_t)w->first, w->gq + w->first);
    }
    cu_waves_finish(s, stream, w, CU_WAVE_BLOCKS);
    cu_check(s, "the mesh of PME");
}
