/* SPDX-License-Identifier: MIT */
/* dispersion.cu - DFT-D3. Molecules: one warp per atom, its lanes share all atoms; crystals: one block per
 * group of atoms (groups.h).
 *
 * Two sweeps as on the CPU (term/d3.c): coordination numbers and weights; energy with the derivative
 * to the coordination numbers. The third, forces through the coordination numbers, is one with the
 * Coulomb sum (term.cu). C6 is bilinear in the two atoms' normalised weights as long as no pair of
 * references falls below the floor; whether one can is known from each atom's smallest exponent, and
 * only such pairs take the long way. */
#include "backend/cuda/term.h"

/* Normalised weights of the references of the atom at `place`, their slopes and exponents, from its
 * coordination number; a lane per reference. */
template <typename T>
static __device__ void set_weights(const struct cu_terms &t, int place, int z, double cn)
{
    const int lane = threadIdx.x % 32, first = t.d3.first[z], n = t.d3.first[z + 1] - first,
              clamped = t.d3.cn_max && cn > t.d3.cn_max[z];
    cn = clamped ? t.d3.cn_max[z] : cn;
    const double own = lane < n ? aim_d3_exponent(cn, t.d3.cn[first + lane]) : -INFINITY;
    double top = own;
    for (int d = 4; d > 0; d >>= 1)
        top = fmax(top, __shfl_xor_sync(0xffffffffu, top, d));
    const double e = own - top;
    const int kept = lane < n && e >= t.d3.weight_floor;
    const double w = kept ? exp(e) : 0.0,
                 slope = kept ? -2.0 * AIM_D3_K3 * (cn - t.d3.cn[first + lane]) : 0.0;
    double sum = w, dsum = w * slope, low = kept ? e : 0.0;
    for (int d = 4; d > 0; d >>= 1) {
        sum += __shfl_xor_sync(0xffffffffu, sum, d);
        dsum += __shfl_xor_sync(0xffffffffu, dsum, d);
        low = fmin(low, __shfl_xor_sync(0xffffffffu, low, d));
    }
    if (lane < D3_ROW) {
        const size_t k = (size_t)place * D3_ROW + lane;
        ((T *)t.w)[k] = (T)(lane < n ? w / sum : 0.0);
        ((T *)t.dw)[k] = (T)(lane < n && !clamped ? w / sum * (slope - dsum / sum) : 0.0);
        ((T *)t.s)[k] = (T)(lane < n ? e : -INFINITY);
    }
    if (lane == 0)
        ((T *)t.low)[place] = (T)low;
}

template <typename T>
__global__ void __launch_bounds__(WARPS * 32)
    molecule_weights(const __grid_constant__ struct cu_terms t)
{
    cu_wait();
    __shared__ T radius[AIM_DEV_SPECIES];
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    load_radii(t, radius);
    if (i >= t.n)
        return;
    const T own = radius[t.kind[i]];
    T cn = 0;
    for_molecule(t, i, t.reach, [&](int j, const double d[3]) {
        const T r[3] = {(T)d[0], (T)d[1], (T)d[2]};
        T e;
        const T inv = inverse_root(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
        cn += count(inv, own + radius[t.kind[j]], &e);
    });
    set_weights<T>(t, i, t.kind_number[t.kind[i]], cu_warp_sum((double)cn));
}

/* Radii go with the candidates as w. */
template <typename T>
__global__ void __launch_bounds__(CU_WALK_THREADS)
    crystal_weights(const __grid_constant__ struct cu_terms t)
{
    cu_wait();
    __shared__ cu_surroundings<T> s;
    __shared__ T radius[AIM_DEV_SPECIES];
    __shared__ double cn[CU_GROUP];
    cu_group group;
    if (!own_group(t.cells, &group))
        return;
    const int warp = threadIdx.x / 32;
    const T limit = (T)(t.reach * t.reach);
    load_radii(t, radius);
    if ((int)threadIdx.x < group.n) {
        cn[threadIdx.x] = 0;
        s.own[threadIdx.x].w = radius[t.cells.kind[group.first + (int)threadIdx.x]];
    }
    cu_walk_group(
        &s, t.cells, group, t.reach,
        [&](int k, int place, int) { s.at[k].w = radius[t.cells.kind[place]]; },
        [&](int n) {
            for (int a = warp; a < group.n; a += WARPS) {
                const vec4<T> own = s.own[a];
                T sum = 0;
                const int m = cu_find_hits(&s, n, own, limit, apart<T>);
                cu_each_hit(&s, m, own, [&](int, const vec4<T> &p, const T *, T d2, int) {
                    T e;
                    sum += count(inverse_root(d2), own.w + p.w, &e);
                });
                add_sums(&cn[a], {sum});
            }
        });
    __syncthreads();
    for (int a = warp; a < group.n; a += WARPS)
        set_weights<T>(t, group.first + a, t.kind_number[t.cells.kind[group.first + a]], cn[a]);
}

/* C6 and dC6/dCN_i where pairs of references are dropped */
template <typename T>
static __device__ __noinline__ void long_way(const struct cu_terms *t, int i, int j, int zi, int zj,
                                             T *c6, T *dc6)
{
    const T *w_all = (const T *)t->w, *dw_all = (const T *)t->dw, *s_all = (const T *)t->s;
    const int fi = t->d3.first[zi], ni = t->d3.first[zi + 1] - fi, fj = t->d3.first[zj],
              nj = t->d3.first[zj + 1] - fj;
    double num = 0, den = 0, dnum = 0, dden = 0;
    for (int a = 0; a < ni; a++)
        for (int b = 0; b < nj; b++) {
            const size_t ka = (size_t)i * D3_ROW + a, kb = (size_t)j * D3_ROW + b;
            if ((double)s_all[ka] + (double)s_all[kb] < t->d3.weight_floor)
                continue;
            const double c = t->d3.c6[(size_t)(fi + a) * t->d3.n_refs + fj + b],
                         w = (double)w_all[ka] * (double)w_all[kb],
                         dw = (double)dw_all[ka] * (double)w_all[kb];
            num += w * c;
            den += w;
            dnum += dw * c;
            dden += dw;
        }
    *c6 = (T)(num / den);
    *dc6 = (T)((dnum - num / den * dden) / den);
}

/* bohr^6 in Angstrom^6 */
static const double BOHR_6 = AIM_BOHR * AIM_BOHR * AIM_BOHR * AIM_BOHR * AIM_BOHR * AIM_BOHR;

/* What an atom contributes to a pair with each kind of atom. */
template <typename T> struct alignas(16) kind_row {
    T g[D3_ROW], dg[D3_ROW]; /* sum_a w_a c6[a][b], d/dCN of it */
    T c8, r06, r08;          /* s8 3 r4r2 r4r2, powers of the damping radius; of Angstrom */
    int n;
};

template <typename T>
static __device__ void fill_rows(const struct cu_terms &t, int place, int z, kind_row<T> *row)
{
    const T *w = (const T *)t.w + (size_t)place * D3_ROW,
            *dw = (const T *)t.dw + (size_t)place * D3_ROW;
    const int fi = t.d3.first[z], ni = t.d3.first[z + 1] - fi;
    for (int k = threadIdx.x % 32; k < t.kinds * D3_ROW; k += 32) {
        const int kind = k / D3_ROW, b = k % D3_ROW, zj = t.kind_number[kind], fj = t.d3.first[zj],
                  nj = t.d3.first[zj + 1] - fj;
        double g = 0, dg = 0;
        for (int a = 0; a < ni && b < nj; a++) {
            const double c = t.d3.c6[(size_t)(fi + a) * t.d3.n_refs + fj + b];
            g += (double)w[a] * c;
            dg += (double)dw[a] * c;
        }
        row[kind].g[b] = (T)g;
        row[kind].dg[b] = (T)dg;
        if (b == 0) {
            const double ratio = aim_d3_c8_ratio(t.d3.r4r2[z], t.d3.r4r2[zj]),
                         r0 = AIM_BOHR * aim_d3_radius(ratio, t.a1, t.a2), r2 = r0 * r0,
                         r4 = r2 * r2;
            row[kind].c8 = (T)(t.s8 * ratio * BOHR_6 * AIM_BOHR * AIM_BOHR);
            row[kind].r06 = (T)(r4 * r2);
            row[kind].r08 = (T)(r4 * r4);
            row[kind].n = nj;
        }
    }
    __syncwarp();
}

/* What is the same for all pairs of a launch; lengths in Angstrom. */
template <typename T> struct d3_constants {
    T s6, floor, on, inv_width, limit; /* of the switch: 0 and 0 if there is none */
    int many;                          /* a kind has more than four references */
};

template <typename T>
static __device__ __forceinline__ d3_constants<T> make_constants(const struct cu_terms &t)
{
    const double start = t.cutoff * (1.0 - t.smoothing), reach = fmin(t.reach, t.cutoff);
    const int smooth = start < t.cutoff && isfinite(t.cutoff);
    d3_constants<T> c;
    c.s6 = (T)(t.s6 * BOHR_6);
    c.floor = (T)t.d3.weight_floor;
    c.inv_width = (T)(smooth ? 1.0 / (t.cutoff - start) : 0.0);
    c.on = (T)(smooth ? start / (t.cutoff - start) : 0.0);
    c.limit = (T)(reach * reach);
    c.many = 0;
    for (int k = 0; k < t.kinds; k++)
        c.many |= t.d3.first[t.kind_number[k] + 1] - t.d3.first[t.kind_number[k]] > 4;
    return c;
}

/* damping times switch, and -d/dd of it divided by d: aim_d3_damping and aim_cutoff_s5 */
template <typename T>
static __device__ __forceinline__ T damped(T d2, T inv_d, const d3_constants<T> &c,
                                           const kind_row<T> &k, T *f)
{
    d2 = min(d2, (T)1e8); /* farther pairs do not count, their powers overflow */
    const T d4 = d2 * d2, ia = fast_inverse(d4 * d2 + k.r06), ib = fast_inverse(d4 * d4 + k.r08),
            a = c.s6 * ia, b = k.c8 * ib, v = a + b,
            slope = d4 * ((T)6 * (a * ia) + (T)8 * (d2 * (b * ib))),
            x = saturate(d2 * inv_d * c.inv_width - c.on), u = x - x * x, x2 = x * x,
            sw = (T)1 - x * x2 * ((T)10 + x * ((T)6 * x - (T)15));
    *f = slope * sw + v * ((T)30 * c.inv_width) * (u * u) * inv_d;
    return v * sw;
}

/* C6 and dC6/dCN_i from the weights of the other atom: the first four, and where the others are, if a kind
 * has so many. */
template <typename T>
static __device__ __forceinline__ void short_way(const kind_row<T> &row, const vec4<T> &w0,
                                                 int many, const T *more, T *c6, T *dc6)
{
    *c6 = w0.x * row.g[0] + w0.y * row.g[1] + w0.z * row.g[2] + w0.w * row.g[3];
    *dc6 = w0.x * row.dg[0] + w0.y * row.dg[1] + w0.z * row.dg[2] + w0.w * row.dg[3];
    if (!many || row.n <= 4)
        return;
    const vec4<T> w1 = *(const vec4<T> *)more;
    *c6 += w1.x * row.g[4] + w1.y * row.g[5] + w1.z * row.g[6] + w1.w * row.g[7];
    *dc6 += w1.x * row.dg[4] + w1.y * row.dg[5] + w1.z * row.dg[6] + w1.w * row.dg[7];
}

/* Sums of one atom: energy and its derivative, forces. */
template <typename T> struct d3_sums {
    T e, cn;
    pull<T> p;
};

template <typename T>
static __device__ __forceinline__ void add_d3(d3_sums<T> *sum, const d3_constants<T> &c,
                                              const kind_row<T> &row, const T r[3], T d2, T c6,
                                              T dc6, int strain)
{
    T f;
    const T v = damped(d2, inverse_root(d2), c, row, &f);
    sum->e += c6 * v;
    sum->cn += dc6 * v;
    add_pull(&sum->p, r, c6 * f, strain);
}

/* What an atom leaves behind. */
template <typename T>
static __device__ __forceinline__ void leave_d3(const struct cu_terms &t, int place, double e,
                                                double cn_pull, const pull<double> &p)
{
    const int i = atom_of(t, place);
    if (t.want_grad)
        finish_pull(p, i, t.want_strain, NULL, NULL, t.grad_side, t.virial_side);
    if (threadIdx.x % 32)
        return;
    t.e[2 * (size_t)t.n + i] = -0.5 * AIM_HARTREE * e;
    ((T *)t.cn_grad)[place] = (T)-cn_pull;
}

static const double FORCE_UNIT = -AIM_HARTREE;

template <typename T>
__global__ void __launch_bounds__(WARPS * 32)
    molecule_energy(const __grid_constant__ struct cu_terms t)
{
    cu_wait();
    extern __shared__ __align__(16) unsigned char table[]; /* [warps][kinds] */
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (i >= t.n)
        return;
    const int z = t.kind_number[t.kind[i]];
    kind_row<T> *mine = (kind_row<T> *)table + threadIdx.x / 32 * t.kinds;
    fill_rows(t, i, z, mine);
    const d3_constants<T> c = make_constants<T>(t);
    const T low = ((const T *)t.low)[i];
    d3_sums<T> sum = {};
    for_molecule(t, i, fmin(t.reach, t.cutoff), [&](int j, const double d[3]) {
        const T r[3] = {(T)d[0], (T)d[1], (T)d[2]};
        const kind_row<T> &row = mine[t.kind[j]];
        const T *w = (const T *)t.w + (size_t)j * D3_ROW;
        T c6, dc6;
        if (low + ((const T *)t.low)[j] < c.floor)
            long_way<T>(&t, i, j, z, t.kind_number[t.kind[j]], &c6, &dc6);
        else
            short_way(row, *(const vec4<T> *)w, c.many, w + 4, &c6, &dc6);
        add_d3(&sum, c, row, r, r[0] * r[0] + r[1] * r[1] + r[2] * r[2], c6, dc6, t.want_strain);
    });
    leave_d3<T>(t, i, cu_warp_sum((double)sum.e), cu_warp_sum((double)sum.cn),
                widened(sum.p, FORCE_UNIT));
}

/* An atom's kind and smallest exponent in one number: the kind in the last seven bits, the exponent,
 * which is not positive, made smaller by that much at most: such a pair takes the long way. */
static __device__ __forceinline__ float tag_of(float low, int kind)
{
    const unsigned bits = __float_as_uint(low) | 0x80000000u;
    return __uint_as_float((bits & ~127u) + 128u + (unsigned)kind);
}
static __device__ __forceinline__ int tag_kind(float tag)
{
    return (int)(__float_as_uint(tag) & 127u);
}
static __device__ __forceinline__ double tag_of(double low, int kind)
{
    const unsigned long long bits = (unsigned long long)__double_as_longlong(low) | 1ull << 63;
    return __longlong_as_double((long long)((bits & ~127ull) + 128ull + (unsigned)kind));
}
static __device__ __forceinline__ int tag_kind(double tag)
{
    return (int)(__double_as_longlong(tag) & 127);
}

enum { D3_SUMS = 11 }; /* energy, derivative to the coordination number, force, virial */

template <typename T> struct d3_candidates {
    vec4<T> w[cu_surroundings<T>::ROOM]; /* the first four weights */
    int place[cu_surroundings<T>::ROOM];
};

/* Sums over the candidates that have come, for one atom of the group; w of candidates: tags. Pairs that
 * take the long way are left out at first: there are hardly ever any. */
template <typename T, int STRAIN>
static __device__ __forceinline__ void group_energy(const struct cu_terms &t,
                                                    const d3_constants<T> &c, cu_surroundings<T> *s,
                                                    const d3_candidates<T> *o, int n, int a, int i,
                                                    int z, const kind_row<T> *rows, double *sums)
{
    const T low = ((const T *)t.low)[i];
    const vec4<T> own = s->own[a];
    const int m = cu_find_hits(s, n, own, c.limit, apart<T>);
    d3_sums<T> sum = {};
    int left = 0;
    cu_each_hit(s, m, own, [&](int k, const vec4<T> &p, const T r[3], T d2, int) {
        const kind_row<T> &row = rows[tag_kind(p.w)];
        const int skip = low + p.w < c.floor;
        T c6, dc6;
        short_way(row, o->w[k], c.many, (const T *)t.w + (size_t)o->place[k] * D3_ROW + 4, &c6,
                  &dc6);
        left |= skip;
        add_d3(&sum, c, row, r, d2, skip ? (T)0 : c6, skip ? (T)0 : dc6, STRAIN);
    });
    if (__any_sync(0xffffffffu, left))
        cu_each_hit(s, m, own, [&](int k, const vec4<T> &p, const T r[3], T d2, int) {
            const int kind = tag_kind(p.w);
            T c6, dc6;
            if (low + p.w >= c.floor)
                return;
            long_way<T>(&t, i, o->place[k], z, t.kind_number[kind], &c6, &dc6);
            add_d3(&sum, c, rows[kind], r, d2, c6, dc6, STRAIN);
        });
    const pull<T> &p = sum.p;
    if (STRAIN)
        add_sums(sums, {sum.e, sum.cn, p.g[0], p.g[1], p.g[2], p.w[0], p.w[1], p.w[2], p.w[3],
                        p.w[4], p.w[5]});
    else
        add_sums(sums, {sum.e, sum.cn, p.g[0], p.g[1], p.g[2]});
}

/* slots: of each warp, for the rows of its atoms; 1: rows are made when they are needed. */
template <typename T, int STRAIN>
__global__ void __launch_bounds__(CU_WALK_THREADS)
    crystal_energy(const __grid_constant__ struct cu_terms t, int slots)
{
    cu_wait();
    extern __shared__ __align__(16) unsigned char table[]; /* [warps][slots][kinds] */
    __shared__ cu_surroundings<T> s;
    __shared__ d3_candidates<T> others;
    __shared__ double sums[CU_GROUP][D3_SUMS];
    cu_group group;
    if (!own_group(t.cells, &group))
        return;
    const int warp = threadIdx.x / 32;
    kind_row<T> *rows = (kind_row<T> *)table + (size_t)warp * slots * t.kinds;
    const d3_constants<T> c = make_constants<T>(t);
    auto number = [&](int a) { return t.kind_number[t.cells.kind[group.first + a]]; };
    for (int k = threadIdx.x; k < CU_GROUP * D3_SUMS; k += CU_WALK_THREADS)
        sums[0][k] = 0;
    for (int a = warp; a < group.n && slots > 1; a += WARPS)
        fill_rows(t, group.first + a, number(a), rows + a / WARPS * t.kinds);
    cu_walk_group(
        &s, t.cells, group, fmin(t.reach, t.cutoff),
        [&](int k, int place, int) {
            s.at[k].w = tag_of(((const T *)t.low)[place], t.cells.kind[place]);
            others.w[k] = *(const vec4<T> *)((const T *)t.w + (size_t)place * D3_ROW);
            others.place[k] = place;
        },
        [&](int n) {
            for (int a = warp; a < group.n; a += WARPS) {
                const int i = group.first + a, z = number(a);
                if (slots == 1)
                    fill_rows(t, i, z, rows);
                group_energy<T, STRAIN>(t, c, &s, &others, n, a, i, z,
                                        rows + (slots == 1 ? 0 : a / WARPS * t.kinds), sums[a]);
            }
        });
    __syncthreads();
    for (int a = warp; a < group.n; a += WARPS) {
        pull<double> p = {};
        if (threadIdx.x % 32 == 0) {
            for (int k = 0; k < 3; k++)
                p.g[k] = FORCE_UNIT * sums[a][2 + k];
            for (int k = 0; k < 6; k++)
                p.w[k] = FORCE_UNIT * sums[a][5 + k];
        }
        leave_d3<T>(t, group.first + a, sums[a][0], sums[a][1], p);
    }
}

/* ---------------------------------------------------------------- launches */

enum { ROW_BYTES = 96 * 1024 }; /* of shared memory for rows */

template <typename T>
static void launch_d3(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    const size_t row = WARPS * t->kinds * sizeof(kind_row<T>);
    if (!t->cells.grid) {
        const int blocks = (t->n + WARPS - 1) / WARPS;
        molecule_weights<T><<<blocks, WARPS * 32, 0, stream>>>(*t);
        cu_launch(s, stream, blocks, WARPS * 32, row, molecule_energy<T>, *t);
        return;
    }
    const int blocks = t->cells.groups, all = (CU_GROUP + WARPS - 1) / WARPS,
              slots = all * row <= ROW_BYTES ? all : 1;
    crystal_weights<T><<<blocks, CU_WALK_THREADS, 0, stream>>>(*t);
    cu_launch(s, stream, blocks, CU_WALK_THREADS, slots * row,
              t->want_strain ? crystal_energy<T, 1> : crystal_energy<T, 0>, *t, slots);
}

template <typename T> static void prepare(void)
{
    const int one = WARPS * AIM_DEV_SPECIES * (int)sizeof(kind_row<T>),
              most = one > ROW_BYTES ? one : ROW_BYTES;
    cudaFuncSetAttribute(molecule_energy<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, one);
    cudaFuncSetAttribute(crystal_energy<T, 0>, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    cudaFuncSetAttribute(crystal_energy<T, 1>, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
}

void cu_terms_prepare(cu_state *s)
{
    prepare<float>();
    prepare<double>();
    cu_check(s, "the shared memory of D3");
}

void cu_d3(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    if (t->is_double)
        launch_d3<double>(s, stream, t);
    else
        launch_d3<float>(s, stream, t);
    cu_check(s, "the dispersion energy");
}
