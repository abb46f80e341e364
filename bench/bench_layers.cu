/* SPDX-License-Identifier: MIT */
/* bench_layers.cu - the dense layers of an evaluation on a card, alone: the products of the full-size
 * network, forward and backward, for so many rows (atoms).
 *
 *     bench_layers [ROWS...]
 *
 * Lines: rows, median of all products together, of each kind of product, in microseconds; then of the layers of all
 * passes as an evaluation of one structure takes them, of each pass. */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "backend/cuda/gemm.h"

int cu_overlap; /* of module.cu */

enum { RUNS = 15 };

static void check(cudaError_t code)
{
    if (code == cudaSuccess)
        return;
    fprintf(stderr, "bench_layers: %s\n", cudaGetErrorString(code));
    exit(1);
}

static float *room(size_t count)
{
    float *p;
    check(cudaMalloc(&p, count * sizeof(float)));
    check(cudaMemset(p, 0, count * sizeof(float)));
    return p;
}

/* evenly distributed between -1 and 1 */
__global__ void fill(float *p, size_t count)
{
    for (size_t k = blockIdx.x * (size_t)blockDim.x + threadIdx.x; k < count;
         k += (size_t)gridDim.x * blockDim.x) {
        unsigned h = (unsigned)k * 2654435761u;
        h = (h ^ h >> 15) * 2246822519u;
        h = (h ^ h >> 13) * 3266489917u;
        p[k] = (float)(int)(h ^ h >> 16) * 0x1p-31f;
    }
}

__global__ void fill_max(unsigned *p, int count)
{
    const int k = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (k < count)
        p[k] = 0x3f800000u; /* 1 */
}

static const struct product {
    int n_in, n_out, mode, times;
} products[] = {
    {704, 512, CU_FORWARD, 1},  {733, 512, CU_FORWARD, 2},  {512, 380, CU_FORWARD, 3},
    {380, 258, CU_UPDATE, 2},   {380, 256, CU_FORWARD, 1},  {256, 128, CU_FORWARD, 1},
    {128, 128, CU_FORWARD, 1},  {128, 128, CU_BACKWARD, 1}, {128, 256, CU_BACKWARD, 1},
    {258, 380, CU_BACKWARD, 3}, {380, 512, CU_BACKWARD, 3}, {512, 704, CU_BACKWARD, 1},
    {512, 733, CU_BACKWARD, 2},
};
enum { COUNT = sizeof products / sizeof *products };

static cu_gemm<float> prepare(cu_state *s, const product &p, int rows, const cudaDeviceProp &card)
{
    const int ld = cu_round_up(p.n_in, CU_CHUNK), ldy = cu_round_up(p.n_out, CU_CHUNK);
    float *w = room((size_t)p.n_in * p.n_out), *x = room((size_t)rows * ld);
    unsigned *xmax = (unsigned *)room(rows);
    cu_gemm<float> g = {};
    g.m = {p.n_in, p.n_out, ld, cu_pad_columns(p.n_out), NULL, NULL};
    g.m.w = room((size_t)g.m.k_pad * g.m.n_pad);
    g.m.scale = room(g.m.n_pad);
    fill<<<1024, 256>>>(w, (size_t)p.n_in * p.n_out);
    fill<<<1024, 256>>>(x, (size_t)rows * ld);
    fill_max<<<(rows + 255) / 256, 256>>>(xmax, rows);
    cu_pack(s, 0, 0, w, p.n_out, p.n_in, 0, &g.m);
    g.rows = rows;
    g.mode = p.mode;
    g.gelu = p.mode == CU_FORWARD;
    g.x = x;
    g.ldx = ld;
    g.xmax = xmax;
    g.bias = room(ldy);
    g.y = room((size_t)rows * ldy);
    g.ldy = p.mode == CU_UPDATE ? p.n_out : ldy;
    g.ymax = p.mode == CU_UPDATE ? NULL : (unsigned *)room(rows);
    g.slope = p.mode == CU_UPDATE ? NULL : room((size_t)rows * ldy);
    g.ldslope = ldy;
    g.old = room((size_t)rows * ldy);
    g.ldold = ldy;
    g.fa = p.n_out - 2;
    g.charges = room(2 * (size_t)rows);
    g.ldcharges = 2;
    g.processors = card.multiProcessorCount;
    g.warpgroups = card.major == 9 && cu_have_warpgroups();
    check(cudaDeviceSynchronize());
    return g;
}

template <typename F, typename G>
static double median_us(cudaStream_t stream, F work, G before /* not timed */)
{
    cudaEvent_t from, to;
    check(cudaEventCreate(&from));
    check(cudaEventCreate(&to));
    std::vector<float> ms(RUNS);
    for (int k = -2; k < RUNS; k++) {
        before();
        check(cudaEventRecord(from, stream));
        work();
        check(cudaEventRecord(to, stream));
        check(cudaEventSynchronize(to));
        if (k >= 0)
            check(cudaEventElapsedTime(&ms[k], from, to));
    }
    std::sort(ms.begin(), ms.end());
    return 1e3 * ms[RUNS / 2];
}
template <typename F> static double median_us(cudaStream_t stream, F work)
{
    return median_us(stream, work, []() {});
}

/* Layers of the passes and the head, one after the other, as the card takes them together: sizes from
 * the first input on; 0 ends them. */
static const struct pass {
    int mode, update, width[8];
} passes[] = {
    {CU_FORWARD, 1, {448, 512, 380, 258}},
    {CU_FORWARD, 1, {733, 512, 380, 258}},
    {CU_FORWARD, 0, {733, 512, 380, 256, 128, 128}},
    {CU_BACKWARD, 0, {128, 128, 256, 380, 512, 733}},
    {CU_BACKWARD, 0, {258, 380, 512, 733}},
    {CU_BACKWARD, 0, {258, 380, 512, 448}},
};

static cu_layers<float> prepare(cu_state *s, const pass &p, int rows, const cudaDeviceProp &card)
{
    cu_layers<float> list;
    list.n = 0;
    for (int l = 0; p.width[l + 1]; l++) {
        const int last = !p.width[l + 2];
        const product one = {p.width[l], p.width[l + 1], last && p.update ? (int)CU_UPDATE : p.mode,
                             1};
        cu_gemm<float> g = prepare(s, one, rows, card);
        if (l) {
            cudaFree((void *)g.x), cudaFree((void *)g.xmax);
            g.x = list.g[l - 1].y;
            g.xmax = list.g[l - 1].ymax;
        }
        g.ldbias = cu_round_up(one.n_out, CU_CHUNK);
        g.inner = !last;
        list.g[list.n++] = g;
    }
    return list;
}

/* All of them, each pass in as few kernels as it goes. */
static void time_passes(cu_state *s, cudaStream_t stream, int rows, const cudaDeviceProp &card)
{
    const size_t bytes = cu_layers_room(rows, 733);
    char *between = bytes ? (char *)room(bytes / sizeof(float)) : NULL;
    const size_t count = sizeof passes / sizeof *passes * (size_t)rows;
    unsigned *counters = cu_relay_gains(rows, card.multiProcessorCount) ? (unsigned *)room(count) : NULL;
    const auto clear = [&]() {
        if (counters)
            check(cudaMemsetAsync(counters, 0, count * sizeof *counters, stream));
    };
    std::vector<cu_layers<float>> lists;
    for (const pass &p : passes)
        lists.push_back(prepare(s, p, rows, card));
    const auto run = [&](int k) {
        cu_layers<float> list = lists[k];
        cu_multiply_all(s, stream, &list, between, counters ? counters + (size_t)k * rows : NULL);
    };
    const auto all = [&]() {
        for (size_t k = 0; k < lists.size(); k++)
            run((int)k);
    };
    printf("%d rows, passes: %.0f us;", rows, median_us(stream, all, clear));
    for (size_t k = 0; k < lists.size(); k++)
        printf(" %c %d..%d %.1f", passes[k].mode == CU_BACKWARD ? 'b' : 'f', passes[k].width[0],
               lists[k].g[lists[k].n - 1].m.n_out, median_us(stream, [&]() { run((int)k); }, clear));
    printf("\n");
    check(s->code);
}

int main(int argc, char **argv)
{
    cudaDeviceProp card;
    cudaStream_t stream;
    cu_state s = {cudaSuccess, NULL};
    check(cudaGetDeviceProperties(&card, 0));
    check(cudaStreamCreate(&stream));
    cu_overlap = card.major >= 9;
    cu_multiply_prepare(&s);
    for (int a = 1; a < argc; a++) {
        const int rows = atoi(argv[a]);
        std::vector<cu_gemm<float>> g;
        for (const product &p : products)
            g.push_back(prepare(&s, p, rows, card));
        const double all = median_us(stream, [&]() {
            for (int k = 0; k < COUNT; k++)
                for (int i = 0; i < products[k].times; i++)
                    cu_multiply(&s, stream, &g[k]);
        });
        printf("%d rows: %.0f us;", rows, all);
        for (int k = 0; k < COUNT; k++) {
            static const char kind[] = {'f', 'u', 'b'};
            const product &p = products[k];
            printf(" %c%dx%d %.1f",
                   kind[p.mode == CU_UPDATE     ? 1
                        : p.mode == CU_BACKWARD ? 2
                                                : 0],
                   p.n_in, p.n_out, median_us(stream, [&]() { cu_multiply(&s, stream, &g[k]); }));
        }
        printf("\n");
        check(s.code);
        for (const cu_gemm<float> &one : g) {
            cudaFree(one.m.w), cudaFree(one.m.scale), cudaFree((void *)one.x), cudaFree(one.y);
            cudaFree((void *)one.xmax), cudaFree((void *)one.bias), cudaFree(one.ymax);
            cudaFree(one.slope), cudaFree((void *)one.old), cudaFree(one.charges);
        }
        time_passes(&s, stream, rows, card);
    }
    return 0;
}
