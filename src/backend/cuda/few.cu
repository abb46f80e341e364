/* SPDX-License-Identifier: MIT */
/* few.cu - dense layers of few rows (gemm.h: how they are computed), with what stands in front of them
 * (front.h), in tiles of 8 R rows and 16 C columns. The columns are the rows of the matrix instructions,
 * which so have eight rows of x instead of sixteen: a block reads its rows at 64 bytes per cycle from when
 * they are there, and that is most of its time. */
#include <cuda_pipeline.h>

#include "backend/cuda/few.h"

enum {
    MOST_ROWS = 160,
    MOST_WARPS = 16,
    MOST_THREADS = 32 * MOST_WARPS,
    ALONE = 116 << 10, /* bytes of which a Hopper's processor has not twice as many */
    EIGHTS = CU_BLOCK / 4 /* packed weights of eight columns in a step, in words */
};

/* What a block has of a product. Sums of a step stand in eights of columns, these in rows of eight; the
 * strides between eights spread the elements of a warp over the banks. Before that the step's weights
 * stand there. */
template <int R, int C> struct few {
    static constexpr int ROWS = 8 * R, COLUMNS = 16 * C, ENDS = ROWS * COLUMNS;
    static constexpr int EACH = ENDS > MOST_THREADS ? ENDS / MOST_THREADS : 1; /* ends of a thread */
    static constexpr int CHUNKS = EACH > 1 ? 1 : 2;                            /* most of a warp */
    static constexpr int EIGHT = C == 1 ? 80 : 72, TILE = 144;
    static constexpr int STEP = R == 1 ? 2 * C * EIGHTS : R * C * TILE;
    static __device__ __forceinline__ int at(int r, int col)
    {
        return (r / 8 * C + col / 16) * TILE + col / 8 % 2 * EIGHT + r % 8 * 8 + col % 8;
    }
};

/* ---------------------------------------------------------------- products */

/* Asks for the weights of a chunk: a step's of neighbouring columns lie together. */
template <int R, int C, int FAST>
static __device__ __forceinline__ void ask_weights(const cu_gemm<float> &g, int c, int n0, float *part)
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int ks = 0; ks < FEW_STEPS; ks++) {
        const float *from = (const float *)((const char *)g.m.w + packed_at(g.m, c, n0, 2 * ks));
        float *to = part + (c * FEW_STEPS + ks) * few<R, C>::STEP;
#pragma unroll
        for (int k = 0; k < 2 * C; k++)
            if (!FAST || lane < 16) /* the upper halves come first */
                __pipeline_memcpy_async(to + k * EIGHTS + lane * 4, from + k * EIGHTS + lane * 4, 16);
    }
}

/* Operands of the instructions: one plane of 16 columns in a step. */
static __device__ __forceinline__ void load_weights(unsigned w[4], const float *step, int n, int plane)
{
    /* lanes 8 k .. 8 k + 7 have the addresses of matrix k: columns 0 and 8 of the first half, then of
     * the second */
    const int lane = threadIdx.x % 32, k = lane / 8;
    const float *from = step + (2 * n + k % 2) * EIGHTS + plane * (EIGHTS / 2) + k / 2 * (EIGHTS / 4) +
                        lane % 8 * 4;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
                 : "r"((unsigned)__cvta_generic_to_shared(from))
                 : "memory");
}

/* Sums of the two steps of a chunk, in place of their weights. */
template <int R, int C, int FAST>
static __device__ __forceinline__ void few_chunk(const few_rows<R> &rows, int c, const float scale[R],
                                                 float *part)
{
    using B = few<R, C>;
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int ks = 0; ks < FEW_STEPS; ks++) {
        float *step = part + (c * FEW_STEPS + ks) * B::STEP, sum[R][C][4] = {};
        unsigned w[C][2][4], h[R][2], l[R][2];
#pragma unroll
        for (int n = 0; n < C; n++)
#pragma unroll
            for (int plane = 0; plane < (FAST ? 1 : 2); plane++)
                load_weights(w[n][plane], step, n, plane);
        __syncwarp();
#pragma unroll
        for (int r = 0; r < R; r++)
            split4(rows.x[ks][r], scale[r], h[r], l[r]);
#pragma unroll
        for (int turn = FAST ? 2 : 0; turn < 3; turn++) /* lo hi, hi lo, hi hi */
#pragma unroll
            for (int r = 0; r < R; r++)
#pragma unroll
                for (int n = 0; n < C; n++)
                    if (turn == 0)
                        mma(sum[r][n], w[n][0], l[r][0], l[r][1]);
                    else
                        mma(sum[r][n], w[n][turn == 1], h[r][0], h[r][1]);
#pragma unroll
        for (int r = 0; r < R; r++)
#pragma unroll
            for (int n = 0; n < C; n++) {
                float *to = step + B::at(r * 8 + lane % 4, n * 16 + lane / 4);
                to[0] = sum[r][n][0];
                to[32] = sum[r][n][1]; /* four rows further */
                to[B::EIGHT] = sum[r][n][2];
                to[B::EIGHT + 32] = sum[r][n][3];
            }
    }
}

/* The largest magnitude of each row, from the chunks that the warps have. */
template <int R>
static __device__ __forceinline__ void find_largest(const few_rows<R> &rows, unsigned *largest)
{
#pragma unroll
    for (int r = 0; r < R; r++) {
        unsigned bits = 0;
#pragma unroll
        for (int ks = 0; ks < FEW_STEPS; ks++) {
            const float4 v = rows.x[ks][r];
            bits = max(bits, max(max(cu_bits(v.x), cu_bits(v.y)), max(cu_bits(v.z), cu_bits(v.w))));
        }
        bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, 1));
        bits = max(bits, __shfl_xor_sync(0xffffffffu, bits, 2));
        if (threadIdx.x % 4 == 0)
            atomicMax(largest + r * 8 + own_row(), bits);
    }
}

/* ---------------------------------------------------------------- kernels */

/* The largest of the lanes that have the same row. */
template <int COLUMNS>
static __device__ __forceinline__ unsigned largest_of_row(unsigned bits)
{
    if (COLUMNS == 32)
        return __reduce_max_sync(0xffffffffu, bits);
    const int upper = threadIdx.x & 16;
    const unsigned first = __reduce_max_sync(0xffffffffu, upper ? 0u : bits),
                   second = __reduce_max_sync(0xffffffffu, upper ? bits : 0u);
    return upper ? second : first;
}

/* The end of an element of the tile. */
template <int R, int C>
static __device__ __forceinline__ void end_element(const cu_gemm<float> &g, int element, int m0, int n0,
                                                   const ahead &own, float own_scale,
                                                   const float *part)
{
    using B = few<R, C>;
    const int r = element / B::COLUMNS, col = element % B::COLUMNS, row = m0 + r;
    const float *steps = part + B::at(r, col);
    float total = 0.0f, inverse;
#pragma unroll 16
    for (int k = 0; k < g.m.k_pad / CU_STEP; k++)
        total += steps[k * B::STEP];
    unsigned bits = 0;
    if (row < g.rows) {
        row_scale(own.max, &inverse);
        bits = cu_bits(finish_few(g, row, n0 + col, total * inverse * own_scale, own));
    }
    if (!g.ymax)
        return;
    bits = largest_of_row<B::COLUMNS>(bits);
    if (row < g.rows && col == 0)
        atomicMax(g.ymax + row, bits);
}

/* Warps share the chunks, whose steps meet in shared memory and are added in order: for a handful of
 * atoms this reads the weights with the whole card, and it does so before the rows are there, beside
 * the block of the kernel before. Rows that are made take a chunk for each warp. */
template <int R, int C, int FAST, typename front>
static __device__ __forceinline__ void multiply_block(const cu_gemm<float> &g, front rows)
{
    using B = few<R, C>;
    constexpr int CHUNKS = front::MAKES ? 1 : B::CHUNKS;
    extern __shared__ __align__(16) float part[]; /* [chunks][2][STEP] */
    __shared__ unsigned largest[B::ROWS];
    const int warp = threadIdx.x / 32, warps = blockDim.x / 32, chunks = g.m.k_pad / CU_CHUNK;
    const int m0 = blockIdx.y * B::ROWS, n0 = blockIdx.x * B::COLUMNS;
    float own_scale[B::EACH], own_bias[B::EACH], scale[R], inverse;
    few_rows<R> x[CHUNKS];
    ahead own[B::EACH];
#pragma unroll
    for (int k = 0; k < CHUNKS; k++)
        if (warp + k * warps < chunks)
            ask_weights<R, C, FAST>(g, warp + k * warps, n0, part);
#pragma unroll
    for (int k = 0; k < B::EACH; k++) {
        const int col = n0 + (threadIdx.x + k * MOST_THREADS) % B::COLUMNS;
        own_scale[k] = g.m.scale[col];
        own_bias[k] =
            g.mode != CU_BACKWARD && !g.bias_row && col < g.ldy ? g.bias[col] : 0.0f;
    }
    rows.prepare(warp);
    if (front::MAKES && threadIdx.x < B::ROWS)
        largest[threadIdx.x] = 0;
    cu_wait();
#pragma unroll
    for (int k = 0; k < CHUNKS; k++)
        if (warp + k * warps < chunks)
            rows.read(g, warp + k * warps, m0, &x[k]);
    unsigned bits[R];
    if (!front::MAKES)
#pragma unroll
        for (int k = 0; k < R; k++)
            bits[k] = g.xmax[min(m0 + k * 8 + own_row(), g.rows - 1)];
#pragma unroll
    for (int k = 0; k < B::EACH; k++) {
        const int element = threadIdx.x + k * MOST_THREADS;
        own[k] = ahead{};
        if (element < B::ENDS)
            own[k] = read_ahead<front::MAKES>(g, m0 + element / B::COLUMNS, n0 + element % B::COLUMNS,
                                              own_bias[k]);
    }
    if (front::MAKES) {
        __syncthreads();
#pragma unroll
        for (int k = 0; k < CHUNKS; k++)
            if (warp + k * warps < chunks)
                find_largest(x[k], largest);
        __syncthreads();
#pragma unroll
        for (int k = 0; k < R; k++)
            bits[k] = largest[k * 8 + own_row()];
#pragma unroll
        for (int k = 0; k < B::EACH; k++)
            own[k].max = largest[(threadIdx.x + k * MOST_THREADS) / B::COLUMNS % B::ROWS];
    }
#pragma unroll
    for (int k = 0; k < R; k++)
        scale[k] = row_scale(bits[k], &inverse);
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncwarp();
#pragma unroll
    for (int k = 0; k < CHUNKS; k++)
        if (warp + k * warps < chunks)
            few_chunk<R, C, FAST>(x[k], warp + k * warps, scale, part);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < B::EACH; k++)
        if (threadIdx.x + k * MOST_THREADS < B::ENDS)
            end_element<R, C>(g, threadIdx.x + k * MOST_THREADS, m0, n0, own[k], own_scale[k], part);
}

/* Of larger tiles, two blocks on a processor would be each other's. */
#define KERNEL __global__ void __launch_bounds__(MOST_THREADS, C == 2 ? 1 : 2)

template <int R, int C, int FAST> KERNEL multiply_few(const __grid_constant__ cu_gemm<float> g)
{
    multiply_block<R, C, FAST>(g, plain_front{});
}

template <int R, int C, int FAST>
KERNEL multiply_pass(const __grid_constant__ cu_gemm<float> g,
                     const __grid_constant__ cu_pass_front<float> p)
{
    multiply_block<R, C, FAST>(g, pass_front{p});
}

template <int R, int C, int FAST>
KERNEL multiply_head(const __grid_constant__ cu_gemm<float> g,
                     const __grid_constant__ cu_head_out<float> h)
{
    multiply_block<R, C, FAST>(g, head_front{h, {}});
}

/* ---------------------------------------------------------------- launches */

static int count_blocks(const cu_gemm<float> *g, int rows, int columns)
{
    return (g->rows + rows - 1) / rows * ((cu_columns(g) + columns - 1) / columns);
}

template <int R, int C> static int bytes_of(int chunks)
{
    return chunks * FEW_STEPS * few<R, C>::STEP * (int)sizeof(float);
}

/* 0: 8 x 16; 1: 16 x 16; 2: 16 x 32; 3: 32 x 32. The smallest whose blocks find a processor each. */
static int choose_tile(const cu_gemm<float> *g)
{
    const int first = count_blocks(g, 8, 16) <= g->processors    ? 0
                      : count_blocks(g, 16, 16) <= g->processors ? 1
                      : count_blocks(g, 16, 32) <= g->processors ? 2
                                                                 : 3;
    const int chunks = g->m.k_pad / CU_CHUNK;
    if (first > 1 && !g->warpgroups && bytes_of<2, 2>(chunks) > FEW_PART)
        return 1;
    return first == 3 && (chunks > MOST_WARPS || !g->warpgroups) ? 2 : first;
}

int cu_few_fits(const cu_gemm<float> *g)
{
    return g->rows <= MOST_ROWS && g->m.k_pad / CU_CHUNK <= 2 * MOST_WARPS;
}

/* Whether rows can be made: a chunk for each warp. */
static int makes_rows(const cu_gemm<float> *g)
{
    return cu_few_fits(g) && g->m.k_pad / CU_CHUNK <= MOST_WARPS;
}

/* Small blocks take more than they need, so that no processor has two of them while another has none. */
template <int R, int C> static int taken(const cu_gemm<float> *g)
{
    const int bytes = bytes_of<R, C>(g->m.k_pad / CU_CHUNK);
    return C == 1 && g->warpgroups && bytes < ALONE ? ALONE : bytes;
}

template <int R, int C, typename... P, typename... A>
static void launch(cu_state *s, cudaStream_t stream, void (*kernel)(cu_gemm<float>, P...),
                   const cu_gemm<float> *g, const A &...more)
{
    using B = few<R, C>;
    const int chunks = g->m.k_pad / CU_CHUNK, least = B::ENDS / B::EACH / 32,
              warps = chunks < least ? least : chunks < MOST_WARPS ? chunks : MOST_WARPS;
    cu_launch(s, stream,
              dim3((cu_columns(g) + B::COLUMNS - 1) / B::COLUMNS, (g->rows + B::ROWS - 1) / B::ROWS),
              warps * 32, taken<R, C>(g), kernel, *g, more...);
}

#define LAUNCH(R, C, kernel, ...)                                                                  \
    (g->fast ? launch<R, C>(s, stream, kernel<R, C, 1>, g, ##__VA_ARGS__)                          \
             : launch<R, C>(s, stream, kernel<R, C, 0>, g, ##__VA_ARGS__))
#define CHOOSE(kernel, ...)                                                                        \
    switch (choose_tile(g)) {                                                                      \
    case 0:                                                                                        \
        LAUNCH(1, 1, kernel, ##__VA_ARGS__);                                                       \
        break;                                                                                     \
    case 1:                                                                                        \
        LAUNCH(2, 1, kernel, ##__VA_ARGS__);                                                       \
        break;                                                                                     \
    case 2:                                                                                        \
        LAUNCH(2, 2, kernel, ##__VA_ARGS__);                                                       \
        break;                                                                                     \
    default:                                                                                       \
        LAUNCH(4, 2, kernel, ##__VA_ARGS__);                                                       \
    }

template <int R, int C, typename... P>
static void allow(void (*kernel)(cu_gemm<float>, P...), void (*fast)(cu_gemm<float>, P...))
{
    int device = 0, most = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
    most -= 1024; /* of the kernel itself */
    const int own = bytes_of<R, C>(few<R, C>::CHUNKS * MOST_WARPS),
              wanted = own < ALONE ? ALONE : own, bytes = wanted < most ? wanted : most;
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    cudaFuncSetAttribute(fast, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
}

#define ALLOW(kernel)                                                                              \
    allow<1, 1>(kernel<1, 1, 0>, kernel<1, 1, 1>), allow<2, 1>(kernel<2, 1, 0>, kernel<2, 1, 1>),  \
        allow<2, 2>(kernel<2, 2, 0>, kernel<2, 2, 1>), allow<4, 2>(kernel<4, 2, 0>, kernel<4, 2, 1>)

void cu_few_prepare(void)
{
    ALLOW(multiply_few);
    ALLOW(multiply_pass);
    ALLOW(multiply_head);
}

void cu_multiply_few(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g)
{
    CHOOSE(multiply_few);
}

template <typename real>
static void make_rows(cu_state *s, cudaStream_t stream, const cu_gemm<real> *g,
                      const cu_pass_front<real> *p)
{
    cu_pass_adjoint(s, stream, g->rows, p, (real *)g->x, g->ldx, (unsigned *)g->xmax);
    cu_multiply(s, stream, g);
}

template <>
void cu_multiply_pass(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                      const cu_pass_front<float> *front)
{
    cu_pass_front<float> p = *front;
    if (!makes_rows(g) || p.fa % CU_CHUNK != 0) {
        make_rows(s, stream, g, &p);
        return;
    }
    if (p.has_charges && !cu_alone(&p.charges)) {
        cu_charge_backward(s, stream, &p.charges);
        p.has_charges = 0;
    }
    CHOOSE(multiply_pass, p);
    cu_check(s, "the adjoint of a pass");
}

template <>
void cu_multiply_head(cu_state *s, cudaStream_t stream, const cu_gemm<float> *g,
                      const cu_head_out<float> *head)
{
    if (makes_rows(g) && head->n_in % 4 == 0) {
        CHOOSE(multiply_head, *head);
        cu_check(s, "the adjoint of a head");
        return;
    }
    cu_head_backward(s, stream, head);
    cu_multiply(s, stream, g);
}

template <>
void cu_multiply_pass(cu_state *s, cudaStream_t stream, const cu_gemm<double> *g,
                      const cu_pass_front<double> *p)
{
    make_rows(s, stream, g, p);
}
template <>
void cu_multiply_head(cu_state *s, cudaStream_t stream, const cu_gemm<double> *g,
                      const cu_head_out<double> *head)
{
    cu_head_backward(s, stream, head);
    cu_multiply(s, stream, g);
}
