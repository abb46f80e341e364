/* SPDX-License-Identifier: MIT */
/* molecules.cu - DFT-D3 and Coulomb energies of batches of small molecules: a block for a molecule, which
 * reads its atoms once, works out for every two atoms, or kinds, what does not depend on the side from which a
 * pair is seen, and goes from atom to atom with a warp. Lanes, their pairs and the trees that add them up are
 * those of one warp per atom (term.cu, dispersion.cu), to the bit. */
#include "backend/cuda/dispersion.h"
#include "backend/cuda/molecules.h"

enum { D3_BLOCKS = 2 }; /* of a processor */
enum { MOLECULE_WARPS = 12, THREADS = 32 * MOLECULE_WARPS, MOST = CU_MOLECULE_ATOMS, KINDS = CU_MOLECULE_KINDS };

/* The atoms of a block's molecule. */
struct atoms {
    double x[MOST][3];
    int kind[MOST];
};

/* Their number; the first one to *zero. */
static __device__ __forceinline__ int load_atoms(const struct cu_terms &t, int molecule, atoms *a,
                                                 int *zero)
{
    *zero = t.offset[molecule];
    const int n = t.offset[molecule + 1] - *zero;
#pragma unroll 1
    for (int k = threadIdx.x; k < 3 * n; k += THREADS)
        a->x[0][k] = t.coord[3 * (size_t)*zero + k];
#pragma unroll 1
    for (int k = threadIdx.x; k < n; k += THREADS)
        a->kind[k] = t.kind[*zero + k];
    return n;
}

/* From atom i to atom j; the square of their distance. */
static __device__ __forceinline__ double between(const atoms &a, int i, int j, double r[3])
{
#pragma unroll
    for (int d = 0; d < 3; d++)
        r[d] = a.x[j][d] - a.x[i][d];
    return r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
}

/* ---------------------------------------------------------------- D3 */

/* Of a block: rows of its atoms, coordination numbers, and of the batch's kinds what all atoms need. */
template <typename T> struct d3_space {
    atoms a;
    double cn[MOST];
    alignas(16) T w[MOST * D3_ROW], dw[MOST * D3_ROW], exponent[MOST * D3_ROW];
    T low[MOST], radius[KINDS];
    references refs[KINDS];
    kind_pair<T> pairs[KINDS * KINDS];
    kind_row<T> rows[MOLECULE_WARPS][KINDS];
    d3_constants<T> constants;
};

/* The last thread has the constants, the first ones pairs of kinds. */
template <typename T>
static __device__ __forceinline__ void prepare_kinds(const struct cu_terms &t, d3_space<T> *s)
{
    if (threadIdx.x == THREADS - 1)
        s->constants = make_constants<T>(t);
    if ((int)threadIdx.x < t.kinds)
        s->refs[threadIdx.x] = references_of(t, t.kind_number[threadIdx.x]);
#pragma unroll 1
    for (int k = threadIdx.x; k < t.kinds * t.kinds; k += THREADS)
        s->pairs[k] = pair_of_kinds<T>(t, t.kind_number[k / t.kinds], t.kind_number[k % t.kinds]);
    load_radii(t, s->radius);
}

/* The lane's share of the coordination number of atom i. */
template <typename T>
static __device__ __forceinline__ T count_neighbours(const struct cu_terms &t, const d3_space<T> &s,
                                                     int n, int i)
{
    const T own = s.radius[s.a.kind[i]];
    T sum = 0;
#pragma unroll 1
    for (int j = threadIdx.x % 32; j < n; j += 32) {
        double d[3];
        if (j == i || !(between(s.a, i, j, d) < t.reach * t.reach))
            continue;
        const T r[3] = {(T)d[0], (T)d[1], (T)d[2]};
        T e;
        const T inv = inverse_root(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
        sum += count(inv, own + s.radius[s.a.kind[j]], &e);
    }
    return sum;
}

/* The lane's share of the sums of atom i, whose rows stand. */
template <typename T>
static __device__ __forceinline__ d3_sums<T> sum_pairs(const struct cu_terms &t,
                                                       const d3_space<T> &s, const d3_rows<T> &own,
                                                       const kind_row<T> *rows, int n, int i)
{
    const double reach = fmin(t.reach, t.cutoff);
    const d3_constants<T> c = s.constants;
    d3_sums<T> sum = {};
#pragma unroll 1
    for (int j = threadIdx.x % 32; j < n; j += 32) {
        double d[3];
        if (j == i || !(between(s.a, i, j, d) < reach * reach))
            continue;
        const T r[3] = {(T)d[0], (T)d[1], (T)d[2]}, *w = own.w + j * D3_ROW;
        const kind_row<T> &row = rows[s.a.kind[j]];
        T c6, dc6;
        if (s.low[i] + s.low[j] < c.floor)
            long_way<T>(&t, own, i, j, t.kind_number[s.a.kind[i]], t.kind_number[s.a.kind[j]], &c6,
                        &dc6);
        else
            short_way(row, *(const vec4<T> *)w, c.many, w + 4, &c6, &dc6);
        add_d3(&sum, c, row, r, r[0] * r[0] + r[1] * r[1] + r[2] * r[2], c6, dc6, 0);
    }
    return sum;
}

/* Of atom i, number `which` of energy, its derivative to the coordination number, and forces. */
template <typename T>
static __device__ __forceinline__ void leave_sum(const struct cu_terms &t, int i, int which, double v)
{
    if (which == 0)
        t.e[2 * (size_t)t.n + i] = -0.5 * AIM_HARTREE * v;
    else if (which == 1)
        ((T *)t.cn_grad)[i] = (T)-v;
    else if (which < 5 && t.want_grad)
        t.grad_side[3 * (size_t)i + which - 2] = v;
}

template <typename T> static __device__ __forceinline__ d3_rows<T> rows_of(d3_space<T> *s)
{
    return {s->w, s->dw, s->exponent, s->low};
}

/* Rows of the n atoms. */
template <typename T>
static __device__ __forceinline__ void weigh_references(const struct cu_terms &t, d3_space<T> *s,
                                                        int n)
{
#pragma unroll 1
    for (int i = threadIdx.x / 32; i < n; i += MOLECULE_WARPS) {
        const double cn = cu_warp_sum((double)count_neighbours(t, *s, n, i));
        if (threadIdx.x % 32 == 0)
            s->cn[i] = cn;
    }
    __syncthreads();
#pragma unroll 1
    for (int base = 0; base < n; base += THREADS / 8) {
        const int k = base + (int)threadIdx.x / 8, i = min(k, n - 1);
        set_weights<T>(t, rows_of(s), i, t.kind_number[s->a.kind[i]], s->cn[i],
                       (int)threadIdx.x % 8 + (k < n ? 0 : D3_ROW));
    }
}

template <typename T>
static __device__ __forceinline__ void sum_molecule(const struct cu_terms &t, d3_space<T> *s, int n,
                                                    int zero)
{
    enum { LANES = cu_tree<5>::LANES };
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const d3_rows<T> own = rows_of(s);
    kind_row<T> *rows = s->rows[warp];
#pragma unroll 1
    for (int i = warp; i < n; i += MOLECULE_WARPS) {
        const kind_pair<T> *pair = s->pairs + s->a.kind[i] * t.kinds;
        fill_rows<T>(
            t, own, i, s->refs[s->a.kind[i]], [&](int kind) { return s->refs[kind]; },
            [&](int kind) { return pair[kind]; }, rows);
        const d3_sums<T> sum = sum_pairs(t, *s, own, rows, n, i);
        const double v = tree_sums<5>({(double)sum.e, (double)sum.cn, FORCE_UNIT * (double)sum.p.g[0],
                                       FORCE_UNIT * (double)sum.p.g[1],
                                       FORCE_UNIT * (double)sum.p.g[2]});
        if (lane % LANES == 0)
            leave_sum<T>(t, zero + i, lane / LANES, v);
        __syncwarp(); /* the rows are made anew */
    }
}

/* Blocks go from molecule to molecule: what there is to know of the kinds is worked out once. */
template <typename T>
__global__ void __launch_bounds__(THREADS, sizeof(T) == 4 ? D3_BLOCKS : 1)
    molecule_d3(const __grid_constant__ struct cu_terms t)
{
    cu_wait();
    __shared__ d3_space<T> s;
    prepare_kinds(t, &s);
#pragma unroll 1
    for (int m = blockIdx.x; m < t.systems; m += gridDim.x) {
        int zero;
        const int n = load_atoms(t, m, &s.a, &zero);
        __syncthreads();
        weigh_references(t, &s, n);
        __syncthreads();
        sum_molecule(t, &s, n, zero);
        __syncthreads();
    }
}

/* ---------------------------------------------------------------- Coulomb, forces through D3's numbers */

/* Of every two atoms: distance (INFINITY: farther than any term reaches), Coulomb's value and slope / d, the same of
 * the short-range part but for its slope, and 1 / d. */
template <typename T> struct pair_table {
    double *d, *v, *slope, *near, *near_slope;
    T *inv;
};

static __device__ __forceinline__ int place_of(int i, int j)
{
    const int high = max(i, j), low = min(i, j);
    return high * (high - 1) / 2 + low;
}

template <typename T>
static __device__ __forceinline__ pair_table<T> lay_out(int n, void *at)
{
    const int pairs = n * (n - 1) / 2;
    double *x = (double *)at;
    return {x, x + pairs, x + 2 * pairs, x + 3 * pairs, x + 4 * pairs, (T *)(x + 5 * pairs)};
}

/* How far the terms reach. */
struct reaches {
    double q, cn;
    int is_dsf;
};

static __device__ __forceinline__ reaches reach_of(const struct cu_terms &t, const aim_dsf &dsf)
{
    const int is_dsf = t.coulomb == AIM_DEV_COULOMB_DSF;
    return {is_dsf                                ? dsf.rc
            : t.coulomb == AIM_DEV_COULOMB_SIMPLE ? INFINITY
                                                  : 0.0,
            t.through_cn ? t.reach : 0.0, is_dsf};
}

template <typename T>
static __device__ __forceinline__ void fill_pair(const struct cu_terms &t, const aim_dsf &dsf,
                                                 const reaches &to, const atoms &a, int place,
                                                 const pair_table<T> &table)
{
    int high = (int)(0.5f + sqrtf(2.0f * (float)place + 0.25f));
    high -= high * (high - 1) / 2 > place;
    high += (high + 1) * high / 2 <= place;
    double r[3];
    const double farther = fmax(to.q, to.cn), d2 = between(a, high, place - high * (high - 1) / 2, r),
                 d = sqrt(d2), inv = 1.0 / d;
    table.d[place] = d2 < farther * farther ? d : INFINITY;
    table.inv[place] = (T)inv;
    if (d < to.q) {
        double v = inv, slope = -inv * inv * inv;
        if (to.is_dsf)
            v = dsf_pair(d * d, d, inv, dsf, &slope);
        table.v[place] = v;
        table.slope[place] = slope;
    }
    if (t.sr && d2 < t.list_cutoff * t.list_cutoff) {
        const aim_deriv f = short_range(t, d);
        table.near[place] = f.v;
        table.near_slope[place] = f.d1;
    }
}

/* Sums of atom i: potentials and forces of the lane's pairs. */
struct pair_sums {
    double phi, near;
    pull<double> p;
};

/* What all atoms of a molecule are, beside where. */
template <typename T> struct charges {
    double q[MOST];
    T cn_grad[MOST], radius[KINDS];
};

template <typename T>
static __device__ __forceinline__ void all_pairs(const reaches &to, const atoms &a,
                                                 const charges<T> &c, const pair_table<T> &table,
                                                 int n, int i, pair_sums *sum)
{
    const T unit = (T)CN_UNIT, own_cn = unit * c.cn_grad[i], own_radius = c.radius[a.kind[i]];
    const double kq = AIM_COULOMB_K * c.q[i];
#pragma unroll 1
    for (int j = threadIdx.x % 32; j < n; j += 32) {
        const int k = place_of(i, j);
        if (j == i || !(table.d[k] < INFINITY))
            continue;
        double r[3], force = 0.0;
        between(a, i, j, r);
        if (table.d[k] < to.q) {
            sum->phi += c.q[j] * table.v[k];
            force = -kq * c.q[j] * table.slope[k];
        }
        if (table.d[k] < to.cn)
            force = __dadd_rn(force, (double)cn_force<T>(own_radius + c.radius[a.kind[j]],
                                                         own_cn + unit * c.cn_grad[j],
                                                         table.inv[k]));
        add_pull(&sum->p, r, force, 0);
    }
}

/* The short-range part, over the list. */
template <typename T>
static __device__ __forceinline__ void near_pairs(const struct cu_terms &t, const atoms &a,
                                                  const charges<T> &c, const pair_table<T> &table,
                                                  int zero, int i, pair_sums *sum)
{
    const double kq = AIM_COULOMB_K * c.q[i];
    const int n = t.count[zero + i];
#pragma unroll 1
    for (int m = threadIdx.x % 32; m < n; m += 32) {
        const int j = t.j[(size_t)(zero + i) * t.capacity + m] - zero, k = place_of(i, j);
        double r[3];
        const double d = sqrt(between(a, i, j, r));
        sum->near -= c.q[j] * table.near[k];
        add_pull(&sum->p, r, kq * c.q[j] * table.near_slope[k] / d, 0);
    }
}

template <typename T>
__global__ void __launch_bounds__(THREADS, sizeof(T) == 4 ? 2 : 1)
    molecule_pairs(const __grid_constant__ struct cu_terms t, const aim_dsf dsf)
{
    cu_wait();
    extern __shared__ __align__(16) unsigned char space[];
    __shared__ atoms a;
    __shared__ charges<T> c;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int zero;
    const int n = load_atoms(t, blockIdx.x, &a, &zero);
#pragma unroll 1
    for (int k = threadIdx.x; k < n; k += THREADS) {
        c.q[k] = t.coulomb || t.sr ? t.q[zero + k] : 0.0;
        c.cn_grad[k] = t.through_cn ? ((const T *)t.cn_grad)[zero + k] : (T)0;
    }
    load_radii(t, c.radius);
    const reaches to = reach_of(t, dsf);
    const pair_table<T> table = lay_out<T>(n, space);
#pragma unroll 1
    for (int k = threadIdx.x; k < n * (n - 1) / 2; k += THREADS)
        fill_pair(t, dsf, to, a, k, table);
    __syncthreads();
#pragma unroll 1
    for (int i = warp; i < n; i += MOLECULE_WARPS) {
        pair_sums sum = {};
        all_pairs(to, a, c, table, n, i, &sum);
        if (t.sr)
            near_pairs(t, a, c, table, zero, i, &sum);
        double v = tree_sums<5>({sum.phi, sum.near, sum.p.g[0], sum.p.g[1], sum.p.g[2]});
        const int which = lane / cu_tree<5>::LANES;
        if (to.is_dsf && which == 0)
            v += 2.0 * dsf.self * c.q[i];
        const double near = __shfl_sync(0xffffffffu, v, cu_tree<5>::LANES);
        const size_t at = 3 * (size_t)(zero + i) + which - 2;
        if (lane == 0)
            leave(t, zero + i, c.q[i], v, near);
        else if (lane % cu_tree<5>::LANES == 0 && which > 1 && which < 5 && t.want_grad)
            t.grad[at] = t.d3_ran ? t.grad_side[at] + v : v;
    }
}

/* ---------------------------------------------------------------- launches */

template <typename T> static size_t table_bytes(int atoms)
{
    return (size_t)(atoms * (atoms - 1) / 2) * (5 * sizeof(double) + sizeof(T));
}

enum { OTHER_BYTES = 8192 }; /* of a block, beside its tables */

template <typename T> static void prepare(int most)
{
    const int bytes = (int)table_bytes<T>(MOST);
    (void)cudaFuncSetAttribute(molecule_pairs<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               bytes < most ? bytes : most);
}

template <typename T>
static void launch(cu_state *s, cudaStream_t stream, const struct cu_terms *t, const aim_dsf *dsf)
{
    const int at_once = D3_BLOCKS * t->processors;
    if (dsf)
        cu_launch(s, stream, t->systems, THREADS, table_bytes<T>(t->largest), molecule_pairs<T>, *t,
                  *dsf);
    else
        cu_launch(s, stream, t->systems < at_once ? t->systems : at_once, THREADS, 0,
                  molecule_d3<T>, *t);
}

void cu_molecules_prepare(int processor_bytes)
{
    prepare<float>(processor_bytes - OTHER_BYTES);
    prepare<double>(processor_bytes - OTHER_BYTES);
    (void)cudaGetLastError();
}

int cu_by_molecules(const cu_net *net, const aim_dev_job *job, int kinds)
{
    const size_t bytes = net->d.is_double ? table_bytes<double>(job->largest)
                                          : table_bytes<float>(job->largest);
    return !job->crystal && !job->row && !job->want_strain && kinds <= KINDS &&
                   job->largest <= MOST && job->n_systems >= net->device->processors &&
                   bytes + OTHER_BYTES <= (size_t)net->device->processor_bytes
               ? job->largest
               : 0;
}

void cu_d3_of_molecules(cu_state *s, cudaStream_t stream, const struct cu_terms *t)
{
    (t->is_double ? launch<double> : launch<float>)(s, stream, t, NULL);
}

void cu_pairs_of_molecules(cu_state *s, cudaStream_t stream, const struct cu_terms *t,
                           const aim_dsf *dsf)
{
    (t->is_double ? launch<double> : launch<float>)(s, stream, t, dsf);
}
