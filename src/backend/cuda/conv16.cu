/* SPDX-License-Identifier: MIT */
/* conv16.cu - the convolution (conv.cu) in float for the sizes of nearly all models: 16
 * channels, 16 shifts, rows of 16.
 *
 * A warp is an atom; its lanes own the columns 4 l .. 4 l + 3 and 128 + 4 l .. 128 + 4 l + 3 of 256,
 * which have the same four shifts, and walk the neighbours one by one. The warps of a block are
 * neighbouring atoms (of a molecule; crystals are sorted in space, cells.h), whose lists have the same
 * order: a row of a neighbour comes from the second-level cache for the first of them and from the
 * processor's own for the others. Then the block projects the sums of all of them. Of few atoms, each has a
 * block, with a thread for every column. All sums are formed in the same order in both cases. */
#include "backend/cuda/conv16.h"

enum {
    FORWARD_WARPS = 4,
    FORWARD_BLOCKS = 4,
    AT_ONCE = 2 /* atoms that a thread projects: their weights are read once */
};

/* What the warp of an atom leaves for those who project its sums, and gets from them. */
struct forward_space {
    union {
        neighbours<FORWARD_BATCH, 0> b;
        /* sums of directions, channel by channel: of features, of charges */
        float s[3][(NF + 2) * GP];
    };
    float xv[NF * HP], qv[2 * HP]; /* squares */
};

/* Where the four shifts from g on of a channel stand: those of the two channels that eight lanes leave, and
 * those that they read of eight channels, are in different banks. */
static __device__ __forceinline__ int place_of(int channel, int g)
{
    return channel * GP + (g ^ channel / 2 % 4 * 4);
}

/* Four combinations of a channel, from h on, of ncomb. */
struct combined {
    int channel, h, ncomb;
    const float *agh;    /* rows of shifts, so that lanes read whole ones */
    float *v, *square;   /* of the first atom; */
    int component, atom; /* numbers of v from one to the next */
};

/* Of N atoms: vectors of the first n to v, squares to their spaces. */
template <int N>
static __device__ __forceinline__ void project(const forward_space *spaces, const combined &own,
                                               int n)
{
    float4 p[N][3] = {};
#pragma unroll
    for (int g = 0; g < GP; g += 4) {
        float4 w[4];
#pragma unroll
        for (int m = 0; m < 4; m++)
            w[m] = load4(own.agh + (g + m) * COLUMNS);
#pragma unroll
        for (int a = 0; a < N; a++)
#pragma unroll
            for (int d = 0; d < 3; d++) {
                const float4 t = load4(&spaces[a].s[d][place_of(own.channel, g)]);
                add4(&p[a][d], w[0], t.x);
                add4(&p[a][d], w[1], t.y);
                add4(&p[a][d], w[2], t.z);
                add4(&p[a][d], w[3], t.w);
            }
    }
#pragma unroll
    for (int a = 0; a < N; a++) {
        float4 square = {};
#pragma unroll
        for (int d = 0; d < 3; d++) {
            const float4 &q = p[a][d];
            if (a < n) /* not needed before the way back */
                __stcs((float4 *)(own.v + a * own.atom + d * own.component), q);
            square.x = fmaf(q.x, q.x, square.x);
            square.y = fmaf(q.y, q.y, square.y);
            square.z = fmaf(q.z, q.z, square.z);
            square.w = fmaf(q.w, q.w, square.w);
        }
        float *to = own.square + a * (sizeof *spaces / sizeof *to);
        const float squares[4] = {square.x, square.y, square.z, square.w};
        if (own.ncomb % 4 == 0)
            *(float4 *)to = square;
        else
#pragma unroll
            for (int m = 0; m < 4; m++)
                if (own.h + m < own.ncomb)
                    to[m] = squares[m];
    }
}

/* Number k of the fours of combinations of nf channels from `zero` on; v, squares: of the first atom. */
static __device__ __forceinline__ combined combination(int k, int zero, int nf, int ncomb,
                                                       const float *agh, float *v, float *squares)
{
    const int each = fours(ncomb), f = channel_of(k, each), h = (k - f * each) * 4,
              component = 4 * nf * each;
    return combined{
        zero + f,     h, ncomb, agh + 4 * k, v + 4 * k, squares + f * ncomb + h, component,
        3 * component};
}

/* All combinations of the n atoms of a block, from i on: those of features by a thread for each and AT_ONCE
 * atoms, those of charges by lanes of the last warp. */
template <int EMBED>
static __device__ __forceinline__ void project_all(const cu_conv<float> &c, forward_space *spaces,
                                                   int i, int n)
{
    const int features = NF * fours(c.ncomb), charges = EMBED ? 0 : c.nc * fours(c.q_ncomb),
              t = threadIdx.x, q = t - 32 * (FORWARD_WARPS - 1);
    static_assert(FORWARD_WARPS == 2 * AT_ONCE && 4 * NF <= 32 * AT_ONCE);
    if (t < 2 * features) {
        const int second = t >= features, atom = second * AT_ONCE;
        project<AT_ONCE>(spaces + atom,
                         combination(t - second * features, 0, NF, c.ncomb, c.agh_g,
                                     c.v + cu_vectors(i + atom, NF, c.ncomb),
                                     spaces[atom].xv),
                         n - atom);
    }
    const int atom = q % FORWARD_WARPS;
    if (q >= 0 && q < FORWARD_WARPS * charges)
        project<1>(spaces + atom,
                   combination(q / FORWARD_WARPS, NF, c.nc, c.q_ncomb, c.q_agh_g,
                               c.vq + cu_vectors(i + atom, c.nc, c.q_ncomb),
                               spaces[atom].qv),
                   n - atom);
}

static __device__ __forceinline__ void convolve(const neighbours<FORWARD_BATCH, 0> &b,
                                                const cu_conv<float> &c, int n, float4 s[2][4])
{
    const int column = threadIdx.x % 32 * 4, g0 = column % GP;
#pragma unroll 4
    for (int k = 0; k < n; k++) {
        const float *a = c.a + (size_t)b.j[k] * COLUMNS + column;
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

/* The charges of atom j, of one or both channels. */
static __device__ __forceinline__ float2 charges_of(const cu_conv<float> &c, int j)
{
    const float *q = c.q + (size_t)j * c.nc;
    return make_float2(q[0], q[c.nc - 1]);
}

/* q: charges of the neighbour whose number is the lane's. */
static __device__ __forceinline__ void convolve_charges(const neighbours<FORWARD_BATCH, 0> &b,
                                                        const charge_lane &l, const float2 &q,
                                                        int n, float4 s[4])
{
    const int second = l.column >= GP;
#pragma unroll 1
    for (int first = 0; first < n; first += l.groups) {
        const int k = first + l.group;
        float x = __shfl_sync(0xffffffffu, q.x, k & 31);
        if (l.width > 4) {
            const float y = __shfl_sync(0xffffffffu, q.y, k & 31);
            x = second ? y : x;
        }
        if (k < n)
            add_charge(s, x, b.u[k], load4(&b.radial[k][l.column % GP]));
    }
}

/* x[0 .. N) become sums over the two lanes that differ in a bit, of the upper N of 2 N numbers where the lane has
 * the bit, else of the lower ones. */
template <int N> static __device__ __forceinline__ void share_sums(float *x, int bit)
{
    const int upper = threadIdx.x & bit;
#pragma unroll
    for (int k = 0; k < N; k++) {
        const float own = upper ? x[N + k] : x[k], other = upper ? x[k] : x[N + k];
        x[k] = own + __shfl_xor_sync(0xffffffffu, other, bit);
    }
}

/* Charges: sums to the row and to those who project; own charges. */
static __device__ __forceinline__ unsigned leave_charges(const cu_conv<float> &c,
                                                         forward_space *space, const charge_lane &l,
                                                         int i, const float4 sq[4], float *x)
{
    const int lane = threadIdx.x % 32, channel = NF + l.column / GP, once = l.width == 4;
    unsigned bits = 0;
    float t[16];
#pragma unroll
    for (int d = 0; d < 4; d++) {
        t[4 * d] = sq[d].x;
        t[4 * d + 1] = sq[d].y;
        t[4 * d + 2] = sq[d].z;
        t[4 * d + 3] = sq[d].w;
    }
    share_sums<8>(t, l.width);
    share_sums<4>(t, 2 * l.width);
    if (once)
        share_sums<2>(t, 16);
    const int d = (lane & l.width ? 2 : 0) + (lane & 2 * l.width ? 1 : 0),
              own = once && lane & 16 ? 2 : 0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        if (k > 1 && once)
            break;
        if (d > 0) {
            space->s[d - 1][place_of(channel, l.column % GP) + own + k] = t[k];
        } else {
            x[c.col.qs + l.column + own + k] = t[k];
            bits = max(bits, cu_bits(t[k]));
        }
    }
    if (lane < c.nc) {
        const float q = c.q[(size_t)i * c.nc + lane];
        x[c.col.q + lane] = q;
        bits = max(bits, cu_bits(q));
    }
    return bits;
}

/* Squares of atom i's vectors, and what its row has behind the last column. */
template <int EMBED>
static __device__ __forceinline__ unsigned leave_squares(const cu_conv<float> &c,
                                                         const forward_space *space, float *x)
{
    const int lane = threadIdx.x % 32;
    unsigned bits = 0;
    for (int k = 4 * lane; k < NF * c.ncomb; k += 128) {
        const float4 z = load4(space->xv + k);
        *(float4 *)(x + c.col.xv + k) = z;
        bits = max(bits, bits4(z));
    }
    for (int k = lane; k < c.nc * c.q_ncomb && !EMBED; k += 32) {
        x[c.col.qv + k] = space->qv[k];
        bits = max(bits, cu_bits(space->qv[k]));
    }
    for (int k = c.col.total + lane; k < c.ldx; k += 32)
        x[k] = 0;
    return bits;
}

/* A warp, an atom; all that are projected wait for each other. */
template <int EMBED>
__global__ void __launch_bounds__(FORWARD_WARPS * 32, FORWARD_BLOCKS)
    forward16(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ forward_space spaces[FORWARD_WARPS];
    const int zero = c.first + blockIdx.x * FORWARD_WARPS, i = zero + threadIdx.x / 32,
              lane = threadIdx.x % 32, column = lane * 4, here = i < c.first + c.n;
    forward_space *space = &spaces[threadIdx.x / 32];
    const int n = here ? c.count[i] : 0;
    const charge_lane l = charge_share(c.nc);
    float4 s[2][4] = {}, sq[4] = {};
    coming next = fetch<FORWARD_BATCH>(c, i, 0, n);
    for (int first = 0; first < n; first += FORWARD_BATCH) {
        const int m = min(FORWARD_BATCH, n - first);
        float2 q = {};
        if (EMBED)
            next.j = c.species[next.j];
        else
            q = charges_of(c, next.j);
        fill(c, &space->b, with_cutoff(c, next), 0, m);
        next = fetch<FORWARD_BATCH>(c, i, first + FORWARD_BATCH, n);
        convolve(space->b, c, m, s);
        if (!EMBED)
            convolve_charges(space->b, l, q, m, sq);
    }
    __syncwarp();
    float *x = c.x + (size_t)i * c.ldx;
    unsigned bits = 0;
    if (here) {
#pragma unroll
        for (int h = 0; h < 2; h++) {
#pragma unroll
            for (int d = 0; d < 3; d++)
                *(float4 *)&space->s[d][place_of(h * 8 + lane / 4, column % GP)] = s[h][d + 1];
            *(float4 *)(x + c.col.xs + h * HALF + column) = s[h][0];
            bits = max(bits, bits4(s[h][0]));
            if (EMBED)
                continue;
            const float4 own = load4(c.a + (size_t)i * COLUMNS + h * HALF + column);
            *(float4 *)(x + c.col.a + h * HALF + column) = own;
            bits = max(bits, bits4(own));
        }
        if (!EMBED)
            bits = max(bits, leave_charges(c, space, l, i, sq, x));
    }
    __syncthreads();
    project_all<EMBED>(c, spaces, zero, c.first + c.n - zero);
    __syncthreads();
    if (!here)
        return;
    bits = __reduce_max_sync(0xffffffffu, max(bits, leave_squares<EMBED>(c, space, x)));
    if (lane == 0 && c.xmax)
        c.xmax[i] = bits;
}

int cu_conv16_fits(const cu_conv<float> *c)
{
    return c->nf == NF && c->gp == GP && c->nshifts == GP && c->hp == HP && c->q_hp == HP &&
           c->fa == COLUMNS && (c->nc == 1 || c->nc == 2) && c->features != CU_PLAIN &&
           c->charges == (c->features == CU_FULL) && c->ldx % 4 == 0 && c->col.a % 4 == 0 &&
           c->col.xs % 4 == 0 && c->col.xv % 4 == 0;
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
