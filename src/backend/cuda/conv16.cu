/* SPDX-License-Identifier: MIT */
/* conv16.cu - the convolution (conv.cu) in float for the sizes of nearly all models: 16
 * channels, 16 shifts, rows of 16.
 *
 * A warp is an atom; its lanes own the columns 4 l .. 4 l + 3 and 128 + 4 l .. 128 + 4 l + 3 of 256,
 * which have the same four shifts, and walk the neighbours one by one. The warps of a block are
 * neighbouring atoms (of a molecule; crystals are sorted in space, cells.h), whose lists have the same
 * order: a row of a neighbour comes from the second-level cache for the first of them and from the
 * processor's own for the others. Of few atoms, each has a block, with a thread for every column. All sums
 * are formed in the same order in both cases. */
#include "backend/cuda/conv16.h"

enum { FORWARD_WARPS = 4, FORWARD_BLOCKS = 4 };

struct forward_space {
    union {
        neighbours<FORWARD_BATCH, 0> b;
        float s[4][(NF + 2) * STRIDE]; /* sums, channel by channel: of features, of charges */
    };
};

/* Four combinations of a channel, from h on, of ncomb. */
struct combined {
    int channel, h, ncomb;
    const float *agh; /* rows of shifts, so that lanes read whole ones */
    float *xv, *v;    /* of the channel */
};

/* Vectors to v, their squares to xv. */
static __device__ __forceinline__ unsigned project(const float (*s)[(NF + 2) * STRIDE],
                                                   const combined &own)
{
    unsigned bits = 0;
    float4 p[3] = {};
#pragma unroll
    for (int g = 0; g < GP; g += 4) {
        float4 w[4];
#pragma unroll
        for (int m = 0; m < 4; m++)
            w[m] = load4(own.agh + (g + m) * NF * HP);
#pragma unroll
        for (int d = 0; d < 3; d++) {
            const float4 t = load4(&s[d + 1][own.channel * STRIDE + g]);
            add4(&p[d], w[0], t.x);
            add4(&p[d], w[1], t.y);
            add4(&p[d], w[2], t.z);
            add4(&p[d], w[3], t.w);
        }
    }
    float4 square = {};
#pragma unroll
    for (int d = 0; d < 3; d++) {
        /* not needed before the way back */
        __stcs((float4 *)(own.v + d * HP + own.h), p[d]);
        square.x = fmaf(p[d].x, p[d].x, square.x);
        square.y = fmaf(p[d].y, p[d].y, square.y);
        square.z = fmaf(p[d].z, p[d].z, square.z);
        square.w = fmaf(p[d].w, p[d].w, square.w);
    }
    const float squares[4] = {square.x, square.y, square.z, square.w};
#pragma unroll
    for (int m = 0; m < 4; m++)
        if (own.h + m < own.ncomb) {
            own.xv[own.h + m] = squares[m];
            bits = max(bits, cu_bits(squares[m]));
        }
    /* what rows of v have behind the last */
    for (int h = own.h + 4; h >= own.ncomb && h < HP; h += 4)
#pragma unroll
        for (int d = 0; d < 3; d++)
            __stcs((float4 *)(own.v + d * HP + h), float4{});
    return bits;
}

/* Fours of combinations of a channel, one to four, and the channel of number k of them. */
static __device__ __forceinline__ int fours(int ncomb)
{
    return (ncomb + 3) / 4;
}
static __device__ __forceinline__ int channel_of(int k, int each)
{
    return each == 3 ? k / 3 : k >> each / 2;
}

/* All combinations of atom i. */
template <int EMBED>
static __device__ __forceinline__ unsigned project_all(const cu_conv<float> &c,
                                                       const forward_space *space, int i, float *x)
{
    const int each = fours(c.ncomb), q_each = fours(c.q_ncomb), features = NF * each,
              all = features + (EMBED ? 0 : c.nc * q_each);
    unsigned bits = 0;
    for (int k = threadIdx.x % 32; k < all; k += 32) {
        combined own;
        if (EMBED || k < features) {
            const int f = channel_of(k, each), h = (k - f * each) * 4;
            own = combined{f,
                           h,
                           c.ncomb,
                           c.agh_g + f * HP + h,
                           x + c.col.xv + f * c.ncomb,
                           c.v + ((size_t)i * NF + f) * 3 * HP};
        } else {
            const int f = channel_of(k - features, q_each), h = (k - features - f * q_each) * 4;
            own = combined{NF + f,
                           h,
                           c.q_ncomb,
                           c.q_agh_g + f * HP + h,
                           x + c.col.qv + f * c.q_ncomb,
                           c.vq + ((size_t)i * c.nc + f) * 3 * HP};
        }
        bits = max(bits, project(space->s, own));
    }
    return bits;
}

template <int EMBED>
static __device__ __forceinline__ void convolve(const neighbours<FORWARD_BATCH, 0> &b,
                                                const cu_conv<float> &c, int n, float4 s[2][4])
{
    const int column = threadIdx.x % 32 * 4, g0 = column % GP;
#pragma unroll 4
    for (int k = 0; k < n; k++) {
        const int row = EMBED ? c.species[b.j[k]] : b.j[k];
        const float *a = c.a + (size_t)row * COLUMNS + column;
        const float4 u = b.u[k], gs = load4(&b.radial[k][g0]);
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const float4 x = load4(a + h * HALF),
                         t = make_float4(__fmul_rn(x.x, gs.x), __fmul_rn(x.y, gs.y),
                                         __fmul_rn(x.z, gs.z), __fmul_rn(x.w, gs.w));
            add4(&s[h][0], t, 1.0f);
            add4(&s[h][1], t, u.x);
            add4(&s[h][2], t, u.y);
            add4(&s[h][3], t, u.z);
        }
    }
}

static __device__ __forceinline__ void convolve_charges(const neighbours<FORWARD_BATCH, 0> &b,
                                                        const cu_conv<float> &c,
                                                        const charge_lane &l, int n, float4 s[4])
{
    for (int k = l.group; k < n; k += l.groups) {
        const float q = c.q[(size_t)b.j[k] * c.nc + l.column / GP];
        add_charge(s, q, b.u[k], load4(&b.radial[k][l.column % GP]));
    }
}

/* Charges of the row: sums; own charges. */
static __device__ __forceinline__ unsigned leave_charges(const cu_conv<float> &c,
                                                         forward_space *space, const charge_lane &l,
                                                         int i, const float4 sq[4], float *x)
{
    const int lane = threadIdx.x % 32;
    unsigned bits = 0;
    float4 t[4];
#pragma unroll
    for (int d = 0; d < 4; d++)
        t[d] = l.width == 4 ? sum_above4(sq[d], 4) : sum_above4(sq[d], 8);
    if (l.group == 0) {
#pragma unroll
        for (int d = 0; d < 4; d++)
            *(float4 *)&space->s[d][(NF + l.column / GP) * STRIDE + l.column % GP] = t[d];
        store(x + c.col.qs + l.column, t[0], c.col.qs % 4 == 0);
        bits = bits4(t[0]);
    }
    if (lane < c.nc) {
        const float q = c.q[(size_t)i * c.nc + lane];
        x[c.col.q + lane] = q;
        bits = max(bits, cu_bits(q));
    }
    return bits;
}

/* A warp, an atom. */
template <int EMBED>
__global__ void __launch_bounds__(FORWARD_WARPS * 32, FORWARD_BLOCKS)
    forward16(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ forward_space spaces[FORWARD_WARPS];
    const int i = c.first + blockIdx.x * FORWARD_WARPS + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (i >= c.first + c.n)
        return;
    forward_space *space = &spaces[threadIdx.x / 32];
    const int n = c.count[i], column = lane * 4;
    const charge_lane l = charge_share(c.nc);
    float4 s[2][4] = {}, sq[4] = {};
    coming next = fetch<FORWARD_BATCH>(c, i, 0, n);
    for (int first = 0; first < n; first += FORWARD_BATCH) {
        const int m = min(FORWARD_BATCH, n - first);
        fill(c, &space->b, with_cutoff(c, next), 0, m);
        next = fetch<FORWARD_BATCH>(c, i, first + FORWARD_BATCH, n);
        convolve<EMBED>(space->b, c, m, s);
        if (!EMBED)
            convolve_charges(space->b, c, l, m, sq);
    }
    __syncwarp();
    float *x = c.x + (size_t)i * c.ldx;
    unsigned bits = 0;
#pragma unroll
    for (int h = 0; h < 2; h++) {
#pragma unroll
        for (int d = 0; d < 4; d++)
            *(float4 *)&space->s[d][(h * 8 + lane / 4) * STRIDE + column % GP] = s[h][d];
        store(x + c.col.xs + h * HALF + column, s[h][0], c.col.xs % 4 == 0);
        bits = max(bits, bits4(s[h][0]));
        if (EMBED)
            continue;
        const float4 own = load4(c.a + (size_t)i * COLUMNS + h * HALF + column);
        store(x + c.col.a + h * HALF + column, own, c.col.a % 4 == 0);
        bits = max(bits, bits4(own));
    }
    if (!EMBED)
        bits = max(bits, leave_charges(c, space, l, i, sq, x));
    __syncwarp();
    bits = max(bits, project_all<EMBED>(c, space, i, x));
    for (int k = c.col.total + lane; k < c.ldx; k += 32)
        x[k] = 0;
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (lane == 0 && c.xmax)
        c.xmax[i] = bits;
}

int cu_conv16_fits(const cu_conv<float> *c)
{
    return c->nf == NF && c->gp == GP && c->nshifts == GP && c->hp == HP && c->q_hp == HP &&
           c->fa == COLUMNS && (c->nc == 1 || c->nc == 2) && c->features != CU_PLAIN &&
           c->charges == (c->features == CU_FULL) && c->ldx % 4 == 0;
}

template <int EMBED>
static void launch_forward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->n < FEW_FORWARD)
        cu_conv16_forward_few(s, stream, c);
    else
        cu_launch_cached(s, stream, (c->n + FORWARD_WARPS - 1) / FORWARD_WARPS, 32 * FORWARD_WARPS, 0,
                         FORWARD_BLOCKS, forward16<EMBED>, *c);
}

void cu_conv16_forward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->features == CU_EMBED)
        launch_forward<1>(s, stream, c);
    else
        launch_forward<0>(s, stream, c);
}
