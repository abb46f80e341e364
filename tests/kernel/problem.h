/* SPDX-License-Identifier: MIT */
/* problem.h - one set of arguments for one kernel, drawn from a seed, with what is known about its
 * outputs (compiled once per precision).
 *
 * A case builds a problem for a kernel table and a size; the same kernel, size and precision give
 * the same numbers for every table, so results can be compared. Every array is a heap block of
 * exactly its size, aligned to 64 bytes: a sanitizer sees each step outside. */
#ifndef AIM_TESTS_KERNEL_PROBLEM_H
#define AIM_TESTS_KERNEL_PROBLEM_H

#include "backend/kernels.h"

/* A kernel as an index: KT_conv_fwd and so on, in the order of kernels.def. */
enum {
#define KERNEL(name, args) KT_##name,
#include "backend/kernels.def"
#undef KERNEL
    KT_KERNELS
};

enum { KT_BLOCKS = 64, KT_OUTPUTS = 5, KT_PARTS = 3, KT_PERF = -1 };

typedef struct kt_output {
    const char *name;
    void *data,
        *initial;   /* initial: contents before the kernel runs; accumulating kernels add to them */
    size_t element; /* sizeof(real) or sizeof(double) */
    const int64_t
        *span; /* [n + 1]: elements span[i] .. span[i + 1] belong to index i and to nobody else */
    size_t width;          /* elements of one index are rows of this width ... */
    size_t part[KT_PARTS]; /* ... with quantities of different size before these columns (0: no
                              further part) */
    double scale;          /* errors are measured against this; 0: the size of the reference */
} kt_output;

typedef struct kt_problem {
    const aim_kernels *k;
    uint64_t random;
    int64_t n;           /* size of the outer index */
    double terms;        /* longest sum behind one element of an output */
    double flops, pairs; /* work of the whole range, for perf */
    char label[96];      /* the size in words */
    kt_output out[KT_OUTPUTS];
    int n_out;
    union {
        aim_pair_features_args features;
        aim_conv_args conv;
        aim_linear_args linear;
        aim_linear_out_args linear_out;
        aim_charge_args charge;
        aim_gather_args gather;
        aim_conv_op_args conv_op;
        aim_pair_tan_args pair_tan;
        aim_conv_tan_args conv_tan;
        aim_linear_tan_args linear_tan;
        aim_charge_tan_args charge_tan;
        aim_gather_tan_args gather_tan;
        aim_weight_tan_args weight_tan;
        aim_agh_tan_args agh_tan;
    } args;
    void *block[KT_BLOCKS];
    int n_blocks;
} kt_problem;

typedef struct kt_case {
    const char *kernel;
    int n_sizes;
    void (*build)(kt_problem *problem, int size); /* size 0 .. n_sizes - 1, or KT_PERF */
} kt_case;

/* All cases of one file, ended by a NULL name. */
extern const kt_case AIM_NAMED(kt_conv_cases)[], AIM_NAMED(kt_linear_cases)[],
    AIM_NAMED(kt_pair_cases)[], AIM_NAMED(kt_charge_cases)[], AIM_NAMED(kt_op_cases)[],
    AIM_NAMED(kt_tan_cases)[], AIM_NAMED(kt_conv_tan_cases)[];

void AIM_NAMED(kt_open)(kt_problem *p, const aim_kernels *k, uint64_t seed);
void AIM_NAMED(kt_close)(kt_problem *p);
void AIM_NAMED(kt_call)(const kt_problem *p, int kernel, int64_t first, int64_t last);

double AIM_NAMED(kt_uniform)(kt_problem *p);                         /* [-1, 1) */
int AIM_NAMED(kt_below)(kt_problem *p, int n);                       /* 0 .. n - 1 */
void *AIM_NAMED(kt_block)(kt_problem *p, size_t count, size_t size); /* cleared */
real *AIM_NAMED(kt_reals)(kt_problem *p, size_t count);              /* random in [-1, 1) */
double *AIM_NAMED(kt_doubles)(kt_problem *p, size_t count);          /* random in [-1, 1) */
/* Names an array as an output: n indices of `width` elements each, or span (copied) times width
 * when it is not NULL. */
void AIM_NAMED(kt_add_output)(kt_problem *p, const char *name, void *data, size_t element,
                              const int64_t *span, size_t width, double scale);

/* What any convolution kernel reads, with adjoints left out (cases_conv.c); p->n is the number of
 * atoms. */
void AIM_NAMED(kt_conv_inputs)(kt_problem *p, aim_conv_args *a, int size, int plain);
enum { KT_CONV_SIZES = 23 };

/* Atoms on a jittered grid in two systems, triclinic and periodic if asked for, with all pairs
 * closer than rc, and the way back. */
typedef struct kt_geometry {
    int n_atoms, n_systems;
    double *coord, *cell;
    int32_t *system, *offset, *j;
    int32_t (*shift)[3];
    int64_t *row, *reverse, *system_row; /* system_row: first atom of each system */
} kt_geometry;
kt_geometry AIM_NAMED(kt_geometry_make)(kt_problem *p, int n_atoms, double rc, int periodic);

#endif
