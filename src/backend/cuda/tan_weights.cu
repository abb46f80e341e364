/* SPDX-License-Identifier: MIT */
/* tan_weights.cu - products of inputs and adjoints summed over atoms with the matrix instructions of four
 * warps (wgmma), all layers in one launch.
 *
 * A block stays on its processor and takes tiles of 128 x 128 weights of a slice of atoms. Eight warps turn
 * chunks of 32 atoms around: each copies 16 atoms of 32 columns of both operands to memory of its own,
 * two chunks ahead; a lane takes eight atoms of a column from there, scales and splits them (gemm.h) and
 * writes what the matrix units take as one row of eight terms. The scale is that of the chunk, from the
 * largest magnitudes of its rows: the sum of a step is multiplied by its inverse when it is added. Eight
 * other warps multiply, two groups 64 x 128 each. */
#include "backend/cuda/tan_train.h"
#include "backend/cuda/warpgroup.h"

enum {
    SIDE = 128,        /* of a tile */
    MULTIPLY = 256,    /* threads */
    FETCH = 256,
    STAGES = 3,        /* chunks in shared memory */
    STEP_SIDE = SIDE / 8 * CU_BLOCK,              /* bytes of one operand in a step, */
    CHUNK_BYTES = 2 * 2 * STEP_SIDE,              /* of both in a chunk: two steps */
    AHEAD = 3,                                    /* chunks of a warp's own memory, */
    OWN_ROWS = 16, OWN_COLUMNS = 32,              /* of so much of each operand */
    OWN_BYTES = 2 * (OWN_ROWS * OWN_COLUMNS * 4 + CU_WEIGHT_CHUNK * 4),
    SHARED = STAGES * CHUNK_BYTES + FETCH / 32 * AHEAD * OWN_BYTES,
    MULTIPLIER = 168, /* registers of a thread */
    FETCHER = 88
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

struct place {
    int s = 0;
    unsigned parity = 0;
    __device__ __forceinline__ void next(void)
    {
        if (++s == STAGES)
            s = 0, parity ^= 1;
    }
};

/* A tile of a slice: of which product, where, and its chunks of rows in both halves. */
struct work {
    int product, out, in, from, end, chunks;
};

static __device__ __forceinline__ work find_work(const cu_products<float> &p, int item)
{
    work w;
    const int slice = item / p.tiles, tile = item % p.tiles;
    w.product = 0;
    while (w.product + 1 < p.count && p.of[w.product + 1].first <= tile)
        w.product++;
    const int own = tile - p.of[w.product].first, side = p.of[w.product].tiles_in;
    w.out = own / side * SIDE;
    w.in = own % side * SIDE;
    cu_slice(p.rows, p.slices, slice, &w.from, &w.end);
    w.chunks = (w.end - w.from + CU_WEIGHT_CHUNK - 1) / CU_WEIGHT_CHUNK;
    return w;
}

/* d = (add ? d : 0) + a b, 64 x 128 x 16, both in shared memory */
static __device__ __forceinline__ void multiply_shared(float *d, uint64_t a, uint64_t b, int add)
{
    asm volatile("{.reg .pred p; setp.ne.b32 p, %66, 0; "
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, "
                 "%14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "
                 "%26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
                 "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, "
                 "%50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, "
                 "%62, %63"
                 "}, %64, %65, p, 1, 1, 0, 0;}"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
                   "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]),
                   "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]),
                   "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
                   "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]),
                   "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
                   "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]),
                   "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]),
                   "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]),
                   "+f"(d[54]), "+f"(d[55]), "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]),
                   "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
                 : "l"(a), "l"(b), "r"(add));
}

/* ---------------------------------------------------------------- on the way to shared memory */

/* A warp's memory: rows of 32 columns, and the maxima of the 32 rows of the chunk; of adjoints, inputs. */
struct own_chunk {
    float x[2][OWN_ROWS][OWN_COLUMNS];
    unsigned max[2][CU_WEIGHT_CHUNK];
};

/* `bytes` of `from`, the rest zeros */
template <int BYTES>
static __device__ __forceinline__ void copy_or_clear(void *to, const void *from, bool inside)
{
    const unsigned at = (unsigned)__cvta_generic_to_shared(to);
    const int bytes = inside ? BYTES : 0;
    if (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(bytes)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(at), "l"(from), "r"(bytes)
                     : "memory");
}

/* 16 rows of 32 columns: four pieces of a row by each lane. */
static __device__ __forceinline__ void copy_rows(float (*to)[OWN_COLUMNS], const float *from, int ld,
                                                 int row, int end, int column, int lane)
{
    const int col = column + lane % 8 * 4;
    const float *at = from + (size_t)(row + lane / 8) * ld + col;
#pragma unroll
    for (int k = 0; k < OWN_ROWS / 4; k++) {
        const bool inside = row + 4 * k + lane / 8 < end && col < ld;
        copy_or_clear<16>(&to[4 * k + lane / 8][lane % 8 * 4],
                          inside ? at + (size_t)(4 * k) * ld : from, inside);
    }
}

/* Chunks in the order in which they are multiplied. */
struct cursor {
    int item, c;
    work w;
};

static __device__ __forceinline__ void settle(const cu_products<float> &p, cursor *at)
{
    while (at->c >= 2 * at->w.chunks && at->item < p.tiles * p.slices) {
        at->item += gridDim.x;
        at->c = 0;
        at->w = find_work(p, at->item);
    }
}

static __device__ __forceinline__ void copy_chunk(const cu_products<float> &p, cursor *at,
                                                  int column, int first, int lane, own_chunk *to)
{
    if (at->item < p.tiles * p.slices) {
        const work &w = at->w;
        const cu_product<float> &of = p.of[w.product];
        const int half = at->c >= w.chunks,
                  row = w.from + (half ? at->c - w.chunks : at->c) * CU_WEIGHT_CHUNK;
        copy_rows(to->x[0], half ? of.gz : of.tgz, of.ldz, row + first, w.end, w.out + column, lane);
        copy_rows(to->x[1], half ? of.tx : of.x, of.ldx, row + first, w.end, w.in + column, lane);
        const bool inside = row + lane < w.end;
        const unsigned *zmax = half ? of.gzmax : of.tgzmax, *xmax = half ? of.txmax : of.xmax;
        copy_or_clear<4>(&to->max[0][lane], zmax + (inside ? row + lane : 0), inside);
        copy_or_clear<4>(&to->max[1][lane], xmax + (inside ? row + lane : 0), inside);
        at->c++;
        settle(p, at);
    }
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Both halves of eight terms. */
static __device__ __forceinline__ void store_column(unsigned char *to,
                                                    const float (*x)[OWN_COLUMNS], int lane,
                                                    float scale)
{
    unsigned hi[4], lo[4];
#pragma unroll
    for (int k = 0; k < 4; k++)
        split2(x[2 * k][lane] * scale, x[2 * k + 1][lane] * scale, &hi[k], &lo[k]);
    *(uint4 *)to = make_uint4(hi[0], hi[1], hi[2], hi[3]);
    *(uint4 *)(to + CU_BLOCK / 2) = make_uint4(lo[0], lo[1], lo[2], lo[3]);
}

static __device__ void fetch(const cu_products<float> &p, unsigned char *stages, own_chunk *own,
                             float *inverse, unsigned full, unsigned empty)
{
    const int t = threadIdx.x - MULTIPLY, lane = t % 32, column = t % SIDE - lane, step = t / SIDE;
    place at;
    unsigned first = 1;
    cursor next = {(int)blockIdx.x, 0, find_work(p, blockIdx.x)};
    settle(p, &next);
    int under_way = 0, slot = 0; /* chunks that were asked for, and where the first of them is */
    auto ask = [&](int to) {
        under_way += next.item < p.tiles * p.slices;
        copy_chunk(p, &next, column, step * OWN_ROWS, lane, &own[to]);
    };
    for (int k = 0; k < AHEAD - 1; k++)
        ask(k);
    unsigned char *const to = stages + 2 * step * STEP_SIDE + (column + lane) / 8 * CU_BLOCK +
                              lane % 8 * 16;
#pragma unroll 1
    while (under_way > 0) {
        asm volatile("cp.async.wait_group %0;" ::"n"(AHEAD - 2) : "memory");
        __syncwarp();
        ask((slot + AHEAD - 1) % AHEAD);
        const own_chunk &v = own[slot];
        float scale[2], back[2];
#pragma unroll
        for (int m = 0; m < 2; m++)
            scale[m] = row_scale(__reduce_max_sync(0xffffffffu, v.max[m][lane]), &back[m]);
        if (!first)
            barrier_wait(empty + 8 * at.s, at.parity ^ 1);
#pragma unroll
        for (int m = 0; m < 2; m++)
#pragma unroll
            for (int k = 0; k < 2; k++)
                store_column(to + at.s * CHUNK_BYTES + m * STEP_SIDE + k * 128, v.x[m] + 8 * k, lane,
                             scale[m]);
        if (t == 0)
            inverse[at.s] = back[0] * back[1];
        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
        barrier_arrive(full + 8 * at.s);
        at.next();
        if (at.s == 0)
            first = 0;
        slot = (slot + 1) % AHEAD;
        under_way--;
    }
    asm volatile("cp.async.wait_group 0;" ::: "memory");
}

/* ---------------------------------------------------------------- products */

static __device__ __forceinline__ void store_sums(const cu_products<float> &p, const work &w, int slice,
                                                  int row, int lane, const float *total)
{
    const cu_product<float> &of = p.of[w.product];
    float *to = p.part + (size_t)slice * p.size + of.out;
#pragma unroll
    for (int k = 0; k < 64; k++) {
        const int o = w.out + row + lane / 4 + k % 4 / 2 * 8, i = w.in + k / 4 * 8 + lane % 4 * 2 + k % 2;
        if (o < of.n_out && i < of.n_in)
            to[(size_t)o * of.n_in + i] = total[k];
    }
}

static __device__ __forceinline__ void multiply(const cu_products<float> &p, unsigned stages,
                                                const float *inverse, unsigned full, unsigned empty)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, items = p.tiles * p.slices;
    place at;
    for (int item = blockIdx.x; item < items; item += gridDim.x) {
        const work w = find_work(p, item);
        float total[64], sum[64];
#pragma unroll
        for (int k = 0; k < 64; k++)
            total[k] = 0.0f;
#pragma unroll 1
        for (int c = 0; c < 2 * w.chunks; c++) {
            barrier_wait(full + 8 * at.s, at.parity);
            const float back = inverse[at.s];
            const unsigned chunk = stages + at.s * CHUNK_BYTES;
#pragma unroll
            for (int ks = 0; ks < 2; ks++) {
                const uint64_t a = describe(chunk + ks * 2 * STEP_SIDE + warp / 4 * (STEP_SIDE / 2)),
                               b = describe(chunk + ks * 2 * STEP_SIDE + STEP_SIDE);
                constexpr int LOW = CU_BLOCK / 2 >> 4;
                hold<64>(sum);
                asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
                multiply_shared(sum, a + LOW, b, 0);
                multiply_shared(sum, a, b + LOW, 1);
                multiply_shared(sum, a, b, 1);
                asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
                hold<64>(sum);
                if (ks == 1) {
                    __syncwarp(); /* all lanes have the scale */
                    if (lane == 0)
                        barrier_arrive(empty + 8 * at.s);
                }
#pragma unroll
                for (int k = 0; k < 64; k++)
                    total[k] = fmaf(sum[k], back, total[k]);
            }
            at.next();
        }
        store_sums(p, w, item / p.tiles, warp * 16, lane, total);
    }
}
#endif

__global__ void __launch_bounds__(MULTIPLY + FETCH, 1)
    multiply_weights(const __grid_constant__ cu_products<float> p)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ uint64_t bars[2 * STAGES];
    __shared__ float inverse[STAGES];
    const unsigned full = (unsigned)__cvta_generic_to_shared(bars), empty = full + 8 * STAGES;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_create(full + 8 * s, FETCH);
            barrier_create(empty + 8 * s, MULTIPLY / 32);
        }
        barriers_created();
    }
    __syncthreads();
    if (threadIdx.x < MULTIPLY) {
        registers_up<MULTIPLIER>();
        multiply(p, (unsigned)__cvta_generic_to_shared(shared), inverse, full, empty);
    } else {
        registers_down<FETCHER>();
        own_chunk *own = (own_chunk *)(shared + STAGES * CHUNK_BYTES);
        fetch(p, shared, own + (threadIdx.x - MULTIPLY) / 32 * AHEAD, inverse, full, empty);
    }
#else
    (void)p;
#endif
}

void cu_weights_wide(cudaStream_t stream, int processors, cu_products<float> *p)
{
    p->tiles = 0;
    for (int k = 0; k < p->count; k++) {
        cu_product<float> *of = &p->of[k];
        of->first = p->tiles;
        of->tiles_in = (of->n_in + SIDE - 1) / SIDE;
        p->tiles += of->tiles_in * ((of->n_out + SIDE - 1) / SIDE);
    }
    const int items = p->tiles * p->slices;
    if (items > 0)
        multiply_weights<<<items < processors ? items : processors, MULTIPLY + FETCH, SHARED, stream>>>(*p);
}

void cu_weights_prepare(void)
{
    int device = 0, major = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (major != 9) /* others have less shared memory, and do without */
        return;
    cudaFuncSetAttribute(multiply_weights, cudaFuncAttributeMaxDynamicSharedMemorySize, SHARED);
}
