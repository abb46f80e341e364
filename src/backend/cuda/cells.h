/* SPDX-License-Identifier: MIT */
/* cells.h - the atoms of crystals sorted into bins, and the walk over an atom's surroundings.
 *
 * Each system has a grid over its own cell; positions are wrapped into it. Bins follow each other
 * along the first axis, so that a row of bins is one range of sorted atoms (split where the row
 * leaves the cell), which the 32 lanes of a warp share. The order of the walk depends on the own
 * system alone: bins in fixed order, atoms of a bin by their index. Boxes smaller than the cutoff
 * are covered several times, once per image. */
#ifndef AIM_BACKEND_CUDA_CELLS_H
#define AIM_BACKEND_CUDA_CELLS_H

/* Grid of one system. */
typedef struct cu_grid {
    double cell[9], inverse[9]; /* rows of the cell; r inverse = fractional */
    double height[3];           /* distance of opposite faces */
    int n[3], base, right;      /* bins per axis, first bin; right: all angles are */
} cu_grid;

typedef struct cu_cells {
    const cu_grid *grid; /* [systems]; NULL: no crystals in this batch */
    int n, bins;
    int *bin;                /* [n] of each atom */
    int *start, *raw, *fill; /* [bins + 1], [n] unsorted, [bins] */
    int *order;              /* [n] atom of each sorted place */
    double *pos;             /* [n][3] wrapped, sorted */
    double *axis;            /* [3][n] the same, axis by axis */
    const int *atom_kind;    /* [n] kind of each atom, */
    int *kind;               /* [n] and sorted */
    double *wrapped;         /* [n][3] wrapped, by atom */
} cu_cells;

#if defined(__CUDACC__)
static __device__ __forceinline__ int cu_floor_div(int a, int n)
{
    return a >= 0 ? a / n : -((n - 1 - a) / n);
}

/* Calls f(place or -1, r, d2, image) for all lanes of the warp together: place < 0 where a lane has no
 * neighbour within the cutoff. self: sorted place of the atom. Differences r are in double, d2 is
 * T. The lanes first work out one row of bins each, then walk the rows together. */
template <typename T, typename F>
static __device__ __forceinline__ void cu_walk_as(const cu_cells &c, const cu_grid &g, int self,
                                                  double cutoff, F f)
{
    const int lane = threadIdx.x % 32;
    const double *px = c.axis, *py = c.axis + c.n, *pz = c.axis + 2 * (size_t)c.n;
    const double x[3] = {px[self], py[self], pz[self]};
    double s[3];
    int at[3], m[3];
#pragma unroll
    for (int a = 0; a < 3; a++) {
        s[a] = x[0] * g.inverse[a] + x[1] * g.inverse[3 + a] + x[2] * g.inverse[6 + a];
        s[a] = fmin(fmax(s[a], 0.0), 1.0);
        at[a] = min((int)(s[a] * g.n[a]), g.n[a] - 1);
        m[a] = (int)ceil(cutoff / g.height[a] * g.n[a] * (1.0 + 1e-12));
    }
    const double wide[3] = {g.height[0] / g.n[0], g.height[1] / g.n[1], g.height[2] / g.n[2]};
    const double cutoff2 = cutoff * cutoff;
    const T limit = (T)cutoff2;
    const int rows_y = 2 * m[1] + 1, rows = rows_y * (2 * m[2] + 1);
    for (int base = 0; base < rows; base += 32) {
        int own_first = 0, own_last = -1, own_row = 0, own_iy = 0, own_iz = 0;
        if (base + lane < rows) {
            const int kz = at[2] - m[2] + (base + lane) / rows_y,
                      ky = at[1] - m[1] + (base + lane) % rows_y;
            const double dz = fmax(0.0, fmax(kz * wide[2] - s[2] * g.height[2],
                                             s[2] * g.height[2] - (kz + 1) * wide[2])),
                         dy = fmax(0.0, fmax(ky * wide[1] - s[1] * g.height[1],
                                             s[1] * g.height[1] - (ky + 1) * wide[1]));
            const double left = g.right                      ? cutoff2 - dy * dy - dz * dz
                                : dy > cutoff || dz > cutoff ? -1.0
                                                             : cutoff2;
            if (left >= 0.0) {
                const double reach = sqrt(left);
                own_first =
                    max(at[0] - m[0], (int)floor((s[0] * g.height[0] - reach) / wide[0] - 1e-9));
                own_last =
                    min(at[0] + m[0], (int)floor((s[0] * g.height[0] + reach) / wide[0] + 1e-9));
                own_iz = cu_floor_div(kz, g.n[2]);
                own_iy = cu_floor_div(ky, g.n[1]);
                own_row =
                    g.base + ((kz - own_iz * g.n[2]) * g.n[1] + (ky - own_iy * g.n[1])) * g.n[0];
            }
        }
        unsigned live = __ballot_sync(0xffffffffu, own_first <= own_last);
        for (; live; live &= live - 1) {
            const int from_lane = __ffs(live) - 1;
            const int first = __shfl_sync(0xffffffffu, own_first, from_lane),
                      last = __shfl_sync(0xffffffffu, own_last, from_lane),
                      row = __shfl_sync(0xffffffffu, own_row, from_lane),
                      iy = __shfl_sync(0xffffffffu, own_iy, from_lane),
                      iz = __shfl_sync(0xffffffffu, own_iz, from_lane);
            for (int kx = first; kx <= last;) {
                const int ix = cu_floor_div(kx, g.n[0]), end = min(last, (ix + 1) * g.n[0] - 1);
                const int from = c.start[row + kx - ix * g.n[0]],
                          to = c.start[row + end - ix * g.n[0] + 1];
                double t[3];
#pragma unroll
                for (int d = 0; d < 3; d++)
                    t[d] = ix * g.cell[d] + iy * g.cell[3 + d] + iz * g.cell[6 + d] - x[d];
                const int image = (ix & 255) | (iy & 255) << 8 | (iz & 255) << 16;
                for (int k0 = from; k0 < to; k0 += 32) {
                    const int k = k0 + lane;
                    double r[3] = {0, 0, 0};
                    T d2 = 0;
                    int hit = 0;
                    if (k < to) {
                        r[0] = px[k] + t[0];
                        r[1] = py[k] + t[1];
                        r[2] = pz[k] + t[2];
                        d2 = (T)r[0] * (T)r[0] + (T)r[1] * (T)r[1] + (T)r[2] * (T)r[2];
                        hit = d2 < limit && (k != self || image);
                    }
                    f(hit ? k : -1, r, d2, image);
                }
                kx = end + 1;
            }
        }
    }
}

template <typename F>
static __device__ __forceinline__ void cu_walk(const cu_cells &c, const cu_grid &g, int self,
                                               double cutoff, F f)
{
    cu_walk_as<double>(c, g, self, cutoff, f);
}
#endif

#endif
