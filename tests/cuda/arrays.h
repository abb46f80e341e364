/* SPDX-License-Identifier: MIT */
/* arrays.h - arrays on the card, random numbers and verdicts for test_arrays.cu. */
#ifndef AIM_TESTS_CUDA_ARRAYS_H
#define AIM_TESTS_CUDA_ARRAYS_H

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cuda_runtime.h>

#include "aimnet_cuda.h"

static int failed;

static void check(int good, const char *what)
{
    printf("%s %s%s%s\n", good ? "ok   " : "FAIL ", what, good ? "" : ": ",
           good ? "" : aimnet_last_error());
    failed |= !good;
}

/* Whether a call failed as expected, with these words. */
static int says(aimnet_status status, aimnet_status expected, const char *part)
{
    const int good = status == expected && strstr(aimnet_last_error(), part);
    if (!good)
        printf("      %d: %s\n", (int)status, aimnet_last_error());
    return good;
}

static unsigned long long seed = 11;
static double next_unit(void) /* 0 .. 1 */
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (double)(seed >> 11) / 9007199254740992.0;
}

/* An array on the card; host memory is copied there. */
template <typename T> struct card_array {
    T *at = NULL;
    size_t n;
    explicit card_array(size_t count, const T *host = NULL) : n(count)
    {
        if (cudaMalloc(&at, (n ? n : 1) * sizeof(T)) != cudaSuccess)
            exit(1);
        cudaMemset(at, 0x5a, n * sizeof(T));
        if (host)
            cudaMemcpy(at, host, n * sizeof(T), cudaMemcpyHostToDevice);
    }
    explicit card_array(const std::vector<T> &host) : card_array(host.size(), host.data()) {}
    card_array(const card_array &) = delete;
    ~card_array() { cudaFree(at); }
    std::vector<T> fetch(void) const
    {
        std::vector<T> out(n);
        cudaMemcpy(out.data(), at, n * sizeof(T), cudaMemcpyDeviceToHost);
        return out;
    }
};

template <typename T> static int same(const std::vector<T> &a, const std::vector<T> &b)
{
    return a.size() == b.size() && memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

#endif
