/* SPDX-License-Identifier: MIT */
/* tan_dense.cu - what stands between the matrix products of second derivatives: activations with
 * their curvature, outputs of passes, charge equilibration. One warp per row; the products themselves
 * are those of mlp.cu without bias and slope. */
#include <math.h>

#include "backend/cuda/gemm.h"
#include "backend/cuda/sums.h"
#include "backend/cuda/tangent.h"
#include "point/gelu.h"

enum { BLOCK = 256 };

static __device__ __forceinline__ float gelu(float z, float *slope, float *curve)
{
    *curve = (2.0f - z * z) * 0.39894228040143267794f * expf(-0.5f * z * z);
    return aim_gelu_f32(z, slope);
}
static __device__ __forceinline__ double gelu(double z, double *slope, double *curve)
{
    const double cdf = 0.5 * erfc(-z * 0.70710678118654752440),
                 density = 0.39894228040143267794 * exp(-0.5 * z * z);
    *slope = fma(z, density, cdf);
    *curve = (2.0 - z * z) * density;
    return z * cdf;
}

enum act { FORWARD, TANGENT, BACKWARD, BACK_TANGENT };

/* One element: y from x, and what is read or written beside it. */
template <typename real, int ACT>
static __device__ __forceinline__ real activate_one(real x, real bias, real *slope, real *curve,
                                                    real *tz)
{
    if (ACT == FORWARD)
        return gelu(add_bias(x, bias), slope, curve);
    if (ACT == TANGENT)
        *tz = x;
    if (ACT == BACKWARD)
        *curve *= x;
    return ACT == BACK_TANGENT ? x * *slope + *curve * *tz : x * *slope;
}

template <typename real> static __device__ __forceinline__ vec4<real> load(const real *from)
{
    return *(const vec4<real> *)from;
}

/* A lane takes four columns at a time: as much as can be is under way before something is stored. */
template <typename real, int ACT>
__global__ void __launch_bounds__(BLOCK) activate(const cu_act<real> a)
{
    cu_wait();
    const int row = (int)((blockIdx.x * (size_t)BLOCK + threadIdx.x) / 32), lane = threadIdx.x % 32;
    if (row >= a.rows)
        return;
    const size_t at = (size_t)row * a.ld, atom = (size_t)(row % a.n) * a.ldslope,
                 own = (size_t)row * a.ldslope;
    const real *bias =
        ACT == FORWARD ? a.bias + (a.bias_row ? (size_t)a.bias_row[row] * a.ld : 0) : NULL;
    unsigned bits = 0;
    for (int k = lane * 4; k < a.ld; k += 128) {
        vec4<real> y = a.x ? load(a.x + at + k) : vec4<real>{}, b = {}, slope = {}, curve = {}, tz = {};
        if (ACT == FORWARD)
            b = load(bias + k);
        if (ACT != FORWARD && a.gelu)
            slope = load(a.slope + atom + k);
        if ((ACT == BACKWARD || ACT == BACK_TANGENT) && a.gelu)
            curve = load(a.curve + atom + k);
        if (ACT == BACK_TANGENT && a.gelu)
            tz = load(a.tz + own + k);
        if (a.gelu) {
            y.x = activate_one<real, ACT>(y.x, b.x, &slope.x, &curve.x, &tz.x);
            y.y = activate_one<real, ACT>(y.y, b.y, &slope.y, &curve.y, &tz.y);
            y.z = activate_one<real, ACT>(y.z, b.z, &slope.z, &curve.z, &tz.z);
            y.w = activate_one<real, ACT>(y.w, b.w, &slope.w, &curve.w, &tz.w);
        } else if (ACT == FORWARD) {
            y = vec4<real>{add_bias(y.x, b.x), add_bias(y.y, b.y), add_bias(y.z, b.z),
                           add_bias(y.w, b.w)};
        }
        if (ACT == FORWARD && a.gelu)
            *(vec4<real> *)(a.slope + atom + k) = slope;
        if ((ACT == FORWARD || ACT == BACKWARD) && a.gelu)
            *(vec4<real> *)(a.curve + atom + k) = curve;
        if (ACT == TANGENT && a.gelu)
            *(vec4<real> *)(a.tz + own + k) = tz;
        *(vec4<real> *)(a.y + at + k) = y;
        bits = max(bits, max(max(cu_bits(y.x), cu_bits(y.y)), max(cu_bits(y.z), cu_bits(y.w))));
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (lane == 0 && a.max)
        a.max[row] = bits;
}

static unsigned blocks_of(int rows)
{
    return (unsigned)(((size_t)rows * 32 + BLOCK - 1) / BLOCK);
}

template <typename real>
void cu_act_forward(cu_state *s, cudaStream_t stream, const cu_act<real> *a)
{
    cu_launch(s, stream, blocks_of(a->rows), BLOCK, 0, activate<real, FORWARD>, *a);
    cu_check(s, "an activation");
}
template <typename real>
void cu_act_tangent(cu_state *s, cudaStream_t stream, const cu_act<real> *a)
{
    cu_launch(s, stream, blocks_of(a->rows), BLOCK, 0, activate<real, TANGENT>, *a);
    cu_check(s, "the tangent of an activation");
}
template <typename real>
void cu_act_backward(cu_state *s, cudaStream_t stream, const cu_act<real> *a)
{
    cu_launch(s, stream, blocks_of(a->rows), BLOCK, 0, activate<real, BACKWARD>, *a);
    cu_check(s, "the adjoint of an activation");
}
template <typename real>
void cu_act_back_tangent(cu_state *s, cudaStream_t stream, const cu_act<real> *a)
{
    cu_launch(s, stream, blocks_of(a->rows), BLOCK, 0, activate<real, BACK_TANGENT>, *a);
    cu_check(s, "the tangent of an activation's adjoint");
}

template <typename real>
__global__ void __launch_bounds__(BLOCK)
    split_output(int rows, const real *x, int ldx, int fa, int width, const real *old,
                 const int *old_row, real *a, real *charges)
{
    cu_wait();
    const size_t row = (blockIdx.x * (size_t)BLOCK + threadIdx.x) / 32;
    if (row >= (size_t)rows)
        return;
    const real *before = old ? old + (old_row ? (size_t)old_row[row] : row) * fa : NULL;
    for (int k = threadIdx.x % 32; k < fa + width; k += 32) {
        const real value = x[row * ldx + k];
        if (k < fa)
            a[row * fa + k] = (before ? before[k] : (real)0) + value;
        else
            charges[row * width + k - fa] = value;
    }
}
template <typename real>
void cu_split_output(cu_state *s, cudaStream_t stream, int rows, const real *x, int ldx, int fa,
                     int width, const real *old, const int *old_row, real *a, real *charges)
{
    cu_launch(s, stream, blocks_of(rows), BLOCK, 0, split_output<real>, rows, x, ldx, fa, width, old,
              old_row, a, charges);
    cu_check(s, "the output of a pass");
}

template <typename real>
__global__ void __launch_bounds__(BLOCK) join_output(int rows, const real *a, const real *charges,
                                                     int fa, int width, real *y, int ldy, unsigned *max_of)
{
    cu_wait();
    const size_t row = (blockIdx.x * (size_t)BLOCK + threadIdx.x) / 32;
    unsigned bits = 0;
    if (row >= (size_t)rows)
        return;
#pragma unroll 4
    for (int k = threadIdx.x % 32; k < ldy; k += 32) {
        const real value = k < fa           ? a[row * fa + k]
                           : k < fa + width ? charges[row * width + k - fa]
                                            : (real)0;
        y[row * ldy + k] = value;
        bits = max(bits, cu_bits(value));
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (threadIdx.x % 32 == 0)
        max_of[row] = bits;
}
template <typename real>
void cu_join_output(cu_state *s, cudaStream_t stream, int rows, const real *a, const real *charges,
                    int fa, int width, real *y, int ldy, unsigned *max)
{
    cu_launch(s, stream, blocks_of(rows), BLOCK, 0, join_output<real>, rows, a, charges, fa, width, y,
              ldy, max);
    cu_check(s, "the adjoint of a pass");
}

__global__ void aim_forces(int count, double weight, const double *grad, double *x)
{
    const int k = blockIdx.x * BLOCK + threadIdx.x;
    if (k < count)
        x[k] = -(2.0 * weight * (-grad[k] - x[k]));
}
void cu_aim(cu_state *s, cudaStream_t stream, int count, double weight, const double *grad, double *x)
{
    aim_forces<<<(count + BLOCK - 1) / BLOCK, BLOCK, 0, stream>>>(count, weight, grad, x);
    cu_check(s, "the direction of a loss");
}

template <typename real>
__global__ void __launch_bounds__(BLOCK)
    pad_rows(int rows, const double *x, int width, real *y, int ldy, unsigned *max_of)
{
    cu_wait();
    const size_t row = (blockIdx.x * (size_t)BLOCK + threadIdx.x) / 32;
    unsigned bits = 0;
    if (row >= (size_t)rows)
        return;
    for (int k = threadIdx.x % 32; k < ldy; k += 32) {
        const real value = x && k < width ? (real)x[row * width + k] : (real)0;
        y[row * ldy + k] = value;
        bits = max(bits, cu_bits(value));
    }
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (threadIdx.x % 32 == 0)
        max_of[row] = bits;
}
template <typename real>
void cu_pad_rows(cu_state *s, cudaStream_t stream, int rows, const double *x, int width, real *y,
                 int ldy, unsigned *max_of)
{
    cu_launch(s, stream, blocks_of(rows), BLOCK, 0, pad_rows<real>, rows, x, width, y, ldy, max_of);
    cu_check(s, "the adjoint of a head");
}

template <typename real> __global__ void add_rows(size_t count, const real *x, real *y)
{
    cu_wait();
    const size_t k = blockIdx.x * (size_t)blockDim.x + threadIdx.x;
    if (k < count)
        y[k] += x[k];
}
template <typename real>
void cu_add_rows(cu_state *s, cudaStream_t stream, size_t count, const real *x, real *y)
{
    cu_launch(s, stream, (unsigned)((count + BLOCK - 1) / BLOCK), BLOCK, 0, add_rows<real>, count, x, y);
    cu_check(s, "the sum of the heads' adjoints");
}

/* ---------------------------------------------------------------- charges */

/* D, F of a channel of a system, and their tangents along one direction. */
struct missing {
    double d, f, td, tf;
};

template <typename real> struct reader {
    const cu_charges_tan<real> *c;
    int k; /* channel */
    size_t base;
    __device__ double root(int i) const
    {
        return (double)c->of.y[(size_t)i * 2 * c->of.nc + c->of.nc + k];
    }
    __device__ double troot(int i) const
    {
        return (double)c->ty[(base + i) * 2 * c->of.nc + c->of.nc + k];
    }
    __device__ double raw(int i) const
    {
        const double y = (double)c->of.y[(size_t)i * 2 * c->of.nc + k];
        return c->of.q_old ? y + (double)c->of.q_old[(size_t)i * c->of.nc + k] : y;
    }
    __device__ double traw(int i) const
    {
        const double y = (double)c->ty[(base + i) * 2 * c->of.nc + k];
        return c->tq_old ? y + (double)c->tq_old[(base + i) * c->of.nc + k] : y;
    }
};

template <typename real>
static __device__ missing missing_charge(const reader<real> &r, int s)
{
    const cu_charges<real> &of = r.c->of;
    double q = 0, f = 0, tq = 0, tf = 0;
    for (int i = of.offset[s] + threadIdx.x; i < of.offset[s + 1]; i += BLOCK) {
        q += r.raw(i);
        f += r.root(i) * r.root(i);
        tq += r.traw(i);
        tf += 2.0 * r.root(i) * r.troot(i);
    }
    const double target =
        of.nc == 1 ? of.charge[s]
                   : 0.5 * (of.charge[s] + (r.k == 0 ? 1.0 : -1.0) * (of.mult[s] - 1.0));
    missing m;
    m.d = target - cu_block_sum<BLOCK>(q);
    m.f = of.epsilon + cu_block_sum<BLOCK>(f);
    m.td = -cu_block_sum<BLOCK>(tq);
    m.tf = cu_block_sum<BLOCK>(tf);
    return m;
}

template <typename real>
__global__ void __launch_bounds__(BLOCK) charge_tan_forward(const cu_charges_tan<real> c)
{
    cu_wait();
    const int item = blockIdx.x, s = item / c.of.nc % c.of.systems;
    const reader<real> r = {&c, item % c.of.nc, (size_t)(item / c.of.nc / c.of.systems) * c.n};
    const missing m = missing_charge(r, s);
    const double ratio = m.d / m.f, tratio = (m.td - ratio * m.tf) / m.f;
    for (int i = c.of.offset[s] + threadIdx.x; i < c.of.offset[s + 1]; i += BLOCK)
        c.tq[(r.base + i) * c.of.nc + r.k] =
            (real)(r.traw(i) + 2.0 * r.root(i) * r.troot(i) * ratio +
                   r.root(i) * r.root(i) * tratio);
}

template <typename real>
__global__ void __launch_bounds__(BLOCK) charge_tan_backward(const cu_charges_tan<real> c)
{
    cu_wait();
    const int item = blockIdx.x, s = item / c.of.nc % c.of.systems, nc = c.of.nc;
    const reader<real> r = {&c, item % nc, (size_t)(item / nc / c.of.systems) * c.n};
    const missing m = missing_charge(r, s);
    double sum = 0, tsum = 0;
    for (int i = c.of.offset[s] + threadIdx.x; i < c.of.offset[s + 1]; i += BLOCK) {
        const double g = (double)c.of.gq[(size_t)i * nc + r.k], root = r.root(i);
        sum += g * root * root / m.f;
        tsum += ((double)c.tgq[(r.base + i) * nc + r.k] * root * root + g * 2.0 * root * r.troot(i)) /
                m.f;
    }
    const double mean = cu_block_sum<BLOCK>(sum), tmean = cu_block_sum<BLOCK>(tsum) - mean * m.tf / m.f,
                 ratio = m.d / m.f, tratio = (m.td - ratio * m.tf) / m.f;
    for (int i = c.of.offset[s] + threadIdx.x; i < c.of.offset[s + 1]; i += BLOCK) {
        const double g = (double)c.of.gq[(size_t)i * nc + r.k] - mean,
                     tg = (double)c.tgq[(r.base + i) * nc + r.k] - tmean;
        real *tgy = c.tgy + (r.base + i) * 2 * nc;
        tgy[r.k] = (real)tg;
        tgy[nc + r.k] = (real)(2.0 * (r.troot(i) * g + r.root(i) * tg) * ratio +
                               2.0 * r.root(i) * g * tratio);
        if (c.tgq_old)
            c.tgq_old[(r.base + i) * nc + r.k] += (real)tg;
    }
}

template <typename real>
void cu_charge_tan_forward(cu_state *s, cudaStream_t stream, const cu_charges_tan<real> *c)
{
    cu_launch(s, stream, c->n_dir * c->of.systems * c->of.nc, BLOCK, 0, charge_tan_forward<real>, *c);
    cu_check(s, "the tangent of charge equilibration");
}
template <typename real>
void cu_charge_tan_backward(cu_state *s, cudaStream_t stream, const cu_charges_tan<real> *c)
{
    cu_launch(s, stream, c->n_dir * c->of.systems * c->of.nc, BLOCK, 0, charge_tan_backward<real>, *c);
    cu_check(s, "the tangent of charge equilibration's adjoint");
}

__global__ void __launch_bounds__(BLOCK)
    reduce_directions(int n, int systems, const int *offset, const double *in, int width,
                      double *out)
{
    const int k = blockIdx.x % width, s = blockIdx.x / width % systems;
    const size_t base = (size_t)(blockIdx.x / width / systems) * n;
    double sum = 0;
    for (int i = offset[s] + threadIdx.x; i < offset[s + 1]; i += BLOCK)
        sum += in[(base + i) * width + k];
    sum = cu_block_sum<BLOCK>(sum);
    if (threadIdx.x == 0)
        out[blockIdx.x] = sum;
}
void cu_reduce_directions(cu_state *s, cudaStream_t stream, int n_dir, int n, int systems,
                          const int *offset, const double *in, int width, double *out)
{
    reduce_directions<<<n_dir * systems * width, BLOCK, 0, stream>>>(n, systems, offset, in, width,
                                                                     out);
    cu_check(s, "sums over atoms");
}

#define INSTANCE(real)                                                                             \
    template void cu_act_forward(cu_state *, cudaStream_t, const cu_act<real> *);                  \
    template void cu_act_tangent(cu_state *, cudaStream_t, const cu_act<real> *);                  \
    template void cu_act_backward(cu_state *, cudaStream_t, const cu_act<real> *);                 \
    template void cu_act_back_tangent(cu_state *, cudaStream_t, const cu_act<real> *);             \
    template void cu_split_output(cu_state *, cudaStream_t, int, const real *, int, int, int,      \
                                  const real *, const int *, real *, real *);                      \
    template void cu_join_output(cu_state *, cudaStream_t, int, const real *, const real *, int,   \
                                 int, real *, int, unsigned *);                                    \
    template void cu_pad_rows(cu_state *, cudaStream_t, int, const double *, int, real *, int,     \
                              unsigned *);                                                         \
    template void cu_add_rows(cu_state *, cudaStream_t, size_t, const real *, real *);             \
    template void cu_charge_tan_forward(cu_state *, cudaStream_t, const cu_charges_tan<real> *);   \
    template void cu_charge_tan_backward(cu_state *, cudaStream_t, const cu_charges_tan<real> *)
INSTANCE(float);
INSTANCE(double);
