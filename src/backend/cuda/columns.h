/* SPDX-License-Identifier: MIT */
/* columns.h - how a block that is an atom shares out the columns of the convolution, forward, backward
 * and in their tangents: batches of BATCH neighbours; MAIN threads for the features, a warp more for
 * the charges. */
#ifndef AIM_CUDA_COLUMNS_H
#define AIM_CUDA_COLUMNS_H

#include "backend/cuda/cuda.h"

enum { BATCH = 32, MAIN = 64, BLOCK = 96 };

/* Who works on which column of which neighbours: threads of the first two warps one column of four
 * each, all neighbours; the lanes of the third warp the columns of the charges, neighbours dealt
 * out to `stride` groups. */
struct share {
    int col, start, stride, active;
};

template <typename real>
static __device__ __forceinline__ share main_share(const cu_conv<real> &c, int base)
{
    share s = {base + (int)threadIdx.x * 4, 0, 1, 0};
    s.active = threadIdx.x < MAIN && s.col < c.nf * c.gp;
    return s;
}

template <typename real>
static __device__ __forceinline__ share charge_share(const cu_conv<real> &c)
{
    const int lane = threadIdx.x - MAIN, columns = c.nc * c.gp / 4;
    const int groups = 32 % columns == 0 ? 32 / columns : 1;
    share s = {lane % columns * 4, lane / columns, groups, 0};
    s.active = c.charges && threadIdx.x >= MAIN && lane < groups * columns;
    return s;
}

/* what a thread collects: force on the atom, and r (x) force for the strain */
template <typename real> struct pull {
    real f[3], w[9];
};

/* share of the columns (summed: along = of the distance, gd; of the direction, gu) */
template <typename real>
static __device__ __forceinline__ void add_pull(pull<real> *p, const vec4<real> &u, real gd,
                                                const real gu[3], int strain)
{
    const real inv = (real)1 / u.w, dir[3] = {u.x, u.y, u.z};
    const real along = u.x * gu[0] + u.y * gu[1] + u.z * gu[2];
    for (int d = 0; d < 3; d++) {
        const real f = (gu[d] - along * dir[d]) * inv - gd * dir[d];
        p->f[d] += f;
        if (strain)
            for (int e = 0; e < 3; e++)
                p->w[3 * e + d] += u.w * dir[e] * f;
    }
}

/* Sizes of nearly all models as constants of the kernels: 16 channels, 16 shifts, rows of 16. */
template <typename real, int FIXED>
static __device__ __forceinline__ void fix_sizes(cu_conv<real> *c)
{
    if (FIXED) {
        c->nf = c->gp = c->hp = c->q_hp = c->nshifts = 16;
        c->fa = 256;
    }
}

/* Kernels of tangents in float have instances that know them. */
template <typename real> static constexpr int USUAL = sizeof(real) == sizeof(float);

#endif
