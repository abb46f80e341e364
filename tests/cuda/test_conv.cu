/* SPDX-License-Identifier: MIT */
/* test_conv.cu - the sparse convolution on arrays of a CUDA program, in its own stream: forward,
 * backward and double backward are those of the CPU's operator, the same bits at every call, and bad
 * arguments are refused. */
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_runtime.h>

#include "aimnet_cuda.h"
#include "aimnet_ops.h"

static int failed;

static void check(int good, const char *what)
{
    printf("%s %s\n", good ? "ok   " : "FAIL ", what);
    failed |= !good;
}

static unsigned long long seed = 7;
static double next_unit(void)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(seed >> 11) / 9007199254740992.0 - 0.5;
}

enum { N = 61, M = 11, A = 5, G = 7 };

template <typename T> struct array {
    std::vector<T> host;
    T *card = NULL;
    explicit array(size_t n, int random = 0) : host(n)
    {
        for (size_t k = 0; random && k < n; k++)
            host[k] = (T)next_unit();
        if (cudaMalloc(&card, n * sizeof(T)) != cudaSuccess)
            exit(1);
        cudaMemcpy(card, host.data(), n * sizeof(T), cudaMemcpyHostToDevice);
    }
    array(const array &) = delete;
    ~array()
    {
        cudaFree(card);
    }
    std::vector<T> fetch(cudaStream_t stream) const
    {
        std::vector<T> out(host.size());
        cudaMemcpyAsync(out.data(), card, out.size() * sizeof(T), cudaMemcpyDeviceToHost, stream);
        cudaStreamSynchronize(stream);
        return out;
    }
};

template <typename T> static double difference(const std::vector<T> &a, const std::vector<T> &b)
{
    double most = 0;
    for (size_t k = 0; k < a.size(); k++)
        most = fmax(most, fabs((double)a[k] - (double)b[k]));
    return most;
}

#define OVERLOADS(T, suffix)                                                                       \
    static int forward(aimnet_cuda_conv *d, aimnet_conv_sv_2d_sp *h, array<T> &x, array<T> &f,     \
                       array<T> &out, cudaStream_t s)                                              \
    {                                                                                              \
        return aimnet_cuda_conv_forward_##suffix(d, A, G, x.card, f.card, out.card, s) ||          \
               aimnet_conv_sv_2d_sp_forward_##suffix(h, A, G, x.host.data(), f.host.data(),        \
                                                     out.host.data());                             \
    }                                                                                              \
    static int backward(aimnet_cuda_conv *d, aimnet_conv_sv_2d_sp *h, array<T> &x, array<T> &f,    \
                        array<T> &g, array<T> &gx, array<T> &gf, cudaStream_t s)                   \
    {                                                                                              \
        return aimnet_cuda_conv_backward_##suffix(d, A, G, x.card, f.card, g.card, gx.card,        \
                                                  gf.card, s) ||                                   \
               aimnet_conv_sv_2d_sp_backward_##suffix(h, A, G, x.host.data(), f.host.data(),       \
                                                      g.host.data(), gx.host.data(),               \
                                                      gf.host.data());                             \
    }                                                                                              \
    static int twice(aimnet_cuda_conv *d, aimnet_conv_sv_2d_sp *h, array<T> &x, array<T> &f,       \
                     array<T> &g, array<T> &vx, array<T> &vf, array<T> &d_out, array<T> &dx,       \
                     array<T> &df, cudaStream_t s)                                                 \
    {                                                                                              \
        return aimnet_cuda_conv_double_backward_##suffix(d, A, G, x.card, f.card, g.card, vx.card, \
                                                         vf.card, d_out.card, dx.card, df.card,    \
                                                         s) ||                                     \
               aimnet_conv_sv_2d_sp_double_backward_##suffix(                                      \
                   h, A, G, x.host.data(), f.host.data(), g.host.data(), vx.host.data(),           \
                   vf.host.data(), d_out.host.data(), dx.host.data(), df.host.data());             \
    }
OVERLOADS(float, f32)
OVERLOADS(double, f64)

template <typename T> static void compare(const char *name, double tolerance)
{
    array<int32_t> idx(N * M);
    for (int k = 0; k < N * M; k++) /* a fifth is padding */
        idx.host[k] = (int32_t)((next_unit() + 0.5) * 1.25 * N);
    cudaMemcpy(idx.card, idx.host.data(), N * M * sizeof(int32_t), cudaMemcpyHostToDevice);
    cudaStream_t stream;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    aimnet_cuda_conv *card = NULL;
    aimnet_conv_sv_2d_sp *host = NULL;
    check(aimnet_cuda_conv_create(0, idx.card, N, M, stream, &card) == AIMNET_OK &&
              aimnet_conv_sv_2d_sp_create(idx.host.data(), N, M, 1, NULL, &host) == AIMNET_OK,
          name);
    array<T> x((N + 1) * A * G, 1), f(N * M * G * 4, 1), g(N * A * G * 4, 1),
        vx((N + 1) * A * G, 1), vf(N * M * G * 4, 1), out(N * A * G * 4), gx((N + 1) * A * G),
        gf(N * M * G * 4), d_out(N * A * G * 4), dx((N + 1) * A * G), df(N * M * G * 4);
    check(!forward(card, host, x, f, out, stream) &&
              difference(out.fetch(stream), out.host) < tolerance,
          "forward");
    check(!backward(card, host, x, f, g, gx, gf, stream) &&
              difference(gx.fetch(stream), gx.host) < tolerance &&
              difference(gf.fetch(stream), gf.host) < tolerance,
          "backward");
    const std::vector<T> first = gx.fetch(stream);
    check(!twice(card, host, x, f, g, vx, vf, d_out, dx, df, stream) &&
              difference(d_out.fetch(stream), d_out.host) < tolerance &&
              difference(dx.fetch(stream), dx.host) < tolerance &&
              difference(df.fetch(stream), df.host) < tolerance,
          "double backward");
    backward(card, host, x, f, g, gx, gf, stream);
    const std::vector<T> again = gx.fetch(stream);
    check(memcmp(first.data(), again.data(), first.size() * sizeof(T)) == 0, "the same bits");
    aimnet_cuda_conv_free(card);
    aimnet_conv_sv_2d_sp_free(host);
    cudaStreamDestroy(stream);
}

static void refuse(void)
{
    array<int32_t> bad(4);
    bad.host[2] = -1;
    cudaMemcpy(bad.card, bad.host.data(), 4 * sizeof(int32_t), cudaMemcpyHostToDevice);
    aimnet_cuda_conv *op;
    float one[4];
    check(aimnet_cuda_conv_create(0, bad.card, 2, 2, NULL, &op) == AIMNET_ERR_ARG && !op,
          "negative indices are refused");
    check(aimnet_cuda_conv_create(99, bad.card, 2, 2, NULL, &op) == AIMNET_ERR_DEVICE && !op,
          "cards that are not there are refused");
    check(aimnet_cuda_conv_create(0, NULL, 0, 0, NULL, &op) == AIMNET_OK, "no atoms");
    check(aimnet_cuda_conv_forward_f32(op, 1, 1, NULL, one, one, NULL) == AIMNET_ERR_ARG &&
              aimnet_cuda_conv_forward_f32(NULL, 1, 1, one, one, one, NULL) == AIMNET_ERR_ARG &&
              aimnet_cuda_conv_forward_f32(op, -1, 1, one, one, one, NULL) == AIMNET_ERR_ARG,
          "senseless arguments are refused");
    aimnet_cuda_conv_free(op);
    array<int32_t> idx(4);
    array<float> x(3, 1), f(16, 1), out(8);
    check(aimnet_cuda_conv_create(0, idx.host.data(), 2, 2, NULL, &op) == AIMNET_ERR_ARG &&
              strstr(aimnet_last_error(), "idx is memory of the host"),
          "indices of the host are refused");
    check(aimnet_cuda_conv_create(0, idx.card, 2, 2, NULL, &op) == AIMNET_OK, "an operator");
    check(aimnet_cuda_conv_forward_f32(op, 1, 1, x.card, f.card, out.host.data(), NULL) ==
                  AIMNET_ERR_ARG &&
              strstr(aimnet_last_error(), "the result is memory of the host"),
          "a result of the host is refused");
    check(aimnet_cuda_conv_forward_f32(op, 1 << 14, 1 << 12, x.card, f.card, out.card, NULL) ==
                  AIMNET_ERR_ARG &&
              strstr(aimnet_last_error(), "are needed"),
          "arrays that are too short are refused");
    check(aimnet_cuda_conv_forward_f32(op, 1, 1, x.card, f.card, out.card, NULL) == AIMNET_OK,
          "and the operator goes on");
    aimnet_cuda_conv_free(op);
}

int main(void)
{
    compare<double>("double", 1e-13);
    compare<float>("float", 2e-5);
    refuse();
    return failed;
}
