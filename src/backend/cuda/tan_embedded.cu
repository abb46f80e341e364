/* SPDX-License-Identifier: MIT */
/* tan_embedded.cu - directional derivatives of the repulsion and of D3TS (docs/math/tangents.md;
 * term/srrep.c and term/d3ts.c are the same on the host), pair by pair (tan_term.h).
 *
 * D3TS' pairs have two parameters per atom, C6 and polarisability p = p0 exp(y): the head's tangent ty
 * is tp = p ty, and its adjoint gy = gp p has the tangent (tgp + w gp) p + gp tp, w the weight of the
 * system's energy in a loss. */
#include "backend/cuda/tan_term.h"
#include "point/cutoff.h"
#include "point/d3_damping.h"
#include "point/d3ts.h"
#include "point/repulsion.h"

/* ---------------------------------------------------------------- repulsion */

template <int CRYSTAL, int STRAIN>
__global__ void __launch_bounds__(WARPS * 32) tan_repulsion(const __grid_constant__ cu_embedded_tan e)
{
    const cu_term_tan &c = e.c;
    share s;
    if (!find_share<CRYSTAL>(c, &s))
        return;
    const double *own = e.x.element + CU_ELEMENT * c.of.kind[s.i];
    sums<STRAIN> x = {};
    for_pairs<CRYSTAL>(c.of, s.place, s.i, c.near, [&](int j, const double r[3]) {
        const double *other = e.x.element + CU_ELEMENT * c.of.kind[j];
        const double dist = length_of(r);
        const aim_deriv v =
            aim_deriv_mul(aim_repulsion_gfn1(dist, own[0] * other[0]),
                          aim_cutoff_envelope(dist, e.x.rc, (aim_envelope)e.x.envelope));
        const radial u = radial_of(v, 2.0 * own[1] * other[1], dist);
#pragma unroll
        for (int d = 0; d < DIRS; d++)
            if (d < s.n) {
                double tr[3];
                move_pair(c, s, d, j, r, tr);
                add_pull(&x, d, r, tr, u.h * (r[0] * tr[0] + r[1] * tr[1] + r[2] * tr[2]), u.f);
            }
    });
#pragma unroll
    for (int d = 0; d < DIRS; d++)
        if (d < s.n)
            (void)finish(c, s, x, d);
}

/* ---------------------------------------------------------------- D3TS */

enum { THREADS = 256 };

__global__ void __launch_bounds__(THREADS) tan_params(const __grid_constant__ cu_embedded_tan e)
{
    const int n = e.c.of.n, k = blockIdx.x * THREADS + threadIdx.x;
    if (k >= 2 * n)
        return;
    const size_t at = 2 * (size_t)n * blockIdx.y + k;
    e.tparam[at] = cu_predicted_slope(e.x.ts[CU_TS_ROW * (k / 2) + k % 2], e.x.value[k]) * e.thead[at];
}

/* Sums of one atom over its pairs, besides forces: of dE/d its parameters. */
struct param_sums {
    double p[DIRS][2];
};

template <int STRAIN>
static __device__ __forceinline__ void add_ts(const cu_embedded_tan &e, const share &s, int d, int j,
                                              const double r[3], const radial &u,
                                              const aim_d3ts_c6 &c6, sums<STRAIN> *x, param_sums *y)
{
    double tr[3];
    move_pair(e.c, s, d, j, r, tr);
    const double *ti = e.tparam + 2 * row_of(e.c, s, d, s.i),
                 *tj = e.tparam + 2 * row_of(e.c, s, d, j),
                 a = r[0] * tr[0] + r[1] * tr[1] + r[2] * tr[2];
    const double tc6 = c6.g[0] * ti[0] + c6.g[1] * ti[1] + c6.g[2] * tj[0] + c6.g[3] * tj[1];
#pragma unroll
    for (int k = 0; k < 2; k++)
        y->p[d][k] += u.v * (c6.h[k][0] * ti[0] + c6.h[k][1] * ti[1] + c6.h[k][2] * tj[0] +
                             c6.h[k][3] * tj[1]) -
                      u.f * c6.g[k] * a;
    add_pull(x, d, r, tr, u.h * c6.v * a + u.f * tc6, u.f * c6.v);
}

template <int CRYSTAL, int STRAIN>
__global__ void __launch_bounds__(WARPS * 32) tan_d3ts(const __grid_constant__ cu_embedded_tan e)
{
    const cu_term_tan &c = e.c;
    share s;
    if (!find_share<CRYSTAL>(c, &s))
        return;
    const double *own = e.x.ts + CU_TS_ROW * (size_t)s.i;
    sums<STRAIN> x = {};
    param_sums y = {};
    for_pairs<CRYSTAL>(c.of, s.place, s.i, c.of.reach, [&](int j, const double r[3]) {
        const double *other = e.x.ts + CU_TS_ROW * (size_t)j;
        const double dist = length_of(r), ratio = aim_d3_c8_ratio(own[2], other[2]);
        const radial u = radial_in_bohr(aim_d3_damping(dist * AIM_BOHR_INV, c.of.s6, c.of.s8, ratio,
                                                       aim_d3_radius(ratio, c.of.a1, c.of.a2)),
                                        -AIM_HARTREE, dist);
        const aim_d3ts_c6 c6 = aim_d3ts_combine(own[0], own[1], other[0], other[1]);
#pragma unroll
        for (int d = 0; d < DIRS; d++)
            if (d < s.n)
                add_ts(e, s, d, j, r, u, c6, &x, &y);
    });
#pragma unroll
    for (int d = 0; d < DIRS; d++) {
        const double p[2] = {cu_warp_sum(y.p[d][0]), cu_warp_sum(y.p[d][1])};
        if (d >= s.n)
            continue;
        (void)finish(c, s, x, d);
        if (threadIdx.x % 32)
            continue;
        const double w = c.weight ? c.weight[c.of.system[s.i]] : 0.0;
        for (int k = 0; k < 2; k++) {
            const size_t at = 2 * row_of(c, s, d, s.i) + k;
            const double gp = e.slope[2 * (size_t)s.i + k];
            e.tghead[at] = (p[k] + w * gp) * cu_predicted_slope(own[k], e.x.value[2 * (size_t)s.i + k]) +
                           gp * e.tparam[at];
        }
    }
}

/* ---------------------------------------------------------------- launches */

template <int CRYSTAL, int STRAIN>
static void launch(cudaStream_t stream, const cu_embedded_tan *e, int of_heads)
{
    const unsigned blocks = blocks_of(&e->c);
    if (of_heads)
        tan_d3ts<CRYSTAL, STRAIN><<<blocks, WARPS * 32, 0, stream>>>(*e);
    else
        tan_repulsion<CRYSTAL, STRAIN><<<blocks, WARPS * 32, 0, stream>>>(*e);
}

static void launch_for(cudaStream_t stream, const cu_embedded_tan *e, int of_heads)
{
    if (!e->c.of.cells.grid)
        launch<0, 0>(stream, e, of_heads);
    else if (e->c.tvirial)
        launch<1, 1>(stream, e, of_heads);
    else
        launch<1, 0>(stream, e, of_heads);
}

void cu_repulsion_tan(cu_state *s, cudaStream_t stream, const struct cu_embedded_tan *e)
{
    launch_for(stream, e, 0);
    cu_check(s, "the tangents of the repulsion");
}

void cu_d3ts_tan(cu_state *s, cudaStream_t stream, const struct cu_embedded_tan *e)
{
    const dim3 blocks((unsigned)((2 * e->c.of.n + THREADS - 1) / THREADS), (unsigned)e->c.n_dir);
    tan_params<<<blocks, THREADS, 0, stream>>>(*e);
    launch_for(stream, e, 1);
    cu_check(s, "the tangents of D3TS");
}
