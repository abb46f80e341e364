/* SPDX-License-Identifier: MIT */
/* dispersion.cu - DFT-D3. Molecules: one warp per atom, its lanes share all atoms; crystals: one block per
 * group of atoms (groups.h).
 *
 * Two sweeps as on the CPU (term/d3.c): coordination numbers and weights; energy with the derivative
 * to the coordination numbers. The third, forces through the coordination numbers, is one with the
 * Coulomb sum (term.cu). C6 is bilinear in the two atoms' normalised weights as long as no pair of
 * references falls below the floor; whether one can is known from each atom's smallest exponent, and
 * only such pairs take the long way. */
#include "backend/cuda/dispersion.h"
#include "backend/cuda/molecules.h"

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
    set_weights<T>(t, rows_of<T>(t), i, t.kind_number[t.kind[i]], cu_warp_sum((double)cn),
                   threadIdx.x % 32);
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
    if (!own_group(t.cells, 0, &group))
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
        set_weights<T>(t, rows_of<T>(t), group.first + a,
                       t.kind_number[t.cells.kind[group.first + a]], cn[a], threadIdx.x % 32);
}

/* The rows of an atom of element z, from what is in global memory. */
template <typename T>
static __device__ __forceinline__ void fill_all(const struct cu_terms &t, int place, int z,
                                                kind_row<T> *row)
{
    fill_rows<T>(
        t, rows_of<T>(t), place, references_of(t, z),
        [&](int kind) { return references_of(t, t.kind_number[kind]); },
        [&](int kind) { return pair_of_kinds<T>(t, z, t.kind_number[kind]); }, row);
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
    fill_all<T>(t, i, z, mine);
    const d3_constants<T> c = make_constants<T>(t);
    const T low = ((const T *)t.low)[i];
    d3_sums<T> sum = {};
    for_molecule(t, i, fmin(t.reach, t.cutoff), [&](int j, const double d[3]) {
        const T r[3] = {(T)d[0], (T)d[1], (T)d[2]};
        const kind_row<T> &row = mine[t.kind[j]];
        const T *w = (const T *)t.w + (size_t)j * D3_ROW;
        T c6, dc6;
        if (low + ((const T *)t.low)[j] < c.floor)
            long_way<T>(&t, rows_of<T>(t), i, j, z, t.kind_number[t.kind[j]], &c6, &dc6);
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
            long_way<T>(&t, rows_of<T>(t), i, o->place[k], z, t.kind_number[kind], &c6, &dc6);
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
__global__ void __launch_bounds__(CU_WALK_THREADS, sizeof(T) == 4 ? 5 : 4)
    crystal_energy(const __grid_constant__ struct cu_terms t, int slots)
{
    cu_wait();
    extern __shared__ __align__(16) unsigned char table[]; /* [warps][slots][kinds] */
    __shared__ cu_surroundings<T> s;
    __shared__ d3_candidates<T> others;
    __shared__ double sums[CU_GROUP][D3_SUMS];
    cu_group group;
    if (!own_group(t.cells, 0, &group))
        return;
    const int warp = threadIdx.x / 32;
    kind_row<T> *rows = (kind_row<T> *)table + (size_t)warp * slots * t.kinds;
    const d3_constants<T> c = make_constants<T>(t);
    auto number = [&](int a) { return t.kind_number[t.cells.kind[group.first + a]]; };
    for (int k = threadIdx.x; k < CU_GROUP * D3_SUMS; k += CU_WALK_THREADS)
        sums[0][k] = 0;
    for (int a = warp; a < group.n && slots > 1; a += WARPS)
        fill_all<T>(t, group.first + a, number(a), rows + a / WARPS * t.kinds);
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
                    fill_all<T>(t, i, z, rows);
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

/* Of them what the current card has beside the kernel's own. */
static int row_room(const void *kernel)
{
    cudaFuncAttributes own;
    int device = 0, most = 0;
    if (cudaGetDevice(&device) != cudaSuccess || cudaFuncGetAttributes(&own, kernel) != cudaSuccess ||
        cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) != cudaSuccess)
        return 0;
    most -= (int)own.sharedSizeBytes;
    return most < ROW_BYTES ? most : ROW_BYTES;
}

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
              slots = (int)(all * row) <= row_room((const void *)crystal_energy<T, 1>) ? all : 1;
    crystal_weights<T><<<blocks, CU_WALK_THREADS, 0, stream>>>(*t);
    cu_launch(s, stream, blocks, CU_WALK_THREADS, slots * row,
              t->want_strain ? crystal_energy<T, 1> : crystal_energy<T, 0>, *t, slots);
}

template <typename T> static void prepare(void)
{
    const int one = WARPS * AIM_DEV_SPECIES * (int)sizeof(kind_row<T>);
    cudaFuncSetAttribute(molecule_energy<T>, cudaFuncAttributeMaxDynamicSharedMemorySize, one);
    cudaFuncSetAttribute(crystal_energy<T, 0>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         row_room((const void *)crystal_energy<T, 0>));
    cudaFuncSetAttribute(crystal_energy<T, 1>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         row_room((const void *)crystal_energy<T, 1>));
}

void cu_terms_prepare(cu_state *s)
{
    prepare<float>();
    prepare<double>();
    cu_check(s, "the shared memory of D3");
}

void cu_d3(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    if (t->largest)
        cu_d3_of_molecules(s, stream, t);
    else if (t->is_double)
        launch_d3<double>(s, stream, t);
    else
        launch_d3<float>(s, stream, t);
    cu_check(s, "the dispersion energy");
}
