/* SPDX-License-Identifier: MIT */
/* test_multiply.cu - the dense layers of the CUDA module against sums in double: error compared with
 * that of ordinary float arithmetic, no bias (the error's regression on the value), the same bits for
 * any number of rows and from every kernel, whatever follows the product, and of layers in one kernel.
 * Exit status 77: no GPU.
 *     test_multiply [few|relay]     for compute-sanitizer: the first shapes only; layers in one launch by counters alone */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <algorithm>
#include <vector>

#include "backend/cuda/gemm.h"

static unsigned long long state = 1;
static double uniform(void)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(state >> 11) / 9007199254740992.0;
}
static float normal(void)
{
    return (float)(sqrt(-2.0 * log(uniform() + 1e-300)) * cos(6.283185307179586 * uniform()));
}

template <typename T> static T *to_device(const std::vector<T> &v)
{
    T *p;
    cudaMalloc(&p, v.size() * sizeof(T));
    cudaMemcpy(p, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice);
    return p;
}

int cu_overlap; /* of module.cu */

/* v belongs to the row whose largest magnitude this is, in bits. */
static void note_largest(unsigned *max, float v)
{
    const float a = fabsf(v);
    unsigned bits;
    memcpy(&bits, &a, 4);
    *max = bits > *max ? bits : *max;
}

/* Weights [n_out][n_in], packed on the card. */
static cu_matrix pack(cu_state *st, cudaStream_t stream, const std::vector<float> &w, int n_in,
                      int n_out)
{
    cu_matrix m = {n_in, n_out, cu_round_up(n_in, CU_CHUNK), cu_pad_columns(n_out), NULL, NULL};
    float *dw = to_device(w);
    cudaMalloc(&m.w, (size_t)m.k_pad * m.n_pad * 4);
    cudaMalloc((void **)&m.scale, m.n_pad * 4);
    cu_pack(st, stream, 0, dw, n_out, n_in, 0, &m);
    cudaStreamSynchronize(stream);
    cudaFree(dw);
    return m;
}

enum { RANDOM, POSITIVE, ACTIVATIONS }; /* POSITIVE: sums without cancellation */
typedef struct shape {
    int n_in, n_out, kind;
} shape;

static int failures;

static void check(const shape s, int warpgroups, cudaStream_t stream)
{
    const int rows = 600, ld = cu_round_up(s.n_in, CU_CHUNK), ldy = cu_round_up(s.n_out, CU_CHUNK);
    std::vector<float> x((size_t)rows * ld, 0.0f), w((size_t)s.n_out * s.n_in), bias(ldy, 0.0f),
        y((size_t)rows * ldy), few((size_t)rows * ldy), quick((size_t)rows * ldy);
    std::vector<unsigned> max(rows, 0u);
    for (int r = 0; r < rows; r++) {
        const float scale = expf(3.0f * normal());
        for (int k = 0; k < s.n_in; k++) {
            float v = scale * normal();
            if (s.kind == POSITIVE)
                v = fabsf(v);
            if (s.kind == ACTIVATIONS)
                v = v > 0.0f ? v : 0.1f * v;
            x[(size_t)r * ld + k] = v;
            note_largest(&max[r], v);
        }
    }
    for (size_t k = 0; k < w.size(); k++)
        w[k] = s.kind == POSITIVE ? fabsf(0.1f * normal()) : 0.1f * normal();
    float *dx = to_device(x), *db = to_device(bias), *dy = to_device(y);
    unsigned *dm = to_device(max);
    cu_state st = {cudaSuccess, NULL};
    const cu_matrix m = pack(&st, stream, w, s.n_in, s.n_out);
    cu_gemm<float> g = {};
    g.rows = rows;
    g.mode = CU_FORWARD;
    g.x = dx;
    g.ldx = ld;
    g.xmax = dm;
    g.m = m;
    g.bias = db;
    g.y = dy;
    g.ldy = ldy;
    g.processors = 132;
    g.warpgroups = warpgroups;
    cu_multiply(&st, stream, &g);
    cudaStreamSynchronize(stream);
    cudaMemcpy(y.data(), dy, y.size() * 4, cudaMemcpyDeviceToHost);
    int same = 1;
    for (int kernel = 0; kernel < 2; kernel++) { /* the same rows, a few at a time; other kernels */
        const int step = kernel ? 300 : 50;
        cudaMemset(dy, 255, y.size() * 4);
        g.warpgroups = 0;
        for (int r = 0; r < rows; r += step) {
            g.rows = step;
            g.x = dx + (size_t)r * ld;
            g.xmax = dm + r;
            g.y = dy + (size_t)r * ldy;
            cu_multiply(&st, stream, &g);
        }
        cudaStreamSynchronize(stream);
        cudaMemcpy(few.data(), dy, few.size() * 4, cudaMemcpyDeviceToHost);
        same &= memcmp(y.data(), few.data(), y.size() * 4) == 0;
    }
    g.rows = rows;
    g.x = dx;
    g.xmax = dm;
    g.y = dy;
    for (int k = 0, columns; warpgroups && (columns = cu_wide_columns(&g, k)) != 0; k++) {
        cudaMemset(dy, 255, y.size() * 4);
        cu_multiply_wide(&st, stream, &g, columns);
        cudaStreamSynchronize(stream);
        cudaMemcpy(few.data(), dy, few.size() * 4, cudaMemcpyDeviceToHost);
        same &= memcmp(y.data(), few.data(), y.size() * 4) == 0;
    }
    g.fast = 1;
    for (int kernel = 0; kernel < 2; kernel++) {
        g.warpgroups = kernel && warpgroups;
        cu_multiply(&st, stream, &g);
        cudaStreamSynchronize(stream);
        std::vector<float> &to = kernel ? few : quick;
        cudaMemcpy(to.data(), dy, to.size() * 4, cudaMemcpyDeviceToHost);
    }
    same &= memcmp(quick.data(), few.data(), few.size() * 4) == 0;
    double error = 0, along = 0, plain = 0, size = 0, square = 0, rough = 0;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < s.n_out; c++) {
            double exact = 0, mass = 0;
            float chunked = 0;
            for (int k0 = 0; k0 < s.n_in; k0 += 32) {
                float part = 0;
                for (int k = k0; k < s.n_in && k < k0 + 32; k++) {
                    const float a = x[(size_t)r * ld + k], b = w[(size_t)c * s.n_in + k];
                    exact += (double)a * (double)b;
                    mass += (double)a * a * (double)b * b;
                    part = fmaf(a, b, part);
                }
                chunked += part;
            }
            const double norm = s.kind == POSITIVE ? exact : sqrt(mass), own = exact / norm;
            const double e = ((double)y[(size_t)r * ldy + c] - exact) / norm;
            error += e * e;
            along += e * own;
            square += own * own;
            const double f = ((double)quick[(size_t)r * ldy + c] - exact) / norm;
            rough += f * f;
            plain += ((double)chunked - exact) / norm * (((double)chunked - exact) / norm);
            size += 1;
        }
    error = sqrt(error / size);
    plain = sqrt(plain / size);
    const double slope = along / square;
    const int good = st.code == cudaSuccess && same && error < 1.5 * plain && fabs(slope) < 2e-8;
    failures += !good;
    printf("%s %d x %d%s: rms error %.2e (bias %+.1e), float in chunks of 32 %.2e, fast %.1e; "
           "other kernels %s\n",
           good ? "ok  " : "FAIL", s.n_out, s.n_in,
           s.kind == POSITIVE      ? " positive"
           : s.kind == ACTIVATIONS ? " activations"
                                   : "",
           error, slope, plain, sqrt(rough / size), same ? "identical" : "DIFFERENT");
    cudaFree(dx), cudaFree(db), cudaFree(dy), cudaFree(dm), cudaFree(m.w);
    cudaFree(m.scale);
}

/* What follows a product: the same bits from every kernel, nothing beside. */
static void check_ends(int n_in, int n_out, int mode, int gelu, int by_row, int warpgroups,
                       cudaStream_t stream)
{
    const int rows = 333, ld = cu_round_up(n_in, CU_CHUNK), update = mode == CU_UPDATE,
              ldy = update ? n_out : cu_round_up(n_out, CU_CHUNK), fa = n_out - 2,
              ldbias = cu_round_up(n_out, CU_CHUNK);
    const size_t n = (size_t)rows * ldbias;
    std::vector<float> x((size_t)rows * ld, 0.0f), w((size_t)n_out * n_in), bias(3 * ldbias, 0.0f),
        other((size_t)rows * ldbias);
    std::vector<unsigned> max(rows, 0u);
    std::vector<int> kind(rows);
    for (int r = 0; r < rows; r++) {
        kind[r] = (int)(3 * uniform());
        for (int k = 0; k < n_in; k++) {
            x[(size_t)r * ld + k] = normal();
            note_largest(&max[r], x[(size_t)r * ld + k]);
        }
    }
    for (float &v : w)
        v = 0.1f * normal();
    for (float &v : bias)
        v = normal();
    for (float &v : other)
        v = normal();
    cu_state st = {cudaSuccess, NULL};
    float *dx = to_device(x), *db = to_device(bias), *old = to_device(other);
    unsigned *dm = to_device(max);
    int *dk = to_device(kind);
    const cu_matrix m = pack(&st, stream, w, n_in, n_out);
    std::vector<unsigned char> first;
    int same = 1, kernels = 0;
    cu_gemm<float> g = {};
    g.mode = mode;
    g.gelu = gelu;
    g.m = m;
    g.ldx = ld;
    g.bias = db;
    g.ldbias = ldbias;
    g.ldy = ldy;
    g.ldslope = ldbias;
    g.ldold = ldbias;
    g.fa = fa;
    g.ldcharges = 2;
    std::vector<int> widths = {0, 1}; /* 0 .. 2: tile.cu, few rows, warpgroup.cu */
    if (warpgroups)
        widths.push_back(2);
    for (int k = 0, columns; warpgroups && (columns = cu_wide_columns(&g, k)) != 0; k++)
        widths.push_back(columns);
    for (int columns : widths) {
        std::vector<unsigned char> all((2 * n + 3 * (size_t)rows) * 4, 255);
        unsigned char *out = to_device(all);
        float *y = (float *)out, *slope = mode == CU_BACKWARD ? old : y + n,
              *charges = y + 2 * n + rows;
        g.processors = columns > 2 ? 2 : 132; /* wide.cu: several tiles for a block */
        g.warpgroups = columns == 2;
        cudaMemset(y + 2 * n, 0, rows * 4);
        const int step = columns == 1 ? 100 : rows;
        for (int r = 0; r < rows; r += step) {
            g.rows = rows - r < step ? rows - r : step;
            g.x = dx + (size_t)r * ld;
            g.xmax = dm + r;
            g.y = y + (size_t)r * (update ? fa : ldy);
            g.ymax = update ? NULL : (unsigned *)(y + 2 * n) + r;
            g.slope = slope + (size_t)r * ldbias;
            g.old = old + (size_t)r * ldbias;
            g.charges = charges + 2 * (size_t)r;
            g.bias_row = by_row ? dk + r : NULL;
            if (columns > 2)
                cu_multiply_wide(&st, stream, &g, columns);
            else
                cu_multiply(&st, stream, &g);
        }
        cudaStreamSynchronize(stream);
        cudaMemcpy(all.data(), out, all.size(), cudaMemcpyDeviceToHost);
        if (first.empty())
            first = all;
        same &= first == all;
        kernels++;
        cudaFree(out);
    }
    const int good = same && st.code == cudaSuccess;
    failures += !good;
    printf("%s %d x %d, %s%s%s: %d kernels %s\n", good ? "ok  " : "FAIL", n_out, n_in,
           update                ? "update"
           : mode == CU_BACKWARD ? "backward"
                                 : "forward",
           update && gelu ? ", activation" : "", by_row ? ", bias by row" : "", kernels,
           same ? "identical" : "DIFFERENT");
    cudaFree(dx), cudaFree(db), cudaFree(old), cudaFree(dm), cudaFree(dk);
    cudaFree(m.w), cudaFree(m.scale);
}

/* Layers from width[0] to width[1] and so on, one kernel after the other and as the card does them
 * all: the same bits of what they leave. Forward: GELU but in the last, which updates if `update`.
 * relay: together by counters, as thousands of rows go, on so many processors; 0: by clusters. */
static void check_layers(const std::vector<int> &width, int rows, int mode, int update, int by_row,
                         int relay, cudaStream_t stream)
{
    const int layers = (int)width.size() - 1, first = cu_round_up(width[0], CU_CHUNK);
    int widest = 0, at = 0;
    for (int n : width)
        widest = n > widest ? n : widest;
    const int ld = cu_round_up(widest, CU_CHUNK), ldslope = layers * ld;
    const size_t values = (size_t)rows * ld, slopes = (size_t)rows * ldslope,
                 rest = values + 3 * (size_t)cu_round_up(rows, CU_CHUNK);
    std::vector<float> x((size_t)rows * first, 0.0f), bias(3 * ld, 0.0f), slope(slopes), old(values);
    std::vector<unsigned> max(rows, 0u);
    std::vector<int> kind(rows);
    for (int r = 0; r < rows; r++) {
        kind[r] = (int)(3 * uniform());
        for (int k = 0; k < width[0]; k++) {
            x[(size_t)r * first + k] = normal();
            note_largest(&max[r], x[(size_t)r * first + k]);
        }
    }
    for (float &v : bias)
        v = normal();
    for (float &v : slope)
        v = normal();
    for (float &v : old)
        v = normal();
    cu_state st = {cudaSuccess, NULL};
    float *dx = to_device(x), *db = to_device(bias), *dold = to_device(old);
    unsigned *dm = to_device(max);
    int *dk = to_device(kind);
    std::vector<cu_matrix> m;
    for (int l = 0; l < layers; l++) {
        std::vector<float> w((size_t)width[l + 1] * width[l]);
        for (float &v : w)
            v = 0.1f * normal();
        m.push_back(pack(&st, stream, w, width[l], width[l + 1]));
    }
    char *room = NULL;
    if (!relay)
        cudaMalloc((void **)&room, cu_layers_room(rows, widest));
    std::vector<unsigned char> first_bits;
    int same = 1;
    for (int k = 0; k < 4; k++) { /* 0: one by one; then thrice together */
        std::vector<float> start(slope);
        if (mode == CU_FORWARD)
            std::fill(start.begin(), start.end(), 0.0f);
        std::vector<unsigned char> bits((rest + slopes) * 4);
        float *out, *hidden[2];
        cudaMalloc((void **)&out, bits.size());
        cudaMemset(out, 0, bits.size());
        cudaMemcpy(out + rest, start.data(), slopes * 4, cudaMemcpyHostToDevice);
        unsigned *maxima;
        cudaMalloc((void **)&maxima, (size_t)(layers + 1) * rows * 4); /* the last: counters */
        cudaMemset(maxima, 0, (size_t)(layers + 1) * rows * 4);
        for (float *&h : hidden)
            cudaMalloc((void **)&h, values * 4);
        cu_layers<float> list;
        list.n = 0;
        at = 0;
        for (int l = 0; l < layers; l++) {
            const int last = l == layers - 1, apart = k && relay; /* rows of all layers alike */
            cu_gemm<float> g = {};
            g.rows = rows;
            g.mode = last && update ? CU_UPDATE : mode;
            g.gelu = mode == CU_FORWARD && !last;
            g.warpgroups = 1;
            g.processors = relay ? relay : 132;
            g.m = m[l];
            g.x = l ? hidden[(l + 1) % 2] : dx;
            g.ldx = l && apart ? ld : m[l].k_pad;
            g.xmax = l ? maxima + (size_t)(l - 1) * rows : dm;
            g.bias = db;
            g.ldbias = ld;
            g.bias_row = by_row && l == 0 ? dk : NULL;
            g.y = last ? out : hidden[l % 2];
            g.ldy = last && update ? width[layers] : cu_round_up(width[l + 1], CU_CHUNK);
            g.pitch = !last && apart ? ld : 0;
            g.ymax = last && update ? NULL : last ? (unsigned *)(out + values) : maxima + (size_t)l * rows;
            g.slope = out + rest + at;
            g.ldslope = ldslope;
            g.fa = update ? width[layers] - 2 : 0;
            g.ldcharges = 2;
            g.charges = out + values + cu_round_up(rows, CU_CHUNK);
            g.old = dold;
            g.ldold = ld;
            g.inner = !last;
            list.g[list.n++] = g;
            at += cu_round_up(g.ldy, CU_CHUNK);
        }
        cu_multiply_all(&st, stream, &list, k ? room : NULL,
                        k && relay ? maxima + (size_t)layers * rows : NULL);
        cudaStreamSynchronize(stream);
        cudaMemcpy(bits.data(), out, bits.size(), cudaMemcpyDeviceToHost);
        if (first_bits.empty())
            first_bits = bits;
        same &= bits == first_bits;
        cudaFree(out), cudaFree(maxima), cudaFree(hidden[0]), cudaFree(hidden[1]);
    }
    const int good = same && st.code == cudaSuccess && cudaGetLastError() == cudaSuccess;
    failures += !good;
    printf("%s %d layers from %d to %d, %d rows, %s: together and one by one %s\n", good ? "ok  " : "FAIL",
           layers, width[0], width[layers], rows,
           update ? "update" : mode == CU_BACKWARD ? "backward" : "forward",
           same ? "identical" : "DIFFERENT");
    cudaFree(dx), cudaFree(db), cudaFree(dold), cudaFree(dm), cudaFree(dk), cudaFree(room);
    for (const cu_matrix &w : m)
        cudaFree(w.w), cudaFree(w.scale);
}

/* Layers together: some hundred rows, by clusters of eight, six and four blocks. */
static void check_clusters(int warpgroups, int few, cudaStream_t stream)
{
    for (int rows : {170, 333, 1002, 1100}) {
        if (!warpgroups || (few && rows > 170))
            continue;
        check_layers({448, 512, 380, 258}, rows, CU_FORWARD, 1, 1, 0, stream);
        check_layers({733, 512, 380, 258}, rows, CU_FORWARD, 1, 0, 0, stream);
        check_layers({733, 512, 380, 380, 256, 128, 128}, rows, CU_FORWARD, 0, 0, 0, stream);
        check_layers({128, 128, 256, 380, 380, 512, 733}, rows, CU_BACKWARD, 0, 0, 0, stream);
        check_layers({258, 380, 512, 448}, rows, CU_BACKWARD, 0, 0, 0, stream);
    }
}

/* Thousands of rows, by counters; on 17 processors the last layers have tiles of two widths. */
static void check_relays(int warpgroups, int few, cudaStream_t stream)
{
    for (int rows : {200, 1100, 2049}) {
        const int processors = rows == 200 ? 3 : rows == 1100 ? 17 : 132;
        if (!warpgroups || (few && rows > 200))
            continue;
        check_layers({448, 512, 380, 258}, rows, CU_FORWARD, 1, 1, processors, stream);
        check_layers({258, 380, 512, 448}, rows, CU_BACKWARD, 0, 0, processors, stream);
        if (few)
            continue;
        check_layers({733, 512, 380, 380, 256, 128, 128}, rows, CU_FORWARD, 0, 0, processors, stream);
        check_layers({128, 128, 256, 380, 380, 512, 733}, rows, CU_BACKWARD, 0, 0, processors, stream);
    }
}

int main(int argc, char **argv)
{
    const int few = argc > 1 && strcmp(argv[1], "few") == 0;
    int n = 0;
    if (cudaGetDeviceCount(&n) != cudaSuccess || n == 0) {
        printf("skipped: no GPU\n");
        return 77;
    }
    cudaDeviceProp prop;
    cudaStream_t stream;
    cu_state s = {cudaSuccess, NULL};
    if (cudaGetDeviceProperties(&prop, 0) != cudaSuccess ||
        cudaStreamCreate(&stream) != cudaSuccess)
        return 1;
    const int warpgroups = prop.major == 9 && prop.minor == 0 && cu_have_warpgroups();
    printf("%s: matrix instructions of %s\n", prop.name, warpgroups ? "four warps" : "one warp");
    cu_multiply_prepare(&s);
    if (argc > 1 && strcmp(argv[1], "relay") == 0) {
        check_relays(warpgroups, 1, stream);
        return failures != 0;
    }
    const shape shapes[] = {
        {704, 512, RANDOM},     {380, 258, RANDOM},      {733, 512, RANDOM},
        {512, 380, RANDOM},     {256, 128, RANDOM},      {128, 128, RANDOM},
        {37, 20, RANDOM},       {704, 512, POSITIVE},    {258, 380, RANDOM},
        {512, 733, POSITIVE},   {704, 512, ACTIVATIONS}, {512, 380, ACTIVATIONS},
        {380, 258, ACTIVATIONS}};
    for (size_t k = 0; k < (few ? 2 : sizeof shapes / sizeof *shapes); k++)
        check(shapes[k], warpgroups, stream);
    for (int gelu : {0, 1})
        for (int by_row : {0, 1}) {
            if (few && gelu != by_row)
                continue;
            check_ends(380, 258, CU_UPDATE, gelu, by_row, warpgroups, stream);
            check_ends(96, 18, CU_UPDATE, gelu, by_row, warpgroups, stream);
        }
    check_ends(448, 512, CU_FORWARD, 1, 1, warpgroups, stream);
    check_ends(128, 380, CU_FORWARD, 1, 0, warpgroups, stream);
    check_ends(512, 733, CU_BACKWARD, 0, 0, warpgroups, stream);
    check_ends(258, 37, CU_BACKWARD, 0, 0, warpgroups, stream);
    check_clusters(warpgroups, few, stream);
    if (!few)
        check_relays(warpgroups, 0, stream);
    return failures != 0;
}
