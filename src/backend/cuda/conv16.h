/* SPDX-License-Identifier: MIT */
/* conv16.h - the convolution of the usual sizes in float, called by conv.cu: what forward
 * (conv16.cu) and backward (conv16_back.cu, conv16_project.cu) have in common. */
#ifndef AIM_CUDA_CONV16_H
#define AIM_CUDA_CONV16_H

#include "backend/cuda/columns.h"

/* Whether these kernels are for it; those in double have none. */
int cu_conv16_fits(const cu_conv<float> *c);
static inline int cu_conv16_fits(const cu_conv<double> *)
{
    return 0;
}
void cu_conv16_forward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c);
void cu_conv16_forward_few(cu_state *s, cudaStream_t stream, const cu_conv<float> *c);
void cu_conv16_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c);
void cu_conv16_backward_molecules(cu_state *s, cudaStream_t stream, const cu_conv<float> *c);
void cu_conv16_first_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c);
void cu_conv16_project_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c);

enum {
    NF = 16,
    GP = 16,
    HP = 16,
    COLUMNS = 256,
    HALF = 128,
    STRIDE = 20, /* of channels in shared memory */
    FORWARD_BATCH = 32,
    FEW = 2048,        /* with fewer atoms, warps are wanted more than shared rows */
    FEW_FORWARD = 800, /* the same in the forward direction, */
    FEW_PROJECT = 1100 /* and of the projection's adjoint */
};

/* So many threads of a block wait for each other, at one of its barriers. */
static __device__ __forceinline__ void meet(int barrier, int threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

static __device__ __forceinline__ float4 load4(const float *p)
{
    return *(const float4 *)p;
}

static __device__ __forceinline__ void add4(float4 *s, const float4 &t, float w)
{
    s->x = fmaf(t.x, w, s->x);
    s->y = fmaf(t.y, w, s->y);
    s->z = fmaf(t.z, w, s->z);
    s->w = fmaf(t.w, w, s->w);
}

static __device__ __forceinline__ unsigned bits4(const float4 &z)
{
    return max(max(cu_bits(z.x), cu_bits(z.y)), max(cu_bits(z.z), cu_bits(z.w)));
}

/* Four columns, wherever the row of x has them. */
static __device__ __forceinline__ void store(float *x, const float4 &z, int aligned)
{
    if (aligned) {
        *(float4 *)x = z;
    } else {
        x[0] = z.x;
        x[1] = z.y;
        x[2] = z.z;
        x[3] = z.w;
    }
}

/* Sum over the lanes that differ in the bits from `first` up. */
static __device__ __forceinline__ float sum_above(float x, int first)
{
    for (int d = first; d < 32; d <<= 1)
        x += __shfl_xor_sync(0xffffffffu, x, d);
    return x;
}

static __device__ __forceinline__ float4 sum_above4(const float4 &x, int first)
{
    return make_float4(sum_above(x.x, first), sum_above(x.y, first), sum_above(x.z, first),
                       sum_above(x.w, first));
}

/* Fours of combinations of a channel, one to four, and the channel of number k of them. */
static __device__ __forceinline__ int fours(int ncomb)
{
    return cu_vector_row(ncomb) / 4;
}
static __device__ __forceinline__ int channel_of(int k, int each)
{
    return each == 3 ? k / 3 : k >> each / 2;
}

/* The cutoff function of a pair and its slope: (cos(pi d / rc) + 1)/2. */
static __device__ __forceinline__ float cutoff(float d, float inv_rc, float *slope)
{
    float s, c;
    sincospif(d * inv_rc, &s, &c);
    *slope = -1.57079632679489661923f * s * inv_rc;
    return 0.5f * (c + 1.0f);
}

/* A batch of N neighbours of one atom, in shared memory of its warp. With SLOPES, rows are of a length
 * that spreads them over the banks. */
template <int N, int SLOPES> struct neighbours {
    float4 u[N]; /* direction, distance */
    float radial[N]
                [SLOPES ? 2 * GP + 4 : GP]; /* radial functions, their slopes; and room for four */
    int j[N];
};

/* Neighbour `lane` of the batch, read before it is needed. */
struct coming {
    vec4<float> u;
    int j;
};

template <int N>
static __device__ __forceinline__ coming fetch(const cu_conv<float> &c, int i, int first, int n)
{
    const int lane = threadIdx.x % 32;
    coming next = {{0, 0, 0, 1}, 0};
    if (lane < N && first + lane < n) {
        const size_t p = (size_t)i * c.capacity + first + lane;
        next.u = c.u[p];
        next.j = c.j[p];
    }
    return next;
}

/* The same where n is on its way: what can be read before goes first. */
template <int N>
static __device__ __forceinline__ coming fetch_early(const cu_conv<float> &c, int i, int first,
                                                     int n)
{
    const int lane = threadIdx.x % 32, k = first + lane;
    const size_t p = (size_t)i * c.capacity + k;
    coming next = {{0, 0, 0, 1}, 0};
    if (lane < N && k < c.early) {
        next.u = c.u[p];
        next.j = c.j[p];
    } else if (lane < N && k < n) {
        next.u = c.u[p];
        next.j = c.j[p];
    }
    return next;
}

/* Neighbour `lane` with its cutoff function and the slope of that. */
struct ready {
    coming at;
    float f, df;
};

static __device__ __forceinline__ ready with_cutoff(const cu_conv<float> &c, const coming &at)
{
    ready own = {at, 0, 0};
    own.f = cutoff(at.u.w, 1.0f / c.rc, &own.df);
    return own;
}

/* Four radial functions of a pair and their slopes. */
struct radial4 {
    float4 gs, dgs;
};

static __device__ __forceinline__ void radial_function(const cu_conv<float> &c, float d, float f,
                                                       float df, float shift, float *gs, float *dgs)
{
    const float x = d - shift, e = __expf(-c.eta * x * x);
    *gs = e * f;
    *dgs = e * fmaf(-2.0f * c.eta * x, f, df);
}

static __device__ __forceinline__ radial4 radial_functions(const cu_conv<float> &c, float d,
                                                           float f, float df, const float4 &shift)
{
    radial4 r;
    radial_function(c, d, f, df, shift.x, &r.gs.x, &r.dgs.x);
    radial_function(c, d, f, df, shift.y, &r.gs.y, &r.dgs.y);
    radial_function(c, d, f, df, shift.z, &r.gs.z, &r.dgs.z);
    radial_function(c, d, f, df, shift.w, &r.gs.w, &r.dgs.w);
    return r;
}

/* The batch of the n neighbours that lanes from `from` on have; four lanes make the radial functions of a
 * neighbour. */
template <int N, int SLOPES>
static __device__ __forceinline__ void fill(const cu_conv<float> &c, neighbours<N, SLOPES> *b,
                                            const ready &own, int from, int n)
{
    const int lane = threadIdx.x % 32, g = lane % 4 * 4, to = lane - from;
    const float4 shift = load4(c.shifts + g);
    __syncwarp();
#pragma unroll 1
    for (int base = 0; base < n; base += 8) {
        const int k = base + lane / 4, of = from + k & 31;
        const float d = __shfl_sync(0xffffffffu, own.at.u.w, of),
                    f = __shfl_sync(0xffffffffu, own.f, of),
                    df = SLOPES ? __shfl_sync(0xffffffffu, own.df, of) : 0.0f;
        const radial4 r = radial_functions(c, d, f, df, shift);
        if (k < n) {
            *(float4 *)&b->radial[k][g] = r.gs;
            if (SLOPES)
                *(float4 *)&b->radial[k][GP + g] = r.dgs;
        }
    }
    if (to >= 0 && to < n) {
        b->u[to] = make_float4(own.at.u.x, own.at.u.y, own.at.u.z, own.at.u.w);
        b->j[to] = own.at.j; /* may be on its way */
    }
    __syncwarp();
}

/* Who does what of the charges: 4 nc lanes take four columns each, of every (32 / 4 nc)th neighbour. */
struct charge_lane {
    int column, group, groups, width;
};

static __device__ __forceinline__ charge_lane charge_share(int nc)
{
    const int lane = threadIdx.x % 32, lanes = 4 * nc;
    return charge_lane{lane % lanes * 4, lane / lanes, 32 / lanes, lanes};
}

/* A neighbour of charge q in four columns of the sums: its radial functions gs, its direction u. */
static __device__ __forceinline__ void add_charge(float4 s[4], float q, const float4 &u,
                                                  const float4 &gs)
{
    const float4 t = make_float4(q * gs.x, q * gs.y, q * gs.z, q * gs.w);
    s[0].x += t.x, s[0].y += t.y, s[0].z += t.z, s[0].w += t.w;
    add4(&s[1], t, u.x);
    add4(&s[2], t, u.y);
    add4(&s[3], t, u.z);
}

/* Parts of an atom's columns that a warp has: both halves and the charges, or with SPLIT one of these. */
enum { FIRST_HALF, SECOND_HALF, CHARGES };

template <int SPLIT> static __device__ __forceinline__ int owns(int part)
{
    return !SPLIT || (int)threadIdx.x / 32 % 3 == part;
}

/* Warps of an atom with SPLIT. */
template <int EMBED> constexpr int ATOM_WARPS = EMBED ? 2 : 3;

#endif
