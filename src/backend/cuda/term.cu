/* SPDX-License-Identifier: MIT */
/* term.cu - Coulomb energies, and forces of D3 through the coordination numbers. Molecules: one warp per
 * atom, its lanes share all atoms. Crystals: one block per group of atoms (groups.h), on the fly: no
 * list of the long range is stored. Lanes are added as a balanced tree, so a sum depends on the system
 * alone.
 *
 * Coulomb functions of close pairs of crystals, and of all pairs of molecules, are in double: there one
 * rounding of the energy of a bond would be as large as an atom's tolerance. Those of crystals go over
 * the network's list, with the weight near_share(d); what is left of a pair is summed in T by groups:
 * a share that fades out, for no pair may be in both or in none because a distance was rounded. */
#include "backend/cuda/molecules.h"
#include "backend/cuda/term.h"

static const double CLOSE = 5.0; /* Angstrom, unless the list is shorter */

/* ---------------------------------------------------------------- close pairs, over the list */

static __device__ __forceinline__ double close_reach(const struct cu_terms &t)
{
    return fmin(CLOSE, t.list_cutoff);
}

/* Of a pair that is close: 1 up to an Angstrom within the reach, then falling to 0. */
static __device__ __forceinline__ double near_share(double d, double reach)
{
    return fmin(fmax(reach - d, 0.0), 1.0);
}
static __device__ __forceinline__ double far_share(double d, double reach)
{
    return fmin(fmax(d - (reach - 1.0), 0.0), 1.0);
}
static __device__ __forceinline__ float far_share(float d, float reach)
{
    return __saturatef(d - (reach - 1.0f));
}

/* The short-range part, and of crystals the close share of damped shifted forces; potentials to phi
 * and phi_sr, of this lane. */
static __device__ __forceinline__ void near_pairs(const struct cu_terms &t, int i,
                                                  const aim_dsf *dsf, double *phi, double *phi_sr,
                                                  pull<double> *p)
{
    const double kq = AIM_COULOMB_K * t.q[i], reach = close_reach(t);
    for (int m = threadIdx.x % 32; m < t.count[i]; m += 32) {
        const size_t at = (size_t)i * t.capacity + m;
        double r[3], force = 0;
        list_pair(t, i, at, r);
        const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), qj = t.q[t.j[at]];
        if (dsf && d < reach && d < dsf->rc) {
            double slope;
            const double share = near_share(d, reach),
                         v = dsf_pair(d * d, d, 1.0 / d, *dsf, &slope);
            *phi += qj * v * share;
            force -= kq * qj * slope * share;
        }
        if (t.sr) {
            const aim_deriv f = short_range(t, d);
            *phi_sr -= qj * f.v;
            force += kq * qj * f.d1 / d;
        }
        add_pull(p, r, force, t.want_strain);
    }
}

/* ---------------------------------------------------------------- all pairs of molecules */

template <typename T>
__global__ void __launch_bounds__(WARPS * 32)
    molecule_terms(const __grid_constant__ struct cu_terms t, const aim_dsf dsf)
{
    cu_wait();
    __shared__ T radius[AIM_DEV_SPECIES];
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    const T *cn_grad = (const T *)t.cn_grad;
    if (t.through_cn)
        load_radii(t, radius);
    if (i >= t.n)
        return;
    const double q = t.coulomb || t.sr ? t.q[i] : 0.0, kq = AIM_COULOMB_K * q;
    const int is_dsf = t.coulomb == AIM_DEV_COULOMB_DSF;
    const double reach_q = is_dsf                                ? dsf.rc
                           : t.coulomb == AIM_DEV_COULOMB_SIMPLE ? INFINITY
                                                                 : 0.0,
                 reach_cn = t.through_cn ? t.reach : 0.0;
    const T unit = (T)CN_UNIT, own_cn = t.through_cn ? unit * cn_grad[i] : (T)0,
            own_radius = t.through_cn ? radius[t.kind[i]] : (T)0;
    pull<double> p = {};
    double phi = 0, phi_sr = 0;
    if (reach_q > 0.0 || reach_cn > 0.0)
        for_molecule(t, i, fmax(reach_q, reach_cn), [&](int j, const double r[3]) {
            const double d = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]), inv = 1.0 / d;
            double force = 0.0;
            if (d < reach_q) {
                const double qj = t.q[j];
                double v = inv, slope = -inv * inv * inv;
                if (is_dsf)
                    v = dsf_pair(d * d, d, inv, dsf, &slope);
                phi += qj * v;
                force = -kq * qj * slope;
            }
            if (d < reach_cn)
                force += (double)cn_force<T>(own_radius + radius[t.kind[j]],
                                             own_cn + unit * cn_grad[j], (T)inv);
            add_pull(&p, r, force, t.want_strain);
        });
    if (t.sr)
        near_pairs(t, i, NULL, &phi, &phi_sr, &p);
    phi = cu_warp_sum(phi);
    phi_sr = cu_warp_sum(phi_sr);
    if (is_dsf)
        phi += 2.0 * dsf.self * q;
    if (t.want_grad)
        finish_pull(p, i, t.want_strain, t.d3_ran ? t.grad_side : NULL,
                    t.d3_ran ? t.virial_side : NULL, t.grad, t.virial);
    if (threadIdx.x % 32 == 0)
        leave(t, i, q, phi, phi_sr);
}

/* ---------------------------------------------------------------- crystals */

enum { TERM_SUMS = 10 }; /* potential, force, virial */

/* Charges go with the candidates as w, what D3 needs beside them. */
template <typename T> struct cn_part {
    T radius, grad;
};

/* What is the same for all pairs of a block: how far Coulomb and D3 reach, 0: not at all. */
template <typename T> struct pair_reach {
    T q, cn, limit, close;
};

/* Sums over the candidates that have come, for one atom of the group: of Coulomb, of D3, or both. */
template <typename T, int STRAIN, int Q, int CN>
static __device__ __forceinline__ void
group_pairs(const aim_dsf &dsf, cu_surroundings<T> *s, const cn_part<T> *cn, int m, int a,
            const cn_part<T> &own, const pair_reach<T> &reach, double *sums)
{
    const vec4<T> at = s->own[a];
    const T kq = (T)-AIM_COULOMB_K * at.w, radius = own.radius, grad = own.grad;
    T phi = 0;
    pull<T> p = {};
    cu_each_hit(s, m, at, [&](int k, const vec4<T> &c, const T r[3], T d2, int) {
        const T inv = inverse_root(d2), d = d2 * inv;
        T force = 0;
        if (Q) {
            T slope;
            const T v = dsf_pair(d2, d, inv, dsf, &slope),
                    q = d < reach.q ? c.w * far_share(d, reach.close) : (T)0;
            phi += q * v;
            force = kq * q * slope;
        }
        if (CN) {
            const cn_part<T> other = cn[k];
            const T f = cn_force(radius + other.radius, grad + other.grad, inv);
            force += d < reach.cn ? f : (T)0;
        }
        add_pull(&p, r, force, STRAIN);
    });
    if (STRAIN)
        add_sums(sums,
                 {phi, p.g[0], p.g[1], p.g[2], p.w[0], p.w[1], p.w[2], p.w[3], p.w[4], p.w[5]});
    else
        add_sums(sums, {phi, p.g[0], p.g[1], p.g[2]});
}

template <typename T, int STRAIN>
static __device__ __forceinline__ void group_terms(const struct cu_terms &t, const aim_dsf &all,
                                                   const cu_group &group)
{
    __shared__ cu_surroundings<T> s;
    __shared__ cn_part<T> cn[cu_surroundings<T>::ROOM], own_cn[CU_GROUP];
    __shared__ T radius[AIM_DEV_SPECIES];
    __shared__ double sums[CU_GROUP][TERM_SUMS];
    const int charges = t.coulomb || t.sr, warp = threadIdx.x / 32;
    const T *cn_grad = (const T *)t.cn_grad;
    const aim_dsf dsf = t.screening ? t.screening[group.system] : all;
    const int is_dsf = t.coulomb == AIM_DEV_COULOMB_DSF || t.screening;
    const double reach_q = is_dsf ? dsf.rc : 0.0, reach_cn = t.through_cn ? t.reach : 0.0,
                 farther = fmax(reach_q, reach_cn);
    const pair_reach<T> reach = {(T)reach_q, (T)reach_cn, (T)(farther * farther),
                                 (T)close_reach(t)};
    if (t.through_cn)
        load_radii(t, radius);
    auto part = [&](int place) {
        return t.through_cn ? cn_part<T>{radius[t.cells.kind[place]], (T)CN_UNIT * cn_grad[place]}
                            : cn_part<T>{};
    };
    auto charge_at = [&](int place) { return charges ? (T)t.q[atom_of(t, place)] : (T)0; };
    for (int k = threadIdx.x; k < CU_GROUP * TERM_SUMS; k += CU_WALK_THREADS)
        sums[0][k] = 0;
    if ((int)threadIdx.x < group.n) {
        own_cn[threadIdx.x] = part(group.first + (int)threadIdx.x);
        s.own[threadIdx.x].w = charge_at(group.first + (int)threadIdx.x);
    }
    if (farther > 0.0)
        cu_walk_group(
            &s, t.cells, group, farther,
            [&](int k, int place, int) {
                s.at[k].w = charge_at(place);
                cn[k] = part(place);
            },
            [&](int n) {
                for (int a = warp; a < group.n; a += WARPS) {
                    const int m = cu_find_hits(&s, n, s.own[a], reach.limit, apart<T>);
                    if (reach_cn == 0.0)
                        group_pairs<T, STRAIN, 1, 0>(dsf, &s, cn, m, a, own_cn[a], reach, sums[a]);
                    else if (reach_q == 0.0)
                        group_pairs<T, STRAIN, 0, 1>(dsf, &s, cn, m, a, own_cn[a], reach, sums[a]);
                    else
                        group_pairs<T, STRAIN, 1, 1>(dsf, &s, cn, m, a, own_cn[a], reach, sums[a]);
                }
            });
    __syncthreads();
    for (int a = warp; a < group.n; a += WARPS) {
        if (!in_part(t.cells, group.first + a))
            continue;
        const int i = atom_of(t, group.first + a);
        const double q = charges ? t.q[i] : 0.0;
        double phi = 0, phi_sr = 0;
        pull<double> p = {};
        if (is_dsf || t.sr)
            near_pairs(t, i, is_dsf ? &dsf : NULL, &phi, &phi_sr, &p);
        if (threadIdx.x % 32 == 0) { /* what the groups' sums have found: one lane's */
            phi += sums[a][0];
            for (int k = 0; k < 3; k++)
                p.g[k] += sums[a][1 + k];
            for (int k = 0; k < 6; k++)
                p.w[k] += sums[a][4 + k];
        }
        phi = cu_warp_sum(phi);
        phi_sr = cu_warp_sum(phi_sr);
        if (is_dsf)
            phi += 2.0 * dsf.self * q;
        if (t.want_grad)
            finish_pull(p, i, t.want_strain, t.d3_ran ? t.grad_side : NULL,
                        t.d3_ran ? t.virial_side : NULL, t.grad, t.virial);
        if (threadIdx.x % 32 == 0)
            leave(t, i, q, phi, phi_sr);
    }
}

/* A block, a group at a time. */
template <typename T, int STRAIN>
__global__ void __launch_bounds__(CU_WALK_THREADS, sizeof(T) == 4 ? 6 : 1)
    crystal_terms(const __grid_constant__ struct cu_terms t, const aim_dsf all)
{
    cu_wait();
    cu_group group;
    for (int turn = 0; own_group(t.cells, turn, &group); turn++) {
        group_terms<T, STRAIN>(t, all, group);
        __syncthreads();
    }
}

template <typename T>
static void launch_terms(cudaStream_t stream, const struct cu_terms *t, const aim_dsf &dsf)
{
    if (t->cells.grid)
        (t->want_strain
             ? crystal_terms<T, 1>
             : crystal_terms<T, 0>)<<<cu_part_groups(&t->cells), CU_WALK_THREADS, 0, stream>>>(*t,
                                                                                               dsf);
    else
        molecule_terms<T><<<(t->n + WARPS - 1) / WARPS, WARPS * 32, 0, stream>>>(*t, dsf);
}

void cu_pair_terms(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    aim_dsf dsf = {};
    if (t->coulomb == AIM_DEV_COULOMB_DSF)
        dsf = aim_dsf_make(t->rc, t->alpha);
    if (t->largest)
        cu_pairs_of_molecules(s, stream, t, &dsf);
    else if (t->is_double)
        launch_terms<double>(stream, t, dsf);
    else
        launch_terms<float>(stream, t, dsf);
    cu_check(s, "the pair terms");
}
