/* SPDX-License-Identifier: MIT */
/* relay.cu - layers of thousands of rows that follow each other in one launch: no processor waits for the last tiles
 * of a layer. What is done with a tile: wide.h.
 *
 * A block stays on its processor and takes tiles by a ticket, in the order of layers and rows. A tile's rows are
 * fetched when all tiles of these rows in the layer before have ended, as counters in memory say. Whatever is
 * waited for has a lower ticket and is under way, however many blocks the card holds. Layers write to two arrays in
 * turns, whose rows are the same distance apart in all of them: so a tile overwrites only what tiles that it has
 * waited for have read.
 *
 * All layers but the last have tiles of 128 columns: the factors of their ends have all come when the sums are there,
 * and their rows have ended long before they are asked for. The last, which nothing follows, has wide tiles, which
 * take less time for a column, and at its end narrow ones, so that processors end together. */
#include <limits.h>

#include "backend/cuda/wide.h"

enum {
    /* rows: of 5,184, tiles wait longer than processors did for the ends of layers; of 82,944, these ends are a
     * small part of products in wide tiles */
    RELAY_LEAST = 6000,
    RELAY_MOST = 60000,
    RELAY_FEW = 9000,   /* whatever a last round leaves idle */
    RELAY_NARROW = 128, /* columns of tiles: of inner layers, */
    RELAY_WIDE = 256,   /* of last ones, */
    RELAY_MIDDLE = 224, /* or, where it leaves fewer processors idle (448 columns), */
    RELAY_UPDATE = 264, /* and of updates */
    RELAY_SLOTS = 8,    /* tiles that a block knows of */
    RELAY_BYTES = WIDE_X + STEP_BYTES * RELAY_UPDATE, /* of a stage, whatever columns a tile has */
    RELAY_STAGES = (WIDE_ROOM - 5 * 1024) / RELAY_BYTES,
    RELAY_SHARED = RELAY_STAGES * RELAY_BYTES + WIDE_ENDS,
    RELAY_PARTS = CU_CHAIN + 1
};

/* Tiles of one width: all of a layer, or those from a row on. */
struct relay_part {
    int layer, columns; /* of a tile */
    int across, down;   /* tiles side by side; 128s of rows in front of the first */
    int until;          /* tiles up to the last */
};

/* Layers in one launch. */
struct relay {
    cu_gemm<float> g[CU_CHAIN];
    relay_part part[RELAY_PARTS];
    int layers, parts, down; /* 128s of rows */
    /* Tiles taken, then for all but the last layer and each 128 rows how many tiles have ended there: with relay_word()
     * less than a word for two rows. */
    unsigned *taken;
};

struct relay_tile {
    int layer, columns, m0, n0; /* layer < 0: no more */
};
/* What a block knows of a tile while it works on it. */
struct relay_slot {
    relay_tile tile;
    unsigned largest[WIDE_ROWS]; /* magnitudes of its rows */
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

struct relay_barriers {
    wide_barriers stage;
    unsigned chosen;   /* of slots: a tile is in the slot, */
    unsigned readable; /* its rows can be read, */
    unsigned known;    /* their maxima are in the slot */
    unsigned carried;  /* all rows of a tile are under way */
    unsigned ended;    /* two, of tiles in turns */
};
enum { RELAY_BARRIERS = 2 * RELAY_STAGES + 3 * RELAY_SLOTS + 3 };

static __device__ __forceinline__ relay_barriers relay_places(unsigned at)
{
    relay_barriers b;
    b.stage.full = at;
    b.stage.empty = b.stage.full + 8 * RELAY_STAGES;
    b.chosen = b.stage.empty + 8 * RELAY_STAGES;
    b.readable = b.chosen + 8 * RELAY_SLOTS;
    b.known = b.readable + 8 * RELAY_SLOTS;
    b.carried = b.known + 8 * RELAY_SLOTS;
    b.ended = b.carried + 8;
    return b;
}

/* What the threads of a block share. */
struct relay_block {
    unsigned stages;             /* as copies need it, */
    const unsigned char *shared; /* and as loads */
    float *sums;
    relay_slot *slots;
    relay_barriers bars;
};

static __device__ __forceinline__ void relay_create(const relay_barriers &b)
{
    wide_create<RELAY_STAGES>(b.stage);
    for (int s = 0; s < RELAY_SLOTS; s++) {
        barrier_create(b.chosen + 8 * s, 1);
        barrier_create(b.readable + 8 * s, 1);
        barrier_create(b.known + 8 * s, 32);
    }
    barrier_create(b.carried, WIDE_FETCHERS);
    for (int s = 0; s < 2; s++)
        barrier_create(b.ended + 8 * s, WIDE_WARPS);
    barriers_created();
}

/* ---------------------------------------------------------------- tiles */

static __device__ __forceinline__ relay_tile relay_find(const relay &w, int t)
{
    int p = 0, before = 0;
    while (p < w.parts && t >= w.part[p].until)
        before = w.part[p++].until;
    if (p == w.parts)
        return {-1, 0, 0, 0};
    const relay_part &of = w.part[p];
    const int down = (t - before) / of.across, across = t - before - down * of.across;
    return {of.layer, of.columns, (of.down + down) * WIDE_ROWS, across * of.columns};
}

/* Which word counts the tiles of 128 rows of a layer that have ended: each has 32 bytes of its own. */
static __device__ __forceinline__ int relay_word(const relay &w, int layer, int m0)
{
    return 8 * (1 + layer * w.down + m0 / WIDE_ROWS);
}

/* What was stored before a counter was raised can be read after it. */
static __device__ __forceinline__ unsigned relay_read(const unsigned *p)
{
    unsigned now;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(now) : "l"(p) : "memory");
    return now;
}

/* Counts a tile that has ended: its stores come first. */
static __device__ __forceinline__ void relay_raise(unsigned *p)
{
    asm volatile("fence.acq_rel.gpu;\n\tred.relaxed.gpu.global.add.u32 [%0], 1;" ::"l"(p)
                 : "memory");
}

/* The warp that keeps the books: takes a tile when the rows of the one before are under way, waits until its
 * rows can be read, notes their maxima, and counts tiles that have ended. */
static __device__ __forceinline__ void relay_keep(const relay &w, const relay_block &b)
{
    relay_slot *slots = b.slots;
    const relay_barriers &bars = b.bars;
    const int lane = threadIdx.x % 32;
    enum { NOTHING = -1 };
    /* where the tile before is to be counted once it has ended; 0: nowhere, for none wait for the last layer */
    int owed = NOTHING;
    for (int n = 0;; n++) {
        const int s = n % RELAY_SLOTS;
        auto pay = [&](bool wait) {
            const unsigned ended = bars.ended + (n + 1) % 2 * 8, parity = (n + 1) / 2 % 2 ^ 1;
            if (owed == NOTHING || (!wait && !barrier_try(ended, parity)))
                return;
            if (wait)
                barrier_wait(ended, parity);
            if (owed && lane == 0)
                relay_raise(w.taken + owed);
            owed = NOTHING;
        };
        if (n > 0)
            barrier_wait(bars.carried, (n - 1) % 2);
        const int t = __shfl_sync(0xffffffffu, lane == 0 ? (int)atomicAdd(w.taken, 1u) : 0, 0);
        const relay_tile tile = relay_find(w, t);
        if (lane == 0) {
            slots[s].tile = tile;
            barrier_arrive(bars.chosen + 8 * s);
        }
        if (n == 0)
            cu_wait();
        if (tile.layer > 0) {
            const unsigned *count = w.taken + relay_word(w, tile.layer - 1, tile.m0),
                           all = w.part[tile.layer - 1].across;
            while (relay_read(count) < all)
                pay(false); /* it may be waited for here */
        }
        if (lane == 0)
            barrier_arrive(bars.readable + 8 * s);
        if (tile.layer >= 0) {
            const cu_gemm<float> &g = w.g[tile.layer];
#pragma unroll
            for (int k = lane; k < WIDE_ROWS; k += 32)
                slots[s].largest[k] = __ldcg(g.xmax + min(tile.m0 + k, g.rows - 1));
        }
        barrier_arrive(bars.known + 8 * s);
        pay(true);
        if (tile.layer < 0)
            return;
        owed = tile.layer + 1 < w.layers ? relay_word(w, tile.layer, tile.m0) : 0;
    }
}

/* Tile n of this block, once so much is known of it as these barriers say. */
static __device__ __forceinline__ const relay_tile &relay_next(const relay_block &b, unsigned bars, int n)
{
    barrier_wait(bars + n % RELAY_SLOTS * 8, n / RELAY_SLOTS % 2);
    return b.slots[n % RELAY_SLOTS].tile;
}

/* The thread that fetches weights. It has nothing to wait for. */
static __device__ __forceinline__ void relay_weigh(const relay &w, const relay_block &b)
{
    wide_place<RELAY_STAGES> at;
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
    for (int n = 0;; n++) {
        const relay_tile &tile = relay_next(b, b.bars.chosen, n);
        const int layer = tile.layer;
        if (layer < 0)
            return;
        wide_weights<RELAY_BYTES>(w.g[layer].m, tile.n0, tile.columns, b.stages, b.bars.stage, at);
    }
}

/* Those that fetch rows. */
static __device__ __forceinline__ void relay_fetch(const relay &w, const relay_block &b)
{
    wide_place<RELAY_STAGES> at;
    cu_wait();
    for (int n = 0;; n++) {
        const relay_tile &tile = relay_next(b, b.bars.readable, n);
        const int layer = tile.layer;
        if (layer < 0)
            return;
        wide_rows<RELAY_BYTES>(w.g[layer], tile.m0, b.stages, b.bars.stage, at);
        barrier_arrive(b.bars.carried);
    }
}

/* Tile n of this block. What is known of it is looked up again when its sums are there: until then they need the
 * registers. */
template <int N, int MODE>
static __device__ __forceinline__ void relay_multiply(const relay &w, const relay_block &b, int n,
                                                      wide_place<RELAY_STAGES> &at)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const relay_slot &slot = b.slots[n % RELAY_SLOTS];
    const cu_gemm<float> &g = w.g[slot.tile.layer];
    float total[N / 2], scale[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float inverse;
        scale[half] = row_scale(slot.largest[warp * 16 + lane / 4 + half * 8], &inverse);
    }
    if (MODE == CU_BACKWARD && g.slope)
        end_factors<128>(g, b.sums + warp * (2 * END_BLOCK), slot.tile.m0 + warp * 16, slot.tile.n0,
                         lane);
    wide_sum<N, 0, RELAY_BYTES>(total, scale, g.m.k_pad / CU_STEP, b.stages, b.shared, b.bars.stage,
                                at);
    asm volatile("" : "+r"(n)::"memory");
    const relay_tile &tile = b.slots[n % RELAY_SLOTS].tile;
    wide_end<N, MODE>(w.g[tile.layer], tile.m0, tile.n0, total, scale, b.sums);
}

/* The groups that multiply: tiles, whatever columns they have. */
template <int BACK>
static __device__ __forceinline__ void relay_work(const relay &w, const relay_block &b)
{
    wide_place<RELAY_STAGES> at;
    cu_wait();
    for (int n = 0;; n++) {
        const relay_tile &tile = relay_next(b, b.bars.known, n);
        if (tile.layer < 0)
            break;
        if constexpr (BACK) {
            if (tile.columns == RELAY_MIDDLE)
                relay_multiply<RELAY_MIDDLE, CU_BACKWARD>(w, b, n, at);
            else if (tile.columns == RELAY_WIDE)
                relay_multiply<RELAY_WIDE, CU_BACKWARD>(w, b, n, at);
            else
                relay_multiply<RELAY_NARROW, CU_BACKWARD>(w, b, n, at);
        } else {
            if (w.g[tile.layer].mode != CU_UPDATE)
                relay_multiply<RELAY_NARROW, CU_FORWARD>(w, b, n, at);
            else if (tile.columns == RELAY_UPDATE)
                relay_multiply<RELAY_UPDATE, CU_UPDATE>(w, b, n, at);
            else
                relay_multiply<RELAY_NARROW, CU_UPDATE>(w, b, n, at);
        }
        __syncwarp();
        if (threadIdx.x % 32 == 0)
            barrier_arrive(b.bars.ended + n % 2 * 8);
    }
}
#endif

template <int BACK>
__global__ void __launch_bounds__(384, 1) multiply_relay(const __grid_constant__ relay w)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ uint64_t barriers[RELAY_BARRIERS];
    __shared__ relay_slot slots[RELAY_SLOTS];
    const relay_block b = {(unsigned)__cvta_generic_to_shared(shared), shared,
                           (float *)(shared + RELAY_STAGES * RELAY_BYTES), slots,
                           relay_places((unsigned)__cvta_generic_to_shared(barriers))};
    if (threadIdx.x == 0)
        relay_create(b.bars);
    __syncthreads();
    if (threadIdx.x < WIDE_WARPS * 32) {
        registers_up<WIDE_MULTIPLIER>();
        relay_work<BACK>(w, b);
    } else {
        registers_down<WIDE_FETCHER>();
        const int fetcher = threadIdx.x - WIDE_WARPS * 32;
        if (fetcher < WIDE_FETCHERS)
            relay_fetch(w, b);
        else if (fetcher >= WIDE_FETCHERS + 32)
            relay_keep(w, b);
        else if (fetcher == WIDE_FETCHERS)
            relay_weigh(w, b);
    }
#else
    (void)w;
#endif
}

/* ---------------------------------------------------------------- columns of tiles */

/* Columns that a tile may have, the narrowest of a mode last; nanoseconds of a step with them, of the end of a
 * column, and of waiting for factors of more than 128 columns: all times are of an H100. */
static const struct width {
    int mode, columns, step, end, factors;
} widths[] = {{CU_BACKWARD, RELAY_WIDE, 540, 18, 1500}, {CU_BACKWARD, RELAY_MIDDLE, 490, 18, 1500},
              {CU_BACKWARD, RELAY_NARROW, 345, 18, 0},  {CU_UPDATE, RELAY_UPDATE, 580, 45, 0},
              {CU_UPDATE, RELAY_NARROW, 345, 45, 0},    {CU_FORWARD, RELAY_NARROW, 345, 40, 0}};
enum { WIDTHS = sizeof widths / sizeof *widths };

static int across(const cu_gemm<float> *g, const width *of)
{
    return (cu_columns(g) + of->columns - 1) / of->columns;
}
static int fits(const cu_gemm<float> *g, const width *of)
{
    return of->mode == g->mode && across(g, of) * of->columns <= g->m.n_pad;
}
static int tile_time(const cu_gemm<float> *g, const width *of)
{
    enum { BETWEEN = 200 }; /* tiles */
    return g->m.k_pad / CU_STEP * of->step + of->columns * of->end + (g->slope ? of->factors : 0) +
           BETWEEN;
}

/* NULL: none fits. */
static const width *narrowest(const cu_gemm<float> *g)
{
    for (const width *of = widths + WIDTHS; of-- > widths;)
        if (fits(g, of))
            return of;
    return NULL;
}

/* Tiles of one width more: of 128s of rows from .. to - 1. */
static void add(relay *w, int layer, const width *of, int from, int to)
{
    const int before = w->parts ? w->part[w->parts - 1].until : 0, side = across(w->g + layer, of);
    w->part[w->parts++] = {layer, of->columns, side, from, before + side * (to - from)};
}

/* Processors that stand for all: more know no better, and a batch of a new size waits for what they find. */
enum { STANDINS = 24 };
struct tiles {
    int count, time; /* of each */
};

/* When the last layer ends, if processors come to it evenly over the time of a tile `before`, and the first that is
 * free always goes on. */
static int end_of(const tiles part[2], int processors, int before)
{
    int free[STANDINS], last = 0;
    for (int k = 0; k < STANDINS; k++)
        free[k] = before * k / STANDINS;
    for (int p = 0; p < 2; p++)
        for (int n = (part[p].count * STANDINS + processors - 1) / processors; n > 0; n--) {
            int first = 0;
            for (int k = 1; k < STANDINS; k++)
                first = free[k] < free[first] ? k : first;
            free[first] += part[p].time;
        }
    for (int k = 0; k < STANDINS; k++)
        last = free[k] > last ? free[k] : last;
    return last;
}

/* The last layer: tiles of a width, and narrow ones from a row on, with which it ends first. */
static void add_last(relay *w, int before)
{
    enum { EACH = 4, MOST = 24 }; /* 128s of rows in narrow tiles */
    const int layer = w->layers - 1;
    const cu_gemm<float> *g = w->g + layer;
    const width *narrow = narrowest(g), *best = narrow;
    int least = INT_MAX, rest = 0;
    for (const width *of = widths; of < widths + WIDTHS; of++)
        for (int n = 0; fits(g, of) && n < w->down && n <= (of == narrow ? 0 : MOST); n += EACH) {
            const tiles part[2] = {{across(g, of) * (w->down - n), tile_time(g, of)},
                                   {across(g, narrow) * n, tile_time(g, narrow)}};
            const int time = end_of(part, g->processors, before);
            if (time < least)
                least = time, best = of, rest = n;
        }
    add(w, layer, best, 0, w->down - rest);
    if (rest)
        add(w, layer, narrow, w->down - rest, w->down);
}

/* ---------------------------------------------------------------- launch */

/* Whether layer l of g goes on from the one before, and overwrites nothing of other rows that those before it may
 * still read. */
static int follows(const cu_gemm<float> *g, int l)
{
    if (!narrowest(g + l) || g[l].x != g[l - 1].y || g[l - 1].mode == CU_UPDATE ||
        g[l].rows != g->rows || (g[l].mode == CU_BACKWARD) != (g->mode == CU_BACKWARD))
        return 0;
    for (int k = 0; k <= l; k++)
        if ((g[k].x == g[l].y && g[k].ldx != cu_row_of(g + l)) ||
            (k < l && g[k].y == g[l].y && cu_row_of(g + k) != cu_row_of(g + l)))
            return 0;
    return 1;
}

/* One by one, products end in a round of tiles that leaves processors idle: 512 columns go in two tiles. */
int cu_relay_gains(int rows, int processors)
{
    const int tiles = (rows + WIDE_ROWS - 1) / WIDE_ROWS * 2,
              rounds = (tiles + processors - 1) / processors,
              idle = 100 - 100 * tiles / (rounds * processors);
    return rows >= RELAY_LEAST && rows <= RELAY_MOST && (idle > 5 || rows < RELAY_FEW);
}

int cu_multiply_relay(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g, int n,
                      unsigned *counters)
{
    if (!counters || !g->warpgroups || g->fast || !narrowest(g))
        return 0;
    relay w = {};
    do {
        w.g[w.layers] = g[w.layers];
        w.g[w.layers].pitch = cu_row_of(g + w.layers);
        w.layers++;
    } while (w.layers < n && w.layers < CU_CHAIN && follows(g, w.layers));
    if (w.layers == 1)
        return 0;
    w.down = (g->rows + WIDE_ROWS - 1) / WIDE_ROWS;
    w.taken = counters;
    for (int l = 0; l + 1 < w.layers; l++)
        add(&w, l, narrowest(g + l), 0, w.down);
    add_last(&w, tile_time(g + w.layers - 2, narrowest(g + w.layers - 2)));
    const int tiles = w.part[w.parts - 1].until;
    cu_launch(s, stream, tiles < g->processors ? tiles : g->processors, 384, RELAY_SHARED,
              g->mode == CU_BACKWARD ? multiply_relay<1> : multiply_relay<0>, w);
    return w.layers;
}

void cu_relay_prepare(void)
{
    cudaFuncSetAttribute(multiply_relay<0>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         RELAY_SHARED);
    cudaFuncSetAttribute(multiply_relay<1>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         RELAY_SHARED);
}
