/* SPDX-License-Identifier: MIT */
/* check.c - modes check and perf (compiled once per precision).
 *
 * check compares every kernel of a table with the reference over all sizes of its case. For one
 * problem, first, the whole range agrees within the tolerance, and what is exactly zero there is
 * zero here. Second, every part of the range (all of them for small problems; single indices,
 * beginnings and ends otherwise) gives the same bits as the whole and leaves the elements of other
 * indices alone. Since the flow hands kernels any piece of a range, this is what makes results
 * independent of batch and threads.
 *
 * Tolerance: a sum of K terms of random sign and size one is about sqrt(K) and, added one by one,
 * has a rounding error of about 0.2 epsilon K, so 0.2 sqrt(K) epsilon of its size; the largest of
 * some thousand elements lies within three such standard deviations. The size is that of the
 * quantity (`part` of an output) in this index's rows or on average, whichever is larger. The
 * constant covers the few operations around a sum. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel_test.h"
#include "problem.h"

static const double TOLERANCE_CONSTANT = 5.0, TOLERANCE_SUM = 0.6;

typedef struct verdict {
    int failures;
    double worst; /* largest error in units of its tolerance */
} verdict;

static const char *const NAMES[] = {
#define KERNEL(name, args) #name,
#include "backend/kernels.def"
#undef KERNEL
};

static const kt_case *find_case(const char *kernel)
{
    const kt_case *const lists[] = {AIM_NAMED(kt_conv_cases),    AIM_NAMED(kt_linear_cases),
                                    AIM_NAMED(kt_pair_cases),    AIM_NAMED(kt_charge_cases),
                                    AIM_NAMED(kt_op_cases),      AIM_NAMED(kt_tan_cases),
                                    AIM_NAMED(kt_conv_tan_cases)};
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++)
        for (const kt_case *c = lists[l]; c->kernel; c++)
            if (strcmp(c->kernel, kernel) == 0)
                return c;
    return NULL;
}

static double value(const kt_output *o, int64_t e)
{
    return o->element == sizeof(double) ? ((const double *)o->data)[e]
                                        : (double)((const float *)o->data)[e];
}

static void reset(kt_problem *p)
{
    for (int o = 0; o < p->n_out; o++)
        memcpy(p->out[o].data, p->out[o].initial, (size_t)p->out[o].span[p->n] * p->out[o].element);
}

static int part_of(const kt_output *o, int64_t e)
{
    int part = 0;
    while ((size_t)e % o->width >= o->part[part])
        part++;
    return part;
}

/* Root mean square of the elements that are not zero, per part. */
static void typical_size(const kt_output *o, int64_t end, double size[KT_PARTS])
{
    int64_t count[KT_PARTS] = {0};
    double sum[KT_PARTS] = {0};
    for (int64_t e = 0; e < end; e++) {
        const int part = part_of(o, e);
        sum[part] += value(o, e) * value(o, e);
        count[part] += value(o, e) != 0.0;
    }
    for (int part = 0; part < KT_PARTS; part++)
        size[part] = count[part] ? sqrt(sum[part] / (double)count[part]) : 0.0;
}

static void fail(verdict *v, const kt_problem *p, const char *kernel, const char *what)
{
    v->failures++;
    printf("FAIL %s %s %s (%s): %s\n", p->k->isa, AIM_REAL_DOUBLE ? "double" : "single", kernel,
           p->label, what);
}

/* Elements begin .. end of one index; returns 0 after the first failure. */
static int compare_rows(verdict *v, const char *kernel, const kt_problem *own, const kt_output *a,
                        const kt_output *b, int64_t begin, int64_t end,
                        const double typical[KT_PARTS], double relative)
{
    char text[160];
    double size[KT_PARTS];
    memcpy(size, typical, sizeof size);
    for (int64_t e = begin; e < end && a->scale <= 0; e++)
        size[part_of(a, e)] = fmax(size[part_of(a, e)], fabs(value(a, e)));
    for (int64_t e = begin; e < end; e++) {
        const double x = value(a, e), y = value(b, e), error = fabs(x - y),
                     tolerance = relative * (a->scale > 0 ? a->scale : size[part_of(a, e)]);
        if (error > v->worst * tolerance)
            v->worst = error / tolerance;
        if (error <= tolerance && !(x == 0.0 && y != 0.0))
            continue;
        snprintf(text, sizeof text, "%s[%lld] is %.9g, the reference %.9g, tolerance %.2g", a->name,
                 (long long)e, y, x, tolerance);
        fail(v, own, kernel, text);
        return 0;
    }
    return 1;
}

static void compare_values(verdict *v, const char *kernel, const kt_problem *ref,
                           const kt_problem *own)
{
    for (int k = 0; k < ref->n_out; k++) {
        const kt_output *a = &ref->out[k], *b = &own->out[k];
        const double epsilon = a->element == sizeof(double) ? DBL_EPSILON : FLT_EPSILON;
        double typical[KT_PARTS];
        typical_size(a, a->span[ref->n], typical);
        for (int64_t i = 0; i < ref->n; i++)
            if (!compare_rows(v, kernel, own, a, b, a->span[i], a->span[i + 1], typical,
                              epsilon * (TOLERANCE_CONSTANT + TOLERANCE_SUM * sqrt(ref->terms))))
                break;
    }
}

/* Runs [first, last) on fresh outputs: inside as `whole`, outside as before. */
static void compare_part(verdict *v, int kernel, kt_problem *p, void *const *whole, int64_t first,
                         int64_t last)
{
    char text[160];
    reset(p);
    AIM_NAMED(kt_call)(p, kernel, first, last);
    for (int k = 0; k < p->n_out; k++) {
        const kt_output *o = &p->out[k];
        const size_t size = o->element, a = (size_t)o->span[first] * size,
                     b = (size_t)o->span[last] * size, end = (size_t)o->span[p->n] * size;
        const char *data = o->data, *before = o->initial, *expected = whole[k];
        const char *what =
            memcmp(data + a, expected + a, b - a) != 0 ? "has other bits than in one call"
            : memcmp(data, before, a) != 0 || memcmp(data + b, before + b, end - b) != 0
                ? "changes elements of other indices"
                : NULL;
        if (!what)
            continue;
        snprintf(text, sizeof text, "%s: the range %lld to %lld %s", o->name, (long long)first,
                 (long long)last, what);
        fail(v, p, NAMES[kernel], text);
    }
}

enum { ALL_PARTS = 26 };

static void compare_parts(verdict *v, int kernel, kt_problem *p)
{
    void *whole[KT_OUTPUTS];
    for (int k = 0; k < p->n_out; k++) {
        const size_t bytes = (size_t)p->out[k].span[p->n] * p->out[k].element;
        whole[k] = AIM_NAMED(kt_block)(p, bytes, 1);
        memcpy(whole[k], p->out[k].data, bytes);
    }
    const int failures = v->failures;
    const int64_t n = p->n;
    for (int64_t first = 0; first < n && v->failures == failures; first++)
        for (int64_t last = first; last <= n && v->failures == failures; last++)
            if (n <= ALL_PARTS || last - first < 2 || last == n || first == 0)
                compare_part(v, kernel, p, whole, first, last);
}

static void check_size(verdict *v, const kt_case *c, int kernel, int size, const aim_kernels *table)
{
    kt_problem ref, own;
    const uint64_t seed = (uint64_t)(1000 * kernel + size);
    AIM_NAMED(kt_open)(&ref, AIM_NAMED(aim_kernels_open)(-1), seed);
    AIM_NAMED(kt_open)(&own, table, seed);
    c->build(&ref, size);
    c->build(&own, size);
    AIM_NAMED(kt_call)(&ref, kernel, 0, ref.n);
    AIM_NAMED(kt_call)(&own, kernel, 0, own.n);
    compare_values(v, NAMES[kernel], &ref, &own);
    compare_parts(v, kernel, &own);
    AIM_NAMED(kt_close)(&ref);
    AIM_NAMED(kt_close)(&own);
}

int AIM_NAMED(kt_check)(int isa)
{
    const aim_kernels *table = AIM_NAMED(aim_kernels_open)(isa);
    int failures = 0;
    for (int kernel = 0; kernel < KT_KERNELS; kernel++) {
        const kt_case *c = find_case(NAMES[kernel]);
        verdict v = {0};
        if (!c) {
            printf("FAIL %s has no case: add one to a cases_*.c\n", NAMES[kernel]);
            failures++;
            continue;
        }
        for (int size = 0; size < c->n_sizes; size++)
            check_size(&v, c, kernel, size, table);
        printf("%-4s %-6s %s %-24s %3d sizes, worst error %.2f of tolerance\n",
               v.failures ? "FAIL" : "ok", table->isa, AIM_REAL_DOUBLE ? "double" : "single",
               NAMES[kernel], c->n_sizes, v.worst);
        failures += v.failures;
    }
    return failures;
}

/* ---------------------------------------------------------------- mode perf */

enum { PERF_RUNS = 9 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int AIM_NAMED(kt_perf)(int isa)
{
    const aim_kernels *table = AIM_NAMED(aim_kernels_open)(isa);
    for (int kernel = 0; kernel < KT_KERNELS; kernel++) {
        const kt_case *c = find_case(NAMES[kernel]);
        if (!c)
            return 1;
        kt_problem p;
        AIM_NAMED(kt_open)(&p, table, 1);
        c->build(&p, KT_PERF);
        double best = INFINITY;
        for (int run = 0; run < PERF_RUNS; run++) {
            reset(&p);
            const double start = seconds();
            AIM_NAMED(kt_call)(&p, kernel, 0, p.n);
            best = fmin(best, seconds() - start);
        }
        printf("%-6s %s %-24s %8.2f GFLOP/s", table->isa, AIM_REAL_DOUBLE ? "double" : "single",
               NAMES[kernel], 1e-9 * p.flops / best);
        if (p.pairs > 0)
            printf(" %9.1f ns per pair", 1e9 * best / p.pairs);
        printf("   %s\n", p.label);
        AIM_NAMED(kt_close)(&p);
    }
    return 0;
}
