/* SPDX-License-Identifier: MIT */
/* charge.cu - charge equilibration and its adjoint (docs/math/charge_eq.md), sums over systems, and the
 * small steps around them.
 *
 * Sums over the atoms of a system are in double: segments of SEGMENT atoms, in each every thread of a
 * block takes each 256th atom, then a tree; segments are added in order. One block does this for one
 * channel of a system, or, where a batch has large systems, a block for each segment, or a warp for a small
 * molecule: the same sum. */
#include "backend/cuda/front.h"
#include "backend/cuda/sums.h"

enum { BLOCK = 256, SEGMENT = CU_SEGMENT };

/* sum of f over the atoms of one segment */
template <typename F> static __device__ double segment_sum(int first, int last, F f)
{
    double x = 0;
    last = min(last, first + SEGMENT);
    for (int i = first + threadIdx.x; i < last; i += BLOCK)
        x += f(i);
    return cu_block_sum<BLOCK>(x);
}

/* The same over a whole system; sums: of its segments where they are known, else NULL. */
template <typename F>
static __device__ double system_sum(int first, int last, const double *sums, int stride, F f)
{
    double total = 0;
    for (int at = first; at < last; at += SEGMENT, sums += sums ? stride : 0)
        total += sums ? *sums : segment_sum(at, last, f);
    return total;
}

template <typename real>
static __device__ __forceinline__ double raw(const cu_charges<real> &c, int i, int k)
{
    const double y = (double)c.y[(size_t)i * 2 * c.nc + k];
    return c.q_old ? y + (double)c.q_old[(size_t)i * c.nc + k] : y;
}

template <typename real>
static __device__ __forceinline__ double root(const cu_charges<real> &c, int i, int k)
{
    return (double)c.y[(size_t)i * 2 * c.nc + c.nc + k];
}

template <typename real>
static __device__ __forceinline__ double weighted(const cu_charges<real> &c, int i, int k)
{
    return (double)c.gq[(size_t)i * c.nc + k] * root(c, i, k) * root(c, i, k);
}

/* Sums of a segment of one channel of a system: raw charges and capacities, or (backward) weighted
 * adjoints. */
template <typename real>
__global__ void __launch_bounds__(BLOCK) charge_sums(cu_charges<real> c, int backward)
{
    cu_wait();
    const int s = blockIdx.x / c.nc, k = blockIdx.x % c.nc,
              first = c.offset[s] + blockIdx.y * SEGMENT, last = c.offset[s + 1];
    if (first >= last)
        return;
    double *to = c.partial + 2 * ((size_t)blockIdx.x * c.wide + blockIdx.y);
    const double a = backward ? segment_sum(first, last, [&](int i) { return weighted(c, i, k); })
                              : segment_sum(first, last, [&](int i) { return raw(c, i, k); });
    const double b =
        backward ? 0.0
                 : segment_sum(first, last, [&](int i) { return root(c, i, k) * root(c, i, k); });
    if (threadIdx.x == 0) {
        to[0] = a;
        to[1] = b;
    }
}

/* Atoms that a block writes: all of its system, or its segment. */
template <typename real>
static __device__ __forceinline__ void own_atoms(const cu_charges<real> &c, int s, int *first,
                                                 int *last)
{
    *first = c.offset[s];
    *last = c.offset[s + 1];
    if (c.wide > 1) {
        *first += blockIdx.y * SEGMENT;
        *last = min(*last, *first + SEGMENT);
    }
}

/* What is missing of the charge of channel k of system s, whose raw charges and capacities add up to q and f, goes to
 * its atoms first, first + step .. */
template <typename real>
static __device__ __forceinline__ void balance(const cu_charges<real> &c, int s, int k, double q,
                                               double f, int first, int last, int step, int leader)
{
    const double target = c.nc == 1
                              ? c.charge[s]
                              : 0.5 * (c.charge[s] + (k == 0 ? 1.0 : -1.0) * (c.mult[s] - 1.0)),
                 missing = target - q, capacity = c.epsilon + f;
    if (leader) {
        c.state[2 * (s * c.nc + k)] = missing;
        c.state[2 * (s * c.nc + k) + 1] = capacity;
    }
    for (int i = first; i < last; i += step) {
        const double r = root(c, i, k);
        c.q[(size_t)i * c.nc + k] = (real)(raw(c, i, k) + r * r * missing / capacity);
    }
}

template <typename real> __global__ void __launch_bounds__(BLOCK) charge_forward(cu_charges<real> c)
{
    cu_wait();
    const int s = blockIdx.x / c.nc, k = blockIdx.x % c.nc;
    const double *sums = c.wide > 1 ? c.partial + 2 * (size_t)blockIdx.x * c.wide : NULL;
    int first, last;
    own_atoms(c, s, &first, &last);
    if (first >= last)
        return;
    const double q = system_sum(c.offset[s], c.offset[s + 1], sums, 2,
                                [&](int i) { return raw(c, i, k); }),
                 f = system_sum(c.offset[s], c.offset[s + 1], sums ? sums + 1 : NULL, 2,
                                [&](int i) { return root(c, i, k) * root(c, i, k); });
    balance(c, s, k, q, f, first + threadIdx.x, last, BLOCK, threadIdx.x == 0 && blockIdx.y == 0);
}

/* A warp for each channel of a molecule. */
template <typename real>
__global__ void __launch_bounds__(BLOCK) charge_of_molecules(cu_charges<real> c)
{
    cu_wait();
    const int at = (blockIdx.x * BLOCK + threadIdx.x) / 32, lane = threadIdx.x % 32, s = at / c.nc,
              k = at % c.nc;
    if (s >= c.systems)
        return;
    const int first = c.offset[s], last = c.offset[s + 1];
    double sum[2];
    cu_sums_by_warp<2>(
        last - first,
        [&](int i, double x[2]) {
            x[0] = raw(c, first + i, k);
            x[1] = root(c, first + i, k) * root(c, first + i, k);
        },
        sum);
    balance(c, s, k, sum[0], sum[1], first + lane, last, 32, lane == 0);
}

/* dE/df of the root f of a capacity; g: the adjoint of the raw charge; state: D and F. */
template <typename real>
static __device__ __forceinline__ double root_adjoint(const cu_charges<real> &c, int i, int k,
                                                      double g, const double *state)
{
    return 2.0 * root(c, i, k) * g * state[0] / state[1];
}

template <typename real>
__global__ void __launch_bounds__(BLOCK) charge_backward(cu_charges<real> c)
{
    cu_wait();
    const int s = blockIdx.x / c.nc, k = blockIdx.x % c.nc;
    const double *state = c.state + 2 * blockIdx.x;
    int first, last;
    own_atoms(c, s, &first, &last);
    if (first >= last)
        return;
    const double mean = system_sum(c.offset[s], c.offset[s + 1],
                                   c.wide > 1 ? c.partial + 2 * (size_t)blockIdx.x * c.wide : NULL,
                                   2, [&](int i) { return weighted(c, i, k); }) /
                        state[1];
    for (int i = first + threadIdx.x; i < last; i += BLOCK) {
        const double g = (double)c.gq[(size_t)i * c.nc + k] - mean;
        c.gy[(size_t)i * 2 * c.nc + k] = (real)g;
        c.gy[(size_t)i * 2 * c.nc + c.nc + k] = (real)root_adjoint(c, i, k, g, state);
        if (c.gq_old)
            c.gq_old[(size_t)i * c.nc + k] += (real)g;
    }
}

template <typename real>
void cu_charge_forward(cu_state *s, cudaStream_t stream, const cu_charges<real> *c)
{
    const dim3 grid(c->systems * c->nc, c->wide);
    if (c->wide > 1)
        cu_launch(s, stream, grid, BLOCK, 0, charge_sums<real>, *c, 0);
    if (c->largest)
        cu_launch(s, stream, (c->systems * c->nc + 7) / 8, BLOCK, 0, charge_of_molecules<real>, *c);
    else
        cu_launch(s, stream, grid, BLOCK, 0, charge_forward<real>, *c);
    cu_check(s, "charge equilibration");
}
template <typename real>
void cu_charge_backward(cu_state *s, cudaStream_t stream, const cu_charges<real> *c)
{
    const dim3 grid(c->systems * c->nc, c->wide);
    if (c->wide > 1)
        cu_launch(s, stream, grid, BLOCK, 0, charge_sums<real>, *c, 1);
    cu_launch(s, stream, grid, BLOCK, 0, charge_backward<real>, *c);
    cu_check(s, "the adjoint of charge equilibration");
}

template <typename real>
__global__ void report(int n, int nc, const real *q, const int *order, double *own, double *out,
                       double *spin)
{
    cu_wait();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const int to = order ? order[i] : i;
    const double sum = nc == 2 ? (double)q[2 * i] + (double)q[2 * i + 1] : (double)q[i];
    out[to] = sum;
    spin[to] = nc == 2 ? (double)q[2 * i] - (double)q[2 * i + 1] : 0.0;
    if (order)
        own[i] = sum;
}
template <typename real>
void cu_report(cu_state *s, cudaStream_t stream, int n, int nc, const real *q, const int *order,
               double *own, double *out, double *spin)
{
    cu_launch(s, stream, (n + 255) / 256, 256, 0, report<real>, n, nc, q, order, own, out, spin);
    cu_check(s, "the charges");
}

__global__ void deliver(int n, const double *in, const int *order, double *out)
{
    cu_wait();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        for (int d = 0; d < 3; d++)
            out[3 * (size_t)order[i] + d] = in[3 * (size_t)i + d];
}
void cu_deliver(cu_state *s, cudaStream_t stream, int n, const double *in, const int *order,
                double *out)
{
    cu_launch(s, stream, (n + 255) / 256, 256, 0, deliver, n, in, order, out);
    cu_check(s, "the gradients of atoms");
}

template <typename real>
__global__ void seed(int n, int nc, const double *gq, const double *gspin, int add, real *out)
{
    cu_wait();
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const double g = gq ? gq[i] : 0.0, sp = gspin ? gspin[i] : 0.0;
    for (int k = 0; k < nc; k++) {
        const real x = (real)(nc == 1 ? g : k ? g - sp : g + sp);
        out[(size_t)i * nc + k] = add ? out[(size_t)i * nc + k] + x : x;
    }
}
template <typename real>
void cu_seed(cu_state *s, cudaStream_t stream, int n, int nc, const double *gq, const double *gspin,
             int add, real *out)
{
    cu_launch(s, stream, (n + 255) / 256, 256, 0, seed<real>, n, nc, gq, gspin, add, out);
    cu_check(s, "the adjoint of the charges");
}

/* Columns that a lane asks for before all else. */
enum { AHEAD = 8 };

/* Row i of n of the adjoint, by a warp. CHARGES: with the adjoints of charges as charge_backward() makes them; mean_of(k):
 * of channel k, the weighted ones over the capacity of the atom's system, which is number s. */
template <typename real, int CHARGES, typename F>
static __device__ __forceinline__ void adjoint_row(int n, const cu_pass_front<real> &p, int i, int s,
                                                   F mean_of, real *out, int ld, unsigned *max_)
{
    const int lane = threadIdx.x % 32;
    const cu_charges<real> &c = p.charges;
    real ahead[AHEAD], slope[AHEAD];
#pragma unroll
    for (int m = 0; m < AHEAD; m++) {
        const int k = lane + 32 * m, there = i < n && k < p.fa;
        ahead[m] = there ? p.ga[(size_t)i * p.fa + k] : (real)0;
        slope[m] = there && p.slope ? p.slope[(size_t)i * p.ldslope + k] : (real)1;
    }
    double mean[2] = {0, 0};
    for (int k = 0; k < p.nc && CHARGES; k++)
        mean[k] = mean_of(k);
    if (i >= n)
        return;
    unsigned bits = 0;
    auto leave = [&](int k, real x) {
        out[(size_t)i * ld + k] = x;
        bits = max(bits, cu_bits(x));
    };
    auto slope_of = [&](int k) { return p.slope ? p.slope[(size_t)i * p.ldslope + k] : (real)1; };
#pragma unroll
    for (int m = 0; m < AHEAD; m++)
        if (lane + 32 * m < p.fa)
            leave(lane + 32 * m, ahead[m] * slope[m]);
    for (int k = lane + 32 * AHEAD; k < p.fa; k += 32)
        leave(k, p.ga[(size_t)i * p.fa + k] * slope_of(k));
    auto charge = [&](int j) {
        if (!CHARGES)
            return p.gy[(size_t)i * 2 * p.nc + j];
        const int k = j % p.nc;
        const double g = (double)c.gq[(size_t)i * p.nc + k] - (k ? mean[1] : mean[0]);
        if (j < p.nc && c.gq_old)
            c.gq_old[(size_t)i * p.nc + k] += (real)g;
        return (real)(j < p.nc ? g : root_adjoint(c, i, k, g, c.state + 2 * (s * p.nc + k)));
    };
    for (int k = p.fa + lane; k < cu_round_up(p.fa + 2 * p.nc, CU_CHUNK); k += 32)
        leave(k, k < p.fa + 2 * p.nc ? charge(k - p.fa) * slope_of(k) : (real)0);
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (lane == 0 && max_)
        max_[i] = bits;
}

/* CHARGES: those of one system, whose sum every block forms. */
template <typename real, int CHARGES>
__global__ void __launch_bounds__(BLOCK)
    pass_adjoint(int n, const cu_pass_front<real> p, real *out, int ld, unsigned *max_)
{
    cu_wait();
    const cu_charges<real> &c = p.charges;
    adjoint_row<real, CHARGES>(
        n, p, (blockIdx.x * BLOCK + threadIdx.x) / 32, 0,
        [&](int k) {
            return system_sum(0, n, NULL, 0, [&](int j) { return weighted(c, j, k); }) /
                   c.state[2 * k + 1];
        },
        out, ld, max_);
}

/* The same of molecules, whose sums each of their rows forms: fewer blocks, of a molecule each, take longer. */
template <typename real>
__global__ void __launch_bounds__(BLOCK)
    adjoint_of_molecules(int n, const cu_pass_front<real> p, real *out, int ld, unsigned *max_)
{
    cu_wait();
    const cu_charges<real> &c = p.charges;
    const int i = (blockIdx.x * BLOCK + threadIdx.x) / 32;
    if (i >= n)
        return;
    const int s = c.system[i], first = c.offset[s], last = c.offset[s + 1];
    adjoint_row<real, 1>(
        n, p, i, s,
        [&](int k) {
            double sum[1];
            cu_sums_by_warp<1>(
                last - first, [&](int m, double x[1]) { x[0] = weighted(c, first + m, k); }, sum);
            return sum[0] / c.state[2 * (s * p.nc + k) + 1];
        },
        out, ld, max_);
}

template <typename real>
void cu_pass_adjoint(cu_state *s, cudaStream_t stream, int n, const cu_pass_front<real> *p, real *out,
                     int ld, unsigned *max)
{
    const cu_charges<real> *c = &p->charges;
    const int all = p->has_charges && c->largest, here = p->has_charges && cu_alone(c);
    if (p->has_charges && !here && !all)
        cu_charge_backward(s, stream, c);
    cu_launch(s, stream, (n + 7) / 8, BLOCK, 0,
              all    ? adjoint_of_molecules<real>
              : here ? pass_adjoint<real, 1>
                     : pass_adjoint<real, 0>,
              n, *p, out, ld, max);
    cu_check(s, "the adjoint of a pass");
}

template <typename real>
__global__ void gather_rows(int n, int width, const real *table, const int *row, real *out)
{
    cu_wait();
    const size_t k = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k < (size_t)n * width)
        out[k] = table[(size_t)row[k / width] * width + k % width];
}
template <typename real>
void cu_gather_rows(cu_state *s, cudaStream_t stream, int n, int width, const real *table,
                    const int *row, real *out)
{
    cu_launch(s, stream, (unsigned)(((size_t)n * width + 255) / 256), 256, 0, gather_rows<real>, n,
              width, table, row, out);
    cu_check(s, "the embedding");
}

/* Sums of a segment of one column of a system. */
__global__ void __launch_bounds__(BLOCK) column_sums(const cu_columns_sum c)
{
    cu_wait();
    const int s = blockIdx.x / c.columns, k = blockIdx.x % c.columns,
              first = c.offset[s] + blockIdx.y * SEGMENT, last = c.offset[s + 1];
    if (first >= last)
        return;
    const double sum = segment_sum(first, last, [&](int i) {
        return c.in[(size_t)i * c.atom_stride + (size_t)k * c.column_stride];
    });
    if (threadIdx.x == 0)
        c.partial[(size_t)blockIdx.x * c.wide + blockIdx.y] = sum;
}

/* One block per column of a system. */
__global__ void __launch_bounds__(BLOCK) reduce_systems(const cu_columns_sum c)
{
    cu_wait();
    const int s = blockIdx.x / c.columns, k = blockIdx.x % c.columns;
    const double sum = system_sum(
        c.offset[s], c.offset[s + 1], c.wide > 1 ? c.partial + (size_t)blockIdx.x * c.wide : NULL,
        1, [&](int i) { return c.in[(size_t)i * c.atom_stride + (size_t)k * c.column_stride]; });
    if (threadIdx.x == 0)
        c.out[(size_t)s * c.system_stride + (size_t)k * c.out_stride] = sum;
}
/* One warp per column of a molecule. */
__global__ void __launch_bounds__(BLOCK) reduce_molecules(const cu_columns_sum c)
{
    cu_wait();
    const int at = (blockIdx.x * BLOCK + threadIdx.x) / 32, s = at / c.columns, k = at % c.columns;
    if (s >= c.systems)
        return;
    const int first = c.offset[s];
    double sum[1];
    cu_sums_by_warp<1>(
        c.offset[s + 1] - first,
        [&](int i, double x[1]) {
            x[0] = c.in[(size_t)(first + i) * c.atom_stride + (size_t)k * c.column_stride];
        },
        sum);
    if (threadIdx.x % 32 == 0)
        c.out[(size_t)s * c.system_stride + (size_t)k * c.out_stride] = sum[0];
}
void cu_reduce_systems(cu_state *s, cudaStream_t stream, const cu_columns_sum *c)
{
    if (c->largest) {
        cu_launch(s, stream, (c->systems * c->columns + 7) / 8, BLOCK, 0, reduce_molecules, *c);
        cu_check(s, "sums over atoms");
        return;
    }
    if (c->wide > 1)
        cu_launch(s, stream, dim3(c->systems * c->columns, c->wide), BLOCK, 0, column_sums, *c);
    cu_launch(s, stream, c->systems * c->columns, BLOCK, 0, reduce_systems, *c);
    cu_check(s, "sums over atoms");
}

#define INSTANCE(real)                                                                             \
    template void cu_charge_forward(cu_state *, cudaStream_t, const cu_charges<real> *);           \
    template void cu_charge_backward(cu_state *, cudaStream_t, const cu_charges<real> *);          \
    template void cu_report(cu_state *, cudaStream_t, int, int, const real *, const int *,         \
                            double *, double *, double *);                                         \
    template void cu_seed(cu_state *, cudaStream_t, int, int, const double *, const double *, int, \
                          real *);                                                                 \
    template void cu_pass_adjoint(cu_state *, cudaStream_t, int, const cu_pass_front<real> *, real *, \
                                  int, unsigned *);                                                \
    template void cu_gather_rows(cu_state *, cudaStream_t, int, int, const real *, const int *,    \
                                 real *)
INSTANCE(float);
INSTANCE(double);
