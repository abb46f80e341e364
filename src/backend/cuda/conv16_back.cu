/* SPDX-License-Identifier: MIT */
/* conv16_back.cu - the adjoint of the convolution (conv.cu) in float for the usual sizes.
 *
 * The warp of an atom gathers the adjoints of its neighbours' sums, 4 kB each, for its features. With them
 * and its own features it has all that a pair's tug takes (conv16_tug.h), and leaves these beside.
 *
 * Neighbours are summed in chunks of four, chunk after chunk. Blocks stay until all atoms of a launch are done,
 * and their warps take one after the other; pairs whose reverse stands nowhere get its tug afterwards. Of few
 * atoms, one, two or four have a block, whose warps take a chunk at a time, and where reverse pairs are not known
 * one side of it. */
#include "backend/cuda/conv16_gather.h"

enum {
    WARPS = 20, /* what these need at a time stays in the first-level cache */
    LONE_WARPS = 8,
    STRETCH = 20,     /* atoms that a block begins with at once: they share neighbours */
    TOGETHER = 65536, /* of a launch: in longer ones blocks drift apart until they share nothing in the second-level cache */
    KEPT = 32768      /* of more atoms, tugs of a pass are pulled before the next one */
};

/* ---------------------------------------------------------------- many atoms */

static __device__ __forceinline__ void add_to(float *x, const float4 &z)
{
    const float4 old = load4(x);
    *(float4 *)x = make_float4(old.x + z.x, old.y + z.y, old.z + z.z, old.w + z.w);
}

/* The atom that the warp has next, behind the last one if there is none. A block has stretches of atoms, one
 * of as many as there are blocks, and its warps take their atoms one after the other, since lists are not of
 * one length. */
static __device__ __forceinline__ int take_atom(const cu_conv<float> &c, int *taken)
{
    int t = 0;
    if (threadIdx.x % 32 == 0)
        t = atomicAdd(taken, 1);
    t = __shfl_sync(0xffffffffu, t, 0);
    return c.first + (t / STRETCH * (int)gridDim.x + (int)blockIdx.x) * STRETCH + t % STRETCH;
}

/* A warp, an atom at a time. */
__global__ void __launch_bounds__(WARPS * 32, 1) backward16(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ neighbours<BATCH8, 1> spaces[WARPS];
    __shared__ int taken;
    const int column = threadIdx.x % 32 * 4;
    const charge_lane l = charge_share(c.nc);
    if (threadIdx.x == 0)
        taken = 0;
    __syncthreads();
    int i;
#pragma unroll 1
    while ((i = take_atom(c, &taken)) < c.first + c.n) {
        float4 a[2], ga[2] = {};
#pragma unroll
        for (int h = 0; h < 2; h++)
            a[h] = load4(c.a + (size_t)i * COLUMNS + h * HALF + column);
        const float gq = gather_atom(c, &spaces[threadIdx.x / 32], c.s_adj, 0, l, i, c.count[i], a, ga);
#pragma unroll
        for (int h = 0; h < 2; h++)
            add_to(c.ga + (size_t)i * COLUMNS + h * HALF + column, ga[h]);
        leave_charges(c, l, i, gq);
    }
}

/* Whether the reverse of the lane's pair, number k of n, stands nowhere. */
static __device__ __forceinline__ int stands_alone(const cu_conv<float> &c, int i, int k, int n)
{
    return k < n && (!c.back || c.back[(size_t)i * c.capacity + k] < 0);
}

/* The tug of the reverse of pair k: each lane has the number of its place among four, added as sum_shares() does. */
static __device__ __forceinline__ float reverse_tug(const cu_conv<float> &c,
                                                    const neighbours<BATCH8, 1> &b,
                                                    const charge_lane &l, int i, int k,
                                                    const sums4 own[2])
{
    const int which = threadIdx.x % 4;
    const float z = reverse(c, b, k, own);
    float give, sum = __shfl_sync(0xffffffffu, z, which);
#pragma unroll
    for (int from = 4; from < 32; from += 4)
        sum += __shfl_sync(0xffffffffu, z, from + which);
    return sum + __shfl_sync(0xffffffffu, share_of_charges<1>(c, b, l, i, k, &give), which);
}

/* A warp, an atom: where the reverse of a pair stands nowhere, its tug is added to what the pair has left. */
__global__ void __launch_bounds__(32 * LONE_WARPS) lone_pairs(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ neighbours<BATCH8, 1> spaces[LONE_WARPS];
    const int i = c.first + (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (i >= c.first + c.n)
        return;
    neighbours<BATCH8, 1> &b = spaces[threadIdx.x / 32];
    const charge_lane l = charge_share(c.nc);
    const int n = c.count[i];
    for (int base = 0; base < n; base += 32) {
        const unsigned alone = __ballot_sync(0xffffffffu, stands_alone(c, i, base + lane, n));
        if (!alone)
            continue;
        const float *s = c.s_adj + (size_t)i * 4 * COLUMNS + lane * 4;
        const sums4 own[2] = {load_sums(s, COLUMNS), load_sums(s + HALF, COLUMNS)};
        const ready now = with_cutoff(c, fetch<32>(c, i, base, n));
#pragma unroll 1
        for (int from = 0; from < 32; from += BATCH8) {
            const unsigned some = alone >> from & ((1u << BATCH8) - 1);
            if (!some)
                continue;
            fill(c, &b, now, from, min((int)BATCH8, n - base - from));
            float tug = 0;
#pragma unroll 1
            for (unsigned rest = some; rest; rest &= rest - 1) {
                const int k = __ffs(rest) - 1;
                const float sum = reverse_tug(c, b, l, i, k, own);
                tug = lane / 4 == k ? sum : tug;
            }
            float *left = c.tug + ((size_t)i * c.capacity + base + from) * 4 + lane;
            if (some >> lane / 4 & 1)
                *left = join_tugs(*left, tug, lane % 4);
            __syncwarp();
        }
    }
}

/* A warp, an atom. */
template <int STRAIN>
__global__ void __launch_bounds__(256) pull_atoms(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    const int i = c.first + (blockIdx.x * blockDim.x + threadIdx.x) / 32;
    if (i < c.first + c.n)
        pull_atom<STRAIN>(c, i);
}

/* ---------------------------------------------------------------- few atoms */

enum {
    SLOTS = 8, /* chunks that a block has under way, */
    FEW_WARPS = 2 * SLOTS,
    FEW_THREADS = 32 * FEW_WARPS,
    SLOT_PAIRS = SLOTS * CHUNK, /* a lane's pair each */
    TUG_WARPS = SLOT_PAIRS / 8, /* add up tugs; others */
    PARTS = 9                   /* numbers of a chunk in each lane, for features and charges */
};

struct few_space {
    neighbours<CHUNK, 1> b[FEW_WARPS];
    float reverse[SLOTS][CHUNK][SHARES];
    float part[SLOTS][PARTS][32];
    float tug[SLOT_PAIRS][4];
};

/* The lane's sums of a chunk. */
static __device__ __forceinline__ void leave_part(float (*part)[32], const float4 ga[2], float q)
{
    const float sums[PARTS] = {ga[0].x, ga[0].y, ga[0].z, ga[0].w, ga[1].x,
                               ga[1].y, ga[1].z, ga[1].w, q};
#pragma unroll
    for (int k = 0; k < PARTS; k++)
        part[k][threadIdx.x % 32] = sums[k];
}

/* The warp's side of its chunk of m neighbours from `first` on. */
static __device__ __forceinline__ void few_gather(const cu_conv<float> &c, few_space *space,
                                                  const charge_lane &l, int i, int first, int m,
                                                  const float4 a[2])
{
    const int slot = threadIdx.x / 64, half = first / CHUNK % 2 * CHUNK;
    neighbours<CHUNK, 1> &b = space->b[threadIdx.x / 32];
    float4 ga[2] = {};
    const float q =
        tug_charges<0>(c, b, l, i, l.groups > CHUNK ? l.group - half : l.group, m, b.radial);
#pragma unroll 2
    for (int k = 0; k < m; k++)
        gather(c.s_adj, 0, b, k, a, ga);
    leave_part(space->part[slot], ga, q);
}

static __device__ __forceinline__ void few_reverse(const cu_conv<float> &c, few_space *space,
                                                   const charge_lane &l, int i, int first, int m,
                                                   const sums4 own[2])
{
    const int slot = threadIdx.x / 64, half = first / CHUNK % 2 * CHUNK;
    neighbours<CHUNK, 1> &b = space->b[threadIdx.x / 32];
    tug_charges<1>(c, b, l, i, l.groups > CHUNK ? l.group - half : l.group, m,
                   space->reverse[slot]);
#pragma unroll 2
    for (int k = 0; k < m; k++)
        leave_share(space->reverse[slot][k], reverse(c, b, k, own));
}

/* An atom, a block. Warps of even number gather, the others have the reverse pairs. */
template <int STRAIN>
__global__ void __launch_bounds__(FEW_THREADS)
    backward_few(const __grid_constant__ cu_conv<float> c)
{
    cu_wait();
    __shared__ few_space space;
    const int i = c.first + blockIdx.x, n = c.count[i], lane = threadIdx.x % 32,
              warp = threadIdx.x / 32, side = warp % 2, slot = warp / 2, column = lane * 4,
              part = warp - TUG_WARPS;
    const charge_lane l = charge_share(c.nc);
    float4 a[2] = {};
    sums4 own[2] = {};
#pragma unroll
    for (int h = 0; h < 2; h++)
        if (side == 0)
            a[h] = load4(c.a + (size_t)i * COLUMNS + h * HALF + column);
        else
            own[h] = load_sums(c.s_adj + (size_t)i * 4 * COLUMNS + h * HALF + column, COLUMNS);
    float sum = 0; /* of the thread's column, or the charges' lane */
    pull<double> p = {};
    for (int start = 0; start < n; start += SLOT_PAIRS) {
        const int first = start + slot * CHUNK, m = min((int)CHUNK, n - first);
        if (m > 0) {
            fill(c, &space.b[warp], with_cutoff(c, fetch<CHUNK>(c, i, first, n)), 0, m);
            if (side == 0)
                few_gather(c, &space, l, i, first, m, a);
            else
                few_reverse(c, &space, l, i, first, m, own);
        }
        __syncthreads();
        const int pairs = min((int)SLOT_PAIRS, n - start), chunks = (pairs + CHUNK - 1) / CHUNK;
        const int pair = threadIdx.x / 4, which = threadIdx.x % 4;
        if (pair < pairs)
            space.tug[pair][which] =
                join_tugs(sum_shares(space.b[pair / CHUNK * 2].radial[pair % CHUNK], which),
                          sum_shares(space.reverse[pair / CHUNK][pair % CHUNK], which), which);
        if (part >= 0 && part < PARTS)
            for (int k = 0; k < chunks; k++)
                sum += space.part[k][part][lane];
        __syncthreads();
        if (warp == 0 && lane < pairs)
            add_force<STRAIN>(&p, c.u[(size_t)i * c.capacity + start + lane],
                              load4(space.tug[lane]));
    }
    if (warp == 0)
        leave_force<STRAIN>(c, i, p);
    else if (part >= 0 && part < PARTS - 1)
        c.ga[(size_t)i * COLUMNS + part / 4 * HALF + column + part % 4] += sum;
    else if (part == PARTS - 1)
        leave_charges(c, l, i, sum);
}

/* The same where tugs are kept: all warps gather, and forces are pulled with those of the first pass
 * (conv16_first.cu). */
enum {
    GATHER_WARPS = 16,
    GATHER_ALONE = 200, /* with more atoms two of them share a block, */
    GATHER_PAIR = 800   /* with more still four */
};

struct gather_space {
    neighbours<CHUNK, 1> b[GATHER_WARPS];
    float part[2][GATHER_WARPS][PARTS][32]; /* of a turn and of the next */
};

/* The sums of a neighbour, both halves of the lane's columns. */
struct row_sums {
    sums4 half[2];
};

static __device__ __forceinline__ row_sums load_row(const cu_conv<float> &c, int j)
{
    const float *s = c.s_adj + (size_t)j * 4 * COLUMNS + threadIdx.x % 32 * 4;
    return row_sums{{load_sums(s, COLUMNS), load_sums(s + HALF, COLUMNS)}};
}

/* gather() of neighbour k with its sums at hand. */
static __device__ __forceinline__ void gather_row(neighbours<CHUNK, 1> &b, int k, const row_sums &x,
                                                  const float4 a[2], float4 ga[2])
{
    const int column = threadIdx.x % 32 * 4;
    const float4 u = b.u[k], gs = load4(&b.radial[k][column % GP]);
    tug4 t = {};
#pragma unroll
    for (int h = 0; h < 2; h++) {
        const float4 w = give_back(x.half[h], u);
        add_product(&ga[h], gs, w);
        add_tug(&t, a[h], x.half[h], w);
    }
    leave_share(b.radial[k], fold(t, gs, load4(&b.radial[k][GP + column % GP])));
}

/* Rows of the first two of m neighbours. */
struct two_rows {
    row_sums x, y;
};

static __device__ __forceinline__ row_sums row_of(const cu_conv<float> &c, const coming &own, int k,
                                                  int m)
{
    return load_row(c, __shfl_sync(0xffffffffu, own.j, min(k, m - 1)));
}

static __device__ __forceinline__ two_rows first_rows(const cu_conv<float> &c, const coming &own,
                                                      int m)
{
    return two_rows{row_of(c, own, 0, m), row_of(c, own, 1, m)};
}

/* The warp's chunk of m neighbours, of which the rows of the first two are under way. part: its sums. */
static __device__ __forceinline__ void gather_chunk(const cu_conv<float> &c,
                                                    neighbours<CHUNK, 1> &b, const charge_lane &l,
                                                    const coming &own, int i, int first, int m,
                                                    const float4 a[2], two_rows &rows,
                                                    float (*part)[32])
{
    const int lane = threadIdx.x % 32, half = first / CHUNK % 2 * CHUNK;
    fill(c, &b, with_cutoff(c, own), 0, m);
    float4 ga[2] = {};
    const float q =
        tug_charges<0>(c, b, l, i, l.groups > CHUNK ? l.group - half : l.group, m, b.radial);
#pragma unroll 1
    for (int k = 0; k < m; k += 2) {
        gather_row(b, k, rows.x, a, ga);
        if (k + 2 < m)
            rows.x = row_of(c, own, k + 2, m);
        if (k + 1 < m)
            gather_row(b, k + 1, rows.y, a, ga);
        if (k + 3 < m)
            rows.y = row_of(c, own, k + 3, m);
    }
    __syncwarp();
    if (lane < 4 * m)
        c.tug[((size_t)i * c.capacity + first) * 4 + lane] =
            sum_shares(b.radial[lane / 4], lane % 4);
    leave_part(part, ga, q);
}

/* WARPS warps, an atom; a warp, a chunk at a time. Atoms of a block share rows of neighbours. */
template <int WARPS>
__global__ void __launch_bounds__(32 * GATHER_WARPS)
    gather_few(const __grid_constant__ cu_conv<float> c)
{
    enum {
        ATOMS = GATHER_WARPS / WARPS,
        PAIRS = WARPS * CHUNK,
        SUMS = (PARTS + WARPS - 1) / WARPS
    };
    cu_wait();
    __shared__ gather_space space;
    const int lane = threadIdx.x % 32, own = threadIdx.x / 32 % WARPS,
              atom = threadIdx.x / 32 / WARPS, i = c.first + blockIdx.x * ATOMS + atom;
    if (i >= c.first + c.n)
        return;
    const int n = c.count[i], first = own * CHUNK, column = lane * 4;
    coming now = fetch_early<CHUNK>(c, i, first, n), next = fetch<CHUNK>(c, i, first + PAIRS, n);
    const float *a_own = c.a + (size_t)i * COLUMNS + column;
    const float4 a[2] = {load4(a_own), load4(a_own + HALF)};
    auto ga = [&](int part) {
        return c.ga + (size_t)i * COLUMNS + part / 4 * HALF + column + part % 4;
    };
    float before[SUMS], sum[SUMS]; /* of the thread's columns, or the charges' lane */
#pragma unroll
    for (int k = 0; k < SUMS; k++) {
        const int part = own + k * WARPS;
        before[k] = part < PARTS - 1 ? *ga(part) : 0.0f;
        sum[k] = 0.0f;
    }
    const charge_lane l = charge_share(c.nc);
    two_rows rows;
    if (first < n)
        rows = first_rows(c, now, min((int)CHUNK, n - first));
#pragma unroll 1
    for (int start = 0, turn = 0; start < n; start += PAIRS, turn ^= 1) {
        const int m = min((int)CHUNK, n - start - first),
                  later = min((int)CHUNK, n - start - PAIRS - first),
                  chunks = (min((int)PAIRS, n - start) + CHUNK - 1) / CHUNK;
        float(*part)[PARTS][32] = space.part[turn] + atom * WARPS;
        if (m > 0)
            gather_chunk(c, space.b[atom * WARPS + own], l, now, i, start + first, m, a, rows,
                         part[own]);
        if (later > 0)
            rows = first_rows(c, next, later);
        now = next;
        next = fetch<CHUNK>(c, i, start + 2 * PAIRS + first, n);
        if (ATOMS == 1)
            __syncthreads();
        else
            meet(1 + atom, 32 * WARPS);
#pragma unroll
        for (int k = 0; k < SUMS; k++)
            for (int chunk = 0; chunk < chunks && own + k * WARPS < PARTS; chunk++)
                sum[k] += part[chunk][own + k * WARPS][lane];
    }
#pragma unroll
    for (int k = 0; k < SUMS; k++) {
        const int part = own + k * WARPS;
        if (part < PARTS - 1)
            *ga(part) = before[k] + sum[k];
        else if (part == PARTS - 1)
            leave_charges(c, l, i, sum[k]);
    }
}

template <int WARPS>
static void launch_gather(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    const int atoms = GATHER_WARPS / WARPS;
    cu_launch_cached(s, stream, (c->n + atoms - 1) / atoms, 32 * GATHER_WARPS, 0, 1, gather_few<WARPS>, *c);
}

/* ---------------------------------------------------------------- launchers */

/* n atoms from number `first` on: a block for every processor, or for every stretch if these are fewer. */
static void launch_stretches(cu_state *s, cudaStream_t stream, cu_conv<float> c, int first, int n)
{
    const int stretches = (n + STRETCH - 1) / STRETCH;
    c.first += first;
    c.n = n;
    cu_launch_cached(s, stream, min(stretches, c.processors), 32 * WARPS, 0, 1, backward16, c);
}

template <int STRAIN>
static void launch_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->n < FEW && c->keeps) {
        if (c->n <= GATHER_ALONE)
            launch_gather<GATHER_WARPS>(s, stream, c);
        else if (c->n <= GATHER_PAIR)
            launch_gather<GATHER_WARPS / 2>(s, stream, c);
        else
            launch_gather<GATHER_WARPS / 4>(s, stream, c);
        return;
    }
    if (c->n < FEW) {
        cu_launch(s, stream, c->n, FEW_THREADS, 0, backward_few<STRAIN>, *c);
        return;
    }
    const int parts = (c->n + TOGETHER - 1) / TOGETHER, each = (c->n + parts - 1) / parts;
    for (int done = 0; done < c->n; done += each)
        launch_stretches(s, stream, *c, done, min(each, c->n - done));
    if (!c->back || c->partly)
        cu_launch(s, stream, (c->n + LONE_WARPS - 1) / LONE_WARPS, 32 * LONE_WARPS, 0, lone_pairs, *c);
    if (!c->keeps)
        cu_conv16_pull(s, stream, c);
}

void cu_conv16_pull(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    cu_launch(s, stream, (c->n + 7) / 8, 256, 0, c->want_strain ? pull_atoms<1> : pull_atoms<0>,
              *c);
}

void cu_conv16_backward(cu_state *s, cudaStream_t stream, const cu_conv<float> *c)
{
    if (c->largest)
        cu_conv16_backward_molecules(s, stream, c);
    else if (c->want_strain)
        launch_backward<1>(s, stream, c);
    else
        launch_backward<0>(s, stream, c);
}

int cu_conv_looks_back(const aim_dev_net *d)
{
    return !d->is_double && d->d2 && d->conv_a.nf == NF && d->gp == GP && d->nshifts == GP &&
           d->conv_a.hp == HP && d->conv_q.hp == HP && d->fa == COLUMNS &&
           (d->n_charge == 1 || d->n_charge == 2);
}

int cu_conv_keeps_tugs(int n)
{
    return n <= KEPT;
}
