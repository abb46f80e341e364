/* SPDX-License-Identifier: MIT */
/* embedded.cu - terms that models of older kinds have among their outputs: the short-range repulsion
 * (term/srrep.c) and dispersion with predicted C6 and polarisabilities (term/d3ts.c). What such models
 * embed besides, a Coulomb sum or D3, are the terms of term.cu, waves.cu and dispersion.cu.
 *
 * A warp owns an atom and everything is in double: there are few such models, and few of their pairs
 * beside those of the network. Gradients and strain derivatives are added to what the pair terms have
 * left. C6 and polarisability come from a head, so D3TS runs after the last pass and leaves the head's
 * adjoint where the host would have put it. */
#include "backend/cuda/term.h"
#include "backend/cuda/walk.h"
#include "point/d3ts.h"
#include "point/repulsion.h"

/* Row of this warp among `rows`, or -1. */
static __device__ __forceinline__ int own_row(int rows)
{
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    return row < rows ? row : -1;
}

/* ---------------------------------------------------------------- repulsion */

__global__ void __launch_bounds__(WARPS * 32)
    repulsion(const __grid_constant__ struct cu_embedded x)
{
    const struct cu_terms &t = x.of;
    const int row = own_row(x.rows), i = x.first + row, lane = threadIdx.x % 32;
    if (row < 0)
        return;
    const double *own = x.element + CU_ELEMENT * t.kind[i];
    pull<double> p = {};
    double e = 0;
    for (int m = lane; m < t.count[i]; m += 32) {
        const size_t at = (size_t)i * t.capacity + m;
        const double *other = x.element + CU_ELEMENT * t.kind[t.j[at]];
        double r[3];
        list_pair(t, i, at, r);
        const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), b = own[1] * other[1];
        const aim_deriv f = aim_deriv_mul(aim_repulsion_gfn1(d, own[0] * other[0]),
                                          aim_cutoff_envelope(d, x.rc, (aim_envelope)x.envelope));
        e += b * f.v;
        add_pull(&p, r, -2.0 * b * f.d1 / d, t.want_strain);
    }
    e = cu_warp_sum(e);
    if (t.want_grad && x.moves)
        finish_pull(p, i, t.want_strain, t.grad, t.virial, t.grad, t.virial);
    if (lane)
        return;
    t.e[3 * (size_t)t.n + i] = e;
    if (x.e_atom)
        x.e_atom[x.atom ? x.atom[i] : i] = e;
}

void cu_repulsion(cu_state *s, cudaStream_t stream, const struct cu_embedded *x)
{
    repulsion<<<(x->rows + WARPS - 1) / WARPS, WARPS * 32, 0, stream>>>(*x);
    cu_check(s, "the short-range repulsion");
}

/* ---------------------------------------------------------------- D3TS */

enum { THREADS = 256 };

__global__ void __launch_bounds__(THREADS) predict(const __grid_constant__ struct cu_embedded x)
{
    const int place = blockIdx.x * THREADS + threadIdx.x;
    if (place >= x.of.n)
        return;
    const int atom = x.atom ? x.atom[place] : place,
              kind = x.of.cells.grid ? x.of.cells.kind[place] : x.of.kind[place];
    const double *element = x.element + CU_ELEMENT * kind, *y = x.value + 2 * (size_t)atom;
    double *to = x.ts + CU_TS_ROW * (size_t)atom_of(x.of, place);
    for (int k = 0; k < 2; k++)
        to[k] = element[2 + k] * exp(fmax(-4.0, fmin(4.0, y[k])));
    to[2] = element[4];
}

/* Calls f(place, r) for the neighbours of the atom at a place, each in one of the lanes. */
template <int CRYSTAL, typename F>
static __device__ __forceinline__ void for_far(const struct cu_terms &t, int place, F f)
{
    if constexpr (CRYSTAL)
        cu_walk(t.cells, t.cells.grid[t.system[place]], place, t.reach,
                [&](int k, const double r[3], double, int) {
                    if (k >= 0)
                        f(k, r);
                });
    else
        for_molecule(t, place, t.reach, f);
}

template <int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32) d3ts(const __grid_constant__ struct cu_embedded x)
{
    const struct cu_terms &t = x.of;
    const int place = own_row(t.n);
    if (place < 0)
        return;
    const double *own = x.ts + CU_TS_ROW * (size_t)atom_of(t, place);
    pull<double> p = {};
    double e = 0, slope[2] = {0, 0};
    for_far<CRYSTAL>(t, place, [&](int k, const double r[3]) {
        const double *other = x.ts + CU_TS_ROW * (size_t)atom_of(t, k);
        const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]),
                     ratio = aim_d3_c8_ratio(own[2], other[2]);
        const aim_deriv f = aim_d3_damping(d * AIM_BOHR_INV, t.s6, t.s8, ratio,
                                           aim_d3_radius(ratio, t.a1, t.a2));
        const aim_d3ts_c6 c6 = aim_d3ts_combine(own[0], own[1], other[0], other[1]);
        e += c6.v * f.v;
        slope[0] += c6.g[0] * f.v;
        slope[1] += c6.g[1] * f.v;
        add_pull(&p, r, AIM_HARTREE * AIM_BOHR_INV * c6.v * f.d1 / d, t.want_strain);
    });
    const int row = atom_of(t, place), atom = x.atom ? x.atom[place] : place;
    e = cu_warp_sum(e);
    for (int k = 0; k < 2; k++)
        slope[k] = cu_warp_sum(slope[k]);
    if (t.want_grad)
        finish_pull(p, row, t.want_strain, t.grad, t.virial, t.grad, t.virial);
    if (threadIdx.x % 32)
        return;
    t.e[2 * (size_t)t.n + row] = -0.5 * AIM_HARTREE * e;
    for (int k = 0; k < 2 && x.adjoint; k++) {
        const size_t at = 2 * (size_t)atom + k;
        x.adjoint[at] = -AIM_HARTREE * slope[k] * cu_predicted_slope(own[k], x.value[at]);
        if (x.slope)
            x.slope[at] = -AIM_HARTREE * slope[k];
    }
}

void cu_d3ts(cu_state *s, cudaStream_t stream, const struct cu_embedded *x)
{
    const unsigned blocks = (unsigned)((x->of.n + WARPS - 1) / WARPS);
    predict<<<(x->of.n + THREADS - 1) / THREADS, THREADS, 0, stream>>>(*x);
    if (x->of.cells.grid)
        d3ts<1><<<blocks, WARPS * 32, 0, stream>>>(*x);
    else
        d3ts<0><<<blocks, WARPS * 32, 0, stream>>>(*x);
    cu_check(s, "the dispersion of D3TS");
}
