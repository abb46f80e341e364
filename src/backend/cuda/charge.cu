/* SPDX-License-Identifier: MIT */
/* charge.cu - charge equilibration and its adjoint (docs/math/charge_eq.md), and the small steps
 * around it. A block is one channel of one system, sums in double: every thread takes each 256th
 * atom, then a tree. */
#include "backend/cuda/cuda.h"

enum { BLOCK = 256 };

static __device__ double block_sum(double x)
{
    __shared__ double part[BLOCK / 32];
    x = cu_warp_sum(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = x;
    __syncthreads();
    double sum = part[0];
    for (int k = 1; k < BLOCK / 32; k++)
        sum += part[k];
    return sum;
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

/* D and F of a channel */
template <typename real>
static __device__ void missing_charge(const cu_charges<real> &c, int s, int k, double *missing,
                                      double *capacity)
{
    double q = 0, f = 0;
    for (int i = c.offset[s] + threadIdx.x; i < c.offset[s + 1]; i += BLOCK) {
        q += raw(c, i, k);
        f += root(c, i, k) * root(c, i, k);
    }
    const double target =
        c.nc == 1 ? c.charge[s] : 0.5 * (c.charge[s] + (k == 0 ? 1.0 : -1.0) * (c.mult[s] - 1.0));
    *missing = target - block_sum(q);
    *capacity = c.epsilon + block_sum(f);
}

template <typename real> __global__ void __launch_bounds__(BLOCK) charge_forward(cu_charges<real> c)
{
    const int s = blockIdx.x / c.nc, k = blockIdx.x % c.nc;
    double missing, capacity;
    missing_charge(c, s, k, &missing, &capacity);
    for (int i = c.offset[s] + threadIdx.x; i < c.offset[s + 1]; i += BLOCK) {
        const double r = root(c, i, k);
        c.q[(size_t)i * c.nc + k] = (real)(raw(c, i, k) + r * r * missing / capacity);
    }
}

template <typename real>
__global__ void __launch_bounds__(BLOCK) charge_backward(cu_charges<real> c)
{
    const int s = blockIdx.x / c.nc, k = blockIdx.x % c.nc;
    double missing, capacity, sum = 0;
    missing_charge(c, s, k, &missing, &capacity);
    for (int i = c.offset[s] + threadIdx.x; i < c.offset[s + 1]; i += BLOCK)
        sum += (double)c.gq[(size_t)i * c.nc + k] * root(c, i, k) * root(c, i, k) / capacity;
    const double mean = block_sum(sum);
    for (int i = c.offset[s] + threadIdx.x; i < c.offset[s + 1]; i += BLOCK) {
        const double g = (double)c.gq[(size_t)i * c.nc + k] - mean;
        c.gy[(size_t)i * 2 * c.nc + k] = (real)g;
        c.gy[(size_t)i * 2 * c.nc + c.nc + k] =
            (real)(2.0 * root(c, i, k) * g * missing / capacity);
        if (c.gq_old)
            c.gq_old[(size_t)i * c.nc + k] += (real)g;
    }
}

template <typename real>
void cu_charge_forward(cu_state *s, cudaStream_t stream, const cu_charges<real> *c)
{
    charge_forward<<<c->systems * c->nc, BLOCK, 0, stream>>>(*c);
    cu_check(s, "charge equilibration");
}
template <typename real>
void cu_charge_backward(cu_state *s, cudaStream_t stream, const cu_charges<real> *c)
{
    charge_backward<<<c->systems * c->nc, BLOCK, 0, stream>>>(*c);
    cu_check(s, "the adjoint of charge equilibration");
}

template <typename real>
__global__ void report(int n, int nc, const real *q, double *out, double *spin)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    out[i] = nc == 2 ? (double)q[2 * i] + (double)q[2 * i + 1] : (double)q[i];
    spin[i] = nc == 2 ? (double)q[2 * i] - (double)q[2 * i + 1] : 0.0;
}
template <typename real>
void cu_report(cu_state *s, cudaStream_t stream, int n, int nc, const real *q, double *out,
               double *spin)
{
    report<<<(n + 255) / 256, 256, 0, stream>>>(n, nc, q, out, spin);
    cu_check(s, "the charges");
}

template <typename real>
__global__ void seed(int n, int nc, const double *gq, const double *gspin, real *out)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const double g = gq ? gq[i] : 0.0, sp = gspin ? gspin[i] : 0.0;
    if (nc == 1) {
        out[i] = (real)g;
    } else {
        out[2 * i] = (real)(g + sp);
        out[2 * i + 1] = (real)(g - sp);
    }
}
template <typename real>
void cu_seed(cu_state *s, cudaStream_t stream, int n, int nc, const double *gq, const double *gspin,
             real *out)
{
    seed<<<(n + 255) / 256, 256, 0, stream>>>(n, nc, gq, gspin, out);
    cu_check(s, "the adjoint of the charges");
}

/* One warp per row. */
template <typename real>
__global__ void output_adjoint(int n, int fa, int nc, const real *ga, const real *gy,
                               const real *slope, int ldslope, real *out, int ld, unsigned *max_)
{
    const int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= n)
        return;
    unsigned bits = 0;
    for (int k = lane; k < ld; k += 32) {
        real x = k < fa            ? ga[(size_t)i * fa + k]
                 : k < fa + 2 * nc ? gy[(size_t)i * 2 * nc + k - fa]
                                   : (real)0;
        if (slope && k < fa + 2 * nc)
            x *= slope[(size_t)i * ldslope + k];
        out[(size_t)i * ld + k] = x;
        bits = max(bits, cu_bits(x));
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (lane == 0 && max_)
        max_[i] = bits;
}
template <typename real>
void cu_output_adjoint(cu_state *s, cudaStream_t stream, int n, int fa, int nc, const real *ga,
                       const real *gy, const real *slope, int ldslope, real *out, int ld,
                       unsigned *max)
{
    output_adjoint<<<(n + 7) / 8, 256, 0, stream>>>(n, fa, nc, ga, gy, slope, ldslope, out, ld,
                                                    max);
    cu_check(s, "the adjoint of a pass");
}

template <typename real>
__global__ void gather_rows(int n, int width, const real *table, const int *row, real *out)
{
    const size_t k = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (k < (size_t)n * width)
        out[k] = table[(size_t)row[k / width] * width + k % width];
}
template <typename real>
void cu_gather_rows(cu_state *s, cudaStream_t stream, int n, int width, const real *table,
                    const int *row, real *out)
{
    gather_rows<<<(unsigned)(((size_t)n * width + 255) / 256), 256, 0, stream>>>(n, width, table,
                                                                                 row, out);
    cu_check(s, "the embedding");
}

/* One block per system and column. */
__global__ void __launch_bounds__(BLOCK)
    reduce_systems(const int *offset, const double *in, int width, double *out)
{
    const int s = blockIdx.x / width, k = blockIdx.x % width;
    double sum = 0;
    for (int i = offset[s] + threadIdx.x; i < offset[s + 1]; i += BLOCK)
        sum += in[(size_t)i * width + k];
    sum = block_sum(sum);
    if (threadIdx.x == 0)
        out[(size_t)s * width + k] = sum;
}
void cu_reduce_systems(cu_state *s, cudaStream_t stream, int systems, const int *offset,
                       const double *in, int width, double *out)
{
    reduce_systems<<<systems * width, BLOCK, 0, stream>>>(offset, in, width, out);
    cu_check(s, "sums over atoms");
}

#define INSTANCE(real)                                                                             \
    template void cu_charge_forward(cu_state *, cudaStream_t, const cu_charges<real> *);           \
    template void cu_charge_backward(cu_state *, cudaStream_t, const cu_charges<real> *);          \
    template void cu_report(cu_state *, cudaStream_t, int, int, const real *, double *, double *); \
    template void cu_seed(cu_state *, cudaStream_t, int, int, const double *, const double *,      \
                          real *);                                                                 \
    template void cu_output_adjoint(cu_state *, cudaStream_t, int, int, int, const real *,         \
                                    const real *, const real *, int, real *, int, unsigned *);     \
    template void cu_gather_rows(cu_state *, cudaStream_t, int, int, const real *, const int *,    \
                                 real *)
INSTANCE(float);
INSTANCE(double);
