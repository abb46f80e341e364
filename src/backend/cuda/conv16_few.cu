/* SPDX-License-Identifier: MIT */
/* conv16_few.cu - the convolution of few atoms in float for the usual sizes: an atom, a block, with a thread
 * for every column and a warp for the charges, which can make these before it takes them. Sums, projections
 * and roundings are those of a warp that has an atom to itself (conv16.cu).
 *
 * Such a block has a processor for itself, and waits: for memory, so what it reads is asked for as early as
 * can be; and for its instructions, which come from as far away, so loops are short. */
#include "backend/cuda/conv16.h"
#include "backend/cuda/front.h"
#include "backend/cuda/sums.h"

enum {
    FEW_THREADS = COLUMNS + 32,
    FEW_CHARGED = 256 /* most atoms whose charges every block balances for itself */
};

/* The threads of the columns and the warp of the charges go their own ways: the columns wait for each
 * other, the charges for the first batch (READY); further ones, which few atoms have, they make themselves. */
enum { COLUMNS_ONLY = 1, READY };

/* A batch is ready: without waiting. */
static __device__ __forceinline__ void pass_by(int barrier)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "n"((int)FEW_THREADS) : "memory");
}

struct few_space {
    neighbours<FORWARD_BATCH, 0> b[3]; /* the first batch, of both; later ones of columns, of charges */
    float s[3][NF * STRIDE], p[3][4 * NF][4];
    float sq[4][2 * STRIDE], pq[3][8][4], q[FORWARD_BATCH][2]; /* of charges */
    float x[FORWARD_BATCH][COLUMNS];                            /* features of the neighbours */
    unsigned bits[FEW_THREADS / 32];
};

/* The lane of the charges' warp that projects: component, group of four combinations. */
struct charge_part {
    int d, k;
};

static __device__ __forceinline__ charge_part charge_combinations(int nc)
{
    const int lane = threadIdx.x % 32;
    return charge_part{lane / (4 * nc), lane % (4 * nc)};
}

/* What the thread projects with: a component of four combinations of a channel. */
template <int EMBED>
static __device__ __forceinline__ void load_projection(const cu_conv<float> &c, float4 w[GP])
{
    const charge_part own = charge_combinations(c.nc);
    const int charges = threadIdx.x >= COLUMNS, k = charges ? own.k : threadIdx.x % 64,
              row = cu_vector_row(charges ? c.q_ncomb : c.ncomb), h = k % 4 * 4,
              takes = h < row && (charges ? !EMBED && own.d < 3 : threadIdx.x < 192);
    const float *agh = (charges ? c.q_agh_g : c.agh_g) + k / 4 * row + h;
#pragma unroll
    for (int g = 0; g < GP; g++)
        w[g] = takes ? load4(agh + g * COLUMNS) : float4{};
}

/* A batch by the threads of the columns; features of the neighbours are under way while radial functions
 * are made. */
template <int EMBED>
static __device__ __forceinline__ void fill_few(const cu_conv<float> &c, few_space *space,
                                                neighbours<FORWARD_BATCH, 0> &b, const coming &own,
                                                int n)
{
    enum { ROW = COLUMNS / 4, LOADS = FORWARD_BATCH * ROW / COLUMNS };
    if ((int)threadIdx.x < n) {
        b.u[threadIdx.x] = make_float4(own.u.x, own.u.y, own.u.z, own.u.w);
        b.j[threadIdx.x] = EMBED ? c.species[own.j] : own.j;
    }
    meet(COLUMNS_ONLY, COLUMNS);
    float4 x[LOADS];
    const int first = threadIdx.x / ROW, column = threadIdx.x % ROW * 4;
#pragma unroll
    for (int m = 0; m < LOADS; m++)
        if (first + m * (COLUMNS / ROW) < n)
            x[m] = load4(c.a + (size_t)b.j[first + m * (COLUMNS / ROW)] * COLUMNS + column);
#pragma unroll 1
    for (int t = threadIdx.x; t < n * GP; t += COLUMNS) {
        const float d = b.u[t / GP].w, r = d - c.shifts[t % GP];
        float slope;
        b.radial[t / GP][t % GP] = __expf(-c.eta * r * r) * cutoff(d, 1.0f / c.rc, &slope);
    }
#pragma unroll
    for (int m = 0; m < LOADS; m++)
        if (first + m * (COLUMNS / ROW) < n)
            *(float4 *)&space->x[first + m * (COLUMNS / ROW)][column] = x[m];
    meet(COLUMNS_ONLY, COLUMNS);
}

/* convolve() of the thread's column. */
static __device__ __forceinline__ void convolve_few(const few_space &space,
                                                    const neighbours<FORWARD_BATCH, 0> &b, int n,
                                                    float s[4])
{
    const int column = threadIdx.x;
#pragma unroll 4
    for (int k = 0; k < n; k++) {
        const float t = __fmul_rn(space.x[k][column], b.radial[k][column % GP]);
        const float4 u = b.u[k];
        s[0] = fmaf(t, 1.0f, s[0]);
        s[1] = fmaf(t, u.x, s[1]);
        s[2] = fmaf(t, u.y, s[2]);
        s[3] = fmaf(t, u.z, s[3]);
    }
}

/* convolve_charges() with the charges in shared memory. */
static __device__ __forceinline__ void convolve_charges_few(const few_space &space,
                                                            const neighbours<FORWARD_BATCH, 0> &b,
                                                            const charge_lane &l, int n, float4 s[4])
{
#pragma unroll 1
    for (int k = l.group; k < n; k += l.groups) {
        const float q = space.q[k][l.column / GP];
        add_charge(s, q, b.u[k], load4(&b.radial[k][l.column % GP]));
    }
}

/* Charges as charge_forward (charge.cu) makes them, of one system of no more than 256 atoms: what they
 * have in common. */
struct balance {
    double missing[2], capacity[2];
};

static __device__ __forceinline__ double raw_charge(const cu_charges<float> &e, int i, int k)
{
    const double y = (double)e.y[(size_t)i * 2 * e.nc + k];
    return e.q_old ? y + (double)e.q_old[(size_t)i * e.nc + k] : y;
}

static __device__ __forceinline__ double charge_root(const cu_charges<float> &e, int i, int k)
{
    return (double)e.y[(size_t)i * 2 * e.nc + e.nc + k];
}

static __device__ __forceinline__ balance equilibrate(const cu_charges<float> &e, int n)
{
    balance b = {};
#pragma unroll 1
    for (int k = 0; k < e.nc; k++) {
        double sum[2]; /* of raw charges, of capacities */
        cu_sums_by_warp<2>(
            n,
            [&](int i, double x[2]) {
                const double root = charge_root(e, i, k);
                x[0] = raw_charge(e, i, k);
                x[1] = root * root;
            },
            sum);
        const double target = e.nc == 1
                                  ? e.charge[0]
                                  : 0.5 * (e.charge[0] + (k == 0 ? 1.0 : -1.0) * (e.mult[0] - 1.0)),
                     missing = target - sum[0], capacity = e.epsilon + sum[1];
        b.missing[1] = k ? missing : b.missing[1];
        b.capacity[1] = k ? capacity : b.capacity[1];
        b.missing[0] = k ? b.missing[0] : missing;
        b.capacity[0] = k ? b.capacity[0] : capacity;
        if (blockIdx.x == 0 && threadIdx.x % 32 == 0) {
            e.state[2 * k] = missing;
            e.state[2 * k + 1] = capacity;
        }
    }
    return b;
}

/* Channel k of the charge of atom i: made, or read. */
template <int MAKES>
static __device__ __forceinline__ float charge_of(const cu_conv<float> &c, const cu_charges<float> &e,
                                                  const balance &b, int i, int k)
{
    if (!MAKES)
        return c.q[(size_t)i * c.nc + k];
    const double root = charge_root(e, i, k), missing = k ? b.missing[1] : b.missing[0],
                 capacity = k ? b.capacity[1] : b.capacity[0];
    return (float)(raw_charge(e, i, k) + root * root * missing / capacity);
}

/* finish_charges() with a lane for every component, then for every combination. */
static __device__ __forceinline__ unsigned finish_charges_few(const cu_conv<float> &c,
                                                              few_space *space, const charge_lane &l,
                                                              const float4 w[GP], int i,
                                                              float4 sq[4], float own_q, float *x)
{
    const charge_part own = charge_combinations(c.nc);
    const int lane = threadIdx.x % 32, f = own.k / 4, h = own.k % 4 * 4, comb = lane % HP;
    unsigned bits = 0;
#pragma unroll 1
    for (int d = l.width; d < 32; d <<= 1) /* sum_above4() of all of them */
#pragma unroll
        for (int m = 0; m < 4; m++) {
            sq[m].x += __shfl_xor_sync(0xffffffffu, sq[m].x, d);
            sq[m].y += __shfl_xor_sync(0xffffffffu, sq[m].y, d);
            sq[m].z += __shfl_xor_sync(0xffffffffu, sq[m].z, d);
            sq[m].w += __shfl_xor_sync(0xffffffffu, sq[m].w, d);
        }
    if (l.group == 0) {
#pragma unroll
        for (int d = 0; d < 4; d++)
            *(float4 *)&space->sq[d][l.column / GP * STRIDE + l.column % GP] = sq[d];
        store(x + c.col.qs + l.column, sq[0], c.col.qs % 4 == 0);
        bits = bits4(sq[0]);
    }
    __syncwarp();
    if (own.d < 3) {
        float4 p = {};
#pragma unroll
        for (int g = 0; g < GP; g++)
            add4(&p, w[g], space->sq[own.d + 1][f * STRIDE + g]);
        const int row = cu_vector_row(c.q_ncomb);
        if (h < row)
            *(float4 *)(c.vq + (((size_t)i * 3 + own.d) * c.nc + f) * row + h) = p;
        *(float4 *)space->pq[own.d][own.k] = p;
    }
    __syncwarp();
    if (lane < c.nc * HP && comb < c.q_ncomb) {
        float square = 0;
#pragma unroll
        for (int e = 0; e < 3; e++)
            square = fmaf(space->pq[e][lane / 4][lane % 4], space->pq[e][lane / 4][lane % 4],
                          square);
        x[c.col.qv + lane / HP * c.q_ncomb + comb] = square;
        bits = max(bits, cu_bits(square));
    }
    if (lane < c.nc) {
        x[c.col.q + lane] = own_q;
        bits = max(bits, cu_bits(own_q));
    }
    return bits;
}

/* project() by three threads, one for each component, then one for each combination. */
static __device__ __forceinline__ unsigned project_few(const cu_conv<float> &c, few_space *space,
                                                       const float4 w[GP], int i, float *x)
{
    const int k = threadIdx.x % 64, d = threadIdx.x / 64, f = k / 4, h = k % 4 * 4;
    if (d < 3) {
        float4 p = {};
#pragma unroll
        for (int g = 0; g < GP; g++)
            add4(&p, w[g], space->s[d][f * STRIDE + g]);
        const int row = cu_vector_row(c.ncomb);
        if (h < row)
            *(float4 *)(c.v + (((size_t)i * 3 + d) * NF + f) * row + h) = p;
        *(float4 *)space->p[d][k] = p;
    }
    meet(COLUMNS_ONLY, COLUMNS);
    const int own = threadIdx.x / 4, m = threadIdx.x % 4, comb = own % 4 * 4 + m;
    float square = 0;
#pragma unroll
    for (int e = 0; e < 3; e++)
        square = fmaf(space->p[e][own][m], space->p[e][own][m], square);
    if (comb >= c.ncomb)
        return 0;
    x[c.col.xv + own / 4 * c.ncomb + comb] = square;
    return cu_bits(square);
}

/* The part of the charges' warp. */
template <int MAKES>
static __device__ __forceinline__ unsigned charges_few(const cu_conv<float> &c,
                                                       const cu_charges<float> &e, few_space *space,
                                                       const float4 w[GP], int i, int n, coming next)
{
    const int lane = threadIdx.x % 32;
    const charge_lane l = charge_share(c.nc);
    float4 sq[4] = {};
    balance b = {};
    if (MAKES)
        b = equilibrate(e, c.n);
    float own = 0.0f;
#pragma unroll 1
    for (int first = 0;; first += FORWARD_BATCH) {
        const int m = min(FORWARD_BATCH, n - first);
#pragma unroll 1
        for (int k = 0; k < c.nc; k++) { /* lanes without a neighbour have the atom itself */
            const float q = charge_of<MAKES>(c, e, b, lane < m ? next.j : i, k);
            if (lane < m)
                space->q[lane][k] = q;
            else if (lane == 31 - k)
                own = q;
        }
        __syncwarp();
        if (m <= 0)
            break;
        const coming now = next;
        next = fetch<FORWARD_BATCH>(c, i, first + FORWARD_BATCH, n);
        neighbours<FORWARD_BATCH, 0> &batch = space->b[first ? 2 : 0];
        if (first)
            fill(c, &batch, with_cutoff(c, now), 0, m);
        else
            meet(READY, FEW_THREADS);
        convolve_charges_few(*space, batch, l, m, sq);
        __syncwarp();
        if (m <= FORWARD_BATCH - c.nc) /* it was the last, and a lane had the atom */
            break;
    }
    own = __shfl_sync(0xffffffffu, own, 31 - min(lane, c.nc - 1));
    if (MAKES && lane < c.nc)
        e.q[(size_t)i * e.nc + lane] = own;
    return finish_charges_few(c, space, l, w, i, sq, own, c.x + (size_t)i * c.ldx);
}

/* The part of the columns. */
template <int EMBED>
static __device__ __forceinline__ unsigned columns_few(const cu_conv<float> &c, few_space *space,
                                                       const float4 w[GP], int i, int n, coming next)
{
    const int column = threadIdx.x;
    const float own = EMBED ? 0.0f : c.a[(size_t)i * COLUMNS + column];
    float s[4] = {};
    for (int first = 0; first < n; first += FORWARD_BATCH) {
        const int m = min(FORWARD_BATCH, n - first);
        neighbours<FORWARD_BATCH, 0> &batch = space->b[first ? 1 : 0];
        if (first)
            meet(COLUMNS_ONLY, COLUMNS);
        fill_few<EMBED>(c, space, batch, next, m);
        if (!EMBED && first == 0)
            pass_by(READY);
        next = fetch<FORWARD_BATCH>(c, i, first + FORWARD_BATCH, n);
        convolve_few(*space, batch, m, s);
    }
    float *x = c.x + (size_t)i * c.ldx;
#pragma unroll
    for (int d = 0; d < 3; d++)
        space->s[d][column / GP * STRIDE + column % GP] = s[d + 1];
    x[c.col.xs + column] = s[0];
    unsigned bits = cu_bits(s[0]);
    if (!EMBED) {
        x[c.col.a + column] = own;
        bits = max(bits, cu_bits(own));
    }
    if (c.col.total + column < c.ldx)
        x[c.col.total + column] = 0;
    meet(COLUMNS_ONLY, COLUMNS);
    return max(bits, project_few(c, space, w, i, x));
}

/* MAKES: the charges as well, before they are used. */
template <int EMBED, int MAKES>
static __device__ __forceinline__ void forward_block(const cu_conv<float> &c,
                                                     const cu_charges<float> &e)
{
    __shared__ few_space space;
    const int i = c.first + blockIdx.x;
    float4 w[GP];
    load_projection<EMBED>(c, w);
    cu_wait();
    const int n = c.count[i];
    const coming next = fetch_early<FORWARD_BATCH>(c, i, 0, n);
    unsigned bits = EMBED || threadIdx.x < COLUMNS
                        ? columns_few<EMBED>(c, &space, w, i, n, next)
                        : charges_few<MAKES>(c, e, &space, w, i, n, next);
    bits = __reduce_max_sync(0xffffffffu, bits);
    if (threadIdx.x % 32 == 0)
        space.bits[threadIdx.x / 32] = bits;
    __syncthreads();
    if (threadIdx.x != 0 || !c.xmax)
        return;
    for (int k = 1; k < (int)blockDim.x / 32; k++)
        bits = max(bits, space.bits[k]);
    c.xmax[i] = bits;
}

template <int EMBED>
__global__ void __launch_bounds__(FEW_THREADS) forward_few(const __grid_constant__ cu_conv<float> c)
{
    forward_block<EMBED, 0>(c, {});
}

__global__ void __launch_bounds__(FEW_THREADS)
    forward_few_charges(const __grid_constant__ cu_conv<float> c,
                        const __grid_constant__ cu_charges<float> e)
{
    forward_block<0, 1>(c, e);
}

/* ---------------------------------------------------------------- launchers */

void cu_conv16_forward_few(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->features == CU_EMBED)
        cu_launch(s, stream, c->n, COLUMNS, 0, forward_few<1>, *c);
    else
        cu_launch(s, stream, c->n, FEW_THREADS, 0, forward_few<0>, *c);
}

template <> int cu_conv_makes_charges(const cu_conv<float> *c, const cu_charges<float> *e)
{
    return cu_conv16_fits(c) && c->features == CU_FULL && c->n <= FEW_CHARGED && e->systems == 1;
}
template <> int cu_conv_makes_charges(const cu_conv<double> *, const cu_charges<double> *)
{
    return 0;
}

template <>
void cu_conv_forward_charges(cu_state *s, cudaStream_t stream, const cu_conv<float> *c,
                             const cu_charges<float> *e)
{
    cu_launch(s, stream, c->n, FEW_THREADS, 0, forward_few_charges, *c, *e);
    cu_check(s, "the convolution");
}
template <>
void cu_conv_forward_charges(cu_state *, cudaStream_t, const cu_conv<double> *,
                             const cu_charges<double> *)
{
}
