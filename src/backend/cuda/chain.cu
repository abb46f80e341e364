/* SPDX-License-Identifier: MIT */
/* chain.cu - the layers of a pass in one kernel, for some hundred rows, where each of them alone is
 * over before the card is full. What is computed: gemm.h.
 *
 * A cluster of eight, six or four blocks takes 64 rows through all layers. Each block computes its share of
 * a layer's columns; all of them need all columns of the layer before. Those stand in shared memory,
 * split into halves, as the threads take them into registers: a block splits its own columns, once
 * all have told each other their rows' maxima, and sends them to all blocks by a multicast. Weights
 * come by bulk copies of one thread, which runs ahead across layers. Two groups of four warps share
 * a block's columns; each has two or four steps under way, whose matrix instructions alternate. */
#include "backend/cuda/chain.h"
#include "backend/cuda/chain_ends.h"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define CLUSTER(blocks) __cluster_dims__(blocks, 1, 1)

/* ---------------------------------------------------------------- weights */

/* A block's columns of layer l as far as weights go: its last blocks may have fewer than others, or none. */
static __device__ __forceinline__ int columns_of(const chain_args &c, int l, int rank)
{
    const int n0 = rank * c.width[l];
    return n0 < c.g[l].ldy ? min(c.width[l], c.g[l].m.n_pad - n0) : 0;
}

/* Factors and biases of them, of all layers. */
static __device__ __forceinline__ void fetch_ends(const chain_args &c, unsigned ends, unsigned bar,
                                                  int rank)
{
    unsigned bytes = 0;
    for (int turn = 0; turn < 2; turn++) { /* first count them */
        for (int l = 0; l < c.layers; l++) {
            const cu_gemm<float> &g = c.g[l];
            const int n0 = rank * c.width[l], columns = columns_of(c, l, rank),
                      biases = g.bias_row ? 0 : min(columns, g.ldbias - n0);
            const unsigned to = ends + c.ends[l];
            if (columns == 0)
                continue;
            if (turn)
                bulk_copy(to, g.m.scale + n0, columns * 4, bar);
            bytes += columns * 4;
            if (g.mode == CU_BACKWARD || biases <= 0)
                continue;
            if (turn)
                bulk_copy(to + c.width[l] * 4, g.bias + n0, biases * 4, bar);
            bytes += biases * 4;
        }
        if (turn == 0)
            barrier_expect(bar, bytes);
    }
}

/* All weights of a block, one step after the other. */
static __device__ __forceinline__ void fetch_chain(const chain_args &c, chain_ring ring, int rank)
{
    for (int l = 0; l < c.layers; l++) {
        const cu_matrix &m = c.g[l].m;
        const int n0 = rank * c.width[l], columns = columns_of(c, l, rank);
        const unsigned bytes = STEP_BYTES * columns;
        const size_t step = (size_t)(m.n_pad / 8) * CU_BLOCK;
        const char *from = (const char *)m.w + n0 / 8 * CU_BLOCK;
        if (columns == 0)
            continue;
        for (int k = 0; k < m.k_pad / CU_STEP; k++) {
            barrier_wait(ring.empty + 8 * ring.s, ring.parity ^ 1);
            barrier_expect(ring.full + 8 * ring.s, bytes);
            bulk_copy(ring.stages + ring.s * ring.bytes, from, bytes, ring.full + 8 * ring.s);
            from += step;
            ring.next();
        }
    }
}

/* ---------------------------------------------------------------- products */

/* Some steps whose products are under way. */
template <int N, int U> struct chain_set {
    float sum[U][N / 2];
    unsigned hi[U][4], lo[U][4], done[U];
};

/* Begins U steps of 64 rows x N columns: instructions of different steps take turns, as those of one
 * step wait for each other. rows, column: where those of the warp and the group begin. */
template <int N, int U>
static __device__ __forceinline__ void begin_steps(chain_set<N, U> &set, unsigned rows,
                                                   unsigned column, chain_ring *ring)
{
    unsigned at[U];
#pragma unroll
    for (int u = 0; u < U; u++) {
        load_shared(set.hi[u], rows + u * STEP_ROWS);
        load_shared(set.lo[u], rows + u * STEP_ROWS + 512);
        at[u] = ring->stages + ring->s * ring->bytes + column;
        set.done[u] = ring->empty + 8 * ring->s;
        barrier_wait(ring->full + 8 * ring->s, ring->parity);
        ring->next();
        hold<N / 2>(set.sum[u]);
    }
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
    for (int u = 0; u < U; u++)
        multiply_add<N>(set.sum[u], set.lo[u], describe(at[u]), 0);
#pragma unroll
    for (int u = 0; u < U; u++)
        multiply_add<N>(set.sum[u], set.hi[u], describe(at[u] + CU_BLOCK / 2), 1);
#pragma unroll
    for (int u = 0; u < U; u++)
        multiply_add<N>(set.sum[u], set.hi[u], describe(at[u]), 1);
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Their sums to the totals, once no more than LEFT sets begun later are under way. */
template <int N, int U, int LEFT>
static __device__ __forceinline__ void end_steps(chain_set<N, U> &set, float *total, int lane)
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
#pragma unroll
    for (int u = 0; u < U; u++) {
        hold<N / 2>(set.sum[u]);
        arrive_if(lane == 0, set.done[u]);
#pragma unroll
        for (int k = 0; k < N / 2; k++)
            total[k] += set.sum[u][k];
    }
}

/* STEPS steps: while some are under way, those before are added. Then none is under way, or the
 * compiler would let none overlap. */
template <int N, int STEPS>
static __device__ __forceinline__ void run_steps(float *total, unsigned rows, unsigned column,
                                                 chain_ring *ring, int lane)
{
    constexpr int U = N < 64 && STEPS > 2 ? 2 : 1;
    chain_set<N, U> set[2];
    begin_steps<N, U>(set[0], rows, column, ring);
#pragma unroll
    for (int k = 1; k < STEPS / U; k++) {
        begin_steps<N, U>(set[k % 2], rows + k * (U * STEP_ROWS), column, ring);
        end_steps<N, U, 1>(set[1 - k % 2], total, lane);
    }
    end_steps<N, U, 0>(set[(STEPS / U - 1) % 2], total, lane);
}

template <int N>
static __device__ __forceinline__ void chain_sums(const cu_gemm<float> &g, const chain_self &me,
                                                  chain_ring *ring, float *total)
{
    const int steps = g.m.k_pad / CU_STEP;
    const unsigned rows = me.rows + me.warp * 1024 + me.lane * 16,
                   column = me.group * (N / 8 * CU_BLOCK);
    int k = 0;
#pragma unroll 1
    for (; k + 8 <= steps; k += 8)
        run_steps<N, 8>(total, rows + k * STEP_ROWS, column, ring, me.lane);
#pragma unroll 1
    for (; k < steps; k += 2)
        run_steps<N, 2>(total, rows + k * STEP_ROWS, column, ring, me.lane);
}

/* ---------------------------------------------------------------- from layer to layer */

/* Steps of the rows of layer l that a block makes. */
static __device__ __forceinline__ int share_of(const chain_args &c, int l, int blocks)
{
    return l ? c.width[l - 1] / CU_STEP : (c.g[0].m.k_pad / CU_STEP + blocks - 1) / blocks;
}

/* Those of this block go to all blocks. */
template <int BLOCKS>
static __device__ __forceinline__ void chain_send(const chain_args &c, const chain_self &me, int l)
{
    const int share = share_of(c, l, BLOCKS), first = me.rank * share,
              count = min(share, c.g[l].m.k_pad / CU_STEP - first);
    asm volatile("fence.proxy.async.global;" ::: "memory");
    groups_meet();
    if (threadIdx.x == 0 && count > 0)
        copy_to_all(BLOCKS, me.rows + first * STEP_ROWS, me.split + (size_t)first * STEP_ROWS,
                    count * STEP_ROWS, me.ready);
}

/* The input's rows: a share of its columns. */
template <int BLOCKS>
static __device__ __forceinline__ void chain_enter(const chain_args &c, chain_self *me)
{
    const cu_gemm<float> &g = c.g[0];
    const int share = share_of(c, 0, BLOCKS), first = me->rank * share,
              end = min(first + share, g.m.k_pad / CU_STEP);
    const float *x[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const int row = min(me->row + half * 8, g.rows - 1);
        x[half] = g.x + (size_t)row * g.ldx + me->lane % 4 * 4;
        me->scale[half] = row_scale(g.xmax[row], &me->inverse[half]);
    }
#pragma unroll 4
    for (int k = first + me->group; k < end; k += GROUPS) {
        char *to = me->split + (size_t)k * STEP_ROWS + me->warp * 1024 + me->lane * 16;
        unsigned hi[2][2], lo[2][2];
#pragma unroll
        for (int half = 0; half < 2; half++)
            split4(*(const float4 *)(x[half] + k * CU_STEP), me->scale[half], hi[half], lo[half]);
        *(uint4 *)to = make_uint4(hi[0][0], hi[1][0], hi[0][1], hi[1][1]);
        *(uint4 *)(to + 512) = make_uint4(lo[0][0], lo[1][0], lo[0][1], lo[1][1]);
    }
    chain_send<BLOCKS>(c, *me, 0);
}

/* Maxima of the thread's rows over all columns, from its own: every block tells every other. */
template <int BLOCKS>
static __device__ __forceinline__ void chain_maxima(const chain_args &c, chain_self *me, int l,
                                                    const unsigned bits[2])
{
    const int quarter = me->lane % 4;
    const unsigned own = me->largest + l % 2 * (ROWS * 4) + (me->warp * 16 + me->lane / 4) * 4;
#pragma unroll
    for (int block = quarter; block < BLOCKS; block += 4) {
        const unsigned there = place_of(own, block), bar = place_of(me->met, block);
        send_largest(there, bits[0], bar);
        send_largest(there + 8 * 4, bits[1], bar);
    }
    barrier_wait(me->met, l & 1);
    if (threadIdx.x == 0 && l + 2 < c.layers)
        barrier_expect(me->met, BLOCKS * GROUPS * ROWS * 4);
#pragma unroll
    for (int half = 0; half < 2; half++) {
        unsigned largest;
        asm volatile("ld.shared.u32 %0, [%1];"
                     : "=r"(largest)
                     : "r"(own + half * 8 * 4)
                     : "memory");
        me->scale[half] = row_scale(largest, &me->inverse[half]);
    }
}

/* Once all of the block have read the maxima of layer l: their place is needed again in layer l + 2. */
static __device__ __forceinline__ void chain_forget(const chain_self &me, int l)
{
    const unsigned own = me.largest + l % 2 * (ROWS * 4) + (me.warp * 16 + me.lane / 4) * 4;
    if (me.group == 0 && me.lane % 4 == 0) {
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(own), "r"(0) : "memory");
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(own + 8 * 4), "r"(0) : "memory");
    }
}

/* Values of layer l become rows of the next: split, in the order of its products. */
template <int N, int BLOCKS>
static __device__ __forceinline__ void chain_pass_on(const chain_args &c, chain_self *me, int l,
                                                     const float *value, const unsigned bits[2])
{
    chain_maxima<BLOCKS>(c, me, l, bits);
    const int quarter = me->lane % 4, first = me->rank * (c.width[l] / CU_STEP),
              steps = c.g[l + 1].m.k_pad / CU_STEP;
#pragma unroll
    for (int j = 0; j < N / 8; j++) {
        const int column = me->group * N + j * 8,
                  lane = me->lane / 4 * 4 + column / 8 % 2 * 2 + quarter / 2;
        char *to = me->split + (size_t)(first + column / CU_STEP) * STEP_ROWS + me->warp * 1024 +
                   lane * 16 + quarter % 2 * 8;
        uint2 hi, lo;
        split2(value[4 * j] * me->scale[0], value[4 * j + 1] * me->scale[0], &hi.x, &lo.x);
        split2(value[4 * j + 2] * me->scale[1], value[4 * j + 3] * me->scale[1], &hi.y, &lo.y);
        if (first + column / CU_STEP < steps) {
            *(uint2 *)to = hi;
            *(uint2 *)(to + 512) = lo;
        }
    }
    chain_send<BLOCKS>(c, *me, l + 1);
    chain_forget(*me, l);
}

/* ---------------------------------------------------------------- layers */

template <int N, int MODE, int BLOCKS>
static __device__ __forceinline__ void chain_layer(const chain_args &c, int l, chain_self *me,
                                                   chain_ring *ring)
{
    const cu_gemm<float> &g = c.g[l];
    const int n0 = me->rank * 2 * N, col0 = n0 + me->group * N + me->lane % 4 * 2;
    float total[N / 2], ahead[N / 2];
    unsigned bits[2] = {0, 0};
    read_ahead<N, MODE>(g, *me, col0, ahead);
#pragma unroll
    for (int k = 0; k < N / 2; k++)
        total[k] = 0.0f;
    barrier_wait(me->ready, l & 1);
    if (threadIdx.x == 0 && l + 1 < c.layers)
        barrier_expect(me->ready, c.g[l + 1].m.k_pad / CU_STEP * STEP_ROWS);
    __syncwarp();
    if (n0 < g.ldy) {
        chain_sums<N>(g, *me, ring, total);
        chain_end<N, MODE>(c, l, *me, n0, col0, ahead, total, bits);
    }
    if (l + 1 < c.layers)
        chain_pass_on<N, BLOCKS>(c, me, l, total, bits);
}

/* Layer l, whose groups have N columns or more. */
template <int BACKWARD, int BLOCKS, int N = part_of(BLOCKS)>
static __device__ __forceinline__ void multiply_layer(const chain_args &c, int l, chain_self *me,
                                                      chain_ring *ring)
{
    if (c.width[l] == 2 * N) {
        if (!BACKWARD && N <= group_columns(BLOCKS, MOST_UPDATE) && c.g[l].mode == CU_UPDATE)
            chain_layer<N, CU_UPDATE, BLOCKS>(c, l, me, ring);
        else
            chain_layer<N, BACKWARD ? CU_BACKWARD : CU_FORWARD, BLOCKS>(c, l, me, ring);
    } else if constexpr (N < group_columns(BLOCKS, MOST_COLUMNS)) {
        multiply_layer<BACKWARD, BLOCKS, group_columns(BLOCKS, 2 * BLOCKS * N + 1)>(c, l, me, ring);
    }
}
#else
#define CLUSTER(blocks)
#endif

template <int BACKWARD, int BLOCKS>
__global__ void CLUSTER(BLOCKS) __launch_bounds__(THREADS, 1)
    multiply_chain(const __grid_constant__ chain_args c)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(128) unsigned char shared[];
    const unsigned base = (unsigned)__cvta_generic_to_shared(shared),
                   stages = base + c.most_steps * STEP_ROWS, ends = stages + c.stages * c.slot,
                   maxima = ends + c.end_bytes, bars = maxima + MAXIMA,
                   ready = bars + 16 * MOST_STAGES, met = ready + 8, ended = met + 8;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, rank = blockIdx.x % BLOCKS,
              cluster = blockIdx.x / BLOCKS;
    chain_ring ring = {stages, bars, bars + 8 * MOST_STAGES, 0, c.stages, c.slot, 0};
    if (threadIdx.x == 0) {
        for (int s = 0; s < c.stages; s++) {
            barrier_create(ring.full + 8 * s, 1);
            barrier_create(ring.empty + 8 * s, WARPS);
        }
        for (int k = 0; k < 3; k++)
            barrier_create(ready + 8 * k, 1);
        barriers_created();
        barrier_expect(ready, c.g[0].m.k_pad / CU_STEP * STEP_ROWS);
        barrier_expect(met, BLOCKS * GROUPS * ROWS * 4);
    }
    if (threadIdx.x < MAXIMA / 4)
        *(unsigned *)(shared + (maxima - base) + threadIdx.x * 4) = 0;
    cluster_meet();
    if (warp >= WARPS) {
        registers_down<FETCHER>();
        if (threadIdx.x == 32 * WARPS) {
            fetch_ends(c, ends, ended, rank);
            fetch_chain(c, ring, rank);
        }
        __syncwarp();
    } else {
        registers_up<MULTIPLIER>();
        chain_self me = {};
        me.rank = rank;
        me.group = warp / 4;
        me.warp = warp % 4;
        me.lane = lane;
        me.row = cluster * ROWS + me.warp * 16 + lane / 4;
        me.rows = base;
        me.largest = maxima;
        me.ends = (const char *)shared + (ends - base);
        me.ready = ready;
        me.met = met;
        me.split = c.split + (size_t)cluster * c.most_steps * STEP_ROWS;
        cu_wait();
        chain_enter<BLOCKS>(c, &me);
        barrier_wait(ended, 0);
#pragma unroll 1
        for (int l = 0; l < c.layers; l++)
            multiply_layer<BACKWARD, BLOCKS>(c, l, &me, &ring);
    }
    cluster_meet(); /* nothing is under way to a block that has ended */
#else
    (void)c;
#endif
}

/* ---------------------------------------------------------------- launches */

/* Blocks of a cluster; clusters of so many that run at once on this card, 0: no use. */
static struct {
    int blocks, at_once;
} sizes[] = {{8, 0}, {6, 0}, {4, 0}};

static int layer_fits(const cu_gemm<float> *g)
{
    if (cu_columns(g) > (g->mode == CU_UPDATE ? MOST_UPDATE : MOST_COLUMNS) || g->fast)
        return 0;
    return g->ldx == g->m.k_pad &&
           (g->mode != CU_UPDATE || (g->fa % 2 == 0 && g->ldold % 2 == 0 && g->ldcharges % 2 == 0));
}

/* Whether layer `next` is of the same chain as the one before. */
static int follows(const cu_gemm<float> *g, const cu_gemm<float> *next)
{
    return next->x == g->y && g->mode != CU_UPDATE && g->ldy == next->ldx &&
           next->rows == g->rows && (g->mode == CU_BACKWARD) == (next->mode == CU_BACKWARD);
}

/* Puts one more layer to the others; 0: it does not fit. */
static int add_layer(chain_args *c, const cu_gemm<float> *g, int blocks)
{
    if (c->layers == CU_CHAIN || !layer_fits(g) || (c->layers && !follows(g - 1, g)))
        return 0;
    const int width = GROUPS * group_columns(blocks, cu_columns(g)), steps = g->m.k_pad / CU_STEP,
              slot = STEP_BYTES * width;
    chain_args more = *c;
    more.most_steps = steps > c->most_steps ? steps : c->most_steps;
    more.slot = slot > c->slot ? slot : c->slot;
    more.ends[c->layers] = c->end_bytes;
    more.end_bytes += 2 * 4 * width;
    more.stages = (ROOM - more.most_steps * STEP_ROWS - more.end_bytes) / more.slot;
    more.stages = more.stages < MOST_STAGES ? more.stages : MOST_STAGES;
    if (more.stages < LEAST_STAGES)
        return 0;
    more.g[c->layers] = *g;
    more.width[c->layers] = width;
    more.layers++;
    *c = more;
    return 1;
}

size_t cu_layers_room(int rows, int widest)
{
    return rows < LEAST_ROWS || rows > MOST_ROWS
               ? 0
               : (size_t)cu_round_up(rows, ROWS) * (size_t)cu_round_up(widest, CU_CHUNK) *
                     sizeof(float);
}

template <int BLOCKS>
static void launch(cu_state *s, cudaStream_t stream, int clusters, const chain_args *c)
{
    cu_launch(s, stream, clusters * BLOCKS, THREADS,
              c->most_steps * STEP_ROWS + c->stages * c->slot + c->end_bytes + MAXIMA + BARS,
              c->g[0].mode == CU_BACKWARD ? multiply_chain<1, BLOCKS> : multiply_chain<0, BLOCKS>,
              *c);
}

/* Blocks of each of so many clusters, that all of them run at once; 0: they do not. */
static int blocks_for(int clusters)
{
    for (const auto &size : sizes)
        if (clusters <= size.at_once)
            return size.blocks;
    return 0;
}

int cu_multiply_chain(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g, int n, char *room)
{
    const int clusters = (g->rows + ROWS - 1) / ROWS, blocks = blocks_for(clusters);
    chain_args c = {};
    if (!room || !g->warpgroups || !blocks || g->rows < LEAST_ROWS || g->rows > MOST_ROWS)
        return 0;
    while (c.layers < n && add_layer(&c, g + c.layers, blocks))
        ;
    if (c.layers < 2)
        return 0;
    c.g[c.layers - 1].inner = 0;
    c.split = room;
    if (blocks == 8)
        launch<8>(s, stream, clusters, &c);
    else if (blocks == 6)
        launch<6>(s, stream, clusters, &c);
    else
        launch<4>(s, stream, clusters, &c);
    return c.layers;
}

/* Clusters that run at once. */
template <int BACKWARD, int BLOCKS> static int prepare(void)
{
    int clusters = 0;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(BLOCKS);
    config.blockDim = dim3(THREADS);
    config.dynamicSmemBytes = SHARED;
    cudaFuncSetAttribute(multiply_chain<BACKWARD, BLOCKS>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, SHARED);
    if (cudaOccupancyMaxActiveClusters(&clusters, multiply_chain<BACKWARD, BLOCKS>, &config) !=
        cudaSuccess)
        clusters = 0;
    (void)cudaGetLastError();
    return clusters;
}

template <int BLOCKS> static int prepare_both(void)
{
    (void)prepare<1, BLOCKS>();
    return prepare<0, BLOCKS>();
}

void cu_chain_prepare(void)
{
    sizes[0].at_once = prepare_both<8>();
    sizes[1].at_once = prepare_both<6>();
    sizes[2].at_once = prepare_both<4>();
}
