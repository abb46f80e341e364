/* SPDX-License-Identifier: MIT */
/* tan_mesh.cu - directional derivatives of the mesh energy of PME (term/pme_tan.c, with the same letters):
 *
 *     tQ     = sum_i tq_i M + q_i tu_i . dM,      tphi = FFT^-1(G FFT(tQ) + tG S)
 *     tgq_i  = sum tphi M + tu_i . sum phi dM
 *     tg_i   = J [tq_i sum phi dM + q_i (sum tphi dM + (sum phi ddM) tu_i)] - W g_i
 *
 * Some directions have their meshes at once, one behind the other, so that small meshes fill the card.
 * Spreading gathers as in mesh.cu. */
#include "backend/cuda/carve.h"
#include "backend/cuda/mesh.h"
#include "backend/cuda/sums.h"
#include "backend/cuda/tan_waves.h"

enum { THREADS = 256, ATOMS = 8, WARPS = 4, COEFFICIENTS = 4, MOMENTS = 10 };
static const double MOST_POINTS = 16777216; /* of meshes that are there at once: 256 MB */

/* of the moments: sum phi M, phi dM, phi ddM (xx yy zz xy xz yz) */
enum { VALUE = 0, FIRST = 1, SECOND = 4 };

typedef struct mesh_tan {
    cu_mesh_work m; /* its grid: S */
    size_t points;
    int at_once;
    double2 *grid;       /* [directions][points] */
    double *dw, *moment; /* [atoms][3][order], [atoms][MOMENTS], sorted */
    double *part;        /* [directions][atoms][COEFFICIENTS] tq, q tu of a direction, sorted */
    double *sums;        /* [directions][CU_WAVE_BLOCKS][CU_WAVE_SUMS] */
    size_t bytes;
} mesh_tan;

static mesh_tan lay_out(const aim_dev_waves *p, int n, int n_dir, char *base)
{
    mesh_tan t = {};
    carver c = {base, (cu_mesh_bytes(p, n) + 255) / 256 * 256};
    t.points = cu_mesh_points(p);
    const double most = MOST_POINTS / (double)t.points;
    t.at_once = most < 1 ? 1 : most < n_dir ? (int)most : n_dir;
    const size_t atoms = (size_t)n, dirs = (size_t)t.at_once;
    TAKE(&c, t.grid, dirs * t.points);
    TAKE(&c, t.dw, 3 * atoms * (size_t)p->order);
    TAKE(&c, t.moment, MOMENTS * atoms);
    TAKE(&c, t.part, dirs * COEFFICIENTS * atoms);
    TAKE(&c, t.sums, dirs * CU_WAVE_BLOCKS * CU_WAVE_SUMS);
    t.bytes = c.used;
    return t;
}

size_t cu_mesh_tan_bytes(const aim_dev_waves *p, int n, int n_dir)
{
    return lay_out(p, n, n_dir, NULL).bytes;
}

/* ---------------------------------------------------------------- atoms of the primal */

__global__ void __launch_bounds__(THREADS) multiply(const mesh_tan t)
{
    for (size_t at = blockIdx.x * (size_t)THREADS + threadIdx.x; at < t.points;
         at += (size_t)gridDim.x * THREADS) {
        double k[3], k2, share;
        const double g = cu_mesh_wave(t.m, at, k, &k2, &share);
        const double2 s = t.m.grid[at];
        t.grid[at] = make_double2(g * s.x, g * s.y);
    }
}

__global__ void __launch_bounds__(THREADS) fill_slopes(const mesh_tan t)
{
    const int k = blockIdx.x * THREADS + threadIdx.x, order = t.m.order;
    if (k >= 3 * t.m.atoms)
        return;
    double w[AIM_BSPLINE_MAX], dw[AIM_BSPLINE_MAX];
    aim_bspline(t.m.t[k], order, w, dw);
    for (int j = 0; j < order; j++)
        t.dw[(size_t)k * order + j] = dw[j];
}

/* The splines of an atom along each axis, and where they stand. */
struct tile_row {
    int at[3][AIM_BSPLINE_MAX];
    double w[3][AIM_BSPLINE_MAX], dw[3][AIM_BSPLINE_MAX], ddw[3][AIM_BSPLINE_MAX];
};

/* second: M'' as well, from the slopes of the splines one order lower. */
static __device__ __forceinline__ void load_row(const mesh_tan &t, int k, int second, tile_row *r)
{
    const int d = threadIdx.x % 32, order = t.m.order;
    if (d < 3) {
        const size_t axis = 3 * (size_t)k + d;
        double lower[AIM_BSPLINE_MAX], slope[AIM_BSPLINE_MAX];
        if (second)
            aim_bspline(t.m.t[axis], order - 1, lower, slope);
        for (int j = 0; j < order; j++) {
            r->at[d][j] = (t.m.cell[axis] + j) % t.m.n[d];
            r->w[d][j] = t.m.w[axis * order + j];
            r->dw[d][j] = t.dw[axis * order + j];
            if (second)
                r->ddw[d][j] = (j > 0 ? slope[j - 1] : 0.0) - (j < order - 1 ? slope[j] : 0.0);
        }
    }
    __syncwarp();
}

/* Calls f(x, y, z, value) for the points of an atom's tile, each in one of the lanes. */
template <typename F>
static __device__ __forceinline__ void for_tile(const cu_mesh_work &m, const tile_row *r,
                                                double2 *grid, F f)
{
    for (int p = threadIdx.x % 32; p < m.order * m.order * m.order; p += 32) {
        const int z = p % m.order, y = p / m.order % m.order, x = p / (m.order * m.order);
        f(x, y, z, cu_mesh_row(m, grid, r->at[0][x], r->at[1][y])[r->at[2][z]]);
    }
}

__global__ void __launch_bounds__(WARPS * 32) find_moments(const mesh_tan t)
{
    __shared__ tile_row rows[WARPS];
    const int k = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (k >= t.m.atoms)
        return;
    tile_row *r = &rows[threadIdx.x / 32];
    load_row(t, k, 1, r);
    double sum[MOMENTS] = {};
    for_tile(t.m, r, t.grid, [&](int x, int y, int z, double v) {
        const double wx = r->w[0][x], wy = r->w[1][y], wz = r->w[2][z], dx = r->dw[0][x],
                     dy = r->dw[1][y], dz = r->dw[2][z];
        sum[VALUE] += v * wx * wy * wz;
        sum[FIRST] += v * dx * wy * wz;
        sum[FIRST + 1] += v * wx * dy * wz;
        sum[FIRST + 2] += v * wx * wy * dz;
        sum[SECOND] += v * r->ddw[0][x] * wy * wz;
        sum[SECOND + 1] += v * wx * r->ddw[1][y] * wz;
        sum[SECOND + 2] += v * wx * wy * r->ddw[2][z];
        sum[SECOND + 3] += v * dx * dy * wz;
        sum[SECOND + 4] += v * dx * wy * dz;
        sum[SECOND + 5] += v * wx * dy * dz;
    });
    for (int c = 0; c < MOMENTS; c++) {
        const double total = cu_warp_sum(sum[c]);
        if (threadIdx.x % 32 == 0)
            t.moment[MOMENTS * (size_t)k + c] = total;
    }
}

/* ---------------------------------------------------------------- directions */

/* Row of the arrays of all atoms and directions. */
static __device__ __forceinline__ size_t row_of(const cu_wave_tan &c, int dir, int atom)
{
    return (size_t)dir * c.n + c.of.first + atom;
}

/* tu_d = K_d (tx inverse)_d */
static __device__ __forceinline__ void move_atom(const cu_mesh_work &m, const double *tx,
                                                 double tu[3])
{
#pragma unroll
    for (int d = 0; d < 3; d++)
        tu[d] =
            m.n[d] * (tx[0] * m.inverse[d] + tx[1] * m.inverse[3 + d] + tx[2] * m.inverse[6 + d]);
}

__global__ void __launch_bounds__(THREADS)
    fill_parts(const mesh_tan t, const cu_wave_tan c, int first)
{
    const int k = blockIdx.x * THREADS + threadIdx.x;
    if (k >= t.m.atoms)
        return;
    const int i = t.m.place[k];
    const size_t row = row_of(c, first + blockIdx.y, i);
    double *to = t.part + COEFFICIENTS * ((size_t)blockIdx.y * t.m.atoms + k), tu[3];
    move_atom(t.m, c.tx + 3 * row, tu);
    to[0] = c.tq[row];
    for (int d = 0; d < 3; d++)
        to[1 + d] = c.of.q[c.of.first + i] * tu[d];
}

struct spread_batch {
    double w[ATOMS][3][AIM_BSPLINE_MAX], dw[ATOMS][3][AIM_BSPLINE_MAX];
    double part[ATOMS][COEFFICIENTS];
    int cell[ATOMS][3];
};

static __device__ __forceinline__ void load_atoms(const mesh_tan &t, const double *part, int from,
                                                  int n, const int shift[3], spread_batch *b)
{
    const int order = t.m.order;
    __syncthreads();
    for (int k = threadIdx.x; k < n * 3 * order; k += CU_TILE_POINTS) {
        const int a = k / (3 * order), d = k / order % 3, j = k % order;
        b->w[a][d][j] = t.m.w[(size_t)from * 3 * order + k];
        b->dw[a][d][j] = t.dw[(size_t)from * 3 * order + k];
    }
    if ((int)threadIdx.x < 3 * n)
        b->cell[threadIdx.x / 3][threadIdx.x % 3] =
            t.m.cell[3 * (size_t)from + threadIdx.x] + shift[threadIdx.x % 3];
    if ((int)threadIdx.x < COEFFICIENTS * n)
        b->part[threadIdx.x / COEFFICIENTS][threadIdx.x % COEFFICIENTS] =
            part[COEFFICIENTS * (size_t)from + threadIdx.x];
    __syncthreads();
}

/* What the atoms of the batch put onto point g. */
static __device__ __forceinline__ double gather(const spread_batch &b, int n, int order,
                                                const int g[3])
{
    double sum = 0;
    for (int a = 0; a < n; a++) {
        const unsigned x = g[0] - b.cell[a][0], y = g[1] - b.cell[a][1], z = g[2] - b.cell[a][2];
        if (x >= (unsigned)order || y >= (unsigned)order || z >= (unsigned)order)
            continue;
        const double wx = b.w[a][0][x], wy = b.w[a][1][y], wz = b.w[a][2][z];
        sum += b.part[a][0] * wx * wy * wz + b.part[a][1] * b.dw[a][0][x] * wy * wz +
               b.part[a][2] * wx * b.dw[a][1][y] * wz + b.part[a][3] * wx * wy * b.dw[a][2][z];
    }
    return sum;
}

/* tQ: a block for a tile of points and a direction. */
__global__ void __launch_bounds__(CU_TILE_POINTS) spread_tan(const mesh_tan t)
{
    __shared__ spread_batch b;
    const cu_mesh_work &m = t.m;
    const double *part = t.part + COEFFICIENTS * (size_t)blockIdx.y * m.atoms;
    int tile[3], g[3];
    cu_tile_point(m, tile, g);
    double sum = 0;
    cu_for_tiles(m, tile, [&](int from, int to, const int shift[3]) {
        for (int k = from; k < to; k += ATOMS) {
            const int n = min((int)ATOMS, to - k);
            load_atoms(t, part, k, n, shift, &b);
            sum += gather(b, n, m.order, g);
        }
    });
    if (g[0] < m.n[0] && g[1] < m.n[1] && g[2] < m.n[2])
        cu_mesh_row(m, t.grid + (size_t)blockIdx.y * t.points, g[0], g[1])[g[2]] = sum;
}

/* tS -> G tS + tG S, with the sums of the strain. */
__global__ void __launch_bounds__(THREADS)
    convolve_tan(const mesh_tan t, const cu_wave_tan c, int first)
{
    const double *w = cu_strain_of(c, first + blockIdx.y), trace = cu_trace(w);
    double2 *grid = t.grid + (size_t)blockIdx.y * t.points;
    double x[CU_WAVE_SUMS] = {};
    for (size_t at = blockIdx.x * (size_t)THREADS + threadIdx.x; at < t.points;
         at += (size_t)gridDim.x * THREADS) {
        double k[3], k2, share;
        const double g = cu_mesh_wave(t.m, at, k, &k2, &share);
        const double2 s = t.m.grid[at], ts = grid[at];
        const double tg =
            w && at > 0 ? g * (2.0 * cu_stretch(k, w) * (1.0 / k2 + t.m.quarter) - trace) : 0.0;
        if (c.tvirial && at > 0) {
            const double s2 = s.x * s.x + s.y * s.y;
            cu_add_wave_tan(x, w, k, k2, t.m.quarter, 0.5 * share * g * s2,
                            share * (0.5 * tg * s2 + g * (s.x * ts.x + s.y * ts.y)));
        }
        grid[at] = make_double2(g * ts.x + tg * s.x, g * ts.y + tg * s.y);
    }
    cu_wave_sums(x, t.sums + (size_t)blockIdx.y * gridDim.x * CU_WAVE_SUMS);
}

/* J x */
static __device__ __forceinline__ double to_cartesian(const cu_mesh_work &m, int c,
                                                      const double x[3])
{
    double sum = 0;
#pragma unroll
    for (int d = 0; d < 3; d++)
        sum += m.n[d] * m.inverse[3 * c + d] * x[d];
    return sum;
}

static __device__ void add_atom(const mesh_tan &t, const cu_wave_tan &c, int dir, int k,
                                const double sum[4])
{
    const int i = t.m.place[k];
    const size_t row = row_of(c, dir, i);
    const double *p = t.moment + MOMENTS * (size_t)k, *s = p + SECOND, *w = cu_strain_of(c, dir),
                 q = c.of.q[c.of.first + i];
    double tu[3], x[3], g[3];
    move_atom(t.m, c.tx + 3 * row, tu);
    c.tgq[row] += sum[0] + tu[0] * p[FIRST] + tu[1] * p[FIRST + 1] + tu[2] * p[FIRST + 2];
    const double turned[3] = {s[0] * tu[0] + s[3] * tu[1] + s[4] * tu[2],
                              s[3] * tu[0] + s[1] * tu[1] + s[5] * tu[2],
                              s[4] * tu[0] + s[5] * tu[1] + s[2] * tu[2]};
    for (int d = 0; d < 3; d++) {
        x[d] = c.tq[row] * p[FIRST + d] + q * (sum[1 + d] + turned[d]);
        g[d] = to_cartesian(t.m, d, p + FIRST);
    }
    for (int d = 0; d < 3; d++)
        c.tgrad[3 * row + d] +=
            to_cartesian(t.m, d, x) -
            (w ? q * (w[3 * d] * g[0] + w[3 * d + 1] * g[1] + w[3 * d + 2] * g[2]) : 0.0);
}

/* One warp per atom and direction. */
__global__ void __launch_bounds__(WARPS * 32)
    interpolate_tan(const mesh_tan t, const cu_wave_tan c, int first)
{
    __shared__ tile_row rows[WARPS];
    const int k = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (k >= t.m.atoms)
        return;
    tile_row *r = &rows[threadIdx.x / 32];
    load_row(t, k, 0, r);
    double sum[4] = {};
    for_tile(t.m, r, t.grid + (size_t)blockIdx.y * t.points, [&](int x, int y, int z, double v) {
        const double wx = r->w[0][x], wy = r->w[1][y], wz = r->w[2][z];
        sum[0] += v * wx * wy * wz;
        sum[1] += v * r->dw[0][x] * wy * wz;
        sum[2] += v * wx * r->dw[1][y] * wz;
        sum[3] += v * wx * wy * r->dw[2][z];
    });
    for (int d = 0; d < 4; d++)
        sum[d] = cu_warp_sum(sum[d]);
    if (threadIdx.x % 32 == 0)
        add_atom(t, c, first + blockIdx.y, k, sum);
}

/* ---------------------------------------------------------------- flow */

static unsigned blocks_of(size_t items, unsigned most)
{
    const size_t blocks = (items + THREADS - 1) / THREADS;
    return blocks < most ? (unsigned)blocks : most;
}

void cu_mesh_tan(cu_state *s, cudaStream_t stream, const aim_dev_waves *p, const cu_wave_tan *c,
                 char *space)
{
    mesh_tan t = lay_out(p, c->of.n, c->n_dir, space);
    const unsigned atoms = (unsigned)((c->of.n + THREADS - 1) / THREADS),
                   warps = (unsigned)((c->of.n + WARPS - 1) / WARPS),
                   waves = blocks_of(t.points, CU_WAVE_BLOCKS);
    t.m = cu_mesh_start(s, stream, p, &c->of, space);
    cu_mesh_spread(s, stream, &t.m, c->of.q + c->of.first);
    cu_mesh_transform(s, stream, &t.m, t.m.grid, 1, -1);
    multiply<<<waves, THREADS, 0, stream>>>(t);
    cu_mesh_transform(s, stream, &t.m, t.grid, 1, 1);
    fill_slopes<<<(3 * c->of.n + THREADS - 1) / THREADS, THREADS, 0, stream>>>(t);
    find_moments<<<warps, WARPS * 32, 0, stream>>>(t);
    for (int first = 0; first < c->n_dir; first += t.at_once) {
        const int dirs = c->n_dir - first < t.at_once ? c->n_dir - first : t.at_once;
        const unsigned n = (unsigned)dirs;
        fill_parts<<<dim3(atoms, n), THREADS, 0, stream>>>(t, *c, first);
        spread_tan<<<dim3((unsigned)t.m.bins, n), CU_TILE_POINTS, 0, stream>>>(t);
        cu_mesh_transform(s, stream, &t.m, t.grid, dirs, -1);
        convolve_tan<<<dim3(waves, n), THREADS, 0, stream>>>(t, *c, first);
        if (c->tvirial)
            cu_wave_tan_finish(s, stream, c, first, dirs, (int)waves, t.sums);
        cu_mesh_transform(s, stream, &t.m, t.grid, dirs, 1);
        interpolate_tan<<<dim3(warps, n), WARPS * 32, 0, stream>>>(t, *c, first);
    }
    cu_check(s, "the tangents of a mesh");
}
