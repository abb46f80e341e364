/* SPDX-License-Identifier: MIT */
/* pme_cpu.c - between atoms and mesh: splines (a lane is a spline), spreading and interpolation
 * (vectors along the mesh's contiguous axis, one or two of them cover a row of the tile). */
#include "backend/cpu/term_cpu.h"

/* one step of the recursion of point/bspline.h */
AIM_INLINE void raise_order(vreal t, int n, vreal *w)
{
    const vreal f = vset(1.0 / (n - 1));
    w[n - 1] = f * t * w[n - 2];
    for (int j = n - 2; j > 0; j--)
        w[j] =
            f * ((t + vset((double)(n - 1 - j))) * w[j - 1] + (vset((double)(1 + j)) - t) * w[j]);
    w[0] = f * (vset(1.0) - t) * w[0];
}

static void store_splines(const vreal *w, int order, int padded, double *out)
{
    for (int lane = 0; lane < VL; lane++) {
        double *row = out + (size_t)lane * (size_t)padded;
        for (int j = 0; j < order; j++)
            row[j] = w[j][lane];
        for (int j = order; j < padded; j++)
            row[j] = 0.0;
    }
}

void AIM_CPU_NAMED(aim_mesh_splines)(int order, int padded, const double *t, int n, double *w,
                                     double *dw)
{
    vreal a[AIM_BSPLINE_MAX], d[AIM_BSPLINE_MAX];
    for (int k = 0; k < n; k += VL) {
        const vreal x = vload(t + k);
        a[0] = vset(1.0) - x;
        a[1] = x;
        for (int m = 3; m < order; m++)
            raise_order(x, m, a);
        if (dw) {
            d[0] = -a[0];
            for (int j = 1; j < order - 1; j++)
                d[j] = a[j - 1] - a[j];
            d[order - 1] = a[order - 2];
            store_splines(d, order, padded, dw + (size_t)k * (size_t)padded);
        }
        raise_order(x, order, a);
        store_splines(a, order, padded, w + (size_t)k * (size_t)padded);
    }
}

void AIM_CPU_NAMED(aim_mesh_spread)(int order, int padded, double c, const double *wy,
                                    const double *wz, double *plane, size_t stride)
{
    for (int j = 0; j < order; j++) {
        const vreal f = vset(c * wy[j]);
        double *row = plane + (size_t)j * stride;
        for (int k = 0; k < padded; k += VL)
            vstore(row + k, vload(row + k) + f * vload(wz + k));
    }
}

void AIM_CPU_NAMED(aim_mesh_interpolate)(const aim_mesh_tile *tile, const double *mesh,
                                         double sum[4])
{
    vreal part[4] = {{0}, {0}, {0}, {0}};
    for (int k = 0; k < tile->padded; k += VL) {
        vreal value = {0}, along_x = {0}, along_y = {0};
        for (int i = 0; i < tile->order; i++) {
            const double *plane = mesh + tile->plane[i] + tile->column + k;
            vreal a = {0}, b = {0};
            for (int j = 0; j < tile->order; j++) {
                const vreal m = vload(plane + tile->row[j]);
                a += vset(tile->w[1][j]) * m;
                b += vset(tile->dw[1][j]) * m;
            }
            value += vset(tile->w[0][i]) * a;
            along_x += vset(tile->dw[0][i]) * a;
            along_y += vset(tile->w[0][i]) * b;
        }
        const vreal w = vload(tile->w[2] + k);
        part[0] += w * value;
        part[1] += w * along_x;
        part[2] += w * along_y;
        part[3] += vload(tile->dw[2] + k) * value;
    }
    vsum4(part, sum);
}
