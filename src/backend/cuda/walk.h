/* SPDX-License-Identifier: MIT */
/* walk.h - the surroundings of one atom of a crystal, for a warp: where pairs cost so much (second
 * derivatives) that finding them does not. Bins in fixed order, atoms of a bin by their index. */
#ifndef AIM_CUDA_WALK_H
#define AIM_CUDA_WALK_H

#include "backend/cuda/cuda.h"

/* Calls f(place or -1, r, d2, image) for all lanes of the warp together: place < 0 where a lane has no
 * neighbour within the cutoff. self: sorted place of the atom. The lanes first work out one row of
 * bins each, then walk the rows together. */
template <typename F>
static __device__ __forceinline__ void cu_walk(const cu_cells &c, const cu_grid &g, int self,
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
    const int rows_y = 2 * m[1] + 1, rows = rows_y * (2 * m[2] + 1);
    for (int base = 0; base < rows; base += 32) {
        int own_first = 0, own_last = -1, own_ky = 0, own_kz = 0;
        if (base + lane < rows) {
            own_kz = at[2] - m[2] + (base + lane) / rows_y;
            own_ky = at[1] - m[1] + (base + lane) % rows_y;
            const double dz = fmax(0.0, fmax(own_kz * wide[2] - s[2] * g.height[2],
                                             s[2] * g.height[2] - (own_kz + 1) * wide[2])),
                         dy = fmax(0.0, fmax(own_ky * wide[1] - s[1] * g.height[1],
                                             s[1] * g.height[1] - (own_ky + 1) * wide[1]));
            const double left = g.right                      ? cutoff2 - dy * dy - dz * dz
                                : dy > cutoff || dz > cutoff ? -1.0
                                                             : cutoff2;
            if (left >= 0.0) {
                const double reach = sqrt(left);
                own_first =
                    max(at[0] - m[0], (int)floor((s[0] * g.height[0] - reach) / wide[0] - 1e-9));
                own_last =
                    min(at[0] + m[0], (int)floor((s[0] * g.height[0] + reach) / wide[0] + 1e-9));
            }
        }
        unsigned live = __ballot_sync(0xffffffffu, own_first <= own_last);
        for (; live; live &= live - 1) {
            const int from_lane = __ffs(live) - 1;
            const int first = __shfl_sync(0xffffffffu, own_first, from_lane),
                      last = __shfl_sync(0xffffffffu, own_last, from_lane),
                      ky = __shfl_sync(0xffffffffu, own_ky, from_lane),
                      kz = __shfl_sync(0xffffffffu, own_kz, from_lane),
                      iy = cu_floor_div(ky, g.n[1]), iz = cu_floor_div(kz, g.n[2]);
            for (int kx = first; kx <= last;) {
                const cu_piece piece = cu_find_piece(g, cu_piece_of(g, kx));
                const int ix = piece.image, end = min(last, piece.end - 1),
                          bin = cu_bin(g, kx - ix * g.n[0], ky - iy * g.n[1], kz - iz * g.n[2]);
                const int from = c.start[bin], to = c.start[bin + end - kx + 1];
                double t[3];
#pragma unroll
                for (int d = 0; d < 3; d++)
                    t[d] = ix * g.cell[d] + iy * g.cell[3 + d] + iz * g.cell[6 + d] - x[d];
                const int image = (ix & 255) | (iy & 255) << 8 | (iz & 255) << 16;
                for (int k0 = from; k0 < to; k0 += 32) {
                    const int k = k0 + lane;
                    double r[3] = {0, 0, 0};
                    double d2 = 0;
                    int hit = 0;
                    if (k < to) {
                        r[0] = px[k] + t[0];
                        r[1] = py[k] + t[1];
                        r[2] = pz[k] + t[2];
                        d2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
                        hit = d2 < cutoff2 && (k != self || image);
                    }
                    f(hit ? k : -1, r, d2, image);
                }
                kx = end + 1;
            }
        }
    }
}

#endif
