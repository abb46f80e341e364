/* SPDX-License-Identifier: MIT */
/* bench_ceiling.c - float32 rate of a large matrix product on this machine, the yardstick of
 * bench/run:  bench_ceiling [THREADS]
 *
 * (4096 x 704)(704 x 512), the shape of the network's largest layer. OpenBLAS (or the library
 * named by AIMNET_BENCH_BLAS) is loaded on demand; where there is none, a register-blocked
 * product on packed operands is timed instead (packing not counted). Line: gemm NAME GFLOP/s */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { M = 4608, K = 704, N = 512, REPEATS = 60, MAX_THREADS = 256 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---------------------------------------------------------------- BLAS */

typedef void (*sgemm_fn)(const char *, const char *, const int *, const int *, const int *,
                         const float *, const float *, const int *, const float *, const int *,
                         const float *, float *, const int *);

static double blas_rate(int threads, const float *a, const float *b, float *c, const char **name)
{
    static const char *const candidates[] = {"libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2",
                                             "libmkl_rt.so"};
    const char *own = getenv("AIMNET_BENCH_BLAS");
    void *lib = own ? dlopen(own, RTLD_NOW) : NULL;
    *name = own;
    for (size_t i = 0; !lib && i < sizeof candidates / sizeof *candidates; i++) {
        *name = candidates[i];
        lib = dlopen(*name, RTLD_NOW);
    }
    sgemm_fn sgemm = NULL;
    void (*set_threads)(int) = NULL;
    if (lib) {
        *(void **)&sgemm = dlsym(lib, "sgemm_");
        *(void **)&set_threads = dlsym(lib, "openblas_set_num_threads");
    }
    if (!sgemm)
        return 0.0;
    if (set_threads)
        set_threads(threads);
    const int m = M, n = N, k = K;
    const float one = 1.0F, zero = 0.0F;
    double best = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        double t = now();
        sgemm("N", "N", &m, &n, &k, &one, a, &m, b, &k, &zero, c, &m);
        t = now() - t;
        best = t < best ? t : best;
    }
    return 2.0 * M * N * K / best * 1e-9;
}

/* ---------------------------------------------------------------- own product */

#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 12 };
#else
enum { LANES = 8, ROWS = 6 };
#endif
enum { PANEL = 2 * LANES };
typedef float vec __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

/* c[ROWS][PANEL] = a[K][ROWS] b[K][PANEL] */
static void block(const float *a, const float *b, float *c)
{
    vec acc[ROWS][2] = {{{0}}};
    for (int k = 0; k < K; k++) {
        const vec b0 = *(const vec *)(b + k * PANEL), b1 = *(const vec *)(b + k * PANEL + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
            acc[r][0] += a[k * ROWS + r] * b0;
            acc[r][1] += a[k * ROWS + r] * b1;
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
        *(vec *)(c + r * PANEL) = acc[r][0];
        *(vec *)(c + r * PANEL + LANES) = acc[r][1];
    }
}

typedef struct share {
    const float *a, *b;
    float *c;
    int first, last; /* blocks of rows */
    pthread_barrier_t *start;
    double best;
} share;

static void *work(void *arg)
{
    share *s = arg;
    for (int i = 0; i < REPEATS; i++) {
        pthread_barrier_wait(s->start);
        double t = now();
        for (int p = 0; p < N / PANEL; p++)
            for (int r = s->first; r < s->last; r++)
                block(s->a + (size_t)r * ROWS * K, s->b + (size_t)p * PANEL * K,
                      s->c + ((size_t)r * (N / PANEL) + (size_t)p) * ROWS * PANEL);
        pthread_barrier_wait(s->start);
        t = now() - t;
        s->best = t < s->best ? t : s->best;
    }
    return NULL;
}

static double own_rate(int threads, const float *a, const float *b, float *c)
{
    static pthread_t thread[MAX_THREADS];
    static share s[MAX_THREADS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)threads);
    const int blocks = M / ROWS;
    for (int i = 0; i < threads; i++) {
        s[i] = (share){a, b, c, blocks * i / threads, blocks * (i + 1) / threads, &start, 1e9};
        if (pthread_create(&thread[i], NULL, work, &s[i]))
            exit(1);
    }
    double best = 0.0;
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        best = s[i].best > best ? s[i].best : best;
    }
    pthread_barrier_destroy(&start);
    return 2.0 * M * N * K / best * 1e-9;
}

int main(int argc, char **argv)
{
    int threads = argc > 1 ? atoi(argv[1]) : 2;
    threads = threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
    float *a = malloc(sizeof(float) * M * K), *b = malloc(sizeof(float) * K * N),
          *c = malloc(sizeof(float) * M * N);
    if (!a || !b || !c)
        return 1;
    for (int i = 0; i < M * K; i++)
        a[i] = (float)(i % 7) - 3.0F;
    for (int i = 0; i < K * N; i++)
        b[i] = (float)(i % 5) - 2.0F;
    const char *name = NULL;
    double blas = blas_rate(threads, a, b, c, &name);
    if (blas > 0.0)
        printf("gemm %s %.1f\n", name, blas);
    printf("gemm blocked %.1f\n", own_rate(threads, a, b, c));
    free(a);
    free(b);
    free(c);
    return 0;
}
