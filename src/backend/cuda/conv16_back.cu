/* SPDX-License-Identifier: MIT */
/* conv16_back.cu - the adjoint of the convolution (conv.cu) in float for the usual sizes, the way of
 * conv16.cu: a warp gathers everything of an atom, or three warps its halves and its charges. The
 * neighbours of a molecule's atom are summed in four stretches, which one warp takes one after the other,
 * or twelve together. */
#include "backend/cuda/conv16.h"

enum {
    BACKWARD_BATCH = 16,
    STRETCHES = 4, /* of a molecule's atom */
    LEAST = 6      /* neighbours in one */
};

/* Four columns of an atom: features and the adjoints of its sums. */
struct columns4 {
    float4 a, s[4];
};

/* What a pair's columns add up to for its force: along the distance and along the direction. */
struct slope {
    float d, u[3];
};

static __device__ __forceinline__ void add_column(float aj, float ai, float s0, float s1, float s2,
                                                  float s3, float o0, float o1, float o2, float o3,
                                                  float gs, float dgs, const float4 &u, float *ga,
                                                  slope *g)
{
    const float w = s0 - (u.x * s1 + u.y * s2 + u.z * s3), r = o0 + (u.x * o1 + u.y * o2 + u.z * o3),
                p = gs * ai, q = gs * aj;
    *ga += gs * w;
    g->d += dgs * (ai * w + aj * r);
    g->u[0] += p * s1 - q * o1;
    g->u[1] += p * s2 - q * o2;
    g->u[2] += p * s3 - q * o3;
}

static __device__ __forceinline__ void add_columns(const columns4 &other, const columns4 &own,
                                                   const float4 &gs, const float4 &dgs,
                                                   const float4 &u, float4 *ga, slope *g)
{
#define COLUMN(m)                                                                                  \
    add_column(other.a.m, own.a.m, other.s[0].m, other.s[1].m, other.s[2].m, other.s[3].m,         \
               own.s[0].m, own.s[1].m, own.s[2].m, own.s[3].m, gs.m, dgs.m, u, &ga->m, g)
    COLUMN(x);
    COLUMN(y);
    COLUMN(z);
    COLUMN(w);
#undef COLUMN
}

/* u.w: 1/d */
template <int STRAIN>
static __device__ __forceinline__ void add_force(pull<float> *p, const float4 &u, const slope &g)
{
    const float along = u.x * g.u[0] + u.y * g.u[1] + u.z * g.u[2], t = fmaf(along, u.w, g.d),
                dir[3] = {u.x, u.y, u.z};
#pragma unroll
    for (int d = 0; d < 3; d++) {
        const float f = g.u[d] * u.w - t * dir[d];
        p->f[d] += f;
        if (STRAIN)
#pragma unroll
            for (int e = 0; e < 3; e++)
                p->w[3 * e + d] += dir[e] / u.w * f;
    }
}

static __device__ __forceinline__ columns4 load_columns(const float *a, const float *s, int columns)
{
    columns4 c;
    c.a = load4(a);
#pragma unroll
    for (int d = 0; d < 4; d++)
        c.s[d] = load4(s + d * columns);
    return c;
}

static __device__ __forceinline__ columns4 load_charge(const cu_conv<float> &c,
                                                       const charge_lane &l, int i)
{
    const int columns = c.nc * GP;
    const float q = c.q[(size_t)i * c.nc + l.column / GP];
    columns4 o;
    o.a = make_float4(q, q, q, q);
#pragma unroll
    for (int d = 0; d < 4; d++)
        o.s[d] = load4(c.sq_adj + ((size_t)i * 4 + d) * columns + l.column);
    return o;
}

template <int STRAIN>
static __device__ __forceinline__ void
back_charges(const neighbours<BACKWARD_BATCH, 1> &b, const cu_conv<float> &c, const charge_lane &l,
             int i, int n, float4 *gq, pull<float> *force)
{
    const columns4 own = load_charge(c, l, i);
    const int g0 = l.column % GP;
    for (int k = l.group; k < n; k += l.groups) {
        slope g = {};
        const float4 u = b.u[k];
        add_columns(load_charge(c, l, b.j[k]), own, load4(&b.gs[k][g0]), load4(&b.dgs[k][g0]), u,
                    gq, &g);
        add_force<STRAIN>(force, u, g);
    }
}

/* With SPLIT: the first warp gets what the others have. */
template <int STRAIN>
static __device__ __forceinline__ void collect_forces(pull<float> force[3])
{
    enum { SUMS = STRAIN ? 12 : 3 };
    __shared__ float others[2][SUMS][32];
    const int part = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (int p = SECOND_HALF; p <= CHARGES; p++)
        for (int d = 0; d < SUMS && part == p; d++)
            others[p - 1][d][lane] = d < 3 ? force[p].f[d] : force[p].w[d - 3];
    __syncthreads();
#pragma unroll
    for (int p = SECOND_HALF; p <= CHARGES; p++)
        for (int d = 0; d < SUMS && part == FIRST_HALF; d++)
            (d < 3 ? force[p].f[d] : force[p].w[d - 3]) = others[p - 1][d][lane];
}

/* Adds up the parts of each lane, then the lanes. */
static __device__ __forceinline__ double sum_parts(float x, float y, float z)
{
    return cu_warp_sum((double)x + (double)y + (double)z);
}

template <int STRAIN>
static __device__ __forceinline__ void leave_force(const cu_conv<float> &c, int i,
                                                   const pull<float> force[3])
{
    const int first = threadIdx.x % 32 == 0;
#pragma unroll
    for (int d = 0; d < 3; d++) {
        const double sum = sum_parts(force[0].f[d], force[1].f[d], force[2].f[d]);
        if (first)
            c.grad[3 * (size_t)i + d] += sum;
    }
    if (STRAIN)
#pragma unroll
        for (int d = 0; d < 9; d++) {
            const double sum = sum_parts(force[0].w[d], force[1].w[d], force[2].w[d]);
            if (first)
                c.virial[9 * (size_t)i + d] -= 0.5 * sum;
        }
}

static __device__ __forceinline__ void add_to(float *x, const float4 &z)
{
    const float4 old = load4(x);
    *(float4 *)x = make_float4(old.x + z.x, old.y + z.y, old.z + z.z, old.w + z.w);
}

/* What a lane collects over the neighbours. Forces of either half of the columns and of the charges are
 * summed for themselves. */
struct collected {
    float4 ga[2], gq;
    pull<float> force[3];
};

static __device__ __forceinline__ void add_to(collected *sum, const collected &x)
{
#pragma unroll
    for (int h = 0; h < 2; h++)
        add4(&sum->ga[h], x.ga[h], 1.0f);
    add4(&sum->gq, x.gq, 1.0f);
#pragma unroll
    for (int p = 0; p < 3; p++)
#pragma unroll
        for (int d = 0; d < 3; d++)
            sum->force[p].f[d] += x.force[p].f[d];
}

/* With SPLIT and GROUPS: the warps of the first group add up what the others have, group after group. */
template <int GROUPS> static __device__ __forceinline__ void collect_groups(collected *sum)
{
    __shared__ float others[GROUPS > 1 ? GROUPS - 1 : 1][3][7][32];
    const int group = threadIdx.x / 96, part = threadIdx.x / 32 % 3, lane = threadIdx.x % 32;
#pragma unroll
    for (int p = 0; p < 3; p++) {
        const float4 g = p == CHARGES ? sum->gq : sum->ga[p == CHARGES ? 0 : p];
        const float own[7] = {g.x, g.y, g.z, g.w, sum->force[p].f[0], sum->force[p].f[1],
                              sum->force[p].f[2]};
#pragma unroll
        for (int k = 0; k < 7; k++)
            if (part == p && group > 0)
                others[group - 1][p][k][lane] = own[k];
    }
    __syncthreads();
    if (group > 0)
        return;
    for (int from = 0; from < GROUPS - 1; from++) {
        const float(*x)[32] = others[from][part];
        const float4 g = make_float4(x[0][lane], x[1][lane], x[2][lane], x[3][lane]);
        collected one = {};
#pragma unroll
        for (int p = 0; p < 3; p++) {
            if (part != p)
                continue;
            if (p == CHARGES)
                one.gq = g;
            else
                one.ga[p] = g;
#pragma unroll
            for (int d = 0; d < 3; d++)
                one.force[p].f[d] = x[4 + d][lane];
        }
        add_to(sum, one);
    }
}

/* Neighbours first .. last - 1 of atom i. */
template <int STRAIN, int SPLIT>
static __device__ __forceinline__ void
gather_neighbours(const cu_conv<float> &c, neighbours<BACKWARD_BATCH, 1> &b, const charge_lane &l,
                  const columns4 own[2], int i, int first, int last, collected *sum)
{
    const int column = threadIdx.x % 32 * 4, g0 = column % GP;
    coming next = fetch<BACKWARD_BATCH>(c, i, first, last);
    for (; first < last; first += BACKWARD_BATCH) {
        const int m = min(BACKWARD_BATCH, last - first);
        fill(c, &b, next, m);
        next = fetch<BACKWARD_BATCH>(c, i, first + BACKWARD_BATCH, last);
#pragma unroll(SPLIT ? 2 : 1)
        for (int k = 0; k < m && (owns<SPLIT>(0) || owns<SPLIT>(1)); k++) {
            const size_t j = (size_t)b.j[k];
            const float4 u = b.u[k], gs = load4(&b.gs[k][g0]), dgs = load4(&b.dgs[k][g0]);
#pragma unroll
            for (int h = 0; h < 2; h++) {
                if (!owns<SPLIT>(h))
                    continue;
                slope g = {};
                add_columns(load_columns(c.a + j * COLUMNS + h * HALF + column,
                                         c.s_adj + j * 4 * COLUMNS + h * HALF + column, COLUMNS),
                            own[h], gs, dgs, u, &sum->ga[h], &g);
                add_force<STRAIN>(&sum->force[h], u, g);
            }
        }
        if (owns<SPLIT>(CHARGES))
            back_charges<STRAIN>(b, c, l, i, m, &sum->gq, &sum->force[CHARGES]);
    }
}

/* The neighbours in GROUPS stretches, each summed for itself: all of them by the warp of the atom or, with
 * SPLIT, by three warps each of one atom. */
template <int STRAIN, int WARPS, int SPLIT, int GROUPS>
__global__ void __launch_bounds__(WARPS * 32, SPLIT && GROUPS == 1 && !STRAIN ? 5 : 1)
    backward16(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ neighbours<BACKWARD_BATCH, 1> batches[WARPS];
    neighbours<BACKWARD_BATCH, 1> &b = batches[threadIdx.x / 32];
    const int i = c.first + (SPLIT ? blockIdx.x : blockIdx.x * WARPS + threadIdx.x / 32),
              lane = threadIdx.x % 32;
    if (i >= c.first + c.n)
        return;
    const int n = c.count[i], column = lane * 4,
              stretch = GROUPS == 1 ? n : max(LEAST, (n + GROUPS - 1) / GROUPS);
    const charge_lane l = charge_share(c.nc);
    columns4 own[2] = {};
#pragma unroll
    for (int h = 0; h < 2; h++)
        if (owns<SPLIT>(h))
            own[h] = load_columns(c.a + (size_t)i * COLUMNS + h * HALF + column,
                                  c.s_adj + (size_t)i * 4 * COLUMNS + h * HALF + column, COLUMNS);
    collected sum = {};
    const int group = SPLIT ? threadIdx.x / 96 : 0;
    if (GROUPS == 1)
        gather_neighbours<STRAIN, SPLIT>(c, b, l, own, i, 0, n, &sum);
#pragma unroll 1
    for (int k = group; k < GROUPS && GROUPS > 1; k += SPLIT ? GROUPS : 1) {
        collected more = {};
        gather_neighbours<STRAIN, SPLIT>(c, b, l, own, i, k * stretch, min(n, (k + 1) * stretch),
                                         &more);
        add_to(&sum, more);
    }
    if (SPLIT && GROUPS > 1)
        collect_groups<GROUPS>(&sum);
    if (SPLIT)
        collect_forces<STRAIN>(sum.force);
    if (group > 0)
        return;
    if (owns<SPLIT>(FIRST_HALF))
        leave_force<STRAIN>(c, i, sum.force);
#pragma unroll
    for (int h = 0; h < 2; h++)
        if (owns<SPLIT>(h))
            add_to(c.ga + (size_t)i * COLUMNS + h * HALF + column, sum.ga[h]);
    if (!owns<SPLIT>(CHARGES))
        return;
    const float4 gq = sum_above4(sum.gq, l.width);
    float charge = gq.x + gq.y + gq.z + gq.w;
    charge += __shfl_xor_sync(0xffffffffu, charge, 1);
    charge += __shfl_xor_sync(0xffffffffu, charge, 2);
    if (lane < l.width && lane % 4 == 0)
        c.gq[(size_t)i * c.nc + lane / 4] += charge;
}

/* ---------------------------------------------------------------- adjoint of the projection */

enum { PROJECT_WARPS = 4, W_STRIDE = 3 * HP + 4 };

/* gS of the vectors of nf channels for the lane's four columns from `column` on. w: 2 v gxv. */
static __device__ __forceinline__ void unproject(const float *w, const float *agh, int column,
                                                 float4 s[3])
{
    const float *own = w + column / GP * W_STRIDE;
    float sum[3][4] = {};
#pragma unroll
    for (int h = 0; h < HP; h += 4) {
        float4 y[3];
#pragma unroll
        for (int d = 0; d < 3; d++)
            y[d] = load4(own + d * HP + h);
#pragma unroll
        for (int m = 0; m < 4; m++) {
            const float4 p = load4(agh + (size_t)(column + m) * HP + h);
#pragma unroll
            for (int d = 0; d < 3; d++)
                sum[d][m] += p.x * y[d].x + p.y * y[d].y + p.z * y[d].z + p.w * y[d].w;
        }
    }
#pragma unroll
    for (int d = 0; d < 3; d++)
        s[d] = make_float4(sum[d][0], sum[d][1], sum[d][2], sum[d][3]);
}

/* 2 v gxv of the channels first .. last - 1 */
static __device__ __forceinline__ void weigh(float *w, int first, int last, int ncomb,
                                             const float *v, const float *gxv)
{
    __syncwarp();
    for (int k = first * 12 + threadIdx.x % 32; k < last * 12; k += 32) {
        const int f = k / 12, d = k / 4 % 3, h = k % 4 * 4;
        const float4 own = load4(v + (f * 3 + d) * HP + h);
        const float *g = gxv + f * ncomb + h;
        *(float4 *)(w + f * W_STRIDE + d * HP + h) =
            make_float4(h < ncomb ? 2.0f * own.x * g[0] : 0.0f,
                        h + 1 < ncomb ? 2.0f * own.y * g[1] : 0.0f,
                        h + 2 < ncomb ? 2.0f * own.z * g[2] : 0.0f,
                        h + 3 < ncomb ? 2.0f * own.w * g[3] : 0.0f);
    }
    __syncwarp();
}

static __device__ __forceinline__ float4 load_any(const float *x, int aligned)
{
    return aligned ? load4(x) : make_float4(x[0], x[1], x[2], x[3]);
}

/* Both warps of an atom get each other's half. */
static __device__ __forceinline__ void exchange(float4 s[2][4])
{
    __shared__ float4 halves[2][4][32];
    const int own = threadIdx.x / 32, lane = threadIdx.x % 32;
#pragma unroll
    for (int d = 0; d < 4; d++)
        halves[own][d][lane] = own ? s[1][d] : s[0][d];
    __syncthreads();
#pragma unroll
    for (int h = 0; h < 2; h++)
        for (int d = 0; d < 4; d++)
            s[h][d] = halves[h][d][lane];
}

/* What an atom of each element would receive: sum over the channels of its embedding; of the elements
 * first, first + step, ... */
static __device__ __forceinline__ void by_element(const cu_conv<float> &c, int i, int first, int step,
                                                  const float4 s[2][4])
{
    const int column = threadIdx.x % 32 * 4;
    for (int z = first; z < c.kinds; z += step) {
        const float *e = c.a + (size_t)c.kind_species[z] * COLUMNS + column;
        const float4 e0 = load4(e), e1 = load4(e + HALF);
#pragma unroll
        for (int d = 0; d < 4; d++) {
            const float4 a = s[0][d], b = s[1][d],
                         t = sum_above4(make_float4(e0.x * a.x + e1.x * b.x, e0.y * a.y + e1.y * b.y,
                                                    e0.z * a.z + e1.z * b.z,
                                                    e0.w * a.w + e1.w * b.w),
                                        4);
            if (threadIdx.x % 32 < 4)
                *(float4 *)(c.e_adj + (((size_t)i * c.kinds + z) * 4 + d) * GP + column) = t;
        }
    }
}

/* SPLIT: all warps, one atom. */
template <int EMBED, int WARPS, int SPLIT>
__global__ void __launch_bounds__(WARPS * 32)
    project_backward16(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ float weights[WARPS][NF * W_STRIDE];
    float *w = weights[threadIdx.x / 32];
    const int i = c.first + (SPLIT ? blockIdx.x : blockIdx.x * WARPS + threadIdx.x / 32),
              lane = threadIdx.x % 32, column = lane * 4;
    if (i >= c.first + c.n)
        return;
    const float *gx = c.gx + (size_t)i * c.ldx;
    float4 s[2][4] = {};
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (!owns<SPLIT>(h))
            continue;
        weigh(w, h * NF / 2, (h + 1) * NF / 2, c.ncomb, c.v + (size_t)i * NF * 3 * HP,
              gx + c.col.xv);
        s[h][0] = load_any(gx + c.col.xs + h * HALF + column, c.col.xs % 4 == 0);
        unproject(w, c.agh, h * HALF + column, s[h] + 1);
        if (c.s_adj)
#pragma unroll
            for (int d = 0; d < 4; d++)
                *(float4 *)(c.s_adj + ((size_t)i * 4 + d) * COLUMNS + h * HALF + column) = s[h][d];
    }
    if (EMBED) {
        if (SPLIT)
            exchange(s);
        by_element(c, i, SPLIT ? threadIdx.x / 32 : 0, SPLIT ? 2 : 1, s);
        return;
    }
    if (owns<SPLIT>(CHARGES))
        weigh(w, 0, c.nc, c.q_ncomb, c.vq + (size_t)i * c.nc * 3 * HP, gx + c.col.qv);
    if (owns<SPLIT>(CHARGES) && lane < 4 * c.nc) {
        float4 t[4];
        t[0] = load_any(gx + c.col.qs + column, c.col.qs % 4 == 0);
        unproject(w, c.q_agh, column, t + 1);
#pragma unroll
        for (int d = 0; d < 4; d++)
            *(float4 *)(c.sq_adj + ((size_t)i * 4 + d) * c.nc * GP + column) = t[d];
    }
#pragma unroll
    for (int h = 0; h < 2; h++) {
        if (!owns<SPLIT>(h))
            continue;
        const size_t at = (size_t)i * COLUMNS + h * HALF + column;
        float4 own = load_any(gx + c.col.a + h * HALF + column, c.col.a % 4 == 0);
        if (c.ga_later) {
            const float4 later = load4(c.ga_later + at);
            own = make_float4(own.x + later.x, own.y + later.y, own.z + later.z, own.w + later.w);
        }
        *(float4 *)(c.ga + at) = own;
    }
    if (owns<SPLIT>(CHARGES) && lane < c.nc)
        c.gq[(size_t)i * c.nc + lane] += gx[c.col.q + lane];
}

template <int STRAIN, int GROUPS>
static void launch_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->n < FEW)
        cu_launch(s, stream, c->n, 32 * 3 * GROUPS, 0, backward16<STRAIN, 3 * GROUPS, 1, GROUPS>, *c);
    else
        cu_launch(s, stream, (c->n + 15) / 16, 512, 0, backward16<STRAIN, 16, 0, GROUPS>, *c);
}

void cu_conv16_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->molecules)
        launch_backward<0, STRETCHES>(s, stream, c);
    else if (c->want_strain)
        launch_backward<1, 1>(s, stream, c);
    else
        launch_backward<0, 1>(s, stream, c);
}

template <int EMBED>
static void launch_project(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->n < FEW)
        cu_launch(s, stream, c->n, 32 * ATOM_WARPS<EMBED>, 0,
                  project_backward16<EMBED, ATOM_WARPS<EMBED>, 1>, *c);
    else
        cu_launch(s, stream, (c->n + PROJECT_WARPS - 1) / PROJECT_WARPS, 32 * PROJECT_WARPS, 0,
                  project_backward16<EMBED, PROJECT_WARPS, 0>, *c);
}

void cu_conv16_project_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->features == CU_EMBED)
        launch_project<1>(s, stream, c);
    else
        launch_project<0>(s, stream, c);
}
