/* SPDX-License-Identifier: MIT */
/* warpgroup.cu - products of many rows with the matrix instructions of four warps (wgmma; compute
 * capability 9.0). What is computed: gemm.h.
 *
 * A block has WGS groups of four warps, of 64 rows each. Rows go from memory into registers two chunks
 * ahead, where they are scaled and split: the instructions take them from there. A chunk of packed
 * weights lies in memory as it is needed in shared memory, so that one bulk copy brings a stage;
 * the groups share it. While one group adds a step's sums, the other multiplies. */
#include "backend/cuda/gemm.h"

enum { STAGE_BYTES = CU_PIECES * 16 /* of one column */ };

/* chunks of weights in shared memory, and under way: small blocks share a processor */
template <int WGS> struct pipeline {
    enum { STAGES = WGS == 2 ? 6 : 4, AHEAD = STAGES - 2 };
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

static __device__ __forceinline__ void barrier_create(unsigned bar, unsigned count)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count));
}
static __device__ __forceinline__ void barrier_arrive(unsigned bar)
{
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
}
static __device__ __forceinline__ void barrier_expect(unsigned bar, unsigned bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes)
                 : "memory");
}
static __device__ __forceinline__ void barrier_wait(unsigned bar, unsigned parity)
{
    asm volatile("{\n\t.reg .pred p;\n"
                 "again:\n\t"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n\t"
                 "@!p bra again;\n\t}" ::"r"(bar),
                 "r"(parity)
                 : "memory");
}
static __device__ __forceinline__ void bulk_copy(unsigned to, const void *from, unsigned bytes,
                                                 unsigned bar)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], %2, [%3];" ::"r"(to),
                 "l"(from), "r"(bytes), "r"(bar)
                 : "memory");
}

/* d = (add ? d : 0) + a w, 64 x N x 16; a in registers, w in shared memory */
template <int N>
static __device__ __forceinline__ void multiply_add(float *d, const unsigned a[4], uint64_t weights,
                                                    int add);
template <>
__device__ __forceinline__ void multiply_add<64>(float *d, const unsigned a[4], uint64_t weights,
                                                 int add)
{
    asm volatile("{.reg .pred p; setp.ne.b32 p, %37, 0; "
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, "
                 "%14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "
                 "%26, %27, %28, %29, %30, %31"
                 "}, {%32, %33, %34, %35}, %36, p, 1, 1, 0;}"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
                   "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]),
                   "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]),
                   "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
                   "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]),
                   "+f"(d[30]), "+f"(d[31])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(weights), "r"(add));
}

template <>
__device__ __forceinline__ void multiply_add<96>(float *d, const unsigned a[4], uint64_t weights,
                                                 int add)
{
    asm volatile("{.reg .pred p; setp.ne.b32 p, %53, 0; "
                 "wgmma.mma_async.sync.aligned.m64n96k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, "
                 "%14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "
                 "%26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
                 "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
                 "}, {%48, %49, %50, %51}, %52, p, 1, 1, 0;}"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]),
                   "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]),
                   "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]),
                   "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
                   "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]),
                   "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]),
                   "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]),
                   "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(weights), "r"(add));
}

template <>
__device__ __forceinline__ void multiply_add<128>(float *d, const unsigned a[4], uint64_t weights,
                                                  int add)
{
    asm volatile("{.reg .pred p; setp.ne.b32 p, %69, 0; "
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, "
                 "%14, %15, %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, "
                 "%26, %27, %28, %29, %30, %31, %32, %33, %34, %35, %36, %37, "
                 "%38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, "
                 "%50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, "
                 "%62, %63"
                 "}, {%64, %65, %66, %67}, %68, p, 1, 1, 0;}"
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
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(weights), "r"(add));
}

/* Where one plane of a step stands: halves of eight columns 128 bytes apart, the next eight columns
 * after all their pieces. */
static __device__ __forceinline__ uint64_t describe(unsigned address)
{
    return (uint64_t)((address & 0x3ffff) >> 4) | (uint64_t)(128 >> 4) << 16 |
           (uint64_t)(CU_PIECES * 128 >> 4) << 32;
}

/* Registers stay where the instructions in flight expect them. */
template <int N> static __device__ __forceinline__ void hold(float *d)
{
#pragma unroll
    for (int k = 0; k < N; k++)
        asm volatile("" : "+f"(d[k])::"memory");
}

/* Brings the weights of chunk c; by the first warp, two chunks after the groups began with what lay
 * there. */
template <int N, int WGS>
static __device__ __forceinline__ void fetch_weights(const cu_gemm<float> &g, unsigned stages,
                                                     unsigned full, unsigned empty, int n0, int c)
{
    constexpr int STAGES = pipeline<WGS>::STAGES;
    const int s = c % STAGES;
    if (c >= g.m.k_pad / CU_CHUNK)
        return;
    if (c >= STAGES)
        barrier_wait(empty + 8 * s, (c / STAGES - 1) & 1);
    if (threadIdx.x == 0) {
        barrier_expect(full + 8 * s, STAGE_BYTES * N);
        bulk_copy(stages + s * STAGE_BYTES * N, (const char *)g.m.w + packed_at(g.m, c, n0, 0),
                  STAGE_BYTES * N, full + 8 * s);
    }
    __syncwarp();
}

/* What an update adds to, or a backward product is multiplied by. */
static __device__ __forceinline__ float4 partner_of(const cu_gemm<float> &g, int row, int col)
{
    if (row >= g.rows || col >= g.ldy)
        return make_float4(0, 0, 0, 0);
    if (g.mode == CU_BACKWARD)
        return g.slope ? *(const float4 *)(g.slope + (size_t)row * g.ldslope + col)
                       : make_float4(1, 1, 1, 1);
    if (col >= g.fa)
        return make_float4(0, 0, 0, 0);
    const size_t from = g.old_row ? (size_t)g.old_row[row] : (size_t)row;
    return *(const float4 *)(g.old + from * g.ldold + col);
}

/* Sums of the 16 rows of a warp, through shared memory, so that they leave as whole lines. inverse: of
 * the scale of row lane % 16. */
template <int N>
static __device__ __forceinline__ void finish_rows(const cu_gemm<float> &g, const float *total,
                                                   float *staging, float inverse, int m0, int n0)
{
    constexpr int LD = N + 8, LANES = N == 64 ? 16 : 32, ROWS = 32 / LANES, BATCH = 8;
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int n = 0; n < N / 8; n++)
#pragma unroll
        for (int half = 0; half < 2; half++)
            *(float2 *)(staging + (half * 8 + lane / 4) * LD + n * 8 + lane % 4 * 2) =
                make_float2(total[4 * n + 2 * half], total[4 * n + 2 * half + 1]);
    __syncwarp();
    const int at = lane % LANES * 4, col = n0 + at;
    const float4 columns = at < N ? *(const float4 *)(g.m.scale + col) : float4{},
                 bias = g.mode == CU_BACKWARD || g.bias_row || at >= N || col + 3 >= g.ldbias
                            ? float4{}
                            : *(const float4 *)(g.bias + col);
    auto value = [&](int r) {
        const float4 z = *(const float4 *)(staging + r * LD + min(at, N - 4));
        const float own = __shfl_sync(0xffffffffu, inverse, r);
        return make_float4(z.x * own * columns.x, z.y * own * columns.y, z.z * own * columns.z,
                           z.w * own * columns.w);
    };
    auto report = [&](int row, unsigned bits) {
        if (!g.ymax)
            return;
#pragma unroll
        for (int d = 1; d < LANES; d <<= 1)
            bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, d));
        if (row < g.rows && at == 0)
            atomicMax(g.ymax + row, bits);
    };
    if (g.mode == CU_FORWARD) {
#pragma unroll 1
        for (int r = lane / LANES; r < 16; r += ROWS) {
            const int row = m0 + r;
            const float4 z = value(r);
            unsigned bits = 0;
            if (row < g.rows && at < N)
                bits = finish4(g, row, col, z, g.bias_row ? NULL : &bias);
            report(row, bits);
        }
        return;
    }
#pragma unroll
    for (int first = 0; first < 16 / ROWS; first += BATCH) {
        float4 partner[BATCH];
#pragma unroll
        for (int k = 0; k < BATCH; k++)
            partner[k] =
                at < N ? partner_of(g, m0 + lane / LANES + (first + k) * ROWS, col) : float4{};
#pragma unroll
        for (int k = 0; k < BATCH; k++) {
            const int r = lane / LANES + (first + k) * ROWS, row = m0 + r;
            const float4 z = value(r), p = partner[k];
            unsigned bits = 0;
            if (row < g.rows && at < N && col < g.ldy) {
                if (g.mode == CU_BACKWARD)
                    bits = store4(g.y + (size_t)row * g.ldy + col,
                                  make_float4(z.x * p.x, z.y * p.y, z.z * p.z, z.w * p.w));
                else
                    update4(g, row, col, z, bias, p);
            }
            report(row, bits);
        }
    }
}

/* One group: 64 rows from m0 on. */
template <int N, int WGS, int FAST>
static __device__ __forceinline__ void multiply_group(const cu_gemm<float> &g, unsigned stages,
                                                      unsigned full, unsigned empty, int m0, int n0,
                                                      float *staging)
{
    constexpr int STAGES = pipeline<WGS>::STAGES;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4, chunks = g.m.k_pad / CU_CHUNK;
    const int own = m0 + warp * 16;
    const float *x[2];
    float scale[2], total[N / 2], sum[N / 2], inverse;
    float4 next[2][2][2]; /* chunks, steps, rows */
#pragma unroll
    for (int half = 0; half < 2; half++)
        x[half] = g.x + (size_t)min(own + half * 8 + lane / 4, g.rows - 1) * g.ldx + lane % 4 * 4;
    auto load = [&](int b, int c) {
        if (c < chunks)
#pragma unroll
            for (int ks = 0; ks < 2; ks++)
#pragma unroll
                for (int half = 0; half < 2; half++)
                    next[b][ks][half] = *(const float4 *)(x[half] + c * CU_CHUNK + ks * CU_STEP);
    };
    load(0, 0);
    load(1, 1);
#pragma unroll
    for (int half = 0; half < 2; half++)
        scale[half] = row_scale(g.xmax[min(own + half * 8 + lane / 4, g.rows - 1)], &inverse);
    row_scale(g.xmax[min(own + lane % 16, g.rows - 1)], &inverse);
#pragma unroll
    for (int k = 0; k < N / 2; k++)
        total[k] = 0.0f;
    for (int c0 = 0; c0 < chunks; c0 += 2)
#pragma unroll
        for (int b = 0; b < 2; b++) {
            const int c = c0 + b, s = c % STAGES;
            if (c >= chunks)
                break;
            if (threadIdx.x < 32)
                fetch_weights<N, WGS>(g, stages, full, empty, n0, c + pipeline<WGS>::AHEAD);
            barrier_wait(full + 8 * s, (c / STAGES) & 1);
#pragma unroll
            for (int ks = 0; ks < 2; ks++) {
                unsigned hi[4], lo[4];
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    unsigned h[2], l[2];
                    split4(next[b][ks][half], scale[half], h, l);
                    hi[half] = h[0], hi[half + 2] = h[1], lo[half] = l[0], lo[half + 2] = l[1];
                }
                const unsigned at = stages + s * STAGE_BYTES * N + ks * (2 * 128);
                hold<N / 2>(sum);
                asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
                if (!FAST) {
                    multiply_add<N>(sum, lo, describe(at), 0);
                    multiply_add<N>(sum, hi, describe(at + CU_PIECES / 2 * 128), 1);
                }
                multiply_add<N>(sum, hi, describe(at), FAST ? 0 : 1);
                asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
                if (ks == 1)
                    load(b, c + 2);
                asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
                hold<N / 2>(sum);
#pragma unroll
                for (int k = 0; k < N / 2; k++)
                    total[k] += sum[k];
            }
            if (threadIdx.x % 128 == 0)
                barrier_arrive(empty + 8 * s);
            __syncwarp();
        }
    finish_rows<N>(g, total, staging + warp * 16 * (N + 8), inverse, own, n0);
}
#endif

template <int N, int WGS, int FAST>
__global__ void __launch_bounds__(WGS * 128, WGS == 2  ? 1
                                             : N == 64 ? 3
                                                       : 2)
    multiply_warpgroups(const cu_gemm<float> g)
{
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
    constexpr int STAGES = pipeline<WGS>::STAGES;
    extern __shared__ __align__(128) unsigned char shared[];
    __shared__ uint64_t bars[2 * STAGES];
    const unsigned stages = (unsigned)__cvta_generic_to_shared(shared),
                   full = (unsigned)__cvta_generic_to_shared(bars), empty = full + 8 * STAGES;
    const int group = threadIdx.x / 128, n0 = blockIdx.x * N;
    if (threadIdx.x == 0) {
        for (int s = 0; s < STAGES; s++) {
            barrier_create(full + 8 * s, 1);
            barrier_create(empty + 8 * s, WGS);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x < 32)
        for (int c = 0; c < pipeline<WGS>::AHEAD; c++)
            fetch_weights<N, WGS>(g, stages, full, empty, n0, c);
    cu_wait();
    multiply_group<N, WGS, FAST>(g, stages, full, empty, (blockIdx.y * WGS + group) * 64, n0,
                                 (float *)(shared + STAGES * STAGE_BYTES * N) +
                                     group * 64 * (N + 8));
#else
    (void)g;
#endif
}

template <int N, int WGS> static constexpr int shared_bytes(void)
{
    return pipeline<WGS>::STAGES * STAGE_BYTES * N + WGS * 64 * (N + 8) * 4;
}

template <int N, int WGS, int FAST>
static void launch(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    const dim3 grid((cu_columns(g) + N - 1) / N, (g->rows + 64 * WGS - 1) / (64 * WGS));
    cu_launch(s, stream, grid, WGS * 128, shared_bytes<N, WGS>(), multiply_warpgroups<N, WGS, FAST>,
              *g);
}

/* Tiles, and how many blocks of them share a processor. */
static const struct {
    int n, groups, blocks;
} tiles[] = {{128, 2, 1}, {96, 2, 1}, {128, 1, 2}, {96, 1, 2}, {64, 1, 3}};

/* The tile that should take the least time, counted in clock cycles: rounds over the card times chunks,
 * bound by the matrix units or by latency, and what follows them. */
static int best_tile(const cu_gemm<float> *g)
{
    const int chunks = g->m.k_pad / CU_CHUNK;
    int best = 0;
    double least = INFINITY;
    for (int k = 0; k < (int)(sizeof tiles / sizeof *tiles); k++) {
        const double blocks = ceil((double)cu_columns(g) / tiles[k].n) *
                              ceil((double)g->rows / (64 * tiles[k].groups)),
                     each = ceil(blocks / g->processors), /* blocks of one processor in all */
            rounds = ceil(each / tiles[k].blocks),
                     together = (each < tiles[k].blocks ? each : tiles[k].blocks) * tiles[k].groups,
                     units = together * 3.0 * tiles[k].n,
                     time = rounds * (chunks * (units > 600.0 ? units : 600.0) +
                                      together * tiles[k].n * 25.0 + 2000.0);
        if (time < least) {
            least = time;
            best = k;
        }
    }
    return best;
}

template <int FAST> static void multiply(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    switch (best_tile(g)) {
    case 0:
        launch<128, 2, FAST>(s, stream, g);
        break;
    case 1:
        launch<96, 2, FAST>(s, stream, g);
        break;
    case 2:
        launch<128, 1, FAST>(s, stream, g);
        break;
    case 3:
        launch<96, 1, FAST>(s, stream, g);
        break;
    default:
        launch<64, 1, FAST>(s, stream, g);
        break;
    }
}

void cu_multiply_warpgroups(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    if (g->fast)
        multiply<1>(s, stream, g);
    else
        multiply<0>(s, stream, g);
}

template <int N, int WGS> static void prepare(void)
{
    cudaFuncSetAttribute(multiply_warpgroups<N, WGS, 0>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes<N, WGS>());
    cudaFuncSetAttribute(multiply_warpgroups<N, WGS, 1>,
                         cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes<N, WGS>());
}

void cu_warpgroups_prepare(void)
{
    prepare<128, 2>();
    prepare<96, 2>();
    prepare<128, 1>();
    prepare<96, 1>();
    prepare<64, 1>();
}

int cu_have_warpgroups(void)
{
#if defined(AIM_CUDA_90A)
    return 1;
#else
    return 0;
#endif
}
