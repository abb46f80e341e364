/* SPDX-License-Identifier: MIT */
/* term.cu - Coulomb energies, with the forces through D3's coordination numbers in the same sum over
 * the neighbours (term.h).
 *
 * Coulomb functions of pairs closer than CLOSE, and of all pairs of molecules, are always double: there
 * one rounding of the energy of a bond would be as large as an atom's tolerance. */
#include "backend/cuda/term.h"
#include "point/coulomb.h"
#include "point/cutoff.h"
#include "point/gelu.h"

static const double CLOSE = 5.0; /* Angstrom */

/* Damped shifted force: value, and the derivative divided by d, of one pair within the cutoff. */
static __device__ __forceinline__ float dsf_pair(float d, float inv, const aim_dsf &p, float *slope)
{
    float gauss;
    const float a = (float)p.alpha, c = aim_erfc_f32(a * d, &gauss) * inv,
                g = (float)p.gauss * gauss;
    *slope = ((float)p.slope - (c + g) * inv) * inv;
    return c - (float)p.shift + (d - (float)p.rc) * (float)p.slope;
}
static __device__ __forceinline__ double dsf_pair(double d, double inv, const aim_dsf &p,
                                                  double *slope)
{
    const aim_deriv f = aim_coulomb_dsf(d, &p);
    *slope = f.d1 * inv;
    return f.v;
}

/* ---------------------------------------------------------------- Coulomb, forces through CN */

/* The short-range part, over the network's list. */
static __device__ __forceinline__ double short_range(const struct cu_terms &t, int i,
                                                     pull<double> *p)
{
    const double *x = t.shift ? t.cells.wrapped : t.coord;
    const double kq = AIM_COULOMB_K * t.q[i];
    double phi = 0;
    for (int m = threadIdx.x % 32; m < t.count[i]; m += 32) {
        const size_t at = (size_t)i * t.capacity + m;
        const int j = t.j[at];
        double r[3] = {x[3 * j] - x[3 * i], x[3 * j + 1] - x[3 * i + 1],
                       x[3 * j + 2] - x[3 * i + 2]};
        if (t.shift) {
            const int s = t.shift[at];
            const double *h = t.cells.grid[t.system[i]].cell;
            for (int d = 0; d < 3; d++)
                r[d] += (double)(signed char)(s & 255) * h[d] +
                        (double)(signed char)(s >> 8 & 255) * h[3 + d] +
                        (double)(signed char)(s >> 16 & 255) * h[6 + d];
        }
        const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
        const aim_deriv f = aim_deriv_mul(
            aim_coulomb_simple(d), aim_cutoff_envelope(d, t.sr_rc, (aim_envelope)t.envelope));
        phi -= t.q[j] * f.v;
        add_pull(p, r, kq * t.q[j] * f.d1 / d, t.want_strain);
    }
    return cu_warp_sum(phi);
}

template <typename T, int CRYSTAL>
__global__ void __launch_bounds__(WARPS * 32)
    pair_terms(const __grid_constant__ struct cu_terms t, const aim_dsf all)
{
    cu_wait();
    __shared__ T radius[AIM_DEV_SPECIES];
    int place;
    const int i = warp_atom(t, &place), through_cn = t.through_cn;
    const T *cn_grad = (const T *)t.cn_grad;
    if (through_cn)
        load_radii(t, radius);
    if (i < 0)
        return;
    const double q = t.coulomb || t.sr ? t.q[i] : 0.0, kq = AIM_COULOMB_K * q;
    const aim_dsf dsf = t.screening ? t.screening[t.system[i]] : all;
    const int is_dsf = t.coulomb == AIM_DEV_COULOMB_DSF || t.screening,
              is_simple = t.coulomb == AIM_DEV_COULOMB_SIMPLE && !CRYSTAL;
    const double reach_q = is_dsf      ? dsf.rc
                           : is_simple ? INFINITY
                                       : 0.0,
                 reach_cn = through_cn ? t.reach : 0.0;
    const T unit = (T)(AIM_HARTREE * AIM_BOHR_INV), short_kq = (T)kq, short_rc = (T)reach_q,
            short_cn = (T)reach_cn, own_cn = through_cn ? cn_grad[place] : (T)0,
            own_radius = through_cn ? radius[kind_at(t, place)] : (T)0;
    pull<T> far = {};
    pull<double> close = {};
    double phi = 0;
    /* dE/dd / d of a pair, eV/A^2, through the coordination numbers of both */
    auto cn_force = [&](int p, T inv) {
        T slope;
        count((T)AIM_BOHR * inv, own_radius + radius[kind_at(t, p)], &slope);
        return -unit * (own_cn + cn_grad[p]) * slope * inv;
    };
    if (reach_q > 0.0 || reach_cn > 0.0)
        for_neighbours<T, CRYSTAL>(
            t, i, place, fmax(reach_q, reach_cn), reach_q > 0.0 ? CLOSE : 0.0,
            [&](int p, const T r[3]) {
                const T d2 = r[0] * r[0] + r[1] * r[1] + r[2] * r[2], inv = inverse_root(d2),
                        d = d2 * inv;
                T force = 0;
                if (d < short_rc) { /* crystals: damped shifted force */
                    T slope;
                    const T qj = (T)t.q[CRYSTAL ? t.cells.order[p] : p];
                    phi += (double)(qj * dsf_pair(d, inv, dsf, &slope));
                    force = -short_kq * qj * slope;
                }
                if (d < short_cn)
                    force += cn_force(p, inv);
                add_pull(&far, r, force, t.want_strain);
            },
            [&](int p, const double r[3]) {
                const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), inv = 1.0 / d;
                double force = 0.0;
                if (d < reach_q) {
                    const double qj = t.q[CRYSTAL ? t.cells.order[p] : p];
                    double v = inv, slope = -inv * inv * inv;
                    if (is_dsf)
                        v = dsf_pair(d, inv, dsf, &slope);
                    phi += qj * v;
                    force = -kq * qj * slope;
                }
                if (d < reach_cn)
                    force += (double)cn_force(p, (T)inv);
                add_pull(&close, r, force, t.want_strain);
            });
    phi = cu_warp_sum(phi);
    const double phi_sr = t.sr ? short_range(t, i, &close) : 0.0;
    if (is_dsf)
        phi += 2.0 * dsf.self * q;
    if (t.want_grad)
        finish_pull(both_pulls(far, 1.0, close), i, t.want_strain, t.d3_ran ? t.grad_side : NULL,
                    t.d3_ran ? t.virial_side : NULL, t.grad, t.virial);
    if (threadIdx.x % 32)
        return;
    t.e[i] = 0.5 * kq * phi;
    t.e[t.n + i] = 0.5 * kq * phi_sr;
    if (t.want_grad)
        t.gq[i] = AIM_COULOMB_K * (phi + phi_sr);
}

void cu_pair_terms(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    aim_dsf dsf = {};
    if (t->coulomb == AIM_DEV_COULOMB_DSF)
        dsf = aim_dsf_make(t->rc, t->alpha);
    const int blocks = (t->n + WARPS - 1) / WARPS;
    if (t->cells.grid && t->is_double)
        pair_terms<double, 1><<<blocks, WARPS * 32, 0, stream>>>(*t, dsf);
    else if (t->cells.grid)
        pair_terms<float, 1><<<blocks, WARPS * 32, 0, stream>>>(*t, dsf);
    else if (t->is_double)
        pair_terms<double, 0><<<blocks, WARPS * 32, 0, stream>>>(*t, dsf);
    else
        pair_terms<float, 0><<<blocks, WARPS * 32, 0, stream>>>(*t, dsf);
    cu_check(s, "the pair terms");
}
